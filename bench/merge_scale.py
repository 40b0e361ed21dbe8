#!/usr/bin/env python3
"""Time and memory of `photofinish merge` for the records of many shards.

`python3 bench/merge_scale.py [--shards 1000] [--rounds 10]` measures a short run as shard 0 of 1 against an own server, copies
its record for each shard, and merges all. Prints seconds and peak memory.
"""
import argparse, http.server, json, pathlib, resource, subprocess, tempfile, threading, time

ROOT = pathlib.Path(__file__).resolve().parent.parent


class Quiet(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("content-length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *_):
        pass


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--program", default=str(ROOT / "target/release/photofinish"))
    options = parser.parse_args()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        subprocess.run([options.program, "run", "http-get", "--target", f"http=http://127.0.0.1:{server.server_port}/", "--runtimes",
                        "tokio", "--rate", "500", "--concurrency", "4", "--duration", "1s", "--rounds", str(options.rounds), "--shard",
                        "0/1", "--store", scratch / "one", "--out", scratch / "runs", "--quiet"], check=True)
        record = json.loads((scratch / "one/records/0.json").read_text())
        records = scratch / "all/records"
        records.mkdir(parents=True)
        for index in range(options.shards):
            record["shards"]["count"] = options.shards
            record["shards"]["members"][0]["index"] = index
            (records / f"{index}.json").write_text(json.dumps(record))
        size = sum(path.stat().st_size for path in records.iterdir())
        start = time.monotonic()
        subprocess.run([options.program, "merge", scratch / "all", "--out", scratch / "merged", "--quiet"], stdout=subprocess.DEVNULL)
        seconds = time.monotonic() - start
        merged = json.loads((scratch / "merged/latest/record.json").read_text())
        counts = [round["outcome"]["worker"]["ops"] for round in merged["rounds"]]
        expected = [options.shards * round["outcome"]["worker"]["ops"] for round in record["rounds"]]
        assert counts == expected, (counts, expected)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"{options.shards} shards of {options.rounds} rounds, {size / 1e6:.0f} MB: {seconds:.1f} s, {peak:.0f} MB at most")


if __name__ == "__main__":
    main()
