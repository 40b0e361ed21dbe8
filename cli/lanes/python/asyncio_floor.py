"""The lane `asyncio-floor`: HTTP under the standard event loop without a client library.

The sessions, the workloads and their checks are those of the lane `asyncio`; a connection is an asyncio.Protocol, and its parser
knows what these workloads need. Nobody would write a program so: the distance of the other lanes from it is their client library.
"""

import asyncio
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import async_http
import async_tasks
import frame
from async_frame import TIMEOUT_S, measure_round
from frame import Failure

NAME = "asyncio-floor"
FAMILY = "floor"
STACK = "Python"
SUMMARY = "CPython: asyncio.Protocol and a parser of our own, a floor"
PACKAGES = ()

HTTP = ("http-get", "http-json", "http-post", "http-delay", "http-fanout", "http-limited")
WORKLOADS = {
    "null": async_tasks.Null,
    "scripted": async_tasks.Scripted,
    **{name: async_http.WORKLOADS[name] for name in HTTP},
}


def parsed(received):
    """Status, body and whether the connection is kept, of a response; or the number of bytes without which it is not whole."""
    end = received.find(b"\r\n\r\n")
    if end < 0:
        return len(received) + 1
    head = received[: end + 2].lower()
    begin = end + 4
    if b"\r\ntransfer-encoding: chunked\r\n" in head:
        body = chunks(received, begin)
        if isinstance(body, int):
            return body
    else:
        at = head.find(b"\r\ncontent-length:")
        length = int(head[at + 17 : head.index(b"\r\n", at + 2)]) if at >= 0 else 0
        if len(received) < begin + length:
            return begin + length
        if len(received) > begin + length:
            raise Failure("io", "the server sent more than its response")
        body = received[begin:]
    is_kept = head.startswith(b"http/1.1") and b"\r\nconnection: close\r\n" not in head
    return int(head[9:12]), body, is_kept


def chunks(received, begin):
    """The body in chunks from `begin` on, without fields after it; or the number of bytes without which it is not whole."""
    parts = []
    while True:
        end = received.find(b"\r\n", begin)
        if end < 0:
            return len(received) + 1
        size = int(received[begin:end].split(b";")[0], 16)
        begin = end + 2 + size + 2
        if len(received) < begin:
            return begin
        if size == 0:
            return b"".join(parts)
        parts.append(received[end + 2 : begin - 2])


class Connection(asyncio.Protocol):
    """A connection with one request in flight at most."""

    def __init__(self, traffic):
        self.traffic = traffic
        self.loop = asyncio.get_running_loop()
        self.received = bytearray()
        # Bytes without which the response is not whole.
        self.needed = 0
        self.answer = None
        self.is_open = True
        # One timer for all requests of the connection: a timer for each would be a tenth of its work.
        self.asked_at = 0
        self.timer = self.loop.call_later(TIMEOUT_S, self.look)

    def connection_made(self, transport):
        self.transport = transport

    def look(self):
        """Gives up a request that is older than the timeout; looks again when the present one would be."""
        age = self.loop.time() - self.asked_at if self.is_awaited() else 0
        if age < TIMEOUT_S:
            self.timer = self.loop.call_later(TIMEOUT_S - age, self.look)
        else:
            self.fail(TimeoutError(f"no answer in {TIMEOUT_S} s"))

    async def ask(self, request):
        """The status, nothing of the header, and the body of the response."""
        self.answer = self.loop.create_future()
        self.asked_at = self.loop.time()
        self.transport.write(request)
        self.traffic.bytes_out += len(request)
        try:
            answer = await self.answer
        except BaseException:
            self.close()
            self.traffic.abandoned += 1
            raise
        self.traffic.requests += 1
        return answer

    def data_received(self, data):
        self.traffic.bytes_in += len(data)
        if self.needed:
            self.received += data
            if len(self.received) < self.needed:
                return
            data = bytes(self.received)
        try:
            answer = parsed(data)
        except (Failure, ValueError) as error:
            self.fail(error)
            return
        if isinstance(answer, int):
            self.received = bytearray(data)
            self.needed = answer
            return
        self.needed = 0
        status, body, is_kept = answer
        if not is_kept:
            self.close()
        if self.is_awaited():
            self.answer.set_result((status, None, body))

    def is_awaited(self):
        """False if no request was sent, or if its operation was given up."""
        return self.answer is not None and not self.answer.done()

    def connection_lost(self, error):
        if error is None and self.needed:
            error = EOFError("the connection ended within a response")
        self.fail(error or ConnectionResetError("the connection ended before a response"))

    def fail(self, error):
        self.close()
        if self.is_awaited():
            self.answer.set_exception(error)

    def close(self):
        self.is_open = False
        self.timer.cancel()
        self.transport.abort()


class Client:
    """Kept connections of one session: as many as it has requests in flight at once. One that was closed is opened again."""

    def __init__(self, target, traffic, connections, round_):
        if traffic.bytes_out is None:
            traffic.bytes_out = traffic.bytes_in = 0
        self.target = target
        self.traffic = traffic
        self.idle = [None] * connections

    async def connect(self):
        self.idle = [await self.connection() for _ in self.idle]

    async def connection(self):
        loop = asyncio.get_running_loop()
        opening = loop.create_connection(lambda: Connection(self.traffic), self.target.host, self.target.port)
        try:
            _, connection = await asyncio.wait_for(opening, TIMEOUT_S)
        except BaseException:
            # The server may have seen it.
            self.traffic.abandoned_connections += 1
            raise
        self.traffic.connections += 1
        return connection

    async def exchange(self, method, path, body=None):
        """The status, nothing of the header, and the body of one response."""
        request = f"{method} {path} HTTP/1.1\r\nHost: {self.target.authority}\r\n"
        if body is not None:
            request += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        connection = self.idle.pop()
        try:
            if connection is None or not connection.is_open:
                connection = await self.connection()
            return await connection.ask(request.encode() + b"\r\n" + (body or b""))
        finally:
            self.idle.append(connection)

    async def close(self):
        for connection in self.idle:
            if connection is not None:
                connection.close()


def measure(workload, round_):
    return asyncio.run(measure_round(workload, round_))


if __name__ == "__main__":
    frame.main(sys.modules[__name__])
