#!/usr/bin/env python3
"""Measure the workload `http` (user-defined requests) as a load generator on one nginx.

`python3 bench/own_requests.py [--pairs 10] [--seconds 3] [--only PART]` prints the ratio of each pair, with alternating order,
and the medians: `http` beside `http-get` and wrk, what slots, checks and captures cost, and HTTPS beside wrk and
`h2load --h1`. The server runs on CPU 0, the generator on CPU 1, all on loopback. Needs nginx, wrk, h2load, openssl and two CPUs.
"""
import argparse, os, pathlib, re, subprocess, sys, tempfile

sys.dont_write_bytecode = True
from against_wrk import (CONNECTIONS, GENERATOR_CPU, ROOT, SERVER_CPU, children_cpu_s, free_port, json, pinned, run_wrk, show,
                         wait_for)

PAGE = "abcdefghijklmnopqrstuvwxyz" * 2 + "abcdefghijkl"
DOCUMENT = '{"id": 7, "token": "0123456789abcdef", "items": [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]}'

REQUEST = '[[request]]\nsend = "GET /page"\n'
FLOW = '[[flow]]\n[[flow.request]]\nsend = "GET /json"\n{}\n[[flow.request]]\nsend = "GET /page"\n{}\n'
# Scenarios, by name.
SCENARIOS = {
    "fixed": REQUEST,
    "same": REQUEST + 'expect = { body = "same" }',
    "slots": 'draw.id = { from = 1, to = 100_000 }\ndraw.note = { text = 16 }\n'
             '[[request]]\nsend = "GET /page?id={{id}}&note={{note}}"\nheaders = { x-op = "{{run}}-{{op}}" }',
    "feed": 'feed.user = { file = "users.csv" }\n[[request]]\nsend = "GET /page?user={{user.email}}"',
    "json": '[[request]]\nsend = "GET /json"',
    "checks": '[[request]]\nsend = "GET /json"\nexpect = { status = 200, header = { content-type = "application/json" }, '
              'json = { "/id" = 7, "/items/1/name" = "b" } }',
    "flow": FLOW.format("", 'headers = { authorization = "Bearer 0123456789abcdef" }'),
    "captures": FLOW.format('capture = { token = "json /token" }', 'headers = { authorization = "Bearer {{token}}" }'),
}


def start_nginx(directory):
    """One nginx with plain HTTP and HTTPS; returns the process and both URLs."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout",
                    directory / "key.pem", "-out", directory / "cert.pem", "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"],
                   check=True, capture_output=True)
    plain, secure = free_port(), free_port()
    configuration = directory / "nginx.conf"
    configuration.write_text(f"""
worker_processes 1; daemon off; error_log {directory}/error.log; pid {directory}/nginx.pid;
events {{ worker_connections 4096; }}
http {{ access_log off; keepalive_requests 1000000000; client_body_temp_path {directory}; proxy_temp_path {directory};
  fastcgi_temp_path {directory}; uwsgi_temp_path {directory}; scgi_temp_path {directory}; default_type text/plain;
  ssl_certificate {directory}/cert.pem; ssl_certificate_key {directory}/key.pem; ssl_protocols TLSv1.2 TLSv1.3;
  server {{ listen 127.0.0.1:{plain} backlog=4096; listen 127.0.0.1:{secure} ssl backlog=4096;
    location / {{ return 200 "{PAGE}"; }} location /json {{ default_type application/json; return 200 '{DOCUMENT}'; }} }} }}
