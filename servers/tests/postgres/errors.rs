//! Errors: each by its SQLSTATE, and none of them the end of the connection.

use serde_json::json;

use crate::connect::{state, text, with_client};

const TABLES: &str = "
    CREATE TABLE parent (id int PRIMARY KEY, name text NOT NULL, n int CHECK (n > 0), v varchar(3), b bool, s smallint);
    CREATE TABLE child (id int UNIQUE, parent int REFERENCES parent(id));
    INSERT INTO parent (id, name, n) VALUES (1, 'one', 1);
    INSERT INTO child VALUES (1, 1)";

const ERRORS: [(&str, &str); 37] = [
    ("SELEC 1", "42601"),
    ("SELECT * FROM parent WHERE", "42601"),
    ("SELECT 'open", "42601"),
    ("SELECT (1", "42601"),
    ("SELECT * FROM nope", "42P01"),
    ("INSERT INTO nope VALUES (1)", "42P01"),
    ("DROP TABLE nope", "42P01"),
    ("SELECT nope FROM parent", "42703"),
    ("SELECT \"nope\" FROM parent", "42703"),
    ("SELECT parent.nope FROM parent", "42703"),
    ("INSERT INTO parent (nope) VALUES (1)", "42703"),
    ("UPDATE parent SET nope = 1", "42703"),
    ("SELECT id FROM parent, child", "42702"),
    ("SELECT nope(1)", "42883"),
    ("INSERT INTO parent (id, name) VALUES (1, 'again')", "23505"),
    ("INSERT INTO child VALUES (1, 1)", "23505"),
    ("INSERT INTO parent (id) VALUES (2)", "23502"),
    ("INSERT INTO parent (id, name) VALUES (NULL, 'x')", "23502"),
    ("INSERT INTO parent (name) VALUES ('no key')", "23502"),
    ("UPDATE parent SET name = NULL", "23502"),
    (
        "INSERT INTO parent (id, name, n) VALUES (2, 'x', 0)",
        "23514",
    ),
    ("INSERT INTO child VALUES (2, 99)", "23503"),
    ("DELETE FROM parent", "23503"),
    ("SELECT 1/0", "22012"),
    ("SELECT 1.5 / (n - n) FROM parent", "22012"),
    ("SELECT id % 0 FROM parent", "22012"),
    ("SELECT 'abc'::int", "22P02"),
    ("SELECT * FROM parent WHERE id = 'abc'", "22P02"),
    ("INSERT INTO parent (id, name) VALUES ('x', 'x')", "22P02"),
    ("SELECT 'x'::boolean", "22P02"),
    (
        "INSERT INTO parent (id, name, s) VALUES (2, 'x', 40000)",
        "22003",
    ),
    ("SELECT 2147483647 + id FROM parent", "22003"),
    (
        "INSERT INTO parent (id, name, v) VALUES (2, 'x', 'long')",
        "22001",
    ),
    ("CREATE TABLE parent (id int)", "42P07"),
    ("CREATE TABLE nope.t (id int)", "3F000"),
    ("SET nosuchsetting = 1", "42704"),
    ("SAVEPOINT outside", "25P01"),
];

/// What PostgreSQL has and the mock does not: some of each kind.
const UNSUPPORTED: [&str; 30] = [
    "COPY parent TO STDOUT",
    "COPY parent FROM STDIN",
    "LISTEN x",
    "PREPARE p AS SELECT 1",
    "EXPLAIN SELECT 1",
    "DO 'BEGIN END'",
    "DECLARE c CURSOR FOR SELECT 1",
    "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE VIEW v AS SELECT 1",
    "CREATE TEMP TABLE t (x int)",
    "CREATE TABLE t (x numeric(4,2))",
    "CREATE TABLE t (x uuid)",
    "CREATE TABLE t AS SELECT 1",
    "CREATE TABLE t (x int, y serial)",
    "ALTER TABLE parent ADD COLUMN x int",
    "SELECT 1::numeric",
    "SELECT ARRAY[1, 2]",
    "SELECT id FROM parent WHERE id = ANY ($$1$$)",
    "SELECT name ILIKE 'O%' FROM parent",
    "SELECT name ~ 'o' FROM parent",
    "SELECT DISTINCT ON (id) name FROM parent",
    "SELECT x.* FROM parent, LATERAL (SELECT 1) AS x",
    "SELECT now() AT TIME ZONE 'UTC'",
    "SELECT id FROM parent FETCH FIRST 1 ROW ONLY",
    "SELECT E'a\\n'",
    "SELECT relname FROM pg_class",
    "SELECT * FROM information_schema.tables",
    "INSERT INTO parent (id, name) VALUES (DEFAULT, 'x')",
    "SET LOCAL work_mem = '1MB'",
    "DROP SCHEMA public CASCADE",
];

