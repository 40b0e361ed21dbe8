//! What reaches a terminal and the log of a CI system when servers, records and file names are hostile.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::support::{Finished, Sandbox, TINY, program, python, wait_for};

/// Runs the rest of its arguments on a pseudoterminal, and shows what a terminal gets.
const ON_A_TERMINAL: &str =
    "import os, pty, sys\nsys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";

/// The program on a terminal of the kind `term`; `None` where there is no Python.
fn on_a_terminal(sandbox: &Sandbox, term: Option<&str>, arguments: &[&str]) -> Option<Finished> {
    let mut command = Command::new(python("pty", "its standard library")?);
    command
        .args(["-c", ON_A_TERMINAL])
        .arg(program())
        .args(arguments);
    command
        .current_dir(sandbox.path())
        .env_remove("TERM")
        .env_remove("NO_COLOR")
        .env_remove("CI");
    command.envs(term.map(|term| ("TERM", term)));
    Some(Finished::of(&mut command))
}

/// A server that names itself with escape sequences of eight bits, which a header may hold, and a workflow command.
fn hostile_server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            std::thread::spawn(move || {
                let mut request = [0; 4096];
                while matches!(stream.read(&mut request), Ok(1..)) {
                    let answer = "HTTP/1.1 200 OK\r\nServer: \u{9b}2J \u{9d}0;pwned ::error::pwned\r\nContent-Length: 2\r\n\r\nok";
                    if stream.write_all(answer.as_bytes()).is_err() {
                        break;
                    }
                }
            });
        }
    });
    address
}

/// Sequences and letters that nothing but a progress bar may send.
#[track_caller]
fn check_harmless(finished: &Finished) {
    for bad in ["\x1b]", "\x07", "\x1b[2J", "\u{9b}", "\u{9d}"] {
        assert!(
            !finished.stdout.contains(bad) && !finished.stderr.contains(bad),
            "{finished:?}"
        );
    }
    let all = [&*finished.stdout, &*finished.stderr].join("\n");
    let command = all.lines().find(|line| line.trim_start().starts_with("::"));
    assert_eq!(command, None);
}

#[test]
fn server_text_records_and_names_cannot_control_a_terminal() {
    let sandbox = Sandbox::new();
    let target = format!("--target=http=http://{}/", hostile_server());
    let run = [
        &["run", "http-get", "--runtimes", "sync", &target],
        &TINY[..],
    ]
    .concat();
    let xterm = Some("xterm");
    let Some(message) = on_a_terminal(&sandbox, xterm, &run) else {
        return;
    };
    assert!(
        message.stdout.contains("pwned") && message.code == Some(0),
        "{message:?}"
    );
    check_harmless(&message);
    check_harmless(&sandbox.run(&run));
    // A record of somebody else.
    let latest = sandbox.latest().join("record.json");
    let mut record = serde_json::to_value(sandbox.record()).expect("JSON");
    let name = "\x1b]0;pwned\x07\x1b[2J\n::error::pwned";
    record["plan"]["scenarios"][0]["name"] = json!(name);
    for cell in record["plan"]["cells"].as_array_mut().expect("cells") {
        cell["scenario"] = json!(name);
    }
    record["id"] = json!(name);
    std::fs::write(latest, record.to_string()).expect("written");
    let run = "photofinish-runs/latest";
    sandbox
        .run(&["baseline", "promote", run, "main"])
        .check(0, &[]);
    let commands: [&[&str]; 9] = [
        &["runs"],
        &["baseline", "list"],
        &["baseline", "show", "main"],
        &["export", run, "--format", "csv"],
        &["export", run, "--format", "openmetrics"],
        &["compare", "main", run],
        &["gate", run],
        &["report", "\x1b]0;pwned\x07\n::error::pwned"],
        &["run", "\x1b]0;pwned\x07\n::error::pwned.toml"],
    ];
    for command in commands {
        check_harmless(&on_a_terminal(&sandbox, xterm, command).expect("as before"));
        if command[0] != "export" {
            check_harmless(&sandbox.run(command));
        }
    }
}

