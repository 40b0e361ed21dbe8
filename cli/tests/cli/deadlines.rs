//! Servers that wait, fall silent, flood or refuse, and a system without threads: each ends within seconds in a
//! sentence that says what it is, ends its own cell only, and what was measured counts.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use photofinish_record::{Completion, Measured, Outcome, Record};

use crate::support::{Finished, Sandbox, Started, program, python, send, skip_without};

/// A Python server of this directory, and the port on which it listens.
struct Odd {
    port: u16,
    _process: Started,
}

impl Odd {
    fn start(script: &str, arguments: &[&str]) -> Option<Self> {
        let mut command = Command::new(python("socket", "its standard library")?);
        command
            .arg(format!(
                "{}/tests/cli/support/{script}",
                env!("CARGO_MANIFEST_DIR")
            ))
            .args(arguments)
            .stdin(Stdio::null());
        let mut process = Started::of(command);
        let mut port = String::new();
        let stdout = process.child().stdout.as_mut().expect("piped");
        BufReader::new(stdout).read_line(&mut port).expect("a line");
        Some(Self {
            port: port.trim().parse().expect("a port"),
            _process: process,
        })
    }

    /// Runs a scenario against it: short rounds of each cell.
    fn measure(&self, sandbox: &Sandbox, scenario: &str, path: &str, more: &[&str]) -> Finished {
        let kind = scenario.split('-').next().expect("a name");
        let target = format!("{kind}={kind}://127.0.0.1:{}/{path}", self.port);
        let mut arguments = vec!["run", scenario, "--target", &target];
        arguments.extend(["--duration=500ms", "--no-redo"]);
        arguments.extend(more);
        sandbox.run(&arguments)
    }
}

/// The measured rounds of a cell, and its failed ones.
fn rounds<'a>(record: &'a Record, runtime: &str, sessions: u32) -> (Vec<&'a Measured>, usize) {
    let cells = record.plan.cells.iter();
    let mut cells = cells.map(|cell| (cell.runtime.as_str(), cell.load.concurrency().get()));
    let cell = cells.position(|cell| cell == (runtime, sessions));
    let of_cell = |round: &&photofinish_record::Round| Some(round.cell) == cell;
    let mut measured = Vec::new();
    let mut failed = 0;
    for round in record.rounds.iter().filter(of_cell) {
        match &round.outcome {
            Outcome::Ok(round) => measured.push(&**round),
            _ => failed += 1,
        }
    }
    (measured, failed)
}

/// The time that a failed round waited, according to its message.
fn waited_s(round: &photofinish_record::Round) -> Option<f64> {
    let Outcome::Failed { reason } = &round.outcome else {
        return None;
    };
    let (before, _) = reason.split_once(" s of the warm-up")?;
    before.rsplit(' ').next()?.parse().ok()
}

#[test]
fn a_slow_server_is_distinguished_from_a_silent_one() {
    let Some(slow) = Odd::start("slots_http.py", &["slow", "1200"]) else {
        return;
    };
    let more = ["--rounds=1", "--runtimes=tokio", "--concurrency=16"];
    let sandbox = Sandbox::new();
    slow.measure(&sandbox, "http-get", "", &more).check(
        1,
        &[
            "a response takes",
            "hint: give each session time",
            "--duration",
            "--set load.warmup=",
        ],
    );
    // The two responses of set-up, and then none.
    let Some(silent) = Odd::start("slots_http.py", &["silent", "3"]) else {
        return;
    };
    let sandbox = Sandbox::new();
    let finished = silent.measure(&sandbox, "http-get", "", &more).check(
        1,
        &[
            "16 of 16 sessions connected but never got a response",
            "stopped responding",
            "hint: check the server's log",
        ],
    );
    assert!(!finished.stderr.contains("--duration"), "{finished:#?}");
}

#[test]
fn connections_are_counted_where_a_session_has_several() {
    let Some(server) = Odd::start("slots_http.py", &["wait", "1"]) else {
        return;
    };
    let sandbox = Sandbox::new();
    let more = [
        "--rounds=1",
        "--runtimes=tokio",
        "--concurrency=2",
        "--set=content=any",
    ];
    server.measure(&sandbox, "http-fanout", "", &more).check(
        1,
        &[
            "2 of 2 sessions of 3 connections each",
            "fewer than 6 connections at a time",
            "hint: let the server serve 6 connections at a time, 3 for each session",
        ],
    );
}

