"""The lane `aiohttp`: a task per session on the standard event loop, with the libraries that programs for asyncio use.

HTTP is aiohttp, a ClientSession per session whose connector has as many connections as the session has requests in flight; files
are aiofiles, databases asyncpg, WebSockets websockets. `uvloop` is this program under another event loop.
"""

import asyncio
import os
import socket
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import frame
from async_frame import TIMEOUT_S, measure_round
from async_workloads import WORKLOADS

NAME = "aiohttp"
FAMILY = "async"
STACK = "Python"
SUMMARY = "CPython: a task per session on the event loop (aiohttp, aiofiles, asyncpg, websockets)"
PACKAGES = ("aiohttp", "aiofiles")


class Client:
    """A session of aiohttp. Its connections are opened at the first requests, which are those of the warm-up, or at each one."""

    def __init__(self, target, traffic, connections, round_, keeps=True):
        import aiohttp
        from aiohttp.http_parser import HttpResponseParser

        # Without it, the parser is written in Python: another program, and no documented way to run this one.
        if "_http_parser" not in HttpResponseParser.__module__:
            raise frame.Unsupported("aiohttp has no C parser here")
        round_.facts["http_parser"] = "aiohttp, C"
        self.traffic = traffic
        connector = aiohttp.TCPConnector(limit=connections, force_close=not keeps, socket_factory=self.socket)
        own = f"{target.host}:{target.port}"
        self.session = aiohttp.ClientSession(
            f"http://{own}",
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
            headers=None if target.authority == own else {"Host": target.authority},
        )

    async def connect(self):
        pass

    def socket(self, address):
        """A socket for a new connection, counted."""
        family, kind, protocol, _, _ = address
        self.traffic.connections += 1
        return socket.socket(family, kind, protocol)

    async def exchange(self, method, path, body=None, headers=None):
        """The status, the header and the body of one response."""
        if body is not None:
            headers = {"Content-Type": "application/json", **(headers or {})}
        try:
            # A redirect would be a request that nobody counts.
            async with self.session.request(
                method, path, data=body, headers=headers, allow_redirects=False
            ) as response:
                content = await response.read()
        except BaseException:
            # When a connection breaks, aiohttp sends a request that may be repeated a second time, unasked.
            self.traffic.abandoned += 2 if method == "GET" else 1
            raise
        self.traffic.requests += 1
        return response.status, response.headers, content

    async def close(self):
        await self.session.close()


class files:
    """aiofiles: each call goes to a thread of the executor."""

    @staticmethod
    async def append(path, text):
        import aiofiles

        async with aiofiles.open(path, "a") as file:
            await file.write(text)

    @staticmethod
    async def read(path):
        import aiofiles

        async with aiofiles.open(path, "rb") as file:
            return await file.read()

    @staticmethod
    async def write(path, data, sync=False):
        import aiofiles

        async with aiofiles.open(path, "wb") as file:
            await file.write(data)
            if sync:
                await file.flush()
                await asyncio.to_thread(os.fsync, file.fileno())

    @staticmethod
    async def open(path):
        import aiofiles

        # A buffer would be filled anew for each block.
        return await aiofiles.open(path, "rb", buffering=0)

    @staticmethod
    async def read_at(file, offset, size):
        await file.seek(offset)
        return await file.read(size)

    @staticmethod
    async def close(file):
        await file.close()


def measure(workload, round_):
    return asyncio.run(measure_round(workload, round_))


if __name__ == "__main__":
    frame.main(sys.modules[__name__])
