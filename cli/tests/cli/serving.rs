//! Runtimes as servers: judged by the fixed client, left waiting by `sync`, and loaded by programs of others.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use photofinish_record::{Measurement, Outcome, Record};
use serde_json::Value;

use crate::support::{Finished, PATIENCE, Sandbox, TINY, closed_address, skip_without, wait_for};

/// The names of all runtimes of this build.
fn runtimes() -> Vec<String> {
    let listed = Sandbox::new().run(&["list", "--json"]).check(0, &[]);
    let listed: Value = listed.json();
    let runtimes = listed["runtimes"].as_array().expect("runtimes").clone();
    let names = runtimes.iter().map(|runtime| runtime["name"].as_str());
    names.map(|name| name.expect("a name").to_owned()).collect()
}

fn measured(record: &Record) -> impl Iterator<Item = (&str, &Measurement)> {
    record.rounds.iter().map(|round| match &round.outcome {
        Outcome::Ok(measured) => {
            let runtime = record.plan.cells[round.cell].runtime.as_str();
            (runtime, &measured.worker)
        }
        other => panic!("{other:?}"),
    })
}

/// Goal: whatever an answer is wrong in is found by the client and ends the run as measured but wrong. Method: the client
/// is told to expect something else than what the workloads answer.
#[test]
fn an_unexpected_response_is_measured_but_wrong() {
    let check = |workload: &str, request: &str, expected: &str| {
        let sandbox = Sandbox::new();
        let text = format!(
            "workload = \"{workload}\"\n[server.client]\nkind = \"client\"\nrequests = [{request}]\n"
        );
        sandbox.write("wrong.toml", &text);
        let run = ["run", "wrong.toml", "--runtimes", "sync,tokio"];
        let expected = ["measured, but wrong", "wrong answers, such as", expected];
        sandbox.run(&[&run[..], &TINY].concat()).check(5, &expected);
    };
    check(
        "serve-http",
        "{ path = \"/ada\", body = \"Hello, bob!\" }",
        "GET /ada was answered with \"Hello, ada!\"",
    );
    check(
        "serve-http",
        "{ path = \"/a/b\" }",
        "GET /a/b was answered with status 404",
    );
    check(
        "serve-gateway",
        "{ path = \"/fetch-multiple?failing\", body = '{\"total\":3,\"successful\":3}' }",
        "successful",
    );
}

/// Sessions are closed under a deadline, and a pool's threads that wait under one run no tasks.
#[test]
fn a_gateway_with_more_sessions_than_the_pool_has_threads_ends_properly() {
    let sandbox = Sandbox::new();
    let cpus = std::thread::available_parallelism().expect("known").get();
    let sessions = format!("--concurrency={}", 8 * cpus);
    let run = [
        "run",
        "serve-gateway",
        "--runtimes=pool",
        "--rounds=2",
        "--duration=100ms",
        "--no-redo",
        &sessions,
    ];
    let ended = sandbox.run(&run).check(0, &[]);
    assert!(
        !ended.stdout.contains("not closed properly"),
        "{}",
        ended.stdout
    );
    for (_, worker) in measured(&sandbox.record()) {
        assert_eq!(worker.violations, [""; 0]);
    }
}

/// An upstream that fails is counted; one that answers something else is no answer of the gateway's.
#[test]
fn a_gateway_with_wrong_upstream_responses_is_measured_but_wrong() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "wrong.toml",
        "workload = \"serve-gateway\"\n[server.http]\nkind = \"wiremock\"\n\
         mocks = [{ method = \"GET\", path = \"/text/*\", respond = [{ status = 200, body = \"not this\" }] }]\n\
         [server.client]\nkind = \"client\"\nrequests = [{ path = \"/fetch-multiple\" }]\n",
    );
    let run = ["run", "wrong.toml", "--runtimes", "tokio"];
    let expected_text = ["measured, but wrong", "differ from the expected"];
    sandbox
        .run(&[&run[..], &TINY].concat())
        .check(5, &expected_text);
}

