"""The lane `python-threads`: a thread per session, and a thread pool where an operation does several things at once."""

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import blocking_db
import blocking_files
import blocking_http
import blocking_site
import blocking_tasks
import blocking_ws
import frame
from blocking_frame import measure

NAME = "python-threads"
FAMILY = "threads"
STACK = "Python"
SUMMARY = "CPython: a thread per session, blocking calls (http.client, psycopg)"
PACKAGES = ()
WORKLOADS = {
    **blocking_tasks.IN_TURN,
    **blocking_tasks.AT_ONCE,
    **blocking_http.WORKLOADS,
    **blocking_site.WORKLOADS,
    **blocking_files.WORKLOADS,
    **blocking_db.IN_TURN,
    **blocking_db.AT_ONCE,
    **blocking_ws.WORKLOADS,
}
IS_CONCURRENT = True


class AtOnce:
    """Runs calls at once, on threads of its own: at most `size` at a time."""

    def __init__(self, size):
        self.executor = ThreadPoolExecutor(max_workers=size)

    def start(self, call, *arguments):
        return self.executor.submit(call, *arguments)

    def __call__(self, calls):
        """Their results, in the order of the calls. All are joined even if one fails, so that nothing keeps running."""
        results = self.outcomes(calls)
        for result in results:
            if isinstance(result, Exception):
                raise result
        return results

    def outcomes(self, calls):
        """The results, with the errors of calls that failed among them."""
        futures = [self.start(*call) for call in calls]
        return [future.exception() or future.result() for future in futures]

    def completed(self, calls):
        """The results in the order in which they are there."""
        for future in as_completed([self.start(*call) for call in calls]):
            yield future.result()

    def close(self):
        self.executor.shutdown()


def sessions(round_):
    return round_.sessions


def run_sessions(phase, operate, sessions):
    threads = [
        threading.Thread(target=phase.run, args=(operate, session, index))
        for index, session in enumerate(sessions)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    frame.main(sys.modules[__name__])
