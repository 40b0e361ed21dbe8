"""Runs something for 0.3 s and then for SECONDS, and prints how often, at what CPU time, and how long each took at the median.

A list of times in the place of a histogram; no draws, no counts.
"""

import asyncio
import json
import statistics
import time

WARMUP_S = 0.3


def report(times, cpu_s, elapsed_s):
    ops = len(times)
    measured = {"rate_hz": ops / elapsed_s, "cpu_ns_per_op": cpu_s * 1e9 / ops, "p50_s": statistics.median(times)}
    print(json.dumps({"operations": ops, **measured}))


def measure(operate, seconds):
    for length in (WARMUP_S, seconds):
        times, cpu, start = [], time.process_time(), time.perf_counter()
        end = start
        while end - start < length:
            begun = time.perf_counter()
            operate()
            end = time.perf_counter()
            times.append(end - begun)
    report(times, time.process_time() - cpu, time.perf_counter() - start)


async def measure_async(operate, sessions, seconds):
    """`operate` gets one of the sessions, each of which does one thing at a time."""
    # As in the lanes: glibc maps no block of 256 KiB for each receive after this.
    bytes(1 << 20)

    async def work(session, times, until):
        end = 0
        while end < until:
            begun = time.perf_counter()
            await operate(session)
            end = time.perf_counter()
            times.append(end - begun)

    for length in (WARMUP_S, seconds):
        times, cpu, start = [], time.process_time(), time.perf_counter()
        await asyncio.gather(*(work(session, times, start + length) for session in sessions))
    report(times, time.process_time() - cpu, time.perf_counter() - start)
