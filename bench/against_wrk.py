#!/usr/bin/env python3
"""Compare Photofinish with wrk as load generators on one nginx, and the `http` mock with nginx as servers under one wrk.

`python3 bench/against_wrk.py [--pairs 10] [--seconds 3]` prints the ratio of each pair, with alternating order, and the
medians. The server runs on CPU 0, the generator on CPU 1, all on loopback. Needs nginx, wrk and two CPUs.
"""
import json, os, pathlib, re, subprocess, sys

sys.dont_write_bytecode = True
import pairs
from pairs import GENERATOR_CPU, PAGE, SERVER_CPU, children_cpu_s, pinned

CONNECTIONS = 64


def start_mock(program):
    command = [program, "serve", "http", "--cpus", str(SERVER_CPU)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    address = json.loads(process.stdout.readline())["address"]
    return process, f"http://{address}/bytes/64"


def run_wrk(url, seconds):
    before = children_cpu_s()
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", url]
    output = subprocess.run(command, capture_output=True, text=True, check=True, preexec_fn=pinned(GENERATOR_CPU)).stdout
    requests = int(re.search(r"(\d+) requests in", output).group(1))
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", output).group(1))
    return rate, (children_cpu_s() - before) * 1e6 / requests


def run_photofinish(program, url, seconds, directory):
    command = [program, "run", "http-get", "--runtimes", "tokio-current-thread", "--target", f"http={url}", "--rounds", "1",
               "--duration", f"{seconds}s", "--concurrency", str(CONNECTIONS), "--out", str(directory), "--format", "json"]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(result.stderr)
    metrics = json.loads(result.stdout)["cells"][0]["metrics"]
    return metrics["throughput_ops_s"]["median"], metrics["cpu_ns_per_op"]["median"] / 1e3


def server_cpu_s(process):
    """CPU seconds of a server and its children, from /proc."""
    total, pids = 0.0, [process.pid]
    while pids:
        pid = pids.pop()
        try:
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            pids += map(int, pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
        except FileNotFoundError:
            continue
        total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


def main():
    options = pairs.arguments(__doc__, 10, 3).parse_args()
    program, seconds = pairs.program(options), options.seconds
    with pairs.scratch_directory() as directory:
        port = pairs.free_port()
        listen = f'server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ return 200 "{PAGE}"; }} }}'
        nginx, nginx_url = pairs.start_nginx(directory, port, listen), f"http://127.0.0.1:{port}/bytes/64"
        mock, mock_url = start_mock(program)

        def load(process, url):
            before = server_cpu_s(process)
            rate, _ = run_wrk(url, seconds)
            return rate, (server_cpu_s(process) - before) * 1e6 / (rate * seconds)

        try:
            generators = pairs.run_pairs(options.pairs,
                                         lambda: run_photofinish(program, nginx_url, seconds, directory / "runs"),
                                         lambda: run_wrk(nginx_url, seconds))
            servers = pairs.run_pairs(options.pairs, lambda: load(mock, mock_url), lambda: load(nginx, nginx_url))
            pairs.show("Generators on one nginx, 64 connections", generators, ("photofinish", "wrk"))
            pairs.show("Servers under one wrk, 64 connections", servers, ("http mock", "nginx"))
        finally:
            for process in (nginx, mock):
                process.terminate()
                process.wait()


if __name__ == "__main__":
    main()
