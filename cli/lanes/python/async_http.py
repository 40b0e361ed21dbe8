"""HTTP workloads under an event loop. A lane has the client: `exchange` gives status, header and body of one response."""

import asyncio
import json

import content
import frame
from async_frame import Workload, gathered
from content import Expectation, Peak
from frame import Failure, Traffic, kind_of, wrong_content


class Http(Workload):
    # Requests of an operation, and connections of a session: as many as are in flight at once.
    requests = 1
    connections = 1

    async def prepare(self):
        self.target, self.traffic = self.round.target("http", "http")
        self.expectation = Expectation(self.params)

    def client(self, connections):
        return self.lane.Client(self.target, self.traffic, connections, self.round)

    async def open(self):
        client = self.client(self.connections)
        await client.connect()
        return client

    async def close(self, session):
        await session.close()

    async def fetch(self, paths):
        """The bodies of responses before the measurement, by path, to compare later ones with."""
        client = self.client(1)
        bodies = {}
        for path in dict.fromkeys(paths):
            status, _, bodies[path] = await client.exchange("GET", path)
            self.expectation.check_status(f"GET {path}", status)
        await client.close()
        return bodies

    async def get(self, client, path, expected):
        status, _, body = await client.exchange("GET", path)
        self.expectation.check(path, status, body, expected)

    def violations(self, totals):
        return totals.wrong_requests("http", self.requests)


class HttpGet(Http):
    async def prepare(self):
        await super().prepare()
        self.path = self.target.path(self.params["path"])
        self.numbered = self.params.get("numbered", False)
        self.expected = (await self.fetch([self.path]))[self.path]

    async def operate(self, session, op):
        path = content.numbered(self.path, op) if self.numbered else self.path
        # Not by `get`: a coroutine is resumed through all that await it.
        status, _, body = await session.exchange("GET", path)
        self.expectation.check(path, status, body, self.expected)


class HttpConnect(HttpGet):
    """A new connection for each request."""

    async def open(self):
        return self.lane.Client(self.target, self.traffic, 1, self.round, keeps=False)

    def violations(self, totals):
        return content.wrong_connections(totals) + super().violations(totals)


class HttpPost(Http):
    async def prepare(self):
        await super().prepare()
        self.path = self.target.path(self.params["path"])
        self.filling = content.filling(content.size_in_bytes(self.params["size"]))

    async def operate(self, session, op):
        sent = {"operation": op, "filling": self.filling}
        status, _, body = await session.exchange("POST", self.path, json.dumps(sent).encode())
        self.expectation.check_status("POST " + self.path, status)
        if self.expectation.compares:
            content.check_echo(sent, body)


class HttpStream(Http):
    """URLs in sequence over one connection, from an asynchronous generator."""

    async def prepare(self):
        await super().prepare()
        self.requests = self.params["urls"]
        self.paths = content.numbered_paths(self.target, self.params)
        self.expected = await self.fetch(self.paths)

    async def answers(self, client):
        for path in self.paths:
            yield path, await client.exchange("GET", path)

    async def operate(self, session, op):
        async for path, (status, _, body) in self.answers(session):
            self.expectation.check(path, status, body, self.expected[path])


class FanOut(Http):
    """Several requests at once."""

    def paths(self):
        raise NotImplementedError

    async def prepare(self):
        await super().prepare()
        self.all_paths = [self.target.path(path) for path in self.paths()]
        self.requests = self.connections = len(self.all_paths)
        known = await self.fetch(self.all_paths)
        self.expected = [known[path] for path in self.all_paths]

    async def operate(self, session, op):
        await gathered(self.part(session, *pair) for pair in zip(self.all_paths, self.expected))

    async def part(self, client, path, expected):
        await self.get(client, path, expected)


class HttpFanout(FanOut):
    def paths(self):
        return self.params["paths"]


class HttpDelay(FanOut):
    def paths(self):
        return [self.params["path"]] * self.params["requests"]


class HttpJson(FanOut):
    def paths(self):
        return [self.params["user"], *self.params["posts"]]

    async def prepare(self):
        await super().prepare()
        self.documents = content.Documents(self.all_paths, self.expected, self.expectation)

    async def part(self, client, path, expected):
        status, _, body = await client.exchange("GET", path)
        self.documents.check(path, status, body)


class HttpLimited(Http):
    """Many URLs, of which a semaphore lets a few be in flight."""

    async def prepare(self):
        await super().prepare()
        self.requests = self.params["urls"]
        self.connections = self.params["at_once"]
        delays = range(1, self.params["longest_units"] + 1)
        self.paths = [self.target.path(content.delayed_path(self.round.unit_ns * units)) for units in delays]
        self.expected = await self.fetch(self.paths)

    async def operate(self, session, op):
        semaphore = asyncio.Semaphore(self.connections)
        in_flight = Peak()

        async def fetch(path):
            async with semaphore:
                with in_flight:
                    await self.get(session, path, self.expected[path])

        await gathered(fetch(path) for path in content.drawn_paths(self, op))
        in_flight.at_most(self.connections, "requests in flight")


