#!/usr/bin/env python3
"""Measure the workload `http` (user-defined requests) as a load generator on one nginx.

`python3 bench/own_requests.py [--pairs 10] [--seconds 3] [--only PART]` prints the ratio of each pair, with alternating order,
and the medians: `http` beside `http-get` and wrk, what slots, checks and captures cost, and HTTPS beside wrk and
`h2load --h1`. The server runs on CPU 0, the generator on CPU 1, all on loopback. Needs nginx, wrk, h2load, openssl and two CPUs.
"""
import json, re, subprocess, sys

sys.dont_write_bytecode = True
import pairs
from against_wrk import CONNECTIONS, run_wrk
from pairs import GENERATOR_CPU, PAGE, children_cpu_s, pinned

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
    plain, secure = pairs.free_port(), pairs.free_port()
    pairs.make_certificate(directory)
    process = pairs.start_nginx(directory, plain, f"""
  ssl_certificate {directory}/cert.pem; ssl_certificate_key {directory}/key.pem; ssl_protocols TLSv1.2 TLSv1.3;
  server {{ listen 127.0.0.1:{plain} backlog=4096; listen 127.0.0.1:{secure} ssl backlog=4096;
    location / {{ return 200 "{PAGE}"; }} location /json {{ default_type application/json; return 200 '{DOCUMENT}'; }} }}""")
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
    parser = pairs.arguments(__doc__, 10, 3)
    parser.add_argument("--only", choices=["rival", "wrk", "cost", "tls"])
    options = parser.parse_args()
    program = pairs.program(options)
    with pairs.scratch_directory() as directory:
        nginx, plain, secure = start_nginx(directory)
        try:
            ours = Photofinish(program, directory, options.seconds)
            for part, title, one, other in comparisons(ours, plain, secure, options.seconds):
                if options.only in (None, part):
                    rows = pairs.run_pairs(options.pairs, one[1], other[1])
                    pairs.show(f"{title}, {CONNECTIONS} connections", rows, (one[0], other[0]))
        finally:
            nginx.terminate()
            nginx.wait()


main()
