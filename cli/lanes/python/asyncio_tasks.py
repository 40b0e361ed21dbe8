"""The lane `asyncio`: a task per session on the standard event loop, and the standard library where it has what is needed.

HTTP is asyncio's streams and a small parser, since the standard library has no asynchronous client; files are read with
asyncio.to_thread, which is how a program without further packages does it. Databases and WebSockets need asyncpg and websockets.
"""

import asyncio
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import frame
from async_frame import TIMEOUT_S, measure_round
from async_workloads import WORKLOADS

NAME = "asyncio"
FAMILY = "async"
STACK = "Python"
SUMMARY = "CPython: a task per session on the event loop (asyncio streams)"
PACKAGES = ()


class Connection:
    """A connection over asyncio's streams; opened again after it was closed, by the server or because it is not to be kept."""

    def __init__(self, target, traffic, keeps):
        self.target = target
        self.traffic = traffic
        self.keeps = keeps
        self.reader = self.writer = None

    async def connect(self):
        opening = asyncio.open_connection(self.target.host, self.target.port)
        try:
            self.reader, self.writer = await asyncio.wait_for(opening, TIMEOUT_S)
        except BaseException:
            # The server may have seen it.
            self.traffic.abandoned_connections += 1
            raise
        self.traffic.connections += 1

    async def exchange(self, method, path, body=None, headers=None):
        """The status, the header and the body of one response."""
        if self.writer is None:
            await self.connect()
        content = b"" if body is None else body
        head = f"{method} {path} HTTP/1.1\r\nHost: {self.target.authority}\r\n"
        if body is not None:
            head += f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n"
        if not self.keeps:
            head += "Connection: close\r\n"
        for name, value in (headers or {}).items():
            head += f"{name}: {value}\r\n"
        request = head.encode() + b"\r\n" + content
        try:
            async with asyncio.timeout(TIMEOUT_S):
                self.writer.write(request)
                self.traffic.bytes_out += len(request)
                await self.writer.drain()
                status, keeps, fields, answer = await self.response()
        except BaseException:
            self.close()
            self.traffic.abandoned += 1
            raise
        self.traffic.requests += 1
        if not (keeps and self.keeps):
            self.close()
        return status, fields, answer

    async def response(self):
        head = await self.reader.readuntil(b"\r\n\r\n")
        self.traffic.bytes_in += len(head)
        lines = head[:-4].split(b"\r\n")
        version, status, *_ = lines[0].split(b" ", 2)
        fields = {}
        for line in lines[1:]:
            name, _, value = line.decode("latin-1").partition(":")
            fields[name.strip().lower()] = value.strip()
        if fields.get("transfer-encoding", "").lower() == "chunked":
            body = await self.chunks()
        else:
            body = await self.reader.readexactly(int(fields.get("content-length", "0")))
            self.traffic.bytes_in += len(body)
        closes = fields.get("connection", "").lower() == "close"
        return int(status), version == b"HTTP/1.1" and not closes, fields, body

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


class Client:
    """Connections of one session: as many as it has requests in flight at once, kept unless each request is to open its own."""

    def __init__(self, target, traffic, connections, round_, keeps=True):
        if traffic.bytes_out is None:
            traffic.bytes_out = traffic.bytes_in = 0
        self.idle = [Connection(target, traffic, keeps) for _ in range(connections)]

    async def connect(self):
        for connection in self.idle:
            await connection.connect()

    async def exchange(self, method, path, body=None, headers=None):
        """The status, the header and the body of one response."""
        connection = self.idle.pop()
        try:
            return await connection.exchange(method, path, body, headers)
        finally:
            self.idle.append(connection)

    async def close(self):
        for connection in self.idle:
            connection.close()


def read_file(path):
    with open(path, "rb") as file:
        return file.read()


def write_file(path, data, sync):
    with open(path, "wb") as file:
        file.write(data)
        if sync:
            file.flush()
            os.fsync(file.fileno())


def append_to_file(path, text):
    with open(path, "a") as file:
        file.write(text)


class files:
    """Files on threads of the executor, a call for each file."""

    @staticmethod
    async def append(path, text):
        await asyncio.to_thread(append_to_file, path, text)

    @staticmethod
    async def read(path):
        return await asyncio.to_thread(read_file, path)

    @staticmethod
    async def write(path, data, sync=False):
        await asyncio.to_thread(write_file, path, data, sync)

    @staticmethod
    async def open(path):
        return await asyncio.to_thread(open, path, "rb", buffering=0)

    @staticmethod
    async def read_at(file, offset, size):
        return await asyncio.to_thread(os.pread, file.fileno(), size, offset)

    @staticmethod
    async def close(file):
        await asyncio.to_thread(file.close)


def measure(workload, round_):
    return asyncio.run(measure_round(workload, round_))


if __name__ == "__main__":
    frame.main(sys.modules[__name__])
