//! Statements: what they compute, prepared or not, in schemas, as views, with results in parts.

use serde_json::json;

use crate::connect::{rows, text, with_client};

/// Runs a script, and compares what its last query gives.
#[track_caller]
fn check(script: &str, query: &str, expected: &str) {
    with_client(json!({}), async |client, _| {
        client
            .batch_execute(script)
            .await
            .unwrap_or_else(|error| panic!("{script}: {error:?}"));
        assert_eq!(text(&client, query).await, expected, "{query}");
    });
}

#[test]
fn expressions_compute_as_in_postgresql() {
    // The expected values are PostgreSQL 15's.
    for (sql, expected) in [
        ("SELECT 5/2, -5/2, 5%3, 7.0/2, 1 + 2 * 3", "2|-2|2|3.5|7"),
        (
            "SELECT 0.5+0.25, 1e-7::float8, 1e20::float8",
            "0.75|1e-07|1e+20",
        ),
        ("SELECT 'a' LIKE 'A', 'abc' LIKE 'a%', 'a' || 'b'", "f|t|ab"),
        (
            "SELECT NULL IS NULL, 1 IS DISTINCT FROM NULL, 3 IN (1, NULL), coalesce(NULL, 2)",
            "t|t||2",
        ),
        (
            "SELECT CASE WHEN 1 > 2 THEN 'x' ELSE 'y' END, CAST('7' AS int) + 1, nullif(1, 1)",
            "y|8|",
        ),
        (
            "SELECT length('größe'), substr('hello', 2, 3), upper('a'), date '2024-05-17'",
            "5|ell|A|2024-05-17",
        ),
        (
            "SELECT 7::text || 'x', '12'::int8, 't'::bool, '\\x00ff'::bytea, 10/NULL",
            "7x|12|t|\\x00ff|",
        ),
        (
            "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 5) SELECT sum(n), count(*) FROM t",
            "15|5",
        ),
        (
            "SELECT string_agg(g::text, '-' ORDER BY g) FROM generate_series(1, 3) AS g",
            "1-2-3",
        ),
        (
            "SELECT g, sum(g) OVER (ORDER BY g) FROM generate_series(1, 3) g ORDER BY g DESC LIMIT 2",
            "3|6;2|3",
        ),
        ("SELECT '{\"a\":{\"b\":2}}'::jsonb -> 'a' ->> 'b'", "2"),
        ("VALUES (1, 'a'), (2, 'b')", "1|a;2|b"),
        ("SELECT 'it''s' -- a comment\n, /* another */ 1", "it's|1"),
    ] {
        check("", sql, expected);
    }
}

#[test]
fn a_table_is_created_filled_updated_and_read() {
    let script = "
        CREATE TABLE t (id serial PRIMARY KEY, name text NOT NULL UNIQUE, q int DEFAULT 3, at timestamptz DEFAULT CURRENT_TIMESTAMP);
        INSERT INTO t (name) VALUES ('a'), ('b'), ('c');
        INSERT INTO t (id, name, q) VALUES (1, 'x', 1) ON CONFLICT (id) DO UPDATE SET q = t.q + excluded.q;
        INSERT INTO t (name) VALUES ('b') ON CONFLICT DO NOTHING;
        UPDATE t SET q = s.q FROM (SELECT 'c' AS name, 9 AS q) AS s WHERE t.name = s.name;
        DELETE FROM t WHERE name IN (SELECT 'b')";
    check(
        script,
        "SELECT id, name, q, at IS NOT NULL FROM t ORDER BY id",
        "1|a|4|t;3|c|9|t",
    );
}

#[test]
fn returning_gives_the_changed_rows() {
    with_client(json!({}), async |client, _| {
        client
            .batch_execute("CREATE TABLE t (id bigserial PRIMARY KEY, n int)")
            .await
            .unwrap();
        assert_eq!(
            text(&client, "INSERT INTO t (n) VALUES (5), (6) RETURNING id, n").await,
            "1|5;2|6"
        );
        assert_eq!(
            text(&client, "UPDATE t SET n = n * 2 WHERE id = 2 RETURNING *").await,
            "2|12"
        );
        assert_eq!(text(&client, "DELETE FROM t RETURNING n").await, "5;12");
    });
}

#[test]
fn schemas_separate_tables_of_one_name() {
    let script = "
        CREATE SCHEMA a; CREATE SCHEMA b;
        CREATE TABLE a.t (x int); CREATE TABLE b.t (x int);
        INSERT INTO a.t VALUES (1); SET search_path TO b; INSERT INTO t VALUES (2)";
    check(
        script,
        "SELECT (SELECT x FROM a.t), (SELECT x FROM t), current_schema()",
        "1|2|b",
    );
}

#[test]
fn prepared_statements_notice_changed_definitions() {
    with_client(json!({}), async |client, config| {
        client
            .batch_execute(
                "CREATE TABLE t (id int PRIMARY KEY, a int); INSERT INTO t VALUES (1, 10)",
            )
            .await
            .unwrap();
        let statement = client
            .prepare("SELECT a FROM t WHERE id = $1")
            .await
            .unwrap();
        let other = crate::connect::connect(&config).await;
        other
            .batch_execute("DROP TABLE t; CREATE TABLE t (b text, a int, id int); INSERT INTO t VALUES ('x', 11, 1)")
            .await
            .unwrap();
        let row = client.query_one(&statement, &[&1i32]).await.unwrap();
        assert_eq!(row.get::<_, i32>(0), 11);
        other
            .batch_execute("DROP TABLE t; CREATE TABLE t (id int)")
            .await
            .unwrap();
        let error = client
            .query_one(&statement, &[&1i32])
            .await
            .expect_err("the column is gone");
        assert_eq!(crate::connect::state_of(&error), "42703");
    });
}