#[test]
fn sync_serves_one_connection_and_the_others_wait_until_the_end() {
    let sandbox = Sandbox::new();
    let run = ["run", "serve-http", "--runtimes", "sync"];
    sandbox.run(&[&run[..], &TINY].concat()).check(0, &[]);
    let record = sandbox.record();
    for (runtime, worker) in measured(&record) {
        assert_eq!(worker.sessions, 1, "{runtime}");
        assert_eq!(worker.gauges["connections_left_waiting"], 1.0);
        // Both were accepted in the end, and the one to the client was opened.
        assert_eq!(worker.traffic["client"].connections, 3);
        // It waited for as long as was measured, 50 ms, of which the client may miss the beginning on a busy machine.
        let longest_ns = worker.observed["client_latency"].quantile_ns(1.0);
        assert!(longest_ns >= Some(20_000_000), "{longest_ns:?}");
    }
}

#[test]
fn an_address_that_cannot_be_listened_on_is_reported_before_anything_is_measured() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let listen = format!("--set=listen={}", taken.local_addr().expect("an address"));
    let sandbox = Sandbox::new();
    let run = ["run", "serve-http", "--runtimes=tokio", &listen];
    sandbox
        .run(&[&run[..], &TINY].concat())
        .check(1, &["cannot listen on 127.0.0.1:"]);
    sandbox
        .run(&["plan", "serve-http", "--set=listen=nowhere"])
        .check(2, &["`nowhere` is not an address to listen on"]);
}

#[test]
fn a_rate_is_refused_where_the_client_decides_when_to_send() {
    let sandbox = Sandbox::new();
    for rates in ["--rate=500", "--find-max=response_p99 < 10ms"] {
        let expected = [
            "its client sends each request after the last response",
            "--concurrency",
        ];
        sandbox
            .run(&["plan", "serve-http", rates])
            .check(2, &expected);
    }
}

/// Goal: no client, however it behaves, ends a server or a round, whichever runtime serves. Method: `wrk`, `curl` and bytes
/// written by hand; what failed is in the record by kind, and nothing else went wrong. The server's patience and the
/// round are long beside what is done to it, since whoever connects may be kept from the CPU before it says a word.
#[test]
fn every_runtime_serves_wrk_and_curl_and_survives_misbehaving_clients() {
    for needed in ["wrk", "curl"] {
        let mut probe = Command::new(needed);
        if probe
            .arg("--version")
            .stdin(Stdio::null())
            .output()
            .is_err()
        {
            return skip_without(needed);
        }
    }
    let runtimes = runtimes();
    std::thread::scope(|scope| {
        for runtime in &runtimes {
            scope.spawn(move || serve_others(HTTP, runtime));
            scope.spawn(move || serve_others(GATEWAY, runtime));
        }
    });
}

/// A scenario that serves, and one of its answers.
#[derive(Clone, Copy)]
struct Served {
    scenario: &'static str,
    path: &'static str,
    body: &'static str,
}

const HTTP: Served = Served {
    scenario: "serve-http",
    path: "/ada",
    body: "Hello, ada!",
};

const GATEWAY: Served = Served {
    scenario: "serve-gateway",
    path: "/fetch-multiple?failing",
    body: "{\"total\":3,\"successful\":2}",
};

fn serve_others(served: Served, runtime: &str) {
    let sandbox = Sandbox::new();
    let address = closed_address();
    let listen = format!("--set=listen={address}");
    let run = sandbox.start(&[
        "run",
        served.scenario,
        "--runtimes",
        runtime,
        "--rounds=1",
        "--duration=30s",
        "--concurrency=4",
        "--no-redo",
        "--set=load.warmup=10ms",
        "--set=unit=1ms",
        &format!("--set=patience_ms={}", SERVER_PATIENCE.as_millis()),
        "--set=expect.errors=100%",
        &listen,
    ]);
    // Who connects and leaves at once is the first of those who misbehave.
    wait_for("the server", || TcpStream::connect(&address).ok().map(drop));
    misbehave(&address);
    let loaded = wrk(&address, served.path);
    assert!(loaded > 0, "{runtime} answered nothing to wrk");
    let url = format!("http://{address}{}", served.path);
    assert_eq!(curl(&[&url]), served.body, "{runtime}");
    let nowhere = format!("http://{address}/a/b");
    let status = ["-o", "/dev/null", "-w", "%{http_code}"];
    assert_eq!(curl(&[&status[..], &[&nowhere]].concat()), "404");
    assert_eq!(curl(&[&status[..], &["-d", "x=1", &url]].concat()), "405");
    assert_eq!(curl(&[&status[..], &["--http1.0", &url]].concat()), "200");
    run.finish().check(0, &[]);
    check_failures(&sandbox.record(), loaded);
}

