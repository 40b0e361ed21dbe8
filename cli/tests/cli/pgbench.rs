//! pgbench's own transaction, imported from its script, on tables made by pgbench; and transactions through PgBouncer.

use std::os::unix::fs::MetadataExt as _;
use std::process::{Command, Stdio};

use photofinish_record::Outcome;

use crate::support::{Finished, Sandbox, Started, closed_address, skip_without, wait_for};
use crate::user_database::Database;

/// Text of pgbench's built-in script `name`.
fn built_in(name: &str) -> Option<String> {
    let mut pgbench = Command::new("pgbench");
    let Ok(shown) = pgbench.arg(format!("--show-script={name}")).output() else {
        skip_without("pgbench");
        return None;
    };
    let shown = [shown.stdout, shown.stderr].concat();
    Some(String::from_utf8(shown).expect("text"))
}

const BALANCES: &str = "SELECT (SELECT sum(abalance) FROM pgbench_accounts) = sum(delta) AND (SELECT sum(tbalance) FROM pgbench_tellers) = sum(delta)
    AND (SELECT sum(bbalance) FROM pgbench_branches) = sum(delta), count(*), count(DISTINCT aid) > 1, min(bid), max(bid) FROM pgbench_history";

#[test]
fn the_transaction_of_pgbench_is_imported_and_balances_agree() {
    let Some(script) = built_in("tpcb-like") else {
        return;
    };
    let Some(database) = Database::new("imported") else {
        return;
    };
    Finished::of(database.client("pgbench").args(["-i", "-q", "-s", "2"])).check(0, &[]);
    let sandbox = Sandbox::new();
    sandbox.write("tpcb.sql", &script);
    let import = [
        "import",
        "pgbench",
        "tpcb.sql",
        "--scale",
        "2",
        "--out",
        "tpcb.toml",
    ];
    sandbox.run(&import).check(
        0,
        &["photofinish run tpcb.toml --target db=postgres://USER@"],
    );
    let target = database.target("postgres", database.server.port);
    let run = [
        "run",
        "tpcb.toml",
        "--target",
        &target,
        "--runtimes=sync,threads,tokio",
        "--rounds=1",
        "--concurrency=3",
    ];
    let count = ["--set=load.ops=30", "--set=load.warmup_ops=3", "--no-redo"];
    sandbox.run(&[&run[..], &count].concat()).check(0, &[]);
    assert_eq!(database.sql(BALANCES).trim(), "t|99|t|1|2");
    let record = sandbox.record();
    for round in record.rounds {
        let Outcome::Ok(measured) = round.outcome else {
            panic!("{:?}", round.outcome);
        };
        let parts = measured.worker.parts.iter();
        let parts: Vec<_> = parts.map(|part| (&*part.name, part.succeeded)).collect();
        let names = [
            "",
            ": BEGIN",
            ": 1 UPDATE",
            ": 2 SELECT",
            ": 3 UPDATE",
            ": 4 UPDATE",
            ": 5 INSERT",
            ": COMMIT",
        ];
        let expected: Vec<_> = names.map(|name| (format!("transaction{name}"), 30)).into();
        assert!(
            parts.iter().eq(expected
                .iter()
                .map(|(name, count)| (&**name, *count))
                .collect::<Vec<_>>()
                .iter()),
            "{parts:?}"
        );
    }
    sandbox.write("sleepy.sql", "SELECT 1;\n\\sleep 1 ms\n");
    let refused = sandbox.run(&["import", "pgbench", "sleepy.sql"]);
    refused.check(2, &["line 2", "\\sleep", "hint:"]);
}

#[test]
fn every_built_in_script_of_pgbench_is_imported() {
    for (name, draws) in [("simple-update", 4), ("select-only", 1)] {
        let Some(script) = built_in(name) else {
            return;
        };
        let sandbox = Sandbox::new();
        sandbox.write("script.sql", &script);
        let imported = sandbox.run(&["import", "pgbench", "script.sql"]);
        let imported = imported.check(0, &[]).stdout;
        assert_eq!(imported.matches("from = ").count(), draws, "{imported}");
        assert!(imported.contains("--scale N"), "{imported}");
        sandbox.write("script.toml", &imported);
        sandbox.run(&["plan", "script.toml"]).check(0, &[]);
    }
}

/// PgBouncer in front of a database, with these settings in addition to addresses and logins.
pub(crate) fn start_pgbouncer(
    database: &Database,
    sandbox: &Sandbox,
    more: &str,
) -> Option<(u16, Started)> {
    let found = ["pgbouncer", "/usr/sbin/pgbouncer"]
        .into_iter()
        .find(|program| {
            let version = Command::new(program)
                .arg("--version")
                .stdout(Stdio::null())
                .status();
            version.is_ok_and(|status| status.success())
        });
    let Some(program) = found else {
        skip_without("pgbouncer");
        return None;
    };
    let address = closed_address();
    let port: u16 = address.rsplit(':').next()?.parse().ok()?;
    let server = database.server.port;
    let settings = format!(
        "[databases]\n* = host=127.0.0.1 port={server} user=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
         unix_socket_dir =\nauth_type = any\n{more}\n"
    );
    let file = sandbox.write("pgbouncer.ini", &settings);
    let mut command = Command::new(program);
    command.arg("-q").arg(file).stdin(Stdio::null());
    // It refuses to run as root.
    if std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0) {
        command.args(["-u", "nobody"]);
    }
    let process = Started::of(command);
    wait_for("PgBouncer", || std::net::TcpStream::connect(&address).ok());
    Some((port, process))
}

#[test]
fn through_pgbouncer_transactions_run_unless_they_need_a_session() {
    let Some(database) = Database::new("bounced") else {
        return;
    };
    let sandbox = Sandbox::new();
    let pool = "pool_mode = transaction\ndefault_pool_size = 2";
    let Some((port, _process)) = start_pgbouncer(&database, &sandbox, pool) else {
        return;
    };
    database.sql("CREATE TABLE tills AS SELECT n AS id, 0 AS amount FROM generate_series(1, 5) n; CREATE TABLE receipts (delta int)");
    let target = database.target("postgres", port);
    let run = |protocol: &str, statements: &str| {
        let text = format!(
            "sql.protocol = \"{protocol}\"\ndraw.delta = {{ from = 1, to = 9 }}\n[[transaction]]\nstatements = [{statements}]\n"
        );
        sandbox.write("mine.toml", &text);
        let run = [
            "run",
            "mine.toml",
            "--target",
            &target,
            "--runtimes=sync,tokio",
            "--rounds=1",
            "--concurrency=5",
        ];
        let count = ["--set=load.ops=20", "--set=load.warmup_ops=5", "--no-redo"];
        sandbox.run(&[&run[..], &count].concat())
    };
    let pay = "\"UPDATE tills SET amount = amount + :delta WHERE id = 1\", \"INSERT INTO receipts VALUES (:delta)\"";
    for protocol in ["simple", "extended"] {
        run(protocol, pay).check(0, &[]);
    }
    let sums = "SELECT (SELECT sum(amount) FROM tills) = sum(delta), count(*) FROM receipts";
    assert_eq!(database.sql(sums).trim(), "t|100");
    // Refused before anything is measured.
    let expected = ["transaction pooling", "session", "pool_mode = session"];
    run("prepared", pay).check(1, &expected);
    run("simple", "\"SET statement_timeout = 1000\", \"SELECT 1\"").check(1, &expected);
    run(
        "simple",
        "\"SET LOCAL statement_timeout = 1000\", \"SELECT 1\"",
    )
    .check(0, &[]);
    assert_eq!(database.sql(sums).trim(), "t|100");
}
