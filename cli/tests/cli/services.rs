//! A user's own requests against services that were not written for Photofinish: an API in Python with sessions, and
//! one in Node behind nginx. Their logs show exactly the intended requests.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use photofinish_record::Outcome;
use serde_json::Value;

use crate::nginx::nginx_serving;
use crate::support::{Sandbox, python, skip_without};

/// A server that logs each request as a line of JSON, and writes its port to stdout.
pub struct Service {
    child: Child,
    pub address: String,
    pub log: std::path::PathBuf,
}

impl Service {
    pub fn start(mut command: Command, script: &str, sandbox: &Sandbox) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/cli/support")
            .join(script);
        let log = sandbox.path().join("requests.jsonl");
        let mut child = command
            .arg(script)
            .arg(&log)
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut port = String::new();
        let stdout = child.stdout.as_mut().expect("a pipe");
        BufReader::new(stdout).read_line(&mut port).expect("a port");
        let address = format!("127.0.0.1:{}", port.trim());
        Self {
            child,
            address,
            log,
        }
    }

    /// The requests of operations so far; the probe asks for `/`.
    pub fn requests(&self) -> Vec<Value> {
        let text = fs::read_to_string(&self.log).expect("a log");
        let all = text
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"));
        all.filter(|request: &Value| !request["line"].as_str().expect("text").ends_with(" /"))
            .collect()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const RUNTIMES: &str = "--runtimes=sync,threads,pool,tokio,smol";
const ROUNDS: u64 = 2;
const OPERATIONS: u64 = 12;
const WARMUP: u64 = 3;

/// The number of complete rounds of warm-up and measurement.
fn rounds(sandbox: &Sandbox) -> u64 {
    let record = sandbox.record();
    for round in &record.rounds {
        let Outcome::Ok(measured) = &round.outcome else {
            panic!("{:?}", round.outcome);
        };
        assert!(
            measured.worker.errors.is_empty(),
            "{:?}",
            measured.worker.errors
        );
        assert_eq!(measured.worker.violations, [""; 0]);
        assert_eq!(measured.worker.ops, OPERATIONS);
    }
    record.rounds.len() as u64
}

fn arguments(target: &str) -> [&str; 8] {
    [
        "--target",
        target,
        RUNTIMES,
        "--rounds=2",
        "--concurrency=3",
        "--set=load.ops=12",
        "--set=load.warmup_ops=3",
        "--no-redo",
    ]
}

#[test]
fn a_shop_in_python_gets_each_login_cart_and_order_once() {
    let Some(python) = python("http.server", "its standard library") else {
        return;
    };
    let sandbox = Sandbox::new();
    let shop = Service::start(Command::new(python), "shop_api.py", &sandbox);
    let users: Vec<String> = (0..5)
        .map(|user| format!("u{user} \"ä\"@example.org"))
        .collect();
    let rows = users
        .iter()
        .map(|user| format!("\"{0}\",\"pw {0}\"\n", user.replace('"', "\"\"")));
    sandbox.write(
        "users.csv",
        &format!("email,password\n{}", rows.collect::<String>()),
    );
    sandbox.write(
        "order.json",
        "{ \"item\": {{item}}, \"note\": \"from {{user.email}}\" }\n",
    );
    sandbox.write(
        "shop.toml",
        r#"
        feed.user = { file = "users.csv" }
        http = { cookies = true, headers = { accept = "application/json" } }
        [[flow]]
        [[flow.request]]
        name = "log in"
        send = "POST /api/login"
        json = { email = "{{user.email}}", password = "{{user.password}}" }
        capture = { token = "json /token" }
        [[flow.request]]
        name = "cart"
        send = "GET /api/cart?limit=20&for={{user.email}}"
        headers = { authorization = "Bearer {{token}}" }
        expect = { json = { "/user" = "{{user.email}}", "/currency" = "EUR" } }
        capture = { item = "json /items/0/id" }
        pause = "1ms"
        [[flow.request]]
        name = "buy"
        send = "POST /api/orders"
        headers = { authorization = "Bearer {{token}}", idempotency-key = "{{run}}-{{round}}-{{op}}" }
        body = { file = "order.json" }
        expect = { status = 201, header = { location = "/api/orders/" } }
        "#,
    );
    let target = format!("http=http://{}", shop.address);
    let arguments = arguments(&target);
    sandbox
        .run(&[&["run", "shop.toml"], &arguments[..]].concat())
        .check(0, &[]);
    let operations = rounds(&sandbox) * (OPERATIONS + WARMUP);
    assert_eq!(operations, 5 * ROUNDS * (OPERATIONS + WARMUP));
    let requests = shop.requests();
    let mut lines: BTreeMap<&str, u64> = BTreeMap::new();
    for request in &requests {
        let line = request["line"].as_str().expect("text");
        *lines
            .entry(line.split('?').next().expect("a path"))
            .or_default() += 1;
    }
    let expected =
        ["GET /api/cart", "POST /api/login", "POST /api/orders"].map(|line| (line, operations));
    assert_eq!(lines, BTreeMap::from(expected));
    let keys: BTreeSet<&str> = requests
        .iter()
        .filter_map(|request| request["key"].as_str())
        .collect();
    assert_eq!(
        keys.len() as u64,
        operations,
        "each order has a key of its own"
    );
    for request in requests
        .iter()
        .filter(|request| request["line"] == "POST /api/orders")
    {
        let (user, key) = (
            request["user"].as_str().expect("a user"),
            request["key"].as_str().expect("a key"),
        );
        let op: usize = key
            .rsplit('-')
            .next()
            .and_then(|op| op.parse().ok())
            .expect("a number");
        assert_eq!(user, users[op % users.len()], "{key}");
        assert_eq!(request["own_cookie"], true);
        let order: Value =
            serde_json::from_str(request["body"].as_str().expect("text")).expect("JSON");
        assert_eq!(order["note"], format!("from {user}"));
        assert_eq!(order["item"], user.chars().count());
    }
    // The plan names the writes that rounds repeat: here only the login.
    let planned = sandbox
        .run(&[&["plan", "shop.toml"], &arguments[..2]].concat())
        .check(0, &[]);
    let plan_text = planned.stdout + &planned.stderr;
    assert!(
        plan_text.contains("every round repeats the writes of the last one (log in)"),
        "{plan_text}"
    );
}

#[test]
fn items_in_node_behind_nginx_are_read_and_written_nine_to_one() {
    if Command::new("node").arg("--version").output().is_err() {
        skip_without("node");
        return;
    }
    let sandbox = Sandbox::new();
    let items = Service::start(Command::new("node"), "items_api.js", &sandbox);
    let upstream = &items.address;
    let locations = format!(
        "location / {{ proxy_pass http://{upstream}; proxy_http_version 1.1; proxy_set_header connection ''; }}"
    );
    let Some((_nginx, address)) = nginx_serving(&sandbox, &locations) else {
        return;
    };
    sandbox.write(
        "items.toml",
        r#"
        draw.id = { distribution = "zipf", from = 1, to = 1000, exponent = 1.1, scatter = true }
        draw.note = { text = 24 }
        [http.headers]
        x-run = "{{run}}-{{round}}-{{op}}"
        [[request]]
        name = "read"
        weight = 9
        send = "GET /items/{{id}}"
        expect = { status = 200, json = { "/id" = 0 } }
        [[request]]
        name = "write"
        send = "PUT /items/{{id}}"
        json = { note = "{{note}}" }
        expect = { status = 204 }
        "#,
    );
    let target = format!("http=http://{address}/");
    let arguments = arguments(&target);
    // The id of an item is a number, which no slot in a check can express: its header can.
    let header = "--set=request.0.expect={header = {etag = '\"{{id}}\"'}}";
    sandbox
        .run(&[&["run", "items.toml", header], &arguments[..]].concat())
        .check(0, &[]);
    let rounds = rounds(&sandbox);
    let requests = items.requests();
    assert_eq!(requests.len() as u64, rounds * (OPERATIONS + WARMUP));
    let keys: BTreeSet<&str> = requests
        .iter()
        .filter_map(|request| request["key"].as_str())
        .collect();
    assert_eq!(keys.len(), requests.len(), "each operation is one request");
    // The same number is the same request in every round and under every runtime.
    let mut by_operation: BTreeMap<&str, BTreeSet<(&str, &str)>> = BTreeMap::new();
    for request in &requests {
        let text = |field: &str| request[field].as_str().expect("text");
        let op = text("key").rsplit('-').next().expect("a number");
        by_operation
            .entry(op)
            .or_default()
            .insert((text("line"), text("body")));
    }
    assert_eq!(by_operation.len() as u64, OPERATIONS + WARMUP);
    assert!(
        by_operation.values().all(|requests| requests.len() == 1),
        "{by_operation:?}"
    );
    let log = fs::read_to_string(sandbox.path().join("access.log")).expect("nginx's log");
    let through = log.lines().filter(|line| line.starts_with("/items/"));
    assert_eq!(through.count(), requests.len());
}