#[test]
fn postgresql_only_features_are_refused_with_a_hint() {
    with_client(json!({}), async |client, _| {
        client.batch_execute(TABLES).await.unwrap();
        for sql in UNSUPPORTED {
            let error = client.simple_query(sql).await.expect_err(sql);
            let db_error = error.as_db_error().expect(sql);
            assert_eq!(
                db_error.code().code(),
                "0A000",
                "{sql}: {}",
                db_error.message()
            );
            let hint = "use --target db=local for a real PostgreSQL";
            assert_eq!(db_error.hint(), Some(hint), "{sql}");
        }
        assert_eq!(text(&client, "SELECT count(*) FROM parent").await, "1");
    });
}

#[test]
fn a_mistake_is_reported_by_its_sqlstate_and_the_connection_lives_on() {
    with_client(json!({}), async |client, _| {
        client.batch_execute(TABLES).await.unwrap();
        for (sql, expected) in ERRORS {
            assert_eq!(
                state(&client, sql).await.as_deref(),
                Some(expected),
                "{sql}"
            );
            assert_eq!(text(&client, "SELECT 1").await, "1", "after {sql}");
        }
        let counts = "SELECT (SELECT count(*) FROM parent), (SELECT count(*) FROM child)";
        assert_eq!(text(&client, counts).await, "1|1", "nothing of it was kept");
    });
}

#[test]
fn prepared_statements_report_the_same_errors() {
    with_client(json!({}), async |client, _| {
        client.batch_execute(TABLES).await.unwrap();
        for (sql, expected) in ERRORS {
            let error = client.execute(sql, &[]).await.expect_err(sql);
            assert_eq!(crate::connect::state_of(&error), expected, "{sql}");
        }
        let error = client
            .execute("INSERT INTO parent (id, name) VALUES ($1, 'x')", &[&1i32])
            .await
            .expect_err("twice");
        let db_error = error.as_db_error().unwrap();
        assert_eq!(
            (db_error.table(), db_error.constraint()),
            (Some("parent"), Some("parent_pkey"))
        );
    });
}

#[test]
fn an_overlong_or_deeply_nested_statement_is_refused() {
    with_client(json!({}), async |client, _| {
        let nested = format!("SELECT {}1{}", "(".repeat(3000), ")".repeat(3000));
        let chained = format!("SELECT 1{}", "+1".repeat(100_000));
        let nots = format!("SELECT {} true", "NOT ".repeat(100_000));
        for sql in [nested, chained, nots] {
            let state = state(&client, &sql).await;
            assert!(
                matches!(state.as_deref(), Some("54001" | "42601")),
                "{state:?} of {} bytes",
                sql.len()
            );
        }
        assert_eq!(
            text(&client, &format!("SELECT true{}", " AND true".repeat(900))).await,
            "t"
        );
        assert_eq!(
            text(&client, &format!("SELECT 1{}", "+1".repeat(150))).await,
            "151"
        );
    });
}

#[test]
fn an_endless_statement_ends_at_its_timeout() {
    with_client(json!({}), async |client, _| {
        client
            .batch_execute("SET statement_timeout = '100ms'")
            .await
            .unwrap();
        let endless = "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT count(*) FROM t";
        assert_eq!(state(&client, endless).await.as_deref(), Some("57014"));
        assert_eq!(text(&client, "SELECT 1").await, "1");
    });
}
