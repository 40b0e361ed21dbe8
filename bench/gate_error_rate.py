#!/usr/bin/env python3
"""Measure how often a live gate fails two equal builds, and how often it misses one that is slower by 15 %.

`python3 bench/gate_error_rate.py [--gates 50] [--only equal|slower]` gates two copies of `examples/small_server.rs`, first
with equal work, then with 15 % more work per request in the head. For the second case wrk measures the real slowdown
independently. Needs wrk, and a release build of the program and the example (`cargo build --release --bins --examples`).
Takes about ten seconds per gate.
"""

import argparse
import collections
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import tempfile
import time

TARGET = os.environ.get("CARGO_TARGET_DIR") or os.path.join(os.path.dirname(__file__), "..", "target")
RELEASE = os.path.join(TARGET, "release")
WORK = 100_000
SLOWER = WORK * 115 // 100


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wrk(server, work):
    """Requests per second of a server with `work` steps per request, on CPU 0, with wrk on CPU 1."""
    port = free_port()
    command = ["taskset", "-c", "0", server, str(port), str(work)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.01)
        load = ["taskset", "-c", "1", "wrk", "-t1", "-c4", "-d1s", f"http://127.0.0.1:{port}/"]
        output = subprocess.run(load, capture_output=True, text=True, check=True).stdout
    finally:
        process.kill()
        process.wait()
    return float(re.search(r"Requests/sec:\s+([\d.]+)", output).group(1))


def slowdown_by_wrk(server, pairs):
    """The slowdown that wrk measures, as the median over pairs."""
    ratios = []
    for number in range(pairs):
        arms = [(WORK, "base"), (SLOWER, "head")]
        rates = {name: wrk(server, work) for work, name in (arms if number % 2 else arms[::-1])}
        ratios.append(rates["base"] / rates["head"])
    return statistics.median(ratios) - 1


def gate(program, base, head, work, seed, concurrency):
    """The report of one gate, and its exit code."""
    with tempfile.TemporaryDirectory() as directory:
        command = [program, "gate", "http-get", "--set=params.path=/", "--seed", str(seed)]
        command += ["--base-server", f"exec {base} {{port}} {WORK}"]
        command += ["--head-server", f"exec {head} {{port}} {work}"]
        command += ["--duration", "250ms", "--set=load.warmup=50ms", "--concurrency", concurrency]
        command += ["--out", directory, "--format", "json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    return json.loads(done.stdout) if done.stdout else {"verdict": done.stderr}, done.returncode


def table(title, arguments, program, arms, work):
    print(title)
    verdicts, pairs = collections.Counter(), []
    for seed in range(1, arguments.gates + 1):
        report, code = gate(program, *arms, work, seed, str(arguments.concurrency))
        verdicts[report["verdict"]] += 1
        line = report["verdict"]
        if report.get("checks"):
            slowdown = report["checks"][0]["slowdown"]
            bounds = "{low:+.1%} to {high:+.1%}".format(**slowdown)
            line = f"{slowdown['estimate']:+.1%} ({bounds}), {report['blocks']} pairs: {line}"
            pairs.append(report["blocks"])
        print(f"  {seed:3} {line}, exit {code}", flush=True)
    counted = ", ".join(f"{count} {name}" for name, count in sorted(verdicts.items()))
    print(f"  {counted}; {statistics.mean(pairs):.1f} pairs on average" if pairs else f"  {counted}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gates", type=int, default=50)
    parser.add_argument("--concurrency", type=int, default=4)
    parser.add_argument("--release", default=RELEASE, help="the directory of the program and the example")
    parser.add_argument("--only", choices=["equal", "slower"], help="print one of the two tables")
    arguments = parser.parse_args()
    release = os.path.abspath(arguments.release)
    program = os.path.join(release, "photofinish")
    server = os.path.join(release, "examples", "small-server")
    with tempfile.TemporaryDirectory() as builds:
        arms = [os.path.join(builds, name) for name in ("base", "head")]
        for arm in arms:
            shutil.copy(server, arm)
        if arguments.only != "slower":
            table("equal builds", arguments, program, arms, WORK)
        if arguments.only != "equal":
            print(f"measured by wrk: {slowdown_by_wrk(server, 10):+.1%}", flush=True)
            table("15 % more work per request", arguments, program, arms, SLOWER)


if __name__ == "__main__":
    main()
