//! User-defined transactions against PostgreSQL: sums agree under every protocol, a round leaves nothing, and what fails is
//! rolled back or tried again as the scenario says.

use photofinish_record::{Measurement, Outcome};

use crate::support::Sandbox;
use crate::user_database::{Database, Proxy};

/// Tables of a bank, in whichever schema comes first.
const BANK: &str = "
    CREATE TABLE tills (id int PRIMARY KEY, amount bigint NOT NULL); INSERT INTO tills SELECT n, 0 FROM generate_series(1, 5) n;
    CREATE TABLE receipts (id serial, till int NOT NULL, delta smallint NOT NULL, share float8, note text);";

/// Raises an error unless the sums of both tables agree.
const AGREE: &str = "DO $$ BEGIN
    IF (SELECT sum(amount) FROM tills) IS DISTINCT FROM (SELECT coalesce(sum(delta), 0) FROM receipts) THEN
        RAISE EXCEPTION 'the sums differ';
    END IF; END $$;";

const DRAWS: &str = r#"
    draw.till = { from = 1, to = 5 }
    draw.delta = { from = -5000, to = 5000 }
    draw.share = { choice = [0.5, -1.25e3] }
    draw.note = { choice = ["it's", "back\\slash'; DROP TABLE tills; --", "plain"] }
    expect.errors = "100%"
"#;

const PAY: &str = r#"[
    "UPDATE tills SET amount = amount + :delta WHERE id = :till -- :nothing",
    "INSERT INTO receipts (till, delta, share, note) VALUES (:till, :delta, :share, :note)",
]"#;

/// The measurements of a run of `bank.toml`, with each round's twelve operations and three before them.
fn measured(
    sandbox: &Sandbox,
    text: &str,
    target: &str,
    runtimes: &str,
    more: &[&str],
) -> Vec<Measurement> {
    sandbox.write("bank.toml", &format!("{DRAWS}{text}"));
    let arguments = [
        "run",
        "bank.toml",
        "--target",
        target,
        runtimes,
        "--rounds=1",
        "--set=load.ops=12",
        "--set=load.warmup_ops=3",
        "--no-redo",
    ];
    sandbox.run(&[&arguments[..], more].concat()).check(0, &[]);
    let rounds = sandbox.record().rounds.into_iter();
    let measurements = rounds.map(|round| match round.outcome {
        Outcome::Ok(measured) => measured.worker,
        other => panic!("{other:?}"),
    });
    measurements.collect()
}

fn files(sandbox: &Sandbox) {
    sandbox.write("bank.sql", BANK);
    sandbox.write("agree.sql", AGREE);
}

#[test]
fn sums_agree_under_every_protocol_and_a_round_leaves_nothing() {
    let Some(database) = Database::new("transactions") else {
        return;
    };
    let sandbox = Sandbox::new();
    files(&sandbox);
    let target = database.target("postgres", database.server.port);
    for (protocol, more) in [
        ("simple", ""),
        ("extended", ""),
        ("prepared", ""),
        ("extended", "pipeline = true"),
        ("prepared", "pipeline = true"),
    ] {
        let text = format!(
            r#"
            sql = {{ protocol = "{protocol}", setup = "bank.sql", teardown = "agree.sql" }}
            [[transaction]]
            name = "pay"
            statements = {PAY}
            expect.rows = [1, 1]
            {more}
            [[transaction]]
            name = "look"
            statements = ["SELECT amount FROM tills WHERE id = :till;"]
            expect.rows = [1]
            "#
        );
        let runtimes = "--runtimes=sync,threads,pool,tokio,smol";
        let rounds = measured(&sandbox, &text, &target, runtimes, &["--concurrency=3"]);
        assert_eq!(rounds.len(), 5);
        let counts = |round: &Measurement| -> Vec<(String, u64)> {
            round
                .parts
                .iter()
                .map(|part| (part.name.clone(), part.succeeded))
                .collect()
        };
        for round in &rounds {
            assert_eq!(round.violations, [""; 0]);
            assert!(round.errors.is_empty(), "{:?}", round.errors);
            // Operation by operation, every runtime chooses the same transactions.
            assert_eq!(counts(round), counts(&rounds[0]));
            let names: Vec<&str> = round.parts.iter().map(|part| part.name.as_str()).collect();
            let expected: &[&str] = match more {
                "" => &[
                    "pay",
                    "pay: BEGIN",
                    "pay: 1 UPDATE",
                    "pay: 2 INSERT",
                    "pay: COMMIT",
                    "look",
                ],
                _ => &["pay", "look"],
            };
            assert_eq!(names, expected);
            let (pay, look) = (&round.parts[0], &round.parts[expected.len() - 1]);
            assert_eq!(pay.succeeded + look.succeeded, 12);
            assert!(pay.succeeded > 0 && look.succeeded > 0);
        }
        database.check_untouched();
    }
}

