"""The lane `python-threads`: a thread per session, and a thread pool where an operation does several things at once."""

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import blocking
import frame

NAME = "python-threads"
FAMILY = "threads"
STACK = "Python"
SUMMARY = "CPython: a thread per session, blocking calls (http.client)"
WORKLOADS = blocking.WORKLOADS


class Pool:
    """Runs calls at once, on threads of its own; their results are in the order of the calls."""

    def __init__(self, size):
        self.executor = ThreadPoolExecutor(max_workers=max(size, 1))

    def __call__(self, calls):
        # All are joined even if one fails, so that nothing keeps running.
        futures = [self.executor.submit(call, *arguments) for call, *arguments in calls]
        errors = [future.exception() for future in futures]
        for error in errors:
            if error is not None:
                raise error
        return [future.result() for future in futures]

    def close(self):
        self.executor.shutdown()


def run_sessions(phase, operate, sessions):
    threads = [
        threading.Thread(target=phase.run, args=(operate, session, index))
        for index, session in enumerate(sessions)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def measure(workload, round_):
    count = round_.sessions
    return blocking.measure(workload, round_, count, run_sessions, Pool, count)


if __name__ == "__main__":
    frame.main(sys.modules[__name__])
