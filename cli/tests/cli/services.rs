//! The scenarios of `examples/` against services that were not written for Photofinish: APIs in Python and in Node, each
//! behind nginx with TLS, and PostgreSQL. Their logs show exactly the intended requests.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use photofinish_record::Outcome;
use serde_json::Value;

use crate::certificates::{Authority, Certificate};
use crate::nginx::nginx_serving;
use crate::pgbench::start_pgbouncer;
use crate::support::{Sandbox, Started, closed_address, python, skip_without, wait_for};
use crate::user_database::Database;

/// A server that logs each request as a line of JSON, and writes its port to stdout.
pub struct Service {
    child: Child,
    pub address: String,
    pub log: PathBuf,
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
            .arg(example("users.csv"))
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

    fn in_node(sandbox: &Sandbox) -> Option<Self> {
        if Command::new("node").arg("--version").output().is_err() {
            skip_without("node");
            return None;
        }
        Some(Self::start(Command::new("node"), "shop_api.js", sandbox))
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

/// nginx with TLS in front of a service.
struct TlsProxy {
    _nginx: Started,
    targets: [String; 2],
}

impl TlsProxy {
    fn of(service: &Service, sandbox: &Sandbox) -> Option<Self> {
        let authority = Authority::new(sandbox)?;
        let certificate = authority.certificate("front", "DNS:localhost", 30);
        let secure = closed_address();
        let locations = format!(
            "}}\nlog_format whole '$request_method $uri $server_protocol $ssl_protocol $status';\n\
             server {{ listen {secure} ssl http2; ssl_protocols TLSv1.3; {} access_log {}/secure.log whole;\n\
             location / {{ proxy_pass http://{}; proxy_http_version 1.1; proxy_set_header connection ''; }}",
            certificate.nginx(),
            sandbox.path().display(),
            service.address,
        );
        let (nginx, _) = nginx_serving(sandbox, &locations)?;
        let port = secure.rsplit(':').next().expect("a port");
        Some(Self {
            _nginx: nginx,
            targets: [
                format!("http=https://localhost:{port}"),
                format!("http-ca={}", authority.file().display()),
            ],
        })
    }
}

/// Requests that nginx answered successfully over TLS in this HTTP version, by method and path.
fn through_tls(sandbox: &Sandbox, version: &str) -> BTreeMap<String, u64> {
    let log = fs::read_to_string(sandbox.path().join("secure.log")).expect("nginx's log");
    let mut counts = BTreeMap::new();
    for line in log.lines().filter(|line| !line.starts_with("GET / ")) {
        let answered = format!(" HTTP/{version} TLSv1.3 2");
        let (request, end) = line.split_once(&answered).expect(line);
        assert_eq!(end.len(), 2, "{line}");
        *counts.entry(request.to_owned()).or_default() += 1;
    }
    counts
}

fn example(file: &str) -> PathBuf {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    examples.join(file)
}

/// One round each.
const RUNTIMES: [&str; 5] = ["sync", "threads", "pool", "tokio", "smol"];
const ROUNDS: usize = RUNTIMES.len();
const OPERATIONS: u64 = 12;
const WARMUP: u64 = 3;
/// Concurrent requests in an operation of `items.toml`.
const STREAMS: usize = 8;

const TINY: [&str; 5] = [
    "--rounds=1",
    "--concurrency=3",
    "--set=load.ops=12",
    "--set=load.warmup_ops=3",
    "--no-redo",
];

/// Operations of a round, warm-up included.
fn operations() -> impl Iterator<Item = u64> {
    (0..OPERATIONS).chain((0..WARMUP).map(|op| (1 << 48) + op))
}

/// Runs a scenario of `examples/`; nothing may fail.
fn run(sandbox: &Sandbox, file: &str, targets: &[String], runtimes: &[&str], code: i32) {
    let (file, runtimes_text) = (example(file).display().to_string(), runtimes.join(","));
    let mut arguments = vec!["run", &file, "--runtimes", &runtimes_text];
    for target in targets {
        arguments.extend(["--target", target]);
    }
    sandbox
        .run(&[&arguments, &TINY[..]].concat())
        .check(code, &[]);
    let record = sandbox.record();
    assert_eq!(record.rounds.len(), runtimes.len());
    for round in &record.rounds {
        let Outcome::Ok(measured) = &round.outcome else {
            panic!("{:?}", round.outcome);
        };
        let worker = &measured.worker;
        assert!(worker.errors.is_empty(), "{:?}", worker.errors);
        assert_eq!(worker.violations, [""; 0]);
        assert_eq!(worker.ops, OPERATIONS);
    }
}

/// Checks a shop's log: each operation logs its user in and places one order, with that user's session and cookie.
fn check_orders(shop: &Service, sandbox: &Sandbox) {
    let users = fs::read_to_string(example("users.csv")).expect("the feed");
    let users: Vec<&str> = users
        .lines()
        .skip(1)
        .filter_map(|line| line.split(',').next())
        .collect();
    let mut expected = BTreeMap::new();
    for op in operations() {
        let user = users[(op % users.len() as u64) as usize];
        for line in [
            "POST /api/login",
            "GET /api/cart?limit=20",
            "POST /api/orders",
        ] {
            *expected.entry((line, user)).or_insert(0) += ROUNDS;
        }
    }
    let requests = shop.requests();
    let mut counts = BTreeMap::new();
    let mut keys = BTreeMap::new();
    for request in &requests {
        let text = |field: &str| request[field].as_str().expect("text");
        let (line, user) = (text("line"), text("user"));
        *counts.entry((line, user)).or_insert(0) += 1;
        if line == "POST /api/orders" {
            let order: Value = serde_json::from_str(text("body")).expect("JSON");
            assert_eq!(order["note"], format!("for {user}"));
            assert_eq!(order["item"], user.chars().count());
            assert!(keys.insert(text("key"), user).is_none(), "{request}");
        }
        assert!(
            line == "POST /api/login" || request["own_cookie"] == true,
            "{request}"
        );
    }
    assert_eq!(counts, expected);
    for (key, user) in keys {
        let op: usize = key
            .rsplit('-')
            .next()
            .and_then(|op| op.parse().ok())
            .expect("a number");
        assert_eq!(user, users[op % users.len()], "{key}");
    }
    let operations = ROUNDS as u64 * (OPERATIONS + WARMUP);
    let through = ["GET /api/cart", "POST /api/login", "POST /api/orders"]
        .map(|line| (line.to_owned(), operations));
    assert_eq!(through_tls(sandbox, "1.1"), BTreeMap::from(through));
}

#[test]
fn a_python_shop_receives_each_login_cart_and_order_once() {
    let Some(python) = python("aiohttp", "aiohttp") else {
        return;
    };
    let sandbox = Sandbox::new();
    let shop = Service::start(Command::new(python), "shop_api.py", &sandbox);
    let Some(front) = TlsProxy::of(&shop, &sandbox) else {
        return;
    };
    run(&sandbox, "login.toml", &front.targets, &RUNTIMES, 0);
    check_orders(&shop, &sandbox);
    // The plan names the writes that rounds repeat: here only the login.
    let file = example("login.toml").display().to_string();
    let planned = sandbox.run(&["plan", &file, "--target", &front.targets[0]]);
    let text = planned.check(0, &[]).stdout;
    let words: Vec<&str> = text.split_whitespace().collect();
    let expected = "every round repeats the writes of the previous one (log in)";
    assert!(words.join(" ").contains(expected), "{text}");
}

#[test]
fn a_node_shop_receives_each_login_cart_and_order_once() {
    let sandbox = Sandbox::new();
    let Some(shop) = Service::in_node(&sandbox) else {
        return;
    };
    let Some(front) = TlsProxy::of(&shop, &sandbox) else {
        return;
    };
    run(&sandbox, "login.toml", &front.targets, &RUNTIMES, 0);
    check_orders(&shop, &sandbox);
}

#[test]
fn a_node_api_receives_nine_reads_to_one_write() {
    let sandbox = Sandbox::new();
    let Some(items) = Service::in_node(&sandbox) else {
        return;
    };
    let Some(front) = TlsProxy::of(&items, &sandbox) else {
        return;
    };
    // Too few operations for a p99: the thresholds cannot be judged.
    run(&sandbox, "items.toml", &front.targets, &RUNTIMES, 4);
    let requests = items.requests();
    let per_round = STREAMS * (OPERATIONS + WARMUP) as usize;
    assert_eq!(requests.len(), ROUNDS * per_round);
    // Rounds follow one another, and each has the same requests, whatever the runtime.
    let mut rounds = requests.chunks(per_round).map(|round| {
        let mut lines: Vec<String> = round.iter().map(Value::to_string).collect();
        lines.sort_unstable();
        lines
    });
    let first = rounds.next().expect("a round");
    assert!(rounds.all(|round| round == first));
    let writes = first.iter().filter(|line| line.contains("PUT /items/"));
    assert!((3..25).contains(&writes.count()), "{first:#?}");
    let measured: u64 = sandbox
        .record()
        .rounds
        .iter()
        .map(|round| match &round.outcome {
            Outcome::Ok(measured) => measured.worker.traffic["http"].requests,
            _ => 0,
        })
        .sum();
    let through = through_tls(&sandbox, "2.0");
    assert_eq!(through.values().sum::<u64>(), measured);
    assert_eq!(measured, requests.len() as u64);
}

/// Checks the server's log after a round each of two runtimes: every transaction once, statement by statement, with the
/// same values under both.
fn check_statements(database: &Database) {
    const LAST: &str = "SELECT 'the last statement'";
    database.sql(LAST);
    let log = wait_for("the log", || {
        let log = database.server.log();
        log.iter().any(|line| line.contains(LAST)).then_some(log)
    });
    let mut executed: BTreeMap<String, u64> = BTreeMap::new();
    let mut values: BTreeMap<(String, String), u64> = BTreeMap::new();
    // The statement of each session, by process: its values are in the line after it, among those of others.
    let mut current: BTreeMap<&str, &str> = BTreeMap::new();
    for line in &log {
        let process = line.split(['[', ']']).nth(1).unwrap_or_default();
        if let Some((_, statement)) = line.split_once("LOG:  execute ") {
            let (_, statement) = statement.split_once(": ").expect("a name");
            current.insert(process, statement);
            *executed.entry(statement.to_owned()).or_default() += 1;
        } else if let Some((_, parameters)) = line.split_once("arameters: ")
            && let Some(statement) = current.get(process)
        {
            let drawn = ((*statement).to_owned(), parameters.to_owned());
            *values.entry(drawn).or_default() += 1;
        }
    }
    let transactions = 2 * (OPERATIONS + WARMUP);
    let mut statements: Vec<_> = executed.keys().map(|it| first_words(it)).collect();
    statements.sort();
    let expected = [
        "BEGIN",
        "COMMIT",
        "INSERT INTO pgbench_history",
        "SELECT abalance FROM",
        "UPDATE pgbench_accounts SET",
        "UPDATE pgbench_branches SET",
        "UPDATE pgbench_tellers SET",
    ];
    assert_eq!(statements, expected);
    assert!(
        executed.values().all(|count| *count == transactions),
        "{executed:?}"
    );
    let drawn: u64 = values.values().sum();
    assert_eq!(drawn, 5 * transactions);
    let odd = values.iter().find(|(_, count)| *count % 2 == 1);
    assert_eq!(odd, None, "the runtimes sent different values");
}

fn first_words(statement: &str) -> String {
    let words: Vec<_> = statement.split_whitespace().take(3).collect();
    words.join(" ")
}

/// PostgreSQL behind a session pool that accepts only TLS; its log shows each statement of each transaction once.
#[test]
fn balances_agree_after_each_tpcb_round_through_a_pool_with_tls() {
    let Some(database) = Database::new("tpcb") else {
        return;
    };
    let sandbox = Sandbox::new();
    let Some(authority) = Authority::new(&sandbox) else {
        return;
    };
    let Certificate { cert, key } = authority.certificate("pool", "DNS:localhost", 30);
    // The pool runs as nobody.
    fs::set_permissions(sandbox.path(), Permissions::from_mode(0o755)).expect("readable");
    fs::set_permissions(&key, Permissions::from_mode(0o644)).expect("readable");
    let pool = format!(
        "pool_mode = session\nclient_tls_sslmode = require\nclient_tls_cert_file = {}\nclient_tls_key_file = {}",
        cert.display(),
        key.display()
    );
    let Some((port, _pool)) = start_pgbouncer(&database, &sandbox, &pool) else {
        return;
    };
    let target = format!(
        "db=postgres://postgres@localhost:{port}/tpcb?sslmode=verify-full&sslrootcert={}",
        authority.file().display()
    );
    database.sql("ALTER DATABASE tpcb SET log_statement = 'all'");
    run(&sandbox, "tpcb.toml", &[target], &["sync", "tokio"], 0);
    check_statements(&database);
    for round in &sandbox.record().rounds {
        let Outcome::Ok(measured) = &round.outcome else {
            unreachable!("checked");
        };
        let parts = measured.worker.parts.iter();
        let counts: Vec<_> = parts
            .map(|part| (part.name.as_str(), part.succeeded))
            .collect();
        let expected = [
            "tpcb",
            "tpcb: BEGIN",
            "tpcb: 1 UPDATE",
            "tpcb: 2 SELECT",
            "tpcb: 3 UPDATE",
            "tpcb: 4 UPDATE",
            "tpcb: 5 INSERT",
            "tpcb: COMMIT",
        ];
        assert_eq!(counts, expected.map(|name| (name, OPERATIONS)));
        let traffic = measured.worker.traffic["db"];
        assert!(traffic.full_handshakes > 0, "{traffic:?}");
    }
    database.check_untouched();
}