/// How long a server that others use waits for a request.
const SERVER_PATIENCE: Duration = Duration::from_secs(5);

/// Requests that are none, whole ones that nobody waits for, and halves of which the rest never comes.
fn misbehave(address: &str) {
    let send = |bytes: &[u8]| {
        let mut stream = TcpStream::connect(address).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("set");
        stream.write_all(bytes).map(|()| stream)
    };
    let exchange = |bytes: &[u8]| {
        let mut answer = String::new();
        let read = send(bytes).and_then(|mut stream| stream.read_to_string(&mut answer));
        read.map(|_| answer)
    };
    let answer = |bytes: &[u8]| loop {
        let begun = Instant::now();
        match exchange(bytes) {
            Ok(answer) => return answer,
            // This thread was kept from the CPU before it said a word, for longer than the server waits.
            Err(_) if begun.elapsed() >= SERVER_PATIENCE => {}
            Err(error) => panic!("{error} for {:?}", bytes.escape_ascii().to_string()),
        }
    };
    let leave = |bytes: &[u8]| drop(send(bytes).expect("sent"));
    let response = answer(b"GARBAGE\r\n\r\n");
    assert!(
        response.starts_with("HTTP/1.1 400 Bad Request\r\n"),
        "{response}"
    );
    let response = answer(b"PRI * HTTP/2.0\r\n\r\n");
    assert!(response.starts_with("HTTP/1.1 505 "), "{response}");
    // Two at once: the second one is answered from what was read with the first.
    let request = "GET /a/b HTTP/1.1\r\nhost: a\r\n";
    let response = answer(format!("{request}\r\n{request}connection: close\r\n\r\n").as_bytes());
    assert_eq!(response.matches("HTTP/1.1 404 ").count(), 2, "{response}");
    let half = format!("{request}x: ");
    leave(half.as_bytes());
    // Left open: it is closed by the server, once its patience is at an end.
    assert_eq!(answer(half.as_bytes()), "");
    leave(format!("{request}\r\n").repeat(100).as_bytes());
}

/// Has `wrk` load the server for a second; gives how many requests were answered, all of them well.
fn wrk(address: &str, path: &str) -> u64 {
    let url = format!("http://{address}{path}");
    let mut command = Command::new("wrk");
    command.args(["--threads=1", "--connections=4", "--duration=1s", &url]);
    let stdout = Finished::of(&mut command).check(0, &[]).stdout;
    assert!(!stdout.contains("Non-2xx"), "{stdout}");
    let line = stdout.lines().find(|line| line.contains(" requests in "));
    let count = line.and_then(|line| line.split_whitespace().next());
    count
        .and_then(|count| count.parse().ok())
        .unwrap_or_else(|| panic!("no count in: {stdout}"))
}

fn curl(arguments: &[&str]) -> String {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--max-time", "30"]);
    Finished::of(command.args(arguments)).check(0, &[]).stdout
}

/// What failed is what was done to the server, and nothing else.
fn check_failures(record: &Record, loaded: u64) {
    for (runtime, worker) in measured(record) {
        let measured = worker.errors.iter();
        let measured = measured.map(|(kind, failures)| (kind.as_str(), failures.count));
        let warmup = worker.warmup_errors.iter();
        let failures: Vec<_> = measured
            .chain(warmup.map(|(kind, count)| (kind.as_str(), *count)))
            .collect();
        let count = |of: &str| -> u64 {
            let of_kind = failures.iter().filter(|(kind, _)| *kind == of);
            of_kind.map(|(_, count)| count).sum()
        };
        assert_eq!(count("bad-request"), 2, "{runtime}: {failures:?}");
        assert_eq!(count("short"), 1, "{runtime}: {failures:?}");
        assert_eq!(count("timeout"), 1, "{runtime}: {failures:?}");
        let known = ["bad-request", "short", "timeout", "idle", "reset"];
        let unknown = failures.iter().find(|(kind, _)| !known.contains(kind));
        assert_eq!(unknown, None, "{runtime}");
        assert!(worker.ops + worker.warmup_ops >= loaded, "{runtime}");
    }
}
