"""HTTP workloads in blocking code, with http.client, the client of the standard library."""

import http.client
import json
import queue
import time

import content
import frame
from blocking_frame import TIMEOUT_S, Workload
from content import Expectation, Peak
from frame import Failure, Traffic, Unsupported, kind_of, wrong_content


class Connection(http.client.HTTPConnection):
    """A kept connection that counts what it opens, and the requests answered over it."""

    def __init__(self, target, traffic, lock, timeout_s):
        super().__init__(target.host, target.port, timeout=timeout_s)
        self.target = target
        self.traffic = traffic
        self.lock = lock

    def connect(self):
        try:
            super().connect()
        except BaseException:
            # The server may have seen it.
            with self.lock:
                self.traffic.abandoned_connections += 1
            raise
        with self.lock:
            self.traffic.connections += 1

    def exchange(self, method, path, body=None, headers=None):
        """The status, the header and the body of one response."""
        headers = {"Host": self.target.authority, **(headers or {})}
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            self.request(method, path, body, headers)
            response = self.getresponse()
            content = response.read()
        except BaseException:
            self.close()
            with self.lock:
                self.traffic.abandoned += 1
            raise
        with self.lock:
            self.traffic.requests += 1
        return response.status, response.headers, content


class Client:
    """Kept connections of one session: as many as it has requests in flight at once."""

    def __init__(self, target, traffic, connections, lock, timeout_s=TIMEOUT_S):
        self.idle = [Connection(target, traffic, lock, timeout_s) for _ in range(connections)]

    def connect(self):
        for connection in self.idle:
            connection.connect()

    def exchange(self, method, path, body=None, headers=None):
        """The status, the header and the body of one response."""
        connection = self.idle.pop()
        try:
            return connection.exchange(method, path, body, headers)
        finally:
            self.idle.append(connection)

    def close(self):
        for connection in self.idle:
            connection.close()


class Http(Workload):
    # Requests of an operation, and connections of a session: as many as are in flight at once.
    requests = 1
    connections = 1

    def prepare(self):
        self.target, self.traffic = self.round.target("http", "http")
        self.expectation = Expectation(self.params)

    def client(self, connections, timeout_s=TIMEOUT_S):
        return Client(self.target, self.traffic, connections, self.round.lock, timeout_s)

    def open(self):
        """A client, and the way to run as many calls at once as it has connections."""
        client = self.client(self.connections)
        client.connect()
        return client, self.lane.AtOnce(self.connections)

    def close(self, session):
        client, run = session
        run.close()
        client.close()

    def fetch(self, paths):
        """The bodies of responses before the measurement, by path, to compare later ones with."""
        client = self.client(1)
        bodies = {}
        for path in dict.fromkeys(paths):
            status, _, bodies[path] = client.exchange("GET", path)
            self.expectation.check_status(f"GET {path}", status)
        client.close()
        return bodies

    def get(self, client, path, expected):
        status, _, body = client.exchange("GET", path)
        self.expectation.check(path, status, body, expected)

    def violations(self, totals):
        return totals.wrong_requests("http", self.requests)


class Single(Http):
    """One request at a time: a session is a client."""

    def open(self):
        client = self.client(1)
        client.connect()
        return client

    def close(self, session):
        session.close()


class HttpGet(Single):
    def prepare(self):
        super().prepare()
        self.path = self.target.path(self.params["path"])
        self.numbered = self.params.get("numbered", False)
        self.expected = self.fetch([self.path])[self.path]

    def operate(self, session, op):
        path = content.numbered(self.path, op) if self.numbered else self.path
        self.get(session, path, self.expected)


class HttpConnect(HttpGet):
    """A new connection for each request."""

    def open(self):
        return self.client(1)

    def operate(self, session, op):
        try:
            super().operate(session, op)
        finally:
            session.close()

    def get(self, client, path, expected):
        status, _, body = client.exchange("GET", path, headers={"Connection": "close"})
        self.expectation.check(path, status, body, expected)

    def violations(self, totals):
        return content.wrong_connections(totals) + super().violations(totals)


class HttpPost(Single):
    def prepare(self):
        super().prepare()
        self.path = self.target.path(self.params["path"])
        self.filling = content.filling(content.size_in_bytes(self.params["size"]))

    def operate(self, session, op):
        sent = {"operation": op, "filling": self.filling}
        status, _, body = session.exchange("POST", self.path, json.dumps(sent).encode())
        self.expectation.check_status("POST " + self.path, status)
        if self.expectation.compares:
            content.check_echo(sent, body)


class HttpStream(Single):
    """URLs in sequence over one connection."""

    def prepare(self):
        super().prepare()
        self.requests = self.params["urls"]
        self.paths = content.numbered_paths(self.target, self.params)
        self.expected = self.fetch(self.paths)

    def operate(self, session, op):
        for path in self.paths:
            self.get(session, path, self.expected[path])


class FanOut(Http):
    """Several requests at once."""

    def paths(self):
        raise NotImplementedError

    def prepare(self):
        super().prepare()
        self.all_paths = [self.target.path(path) for path in self.paths()]
        self.requests = self.connections = len(self.all_paths)
        known = self.fetch(self.all_paths)
        self.expected = [known[path] for path in self.all_paths]

    def operate(self, session, op):
        client, run = session
        run([(self.part, client, *pair) for pair in zip(self.all_paths, self.expected)])

    def part(self, client, path, expected):
        self.get(client, path, expected)


class HttpFanout(FanOut):
    def paths(self):
        return self.params["paths"]


class HttpDelay(FanOut):
    def paths(self):
        return [self.params["path"]] * self.params["requests"]


