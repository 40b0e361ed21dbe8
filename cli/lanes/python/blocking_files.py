"""Workloads with files in blocking code: open, read, write."""

import os
import time

import content
import frame
from blocking_frame import AtOnce, Workload
from content import Peak


def read_file(path):
    with open(path, "rb") as file:
        return file.read()


class FileRead(Workload):
    def prepare(self):
        size = content.size_in_bytes(self.params["size"])
        self.path, self.contents = content.known_file(self.round.work_dir, size)

    def operate(self, session, op):
        content.check_contents(self.contents, read_file(self.path))


class FileRandom(Workload):
    """A block at a drawn offset of an open file."""

    def prepare(self):
        self.blocks = content.RandomBlocks(self.round)

    def open(self):
        return open(self.blocks.path, "rb", buffering=0)

    def close(self, session):
        session.close()

    def operate(self, session, op):
        offset = self.blocks.offset(op)
        self.blocks.check(offset, os.pread(session.fileno(), self.blocks.size, offset))


class FileWrite(Workload):
    opened = 0

    def prepare(self):
        self.bytes = content.known_bytes(content.size_in_bytes(self.params["size"]))
        os.makedirs(self.round.work_dir, exist_ok=True)

    def open(self):
        self.opened += 1
        return os.path.join(self.round.work_dir, f"written-{self.opened - 1}.bin")

    def close(self, session):
        if os.path.exists(session):
            os.remove(session)

    def operate(self, session, op):
        # Each operation writes other bytes, so that older ones are found out.
        written = content.marked(self.bytes, op)
        with open(session, "wb") as file:
            file.write(written)
            if self.params.get("sync", True):
                file.flush()
                os.fsync(file.fileno())
        content.check_read_back(written, read_file(session))


class FileLines(AtOnce):
    def prepare(self):
        self.limit = self.calls = self.params["limit"]
        self.directory, self.lines = content.directory_of_lines(self.round.work_dir, self.params["files"])

    def operate(self, session, op):
        reading = Peak()

        def count_lines(path):
            with reading:
                return read_file(path).count(b"\n")

        names = os.listdir(self.directory)
        counts = session([(count_lines, os.path.join(self.directory, name)) for name in names])
        self.round.number("files_at_once", reading.most)
        content.check_lines(self, counts, reading)


class FileProcess(AtOnce):
    """Three files at once, each read and followed by a wait that stands for processing."""

    calls = 3

    def prepare(self):
        self.files = content.files_to_process(self.round, self.params)

    def operate(self, session, op):
        def process(path, known):
            entered = frame.clock()
            contents = read_file(path)
            time.sleep(self.round.unit_ns / 1e9)
            lasted = frame.clock() - entered
            self.round.observe("file_scope", lasted)
            content.check_contents(known, contents)
            content.no_shorter(self.round.unit_ns, lasted, "the scope of a file")

        session([(process, *file) for file in self.files])


WORKLOADS = {
    "file-read": FileRead,
    "file-random": FileRandom,
    "file-write": FileWrite,
    "file-lines": FileLines,
    "file-process": FileProcess,
}