#[test]
fn a_portal_returns_as_many_rows_as_requested() {
    with_client(json!({"preload": ["items"]}), async |mut client, _| {
        let transaction = client.transaction().await.unwrap();
        let portal = transaction
            .bind("SELECT id FROM items WHERE id <= $1 ORDER BY id", &[&7i32])
            .await
            .unwrap();
        let rows = transaction.query_portal(&portal, 3).await.unwrap();
        let ids: Vec<i32> = rows.iter().map(|row| row.get(0)).collect();
        assert_eq!(ids, [1, 2, 3]);
        let error = transaction.query_portal(&portal, 3).await;
        let error = error.expect_err("the other rows are not kept");
        assert_eq!(crate::connect::state_of(&error), "0A000");
    });
}

#[test]
fn settings_are_kept_and_reset() {
    check("SET application_name = 'me'", "SHOW application_name", "me");
    check(
        "SET application_name = 'me'; RESET application_name",
        "SHOW application_name",
        "",
    );
    check(
        "SET TIME ZONE 'UTC'; SET datestyle TO iso",
        "SHOW TimeZone",
        "UTC",
    );
}

#[test]
fn definitions_of_every_form_name_the_right_tables() {
    let script = "
        CREATE SCHEMA s; CREATE SCHEMA IF NOT EXISTS s; SET search_path TO s, public;
        CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE IF NOT EXISTS s.p (other text);
        CREATE TABLE c (id int PRIMARY KEY REFERENCES p (id) ON DELETE CASCADE, parent int REFERENCES c, name text);
        CREATE INDEX IF NOT EXISTS by_name ON s.c (name, id); CREATE UNIQUE INDEX by_id ON c (id);
        INSERT INTO p VALUES (1), (2); INSERT INTO c VALUES (1, NULL, 'x'), (2, NULL, 'y');
        DELETE FROM p WHERE id = 2;
        CREATE TABLE t (x int); INSERT INTO t VALUES (1); TRUNCATE TABLE t, public.u;
        DROP TABLE IF EXISTS public.u, nothing";
    with_client(
        json!({"seed_sql": ["CREATE TABLE u (x int); INSERT INTO u VALUES (1)"]}),
        async |client, _| {
            client.batch_execute(script).await.unwrap();
            let counts = "SELECT (SELECT count(*) FROM s.p), (SELECT max(name) FROM c), (SELECT count(*) FROM p, c, t)";
            assert_eq!(text(&client, counts).await, "1|x|0");
            client.batch_execute("DROP SCHEMA s CASCADE").await.unwrap();
            for gone in ["s.c", "c", "u"] {
                let error = crate::connect::state(&client, &format!("SELECT * FROM {gone}")).await;
                assert_eq!(error.as_deref(), Some("42P01"), "{gone}");
            }
            let again = crate::connect::state(&client, "CREATE SCHEMA public").await;
            assert_eq!(again.as_deref(), Some("42P06"));
        },
    );
}

#[test]
fn names_of_tables_are_found_only_where_tables_are_named() {
    let script = "
        CREATE TABLE a (a int, b int); CREATE TABLE b (a int, b int);
        INSERT INTO a VALUES (1, 2); INSERT INTO b VALUES (3, 4);
        UPDATE a SET b = b + 1, a = a WHERE a.a IN (1)";
    for (query, expected) in [
        ("SELECT a, b FROM a", "1|3"),
        ("SELECT a.a, b.b FROM a, b", "1|4"),
        (
            "SELECT x.a, b.b FROM a AS x JOIN b ON x.a IS DISTINCT FROM b.a, b AS y ORDER BY b.b, x.a",
            "1|4",
        ),
        ("SELECT a FROM (SELECT a, b FROM b) AS a ORDER BY a, b", "3"),
        (
            "WITH a (a) AS (SELECT 7), b AS (SELECT a FROM a) SELECT a FROM b",
            "7",
        ),
        ("SELECT public.a.b FROM public.a", "3"),
        ("SELECT a FROM a GROUP BY a, b HAVING count(*) > 0", "1"),
    ] {
        check(script, query, expected);
    }
}

#[test]
fn every_requested_item_is_present() {
    with_client(
        json!({"preload": ["items"], "seed_sql": ["CREATE TABLE s (x int); INSERT INTO s VALUES (1), (2)"]}),
        async |client, _| {
            assert_eq!(
                text(&client, "SELECT count(*), min(id), max(id) FROM items").await,
                "10000|1|10000"
            );
            assert_eq!(
                text(&client, "SELECT name, quantity FROM items WHERE id = 123").await,
                "item 123|61"
            );
            assert_eq!(text(&client, "SELECT sum(x) FROM s").await, "3");
        },
    );
}

#[test]
fn each_statement_of_a_query_gets_a_response() {
    with_client(json!({}), async |client, _| {
        let all = rows(
            &client,
            "SELECT 1; CREATE TABLE t (x int); INSERT INTO t VALUES (2); SELECT x FROM t",
        )
        .await;
        assert_eq!(all, [[Some("1".to_owned())], [Some("2".to_owned())]]);
        assert_eq!(rows(&client, " ; ").await.len(), 0);
    });
}
