#!/usr/bin/env python3
"""Compare Photofinish with wrk as load generators on one nginx, and the `http` mock with nginx as servers under one wrk.

`python3 bench/against_wrk.py [--pairs 10] [--seconds 3]` prints the ratio of each pair, with alternating order, and the
medians. The server runs on CPU 0, the generator on CPU 1, all on loopback. Needs nginx, wrk and two CPUs.
"""
import argparse, json, os, pathlib, re, resource, statistics, subprocess, sys, tempfile, time, urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
SERVER_CPU, GENERATOR_CPU, CONNECTIONS = 0, 1, 64
BODY = "abcdefghijklmnopqrstuvwxyz" * 2 + "abcdefghijkl"


def pinned(cpu):
    return lambda: os.sched_setaffinity(0, {cpu})


def start_nginx(directory):
    port = free_port()
    configuration = directory / "nginx.conf"
    configuration.write_text(f"""
worker_processes 1; daemon off; error_log {directory}/error.log; pid {directory}/nginx.pid;
events {{ worker_connections 4096; }}
http {{ access_log off; keepalive_requests 1000000000; client_body_temp_path {directory}; proxy_temp_path {directory};
  fastcgi_temp_path {directory}; uwsgi_temp_path {directory}; scgi_temp_path {directory}; default_type text/plain;
  server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ return 200 "{BODY}"; }} }} }}
""")
    command = ["nginx", "-e", str(directory / "error.log"), "-c", str(configuration), "-p", str(directory)]
    process = subprocess.Popen(command, preexec_fn=pinned(SERVER_CPU))
    url = f"http://127.0.0.1:{port}/bytes/64"
    wait_for(url)
    return process, url


def start_mock(program):
    command = [program, "serve", "http", "--cpus", str(SERVER_CPU)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    address = json.loads(process.stdout.readline())["address"]
    return process, f"http://{address}/bytes/64"


def free_port():
    import socket
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(url):
    for _ in range(100):
        try:
            return urllib.request.urlopen(url, timeout=1).read()
        except OSError:
            time.sleep(0.05)
    sys.exit(f"{url} does not respond")


def children_cpu_s():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


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


def show(title, rows, names):
    print(f"\n{title}")
    print(f"{'pair':>4} {names[0]:>24} {names[1]:>24} {'rate':>7} {'CPU':>7}")
    for index, ((rate_a, cpu_a), (rate_b, cpu_b)) in enumerate(rows, 1):
        cells = [f"{rate:>10.0f}/s {cpu:>9.2f}µs" for rate, cpu in ((rate_a, cpu_a), (rate_b, cpu_b))]
        print(f"{index:>4} {cells[0]:>24} {cells[1]:>24} {rate_a / rate_b:>7.3f} {cpu_a / cpu_b:>7.3f}")
    rates = [a[0] / b[0] for a, b in rows]
    cpus = [a[1] / b[1] for a, b in rows]
    for name, ratios in (("requests per second", rates), ("CPU per request", cpus)):
        print(f"  {name}: ratio median {statistics.median(ratios):.3f}, {min(ratios):.3f}..{max(ratios):.3f}")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--pairs", type=int, default=10)
    arguments.add_argument("--seconds", type=int, default=3)
    arguments.add_argument("--program", default=None, help="the photofinish to measure (default: build it)")
    options = arguments.parse_args()
    program = options.program
    if program is None:
        subprocess.run(["cargo", "build", "--release"], cwd=ROOT, check=True)
        program = str(pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release" / "photofinish")
    with tempfile.TemporaryDirectory() as scratch:
        directory = pathlib.Path(scratch)
        directory.chmod(0o755)
        nginx, nginx_url = start_nginx(directory)
        mock, mock_url = start_mock(program)
        try:
            generators, servers = [], []
            for pair in range(options.pairs):
                runs = {
                    "ours": lambda: run_photofinish(program, nginx_url, options.seconds, directory / "runs"),
                    "wrk": lambda: run_wrk(nginx_url, options.seconds),
                }
                order = ("ours", "wrk") if pair % 2 == 0 else ("wrk", "ours")
                results = {name: runs[name]() for name in order}
                generators.append((results["ours"], results["wrk"]))

                def load(process, url):
                    before = server_cpu_s(process)
                    rate, _ = run_wrk(url, options.seconds)
                    return rate, (server_cpu_s(process) - before) * 1e6 / (rate * options.seconds)
                runs = {"mock": lambda: load(mock, mock_url), "nginx": lambda: load(nginx, nginx_url)}
                order = ("mock", "nginx") if pair % 2 == 0 else ("nginx", "mock")
                results = {name: runs[name]() for name in order}
                servers.append((results["mock"], results["nginx"]))
            show("Generators on one nginx, 64 connections", generators, ("photofinish", "wrk"))
            show("Servers under one wrk, 64 connections", servers, ("http mock", "nginx"))
        finally:
            for process in (nginx, mock):
                process.terminate()
                process.wait()


if __name__ == "__main__":
    main()
