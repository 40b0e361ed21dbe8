//! Third-party HTTP/2 servers: nginx and nghttpd, with and without TLS. Their logs show exactly the intended requests. The
//! probe refuses a server that does not speak HTTP/2.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use photofinish_record::{Measurement, Outcome, PlannedServer, Record};

use crate::certificates::Authority;
use crate::nginx::nginx_serving;
use crate::support::{Sandbox, Started, closed_address, skip_without, wait_for};

const NAMES: &str = "DNS:localhost,IP:127.0.0.1";

/// Operations per round of four requests each, in addition to one of warm-up.
const OPERATIONS: u64 = 12;

/// Rounds under each runtime.
const ROUNDS: u64 = 1;

/// Four numbered requests at once, half of them with a body.
const NUMBERED: &str = r#"
title = "Numbered requests"
load = { concurrency = 2, ops = 12, warmup_ops = 1 }
http = { version = "2", streams = 4 }
[[request]]
name = "read"
send = "GET /n/{{op}}"
expect = { text = "hello" }
[[request]]
name = "write"
send = "POST /n/{{op}}"
json = { number = "{{op|raw}}" }
expect = { text = "hello" }
"#;

fn port(address: &str) -> &str {
    address.rsplit_once(':').expect("a port").1
}

/// Runs a scenario under every runtime against targets, and returns its record.
fn run(sandbox: &Sandbox, scenario: &Path, targets: &[String]) -> Record {
    let scenario = scenario.to_str().expect("text");
    let rounds = ROUNDS.to_string();
    let mut arguments = vec!["run", scenario, "--no-redo", "--rounds", &rounds];
    for target in targets {
        arguments.extend(["--target", target]);
    }
    sandbox.run(&arguments).check(0, &[]);
    sandbox.record()
}

fn measurements(record: &Record) -> Vec<&Measurement> {
    let rounds = record.rounds.iter();
    let measured = rounds.map(|round| match &round.outcome {
        Outcome::Ok(measured) => {
            assert_eq!(measured.mismatches, [""; 0]);
            assert_eq!(measured.worker.violations, [""; 0]);
            assert!(measured.worker.errors.is_empty(), "{:?}", measured.worker);
            &measured.worker
        }
        other => panic!("{other:?}"),
    });
    measured.collect()
}

/// Checks the request lines of a log: each number of the measurement once per round, and no other requests except those of
/// the warm-up and the probe.
fn check_each_number_was_requested_once_per_round<'a>(
    lines: impl Iterator<Item = &'a str>,
    record: &Record,
) {
    let mut seen: BTreeMap<u64, u64> = BTreeMap::new();
    let mut probes = 0;
    for line in lines {
        let Some((method, rest)) = line.split_once(" /n/") else {
            assert!(line.starts_with("GET / "), "{line}");
            probes += 1;
            continue;
        };
        assert!(["GET", "POST"].contains(&method), "{line}");
        let number = rest.split(' ').next().expect("a number");
        *seen.entry(number.parse().expect("a number")).or_default() += 1;
    }
    assert_eq!(probes, 1, "the probe");
    let rounds = record.rounds.len() as u64;
    let (warmup, numbers): (Vec<_>, Vec<_>) =
        seen.into_iter().partition(|(number, _)| *number >= 1 << 48);
    let expected: Vec<_> = (0..OPERATIONS * 4).map(|number| (number, rounds)).collect();
    assert_eq!(numbers, expected);
    let warmup: u64 = warmup.iter().map(|(_, count)| count).sum();
    assert_eq!(warmup, rounds * 4);
}

