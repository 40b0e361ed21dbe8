"""Runs something for 0.3 s and then for SECONDS, and prints how often and at what CPU time. No histogram, no draws, no counts."""

import asyncio
import json
import time

WARMUP_S = 0.3


def report(ops, cpu_s, elapsed_s):
    print(json.dumps({"operations": ops, "rate_hz": ops / elapsed_s, "cpu_ns_per_op": cpu_s * 1e9 / ops}))


def measure(operate, seconds):
    for length in (WARMUP_S, seconds):
        ops, cpu, start = 0, time.process_time(), time.perf_counter()
        while time.perf_counter() - start < length:
            operate()
            ops += 1
    report(ops, time.process_time() - cpu, time.perf_counter() - start)


async def measure_async(operate, sessions, seconds):
    """`operate` gets one of the sessions, each of which does one thing at a time."""
    # As in the lanes: glibc maps no block of 256 KiB for each receive after this.
    bytes(1 << 20)

    async def work(session, length, start):
        ops = 0
        while time.perf_counter() - start < length:
            await operate(session)
            ops += 1
        return ops

    for length in (WARMUP_S, seconds):
        cpu, start = time.process_time(), time.perf_counter()
        ops = await asyncio.gather(*(work(session, length, start) for session in sessions))
    report(sum(ops), time.process_time() - cpu, time.perf_counter() - start)