class HttpQueue(Http):
    """Many URLs through a queue to a few workers, which end when it is empty."""

    async def prepare(self):
        await super().prepare()
        self.requests = self.params["urls"]
        self.connections = self.params["workers"]
        self.paths = content.numbered_paths(self.target, self.params)
        self.expected = await self.fetch(self.paths)

    async def operate(self, session, op):
        queue = asyncio.Queue()
        for url in range(self.requests):
            queue.put_nowait(url)
        fetched = []

        async def worker():
            while not queue.empty():
                url = queue.get_nowait()
                await self.get(session, self.paths[url], self.expected[self.paths[url]])
                fetched.append(url)

        await gathered(worker() for _ in range(self.connections))
        content.each_once(fetched, self.requests, "URL")


class HttpTimeout(Http):
    """A request that is given up at a deadline before its response; shielded, it goes on without its caller."""

    async def prepare(self):
        await super().prepare()
        self.deadline = content.Deadline(self)
        self.path = self.target.path(self.params.get("path") or content.delayed_path(self.deadline.answer_ns))
        self.expected = (await self.fetch([self.path]))[self.path]
        self.answered = 0

    async def open(self):
        return [self.client(1)]

    async def close(self, session):
        await session[0].close()

    async def operate(self, session, op):
        begun = frame.clock()
        asking = self.get(session[0], self.path, self.expected)
        work = None
        if self.deadline.shielded:
            work = asyncio.create_task(asking)
            asking = asyncio.shield(work)
        answered = 1
        try:
            await asyncio.wait_for(asking, self.deadline.seconds)
        except TimeoutError:
            answered = 0
        self.deadline.check_ending(frame.clock() - begun)
        if work is not None:
            await work
        elif answered:
            # The next operation starts as after a request that was given up: with a new connection.
            await session[0].close()
            session[0] = self.client(1)
        self.answered += answered
        self.round.number("answered_past_deadline_share", answered)

    def violations(self, totals):
        return self.deadline.violations(totals, self.answered)


class HttpRetry(Http):
    """An endpoint that fails before it succeeds, asked again after waits that double up to a cap."""

    async def operate(self, session, op):
        path = self.target.path(f"{self.params['path']}{op}")
        back_off = content.BackOff(self.round.unit_ns, self.params)
        status = None
        for attempt in range(1, self.params["tries"] + 1):
            if attempt > 1:
                await asyncio.sleep(back_off.seconds_before(attempt))
            begun = frame.clock()
            status, _, _ = await session.exchange("GET", path)
            back_off.note(begun, frame.clock())
            if status == 200:
                break
        back_off.check(status)

    def violations(self, totals):
        return content.wrong_attempts(totals, self.params["tries"])


class HttpErrors(Http):
    """Three requests at once, one of which fails: refused, reset, of an unknown host or with a status, in turn."""

    async def prepare(self):
        await super().prepare()
        self.paths = [self.target.path(path) for path in self.params["paths"]]
        self.expected = await self.fetch(self.paths)
        self.closed = content.ClosedPort()
        self.answers = 0

    async def open(self):
        others = self.client(len(self.paths))
        await others.connect()
        # What never reaches the server is not part of its traffic.
        nowhere = Traffic()
        refused = self.lane.Client(content.Place("127.0.0.1", self.closed.port), nowhere, 1, self.round)
        unknown = self.lane.Client(content.Place(content.UNKNOWN_HOST, 80), nowhere, 1, self.round)
        return others, {"refused": refused, "unknown-host": unknown, "reset": self.client(1), "status": self.client(1)}

    async def close(self, session):
        others, failing = session
        for client in (others, *failing.values()):
            await client.close()

    async def operate(self, session, op):
        others, failing = session
        kind = content.FAULTS[op % 4]
        path = self.params["reset"] if kind == "reset" else self.params["failing"]
        parts = (self.get(others, path, self.expected[path]) for path in self.paths)
        await gathered([self.fail(failing[kind], kind, path), *parts])

    async def fail(self, client, kind, path):
        try:
            status, _, _ = await client.exchange("GET", path)
            if status >= 400:
                raise Failure("status", f"GET {path} answered {status}")
        except Exception as error:
            if kind_of(error) != kind:
                raise wrong_content(f"expected failure `{kind}`, got `{kind_of(error)}`: {error}") from error
        else:
            raise wrong_content(f"expected failure `{kind}`, got success")
        self.answers += kind == "status"

    def violations(self, totals):
        return totals.wrong_requests("http", len(self.paths), self.answers)


WORKLOADS = {
    "http-get": HttpGet,
    "http-connect": HttpConnect,
    "http-post": HttpPost,
    "http-stream": HttpStream,
    "http-fanout": HttpFanout,
    "http-delay": HttpDelay,
    "http-json": HttpJson,
    "http-limited": HttpLimited,
    "http-queue": HttpQueue,
    "http-timeout": HttpTimeout,
    "http-retry": HttpRetry,
    "http-errors": HttpErrors,
}