#[test]
fn a_database_that_falls_silent_in_set_up_is_reported_with_the_statement() {
    for (mode, text, runtimes, expected) in [
        (
            "statement",
            "CREATE SCHEMA",
            "threads,tokio,sync",
            // In random order: one of them waits, the others need not.
            &[
                "setting up failed",
                "the response of the target `db` to `CREATE SCHEMA photofinish_",
                "took longer than 10 s",
                "pg_stat_activity",
                "not run: the target `db` was silent while db-select / ",
            ][..],
        ),
        (
            "one",
            "",
            "threads",
            &[
                "setting up failed",
                "logging in and preparing statements took longer than 10 s",
                "fewer connections than are needed",
                "--concurrency",
            ],
        ),
    ] {
        let Some(server) = Odd::start("silent_pg.py", &[mode, text]) else {
            return;
        };
        let sandbox = Sandbox::new();
        let target = format!("--target=db=postgres://ann@127.0.0.1:{}/shop", server.port);
        let runtimes = format!("--runtimes={runtimes}");
        let quick = ["--rounds=1", &runtimes, "--no-redo"];
        let mut arguments = vec!["run", "db-select", &target];
        arguments.extend(quick);
        sandbox.run(&arguments).check(1, expected);
    }
}

#[test]
fn idle_connections_at_a_single_connection_server_are_reported_within_seconds() {
    let Some(server) = Odd::start("slots_http.py", &["wait", "1"]) else {
        return;
    };
    for runtime in ["--runtimes=threads", "--runtimes=tokio"] {
        let sandbox = Sandbox::new();
        let target = format!("--target=http=http://127.0.0.1:{}/", server.port);
        let more = ["--rounds=1", "--no-redo", "--set=count=20", runtime];
        let mut arguments = vec!["run", "idle-connections", &target];
        arguments.extend(more);
        sandbox.run(&arguments).check(
            1,
            &[
                "40 connections were opened at once, and one got no response within 10 s",
                "hint: the server seems to serve fewer connections at a time",
            ],
        );
    }
}

#[test]
fn a_url_that_is_not_a_websocket_endpoint_gets_a_hint() {
    let Some(page) = Odd::start("slots_http.py", &["wait", "400"]) else {
        return;
    };
    let Some(database) = Odd::start("silent_pg.py", &["statement", "-"]) else {
        return;
    };
    for server in [page, database] {
        let sandbox = Sandbox::new();
        let more = ["--rounds=1", "--runtimes=tokio", "--concurrency=1"];
        server.measure(&sandbox, "ws-echo", "", &more).check(
            1,
            &["hint: is it a WebSocket endpoint?", "--target ws=ws://"],
        );
    }
}

#[test]
fn a_server_that_ignores_sigterm_is_reported_and_waited_for_once() {
    let Some(python) = python("http.server", "its standard library") else {
        return;
    };
    let serve = format!(
        "exec {} -m http.server {{port}} --bind 127.0.0.1",
        python.display()
    );
    let deaf = format!("trap '' TERM; {serve}");
    let sandbox = Sandbox::new();
    let begin = std::time::Instant::now();
    let finished = sandbox.run(&[
        "gate",
        "http-get",
        "--base-server",
        &serve,
        "--head-server",
        &deaf,
        "--set=params.path=/",
        "--set=content=any",
        "--duration=20ms",
        "--set=load.warmup=5ms",
        "--concurrency=1",
        "--no-redo",
        "--runtimes=tokio",
        "--max-pairs=10",
        "--limit=throughput=50%",
    ]);
    assert!(matches!(finished.code, Some(0 | 3 | 4)), "{finished:#?}");
    let expected = "its server did not end within 3 s of SIGTERM";
    assert_eq!(
        finished.stderr.matches(expected).count(),
        1,
        "{finished:#?}"
    );
    let killed = sandbox.record().warnings;
    assert!(
        killed.iter().any(|warning| warning.contains(expected)),
        "{killed:?}"
    );
    assert!(begin.elapsed().as_secs() < 300);
}

#[test]
fn a_warning_known_before_the_run_is_printed_once() {
    let sandbox = Sandbox::new();
    let finished = sandbox.run(&[
        "run",
        "null",
        "--runtimes=sync",
        "--rounds=1",
        "--duration=20ms",
        "--concurrency=1",
        "--no-redo",
    ]);
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let printed = words(&finished.stdout);
    let warnings = sandbox.record().warnings;
    // Tests run a build without optimization, which is a warning.
    assert!(!warnings.is_empty());
    for warning in warnings {
        let count = printed.matches(&words(&warning)).count();
        assert_eq!(count, 1, "{warning}: {finished:#?}");
    }
}

