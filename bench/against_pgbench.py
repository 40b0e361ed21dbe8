#!/usr/bin/env python3
"""Compare the scenario `sql`, pgbench's TPC-B, with `pgbench -M prepared` on the same PostgreSQL.

`python3 bench/against_pgbench.py [--pairs 10] [--seconds 5] [--clients 1,16] [--runtimes threads,tokio]` prints the median ratio of
transactions per second, Photofinish to pgbench, over pairs with alternating order, with equal numbers of clients and one
thread for them. The server runs on CPU 0, the clients on CPU 1, all on loopback, with `fsync` off, over tables of scale 10,
vacuumed before each measurement. Needs PostgreSQL with pgbench, and two CPUs; as root, the user `postgres`.
"""
import json, re, shutil, subprocess, sys

sys.dont_write_bytecode = True
import pairs
from pairs import find_postgres, pgbench, run_pinned

SCALE = 10
SETTINGS = ["-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "autovacuum=off"]


def vacuum(port):
    psql = [find_postgres("psql"), "-qh", "127.0.0.1", "-p", str(port), "-U", "bench", "-c", "VACUUM", "postgres"]
    subprocess.run(psql, check=True, capture_output=True)


def rate_of_pgbench(port, clients, seconds):
    vacuum(port)
    output = pgbench(port, ["-n", "-M", "prepared", "-c", clients, "-T", seconds])
    return float(re.search(r"tps = ([\d.]+)", output).group(1))


def rate_of_photofinish(program, scratch, port, clients, seconds, runtime):
    vacuum(port)
    run = [program, "run", "tpcb.toml", "--target", f"db=postgres://bench@127.0.0.1:{port}/postgres", "--runtimes", runtime,
           "--concurrency", clients, "--rounds", 1, "--duration", f"{seconds}s", "--set=load.warmup=300ms", "--no-redo",
           "--out", scratch / "out"]
    shutil.rmtree(scratch / "out", ignore_errors=True)
    run_pinned(run, cwd=scratch)
    record = json.loads((scratch / "out" / "latest" / "record.json").read_text())
    (worker,) = [item["outcome"]["worker"] for item in record["rounds"] if item["outcome"]["status"] == "ok"]
    return worker["throughput_ops_s"]


def main():
    parser = pairs.arguments(__doc__, 10, 5)
    parser.add_argument("--clients", default="1,16")
    parser.add_argument("--runtimes", default="threads,tokio-current-thread")
    options = parser.parse_args()
    program, seconds = pairs.program(options), options.seconds
    with pairs.scratch_directory() as scratch:
        (scratch / "server").mkdir()
        server, port = pairs.start_postgres(scratch / "server", SCALE, SETTINGS)
        try:
            script = scratch / "tpcb.sql"
            shown = subprocess.run([find_postgres("pgbench"), "--show-script=tpcb-like"], capture_output=True, text=True)
            script.write_text(shown.stdout + shown.stderr)
            run_pinned([program, "import", "pgbench", script, "--scale", SCALE, "--out", scratch / "tpcb.toml"])
            for clients in options.clients.split(","):
                for runtime in options.runtimes.split(","):
                    rows = pairs.run_pairs(options.pairs,
                                           lambda: rate_of_photofinish(program, scratch, port, clients, seconds, runtime),
                                           lambda: rate_of_pgbench(port, clients, seconds))
                    pairs.show_rates(f"{clients:>3} clients, {runtime}", rows, ("photofinish", "pgbench"))
        finally:
            server.terminate()
            server.wait()


main()
