"""The lane `asyncio`: a task per session on the standard event loop.

HTTP is asyncio's streams and a small parser, since the standard library has no asynchronous client; files are read with
asyncio.to_thread, which is how a program without further packages does it.
"""

import asyncio
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import content
import frame
from content import Expectation
from frame import Phase

NAME = "asyncio"
FAMILY = "async"
STACK = "Python"
SUMMARY = "CPython: a task per session on the event loop (asyncio streams)"
TIMEOUT_S = 10


class Connection:
    """A kept connection over asyncio's streams; opened again if the server closed it."""

    def __init__(self, target, traffic):
        self.target = target
        self.traffic = traffic
        self.reader = self.writer = None
        if traffic.bytes_out is None:
            traffic.bytes_out = traffic.bytes_in = 0

    async def connect(self):
        opening = asyncio.open_connection(self.target.host, self.target.port)
        self.reader, self.writer = await asyncio.wait_for(opening, TIMEOUT_S)
        self.traffic.connections += 1

    async def exchange(self, method, path, body=None):
        """The status and body of one request."""
        if self.writer is None:
            await self.connect()
        content = b"" if body is None else body
        head = f"{method} {path} HTTP/1.1\r\nHost: {self.target.authority}\r\n"
        if body is not None:
            head += f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n"
        request = head.encode() + b"\r\n" + content
        try:
            self.writer.write(request)
            self.traffic.bytes_out += len(request)
            await self.writer.drain()
            status, keeps, answer = await self.response()
        except BaseException:
            self.close()
            self.traffic.abandoned += 1
            raise
        self.traffic.requests += 1
        if not keeps:
            self.close()
        return status, answer

    async def response(self):
        head = await self.reader.readuntil(b"\r\n\r\n")
        self.traffic.bytes_in += len(head)
        lines = head[:-4].split(b"\r\n")
        version, status, *_ = lines[0].split(b" ", 2)
        fields = {}
        for line in lines[1:]:
            name, _, value = line.partition(b":")
            fields[name.strip().lower()] = value.strip()
        if fields.get(b"transfer-encoding", b"").lower() == b"chunked":
            body = await self.chunks()
        else:
            body = await self.reader.readexactly(int(fields.get(b"content-length", b"0")))
            self.traffic.bytes_in += len(body)
        closes = fields.get(b"connection", b"").lower() == b"close"
        return int(status), version == b"HTTP/1.1" and not closes, body

    async def chunks(self):
        parts = []
        while True:
            line = await self.reader.readuntil(b"\r\n")
            size = int(line.split(b";")[0], 16)
            part = await self.reader.readexactly(size + 2)
            self.traffic.bytes_in += len(line) + len(part)
            if size == 0:
                return b"".join(parts)
            parts.append(part[:-2])

    def close(self):
        if self.writer is not None:
            self.writer.close()
            self.reader = self.writer = None


class Workload:
    """A workload of one round; sessions have what `open` returns."""

    targets = ()
    requests = 0

    def __init__(self, round_):
        self.round = round_

    async def prepare(self):
        pass

    async def open(self):
        return None

    def close(self, session):
        pass

    async def connection(self):
        connection = Connection(self.target, self.traffic)
        await connection.connect()
        return connection

    async def fetch(self, path):
        """The body of a response before the measurement, to compare later ones with."""
        connection = await self.connection()
        status, body = await asyncio.wait_for(connection.exchange("GET", path), TIMEOUT_S)
        connection.close()
        self.expectation.check_status(f"GET {path}", status)
        return body


class Null(Workload):
    async def operate(self, session, op):
        pass


class Http(Workload):
    targets = ("http",)
    requests = 1

    async def prepare(self):
        self.target, self.traffic = self.round.http()
        self.expectation = Expectation(self.round.params)

    async def open(self):
        return await self.connection()

    def close(self, session):
        session.close()


class HttpGet(Http):
    async def prepare(self):
        await super().prepare()
        self.path = self.target.path(self.round.params["path"])
        self.numbered = self.round.params.get("numbered", False)
        self.expected = await self.fetch(self.path)

    async def operate(self, session, op):
        path = content.numbered(self.path, op) if self.numbered else self.path
        status, body = await session.exchange("GET", path)
        self.expectation.check("GET " + path, status, body, self.expected)


class HttpPost(Http):
    async def prepare(self):
        await super().prepare()
        self.path = self.target.path(self.round.params["path"])
        self.filling = content.filling(content.size_in_bytes(self.round.params["size"]))

    async def operate(self, session, op):
        sent = {"operation": op, "filling": self.filling}
        status, body = await session.exchange("POST", self.path, json.dumps(sent).encode())
        self.expectation.check_status("POST " + self.path, status)
        if self.expectation.compares:
            content.check_echo(sent, body)


