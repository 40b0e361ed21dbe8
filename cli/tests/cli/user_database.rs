//! A user's database is the same before and after: runs that succeed, fail, are killed, or go through a proxy.
//!
//! `docs/METHOD.md` promises it. The whole database is compared, as `pg_dump` writes it. It holds what a run might take for its own.

use std::process::{Command, Stdio};
use std::sync::Arc;

use crate::support::{
    Finished, Sandbox, Started, TINY, closed_address, python, wait_for, wait_until_gone,
};

#[path = "../../../scenarios/tests/all/support/throwaway_postgres.rs"]
pub mod throwaway_postgres;

use throwaway_postgres::{PASSWORD, ThrowawayPostgres};

const EVERY_SCENARIO: [&str; 4] = ["db-crud", "db-pool", "db-select", "db-transaction"];

/// A database with tables of the names that workloads use, and with schemas that look like those of rounds: of another
/// name, without a mark, with the mark of another, with a table of the user's, with a view that depends on it.
const FURNITURE: &str = "
    CREATE SCHEMA photofinish_1; CREATE TABLE photofinish_1.mine AS SELECT 1 AS x;
    CREATE TABLE items AS SELECT 1 AS id, 'mine' AS name, 7 AS quantity;
    CREATE TABLE accounts AS SELECT 1 AS id, 7 AS balance; CREATE TABLE entries AS SELECT 1 AS id, 7 AS amount;
    CREATE TABLE customers AS SELECT 1 AS id; CREATE TABLE products AS SELECT 1 AS id; CREATE TABLE orders AS SELECT 1 AS id;
    DO $$ DECLARE name text; number int; BEGIN
        FOR number IN 1..4 LOOP
            name := 'photofinish_' || repeat(number::text, 32);
            EXECUTE format('CREATE SCHEMA %I', name);
            EXECUTE format('CREATE TABLE %I.items AS SELECT 1 AS id', name);
            IF number > 1 THEN
                EXECUTE format('COMMENT ON SCHEMA %I IS %L', name, CASE number WHEN 2 THEN 'photofinish_' || repeat('9', 32)
                    ELSE name END || ': made by photofinish for one round, and dropped after it');
            END IF;
        END LOOP;
        EXECUTE format('CREATE TABLE %I.mine AS SELECT 1 AS id', 'photofinish_' || repeat('3', 32));
        EXECUTE format('CREATE VIEW mine AS SELECT * FROM %I.items', 'photofinish_' || repeat('4', 32));
    END $$";

/// A furnished database of its own on the shared server.
pub(crate) struct Database {
    pub(crate) server: Arc<ThrowawayPostgres>,
    name: &'static str,
    before: String,
}

impl Database {
    pub(crate) fn new(name: &'static str) -> Option<Self> {
        let server = ThrowawayPostgres::shared()?;
        let mut database = Self {
            server,
            name: "postgres",
            before: String::new(),
        };
        database.sql(&format!("CREATE DATABASE {name}"));
        database.name = name;
        database.sql(FURNITURE);
        database.before = database.dump();
        Some(database)
    }

    /// The address for `user`, with a password if there is one, by way of `port`.
    pub(crate) fn target(&self, user: &str, port: u16) -> String {
        format!("db=postgres://{user}@127.0.0.1:{port}/{}", self.name)
    }

    /// A PostgreSQL client program, connected to it.
    pub(crate) fn client(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let port = self.server.port.to_string();
        command.args([
            "-h",
            "127.0.0.1",
            "-U",
            "postgres",
            "-p",
            &port,
            "-d",
            self.name,
        ]);
        command
    }

    #[track_caller]
    pub(crate) fn sql(&self, sql: &str) -> String {
        let mut psql = self.client("psql");
        let psql = psql.args(["-XqAt", "-v", "ON_ERROR_STOP=1", "-c", sql]);
        Finished::of(psql).check(0, &[]).stdout
    }

    /// Everything in the database.
    fn dump(&self) -> String {
        let dumped = Finished::of(&mut self.client("pg_dump")).check(0, &[]);
        // Newer versions protect the text by a random word.
        let lines = dumped
            .stdout
            .lines()
            .filter(|line| !line.contains("restrict "));
        Vec::from_iter(lines).join("\n")
    }

    #[track_caller]
    pub(crate) fn check_untouched(&self) {
        assert_eq!(self.dump(), self.before);
    }

