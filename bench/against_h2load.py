#!/usr/bin/env python3
"""Compare Photofinish with h2load as HTTP/2 load generators on one nginx, with the same numbers of streams and connections.

`python3 bench/against_h2load.py [--pairs 10] [--seconds 3] [--streams 8] [--connections 8]` prints the ratio of each pair, with
alternating order, and the medians: without TLS (prior knowledge), and over TLS. Rates are in requests: an operation of
Photofinish sends one per stream and waits for all of them, whereas h2load starts the next one at once. The server
runs on CPU 0, the generator on CPU 1, all on loopback. Needs nginx, openssl, h2load and two CPUs.
"""
import json, re, subprocess, sys

sys.dont_write_bytecode = True
import pairs
from pairs import GENERATOR_CPU, PAGE, children_cpu_s, pinned

WARMUP_S = 1


def start_nginx(directory):
    """An nginx, and its URLs without TLS and with it."""
    clear, secure = pairs.free_port(), pairs.free_port()
    pairs.make_certificate(directory)
    process = pairs.start_nginx(directory, secure, f"""http2_max_concurrent_streams 1000;
  server {{ listen 127.0.0.1:{clear} http2; listen 127.0.0.1:{secure} ssl http2;
    ssl_certificate {directory}/cert.pem; ssl_certificate_key {directory}/key.pem;
    location / {{ return 200 "{PAGE}"; }} }}""")
    return process, [f"http://127.0.0.1:{clear}/bytes/64", f"https://127.0.0.1:{secure}/bytes/64"]


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


def main():
    parser = pairs.arguments(__doc__, 10, 3)
    parser.add_argument("--streams", type=int, default=8)
    parser.add_argument("--connections", type=int, default=8)
    options = parser.parse_args()
    program = pairs.program(options)
    with pairs.scratch_directory() as directory:
        nginx, urls = start_nginx(directory)
        try:
            for title, url in zip(("without TLS", "over TLS"), urls):
                rows = pairs.run_pairs(options.pairs, lambda: run_photofinish(program, url, options, directory),
                                       lambda: run_h2load(url, options))
                title = f"HTTP/2 {title}: {options.connections} connections with {options.streams} streams on one nginx"
                pairs.show(title, rows, ("photofinish", "h2load"))
        finally:
            nginx.terminate()
            nginx.wait()


main()