/// Goal: words of a server start no line of stderr. Method: a database that refuses the login in several lines.
#[test]
fn server_text_cannot_start_a_line() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let _ = stream.read(&mut [0; 4096]);
        let fields = b"SFATAL\0C28000\0Mno\n::error::pwned\n\x1b]0;pwned\x07\0\0";
        let length = u32::try_from(fields.len() + 4)
            .expect("short")
            .to_be_bytes();
        let _ = stream.write_all(&[&b"E"[..], &length, fields].concat());
    });
    let target = format!("--target=db=postgres://ann:s3cret@{address}/shop");
    let finished = Sandbox::new().run(&["run", "db-select", &target]);
    assert!(finished.stderr.contains("pwned"), "{finished:?}");
    check_harmless(&finished);
}

/// The program on a terminal with this many columns and 40 rows; `None` where there is no Python.
fn on_a_terminal_of(columns: u32, sandbox: &Sandbox, arguments: &[&str]) -> Option<Finished> {
    let size = format!("stty columns {columns} rows 40 && exec \"$0\" \"$@\"");
    let mut command = Command::new(python("pty", "its standard library")?);
    command.args(["-c", ON_A_TERMINAL, "sh", "-c", &size]);
    command.arg(program()).args(arguments);
    command.current_dir(sandbox.path()).env("TERM", "xterm");
    command.env_remove("NO_COLOR").env_remove("CI");
    Some(Finished::of(&mut command))
}

/// Goal: a run is watched as it goes. Method: a run on a terminal that has room for the view, and on one that has not.
#[test]
fn a_terminal_shows_the_runtimes_so_far_and_one_without_room_gets_lines() {
    let sandbox = Sandbox::new();
    let run = [
        "run",
        "null",
        "--runtimes",
        "sync,threads",
        "--rounds",
        "3",
        "--duration",
        "700ms",
        "--no-redo",
    ];
    let Some(live) = on_a_terminal_of(100, &sandbox, &run) else {
        return;
    };
    let live = live.check(0, &[]).stdout;
    for expected in [
        "so far ",
        "block 2 of 3 [",
        " of 6 rounds, about ",
        "now: null / threads (closed, ",
    ] {
        assert!(live.contains(expected), "{expected} is not in {live:?}");
    }
    // A row of a runtime: rate, p50, p99 and the number of rounds so far.
    let words = live.split("  ").map(str::trim);
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    let is_measured = |row: &[&str]| {
        row[0].ends_with("sync")
            && row[2].ends_with("ns")
            && row[3].ends_with('s')
            && row[4].starts_with('1')
    };
    assert!(words.windows(5).any(is_measured), "{live:?}");
    assert!(!live.contains("block 1 of 3 done"), "{live:?}");
    let narrow = on_a_terminal_of(50, &sandbox, &run).expect("as before");
    let narrow = narrow.check(0, &[]).stdout;
    assert!(
        narrow.contains("block 1 of 3 done") && !narrow.contains("so far"),
        "{narrow:?}"
    );
}

#[test]
fn a_dumb_terminal_gets_lines() {
    let sandbox = Sandbox::new();
    let run = [&["run", "null", "--runtimes", "sync"], &TINY[..]].concat();
    for term in [Some("dumb"), None] {
        let Some(message) = on_a_terminal(&sandbox, term, &run) else {
            return;
        };
        assert!(
            message.stdout.contains("block 1 of 2 done"),
            "{term:?}: {message:?}"
        );
    }
}

/// Goal: no long silence where nobody sees a bar. Method: a round that lasts much longer than the silence may.
#[test]
fn a_long_block_shows_progress_while_it_runs() {
    let sandbox = Sandbox::new();
    let arguments = [
        "run",
        "null",
        "--runtimes",
        "sync",
        "--rounds",
        "1",
        "--duration",
        "10m",
    ];
    let mut command = sandbox.command(&arguments);
    let log = sandbox.path().join("told");
    command.stdout(Stdio::null());
    command.stderr(std::fs::File::create(&log).expect("made"));
    let mut run = command.spawn().expect("it starts");
    wait_for("a line", || {
        std::fs::read_to_string(&log)
            .ok()?
            .contains("block 1 of 1: null / sync, about")
            .then_some(())
    });
    crate::support::send("INT", run.id());
    assert_eq!(run.wait().expect("it ends").code(), Some(130));
}
