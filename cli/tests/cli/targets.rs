//! Servers that are already there: probed before anything is measured, named in the record, measured by the same
//! scenarios.

use std::io::{Read, Write};
use std::net::TcpListener;

use photofinish_record::{Outcome, PlannedServer, Record};

use crate::nginx::nginx;
use crate::serve::served;
use crate::support::{Finished, Sandbox, TINY, closed_address};

#[test]
fn a_target_that_refuses_is_told_before_anything_is_measured() {
    let sandbox = Sandbox::new();
    let target = format!("http=http://{}/", closed_address());
    sandbox
        .run(&["run", "http-get", "--target", &target])
        .check(1, &["no answer from http://127.0.0.1", "hint:"]);
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
fn a_server_that_is_already_there_is_measured_and_named() {
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

#[test]
fn counts_that_disagree_end_with_the_code_for_wrong() {
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
    let told = [
        "measured, but wrong",
        "requests (http): the worker counted",
        "the server 0",
    ];
    sandbox.run(&arguments).check(5, &told);
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