/// Goal: GOAWAY loses and repeats no request. Method: nginx sends it after every ten requests of a connection, and requests
/// are numbered.
#[test]
fn nginx_logs_each_request_once_despite_goaway_with_and_without_tls() {
    let sandbox = Sandbox::new();
    let Some(authority) = Authority::new(&sandbox) else {
        return;
    };
    let server = authority.certificate("server", NAMES, 30);
    let (secure, clear) = (closed_address(), closed_address());
    let directory = sandbox.path().display();
    let locations = format!(
        "listen {secure} ssl http2; listen {clear} http2; {} keepalive_requests 10;\n\
         access_log {directory}/requests.log combined;\n\
         location / {{ return 200 'hello'; }}",
        server.nginx()
    );
    let Some(_nginx) = nginx_serving(&sandbox, &locations) else {
        return;
    };
    let scenario = sandbox.write("numbered.toml", NUMBERED);
    let log = sandbox.path().join("requests.log");
    let over_tls = vec![
        format!("http=https://localhost:{}", port(&secure)),
        format!("http-ca={}", authority.file().display()),
    ];
    for targets in [vec![format!("http=http://{clear}")], over_tls] {
        let before = std::fs::read_to_string(&log).unwrap_or_default().len();
        let record = run(&sandbox, &scenario, &targets);
        let text = std::fs::read_to_string(&log).expect("its log");
        let lines = text[before..].lines().map(|line| {
            let request = line.split('"').nth(1).expect("a request line");
            assert!(request.ends_with(" HTTP/2.0"), "{line}");
            request
        });
        check_each_number_was_requested_once_per_round(lines, &record);
        for worker in measurements(&record) {
            let traffic = &worker.traffic["http"];
            assert!(traffic.reconnects > 0, "{traffic:?}");
            assert_eq!(traffic.abandoned, 0, "{traffic:?}");
            assert_eq!(worker.gauges["http2_streams"], 4.0);
        }
        let PlannedServer::External { software, .. } = &record.plan.scenarios[0].servers["http"]
        else {
            panic!("an external server");
        };
        let software = software.as_deref().unwrap_or_default();
        assert!(software.starts_with("nginx"), "{software}");
    }
}

/// nghttpd with these options, its address and its frame log; `None`, with a message, if it is not installed.
fn nghttpd(sandbox: &Sandbox, options: &[&str]) -> Option<(Started, String, PathBuf)> {
    if Command::new("nghttpd").arg("--version").output().is_err() {
        skip_without("nghttpd");
        return None;
    }
    let address = closed_address();
    let log = sandbox.path().join("frames.log");
    // Through a shell, since the log is larger than a pipe.
    let mut command = Command::new("sh");
    let serve =
        "exec nghttpd -v --no-content-length --echo-upload -a 127.0.0.1 \"$@\" > frames.log";
    command.args(["-c", serve, "sh"]).args(options);
    command.arg(port(&address)).current_dir(sandbox.path());
    let started = Started::of(command);
    wait_for("nghttpd", || {
        std::net::TcpStream::connect(&address).ok().map(drop)
    });
    Some((started, address, log))
}

/// Goal: a server's limit of two streams is respected and recorded. Method: nghttpd refuses streams above its limit, and
/// logs the fields of every request.
#[test]
fn nghttpd_echoes_bodies_within_its_stream_limit() {
    let sandbox = Sandbox::new();
    sandbox.write("index.html", "hello");
    let Some((_server, address, log)) = nghttpd(&sandbox, &["--no-tls", "-m", "2"]) else {
        return;
    };
    let body = "x".repeat(300_000);
    let scenario = format!(
        "title = \"Echo\"\nload = {{ concurrency = 2, ops = 4, warmup_ops = 1 }}\n\
         http = {{ version = \"2\", streams = 4 }}\n[[request]]\nsend = \"POST /echo-{{{{op}}}}\"\n\
         body = {{ text = \"{body}\" }}\nexpect = {{ bytes = {} }}\n",
        body.len()
    );
    let scenario = sandbox.write("echo.toml", &scenario);
    let record = run(&sandbox, &scenario, &[format!("http=http://{address}")]);
    for worker in measurements(&record) {
        assert_eq!(worker.gauges["http2_streams"], 2.0);
        assert_eq!(worker.traffic["http"].requests, 20);
    }
    let log = std::fs::read_to_string(log).expect("its log");
    let requests = log.matches("recv (stream_id=").count();
    assert!(requests > 0, "{log}");
    let paths = log.matches(":path: /echo-").count();
    assert_eq!(paths, record.rounds.len() * 20);
}