    /// The schemas of rounds that are there beside the furniture.
    fn schemas(&self) -> usize {
        let marked = "SELECT count(*) FROM pg_namespace WHERE nspname ~ '^photofinish_' AND nspname !~ '_([1-4])\\1*$'";
        self.sql(marked).trim().parse().expect("a number")
    }

    /// A role that may do everything in this database, but for what the `clause` and `settings` say.
    fn role(&self, name: &'static str, clause: &str, setting: &str) -> &'static str {
        self.sql(&format!("CREATE ROLE {name} LOGIN IN ROLE guests {clause}"));
        self.sql(&format!("GRANT CREATE ON DATABASE {} TO {name}", self.name));
        if !setting.is_empty() {
            self.sql(&format!("ALTER ROLE {name} SET {setting}"));
        }
        name
    }
}

fn run<'a>(scenarios: &[&'a str], target: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let target = ["--target", target, "--runtimes", "sync,tokio"];
    [&["run"], scenarios, &target, &TINY, more].concat()
}

/// A run that goes on until it is ended.
fn long(target: &str) -> Vec<&str> {
    let more = ["--runtimes", "tokio", "--duration", "10m"];
    [&["run", "db-select", "--target", target][..], &more].concat()
}

#[test]
fn a_run_leaves_a_database_unchanged() {
    let Some(database) = Database::new("succeeding") else {
        return;
    };
    let sandbox = Sandbox::new();
    let target = database.target("postgres", database.server.port);
    sandbox
        .run(&run(&EVERY_SCENARIO, &target, &[]))
        .check(0, &[]);
    database.check_untouched();
}

#[test]
fn a_failed_run_leaves_a_database_unchanged_and_has_a_hint() {
    let Some(database) = Database::new("failing") else {
        return;
    };
    let port = database.server.port;
    database.sql("CREATE ROLE guests");
    let hurried = database.role("hurried", "", "statement_timeout = '1ms'");
    let reading = database.role("reading", "", "default_transaction_read_only = on");
    let few = database.role("few", "CONNECTION LIMIT 8", "");
    let poor = database.role("poor", "", "");
    database.sql("REVOKE CREATE ON DATABASE failing FROM poor");
    let sandbox = Sandbox::new();
    let check = |user: &'static str, scenarios: &[&str], expected: &[&str]| {
        let target = database.target(user, port);
        let sessions = ["--concurrency", "16", "--runtimes", "tokio"];
        let finished = sandbox.run(&run(scenarios, &target, &sessions));
        finished.check(1, &[expected, &["hint: "]].concat());
        database.check_untouched();
    };
    for scenario in EVERY_SCENARIO {
        check(
            reading,
            &[scenario],
            &["25006", "default_transaction_read_only"],
        );
        let grant = "GRANT CREATE ON DATABASE failing TO poor";
        check(poor, &[scenario], &["42501", grant]);
    }
    // The pool waits for connections instead; a statement that is quick enough may come through.
    check(
        few,
        &["db-select", "db-transaction"],
        &["53300", "CONNECTION LIMIT"],
    );
    let fill = ["db-select", "--set", "rows=1000000"];
    check(hurried, &fill, &["57014", "statement_timeout"]);
}

#[test]
fn an_interrupted_run_leaves_a_database_unchanged() {
    let Some(database) = Database::new("interrupted") else {
        return;
    };
    let target = database.target("postgres", database.server.port);
    let sandbox = Sandbox::new();
    for signal in ["INT", "TERM"] {
        let mut run = sandbox.start(&long(&target));
        wait_for("a schema", || (database.schemas() > 0).then_some(()));
        run.signal(signal);
        run.finish().check(130, &[]);
        database.check_untouched();
    }
}

#[test]
fn leftovers_of_a_killed_run_are_removed_by_the_next_one() {
    let Some(database) = Database::new("killed") else {
        return;
    };
    let sandbox = Sandbox::new();
    let target = database.target("postgres", database.server.port);
    for _ in 0..2 {
        let mut killed = sandbox.start(&long(&target));
        let worker = killed.wait_for_child("worker");
        wait_for("a schema", || (database.schemas() > 0).then_some(()));
        killed.signal("KILL");
        killed.finish();
        wait_until_gone(&[worker]);
    }
    assert_ne!(database.dump(), database.before);
    // By a user whose own it is not, nothing is dropped.
    database.sql("CREATE ROLE trust_user LOGIN; GRANT CREATE ON DATABASE killed TO trust_user");
    let other = database.target("trust_user", database.server.port);
    sandbox.run(&run(&["db-select"], &other, &[])).check(0, &[]);
    assert_ne!(database.schemas(), 0);
    sandbox
        .run(&run(&["db-select"], &target, &[]))
        .check(0, &[]);
    database.check_untouched();
}

