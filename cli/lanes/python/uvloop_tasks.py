"""The lane `uvloop`: the program of the lane `aiohttp` under the event loop of uvloop."""

import asyncio
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import aiohttp_tasks
import content
import frame
from aiohttp_tasks import Client, files
from async_frame import measure_round
from async_workloads import WORKLOADS

NAME = "uvloop"
FAMILY = "async"
STACK = "Python"
SUMMARY = "CPython: the lane aiohttp under uvloop instead of the standard event loop"
PACKAGES = ("uvloop", *aiohttp_tasks.PACKAGES)

# Its timers count whole milliseconds, rounded, from a clock in milliseconds that is read once per turn of the loop.
content.TIMER_TOLERANCE_NS = 2_000_000


def measure(workload, round_):
    import uvloop

    round_.facts["timers"] = "in milliseconds; a wait may end 2 ms early"
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(measure_round(workload, round_))


if __name__ == "__main__":
    frame.main(sys.modules[__name__])
