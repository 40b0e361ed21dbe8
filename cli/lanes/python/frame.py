"""The frame of every Python worker: the protocol, draws, histograms, phases and costs.

A worker gets one line of JSON, the plan, on its standard input, measures one round, and answers with one line of JSON on its
standard output (docs/PROTOCOL.md). A lane, in a file of its own, adds what is particular to it: how sessions run, and how each
workload is written for it. Nothing here but the standard library.
"""

import array
import asyncio
import base64
import errno
import functools
import http.client
import importlib.util
import json
import os
import platform
import resource
import socket
import struct
import sys
import threading
import time
import zlib
from importlib import metadata
from urllib.parse import urlsplit

PROTOCOL = 1
FIRST_WARMUP_OP = 1 << 48
OVERHEAD_NS = 20_000_000
LONGEST_NS = 60_000_000_000
MASK = (1 << 64) - 1
GOLDEN = 0x9E3779B97F4A7C15

clock = time.perf_counter_ns


class Failure(Exception):
    """A failed operation, of a kind that reports count."""

    def __init__(self, kind, detail):
        super().__init__(detail)
        self.kind = kind


class Unsupported(Exception):
    """This lane cannot run the plan here."""


def wrong_content(detail):
    return Failure("wrong-content", detail)


def kind_of(error):
    """The kind of a failed operation. Libraries derive their errors from those of the language, or name them alike."""
    if isinstance(error, Failure):
        return error.kind
    number = getattr(error, "errno", None)
    if isinstance(error, ConnectionRefusedError) or number == errno.ECONNREFUSED:
        return "refused"
    # A name whose labels are too long is refused by its encoding, before any name server is asked.
    if isinstance(error, (socket.gaierror, UnicodeError)) or type(error).__name__ == "ClientConnectorDNSError":
        return "unknown-host"
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, ConnectionError) or type(error).__name__ == "ServerDisconnectedError":
        return "reset"
    if number in (errno.ECONNRESET, errno.EPIPE):
        return "reset"
    if isinstance(error, (EOFError, http.client.IncompleteRead)):
        return "short"
    if getattr(error, "sqlstate", None):
        return "sql"
    return "io"


# Draws: the same for operation N in every worker.


def mix(value, golden=GOLDEN, mask=MASK):
    value = (value + golden) & mask
    value = ((value ^ (value >> 30)) & mask) * 0xBF58476D1CE4E5B9 & mask
    value = ((value ^ (value >> 27)) & mask) * 0x94D049BB133111EB & mask
    return (value ^ (value >> 31)) & mask


# The draws of a round share its seed.
mixed = functools.lru_cache(maxsize=16)(mix)


def draw(seed, index):
    return mix(mixed(seed) + index * GOLDEN)


def draw_below(seed, index, bound):
    return (draw(seed, index) * bound) >> 64


class Draws:
    """`draw_below` with one seed and bound, for a block of indices at once, at a tenth of the time.

    A long number holds the values, each in a lane of 128 bits, so that no product reaches into the next lane.
    """

    BLOCK = 256
    LANES = sum(1 << 128 * lane for lane in range(BLOCK))
    STEPS = sum((lane * GOLDEN & MASK) << 128 * lane for lane in range(BLOCK))
    GOLDENS = GOLDEN * LANES
    MASKS = MASK * LANES
    MOST_BLOCKS = 64

    def __init__(self, seed, bound):
        self.seed = mix(seed)
        self.bound = bound
        self.blocks = {}

    def at(self, index):
        number = index >> 8
        try:
            return self.blocks[number][index & 255]
        except KeyError:
            return self.fill(number)[index & 255]

    def fill(self, number):
        first = self.seed + number * self.BLOCK * GOLDEN & MASK
        mixed = mix(first * self.LANES + self.STEPS, self.GOLDENS, self.MASKS)
        draws = (mixed * self.bound >> 64) & self.MASKS
        words = array.array("Q", draws.to_bytes(16 * self.BLOCK, "little"))
        if sys.byteorder == "big":
            words.byteswap()
        if len(self.blocks) >= self.MOST_BLOCKS:
            self.blocks = {}
        block = self.blocks[number] = words[::2]
        return block