#[test]
fn a_server_of_one_connection_at_a_time_is_reported_and_the_other_cells_have_numbers() {
    let Some(server) = Odd::start("slots_http.py", &["wait", "1"]) else {
        return;
    };
    let sandbox = Sandbox::new();
    let more = [
        "--rounds=2",
        "--runtimes=sync,threads,tokio",
        "--concurrency=1,16",
    ];
    let finished = server.measure(&sandbox, "http-get", "", &more).check(
        1,
        &[
            "15 of 16 sessions",
            "one connection at a time",
            "hint:",
            "skipped",
        ],
    );
    assert!(!finished.stderr.contains("dmesg"), "{}", finished.stderr);
    let record = sandbox.record();
    assert_eq!(record.completion, Completion::Complete);
    for (runtime, sessions) in [("sync", 1), ("threads", 1), ("tokio", 1), ("sync", 16)] {
        let (measured, failed) = rounds(&record, runtime, sessions);
        assert_eq!((measured.len(), failed), (2, 0), "{runtime} {sessions}");
        assert!(measured.iter().all(|round| round.worker.ops > 0));
    }
    for runtime in ["threads", "tokio"] {
        let (measured, failed) = rounds(&record, runtime, 16);
        assert_eq!((measured.len(), failed), (0, 1), "{runtime}");
    }
    // The served session was quick, so there is nothing to wait for: two seconds after the planned end, not eight.
    let waits = record.rounds.iter().filter_map(waited_s);
    assert!(waits.clone().count() == 2 && waits.clone().all(|waited_s| waited_s < 7.0));
    assert!(sandbox.latest().join("report.html").is_file());
}

#[test]
fn a_silent_server_keeps_what_was_measured_and_voids_its_cell() {
    let Some(server) = Odd::start("slots_http.py", &["silent", "400"]) else {
        return;
    };
    let sandbox = Sandbox::new();
    // A warm-up of a millisecond leaves answers for the measurement.
    let more = [
        "--rounds=1",
        "--runtimes=tokio",
        "--concurrency=4",
        "--set=load.warmup=1ms",
    ];
    let finished = server.measure(&sandbox, "http-get", "", &more);
    finished.check(
        5,
        &[
            "4 of 4 sessions got no more responses in",
            "operations completed",
        ],
    );
    let record = sandbox.record();
    let (measured, _) = rounds(&record, "tokio", 4);
    let worker = &measured[0].worker;
    assert_eq!(worker.errors["unfinished"].count, 4);
    assert!(worker.ops > 0 && worker.throughput_ops_s > 0.0);
}

#[test]
fn sessions_that_a_server_turns_away_are_counted() {
    let Some(server) = Odd::start("slots_http.py", &["reset", "8"]) else {
        return;
    };
    let sandbox = Sandbox::new();
    let finished = server.measure(
        &sandbox,
        "http-get",
        "",
        &["--rounds=1", "--runtimes=threads"],
    );
    assert!(matches!(finished.code, Some(1 | 5)), "{finished:#?}");
    assert!(finished.stderr.contains("8 of 16"), "{}", finished.stderr);
}

#[test]
fn websocket_server_faults_are_named() {
    let Some(server) = Odd::start("odd_ws.py", &[]) else {
        return;
    };
    let cases: &[(&str, i32, &[&str])] = &[
        ("never", 1, &["the opening handshake took longer than 5 s"]),
        ("r429", 1, &["429"]),
        (
            "ext",
            1,
            &["extension `permessage-deflate` was not offered"],
        ),
        ("twice", 1, &["Sec-WebSocket-Accept was sent 2 times"]),
        ("close", 5, &["closed by the server: 1001 restarting"]),
        ("fin", 5, &["without a closing handshake"]),
        ("flood", 5, &["`unasked` came once more than it was sent"]),
    ];
    for (path, code, expected) in cases {
        let sandbox = Sandbox::new();
        let more = ["--rounds=1", "--runtimes=tokio", "--concurrency=2"];
        let mut finished = server.measure(&sandbox, "ws-echo", path, &more);
        // The kinds of failures are in the record, each with its first example.
        finished.stderr +=
            &std::fs::read_to_string(sandbox.latest().join("record.json")).unwrap_or_default();
        finished.check(*code, expected);
    }
}

