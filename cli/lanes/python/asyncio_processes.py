"""The lane `asyncio-processes`: the program of the lane `asyncio`, whose offloaded calls go to a pool of processes.

There is a process for each CPU, forked before the event loop begins and any thread. Their CPU time, switches, faults and memory
are part of the round's cost. They end with the round, and with this process however that ends.
"""

import asyncio
import multiprocessing
import os
import sys
import threading
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from multiprocessing.connection import wait

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import async_tasks
import frame
from async_frame import TIMEOUT_S, measure_round

NAME = "asyncio-processes"
FAMILY = "async"
STACK = "Python"
SUMMARY = "CPython: the lane asyncio with a process pool for offloaded calls (ProcessPoolExecutor)"
PACKAGES = ()
# Those that offload calls, and those that show what the pool costs if nothing is offloaded.
OFFLOADING = ("null", "scripted", "cpu-offload", "blocking-mistake")
WORKLOADS = {name: async_tasks.WORKLOADS[name] for name in OFFLOADING}


class Processes:
    """The executor of offloaded calls: a process for each CPU."""

    def __init__(self):
        self.count = len(os.sched_getaffinity(0))
        # A fork is safe as long as there is no other thread, and the processes run where this one does.
        context = multiprocessing.get_context("fork")
        barrier = context.Barrier(self.count)
        self.pool = ProcessPoolExecutor(self.count, context, initializer=begin, initargs=(barrier,))
        self.usage()

    def prepare(self, round_, calls):
        round_.facts["processes"] = str(self.count)

    def call(self, function, *arguments):
        return asyncio.get_running_loop().run_in_executor(self.pool, function, *arguments)

    def usage(self):
        """The usage of each process: they wait for each other, so that each takes one of the calls."""
        calls = [self.pool.submit(usage) for _ in range(self.count)]
        return [call.result() for call in calls]

    def close(self):
        self.pool.shutdown()


# In a process of the pool: where all of them meet.
meeting = None


def begin(barrier):
    """The beginning of a process of the pool."""
    global meeting
    meeting = barrier
    threading.Thread(target=end_with_parent, daemon=True).start()


def end_with_parent():
    wait([multiprocessing.parent_process().sentinel])
    os._exit(1)


def usage():
    meeting.wait(TIMEOUT_S)
    return frame.usage()


def measure(workload, round_):
    with closing(Processes()) as processes:
        return asyncio.run(measure_round(workload, round_, processes))


if __name__ == "__main__":
    frame.main(sys.modules[__name__])