#[test]
fn concurrent_runs_do_not_interfere() {
    let Some(database) = Database::new("shared") else {
        return;
    };
    let target = database.target("postgres", database.server.port);
    let runs: Vec<(Sandbox, Started)> = (0..2)
        .map(|_| {
            let sandbox = Sandbox::new();
            let started = sandbox.start(&run(
                &["db-crud", "db-transaction"],
                &target,
                &["--set=load.warmup=500ms"],
            ));
            (sandbox, started)
        })
        .collect();
    for (_sandbox, started) in runs {
        started.finish().check(0, &[]);
    }
    database.check_untouched();
}

/// A proxy on a port of its own that gives each transaction the next of so many sessions.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    _process: Started,
}

impl Proxy {
    pub(crate) fn start(database: &Database, sessions: &str) -> Option<Self> {
        let address = closed_address();
        let port = address.rsplit(':').next()?.parse().ok()?;
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/support/pg_pool.py");
        let mut command = Command::new(python("socket", "its standard library")?);
        let (listen, server) = (format!("{port}"), database.server.port.to_string());
        command
            .args([script, &listen, &server, sessions])
            .stdin(Stdio::null());
        let process = Started::of(command);
        wait_for("the proxy", || std::net::TcpStream::connect(&address).ok());
        Some(Self {
            port,
            _process: process,
        })
    }
}

#[test]
fn a_transaction_pooling_proxy_is_refused_with_the_reason() {
    let Some(database) = Database::new("pooled") else {
        return;
    };
    let sandbox = Sandbox::new();
    for sessions in ["2", "3"] {
        let Some(proxy) = Proxy::start(&database, sessions) else {
            return;
        };
        let target = database.target("postgres", proxy.port);
        for scenario in EVERY_SCENARIO {
            let expected = [
                "transaction pooling",
                "session",
                "hint: ",
                "pool_mode = session",
            ];
            sandbox
                .run(&run(&[scenario], &target, &[]))
                .check(1, &expected);
            database.check_untouched();
        }
        // Its connections need no session.
        sandbox
            .run(&run(&["db-connect"], &target, &[]))
            .check(0, &[]);
        database.check_untouched();
    }
}

#[test]
fn everything_works_through_a_session_pooling_proxy() {
    let Some(database) = Database::new("proxied") else {
        return;
    };
    let Some(proxy) = Proxy::start(&database, "1") else {
        return;
    };
    let target = database.target("postgres", proxy.port);
    let sandbox = Sandbox::new();
    sandbox
        .run(&run(&EVERY_SCENARIO, &target, &[]))
        .check(0, &[]);
    database.check_untouched();
}

#[test]
fn a_password_is_in_no_file_and_no_message() {
    let Some(database) = Database::new("secret") else {
        return;
    };
    database.sql(&format!("CREATE ROLE scram_user LOGIN PASSWORD '{PASSWORD}'; GRANT CREATE ON DATABASE secret TO scram_user"));
    let sandbox = Sandbox::new();
    let port = database.server.port;
    let escaped = "p%40ss%2Fw%C3%B6rd%25";
    let right = database.target(&format!("scram_user:{escaped}"), port);
    let wrong = database.target(&format!("scram_user:{escaped}%21"), port);
    let finished = [
        sandbox.run(&run(&["db-select"], &right, &[])).check(0, &[]),
        sandbox
            .run(&run(&["db-select"], &wrong, &[]))
            .check(1, &["28P01"]),
    ];
    for secret in [PASSWORD, escaped] {
        assert!(!format!("{finished:?}").contains(secret));
        let mut grep = Command::new("grep");
        let found = Finished::of(grep.args(["-rF", secret]).arg(sandbox.path()));
        assert_eq!((found.code, &*found.stdout), (Some(1), ""));
    }
}
