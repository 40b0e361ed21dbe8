//! Third-party servers on Unix sockets: one in Python, nginx, PostgreSQL.

use std::path::Path;
use std::process::Command;

use photofinish_record::{Outcome, PeerAddress, PlannedServer, Record};

use crate::nginx::nginx;
use crate::support::{Sandbox, Started, TINY, python, wait_for};
use crate::user_database::throwaway_postgres::ThrowawayPostgres;

/// An HTTP/1.1 server on a Unix socket, which checks the requests that it gets.
const SERVER: &str = "
import http.server, socketserver, sys
class Answers(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def do_GET(self):
        right = (self.path, self.headers['host']) == ('/page?x', 'localhost')
        self.send_response(200 if right else 400)
        self.send_header('content-length', '5')
        self.end_headers()
        self.wfile.write(b'hello')
    def address_string(self): return 'unix'
    def log_message(self, *_): pass
class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    request_queue_size = 1
    daemon_threads = True
Server(sys.argv[1], Answers).serve_forever()
";

fn run(sandbox: &Sandbox, scenario: &str, target: &str, address: &Path) -> Record {
    sandbox
        .run(&[&["run", scenario, "--target", target], &TINY[..]].concat())
        .check(0, &[]);
    let record = sandbox.record();
    for scenario in &record.plan.scenarios {
        for server in scenario.servers.values() {
            let PlannedServer::External {
                address: at, cpus, ..
            } = server
            else {
                panic!("{server:?}");
            };
            assert_eq!(*at, Some(PeerAddress::Unix(address.to_owned())));
            assert!(cpus.is_some(), "its process is not found by its path");
        }
    }
    for round in &record.rounds {
        let Outcome::Ok(measured) = &round.outcome else {
            panic!("{:?}", round.outcome);
        };
        assert!(measured.worker.ops > 0, "{:?}", measured.worker);
        assert!(measured.worker.errors.is_empty(), "{:?}", measured.worker);
    }
    record
}

#[test]
fn a_python_server_on_a_unix_socket_is_measured_under_every_runtime() {
    let sandbox = Sandbox::new();
    let socket = sandbox.path().join("app.sock");
    let script = sandbox.write("server.py", SERVER);
    let Some(python) = python("http.server", "its standard library") else {
        return;
    };
    let mut command = Command::new(python);
    command.arg(script).arg(&socket);
    let _server = Started::of(command);
    wait_for("the server", || socket.exists().then_some(()));
    let target = format!("http=unix:{}:/page?x", socket.display());
    run(&sandbox, "http-get", &target, &socket);
    run(&sandbox, "http-connect", &target, &socket);
}

#[test]
fn nginx_at_a_unix_socket_is_measured_and_logs_the_requests() {
    let sandbox = Sandbox::new();
    let Some((_server, _)) = nginx(&sandbox) else {
        return;
    };
    let socket = sandbox.path().join("nginx.sock");
    let target = format!("http=unix:{}:/page", socket.display());
    run(&sandbox, "http-get", &target, &socket);
    let log = std::fs::read_to_string(sandbox.path().join("access.log")).expect("its log");
    assert!(log.lines().count() > 10);
    assert!(log.lines().all(|line| line == "/page"), "{log}");
}

#[test]
fn a_real_postgresql_is_reached_by_its_unix_socket() {
    let Some(server) = ThrowawayPostgres::shared() else {
        return;
    };
    let sandbox = Sandbox::new();
    let port = server.port;
    let socket = format!("/tmp/.s.PGSQL.{port}");
    let target = format!("db=postgres://postgres@/postgres?host=/tmp&port={port}");
    for scenario in ["db-select", "db-connect"] {
        run(&sandbox, scenario, &target, socket.as_ref());
    }
}

#[test]
fn a_missing_unix_socket_is_reported_before_anything_is_measured() {
    let sandbox = Sandbox::new();
    let arguments = ["run", "http-get", "--target", "http=unix:/nowhere/app.sock"];
    let expected_text = [
        "no response from unix:/nowhere/app.sock",
        "No such file",
        "hint: start the server",
    ];
    sandbox.run(&arguments).check(1, &expected_text);
    let arguments = ["run", "http-get", "--target", "http=unix:app.sock"];
    let expected_text = [
        "expected a Unix socket such as unix:/run/app.sock",
        "hint: ",
    ];
    sandbox.run(&arguments).check(2, &expected_text);
}