class FanOut(Http):
    """Several requests at once, each over a connection of its own."""

    def paths(self):
        raise NotImplementedError

    async def prepare(self):
        await super().prepare()
        self.all_paths = [self.target.path(path) for path in self.paths()]
        self.requests = len(self.all_paths)
        known = {path: await self.fetch(path) for path in dict.fromkeys(self.all_paths)}
        self.expected = [known[path] for path in self.all_paths]

    async def open(self):
        return [await self.connection() for _ in self.all_paths]

    def close(self, session):
        for connection in session:
            connection.close()

    async def operate(self, session, op):
        exchanges = (connection.exchange("GET", path) for connection, path in zip(session, self.all_paths))
        # All are awaited even if one fails, so that nothing keeps running.
        answers = await asyncio.gather(*exchanges, return_exceptions=True)
        for path, expected, answer in zip(self.all_paths, self.expected, answers):
            if isinstance(answer, BaseException):
                raise answer
            self.check(path, *answer, expected)

    def check(self, path, status, body, expected):
        self.expectation.check("GET " + path, status, body, expected)


class HttpFanout(FanOut):
    def paths(self):
        return self.round.params["paths"]


class HttpDelay(FanOut):
    def paths(self):
        return [self.round.params["path"]] * self.round.params["requests"]


class HttpJson(FanOut):
    def paths(self):
        return [self.round.params["user"], *self.round.params["posts"]]

    async def prepare(self):
        await super().prepare()
        self.documents = content.Documents(self.all_paths, self.expected, self.expectation)

    def check(self, path, status, body, expected):
        self.documents.check(path, status, body)


class FileRead(Workload):
    async def prepare(self):
        self.size = content.size_in_bytes(self.round.params["size"])
        self.path, self.checksum = content.known_file(self.round.work_dir, self.size)

    async def operate(self, session, op):
        contents = await asyncio.to_thread(self.read)
        content.check_contents(contents, self.size, self.checksum)

    def read(self):
        with open(self.path, "rb") as file:
            return file.read()


class Tasks(Workload):
    async def prepare(self):
        self.waits_ns = content.waits_ns(self.round)
        self.together = self.round.params.get("at_once", True)

    async def operate(self, session, op):
        if self.together:
            lasted = await asyncio.gather(*(wait(wait_ns) for wait_ns in self.waits_ns))
        else:
            lasted = [await wait(wait_ns) for wait_ns in self.waits_ns]
        content.check_waits(self.waits_ns, lasted)


class Timers(Workload):
    async def operate(self, session, op):
        wait_ns = content.wait_ns(self.round, op)
        due = frame.clock() + wait_ns
        await asyncio.sleep(wait_ns / 1e9)
        self.round.observe("timer_overshoot", content.check_due(due))


async def wait(wait_ns):
    begun = frame.clock()
    await asyncio.sleep(wait_ns / 1e9)
    return frame.clock() - begun


WORKLOADS = {
    "null": Null,
    "http-get": HttpGet,
    "http-post": HttpPost,
    "http-fanout": HttpFanout,
    "http-delay": HttpDelay,
    "http-json": HttpJson,
    "file-read": FileRead,
    "tasks": Tasks,
    "timers": Timers,
}


async def nothing(session, op):
    pass


async def measure_round(workload_class, round_):
    """One round: set-up, warm-up, overhead, measurement."""
    workload = workload_class(round_)
    await workload.prepare()
    opened = [await workload.open() for _ in range(round_.sessions)]
    before = {name: traffic.requests for name, traffic in round_.traffic.items()}
    plan = round_.plan

    async def phase(stop, first_op, operate):
        part = Phase(stop, first_op, round_.sessions)
        sessions = (part.run_async(operate, session, index) for index, session in enumerate(opened))
        await asyncio.gather(*(asyncio.create_task(session) for session in sessions))
        return part

    warmup = await phase(plan["warmup"], frame.FIRST_WARMUP_OP, workload.operate)
    overhead = await phase({"duration_ns": frame.OVERHEAD_NS}, 0, nothing)
    cost = frame.Cost()
    measured = await phase(plan["stop"], 0, workload.operate)
    spent = cost.since()
    for session in opened:
        workload.close(session)
    each = {name: workload.requests for name in workload.targets}
    violations = frame.check_requests(round_, each, before, warmup, measured)
    loop = {"event_loop": type(asyncio.get_running_loop()).__name__}
    return frame.measurement(round_, warmup, overhead, measured, spent, 1, loop, violations)


def measure(workload, round_):
    return asyncio.run(measure_round(workload, round_))


if __name__ == "__main__":
    frame.main(sys.modules[__name__])
