#!/usr/bin/env python3
"""Compare the `postgres` mock with PostgreSQL under `pgbench -S`, in simple and prepared mode, with 1 and 16 clients.

`python3 bench/against_postgres.py [--pairs 5] [--seconds 2]` prints the median ratio of transactions per second, mock to
PostgreSQL, over pairs with alternating order. The server runs on CPU 0, pgbench on CPU 1, all on loopback, over tables of
scale 1. Needs PostgreSQL with pgbench, and two CPUs; as root, the user `postgres`.
"""
import argparse, json, os, pathlib, pwd, re, shutil, socket, statistics, subprocess, tempfile, time

ROOT = pathlib.Path(__file__).resolve().parent.parent
SERVER_CPU, CLIENT_CPU = 0, 1
MODES, CLIENTS = ("simple", "prepared"), (1, 16)


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
    command = [find("postgres"), "-D", data, "-k", directory, "-h", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, **quiet, **as_server())
    for _ in range(200):
        if subprocess.run([find("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]).returncode == 0:
            break
        time.sleep(0.05)
    pgbench(port, ["-i", "-s", "1", "-q"])
    return process, port


def start_mock(program):
    command = [program, "serve", "postgres", "--cpus", str(SERVER_CPU), "--behaviour", '{"preload": ["pgbench"]}']
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    return process, int(json.loads(process.stdout.readline())["address"].rsplit(":", 1)[1])


def pgbench(port, arguments):
    command = [find("pgbench"), "-h", "127.0.0.1", "-p", str(port), "-U", "bench", *arguments, "postgres"]
    pinned = {"preexec_fn": lambda: os.sched_setaffinity(0, {CLIENT_CPU})}
    result = subprocess.run(command, capture_output=True, text=True, **pinned)
    if result.returncode != 0:
        raise SystemExit(result.stderr)
    return result.stdout


def rate(port, mode, clients, seconds):
    output = pgbench(port, ["-n", "-S", "-M", mode, "-c", str(clients), "-T", str(seconds)])
    return float(re.search(r"tps = ([\d.]+)", output).group(1))


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--pairs", type=int, default=5)
    arguments.add_argument("--seconds", type=int, default=2)
    arguments.add_argument("--program", default=None, help="the photofinish to measure (default: build it)")
    options = arguments.parse_args()
    program = options.program
    if program is None:
        subprocess.run(["cargo", "build", "--release"], cwd=ROOT, check=True)
        program = str(pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release" / "photofinish")
    with tempfile.TemporaryDirectory() as scratch:
        mock, mock_port = start_mock(program)
        real, real_port = start_postgres(pathlib.Path(scratch))
        ports = {"mock": mock_port, "PostgreSQL": real_port}
        try:
            for mode in MODES:
                for clients in CLIENTS:
                    pairs = []
                    for pair in range(options.pairs):
                        order = list(ports) if pair % 2 == 0 else list(ports)[::-1]
                        pairs.append({name: rate(ports[name], mode, clients, options.seconds) for name in order})
                    ratios = [pair["mock"] / pair["PostgreSQL"] for pair in pairs]
                    medians = {name: statistics.median(pair[name] for pair in pairs) for name in ports}
                    print(f"{mode:>8}, {clients:>2} clients: mock {medians['mock']:>7.0f}/s, "
                          f"PostgreSQL {medians['PostgreSQL']:>7.0f}/s, ratio median {statistics.median(ratios):.2f}, "
                          f"{min(ratios):.2f}..{max(ratios):.2f}", flush=True)
        finally:
            for process in (mock, real):
                process.terminate()
                process.wait()


main()
