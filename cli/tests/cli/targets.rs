//! Servers that are already there: probed before anything is measured, named in the record, measured by the same
//! scenarios.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use photofinish_record::{Outcome, PlannedServer, Record};

use crate::nginx::nginx;
use crate::serve::served;
use crate::support::{Finished, Sandbox, TINY, closed_address};

#[test]
fn a_target_that_refuses_is_reported_before_anything_is_measured() {
    let sandbox = Sandbox::new();
    let target = format!("http=http://{}/", closed_address());
    sandbox
        .run(&["run", "http-get", "--target", &target])
        .check(1, &["no response from http://127.0.0.1", "hint:"]);
    assert!(!sandbox.path().join("photofinish-runs").exists());
}

#[test]
fn a_password_is_never_repeated() {
    let sandbox = Sandbox::new();
    let target = format!("db=postgres://ann:s3cret@{}/shop", closed_address());
    let refused = sandbox
        .run(&["run", "db-select", "--target", &target])
        .check(1, &["postgres://ann@127.0.0.1"]);
    without_password(&refused);
    let remote = sandbox
        .run(&[
            "run",
            "db-select",
            "--target",
            "db=postgres://ann:s3cret@192.0.2.1/shop",
        ])
        .check(2, &[]);
    without_password(&remote);
    let malformed = sandbox
        .run(&[
            "run",
            "db-select",
            "--target",
            "db=postgres://ann:s3cret@[/shop",
        ])
        .check(2, &[]);
    without_password(&malformed);
}

fn without_password(finished: &Finished) {
    assert!(!format!("{finished:?}").contains("s3cret"), "{finished:?}");
}

#[test]
fn a_running_server_is_measured_and_named() {
    let sandbox = Sandbox::new();
    let (_server, address) = served(&sandbox, &["http"]);
    let target = format!("http=http://{address}/bytes/64");
    let arguments = [
        &[
            "run",
            "http-get",
            "--runtimes",
            "sync,tokio",
            "--target",
            &target,
        ],
        &TINY[..],
    ]
    .concat();
    sandbox.run(&arguments).check(0, &[]);
    let PlannedServer::External { url, .. } = &sandbox.record().plan.scenarios[0].servers["http"]
    else {
        panic!("an external server");
    };
    assert_eq!(*url, format!("http://{address}/bytes/64"));
}

