#!/usr/bin/env python3
"""Compare Photofinish with h2load as HTTP/2 load generators on one nginx, with the same numbers of streams and connections.

`python3 bench/against_h2load.py [--pairs 10] [--seconds 3] [--streams 8] [--connections 8]` prints the ratio of each pair, with
alternating order, and the medians: without TLS (prior knowledge), and over TLS. Rates are in requests: an operation of
Photofinish sends one per stream and waits for all of them, whereas h2load starts the next one at once. The server
runs on CPU 0, the generator on CPU 1, all on loopback. Needs nginx, openssl, h2load and two CPUs.
"""
import argparse, json, os, pathlib, re, resource, socket, statistics, subprocess, sys, tempfile, time

ROOT = pathlib.Path(__file__).resolve().parent.parent
SERVER_CPU, GENERATOR_CPU = 0, 1
BODY = "abcdefghijklmnopqrstuvwxyz" * 2 + "abcdefghijkl"
WARMUP_S = 1


def pinned(cpu):
    return lambda: os.sched_setaffinity(0, {cpu})


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start_nginx(directory):
    """Starts nginx; returns the process and its URLs, without and with TLS."""
    clear, secure = free_port(), free_port()
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-keyout", directory / "key.pem", "-out", directory / "cert.pem", "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"],
                   check=True, capture_output=True)
    configuration = directory / "nginx.conf"
    configuration.write_text(f"""
worker_processes 1; daemon off; error_log {directory}/error.log; pid {directory}/nginx.pid;
events {{ worker_connections 4096; }}
http {{ access_log off; keepalive_requests 1000000000; client_body_temp_path {directory}; proxy_temp_path {directory};
  fastcgi_temp_path {directory}; uwsgi_temp_path {directory}; scgi_temp_path {directory}; default_type text/plain;
  http2_max_concurrent_streams 1000;
  server {{ listen 127.0.0.1:{clear} http2; listen 127.0.0.1:{secure} ssl http2;
    ssl_certificate {directory}/cert.pem; ssl_certificate_key {directory}/key.pem;
    location / {{ return 200 "{BODY}"; }} }} }}
""")
    command = ["nginx", "-e", str(directory / "error.log"), "-c", str(configuration), "-p", str(directory)]
    process = subprocess.Popen(command, preexec_fn=pinned(SERVER_CPU))
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", secure), timeout=1).close()
            break
        except OSError:
            time.sleep(0.05)
    else:
        sys.exit("nginx did not start")
    return process, [f"http://127.0.0.1:{clear}/bytes/64", f"https://127.0.0.1:{secure}/bytes/64"]


def children_cpu_s():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def run_h2load(url, options):
    """Requests per second, and CPU time per request in µs, start and warm-up included."""
    before = children_cpu_s()
    command = ["h2load", "-t1", f"-c{options.connections}", f"-m{options.streams}", f"-D{options.seconds}",
               f"--warm-up-time={WARMUP_S}", "-w20", "-W21", url]
    output = subprocess.run(command, capture_output=True, text=True, check=True, preexec_fn=pinned(GENERATOR_CPU)).stdout
    rate = float(re.search(r"finished in [\d.]+m?s, ([\d.]+) req/s", output).group(1))
    failed = int(re.search(r"(\d+) failed, (\d+) errored", output).group(1))
    if failed or rate == 0:
        sys.exit(output)
    return rate, (children_cpu_s() - before) * 1e6 / (rate * (options.seconds + WARMUP_S))


def run_photofinish(program, url, options, directory):
    """Requests per second, and CPU time per request in µs."""
    scenario = directory / "get.toml"
    scenario.write_text(f"""
title = "GET in streams"
http = {{ version = "2", streams = {options.streams} }}
[[request]]
send = "GET /"
""")
    command = [program, "run", str(scenario), "--runtimes", "tokio-current-thread", "--target", f"http={url}", "--rounds", "1",
               "--duration", f"{options.seconds}s", "--concurrency", str(options.connections), "--out", str(directory / "runs"),
               "--format", "json"]
    if url.startswith("https"):
        command += ["--target", f"http-ca={directory}/cert.pem"]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(result.stderr)
    metrics = json.loads(result.stdout)["cells"][0]["metrics"]
    streams = options.streams
    return metrics["throughput_ops_s"]["median"] * streams, metrics["cpu_ns_per_op"]["median"] / 1e3 / streams


def show(title, rows):
    print(f"\n{title}")
    print(f"{'pair':>4} {'photofinish':>24} {'h2load':>24} {'rate':>7} {'CPU':>7}")
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
    arguments.add_argument("--streams", type=int, default=8)
    arguments.add_argument("--connections", type=int, default=8)
    arguments.add_argument("--program", default=None, help="the photofinish to measure (default: build it)")
    options = arguments.parse_args()
    program = options.program
    if program is None:
        subprocess.run(["cargo", "build", "--release"], cwd=ROOT, check=True)
        program = str(pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release" / "photofinish")
    with tempfile.TemporaryDirectory() as scratch:
        directory = pathlib.Path(scratch)
        directory.chmod(0o755)
        nginx, urls = start_nginx(directory)
        try:
            for title, url in zip(("without TLS", "over TLS"), urls):
                rows = []
                for pair in range(options.pairs):
                    runs = {
                        "ours": lambda: run_photofinish(program, url, options, directory),
                        "h2load": lambda: run_h2load(url, options),
                    }
                    order = ("ours", "h2load") if pair % 2 == 0 else ("h2load", "ours")
                    results = {name: runs[name]() for name in order}
                    rows.append((results["ours"], results["h2load"]))
                show(f"HTTP/2 {title}: {options.connections} connections with {options.streams} streams on one nginx", rows)
        finally:
            nginx.terminate()
            nginx.wait()


main()
