"""The contents of the workloads, the same in every Python lane: what is sent, what is expected, and how it is compared.

A lane decides how work is done and waits; nothing here waits.
"""

import json
import os
import signal
import socket
import struct
import threading

import frame
from frame import GOLDEN, MASK, Failure, wrong_content

UNITS = {"GiB": 1 << 30, "MiB": 1 << 20, "KiB": 1 << 10, "GB": 10**9, "MB": 10**6, "KB": 10**3, "kB": 10**3, "B": 1}

# Event loops compute with seconds in floating point. A lane whose timers are coarser says so.
TIMER_TOLERANCE_NS = 1_000


def size_in_bytes(text):
    """A size as parameters have it: `64KiB`."""
    for unit, unit_bytes in UNITS.items():
        if str(text).endswith(unit):
            return int(text[: -len(unit)]) * unit_bytes
    return int(text)


def known_file(directory, size):
    """The path and the contents of a file of known bytes, made if it is missing."""
    return known_path(directory, size), known_bytes(size)


def known_path(directory, size):
    """The path of a file of known bytes, made if it is missing."""
    path = os.path.join(directory, f"known-{size}.bin")
    if not os.path.exists(path) or os.path.getsize(path) != size:
        os.makedirs(directory, exist_ok=True)
        unfinished = os.path.join(directory, f"known-{size}.{os.getpid()}.tmp")
        blocks = KnownBlocks(1 << 20)
        with open(unfinished, "wb") as file:
            for offset in range(0, size, blocks.size):
                file.write(blocks.at(offset)[: size - offset])
            file.flush()
            os.fsync(file.fileno())
        os.rename(unfinished, path)
    return path


def check_contents(expected, got):
    if len(got) != len(expected):
        raise wrong_content(f"expected {len(expected)} bytes, got {len(got)}")
    if got != expected:
        raise wrong_content("expected the bytes that were written, got others")


def known_bytes(size):
    """Word i is (i + 1) × 0x9E3779B97F4A7C15, little endian."""
    words = size // 8 + 1
    return b"".join(struct.pack("<Q", (index + 1) * GOLDEN & MASK) for index in range(words))[:size]