/// A server that answers every request with the same, and keeps what it was asked for.
fn listening_server() -> (String, Arc<Mutex<BTreeSet<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let asked = Arc::new(Mutex::new(BTreeSet::new()));
    let all = Arc::clone(&asked);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let asked = Arc::clone(&all);
            std::thread::spawn(move || {
                let mut lines = BufReader::new(stream.try_clone().expect("a stream")).lines();
                while let Some(Ok(line)) = lines.next() {
                    let mut words = line.split(' ');
                    let is_request = matches!(words.next(), Some("GET" | "POST"));
                    if let Some(path) = words.next().filter(|_| is_request) {
                        asked.lock().expect("not poisoned").insert(path.to_owned());
                    }
                    let page = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 18\r\n\r\n<title>One</title>";
                    if line.is_empty() && stream.write_all(page.as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    (address, asked)
}

#[test]
fn an_address_is_asked_for_as_it_was_written() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "mine.toml",
        "workload = 'http-get'\nparams.path = '/mine'\n",
    );
    sandbox.write("pathless.toml", "workload = 'http-get'\n");
    let check = |scenario: &[&str], path: &str, code: i32, expected: &[&str]| {
        let (address, asked) = listening_server();
        let target = format!("--target=http=http://{address}{path}");
        let short = [
            "--rounds=1",
            "--set=load.ops=3",
            "--set=load.warmup_ops=1",
            "--runtimes=sync",
            "--no-redo",
        ];
        let finished = sandbox.run(&[&["run"], scenario, &[&target], &short].concat());
        assert_eq!(
            finished.code,
            Some(code),
            "{scenario:?} {path}: {finished:#?}"
        );
        // The probe asks for the address itself.
        let probe = if path.is_empty() { "/" } else { path };
        let mut expected: BTreeSet<_> = expected.iter().map(ToString::to_string).collect();
        expected.insert(probe.to_owned());
        assert_eq!(
            *asked.lock().expect("not poisoned"),
            expected,
            "{scenario:?} {path}"
        );
    };
    for address in ["", "/"] {
        check(&["http-get"], address, 0, &[]);
        check(&["pathless.toml"], address, 0, &[]);
        check(&["http-get", "--set=path=/x"], address, 0, &["/x"]);
        check(&["mine.toml"], address, 0, &["/mine"]);
    }
    check(&["http-get"], "/a?b", 0, &[]);
    check(&["mine.toml"], "/a?b", 0, &[]);
    // Nor does any other workload ask for what only the embedded server has.
    for scenario in [
        "http-connect",
        "http-delay",
        "http-fanout",
        "http-limited",
        "http-queue",
        "http-stream",
        "idle-connections",
    ] {
        check(&[scenario], "/", 0, &[]);
    }
    for scenario in ["scrape", "download"] {
        check(&[scenario], "/", 0, &["/site-report"]);
    }
    check(&["crawl"], "/", 0, &["/robots.txt", "/site-report"]);
    check(&["http-post"], "/", 5, &[]);
    for scenario in ["http-errors", "http-json", "http-retry", "http-timeout"] {
        check(&[scenario], "/", 1, &[]);
    }
    check(
        &["http-json", "--set=user=/u", "--set=posts=['/p']"],
        "/",
        5,
        &["/p", "/u"],
    );
}

#[test]
fn a_workload_names_the_paths_it_needs() {
    let sandbox = Sandbox::new();
    let (address, _) = listening_server();
    let target = format!("--target=http=http://{address}/");
    let run =
        |scenario: &[&str]| sandbox.run(&[&["run"], scenario, &[&target], &TINY[..]].concat());
    run(&["http-errors"]).check(
        1,
        &[
            "expected paths of this server in `paths`, `reset` and `failing`",
            "--set",
        ],
    );
    run(&["http-errors", "--set=reset=/r"]).check(
        2,
        &[
            "expected paths of the target in `failing` or `paths`",
            "--set failing=/x",
        ],
    );
}

#[test]
fn disagreeing_counts_exit_with_5() {
    // A status page that never moves, whatever the server behind the other target is asked.
    let sandbox = Sandbox::new();
    let (_server, address) = served(&sandbox, &["http"]);
    let page = format!("http=http://{address}/bytes/64");
    let status = format!(
        "http-status=http://{}/status",
        status_page_that_stands_still()
    );
    let targets = ["--target", page.as_str(), "--target", status.as_str()];
    let arguments = [
        &["run", "http-get", "--runtimes", "tokio"],
        &targets[..],
        &TINY,
    ]
    .concat();
    let expected = [
        "measured, but wrong",
        "requests (http): the worker counted",
        "the server 0",
    ];
    sandbox.run(&arguments).check(5, &expected);
    let record = sandbox.record();
    assert!(record.rounds.iter().all(|round| match &round.outcome {
        Outcome::Ok(measured) => !measured.mismatches.is_empty(),
        _ => false,
    }));
}

fn status_page_that_stands_still() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut asked = [0; 1024];
            let _ = stream.read(&mut asked);
            let page = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nserver accepts handled requests\n 9 9 9 \n";
            stream.write_all(page.as_bytes()).expect("answered");
        }
    });
    address
}

#[test]
fn nginx_counts_what_the_worker_counts() {
    let sandbox = Sandbox::new();
    let Some((_nginx, address)) = nginx(&sandbox) else {
        return;
    };
    let (page, status) = (
        format!("http=http://{address}/page"),
        format!("http-status=http://{address}/status"),
    );
    let arguments = [
        &[
            "run",
            "http-get",
            "--runtimes",
            "sync,threads,tokio",
            "--target",
            &page,
            "--target",
            &status,
        ],
        &TINY[..],
    ]
    .concat();
    sandbox.run(&arguments).check(0, &[]);
    let record = sandbox.record();
    let PlannedServer::External { software, .. } = &record.plan.scenarios[0].servers["http"] else {
        panic!("an external server");
    };
    assert!(
        software
            .as_ref()
            .is_some_and(|software| software.starts_with("nginx")),
        "{software:?}"
    );
    assert_eq!(compared_requests(&record), record.rounds.len());
}

/// Rounds in which the server's requests were counted and found equal.
fn compared_requests(record: &Record) -> usize {
    let equal = record.rounds.iter().filter(|round| match &round.outcome {
        Outcome::Ok(measured) => {
            let (worker, server) = (measured.worker.traffic["http"], measured.servers["http"]);
            server.requests == Some(worker.requests)
                && server.connections == Some(worker.connections)
        }
        _ => false,
    });
    equal.count()
}
