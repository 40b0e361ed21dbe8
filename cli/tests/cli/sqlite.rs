//! User-defined transactions against in-process SQLite: sums agree whichever thread calls the library, a round leaves nothing
//! behind, and a user's own database is changed only by their statements.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use photofinish_record::{Measurement, Outcome};
use rusqlite::Connection;

use crate::support::{Finished, Sandbox, send, wait_for, wait_until_gone};

const BANK: &str = "
    CREATE TABLE tills (id INTEGER PRIMARY KEY, amount INTEGER NOT NULL);
    INSERT INTO tills VALUES (1, 0), (2, 0), (3, 0), (4, 0), (5, 0);
    CREATE TABLE receipts (id INTEGER PRIMARY KEY, till INTEGER NOT NULL, delta INTEGER NOT NULL, share REAL, note TEXT);";

/// Returns a row unless the sums of both tables agree.
const AGREE: &str = "SELECT 1 WHERE (SELECT sum(amount) FROM tills) <> (SELECT coalesce(sum(delta), 0) FROM receipts)";

const TRANSACTIONS: &str = r#"
    [draw]
    till = { from = 1, to = 5 }
    delta = { from = -5000, to = 5000 }
    share = { choice = [0.5, -12.25] }
    note = { choice = ["it's", "'; DROP TABLE tills; --", "007"] }
    [[transaction]]
    name = "pay"
    statements = [
        "UPDATE tills SET amount = amount + :delta WHERE id = :till -- :nothing",
        "INSERT INTO receipts (till, delta, share, note) VALUES (:till, :delta, :share, :note)",
    ]
    expect.rows = [1, 1]
    [[transaction]]
    name = "look"
    statements = ["SELECT amount FROM tills WHERE id = :till AND :till < 6;"]
    expect.rows = [1]
"#;

const ACCESSES: [&str; 3] = ["offload", "inline", "dedicated"];

const TINY: [&str; 6] = [
    "run",
    "bank.toml",
    "--rounds=1",
    "--set=load.ops=24",
    "--set=load.warmup_ops=3",
    "--no-redo",
];

fn run(sandbox: &Sandbox, more: &[&str]) -> Finished {
    sandbox.run(&[&TINY[..], more].concat())
}

/// The measurements of the last run.
fn measurements(sandbox: &Sandbox) -> Vec<Measurement> {
    let rounds = sandbox.record().rounds.into_iter();
    let measurements = rounds.map(|round| match round.outcome {
        Outcome::Ok(measured) => measured.worker,
        other => panic!("{other:?}"),
    });
    measurements.collect()
}

fn scenario(settings: &str) -> String {
    format!("[sqlite]\n{settings}\n{TRANSACTIONS}")
}

#[test]
fn sums_agree_under_every_runtime_and_access_and_a_round_leaves_nothing() {
    let sandbox = Sandbox::new();
    sandbox.write("bank.sql", BANK);
    for access in ACCESSES {
        let settings =
            format!("access = \"{access}\"\nsetup = \"bank.sql\"\ncheck = \"\"\"{AGREE}\"\"\"");
        sandbox.write("bank.toml", &scenario(&settings));
        run(&sandbox, &["--concurrency=3"]).check(0, &[]);
        let rounds = measurements(&sandbox);
        assert!(rounds.len() >= 6, "{} runtimes", rounds.len());
        let counts = |round: &Measurement| -> Vec<(String, u64)> {
            let parts = round.parts.iter();
            parts
                .map(|part| (part.name.clone(), part.succeeded))
                .collect()
        };
        for round in &rounds {
            assert_eq!(round.violations, [""; 0]);
            assert!(round.errors.is_empty(), "{:?}", round.errors);
            // Operation by operation, every runtime chooses the same transactions.
            assert_eq!(counts(round), counts(&rounds[0]));
        }
        let names: Vec<_> = rounds[0].parts.iter().map(|part| &*part.name).collect();
        let pay = [
            "pay",
            "pay: BEGIN",
            "pay: 1 UPDATE",
            "pay: 2 INSERT",
            "pay: COMMIT",
        ];
        assert_eq!(names, [&pay[..], &["look"]].concat());
        let whole = rounds[0].parts[0].succeeded + rounds[0].parts[5].succeeded;
        assert_eq!(whole, 24);
        let params = &sandbox.record().plan.scenarios[0].params["sqlite"];
        for (key, value) in [
            ("access", access),
            ("journal", "wal"),
            ("synchronous", "full"),
            ("busy_timeout", "5s"),
            ("begin", "immediate"),
        ] {
            assert_eq!(params[key], value, "{params}");
        }
    }
    let left = names_below(sandbox.path());
    assert!(
        !left.iter().any(|name| name.contains(".sqlite")),
        "{left:?}"
    );
}

