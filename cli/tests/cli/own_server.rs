//! `run --server CMD`: the user's own server, started for each round, ready once it answers, stopped with its processes.

use serde_json::Value;

use crate::support::{Finished, Sandbox, is_gone, python, skip_without};

/// A server that answers `/x` at once, and `/ready` only from its second request on; it logs its process id and
/// every path that it was asked for.
const PYTHON: &str = r#"
import http.server, os, sys
asked = 0
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        global asked
        asked += self.path == "/ready"
        code = 200 if self.path == "/x" or self.path == "/ready" and asked > 1 else 404
        with open("asked", "a") as log:
            log.write(f"{os.getpid()} {self.path} {code}\n")
        self.send_response(code)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"#;

const NODE: &str = r#"
const http = require("http");
http.createServer((_, response) => response.end("ok")).listen(Number(process.argv[2]), "127.0.0.1");
"#;

const SHORT: [&str; 8] = [
    "--rounds=2",
    "--no-redo",
    "--runtimes=threads,tokio",
    "--concurrency=2",
    "--set=load.ops=20",
    "--set=load.warmup_ops=2",
    "--set=path=/x",
    "--expect=errors = 0",
];

fn run(sandbox: &Sandbox, more: &[&str]) -> Finished {
    sandbox.run(&[&["run", "http-get"][..], &SHORT, more].concat())
}

/// Goal: each round has a server of its own, is measured only once it is ready, and leaves nothing behind. Method: a
/// server that is not ready at first, and keeps a log.
#[test]
fn a_python_server_is_started_for_each_round_and_asked_until_it_is_ready() {
    let Some(python) = python("http.server", "its standard library") else {
        return;
    };
    let sandbox = Sandbox::new();
    sandbox.write("server.py", PYTHON);
    let command = format!("exec '{}' server.py {{port}}", python.display());
    let finished = run(&sandbox, &["--server", &command, "--ready=/ready"]).check(0, &[]);
    assert!(
        finished
            .stdout
            .contains("own server at http://127.0.0.1:{port}"),
        "{finished:#?}"
    );
    let log = std::fs::read_to_string(sandbox.path().join("asked")).expect("a log");
    let mut servers: Vec<u32> = Vec::new();
    for line in log.lines() {
        let server = line.split(' ').next().and_then(|pid| pid.parse().ok());
        let server = server.expect("a process id");
        if !servers.contains(&server) {
            servers.push(server);
        }
    }
    assert_eq!(servers.len(), 4, "two runtimes, two rounds: {log}");
    for server in servers {
        let own = |line: &&str| line.starts_with(&format!("{server} "));
        let asked: Vec<&str> = log.lines().filter(own).collect();
        assert!(
            asked[0].ends_with("/ready 404") && asked[1].ends_with("/ready 200"),
            "{asked:?}"
        );
        assert!(is_gone(server), "{server} is left");
    }
    let record = serde_json::to_value(sandbox.record()).expect("JSON");
    assert_eq!(
        record["plan"]["cells"][0]["variant"]["server"],
        Value::from(command)
    );
    assert_eq!(
        record["plan"]["scenarios"][0]["servers"]["http"]["ready"],
        "/ready"
    );
}

#[test]
fn a_node_server_is_measured_by_its_command_alone() {
    if std::process::Command::new("node")
        .arg("--version")
        .output()
        .is_err()
    {
        return skip_without("node");
    }
    let sandbox = Sandbox::new();
    sandbox.write("server.js", NODE);
    run(&sandbox, &["--server", "exec node server.js {port}"]).check(0, &[]);
    assert_eq!(sandbox.record().rounds.len(), 4);
}

#[test]
fn an_unmeasurable_server_is_reported_with_the_reason() {
    let sandbox = Sandbox::new();
    let dead = ["--server", "echo no such table >&2; exit 3 # {port}"];
    run(&sandbox, &dead).check(
        1,
        &["before it was ready", "end of its stderr: no such table"],
    );
    run(&sandbox, &["--server=./app"]).check(2, &["--server: the command has no {port}"]);
    run(&sandbox, &["--server=./app {port}", "--ready=health"])
        .check(2, &["expected a path, got `health`"]);
    run(&sandbox, &["--ready=/health"]).check(2, &["--server"]);
    let taken = ["--server=./app {port}", "--target=http=http://127.0.0.1:1/"];
    run(&sandbox, &taken).check(2, &["no target is left for a server of your own"]);
    let several = ["run", "http-get", "db-select", "--server=./app {port}"];
    sandbox
        .run(&several)
        .check(2, &["it is unclear which of the targets db, http"]);
}
