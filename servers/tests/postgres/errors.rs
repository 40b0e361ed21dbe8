//! Errors: each by its SQLSTATE, and none of them the end of the connection.

use serde_json::json;

use crate::connect::{state, text, with_client};

const TABLES: &str = "
    CREATE TABLE parent (id int PRIMARY KEY, name text NOT NULL, n int CHECK (n > 0), v varchar(3), p numeric(4,2), s smallint);
    CREATE TABLE child (id int UNIQUE, parent int REFERENCES parent(id));
    INSERT INTO parent VALUES (1, 'one', 1);
    INSERT INTO child VALUES (1, 1)";

const ERRORS: [(&str, &str); 44] = [
    ("SELEC 1", "42601"),
    ("SELECT * FROM parent WHERE", "42601"),
    ("SELECT 'open", "42601"),
    ("SELECT * FROM nope", "42P01"),
    ("SELECT nope.id FROM parent", "42P01"),
    ("SELECT nope FROM parent", "42703"),
    ("INSERT INTO parent (nope) VALUES (1)", "42703"),
    ("UPDATE parent SET nope = 1", "42703"),
    ("SELECT id FROM parent, child", "42702"),
    ("SELECT nope(1)", "42883"),
    ("SELECT true + 1", "42883"),
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
    ("SELECT 1.5 / 0", "22012"),
    ("SELECT 1.5::float8 / 0", "22012"),
    ("SELECT id % 0 FROM parent", "22012"),
    ("SELECT 'abc'::int", "22P02"),
    ("SELECT * FROM parent WHERE id = 'abc'", "22P02"),
    ("SELECT 'x'::boolean", "22P02"),
    ("SELECT 'x'::uuid", "22P02"),
    ("SELECT '{'::jsonb", "22P02"),
    ("SELECT '2023-02-30'::date", "22008"),
    ("SELECT 'soon'::timestamp", "22007"),
    (
        "INSERT INTO parent (id, name, s) VALUES (2, 'x', 40000)",
        "22003",
    ),
    (
        "INSERT INTO parent (id, name, p) VALUES (2, 'x', 123)",
        "22003",
    ),
    ("SELECT 2147483647 + id FROM parent", "22003"),
    (
        "INSERT INTO parent (id, name, v) VALUES (2, 'x', 'long')",
        "22001",
    ),
    ("CREATE TABLE parent (id int)", "42P07"),
    ("CREATE TABLE t (x nosuchtype)", "42704"),
    ("DROP TABLE parent", "2BP01"),
    ("COPY parent TO STDOUT", "0A000"),
    ("LISTEN x", "0A000"),
    ("INSERT INTO pg_class (relname) VALUES ('x')", "42501"),
    ("SET nosuchsetting = 1", "42704"),
    ("EXECUTE nosuchstatement", "26000"),
    ("SAVEPOINT outside", "25P01"),
];

#[test]
fn a_mistake_is_told_by_its_sqlstate_and_the_connection_lives_on() {
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
fn prepared_statements_tell_the_same_errors() {
    with_client(json!({}), async |client, _| {
        client.batch_execute(TABLES).await.unwrap();
        for (sql, expected) in ERRORS
            .into_iter()
            .filter(|(sql, _)| !sql.starts_with("EXECUTE"))
        {
            let error = client.execute(sql, &[]).await.expect_err(sql);
            assert_eq!(crate::connect::state_of(&error), expected, "{sql}");
        }
        let error = client
            .execute("INSERT INTO parent (id, name) VALUES ($1, 'x')", &[&1i32])
            .await
            .expect_err("twice");
        let told = error.as_db_error().unwrap();
        assert_eq!(
            (told.table(), told.constraint()),
            (Some("parent"), Some("parent_pkey"))
        );
    });
}

#[test]
fn a_statement_too_deep_or_too_long_to_be_run_is_refused() {
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
            text(&client, &format!("SELECT true{}", " AND true".repeat(1500))).await,
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