""")
    command = ["nginx", "-e", str(directory / "error.log"), "-c", str(configuration), "-p", str(directory)]
    process = subprocess.Popen(command, preexec_fn=pinned(SERVER_CPU))
    wait_for(f"http://127.0.0.1:{plain}/page")
    return process, f"http://127.0.0.1:{plain}", f"https://localhost:{secure}"


def run_h2load(url, seconds):
    before = children_cpu_s()
    command = ["h2load", "--h1", "-t1", f"-c{CONNECTIONS}", f"-D{seconds}", url]
    output = subprocess.run(command, capture_output=True, text=True, check=True, preexec_fn=pinned(GENERATOR_CPU)).stdout
    rate = float(re.search(r"finished in .*?, ([\d.]+) req/s", output).group(1))
    requests = int(re.search(r"(\d+) succeeded", output).group(1))
    return rate, (children_cpu_s() - before) * 1e6 / requests


class Photofinish:
    def __init__(self, program, directory, seconds):
        self.program, self.directory, self.seconds = program, directory, seconds
        (directory / "users.csv").write_text("email,password\n" + "".join(f"user{n}@example.org,pw{n}\n" for n in range(1000)))
        for name, text in SCENARIOS.items():
            (directory / f"{name}.toml").write_text(text + "\n")

    def run(self, scenario, target, *more):
        """Operations per second, and µs of CPU time for each."""
        file = self.directory / f"{scenario}.toml"
        command = [self.program, "run", str(file) if file.exists() else scenario, "--runtimes", "tokio-current-thread",
                   "--target", f"http={target}", *more, "--rounds", "1", "--duration", f"{self.seconds}s", "--concurrency",
                   str(CONNECTIONS), "--out", str(self.directory / "runs"), "--format", "json"]
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode != 0:
            sys.exit(result.stderr)
        metrics = json.loads(result.stdout)["cells"][0]["metrics"]
        return metrics["throughput_ops_s"]["median"], metrics["cpu_ns_per_op"]["median"] / 1e3


def comparisons(ours, plain, secure, seconds):
    """Part, title, and two named runs; the first is divided by the second."""
    own = lambda name: (f"http, {name}", lambda: ours.run(name, plain))
    over_tls = ("http over TLS", lambda: ours.run("fixed", secure, "--target", f"http-ca={ours.directory}/cert.pem"))
    yield "rival", "http without slots beside http-get, both with one body", own("same"), (
        "http-get", lambda: ours.run("http-get", plain + "/page"))
    yield "wrk", "http without slots beside wrk", own("fixed"), ("wrk", lambda: run_wrk(plain + "/page", seconds))
    yield "cost", "Slots: a draw, a text, a header", own("slots"), own("fixed")
    yield "cost", "Slots: a row of a feed", own("feed"), own("fixed")
    yield "cost", "Checks: status, header, two JSON pointers", own("checks"), own("json")
    yield "cost", "Captures: a token from JSON into a header, two requests", own("captures"), own("flow")
    yield "tls", "HTTPS beside wrk", over_tls, ("wrk", lambda: run_wrk(secure + "/page", seconds))
    yield "tls", "HTTPS beside h2load --h1", over_tls, ("h2load", lambda: run_h2load(secure + "/page", seconds))


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--pairs", type=int, default=10)
    arguments.add_argument("--seconds", type=int, default=3)
    arguments.add_argument("--only", choices=["rival", "wrk", "cost", "tls"])
    arguments.add_argument("--program", default=None, help="the photofinish to measure (default: build it)")
    options = arguments.parse_args()
    program = options.program
    if program is None:
        subprocess.run(["cargo", "build", "--release"], cwd=ROOT, check=True)
        program = str(pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release" / "photofinish")
    with tempfile.TemporaryDirectory() as scratch:
        directory = pathlib.Path(scratch)
        directory.chmod(0o755)
        nginx, plain, secure = start_nginx(directory)
        try:
            ours = Photofinish(program, directory, options.seconds)
            for part, title, one, other in comparisons(ours, plain, secure, options.seconds):
                if options.only not in (None, part):
                    continue
                rows = []
                for pair in range(options.pairs):
                    order = (one, other) if pair % 2 == 0 else (other, one)
                    results = {name: run() for name, run in order}
                    rows.append((results[one[0]], results[other[0]]))
                show(f"{title}, {CONNECTIONS} connections", rows, (one[0], other[0]))
        finally:
            nginx.terminate()
            nginx.wait()


main()
