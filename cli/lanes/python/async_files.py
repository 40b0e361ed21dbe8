"""Workloads with files under an event loop. A lane has `files`: asyncio.to_thread in one, aiofiles in the others."""

import asyncio
import os

import content
import frame
from async_frame import Workload, gathered
from content import Peak


class FileRead(Workload):
    blocking_calls = 1

    async def prepare(self):
        size = content.size_in_bytes(self.params["size"])
        self.path, self.contents = content.known_file(self.round.work_dir, size)

    async def operate(self, session, op):
        content.check_contents(self.contents, await self.lane.files.read(self.path))


class FileRandom(Workload):
    """A block at a drawn offset of an open file."""

    blocking_calls = 1

    async def prepare(self):
        self.blocks = content.RandomBlocks(self.round)

    async def open(self):
        return await self.lane.files.open(self.blocks.path)

    async def close(self, session):
        await self.lane.files.close(session)

    async def operate(self, session, op):
        offset = self.blocks.offset(op)
        self.blocks.check(offset, await self.lane.files.read_at(session, offset, self.blocks.size))


class FileWrite(Workload):
    blocking_calls = 1
    opened = 0

    async def prepare(self):
        self.bytes = content.known_bytes(content.size_in_bytes(self.params["size"]))
        os.makedirs(self.round.work_dir, exist_ok=True)

    async def open(self):
        self.opened += 1
        return os.path.join(self.round.work_dir, f"written-{self.opened - 1}.bin")

    async def close(self, session):
        if os.path.exists(session):
            os.remove(session)

    async def operate(self, session, op):
        # Each operation writes other bytes, so that older ones are found out.
        written = content.marked(self.bytes, op)
        await self.lane.files.write(session, written, self.params.get("sync", True))
        content.check_read_back(written, await self.lane.files.read(session))


class FileLines(Workload):
    async def prepare(self):
        self.limit = self.blocking_calls = self.params["limit"]
        self.directory, self.lines = content.directory_of_lines(self.round.work_dir, self.params["files"])

    async def operate(self, session, op):
        semaphore = asyncio.Semaphore(self.limit)
        reading = Peak()

        async def count_lines(path):
            async with semaphore:
                with reading:
                    return (await self.lane.files.read(path)).count(b"\n")

        names = await asyncio.to_thread(os.listdir, self.directory)
        counts = await gathered(count_lines(os.path.join(self.directory, name)) for name in names)
        self.round.number("files_at_once", reading.most)
        content.check_lines(self, counts, reading)


class FileProcess(Workload):
    """Three files at once, each read and followed by a wait that stands for processing."""

    blocking_calls = 3

    async def prepare(self):
        self.files = content.files_to_process(self.round, self.params)

    async def operate(self, session, op):
        async def process(path, known):
            entered = frame.clock()
            contents = await self.lane.files.read(path)
            await asyncio.sleep(self.round.unit_ns / 1e9)
            lasted = frame.clock() - entered
            self.round.observe("file_scope", lasted)
            content.check_contents(known, contents)
            content.no_shorter(self.round.unit_ns, lasted, "the scope of a file")

        await gathered(process(*file) for file in self.files)


WORKLOADS = {
    "file-read": FileRead,
    "file-random": FileRandom,
    "file-write": FileWrite,
    "file-lines": FileLines,
    "file-process": FileProcess,
}
