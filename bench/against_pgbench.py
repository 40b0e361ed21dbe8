#!/usr/bin/env python3
"""Compare the scenario `sql`, pgbench's TPC-B, with `pgbench -M prepared` on the same PostgreSQL.

`python3 bench/against_pgbench.py [--pairs 10] [--seconds 5] [--clients 1,16] [--runtimes threads,tokio]` prints the median ratio of
transactions per second, Photofinish to pgbench, over pairs with alternating order, with equal numbers of clients and one
thread for them. The server runs on CPU 0, the clients on CPU 1, all on loopback, with `fsync` off, over tables of scale 10,
vacuumed before each measurement. Needs PostgreSQL with pgbench, and two CPUs; as root, the user `postgres`.
"""
import argparse, json, os, pathlib, pwd, re, shutil, socket, statistics, subprocess, tempfile, time

ROOT = pathlib.Path(__file__).resolve().parent.parent
SERVER_CPU, CLIENT_CPU = 0, 1
SCALE = 10


def find(program):
    installed = sorted(pathlib.Path("/usr/lib/postgresql").glob(f"*/bin/{program}"))
    return str(installed[-1]) if installed else shutil.which(program) or program


def as_server():
    """Arguments of a process on the server's CPU, under a user that PostgreSQL accepts."""
    user = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
    return {"preexec_fn": lambda: os.sched_setaffinity(0, {SERVER_CPU}), **user}


def start_postgres(directory):
    data = directory / "data"
    if os.geteuid() == 0:
        os.chown(directory, pwd.getpwnam("postgres").pw_uid, -1)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": directory}
    subprocess.run([find("initdb"), "-D", data, "-A", "trust", "-U", "bench"], check=True, **quiet, **as_server())
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = ["-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "autovacuum=off"]
    command = [find("postgres"), "-D", data, "-k", directory, "-h", "127.0.0.1", "-p", str(port), *settings]
    process = subprocess.Popen(command, **quiet, **as_server())
    for _ in range(200):
        if subprocess.run([find("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]).returncode == 0:
            break
        time.sleep(0.05)
    pgbench(port, ["-i", "-s", str(SCALE), "-q"])
    return process, port


def on_client_cpu(command, **settings):
    pinned = {"preexec_fn": lambda: os.sched_setaffinity(0, {CLIENT_CPU})}
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True, **pinned, **settings)
    if result.returncode != 0:
        raise SystemExit(result.stdout + result.stderr)
    return result.stdout


def pgbench(port, arguments):
    return on_client_cpu([find("pgbench"), "-h", "127.0.0.1", "-p", port, "-U", "bench", *arguments, "postgres"])


def rate_of_pgbench(port, clients, seconds):
    output = pgbench(port, ["-n", "-M", "prepared", "-c", str(clients), "-T", str(seconds)])
    return float(re.search(r"tps = ([\d.]+)", output).group(1))


def rate_of_photofinish(program, scratch, port, clients, seconds, runtime):
    run = [program, "run", "tpcb.toml", "--target", f"db=postgres://bench@127.0.0.1:{port}/postgres", "--runtimes", runtime,
           "--concurrency", clients, "--rounds", 1, "--duration", f"{seconds}s", "--set=load.warmup=300ms", "--no-redo",
           "--out", scratch / "out"]
    shutil.rmtree(scratch / "out", ignore_errors=True)
    on_client_cpu(run, cwd=scratch)
    record = json.loads((scratch / "out" / "latest" / "record.json").read_text())
    (worker,) = [item["outcome"]["worker"] for item in record["rounds"] if item["outcome"]["status"] == "ok"]
    return worker["throughput_ops_s"]


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--pairs", type=int, default=10)
    arguments.add_argument("--seconds", type=int, default=5)
    arguments.add_argument("--clients", default="1,16")
    arguments.add_argument("--runtimes", default="threads,tokio-current-thread")
    arguments.add_argument("--program", default=None, help="the photofinish to measure (default: build it)")
    options = arguments.parse_args()
    program = options.program
    if program is None:
        subprocess.run(["cargo", "build", "--release"], cwd=ROOT, check=True)
        program = str(pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release" / "photofinish")
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        os.chmod(scratch, 0o755)
        (scratch / "server").mkdir()
        server, port = start_postgres(scratch / "server")
        script = scratch / "tpcb.sql"
        shown = subprocess.run([find("pgbench"), "--show-script=tpcb-like"], capture_output=True, text=True)
        script.write_text(shown.stdout + shown.stderr)
        on_client_cpu([program, "import", "pgbench", script, "--scale", SCALE, "--out", scratch / "tpcb.toml"])
        try:
            for clients in options.clients.split(","):
                for runtime in options.runtimes.split(","):
                    programs = {
                        "photofinish": lambda: rate_of_photofinish(program, scratch, port, clients, options.seconds, runtime),
                        "pgbench": lambda: rate_of_pgbench(port, clients, options.seconds),
                    }
                    pairs = []
                    for pair in range(options.pairs):
                        order = list(programs) if pair % 2 == 0 else list(programs)[::-1]
                        rates = {}
                        for name in order:
                            subprocess.run([find("psql"), "-qh", "127.0.0.1", "-p", str(port), "-U", "bench", "-c", "VACUUM",
                                            "postgres"], check=True, capture_output=True)
                            rates[name] = programs[name]()
                        pairs.append(rates)
                    ratios = [pair["photofinish"] / pair["pgbench"] for pair in pairs]
                    medians = {name: statistics.median(pair[name] for pair in pairs) for name in programs}
                    print(f"{clients:>3} clients, {runtime}: photofinish {medians['photofinish']:>7.0f}/s, "
                          f"pgbench {medians['pgbench']:>7.0f}/s, ratio median {statistics.median(ratios):.2f}, "
                          f"{min(ratios):.2f}..{max(ratios):.2f}", flush=True)
        finally:
            server.terminate()
            server.wait()


main()
