#!/usr/bin/env python3
"""Measure how often Photofinish reports a difference where there is none, and how often it misses one of ten percent.

`python3 bench/sameness.py [--comparisons 20] [--rounds 24]` compares runtimes with themselves (A/A comparisons) and with a
twin that does ten percent more work per operation, and prints the verdicts. Needs a release build
(`cargo build --release`). Takes about comparisons × rounds × 2 s.
"""

import argparse
import collections
import json
import os
import subprocess
import tempfile

RUNTIMES = ["sync", "threads", "pool", "tokio", "tokio-current-thread", "async-std", "smol"]
WORK = 20_000
PROGRAM = os.path.join(os.path.dirname(__file__), "..", "target", "release", "photofinish")


def verdict(program, runtime, seed, rounds, arguments, more):
    """The comparison of the twin by throughput: verdict, ratio and interval."""
    with tempfile.TemporaryDirectory() as directory:
        twin = f"{runtime},{more}" if more else runtime
        command = [program, "run", *arguments, "--runtimes", runtime, "--twin", twin, "--seed", str(seed)]
        command += ["--rounds", str(rounds), "--format", "json", "--out", directory]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    summary = json.loads(done.stdout)
    twin = next(cell for cell in summary["cells"] if cell["runtime"].endswith("-twin"))
    return twin["comparisons"]["throughput_ops_s"]


def table(title, program, comparisons, rounds, cases):
    print(title)
    verdicts = collections.Counter()
    for number in range(comparisons):
        runtime = RUNTIMES[number % len(RUNTIMES)]
        name, arguments, more = cases[number % len(cases)]
        result = verdict(program, runtime, number + 1, rounds, arguments, more)
        verdicts[result["verdict"]] += 1
        ratio = "{median:.3f} ({low:.3f}..{high:.3f})".format(**result)
        print(f"  {name:10} {runtime:22} {ratio}  {result['verdict']}", flush=True)
    print("  " + ", ".join(f"{count} {name}" for name, count in sorted(verdicts.items())))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--comparisons", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=24)
    parser.add_argument("--program", default=PROGRAM)
    parser.add_argument("--only", choices=["same", "more"], help="print one of the two tables")
    options = parser.parse_args()
    short = ["--duration", "250ms", "--set=load.warmup=50ms"]
    work = ["scripted", "--set=params.times=[]", f"--set=params.work={WORK}", *short]
    http = ["http-get", "--concurrency", "8", *short]
    same = [("http-get", http, None), ("scripted", work, None)]
    more = [("+10 % work", work, f"work={WORK * 11 // 10}")]
    if options.only != "more":
        table("Equal work:", options.program, options.comparisons, options.rounds, same)
    if options.only != "same":
        table("Ten percent more work:", options.program, options.comparisons, options.rounds, more)


if __name__ == "__main__":
    main()
