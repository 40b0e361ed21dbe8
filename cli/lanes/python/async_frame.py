"""A round under an event loop: what all workloads of the asyncio lanes have in common, and the order of a round's phases."""

import asyncio
import copy
from concurrent.futures import ThreadPoolExecutor

import frame
from async_open import run_open
from frame import Phase
from open_phase import OpenPhase

TIMEOUT_S = 10


class Workload:
    """A workload of one round; `operate` gets what `open` returns."""

    # Packages that it needs beyond those of the lane.
    PACKAGES = ()
    # Calls that run on the executor at once, for each session.
    blocking_calls = 0

    def __init__(self, round_):
        self.round = round_
        self.params = round_.params
        self.lane = round_.lane

    async def prepare(self):
        pass

    async def open(self):
        return None

    async def close(self, session):
        pass

    def violations(self, totals):
        return []

    async def finish(self, totals):
        """Violations that only the end of the round shows."""
        return []

    async def abandon(self):
        """After a failure."""


class Threads:
    """The executor of offloaded calls: threads of the event loop's own."""

    call = staticmethod(asyncio.to_thread)

    def prepare(self, round_, calls):
        """Makes room for so many calls at once."""
        # By default the executor has min(32, cores + 4) threads, whatever the number of sessions.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(max_workers=calls))
        round_.facts["executor_threads"] = str(calls)

    def usage(self):
        """The usage of each of its processes, other than this one."""
        return []


async def gathered(coroutines):
    """Their results in order, or the first error. All are awaited even if one fails, so that nothing keeps running."""
    results = await asyncio.gather(*coroutines, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results


async def nothing(session, op):
    pass


async def run(workload, round_):
    """One round: set-up, warm-up, overhead, measurement, checks."""
    await workload.prepare()
    calls = round_.sessions * workload.blocking_calls
    if calls:
        round_.executor.prepare(round_, calls)
    opened = [await workload.open() for _ in range(round_.sessions)]
    before = copy.deepcopy(round_.traffic)
    histogram = frame.AuditedHistogram if round_.audited else frame.Histogram

    async def phase(stop, first_op, operate):
        part = Phase(stop, first_op, round_.sessions, on_one_thread=True, histogram=histogram)
        sessions = (part.run_async(operate, session, index) for index, session in enumerate(opened))
        await asyncio.gather(*(asyncio.create_task(session) for session in sessions))
        return part

    warmup = await phase(round_.plan["warmup"], frame.FIRST_WARMUP_OP, workload.operate)
    overhead = await phase({"duration_ns": frame.OVERHEAD_NS}, 0, nothing)
    round_.forget()
    cost = frame.Cost(round_.executor.usage)
    if "arrivals" in round_.plan:
        measured = OpenPhase(round_.plan, round_.sessions, histogram)
        await run_open(measured, workload.operate, opened)
    else:
        measured = await phase(round_.plan["stop"], 0, workload.operate)
    spent = cost.since()
    name = type(asyncio.get_running_loop())
    round_.facts["event_loop"] = f"{name.__module__}.{name.__name__}"
    # Operations were given up: nothing can be closed or checked.
    if measured.unfinished:
        return frame.measurement(round_, warmup, overhead, measured, spent, 1, [])
    for session in opened:
        await workload.close(session)
    totals = frame.Totals(round_, before, warmup, measured)
    violations = workload.violations(totals) + await workload.finish(totals)
    return frame.measurement(round_, warmup, overhead, measured, spent, 1, violations)


def free_a_large_block():
    """Event loops receive into blocks of 256 KiB. glibc maps and unmaps each of them, which takes 15 µs, until a larger one was
    freed once, as in any program of some size; here that would be luck."""
    bytes(1 << 20)


async def measure_round(workload_class, round_, executor=Threads()):
    free_a_large_block()
    round_.executor = executor
    workload = workload_class(round_)
    try:
        return await run(workload, round_)
    except BaseException:
        await workload.abandon()
        raise