#[test]
fn a_server_without_http2_is_refused_by_the_probe_and_never_downgraded_to() {
    let sandbox = Sandbox::new();
    let Some(authority) = Authority::new(&sandbox) else {
        return;
    };
    let server = authority.certificate("server", NAMES, 30);
    let secure = closed_address();
    let directory = sandbox.path().display();
    let locations = format!(
        "listen {secure} ssl; {} access_log {directory}/requests.log combined;\n\
         location / {{ return 200 'hello'; }}",
        server.nginx()
    );
    let Some((_nginx, plain)) = nginx_serving(&sandbox, &locations) else {
        return;
    };
    let scenario = sandbox.write("numbered.toml", NUMBERED);
    let scenario = scenario.to_str().expect("text");
    let plain = format!("http=http://{plain}");
    let refused = sandbox.run(&["run", scenario, "--target", &plain]);
    refused.check(1, &["does not speak HTTP/2", "hint:", "version = \"1.1\""]);
    let secure = format!("http=https://localhost:{}", port(&secure));
    let ca = format!("http-ca={}", authority.file().display());
    let refused = sandbox.run(&["run", scenario, "--target", &secure, "--target", &ca]);
    let words = "HTTP/2 was offered, and the server chose http/1.1";
    refused.check(1, &["does not speak HTTP/2 over TLS", words, "hint:"]);
    let log = std::fs::read_to_string(sandbox.path().join("requests.log")).unwrap_or_default();
    assert!(!log.contains("HTTP/1.1\""), "{log}");
}

#[test]
fn an_http2_only_server_gets_a_hint_that_names_the_version() {
    let sandbox = Sandbox::new();
    let Some((_server, address, _)) = nghttpd(&sandbox, &["--no-tls"]) else {
        return;
    };
    let target = format!("http=http://{address}");
    let refused = sandbox.run(&["run", "http-get", "--target", &target]);
    refused.check(
        1,
        &[
            "does not speak HTTP/1.1",
            "hint: it speaks HTTP/2: use the workload `http` with `version = \"2\"` in `[http]`",
        ],
    );
    // A database scenario in the same run sends nothing to this server.
    let load = "[load]\nops = 2\nwarmup_ops = 1\n";
    let request =
        "[http]\nversion = \"2\"\n[[request]]\nsend = \"GET /\"\nexpect.status = [200, 404]\n";
    sandbox.write("h2.toml", &[request, load].concat());
    let statement = "[sqlite]\n[[transaction]]\nstatements = [\"SELECT 1\"]\n";
    sandbox.write("bank.toml", &[statement, load].concat());
    let both = ["run", "h2.toml", "bank.toml", "--target", &target];
    let both = sandbox.run(&[&both[..], &["--runtimes=sync", "--rounds=1", "--no-redo"]].concat());
    both.check(0, &[]);
}

#[test]
fn the_mock_limits_streams_and_ends_connections_as_configured() {
    let sandbox = Sandbox::new();
    let behaviour = "[server.http]\nkind = \"http\"\nmax_streams = 3\ngoaway_after = 10\n";
    let requests = NUMBERED
        .replace("/n/", "/text/")
        .replace("POST /text/", "PUT /items/")
        .replace("expect = { text = \"hello\" }", "");
    for tls in ["", "[tls]\n"] {
        let scenario = sandbox.write("mock.toml", &[&requests, behaviour, tls].concat());
        let record = run(&sandbox, &scenario, &[]);
        for round in &record.rounds {
            let Outcome::Ok(measured) = &round.outcome else {
                panic!("{:?}", round.outcome);
            };
            let counts = &measured.servers["http"];
            assert_eq!(counts.requests, Some(4 * (OPERATIONS + 1)), "{counts:?}");
        }
        for worker in measurements(&record) {
            assert_eq!(worker.gauges["http2_streams"], 3.0);
            let traffic = &worker.traffic["http"];
            assert_eq!(traffic.requests, 4 * (OPERATIONS + 1), "{traffic:?}");
            assert!(traffic.connections > 2, "{traffic:?}");
        }
    }
}
