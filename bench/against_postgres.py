#!/usr/bin/env python3
"""Compare the `postgres` mock with PostgreSQL under `pgbench -S`, in simple and prepared mode, with 1 and 16 clients.

`python3 bench/against_postgres.py [--pairs 5] [--seconds 2]` prints the median ratio of transactions per second, mock to
PostgreSQL, over pairs with alternating order. The server runs on CPU 0, pgbench on CPU 1, all on loopback, over tables of
scale 1. Needs PostgreSQL with pgbench, and two CPUs; as root, the user `postgres`.
"""
import json, re, subprocess, sys

sys.dont_write_bytecode = True
import pairs
from pairs import SERVER_CPU, pgbench

MODES, CLIENTS = ("simple", "prepared"), (1, 16)


def start_mock(program):
    command = [program, "serve", "postgres", "--cpus", str(SERVER_CPU), "--behaviour", '{"preload": ["pgbench"]}']
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    return process, int(json.loads(process.stdout.readline())["address"].rsplit(":", 1)[1])


def rate(port, mode, clients, seconds):
    output = pgbench(port, ["-n", "-S", "-M", mode, "-c", clients, "-T", seconds])
    return float(re.search(r"tps = ([\d.]+)", output).group(1))


def main():
    options = pairs.arguments(__doc__, 5, 2).parse_args()
    program, seconds = pairs.program(options), options.seconds
    with pairs.scratch_directory() as scratch:
        mock, mock_port = start_mock(program)
        real, real_port = pairs.start_postgres(scratch, 1)
        try:
            for mode in MODES:
                for clients in CLIENTS:
                    rows = pairs.run_pairs(options.pairs, lambda: rate(mock_port, mode, clients, seconds),
                                           lambda: rate(real_port, mode, clients, seconds))
                    pairs.show_rates(f"{mode:>8}, {clients:>2} clients", rows, ("mock", "PostgreSQL"))
        finally:
            for process in (mock, real):
                process.terminate()
                process.wait()


main()
