#!/usr/bin/env python3
"""Check that a stalled server shows in the response times as arithmetic predicts.

`python3 bench/stalled_nginx.py [--seconds 10] [--stall 1.4]` starts nginx, loads it with 1000 arrivals per second under each
runtime, stops it by a signal for a while, and prints the 99th percentile and the maximum of the response beside their
expected values. Needs nginx and a release build.
"""

import argparse
import json
import os
import signal
import socket
import subprocess
import tempfile
import time

RUNTIMES = ["sync", "threads", "pool", "tokio", "tokio-current-thread", "async-std", "smol"]
PROGRAM = os.path.join(os.path.dirname(__file__), "..", "target", "release", "photofinish")
RATE_HZ = 1000


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start_nginx(directory, port):
    temporary = " ".join(f"{kind}_temp_path {directory};" for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"])
    configuration = os.path.join(directory, "nginx.conf")
    with open(configuration, "w") as file:
        file.write(
            f"daemon off; master_process off; pid {directory}/pid; error_log stderr; events {{}}\n"
            f"http {{ access_log off; {temporary} server {{ listen 127.0.0.1:{port};"
            " location = /page { return 200 'hello'; } } }\n"
        )
    nginx = subprocess.Popen(["/usr/sbin/nginx", "-c", configuration, "-p", directory], stderr=subprocess.DEVNULL)
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return nginx
        time.sleep(0.05)
    raise SystemExit("nginx does not accept connections")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--stall", type=float, default=1.4)
    parser.add_argument("--program", default=PROGRAM)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        port = free_port()
        nginx = start_nginx(directory, port)
        try:
            print(f"{'runtime':22} {'p99':>8} {'expected':>8} {'error':>7}   {'max':>8} {'expected':>8} {'error':>7}   service p99")
            for runtime in RUNTIMES:
                command = [options.program, "run", "http-get", "--runtimes", runtime, "--rate", str(RATE_HZ)]
                command += ["--duration", f"{int(options.seconds * 1000)}ms", "--rounds", "1", "--concurrency", "16"]
                command += ["--no-redo", "--target", f"http=http://127.0.0.1:{port}/page"]
                command += ["--format", "json", "--out", os.path.join(directory, "runs")]
                run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
                time.sleep(1.5 + options.seconds / 3)
                stopped = time.monotonic()
                nginx.send_signal(signal.SIGSTOP)
                time.sleep(options.stall)
                nginx.send_signal(signal.SIGCONT)
                stall_s = time.monotonic() - stopped
                metrics = json.loads(run.communicate()[0])["cells"][0]["metrics"]
                arrivals = options.seconds * RATE_HZ
                columns = []
                for name, count_above in [("response_p99_ns", round(0.01 * arrivals)), ("response_max_ns", 0)]:
                    expected_s = stall_s - (count_above + 0.5) / RATE_HZ
                    measured_s = metrics[name]["median"] / 1e9
                    columns.append(f"{measured_s:7.3f}s {expected_s:7.3f}s {abs(measured_s / expected_s - 1):6.2%}")
                service_us = metrics["service_p99_ns"]["median"] / 1e3
                print(f"{runtime:22} {columns[0]}   {columns[1]}   {service_us:.0f} us", flush=True)
        finally:
            nginx.terminate()
            nginx.wait()


if __name__ == "__main__":
    main()