class HttpJson(FanOut):
    def paths(self):
        return [self.params["user"], *self.params["posts"]]

    def prepare(self):
        super().prepare()
        self.documents = content.Documents(self.all_paths, self.expected, self.expectation)

    def part(self, client, path, expected):
        status, _, body = client.exchange("GET", path)
        self.documents.check(path, status, body)


class HttpLimited(Http):
    """Many URLs, of which a thread pool has as few in flight as it has threads."""

    def prepare(self):
        super().prepare()
        self.requests = self.params["urls"]
        self.connections = self.params["at_once"]
        delays = range(1, self.params["longest_units"] + 1)
        self.paths = [self.target.path(content.delayed_path(self.round.unit_ns * units)) for units in delays]
        self.expected = self.fetch(self.paths)

    def operate(self, session, op):
        client, run = session
        in_flight = Peak()

        def fetch(path):
            with in_flight:
                self.get(client, path, self.expected[path])

        run([(fetch, path) for path in content.drawn_paths(self, op)])
        in_flight.at_most(self.connections, "requests in flight")


class HttpQueue(Http):
    """Many URLs through a queue to a few workers, which end when it is empty."""

    def prepare(self):
        super().prepare()
        self.requests = self.params["urls"]
        self.connections = self.params["workers"]
        self.paths = content.numbered_paths(self.target, self.params)
        self.expected = self.fetch(self.paths)

    def operate(self, session, op):
        client, run = session
        urls = queue.SimpleQueue()
        for url in range(self.requests):
            urls.put(url)
        fetched = []

        def worker():
            while True:
                try:
                    url = urls.get_nowait()
                except queue.Empty:
                    return
                self.get(client, self.paths[url], self.expected[self.paths[url]])
                fetched.append(url)

        run([(worker,)] * self.connections)
        content.each_once(fetched, self.requests, "URL")


class HttpTimeout(Http):
    """A request that is given up at a deadline before its response: a socket's timeout. Shielded, it goes on on its thread."""

    def prepare(self):
        super().prepare()
        self.deadline = content.Deadline(self)
        if self.deadline.shielded and not self.lane.IS_CONCURRENT:
            raise Unsupported("work that goes on without its caller needs a thread of its own")
        self.path = self.target.path(self.params.get("path") or content.delayed_path(self.deadline.answer_ns))
        self.expected = self.fetch([self.path])[self.path]
        self.answered = 0

    def open(self):
        timeout_s = TIMEOUT_S if self.deadline.shielded else self.deadline.seconds
        return self.client(1, timeout_s), self.lane.AtOnce(1)

    def operate(self, session, op):
        client, run = session
        begun = frame.clock()
        work = None
        answered = 1
        try:
            if self.deadline.shielded:
                work = run.start(self.get, client, self.path, self.expected)
                work.result(self.deadline.seconds)
            else:
                self.get(client, self.path, self.expected)
        except TimeoutError:
            answered = 0
        took = frame.clock() - begun
        self.deadline.check_ending(took)
        if work is not None:
            work.result()
        elif answered:
            # The next operation starts as after a request that was given up: with a new connection.
            client.close()
        with self.round.lock:
            self.answered += answered
        self.round.number("answered_past_deadline_share", answered)

    def violations(self, totals):
        return self.deadline.violations(totals, self.answered)


class HttpRetry(Single):
    """An endpoint that fails before it succeeds, asked again after waits that double up to a cap."""

    def operate(self, session, op):
        path = self.target.path(f"{self.params['path']}{op}")
        back_off = content.BackOff(self.round.unit_ns, self.params)
        status = None
        for attempt in range(1, self.params["tries"] + 1):
            if attempt > 1:
                time.sleep(back_off.seconds_before(attempt))
            begun = frame.clock()
            status, _, _ = session.exchange("GET", path)
            back_off.note(begun, frame.clock())
            if status == 200:
                break
        back_off.check(status)

    def violations(self, totals):
        return content.wrong_attempts(totals, self.params["tries"])


class HttpErrors(Http):
    """Three requests at once, one of which fails: refused, reset, of an unknown host or with a status, in turn."""

    def prepare(self):
        super().prepare()
        self.paths = [self.target.path(path) for path in self.params["paths"]]
        self.expected = self.fetch(self.paths)
        self.closed = content.ClosedPort()
        self.answers = 0

    def open(self):
        others = self.client(len(self.paths))
        others.connect()
        # What never reaches the server is not part of its traffic.
        nowhere = Traffic()
        refused = Client(content.Place("127.0.0.1", self.closed.port), nowhere, 1, self.round.lock)
        unknown = Client(content.Place(content.UNKNOWN_HOST, 80), nowhere, 1, self.round.lock)
        failing = {"refused": refused, "unknown-host": unknown, "reset": self.client(1), "status": self.client(1)}
        return others, failing, self.lane.AtOnce(1 + len(self.paths))

    def close(self, session):
        others, failing, run = session
        run.close()
        for client in (others, *failing.values()):
            client.close()

    def operate(self, session, op):
        others, failing, run = session
        kind = content.FAULTS[op % 4]
        path = self.params["reset"] if kind == "reset" else self.params["failing"]
        parts = [(self.get, others, path, self.expected[path]) for path in self.paths]
        run([(self.fail, failing[kind], kind, path), *parts])

    def fail(self, client, kind, path):
        try:
            status, _, _ = client.exchange("GET", path)
            if status >= 400:
                raise Failure("status", f"GET {path} answered {status}")
        except Exception as error:
            if kind_of(error) != kind:
                raise wrong_content(f"expected failure `{kind}`, got `{kind_of(error)}`: {error}") from error
        else:
            raise wrong_content(f"expected failure `{kind}`, got success")
        with self.round.lock:
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
