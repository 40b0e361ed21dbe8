"""Sessions of blocking code under an open load: each takes its arrivals from the FIFO, under one lock.

They run on threads, under `python-sync` one, since nothing can end a blocking call: the main thread leaves those that are stuck.
"""

import collections
import os
import threading

from frame import clock

# More than one record at a time only if arrivals wait.
READ_BYTES = 4096


class Arrivals:
    """The arrivals of a phase, taken by one thread at a time."""

    def __init__(self, phase):
        self.phase = phase
        self.lock = threading.Lock()
        self.waiting = collections.deque()

    def take(self):
        """Number and due time of the next arrival; `None` when there are no more."""
        with self.lock:
            while True:
                if not self.waiting:
                    data = os.read(self.phase.file, READ_BYTES)
                    if not data:
                        return None
                    self.waiting.extend(self.phase.arrivals(data))
                    continue
                number, due = self.waiting.popleft()
                if clock() < self.phase.cut:
                    return number, due
                self.phase.leave(due)


def run_session(phase, arrivals, operate, session, index):
    """Two clock reads around each operation, as under closed load."""
    while (arrival := arrivals.take()) is not None:
        op, due = arrival
        phase.in_flight[index] = due
        failure = None
        start = clock()
        try:
            operate(session, op)
        except Exception as error:
            failure = error
        phase.ended(index, due, start, clock(), failure)


def run_open(phase, operate, sessions):
    arrivals = Arrivals(phase)
    threads = [
        threading.Thread(target=run_session, args=(phase, arrivals, operate, session, index), daemon=True)
        for index, session in enumerate(sessions)
    ]
    phase.open()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(phase.given_up - clock(), 0) / 1e9)
    # If all sessions are stuck, the arrivals that are left are read here. By now, none would be started.
    arrivals.take()
    phase.give_up()