#[test]
fn an_error_rolls_back_its_transaction() {
    let Some(database) = Database::new("undone") else {
        return;
    };
    let sandbox = Sandbox::new();
    files(&sandbox);
    let target = database.target("postgres", database.server.port);
    for pipeline in [false, true] {
        let text = format!(
            r#"
            sql = {{ setup = "bank.sql", teardown = "agree.sql" }}
            draw.zero = {{ choice = [0, 1] }}
            [[transaction]]
            statements = [
                "UPDATE tills SET amount = amount + :delta WHERE id = :till",
                "SELECT 1 / :zero::int",
                "INSERT INTO receipts (till, delta) VALUES (:till, :delta)",
            ]
            pipeline = {pipeline}
            "#
        );
        for round in measured(&sandbox, &text, &target, "--runtimes=sync,tokio", &[]) {
            let failed = round.errors["sql"].count;
            assert!(failed > 0 && failed < 12, "{failed}");
            let first = &round.errors["sql"].example;
            assert!(format!("{first:?}").contains("22012"), "{first:?}");
            assert_eq!(round.parts[0].failures["sql"], failed);
            assert_eq!(round.violations, [""; 0]);
        }
    }
    database.check_untouched();
}

#[test]
fn a_serialization_failure_is_retried_up_to_the_limit() {
    let Some(database) = Database::new("retried") else {
        return;
    };
    let sandbox = Sandbox::new();
    // A sequence is not rolled back: every second call fails.
    sandbox.write(
        "flaky.sql",
        "CREATE SEQUENCE calls; CREATE FUNCTION flaky() RETURNS int LANGUAGE plpgsql AS $$ BEGIN
         IF nextval('calls') % 2 = 1 THEN RAISE EXCEPTION 'again' USING ERRCODE = '40001'; END IF; RETURN 1; END $$",
    );
    let target = database.target("postgres", database.server.port);
    let text = |tries: u32| {
        format!(
            r#"
            sql = {{ setup = "flaky.sql", tries = {tries} }}
            [[transaction]]
            name = "flaky"
            statements = ["SELECT 1", "SELECT flaky()"]
            "#
        )
    };
    let one = ["--concurrency=1"];
    let [once] = &measured(&sandbox, &text(1), &target, "--runtimes=sync", &one)[..] else {
        panic!("one round");
    };
    assert_eq!(once.errors["sql"].count, 6);
    let [twice] = &measured(&sandbox, &text(2), &target, "--runtimes=sync", &one)[..] else {
        panic!("one round");
    };
    assert!(twice.errors.is_empty(), "{:?}", twice.errors);
    assert_eq!(twice.gauges["retries_per_operation"], 1.0);
    let statement = twice
        .parts
        .iter()
        .find(|part| part.name == "flaky: 2 SELECT");
    let statement = statement.expect("its part");
    assert_eq!((statement.succeeded, statement.failed), (12, 12));
    database.check_untouched();
}

#[test]
fn user_tables_can_be_changed_through_a_pool_unless_statements_are_prepared() {
    let Some(database) = Database::new("pooled_transactions") else {
        return;
    };
    let Some(pool) = Proxy::start(&database, "2") else {
        return;
    };
    let sandbox = Sandbox::new();
    database.sql(BANK);
    let target = database.target("postgres", pool.port);
    let text = |protocol: &str| {
        format!(
            "sql.protocol = \"{protocol}\"\n[[transaction]]\nname = \"pay\"\nstatements = {PAY}\n"
        )
    };
    for protocol in ["simple", "extended"] {
        measured(
            &sandbox,
            &text(protocol),
            &target,
            "--runtimes=sync,tokio",
            &["--concurrency=3"],
        );
        database.sql(AGREE);
    }
    let receipts =
        database.sql("SELECT count(*), sum((note LIKE 'back%DROP TABLE%')::int) > 0 FROM receipts");
    assert_eq!(receipts.trim(), "60|t");
    sandbox.write("bank.toml", &format!("{DRAWS}{}", text("prepared")));
    let prepared = [
        "run",
        "bank.toml",
        "--target",
        &target,
        "--runtimes=sync",
        "--rounds=1",
    ];
    sandbox
        .run(&prepared)
        .check(1, &["transaction pooling", "hint:"]);
    let plan = ["plan", "bank.toml", "--target", &target];
    let planned = sandbox.run(&plan).check(0, &[]).stdout;
    let words = planned.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        words.contains("repeats the writes of the previous one (pay)"),
        "{planned}"
    );
    assert!(words.contains("`[sql] setup` gives"), "{planned}");
}

#[test]
fn mistakes_are_reported_at_their_line() {
    let sandbox = Sandbox::new();
    for (text, expected) in [
        (
            "[[transaction]]\nstatements = [\n\"SELECT :delt\",\n]",
            &["mine.toml:4", "did you mean `delta`?"][..],
        ),
        (
            "[[transaction]]\nstatements = [\"COPY a FROM STDIN\"]",
            &["mine.toml:3", "COPY"],
        ),
        (
            "[[transaction]]\nstatements = [\"SELECT 1\"]\nexpect.rows = [1, 2]",
            &["mine.toml:4", "for each of the 1 statements, got 2"],
        ),
        (
            "[[transaction]]\nstatements = [\"SELECT 1\"]\n[sql]\nsetup = \"none.sql\"",
            &["mine.toml:5", "none.sql"],
        ),
        (
            "[[transaction]]\nstatements = [\"SELECT 1\"]\npipeline = true\n[sql]\nprotocol = \"simple\"",
            &["mine.toml:4", "\"prepared\""],
        ),
    ] {
        sandbox.write(
            "mine.toml",
            &format!("draw.delta = {{ from = 1, to = 2 }}\n{text}\n"),
        );
        sandbox.run(&["plan", "mine.toml"]).check(2, expected);
    }
}
