//! The workload `http` against servers that keep every byte they are sent: the intended requests, in order,
//! the same under every runtime, and nothing else.

mod failures;
mod flows;
mod parameters;
mod wire;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use photofinish_record::Measurement;
use photofinish_record::protocol::{TargetAddress, WorkerPlan};
use photofinish_workloads::registry::workload;
use photofinish_workloads::worker::work;
use serde_json::Value;

use crate::support::rounds::{measured, plan};
use crate::support::tiny_server;

/// A request as received.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Received {
    head: String,
    body: String,
}

impl Received {
    /// Method and target.
    fn line(&self) -> &str {
        let line = self.head.lines().next().unwrap_or_default();
        line.strip_suffix(" HTTP/1.1").unwrap_or(line)
    }

    fn field(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .find(|(field, _)| *field == name)
            .map(|(_, value)| value)
    }
}

type Log = Arc<Mutex<Vec<Received>>>;

/// A server that answers each request with what `answer` makes of it, and closes after an empty answer.
fn server(answer: impl Fn(&Received) -> String + Send + Sync + 'static) -> (String, Log) {
    let log = Log::default();
    let seen = Arc::clone(&log);
    let address = tiny_server::start(move |client| {
        let mut client = BufReader::new(client);
        while let Some(request) = receive(&mut client) {
            seen.lock().expect("no panic").push(request.clone());
            let answer = answer(&request);
            if answer.is_empty() || client.get_mut().write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    });
    (format!("http://{address}"), log)
}

fn receive(client: &mut BufReader<&TcpStream>) -> Option<Received> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if client.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let mut request = Received {
        head,
        body: String::new(),
    };
    let length = request
        .field("content-length")
        .map_or(0, |length| length.parse().expect("a length"));
    let mut body = vec![0; length];
    client.read_exact(&mut body).ok()?;
    request.body = String::from_utf8(body).expect("text");
    Some(request)
}

/// A response with these header fields, lines with their ends.
fn response(status: u16, fields: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status} X\r\n{fields}content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn planned(params: &Value, url: &str, runtime: &str, operations: u64) -> WorkerPlan {
    planned_for("http", params, url, runtime, operations)
}

/// A plan of any HTTP workload.
fn planned_for(
    name: &str,
    params: &Value,
    url: &str,
    runtime: &str,
    operations: u64,
) -> WorkerPlan {
    let entry = workload(name).expect("it ships");
    let address = TargetAddress {
        url: url.to_owned(),
        address: None,
        mock: false,
        tls: None,
    };
    let directory = std::env::temp_dir();
    WorkerPlan {
        targets: [("http".to_owned(), address)].into(),
        run: "a-run".to_owned(),
        round: 7,
        ..plan(
            entry,
            params,
            Duration::from_millis(1),
            runtime,
            operations,
            &directory,
        )
    }
}

fn round(params: &Value, url: &str, runtime: &str, operations: u64) -> Measurement {
    let plan = planned(params, url, runtime, operations);
    measured(&plan, work(&plan).result)
}

/// The requests after those of the one operation of the warm-up, of which there are `warmup`.
fn requests(log: &Log, warmup: usize) -> Vec<Received> {
    log.lock().expect("no panic")[warmup..].to_vec()
}

/// The first failure's kind and example, without the number of its operation.
fn failure(measurement: &Measurement) -> (&str, &str) {
    let (kind, failures) = measurement.errors.first_key_value().expect("a failure");
    let (_, example) = failures.example.split_once(": ").expect("a number");
    (kind, example)
}

/// Checks for every round in this file: nothing failed, and each request was counted.
#[track_caller]
fn succeeded(measurement: &Measurement, operations: u64, requests: usize, runtime: &str) {
    assert!(
        measurement.errors.is_empty(),
        "{runtime}: {:?}",
        measurement.errors
    );
    assert_eq!(measurement.ops, operations, "{runtime}");
    assert_eq!(measurement.violations, [""; 0], "{runtime}");
    assert_eq!(
        measurement.traffic["http"].requests as usize, requests,
        "{runtime}"
    );
}

/// Successes and failures of each part, with its statuses.
fn parts(measurement: &Measurement) -> Vec<(&str, u64, u64, String)> {
    let parts = measurement.parts.iter();
    parts
        .map(|part| {
            let statuses = serde_json::to_string(&part.statuses).expect("JSON");
            (
                part.name.as_str(),
                part.succeeded,
                part.failed,
                statuses.replace('"', ""),
            )
        })
        .collect()
}
