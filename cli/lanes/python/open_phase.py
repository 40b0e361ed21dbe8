"""The measured phase of an open load: arrivals from the orchestrator's FIFO, each timed from when it was due.

How sessions take them is up to the lane: `blocking_open` and `async_open`. Nothing here waits, but for the FIFO to be opened.
"""

import os
import struct
import threading

from frame import MASK, Failure, Histogram, Phase, Tally, clock

# A number and a time of CLOCK_MONOTONIC in ns, which is the clock of `frame.clock`.
RECORD = struct.Struct("<QQ")

# Sessions beyond that share them: each holds three histograms.
MOST_TALLIES = 16


class OpenTally(Tally):
    """The results of some sessions."""

    def __init__(self, service):
        super().__init__(service)
        self.lock = threading.Lock()
        self.response = Histogram()
        self.lag = Histogram()
        self.late = 0
        self.in_time = 0


class OpenPhase(Phase):
    """The arrivals of a schedule, which the parent process keeps, and what became of them."""

    def __init__(self, plan, sessions, histogram):
        self.path = plan["arrivals"]
        self.length_ns = plan["schedule_ns"]
        self.drain_ns = plan["drain_ns"]
        self.late_ns = plan["late_ns"]
        self.sessions = sessions
        self.services = [histogram() for _ in range(min(sessions, MOST_TALLIES))]
        self.tallies = [OpenTally(service) for service in self.services]
        # Of each session: the due time of the arrival in flight, its first start and its last end.
        self.in_flight = [None] * sessions
        self.starts = [0] * sessions
        self.ends = [0] * sessions
        self.received = 0
        self.unsent = 0
        self.unfinished = 0
        self.overdue = Histogram()
        self.part = b""

    def open(self):
        """Tells the parent that the sessions are ready, and learns when the schedule ends."""
        self.file = os.open(self.path, os.O_RDONLY)
        first = b""
        while len(first) < RECORD.size:
            data = os.read(self.file, RECORD.size - len(first))
            if not data:
                raise Failure("io", "the FIFO of the arrivals ended before its first record")
            first += data
        _, self.end = RECORD.unpack(first)
        # No arrival is started after `cut`, and none is waited for after `given_up`.
        self.cut = self.end + self.drain_ns
        self.given_up = self.cut + self.drain_ns

    def arrivals(self, data):
        """The arrivals in what was read: number and due time of each. A record may come in two parts."""
        data = self.part + data
        whole = len(data) - len(data) % RECORD.size
        self.part = data[whole:]
        self.received += whole // RECORD.size
        return RECORD.iter_unpack(data[:whole])

    def leave(self, due):
        """An arrival is not started any more."""
        self.unsent += 1
        self.overdue.record(clock() - due)

    def ended(self, index, due, start, end, failure):
        """Records an operation of a session, unless it has been given up."""
        tally = self.tallies[index % len(self.tallies)]
        with tally.lock:
            if self.in_flight[index] is None:
                return
            self.in_flight[index] = None
            if not self.starts[index]:
                self.starts[index] = start
            self.ends[index] = end
            tally.lag.record(start - due)
            tally.late += start - due > self.late_ns
            tally.in_time += start < self.end
            if failure is None:
                tally.service.record(end - start)
                tally.response.record(end - due)
                tally.succeeded += 1
            else:
                tally.failed(failure, end - start)

    def give_up(self):
        """Ends the phase. Operations that are still running do not count any more."""
        for index in range(self.sessions):
            with self.tallies[index % len(self.tallies)].lock:
                due, self.in_flight[index] = self.in_flight[index], None
            if due is not None:
                self.unfinished += 1
                self.overdue.record(clock() - due)

    def elapsed_ns(self):
        return max(self.end, *self.ends) - (self.end - self.length_ns)

    def throughput(self):
        return self.succeeded() * 1e9 / self.elapsed_ns()

    def session_ns(self):
        return sum(end - start for start, end in zip(self.starts, self.ends))

    def fruitless(self):
        return 0

    def open_load(self):
        response, lag = Histogram(), Histogram()
        for tally in self.tallies:
            response.add(tally.response)
            lag.add(tally.lag)
        return {
            "scheduled": self.received,
            "started_in_time": sum(tally.in_time for tally in self.tallies),
            "late": sum(tally.late for tally in self.tallies),
            "unfinished": self.unfinished,
            "unsent": self.unsent,
            "response": response.encoded(),
            "lag": lag.encoded(),
            "overdue": self.overdue.encoded(),
        }