#[test]
fn data_after_the_close_is_bounded_and_slow_closes_do_not_add_up() {
    let Some(server) = Odd::start("odd_ws.py", &[]) else {
        return;
    };
    let sandbox = Sandbox::new();
    let more = ["--rounds=1", "--runtimes=tokio", "--concurrency=20"];
    let slow = server.measure(&sandbox, "ws-echo", "slow", &more);
    slow.check(0, &[]);
    let record = sandbox.record();
    let (measured, _) = rounds(&record, "tokio", 20);
    let warning = &measured[0].worker.warnings[0];
    assert!(warning.starts_with("20 of 20 sessions were not closed properly"));

    let sandbox = Sandbox::new();
    server
        .measure(&sandbox, "ws-echo", "flood", &more)
        .check(5, &[]);
    let record = sandbox.record();
    let (measured, _) = rounds(&record, "tokio", 20);
    let worker = &measured[0].worker;
    assert!(
        worker
            .violations
            .iter()
            .any(|text| text.ends_with("more unexpected messages"))
    );
    let memory = worker.cost.peak_rss_bytes.expect("known on Linux");
    assert!(memory < 200 << 20, "{memory} bytes");
}

#[test]
fn a_chat_against_an_echo_server_explains_what_a_chat_server_does() {
    let Some(server) = Odd::start("odd_ws.py", &[]) else {
        return;
    };
    let sandbox = Sandbox::new();
    let more = ["--rounds=1", "--runtimes=tokio", "--concurrency=1"];
    server.measure(&sandbox, "ws-chat", "echo", &more).check(
        5,
        &[
            "`message 2` was not heard by every client",
            "to all in the room",
        ],
    );
}

#[test]
fn a_worker_that_dies_ends_its_cell_only() {
    let sandbox = Sandbox::new();
    let mut run = sandbox.start(&[
        "run",
        "null",
        "--runtimes=sync,threads",
        "--rounds=3",
        "--duration=1s",
        "--concurrency=1",
        "--no-redo",
    ]);
    let worker = run.wait_for_child("worker");
    send("KILL", worker);
    run.finish().check(
        1,
        &[
            "killed by SIGKILL",
            "its other 2 rounds are skipped",
            "dmesg",
        ],
    );
    let record = sandbox.record();
    assert_eq!(record.completion, Completion::Complete);
    let measured = |runtime| rounds(&record, runtime, 1);
    let (sync, threads) = (measured("sync"), measured("threads"));
    let mut counts = [(sync.0.len(), sync.1), (threads.0.len(), threads.1)];
    counts.sort_unstable();
    assert_eq!(counts, [(0, 1), (3, 0)]);
}

#[test]
fn a_failure_to_start_threads_is_reported_without_a_hang_or_panic() {
    if !nix::unistd::Uid::effective().is_root() {
        // The limit counts all processes of a user, and root has none.
        return;
    }
    if Command::new("setpriv").arg("--version").output().is_err() {
        return skip_without("setpriv");
    }
    let sandbox = Sandbox::new();
    let everybody = std::fs::Permissions::from_mode(0o777);
    std::fs::set_permissions(sandbox.path(), everybody).expect("allowed");
    let mut reported = 0;
    for limit in 3..=12 {
        let mut command = Command::new("setpriv");
        // A user of its own, so that nothing else counts.
        let user = 61_000 + std::process::id() % 1_000 + 1_000 * limit;
        command
            .args([&format!("--reuid={user}"), "--clear-groups", "prlimit"])
            .arg(format!("--nproc={limit}"))
            .arg(program())
            .args([
                "run",
                "file-read",
                "--runtimes=smol",
                "--rounds=1",
                "--duration=50ms",
            ])
            .args(["--no-redo", "--concurrency=1"])
            .current_dir(sandbox.path())
            .env("TMPDIR", sandbox.path());
        let finished = Finished::of(&mut command);
        let _ = std::fs::remove_dir_all(sandbox.path().join("photofinish-runs"));
        // smol's pool keeps an operation whose thread was refused until another one asks for a thread: told as unfinished.
        let is_kept = finished.code == Some(5) && finished.stderr.contains("still in an operation");
        assert!(
            is_kept || matches!(finished.code, Some(0 | 1)),
            "{limit}: {finished:#?}"
        );
        assert!(
            !finished.stderr.contains("panicked"),
            "{limit}: {finished:#?}"
        );
        if finished.code == Some(1) {
            assert!(
                finished.stderr.contains("ulimit -u"),
                "{limit}: {finished:#?}"
            );
            reported += 1;
        }
    }
    assert!(reported > 0, "no limit was too low");
}