class KnownBlocks:
    """Blocks of a file of known bytes, at any offset that is a multiple of a word.

    A word of the block at an offset is that of the first block plus a constant. All words are added at once, in one long number:
    their highest bits apart, so that nothing is carried from one word into the next.
    """

    def __init__(self, size):
        self.size = size
        self.words = size // 8 + 1
        self.first = self.number(known_bytes(8 * self.words))
        self.high = self.number(struct.pack("<Q", 1 << 63) * self.words)
        self.low = self.number(struct.pack("<Q", MASK >> 1) * self.words)

    @staticmethod
    def number(content):
        return int.from_bytes(content, "little")

    def at(self, offset):
        """The bytes of the block at this offset."""
        added = self.number(struct.pack("<Q", offset // 8 * GOLDEN & MASK) * self.words)
        low = (self.first & self.low) + (added & self.low)
        summed = low ^ (self.first ^ added) & self.high
        return summed.to_bytes(8 * self.words, "little")[: self.size]


class RandomBlocks:
    """The blocks of `file-random`: each operation reads the one that its number draws."""

    def __init__(self, round_):
        self.size = size_in_bytes(round_.params["block"])
        file_size = size_in_bytes(round_.params["file_size"])
        self.path = known_path(round_.work_dir, file_size)
        self.draws = frame.Draws(round_.seed, file_size // self.size)
        self.known = KnownBlocks(self.size)

    def offset(self, op):
        return self.draws.at(op) * self.size

    def check(self, offset, block):
        exactly(self.size, len(block), "bytes of a block")
        if block != self.known.at(offset):
            raise wrong_content(f"the {self.size} bytes at offset {offset} are wrong")


def check_waits(waits_ns, lasted_ns):
    for wait_ns, lasted in zip(waits_ns, lasted_ns):
        if lasted + TIMER_TOLERANCE_NS < wait_ns:
            raise wrong_content(f"expected a wait to take at least {wait_ns} ns, took {lasted}")


def check_due(due):
    """The time since `due`, in ns."""
    late = frame.clock() - due
    if late < -TIMER_TOLERANCE_NS:
        raise wrong_content(f"a wait ended {-late} ns before it was due")
    return max(late, 0)


def document(place, body):
    """A document of `http-json`, decoded: the user first, then posts."""
    try:
        decoded = json.loads(body)
        if place == 0:
            return {"id": decoded["id"], "name": decoded["name"], "email": decoded["email"]}
        return {"user": decoded["userId"], "title": decoded["title"]}
    except (ValueError, KeyError, TypeError) as error:
        raise wrong_content(f"the document cannot be decoded: {error!r}") from error


def check_authors(documents):
    user, *posts = documents
    for post in posts:
        if post["user"] != user["id"]:
            raise wrong_content(f"expected posts of the requested user, got one of user {post['user']}")


def numbered(path, op):
    """The path of operation `op`, for a server that draws by its number."""
    return path + ("&" if "?" in path else "?") + f"op={op}"


def filling(size):
    """The text that fills a posted document."""
    return ("abcdefghijklmnopqrstuvwxyz" * (size // 26 + 1))[:size]


def check_echo(sent, body):
    if json.loads(body) != sent:
        raise wrong_content(f"expected the document of operation {sent['operation']}, got another")


class Script:
    """The known times of `scripted`: an operation draws its own by its number, is busy for that long, and then for a number of
    steps.
    """

    def __init__(self, round_):
        if round_.params.get("parts"):
            raise frame.Unsupported("this lane has no parts of operations")
        self.seed = round_.seed
        self.work = round_.params.get("work", 0)
        self.times = []
        total = 0.0
        for line in round_.params["times"]:
            total += line["share"]
            self.times.append((total, int(line["time_us"] * 1000)))

    def play(self, op):
        until = frame.clock() + self.time_ns(op)
        while frame.clock() < until:
            pass
        state = op
        for _ in range(self.work):
            state = state * GOLDEN & MASK
            state = (state << 31 | state >> 33) & MASK

    def time_ns(self, op):
        uniform = (frame.draw(self.seed, op) >> 11) / (1 << 53)
        return next((ns for total, ns in self.times if uniform < total), self.times[-1][1] if self.times else 0)


def waits_ns(round_):
    """The waits of `tasks`."""
    return [round(wait * round_.unit_ns) for wait in round_.params["waits"]]


def wait_ns(round_, op):
    """The wait of operation `op` of `timers`."""
    shortest, longest = (round_.params[name] * 1000 for name in ("shortest_us", "longest_us"))
    return shortest + frame.draw_below(round_.seed, op, longest - shortest + 1)


class Peak:
    """A number that goes up and down, and its maximum. Safe between threads."""

    def __init__(self):
        self.lock = threading.Lock()
        self.now = 0
        self.most = 0

    def __enter__(self):
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)

    def __exit__(self, *_):
        with self.lock:
            self.now -= 1

    def at_most(self, limit, things):
        if self.most > limit:
            raise wrong_content(f"expected at most {limit} {things} at once, got {self.most}")


def exactly(expected, got, things):
    if got != expected:
        raise wrong_content(f"expected {expected} {things}, got {got}")


def no_shorter(least_ns, took_ns, thing, waits=1):
    """Raises if it took less than `waits` waits in a row may."""
    if took_ns + TIMER_TOLERANCE_NS * waits < least_ns:
        raise wrong_content(f"expected {thing} to take at least {least_ns} ns, took {took_ns}")


def each_once(seen, count, thing):
    """Raises unless `seen` has each number below `count` once."""
    for number in range(count):
        if seen.count(number) != 1:
            raise wrong_content(f"expected {thing} {number} once, got it {seen.count(number)} times")


class Expectation:
    """The expected status and content of a response."""

    def __init__(self, params):
        accepted = params.get("status", "2xx")
        accepted = {str(status) for status in (accepted if isinstance(accepted, list) else [accepted])}
        self.statuses = {status for status in range(100, 600) if accepted & {str(status), f"{status // 100}xx"}}
        self.compares = params.get("content", "same") == "same"

    def check_status(self, request, status):
        if status not in self.statuses:
            raise Failure("status", f"{request} answered {status}")

    def check(self, path, status, body, expected):
        """Raises unless a GET of `path` was answered as before."""
        if status not in self.statuses:
            self.check_status(f"GET {path}", status)
        if self.compares and body != expected:
            raise wrong_content(f"GET {path}: expected {len(expected)} bytes as before, got {len(body)} that differ")


class Documents:
    """The documents of `http-json`: a user first, then posts, as they were served before the measurement."""

    def __init__(self, paths, bodies, expectation):
        self.places = {path: place for place, path in enumerate(paths)}
        self.expectation = expectation
        self.served = [document(place, body) for place, body in enumerate(bodies)]
        check_authors(self.served)

    def check(self, path, status, body):
        self.expectation.check_status("GET " + path, status)
        place = self.places[path]
        answered = document(place, body)
        if self.expectation.compares and answered != self.served[place]:
            raise wrong_content(f"GET {path}: expected {self.served[place]}, got {answered}")


def wrong_connections(totals):
    """Violations unless each operation had a connection of its own; one that failed may have had another one."""
    operations, connections = totals.succeeded + totals.failed, totals.connections["http"]
    if connections == operations or totals.failed and connections > operations:
        return []
    return [f"expected a connection for each of {operations} operations, counted {connections}"]


def numbered_paths(target, params):
    """The paths of `http-stream` and `http-queue`: a prefix and the number of the URL, from 1."""
    return [target.path(f"{params['path']}{number}") for number in range(1, params["urls"] + 1)]


def delayed_path(ns):
    """A path that the mock `http` answers after this time."""
    return f"/delay/{ns}ns"


def drawn_paths(limited, op):
    """The paths of operation `op` of `http-limited`: each with a delay drawn by its number."""
    first = op * limited.requests
    draws = (first + url & MASK for url in range(limited.requests))
    return [limited.paths[frame.draw_below(limited.round.seed, draw, len(limited.paths))] for draw in draws]


class Deadline:
    """The deadline of `http-timeout`, and what must hold of an operation that ends at it, or too late for it."""

    def __init__(self, workload):
        self.ns = workload.params["deadline_units"] * workload.round.unit_ns
        self.answer_ns = workload.params["takes_units"] * workload.round.unit_ns
        self.seconds = self.ns / 1e9
        self.shielded = workload.params.get("shielded", False)

    def check_ending(self, took_ns):
        """A caller gives up at the deadline, and has an answer by then only if it woke late."""
        no_shorter(self.ns, took_ns, "a request with a deadline")

    def violations(self, totals, answered):
        found = []
        if self.shielded:
            found += totals.wrong_requests("http", 1)
        elif not totals.failed and totals.connections["http"] < totals.succeeded:
            found.append(
                f"expected a connection for each of {totals.succeeded} operations, got {totals.connections['http']}"
            )
        if totals.succeeded >= 10 and answered * 2 > totals.succeeded and self.answer_ns > 2 * self.ns:
            found.append(f"{answered} of {totals.succeeded} operations got their answer long after the deadline")
        return found


class BackOff:
    """Waits that double: 1, 2, 4 units, and so on up to a cap; and the attempts between them."""

    def __init__(self, unit_ns, params):
        self.unit_ns = unit_ns
        self.cap_units = params["cap_units"]
        self.tries = params["tries"]
        self.last_status = params.get("last_status", 200)
        self.attempts = []

    def before_ns(self, attempt):
        return self.unit_ns * min(2 ** (attempt - 2), self.cap_units)

    def seconds_before(self, attempt):
        return self.before_ns(attempt) / 1e9

    def note(self, begun, ended):
        self.attempts.append((begun, ended))

    def check(self, status):
        """Raises unless the server failed as often as it should, and each attempt waited for its turn."""
        exactly(self.last_status, status, "as the last status")
        exactly(self.tries, len(self.attempts), "attempts")
        for attempt in range(2, self.tries + 1):
            distance = self.attempts[attempt - 1][0] - self.attempts[attempt - 2][1]
            no_shorter(self.before_ns(attempt), distance, f"the wait before attempt {attempt}")


def wrong_attempts(totals, tries):
    least = totals.succeeded * tries
    most = least + totals.failed * tries
    if least <= totals.requests["http"] <= most:
        return []
    return [f"expected {least} to {most} requests ({tries} attempts per operation), counted {totals.requests['http']}"]


# The failures of `http-errors`, in turn.
FAULTS = ("refused", "reset", "unknown-host", "status")

# A label of a name has at most 63 letters (RFC 1035, section 2.3.4): this name has no address, and nobody is asked.
UNKNOWN_HOST = "a234567890123456789012345678901234567890123456789012345678901234"


class ClosedPort:
    """A port that refuses connections, held so that nobody else listens there."""

    def __init__(self):
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]


class Place:
    """An address to connect to that is no target."""

    def __init__(self, host, port):
        self.host = host
        self.port = port
        self.authority = f"{host}:{port}"


def marked(known, op):
    """The known bytes with the number of an operation in front."""
    return struct.pack("<Q", op & MASK) + known[8:]


def check_read_back(written, read):
    if written != read:
        raise wrong_content("what was read back is not what was written")


def lines_of(file):
    """Lines of a file of `file-lines`: 20 to 99, drawn by its number."""
    return 20 + frame.draw_below(0, file, 80)


def directory_of_lines(parent, files):
    """The path of a directory of files, made if it is missing, and the number of their lines."""
    path = os.path.join(parent, f"lines-{files}")
    if not os.path.isdir(path):
        unfinished = os.path.join(parent, f"lines-{files}.{os.getpid()}.tmp")
        os.makedirs(unfinished)
        for file in range(files):
            with open(os.path.join(unfinished, f"{file}.txt"), "w") as out:
                out.writelines(f"line {number} of file {file}\n" for number in range(lines_of(file)))
        os.rename(unfinished, path)
    return path, sum(map(lines_of, range(files)))


def check_lines(workload, counts, reading):
    exactly(workload.params["files"], len(counts), "files")
    exactly(workload.lines, sum(counts), "lines in all files")
    reading.at_most(workload.limit, "files")


def files_to_process(round_, params):
    """Three files, each a byte longer than the one before: path and contents."""
    sizes = [size_in_bytes(params["size"]) + longer for longer in range(3)]
    return [known_file(round_.work_dir, size) for size in sizes]


def check_completed(workload, came, took_ns):
    """Each result once, in any order; the shortest first if they ran at once."""
    each_once(came, len(workload.waits_ns), "result")
    waits = [workload.waits_ns[number] for number in came]
    workload.round.number("shortest_first", waits == sorted(waits))
    no_shorter(max(workload.waits_ns), took_ns, "all tasks together")


def never_cancelled(totals, cancelled):
    if totals.succeeded < 10 or cancelled:
        return []
    return [f"in none of {totals.succeeded} operations the loser was cancelled"]


MESSAGE = "task 1 failed on purpose"


def failing(number):
    """The result of a task of `failures`, of which the middle one raises."""
    if number == 1:
        raise RuntimeError(MESSAGE)
    return number


def check_outcomes(outcomes):
    """Success, the failure with its message, success."""
    got = [str(outcome) if isinstance(outcome, RuntimeError) else outcome for outcome in outcomes]
    exactly([0, MESSAGE, 2], got, "as outcomes")


class Ticks:
    """The log of three counters that tick three times, a unit apart."""

    def __init__(self, round_):
        self.round = round_
        self.lock = threading.Lock()
        self.ticks = []

    def write(self, counter, number, begun):
        """Logs a tick whose wait began then; gives the time of the log."""
        with self.lock:
            written = frame.clock()
            self.ticks.append((counter, number, begun, written))
        return written

    def check(self):
        numbers = [number for _, number, _, _ in self.ticks]
        interleaved = numbers == sorted(numbers)
        self.round.number("interleaved", interleaved)
        exactly(9, len(self.ticks), "ticks")
        for counter in range(3):
            exactly([1, 2, 3], [number for it, number, _, _ in self.ticks if it == counter], f"of counter {counter}")
        for _, _, begun, written in self.ticks:
            no_shorter(self.round.unit_ns, written - begun, "a tick")
        if not interleaved and self.must_interleave():
            raise wrong_content(f"the ticks of counters that ran at once were {numbers}")

    def must_interleave(self):
        """True if all counters had started before the first tick was due, and no tick was late by a unit."""
        begins = [begun for _, number, begun, _ in self.ticks if number == 1]
        unit = self.round.unit_ns
        in_time = all(written < min(begins) + unit * (number + 1) for _, number, _, written in self.ticks)
        return in_time and max(begins) < min(begins) + unit


class Board:
    """The items of an operation of `batch`."""

    def __init__(self, round_):
        self.round = round_
        self.items = round_.params["items"]
        self.size = round_.params["size"]
        self.running = Peak()
        self.done = []

    def batches(self):
        for first in range(0, self.items, self.size):
            yield range(first, min(first + self.size, self.items))

    def batch_ended(self, batch, took_ns):
        exactly(0, self.running.now, "items in progress between two batches")
        exactly(batch.stop, len(self.done), "items done at the end of a batch")
        no_shorter(self.round.unit_ns, took_ns, "a batch")

    def check(self):
        self.round.number("items_at_once", self.running.most)
        exactly(list(range(self.items)), sorted(self.done), "as items")
        self.running.at_most(self.size, "items")


class Jobs:
    """The jobs of an operation of `job-queue`."""

    def __init__(self, round_):
        self.round = round_
        self.params = round_.params
        self.work_ns = round(self.params["work"] * round_.unit_ns)
        self.count = self.params["producers"] * self.params["jobs"]
        self.running = Peak()
        self.unfinished = Peak()
        self.done = []
        self.begun = frame.clock()

    def of_producers(self):
        jobs = self.params["jobs"]
        return [range(first, first + jobs) for first in range(0, self.count, jobs)]

    def sent(self, begun):
        self.unfinished.__enter__()
        self.round.observe("queue_send", frame.clock() - begun)

    def finished(self, number):
        self.done.append(number)
        self.unfinished.__exit__()

    def check_work(self, took_ns):
        no_shorter(self.work_ns, took_ns, "a job")

    def check(self):
        self.round.number("jobs_at_once", self.running.most)
        self.round.number("jobs_taken_on", self.unfinished.most)
        exactly(list(range(self.count)), sorted(self.done), "as jobs")
        self.running.at_most(self.params["limit"], "jobs")
        # An unfinished job is in the queue or with a consumer: the others had to wait.
        self.unfinished.at_most(self.params["capacity"] + self.params["consumers"], "unfinished jobs")
        turns = -(-self.count // self.params["limit"])
        no_shorter(turns * self.work_ns, frame.clock() - self.begun, "all jobs together", turns)


def sum_of_squares(count, repeats):
    """The sum of the squares below `count`, computed over and over."""
    total = 0
    for _ in range(repeats):
        total = 0
        for number in range(count):
            total += number * number
    return total


def check_sums(counts, sums):
    exactly([(count - 1) * count * (2 * count - 1) // 6 for count in counts], sums, "as sums")


class Bystander:
    """A task that wants to be woken at fixed times, and notes how late it was."""

    def __init__(self, round_, start, period_ns, times):
        self.round = round_
        self.dues = [start + period_ns * number for number in range(1, times + 1)]
        self.worst = 0

    def woke(self, due):
        late = check_due(due)
        self.round.observe("bystander_delay", late)
        self.worst = max(self.worst, late)

    def done(self):
        self.round.observe("stall", self.worst)


class Parts:
    """The parts of `forgotten-await`: those made, and those that ran."""

    def __init__(self, round_):
        self.round = round_
        self.each = round_.params["parts"]
        self.handling = round_.params.get("handling", "forgotten")
        self.lock = threading.Lock()
        self.done = 0

    def ran(self):
        with self.lock:
            self.done += 1

    def ended(self, done):
        """An operation ended, with so many of its parts done."""
        self.round.number("done_when_ended_share", done / self.each)
        if self.handling != "spawned":
            exactly(0 if self.handling == "forgotten" else self.each, done, "parts done")

    def violations(self, totals):
        made = (totals.succeeded + totals.failed) * self.each
        expected = 0 if self.handling == "forgotten" else made
        if self.done == expected:
            return []
        return [f"expected {expected} parts done at the end, got {self.done}"]


# The children of `process`: one that ends by itself, and one that would live for an hour.
SLEEPING = ("sleep", "3600")


def talking(op):
    return ("/bin/sh", "-c", 'echo "operation $0"; exit 7', str(op))


def check_talk(op, pid, status, said):
    exactly(f"operation {op}\n".encode(), said, "from the child")
    exactly(7, status, "as the child's exit status")
    check_gone(pid)


def check_killed(pid, status):
    exactly(-signal.SIGKILL, status, "as the end of a killed child")
    check_gone(pid)


def check_gone(pid):
    """Raises if the child was not waited for."""
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return
    raise wrong_content(f"the child {pid} was left behind")
