#!/usr/bin/env python3
"""Measure the project's budgets in a clean clone of the last commit and print each beside its limit.

`python3 bench/budgets.py` builds the release binary from scratch (minutes) and counts the sources. Further measurements are
asked for: `--memory` (the orchestrator over `run --suite all --quick`, minutes), `--tidy` (the tests of the source tree) and
`--ci` (a cold `.ci/run`). `--skip-build` leaves the build out; `--memory` then needs `--program`. `--crates N` prints the N
crates that took longest to compile. Exits with 1 if a budget is exceeded or could not be measured. Build times are those of
an idle machine.
"""

import argparse
import json
import os
import pathlib
import re
import resource
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Name, unit, limit. The same table stands in ARCHITECTURE.md.
BUDGETS = {
    "wall": ("clean release build, wall time", "s", 260),
    "cpu": ("clean release build, CPU time (user + system)", "s", 480),
    "binary": ("release binary", "MB", 30),
    "ci": ("`.ci/run`, cold", "s", 1_200),
    "lines": ("Rust lines in src/", "", 90_000),
    "crates": ("crates in the lock file", "", 380),
    "memory": ("peak memory of the orchestrator, `run --suite all --quick`", "MB", 120),
    "questions": ("doc comments that begin with a question word", "%", 5),
    "tidy": ("failing tests of the source tree (module cycles, crate edges, names)", "", 0),
}
QUESTIONS = {"What", "Whether", "Where", "Why", "How", "When", "Which", "Who", "Whose"}


def clone(directory):
    subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(directory)], check=True)
    # Downloads are not part of any measurement.
    subprocess.run(["cargo", "fetch", "--locked", "--quiet"], cwd=directory, check=True)


def clean_environment():
    """The environment without settings that change a build."""
    changing = ("CARGO_TARGET_DIR", "CARGO_INCREMENTAL", "RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS")
    return {
        name: value
        for name, value in os.environ.items()
        if name not in changing and not name.startswith(("CARGO_PROFILE_", "CARGO_BUILD_"))
    }


def timed(command, directory, **options):
    """Wall and CPU seconds of a command and its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.monotonic()
    subprocess.run(command, cwd=directory, env=clean_environment(), check=True, **options)
    wall = time.monotonic() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def slowest_crates(directory, count):
    """The crates that took longest to compile, from cargo's own report. Wall time: other crates compile beside them."""
    page = (directory / "target" / "cargo-timings" / "cargo-timing.html").read_text()
    units = json.loads(re.search(r"const UNIT_DATA = (\[.*?\]);\n", page, re.S).group(1))
    units.sort(key=lambda unit: -unit["duration"])
    return [(unit["duration"], unit["name"] + unit["target"]) for unit in units[:count]]


def sources(directory):
    return [path for path in directory.glob("**/src/**/*.rs") if "target" not in path.relative_to(directory).parts]


def share_of_questions(files):
    """The share of doc comments that begin with a question word, in percent."""
    comments = [
        re.match(r"\W*(\w*)", comment).group(1)
        for file in files
        for comment in re.findall(r"^[ \t]*///(.*(?:\n[ \t]*///.*)*)", file.read_text(), re.M)
    ]
    return 100 * sum(word in QUESTIONS for word in comments) / len(comments)


def peak_memory_mb(program):
    """Peak resident memory of the orchestrator alone, without its workers and servers."""
    with tempfile.TemporaryDirectory() as runs:
        command = [str(program), "run", "--suite", "all", "--quick", "--out", runs]
        output = pathlib.Path(runs) / "output"
        process = subprocess.Popen(command, stdout=output.open("w"), stderr=subprocess.STDOUT)
        peak_kib = 0
        # The kernel keeps the peak; it is gone with the process, so the last look must be shortly before the end.
        while process.poll() is None:
            status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
            peak = re.search(r"VmHWM:\s+(\d+) kB", status)
            peak_kib = int(peak.group(1)) if peak else peak_kib
            time.sleep(0.02)
        if process.returncode != 0:
            print(output.read_text()[-4_000:], file=sys.stderr)
            print(f"`{' '.join(command)}` ended with {process.returncode}", file=sys.stderr)
            return None
    return peak_kib * 1024 / 1e6


def failing_tidy_tests(directory):
    command = ["cargo", "test", "--quiet", "-p", "photofinish", "--test", "cli", "tidy"]
    done = subprocess.run(command, cwd=directory, env=clean_environment(), stdout=subprocess.PIPE, text=True)
    failed = re.search(r"(\d+) failed", done.stdout)
    if failed is None:
        sys.exit("the tests of the source tree did not run")
    return int(failed.group(1))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--skip-build", action="store_true", help="do not build")
    parser.add_argument("--program", type=pathlib.Path, help="a release binary for --memory, with --skip-build")
    parser.add_argument("--memory", action="store_true", help="measure the orchestrator's memory")
    parser.add_argument("--tidy", action="store_true", help="run the tests of the source tree")
    parser.add_argument("--ci", action="store_true", help="time a cold .ci/run")
    parser.add_argument("--crates", type=int, default=0, metavar="N", help="print the N slowest crates to compile")
    options = parser.parse_args()
    if options.memory and options.skip_build and options.program is None:
        parser.error("--memory with --skip-build needs --program")

    measured = {}
    slowest = []
    with tempfile.TemporaryDirectory() as scratch:
        directory = pathlib.Path(scratch) / "clone"
        clone(directory)
        files = sources(directory)
        measured["lines"] = sum(file.read_text().count("\n") for file in files)
        measured["crates"] = (directory / "Cargo.lock").read_text().count("[[package]]")
        measured["questions"] = share_of_questions(files)
        program = options.program
        if not options.skip_build:
            timings = ["--timings"] if options.crates else []
            command = ["cargo", "build", "--release", "--locked", *timings]
            measured["wall"], measured["cpu"] = timed(command, directory)
            program = directory / "target" / "release" / "photofinish"
            measured["binary"] = program.stat().st_size / 1e6
            if options.crates:
                slowest = slowest_crates(directory, options.crates)
        if options.memory:
            measured["memory"] = peak_memory_mb(program)
        if options.tidy:
            measured["tidy"] = failing_tidy_tests(directory)
        if options.ci:
            cold = pathlib.Path(scratch) / "cold"
            clone(cold)
            measured["ci"], _ = timed(["bash", ".ci/run"], cold, stdout=subprocess.DEVNULL)

    print(f"{'measured':>10} {'at most':>10}")
    for key, (name, unit, limit) in BUDGETS.items():
        value = measured.get(key)
        shown = "-" if value is None else f"{value:,.1f}" if isinstance(value, float) else f"{value:,}"
        mark = "  EXCEEDED" if value is not None and value > limit else ""
        print(f"{shown:>10} {limit:>10,} {unit:3} {name}{mark}")
    for seconds, name in slowest:
        print(f"{seconds:>10.1f}            s   {name}")
    if any(value is None or value > BUDGETS[key][2] for key, value in measured.items()):
        sys.exit(1)


if __name__ == "__main__":
    main()