/// Names of all files below a directory.
fn names_below(directory: &Path) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(directory).expect("a directory").flatten() {
        let path = entry.path();
        if path.is_dir() && !path.is_symlink() {
            names.extend(names_below(&path));
        } else {
            names.insert(path.display().to_string());
        }
    }
    names
}

#[test]
fn a_check_that_returns_rows_is_a_wrong_result() {
    let sandbox = Sandbox::new();
    sandbox.write("bank.sql", BANK);
    let settings =
        "setup = \"bank.sql\"\ncheck = \"SELECT id FROM tills WHERE amount <> 0 UNION SELECT 0\"";
    sandbox.write("bank.toml", &scenario(settings));
    run(&sandbox, &["--runtimes=sync"]).check(5, &["`check` returned", "expected none"]);
}

/// A user's own database with this journal mode.
fn users_database(sandbox: &Sandbox, journal: &str) -> Connection {
    let connection = Connection::open(sandbox.path().join("own.db")).expect("a database");
    let settings = format!(
        "PRAGMA journal_mode = {journal}; PRAGMA user_version = 7; PRAGMA application_id = 9;"
    );
    connection.execute_batch(&settings).expect("settings");
    connection.execute_batch(BANK).expect("tables");
    connection
        .busy_timeout(Duration::from_secs(60))
        .expect("set");
    connection
}

/// Everything except the rows of the two tables: settings in the header, the schema, the integrity of the file.
fn facts(connection: &Connection) -> Vec<String> {
    let ask = |sql: &str| -> String { connection.query_row(sql, [], |row| row.get(0)).expect(sql) };
    [
        "SELECT journal_mode || '' FROM pragma_journal_mode",
        "SELECT user_version || '' FROM pragma_user_version",
        "SELECT application_id || '' FROM pragma_application_id",
        "SELECT page_size || ' ' || auto_vacuum FROM pragma_page_size, pragma_auto_vacuum",
        "SELECT group_concat(name || sql) FROM sqlite_schema",
        "SELECT group_concat(id) FROM tills",
        "SELECT integrity_check FROM pragma_integrity_check",
    ]
    .map(ask)
    .to_vec()
}

fn count(connection: &Connection, sql: &str) -> u64 {
    let sql = format!("SELECT count(*) FROM ({sql})");
    let rows: i64 = connection
        .query_row(&sql, [], |row| row.get(0))
        .expect("counted");
    rows.cast_unsigned()
}

#[test]
fn a_users_database_is_changed_only_by_their_statements() {
    for journal in ["wal", "delete"] {
        let sandbox = Sandbox::new();
        let before = facts(&users_database(&sandbox, journal));
        let file = sandbox.path().join("own.db");
        let bytes = std::fs::read(&file).expect("read");
        for access in ACCESSES {
            let settings = format!("file = \"own.db\"\naccess = \"{access}\"");
            let reads = format!(
                "[sqlite]\n{settings}\n[[transaction]]\nstatements = [\"SELECT * FROM tills\", \"SELECT 1\"]\nexpect.rows = [5, 1]\n"
            );
            sandbox.write("bank.toml", &reads);
            run(&sandbox, &["--runtimes=sync,tokio", "--concurrency=2"]).check(0, &[]);
            assert!(
                std::fs::read(&file).expect("read") == bytes,
                "{journal} {access}"
            );
            let beside = names_below(sandbox.path());
            assert!(
                !beside.iter().any(|name| name.contains("own.db-")),
                "{beside:?}"
            );
            assert_eq!(
                sandbox.record().plan.scenarios[0].params["sqlite"]["journal"],
                journal
            );
        }
        sandbox.write("bank.toml", &scenario("file = \"own.db\""));
        run(
            &sandbox,
            &["--runtimes=sync,threads,tokio", "--concurrency=2"],
        )
        .check(0, &[]);
        let after = Connection::open(&file).expect("a database");
        assert_eq!(facts(&after), before);
        assert_eq!(count(&after, AGREE), 0);
        let rounds = measurements(&sandbox);
        let paid: u64 = rounds.iter().map(|round| round.parts[0].succeeded).sum();
        let receipts = count(&after, "SELECT 1 FROM receipts");
        // Including those of the warm-up.
        assert!((paid..=paid + 9).contains(&receipts), "{paid} {receipts}");
        let texts =
            "SELECT 1 FROM receipts WHERE note NOT IN ('it''s', '''; DROP TABLE tills; --', '007')
            OR typeof(share) <> 'real' OR typeof(delta) <> 'integer'";
        assert_eq!(count(&after, texts), 0);
        let planned = sandbox.run(&["plan", "bank.toml"]).check(0, &[]).stdout;
        let words = planned.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(
            words.contains("repeats the writes of the previous one (pay)"),
            "{planned}"
        );
        assert!(words.contains("without `[sqlite] file`"), "{planned}");
    }
}

