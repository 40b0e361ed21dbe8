"""The parts that the comparisons in this folder share: arguments, processors, servers, and pairs with alternating order."""
import argparse, contextlib, os, pathlib, pwd, resource, shutil, socket, statistics, subprocess, sys, tempfile, time

ROOT = pathlib.Path(__file__).resolve().parent.parent
SERVER_CPU, GENERATOR_CPU = 0, 1
PAGE = "abcdefghijklmnopqrstuvwxyz" * 2 + "abcdefghijkl"


def arguments(description, pairs, seconds):
    """A parser with the arguments of every comparison."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=pairs)
    parser.add_argument("--seconds", type=int, default=seconds)
    parser.add_argument("--program", default=None, help="the photofinish to measure (default: build it)")
    return parser


def program(options):
    """The photofinish to measure, built if none is named."""
    if options.program is not None:
        return options.program
    subprocess.run(["cargo", "build", "--release"], cwd=ROOT, check=True)
    return str(pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release" / "photofinish")


def pinned(cpu):
    return lambda: os.sched_setaffinity(0, {cpu})


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def scratch_directory():
    """A temporary directory that servers under another user can enter."""
    with tempfile.TemporaryDirectory() as scratch:
        directory = pathlib.Path(scratch)
        directory.chmod(0o755)
        yield directory


def make_certificate(directory):
    """`cert.pem` and `key.pem` of localhost and 127.0.0.1."""
    names = "subjectAltName=DNS:localhost,IP:127.0.0.1"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout",
                    directory / "key.pem", "-out", directory / "cert.pem", "-days", "2", "-subj", "/CN=localhost", "-addext",
                    names, "-addext", "basicConstraints=critical,CA:FALSE"], check=True, capture_output=True)


def start_nginx(directory, port, servers):
    """An nginx of one worker on the server's CPU, ready at `port`; `servers` is the rest of its section `http`."""
    configuration = directory / "nginx.conf"
    configuration.write_text(f"""
worker_processes 1; daemon off; error_log {directory}/error.log; pid {directory}/nginx.pid;
events {{ worker_connections 4096; }}
http {{ access_log off; keepalive_requests 1000000000; client_body_temp_path {directory}; proxy_temp_path {directory};
  fastcgi_temp_path {directory}; uwsgi_temp_path {directory}; scgi_temp_path {directory}; default_type text/plain;
  {servers} }}
""")
    command = ["nginx", "-e", str(directory / "error.log"), "-c", str(configuration), "-p", str(directory)]
    process = subprocess.Popen(command, preexec_fn=pinned(SERVER_CPU))
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return process
        except OSError:
            time.sleep(0.05)
    process.terminate()
    sys.exit("nginx does not start")


def find_postgres(name):
    """The path of a program of PostgreSQL."""
    installed = sorted(pathlib.Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(installed[-1]) if installed else shutil.which(name) or name


def start_postgres(directory, scale, settings=()):
    """A PostgreSQL on the server's CPU with pgbench's tables, and its port; as root, under the user `postgres`."""
    user = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
    if user:
        os.chown(directory, pwd.getpwnam("postgres").pw_uid, -1)
    process_settings = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": directory,
                        "preexec_fn": pinned(SERVER_CPU), **user}
    data, port = directory / "data", free_port()
    subprocess.run([find_postgres("initdb"), "-D", data, "-A", "trust", "-U", "bench"], check=True, **process_settings)
    command = [find_postgres("postgres"), "-D", data, "-k", directory, "-h", "127.0.0.1", "-p", str(port), *settings]
    process = subprocess.Popen(command, **process_settings)
    for _ in range(200):
        if subprocess.run([find_postgres("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]).returncode == 0:
            break
        time.sleep(0.05)
    pgbench(port, ["-i", "-s", str(scale), "-q"])
    return process, port


def pgbench(port, options):
    """Output of pgbench on the generator's CPU."""
    return run_pinned([find_postgres("pgbench"), "-h", "127.0.0.1", "-p", port, "-U", "bench", *options, "postgres"])


def run_pinned(command, **settings):
    """Output of a command on the generator's CPU."""
    words = [str(word) for word in command]
    result = subprocess.run(words, capture_output=True, text=True, preexec_fn=pinned(GENERATOR_CPU), **settings)
    if result.returncode != 0:
        sys.exit(result.stdout + result.stderr)
    return result.stdout


def children_cpu_s():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def run_pairs(count, first, second):
    """Results of two functions, `count` times, with alternating order."""
    pairs = []
    for pair in range(count):
        if pair % 2 == 0:
            one = first()
            pairs.append((one, second()))
        else:
            other = second()
            pairs.append((first(), other))
    return pairs


def show(title, rows, names):
    """Prints pairs of (operations per second, µs of CPU time per operation), and their ratios."""
    print(f"\n{title}")
    print(f"{'pair':>4} {names[0]:>24} {names[1]:>24} {'rate':>7} {'CPU':>7}")
    for index, ((rate_a, cpu_a), (rate_b, cpu_b)) in enumerate(rows, 1):
        cells = [f"{rate:>10.0f}/s {cpu:>9.2f}µs" for rate, cpu in ((rate_a, cpu_a), (rate_b, cpu_b))]
        print(f"{index:>4} {cells[0]:>24} {cells[1]:>24} {rate_a / rate_b:>7.3f} {cpu_a / cpu_b:>7.3f}")
    rates = [a[0] / b[0] for a, b in rows]
    cpus = [a[1] / b[1] for a, b in rows]
    for name, ratios in (("requests per second", rates), ("CPU per request", cpus)):
        print(f"  {name}: ratio median {statistics.median(ratios):.3f}, {min(ratios):.3f}..{max(ratios):.3f}", flush=True)


def show_rates(title, rows, names):
    """Prints the medians of pairs of transactions per second, and of their ratios."""
    ratios = [one / other for one, other in rows]
    medians = [statistics.median(column) for column in zip(*rows)]
    rates = ", ".join(f"{name} {median:>7.0f}/s" for name, median in zip(names, medians))
    print(f"{title}: {rates}, ratio median {statistics.median(ratios):.2f}, {min(ratios):.2f}..{max(ratios):.2f}", flush=True)