class Histogram:
    """Counts of times in ns, in HdrHistogram's buckets of three significant digits up to 60 s."""

    BUCKETS = ((LONGEST_NS.bit_length() - 11) << 10) + 2048

    def __init__(self):
        # Faster to count in than an array.
        self.counts = [0] * self.BUCKETS

    def record(self, ns):
        # Comparisons: calls of min and max would take as long as all the rest.
        if ns > LONGEST_NS:
            ns = LONGEST_NS
        shift = ns.bit_length() - 11
        if shift > 0:
            ns = (shift << 10) + (ns >> shift)
        elif ns < 1:
            ns = 1
        self.counts[ns] += 1

    def add(self, other):
        for index, count in enumerate(other.counts):
            if count:
                self.counts[index] += count

    def percentile(self, share):
        """The highest value of the bucket that holds this share of the values, in ns."""
        wanted = max(1, -(-sum(self.counts) * share // 1))
        seen = 0
        for index, count in enumerate(self.counts):
            seen += count
            if count and seen >= wanted:
                shift = max((index >> 10) - 1, 0)
                return ((index - (shift << 10) + 1) << shift) - 1
        return 0

    def encoded(self):
        """HdrHistogram V2, deflated, in base64."""
        used = len(self.counts)
        while used and not self.counts[used - 1]:
            used -= 1
        payload = bytearray()
        zeros = 0
        for index in range(used):
            count = self.counts[index]
            if count:
                if zeros:
                    payload += zigzag(-zeros)
                    zeros = 0
                payload += zigzag(count)
            else:
                zeros += 1
        head = struct.pack(">IIIIQQd", 0x1C849313, len(payload), 0, 3, 1, LONGEST_NS, 1.0)
        packed = zlib.compress(head + bytes(payload))
        return base64.b64encode(struct.pack(">II", 0x1C849314, len(packed)) + packed).decode()


def zigzag(value):
    value = (value << 1) ^ (value >> 63)
    value &= MASK
    encoded = bytearray()
    while value >= 0x80 and len(encoded) < 8:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return encoded


class AuditedHistogram(Histogram):
    """A histogram that also keeps the first times one by one, for a round that tests the tool."""

    MOST_SAMPLES = 100_000

    def __init__(self):
        super().__init__()
        self.samples = []

    def record(self, ns):
        super().record(ns)
        if len(self.samples) < self.MOST_SAMPLES:
            self.samples.append(ns)


class Traffic:
    """Requests answered, connections opened and transactions ended, of one target."""

    # Each operation counts here: faster than in a dictionary.
    __slots__ = (
        "requests",
        "transactions",
        "connections",
        "abandoned",
        "abandoned_connections",
        "bytes_out",
        "bytes_in",
    )

    def __init__(self):
        self.requests = 0
        self.transactions = 0
        self.connections = 0
        self.abandoned = 0
        self.abandoned_connections = 0
        self.bytes_out = None
        self.bytes_in = None

    def begun(self):
        """Connections begun, whether or not they were opened in time."""
        return self.connections + self.abandoned_connections

    def as_json(self):
        numbers = {
            "requests": self.requests,
            "transactions": self.transactions,
            "connections": self.connections,
            "abandoned": self.abandoned,
            "abandoned_connections": self.abandoned_connections,
        }
        if self.bytes_out is not None:
            numbers.update(bytes_out=self.bytes_out, bytes_in=self.bytes_in)
        return numbers


class Target:
    """A target with a URL: the address to connect to, the path of its URL if it has one, and whether it is ours."""

    def __init__(self, planned, scheme):
        url = urlsplit(planned["url"])
        if url.scheme != scheme:
            raise Unsupported(f"this lane speaks plain {scheme.upper()} only, not {url.scheme}")
        address = planned.get("address") or f"{url.hostname}:{url.port or 80}"
        if not isinstance(address, str) or ":" not in address or address.startswith("unix:"):
            raise Unsupported("this lane connects to TCP addresses only")
        host, port = address.rsplit(":", 1)
        self.host = host.strip("[]")
        self.port = int(port)
        self.authority = url.netloc.rsplit("@", 1)[-1]
        path = url.path + (f"?{url.query}" if url.query else "")
        self.own_path = path or None
        self.is_mock = planned["mock"]

    def path(self, path):
        """The path of a request for `path`: a path in the target's URL wins."""
        return self.own_path or path


class Round:
    """What the workloads of a round need: the plan, the lane, the targets and their traffic, and what is observed."""

    def __init__(self, plan, lane):
        self.plan = plan
        self.lane = lane
        self.params = plan["params"]
        self.seed = plan["seed"]
        self.unit_ns = plan["unit_ns"]
        self.sessions = plan["load"]["concurrency"]
        self.work_dir = plan["work_dir"]
        self.traffic = {name: Traffic() for name in plan["targets"]}
        self.facts = {}
        self.audited = bool(plan.get("audit"))
        self.samples = []
        self.lock = threading.Lock()
        self.forget()

    def forget(self):
        """Begins a phase: what was observed in the last one does not count."""
        self.times = {}
        self.numbers = {}

    def planned(self, name):
        if name not in self.plan["targets"]:
            raise Unsupported(f"the plan has no target `{name}`")
        return self.plan["targets"][name]

    def target(self, name, scheme):
        """A target, and its traffic."""
        return Target(self.planned(name), scheme), self.traffic[name]

    def observe(self, name, ns):
        """Records a time of the histogram `name`."""
        with self.lock:
            self.times.setdefault(name, Histogram()).record(ns)

    def number(self, name, value):
        """Records a number whose mean is reported."""
        with self.lock:
            total, count = self.numbers.get(name, (0, 0))
            self.numbers[name] = (total + value, count + 1)


class Totals:
    """What a round's operations came to, set against the traffic since its set-up."""

    def __init__(self, round_, before, *phases):
        self.sessions = round_.sessions
        self.succeeded = sum(phase.succeeded() for phase in phases)
        self.failed = sum(count for phase in phases for count, _, _ in phase.failures().values())
        self.requests = {name: traffic.requests - before[name].requests for name, traffic in round_.traffic.items()}
        self.connections = {name: traffic.begun() - before[name].begun() for name, traffic in round_.traffic.items()}

    def wrong_requests(self, target, each, others=0):
        """Violations unless each operation made `each` requests, beside `others` that belong to none."""
        counted = self.requests[target] - others
        expected = self.succeeded * each
        if self.failed or counted == expected:
            return []
        return [
            f"expected {expected} requests to `{target}` ({self.succeeded} operations × {each}), counted {counted}"
        ]


class Tally:
    """The results of one session in one phase. Filled by the session alone; the histogram may be that of others, too."""

    def __init__(self, service):
        self.service = service
        self.succeeded = 0
        self.failures = {}
        self.first_start = 0
        self.last_end = 0

    def ended(self, end, succeeded):
        self.last_end = end
        self.succeeded = succeeded

    def failed(self, error, ns):
        kind = kind_of(error)
        count, example, service = self.failures.get(kind) or (0, str(error) or type(error).__name__, Histogram())
        service.record(ns)
        self.failures[kind] = (count + 1, example, service)


class Phase:
    """A phase of closed load: numbers its operations, and says when a session has done its part."""

    # Operations in flight when the phase was given up.
    unfinished = 0

    def __init__(self, stop, first_op, sessions, on_one_thread=False, histogram=Histogram):
        """Sessions share a histogram if all run on one thread: a thousand of them take 200 MB."""
        self.first_op = first_op
        self.sessions = sessions
        self.duration_ns = stop.get("duration_ns")
        self.ops = stop.get("ops")
        self.services = [histogram() for _ in range(1 if on_one_thread else sessions)]
        self.tallies = [Tally(self.services[index % len(self.services)]) for index in range(sessions)]
        self.start = clock()
        self.until = self.start + self.duration_ns if self.duration_ns else None

    def operations(self, index):
        """The numbers of a session's operations, and the time after which it starts none."""
        first = self.first_op + index
        if self.ops is None:
            return range(first, MASK, self.sessions), self.until
        return range(first, self.first_op + self.ops, self.sessions), MASK

    def run(self, operate, session, index):
        """One session's part under blocking code: two clock reads around each operation.

        Written out here and in `run_async`: what both share would be a call in each operation.
        """
        operations, until = self.operations(index)
        tally = self.tallies[index]
        record = tally.service.record
        end = succeeded = 0
        tally.first_start = clock()
        for op in operations:
            start = clock()
            try:
                operate(session, op)
            except Exception as error:
                end = clock()
                tally.failed(error, end - start)
            else:
                end = clock()
                record(end - start)
                succeeded += 1
            if end >= until:
                break
        tally.ended(end, succeeded)

    async def run_async(self, operate, session, index):
        """The same with an operation that is awaited."""
        operations, until = self.operations(index)
        tally = self.tallies[index]
        record = tally.service.record
        end = succeeded = turn = 0
        tally.first_start = clock()
        for op in operations:
            start = clock()
            try:
                await operate(session, op)
            except Exception as error:
                end = clock()
                tally.failed(error, end - start)
            else:
                end = clock()
                record(end - start)
                succeeded += 1
            if end >= until:
                break
            # An operation that never waits never returns to the loop by itself.
            turn += 1
            if turn & 127 == 0 and self.sessions > 1:
                await asyncio.sleep(0)
        tally.ended(end, succeeded)

    def ran(self):
        return [tally for tally in self.tallies if tally.last_end]

    def succeeded(self):
        return sum(tally.succeeded for tally in self.tallies)

    def session_ns(self):
        """Time that sessions were at work."""
        return sum(tally.last_end - tally.first_start for tally in self.ran())

    def fruitless(self):
        """Sessions without a success."""
        return sum(not tally.succeeded for tally in self.tallies)

    def open_load(self):
        """The numbers of an open load."""
        return None

    def elapsed_ns(self):
        ran = self.ran()
        return max(tally.last_end for tally in ran) - min(tally.first_start for tally in ran) if ran else 0

    def throughput(self):
        """Operations per second: those of each session over the time from the phase's start to its own last end, summed."""
        ran = self.ran()
        if not ran:
            return 0.0
        start = min(tally.first_start for tally in ran)
        return sum(tally.succeeded * 1e9 / (tally.last_end - start) for tally in ran if tally.succeeded)

    def service(self):
        merged = Histogram()
        for histogram in self.services:
            merged.add(histogram)
        return merged

    def failures(self):
        merged = {}
        for tally in self.tallies:
            for kind, (count, example, service) in tally.failures.items():
                known = merged.setdefault(kind, [0, example, Histogram()])
                known[0] += count
                known[2].add(service)
        return merged


def usage():
    """What this process has used so far, and what it holds, by the names of a cost."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "cpu_user_ns": round(used.ru_utime * 1e9),
        "cpu_system_ns": round(used.ru_stime * 1e9),
        "voluntary_switches": used.ru_nvcsw,
        "involuntary_switches": used.ru_nivcsw,
        "minor_faults": used.ru_minflt,
        "major_faults": used.ru_majflt,
        "peak_rss_bytes": peak_rss_bytes(),
        "threads": len(os.listdir("/proc/self/task")),
    }


def added(usages):
    """The sum of the usages of several processes, without the numbers that one of them does not know."""
    known = {name for name in usages[0] if all(it[name] is not None for it in usages)}
    return {name: sum(it[name] for it in usages) for name in known}


class Cost:
    """The cost of the measured phase to this process, and to those that work for it: `others` gives the usage of each."""

    HELD = ("peak_rss_bytes", "threads")

    def __init__(self, others=list):
        self.others = others
        # The others are asked outside of the phase.
        self.before = added([*others(), usage()])

    def since(self):
        own = usage()
        now = added([own, *self.others()])
        return {name: held if name in self.HELD else held - self.before[name] for name, held in now.items()}


def peak_rss_bytes():
    """Peak resident memory since this interpreter began; that of getrusage includes the program before it."""
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return None


def facts():
    """The interpreter, for the record."""
    known = {
        "interpreter": f"{platform.python_implementation()} {platform.python_version()}",
        "executable": sys.executable,
    }
    if hasattr(sys, "_is_gil_enabled"):
        known["gil"] = "on" if sys._is_gil_enabled() else "off"
    return known


def measurement(round_, warmup, overhead, measured, cost, worker_threads, violations):
    if round_.audited:
        round_.samples = [ns for histogram in measured.services for ns in histogram.samples]
    errors = {
        kind: {"count": count, "example": example, "service": service.encoded()}
        for kind, (count, example, service) in measured.failures().items()
    }
    empty = overhead.service()
    return {
        "sessions": measured.sessions,
        "worker_threads": worker_threads,
        "runtime_facts": {**facts(), **round_.facts},
        "ops": measured.succeeded(),
        "warmup_ops": warmup.succeeded() + sum(count for count, _, _ in warmup.failures().values()),
        "warmup_errors": {kind: count for kind, (count, _, _) in warmup.failures().items()},
        "elapsed_ns": measured.elapsed_ns(),
        "session_ns": measured.session_ns(),
        "throughput_ops_s": measured.throughput(),
        "sessions_without_success": measured.fruitless(),
        "service": measured.service().encoded(),
        "open": measured.open_load(),
        "overhead": {
            "ops": overhead.succeeded(),
            "throughput_ops_s": overhead.throughput(),
            "service_p50_ns": empty.percentile(0.5),
            "service_p99_ns": empty.percentile(0.99),
        },
        "observed": {name: histogram.encoded() for name, histogram in round_.times.items()},
        "gauges": {name: total / count for name, (total, count) in round_.numbers.items()},
        "errors": errors,
        "traffic": {name: traffic.as_json() for name, traffic in round_.traffic.items()},
        "cost": cost,
        "violations": violations,
    }


def missing(lane, workload):
    """The first package that this workload of the lane needs and this interpreter lacks."""
    needed = (*lane.PACKAGES, *workload.PACKAGES)
    return next((name for name in needed if importlib.util.find_spec(name) is None), None)


def version(package):
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def describe(lane):
    needed = {name: missing(lane, workload) for name, workload in lane.WORKLOADS.items()}
    packages = sorted({*lane.PACKAGES, *(name for it in lane.WORKLOADS.values() for name in it.PACKAGES)})
    versions = {name: version(name) for name in packages}
    described = {
        "name": lane.NAME,
        "family": lane.FAMILY,
        "stack": lane.STACK,
        "summary": lane.SUMMARY,
        "workloads": sorted(name for name, package in needed.items() if package is None),
        "cannot": {
            name: f"Python has no package {package} here; `photofinish setup python` installs it"
            for name, package in sorted(needed.items())
            if package is not None
        },
        "open_load": True,
        "versions": {
            "python": platform.python_version(),
            **{name: text for name, text in versions.items() if text is not None},
        },
    }
    return {"protocol": PROTOCOL, "lanes": [described]}


def work(lane, plan):
    if plan.get("protocol") != PROTOCOL:
        return {"status": "failed", "reason": f"expected a plan of protocol {PROTOCOL}, got {plan.get('protocol')}"}
    workload = lane.WORKLOADS.get(plan["workload"])
    if workload is None or missing(lane, workload):
        return {"status": "unsupported", "reason": f"{lane.NAME} has no workload `{plan['workload']}`"}
    if plan.get("shard"):
        return {"status": "unsupported", "reason": f"{lane.NAME} has no shares of a load"}
    if plan["load"]["model"] == "open" and "arrivals" not in plan:
        return {"status": "unsupported", "reason": f"{lane.NAME} does not pace arrivals by itself"}
    try:
        round_ = Round(plan, lane)
        reply = {"status": "ok", "measurement": lane.measure(workload, round_)}
        if round_.audited:
            reply["audit"] = {"service_ns": round_.samples}
        return reply
    except Unsupported as error:
        return {"status": "unsupported", "reason": str(error)}
    except Exception as error:
        status = "wrong" if kind_of(error) == "wrong-content" else "failed"
        return {"status": status, "reason": f"setting up failed: {error or type(error).__name__}"}


def main(lane):
    # Libraries may print: the only line on the worker's own standard output is the reply.
    reply = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    if sys.argv[1:] == ["describe"]:
        answer = describe(lane)
    elif sys.argv[1:] == ["worker"]:
        line = sys.stdin.readline()
        if not line.strip():
            sys.exit("the worker has no plan")
        answer = {"protocol": PROTOCOL, **work(lane, json.loads(line))}
    else:
        sys.exit(f"usage: {sys.argv[0]} describe|worker")
    reply.write(json.dumps(answer, separators=(",", ":")) + "\n")
    reply.flush()
    # An operation that was given up may hold a thread, for which the interpreter would wait.
    if threading.active_count() > 1:
        os._exit(0)