#[test]
fn a_users_database_is_intact_after_a_kill() {
    for (journal, signalled) in [("wal", "worker"), ("delete", "all")] {
        let sandbox = Sandbox::new();
        let connection = users_database(&sandbox, journal);
        let before = facts(&connection);
        sandbox.write("bank.toml", &scenario("file = \"own.db\""));
        let arguments = [
            "run",
            "bank.toml",
            "--runtimes=tokio",
            "--duration=10m",
            "--concurrency=3",
        ];
        let mut killed = sandbox.start(&arguments);
        let worker = killed.wait_for_child("worker");
        wait_for("receipts", || {
            (count(&connection, "SELECT 1 FROM receipts") > 20).then_some(())
        });
        if signalled == "all" {
            killed.signal("KILL");
        } else {
            send("KILL", worker);
        }
        assert_ne!(killed.finish().code, Some(0));
        wait_until_gone(&[worker]);
        assert_eq!(facts(&connection), before);
        assert_eq!(count(&connection, AGREE), 0);
    }
}

#[test]
fn a_busy_database_is_retried_up_to_the_limit_and_counted() {
    let sandbox = Sandbox::new();
    let connection = users_database(&sandbox, "wal");
    connection
        .execute_batch("BEGIN IMMEDIATE")
        .expect("the lock");
    for tries in [1_u32, 3] {
        let settings = format!("file = \"own.db\"\nbusy_timeout = \"0ms\"\ntries = {tries}");
        sandbox.write(
            "bank.toml",
            &format!("expect.errors = \"100%\"\n{}", scenario(&settings)),
        );
        let ran = run(&sandbox, &["--runtimes=sync"]).check(0, &[]);
        assert!(ran.stdout.contains("busy"), "{}", ran.stdout);
        let [round] = &measurements(&sandbox)[..] else {
            panic!("one round");
        };
        let [pay, begin, ..] = &round.parts[..] else {
            panic!("{:?}", round.parts);
        };
        assert_eq!(round.errors["busy"].count, pay.failed);
        assert_eq!((pay.succeeded, pay.failures["busy"]), (0, pay.failed));
        assert_eq!(begin.failed, pay.failed * u64::from(tries));
        if tries > 1 {
            let mean = round.gauges["retries_per_operation"];
            let expected = 2.0 * pay.failed as f64 / 24.0;
            assert!((mean - expected).abs() < 1e-9, "{mean} {expected}");
        }
    }
}

#[test]
fn mistakes_are_reported_at_their_line_or_before_anything_is_measured() {
    let sandbox = Sandbox::new();
    drop(users_database(&sandbox, "wal"));
    sandbox.write("text.db", "plain text, not a database");
    let transaction = "[[transaction]]\nstatements = [\"SELECT 1\"]\n";
    for (text, expected) in [
        (
            "[sqlite]\nfile = \"none.db\"\n",
            &["mine.toml:2", "none.db"][..],
        ),
        (
            "[sqlite]\nfile = \"text.db\"\n",
            &["mine.toml:2", "an SQLite database"],
        ),
        (
            "[sqlite]\nfile = \"own.db\"\njournal = \"delete\"\n",
            &["mine.toml:3", "expected `wal`", "is not changed"],
        ),
        (
            "[sqlite]\nsetup = \"none.sql\"\n",
            &["mine.toml:2", "none.sql"],
        ),
        ("[sqlite]\nfil = \"own.db\"\n", &["mine.toml:2", "file"]),
        (
            "[sqlite]\n[[transaction]]\npipeline = true\nstatements = [\"SELECT 1\"]\n",
            &["mine.toml:3", "expected no pipeline"],
        ),
        ("[sqlite]\n[sql]\n", &["mine.toml:2", "no section `sql`"]),
    ] {
        let rest = if text.contains("transaction") {
            ""
        } else {
            transaction
        };
        sandbox.write("mine.toml", &format!("{text}{rest}"));
        sandbox.run(&["plan", "mine.toml"]).check(2, expected);
    }
    sandbox.write("bank.toml", &scenario(""));
    run(&sandbox, &["--runtimes=sync"]).check(1, &["no such table", "hint:", "setup"]);
    run(&sandbox, &["--target", "db=sqlite:own.db"]).check(2, &["[sqlite]", "file"]);
}
