#!/usr/bin/env python3
"""Measure how long the page of a large run takes to make, and how large it is.

`python3 bench/large_page.py [--size 40,10,20] [--times 3]` generates a record of that many scenarios, runtimes and rounds of
each, has `report --serve` render it, and prints seconds and bytes. The seconds include reading the record. Needs a release
build (`cargo build --release`), and builds a test.
"""

import argparse
import os
import pathlib
import signal
import subprocess
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
GENERATED_ID, RUN_ID = "20261120T182743Z-k3f9", "20261120T182743Z-000000"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="40,10,20")
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--program", default=ROOT / "target" / "release" / "photofinish")
    options = parser.parse_args()
    test = ["cargo", "test", "-q", "-p", "photofinish-reports", "--test", "all", "large::"]
    subprocess.run(test, cwd=ROOT, check=True, env={**os.environ, "PHOTOFINISH_LARGE": options.size}, stdout=subprocess.DEVNULL)
    record = (ROOT / "target" / "tmp" / "pages" / "large.json").read_text()
    with tempfile.TemporaryDirectory() as runs:
        run = pathlib.Path(runs, RUN_ID)
        run.mkdir()
        (run / "record.json").write_text(record.replace(GENERATED_ID, RUN_ID, 1))
        server = subprocess.Popen([options.program, "report", runs, "--serve"], stdout=subprocess.PIPE, text=True)
        try:
            address = server.stdout.readline().strip()
            for _ in range(options.times):
                start = time.monotonic()
                page = urllib.request.urlopen(f"{address}runs/{RUN_ID}/").read()
                print(f"{time.monotonic() - start:.2f} s, {len(page) / 1e6:.2f} MB from {len(record) / 1e6:.1f} MB", flush=True)
        finally:
            server.send_signal(signal.SIGINT)
            server.wait()


main()
