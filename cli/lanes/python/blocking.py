"""Workloads in blocking code, for the lanes `python-sync` and `python-threads`.

HTTP is http.client, the client of the standard library; a session keeps its connections open, and what an operation does at once
is up to the lane: in turn under `python-sync`, on a thread pool of the session's own under `python-threads`.
"""

import http.client
import json
import threading
import time

import content
import frame
from content import Expectation
from frame import Phase

TIMEOUT_S = 10


class Connection(http.client.HTTPConnection):
    """A kept connection that counts what it opens, and the requests answered over it."""

    def __init__(self, target, traffic, lock):
        super().__init__(target.host, target.port, timeout=TIMEOUT_S)
        self.target = target
        self.traffic = traffic
        self.lock = lock

    def connect(self):
        super().connect()
        with self.lock:
            self.traffic.connections += 1

    def exchange(self, method, path, body=None):
        """The status and body of one request."""
        headers = {"Host": self.target.authority}
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
        return response.status, content


class Workload:
    """A workload of one round. `at_once` runs several calls as the lane does; `sessions` have what `open` returns."""

    targets = ()
    requests = 0

    def __init__(self, round_, at_once):
        self.round = round_
        self.at_once = at_once
        self.lock = threading.Lock()

    def prepare(self):
        pass

    def open(self):
        return None

    def close(self, session):
        pass

    def connection(self):
        connection = Connection(self.target, self.traffic, self.lock)
        connection.connect()
        return connection

    def fetch(self, path):
        """The body of a response before the measurement, to compare later ones with."""
        connection = self.connection()
        status, body = connection.exchange("GET", path)
        connection.close()
        self.expectation.check_status(f"GET {path}", status)
        return body


class Null(Workload):
    def operate(self, session, op):
        pass


class Http(Workload):
    targets = ("http",)
    requests = 1

    def prepare(self):
        self.target, self.traffic = self.round.http()
        self.expectation = Expectation(self.round.params)

    def open(self):
        return self.connection()

    def close(self, session):
        session.close()


class HttpGet(Http):
    def prepare(self):
        super().prepare()
        self.path = self.target.path(self.round.params["path"])
        self.numbered = self.round.params.get("numbered", False)
        self.expected = self.fetch(self.path)

    def operate(self, session, op):
        path = content.numbered(self.path, op) if self.numbered else self.path
        status, body = session.exchange("GET", path)
        self.expectation.check("GET " + path, status, body, self.expected)


class HttpPost(Http):
    def prepare(self):
        super().prepare()
        self.path = self.target.path(self.round.params["path"])
        self.filling = content.filling(content.size_in_bytes(self.round.params["size"]))

    def operate(self, session, op):
        sent = {"operation": op, "filling": self.filling}
        status, body = session.exchange("POST", self.path, json.dumps(sent).encode())
        self.expectation.check_status("POST " + self.path, status)
        if self.expectation.compares:
            content.check_echo(sent, body)


class FanOut(Http):
    """Several requests at once, each over a connection of its own."""

    def paths(self):
        raise NotImplementedError

    def prepare(self):
        super().prepare()
        self.all_paths = [self.target.path(path) for path in self.paths()]
        self.requests = len(self.all_paths)
        known = {path: self.fetch(path) for path in dict.fromkeys(self.all_paths)}
        self.expected = [known[path] for path in self.all_paths]

    def open(self):
        return [self.connection() for _ in self.all_paths], self.at_once(len(self.all_paths))

    def close(self, session):
        connections, run = session
        run.close()
        for connection in connections:
            connection.close()

    def operate(self, session, op):
        connections, run = session
        calls = [
            (connection.exchange, "GET", path) for connection, path in zip(connections, self.all_paths)
        ]
        answers = run(calls)
        for path, expected, (status, body) in zip(self.all_paths, self.expected, answers):
            self.check(path, status, body, expected)

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

    def prepare(self):
        super().prepare()
        self.documents = content.Documents(self.all_paths, self.expected, self.expectation)

    def check(self, path, status, body, expected):
        self.documents.check(path, status, body)


class FileRead(Workload):
    def prepare(self):
        self.size = content.size_in_bytes(self.round.params["size"])
        self.path, self.checksum = content.known_file(self.round.work_dir, self.size)

    def operate(self, session, op):
        with open(self.path, "rb") as file:
            contents = file.read()
        content.check_contents(contents, self.size, self.checksum)


class Tasks(Workload):
    def prepare(self):
        self.waits_ns = content.waits_ns(self.round)
        self.together = self.round.params.get("at_once", True)

    def open(self):
        return self.at_once(len(self.waits_ns)) if self.together else InTurn(0)

    def close(self, session):
        session.close()

    def operate(self, session, op):
        lasted = session([(wait, wait_ns) for wait_ns in self.waits_ns])
        content.check_waits(self.waits_ns, lasted)


class Timers(Workload):
    def operate(self, session, op):
        wait_ns = content.wait_ns(self.round, op)
        due = frame.clock() + wait_ns
        time.sleep(wait_ns / 1e9)
        late = content.check_due(due)
        with self.lock:
            self.round.observe("timer_overshoot", late)


def wait(wait_ns):
    begun = frame.clock()
    time.sleep(wait_ns / 1e9)
    return frame.clock() - begun


class InTurn:
    """Runs calls one after the other."""

    def __init__(self, _):
        pass

    def __call__(self, calls):
        return [call(*arguments) for call, *arguments in calls]

    def close(self):
        pass


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


def measure(workload_class, round_, sessions, run_sessions, at_once, worker_threads):
    """One round: set-up, warm-up, overhead, measurement."""
    workload = workload_class(round_, at_once)
    workload.prepare()
    opened = [workload.open() for _ in range(sessions)]
    before = {name: traffic.requests for name, traffic in round_.traffic.items()}
    plan = round_.plan

    def phase(stop, first_op, operate):
        part = Phase(stop, first_op, sessions)
        run_sessions(part, operate, opened)
        return part

    warmup = phase(plan["warmup"], frame.FIRST_WARMUP_OP, workload.operate)
    overhead = phase({"duration_ns": frame.OVERHEAD_NS}, 0, lambda session, op: None)
    cost = frame.Cost()
    measured = phase(plan["stop"], 0, workload.operate)
    spent = cost.since()
    for session in opened:
        workload.close(session)
    each = {name: workload.requests for name in workload.targets}
    violations = frame.check_requests(round_, each, before, warmup, measured)
    return frame.measurement(round_, warmup, overhead, measured, spent, worker_threads, {}, violations)
