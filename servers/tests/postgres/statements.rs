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
        (
            "SELECT 5/2, -5/2, 5%3, 7.0/3, 2^10",
            "2|-2|2|2.3333333333333333|1024",
        ),
        (
            "SELECT 3*1.10, 0.1+0.2, 2.5::int, 1.005::numeric(5,2), 1e-7::float8",
            "3.30|0.3|3|1.01|1e-07",
        ),
        (
            "SELECT 12345678901234567890 * 10, round(10/3.0, 3), sum(x) FROM (VALUES (1.10),(2.205)) t(x)",
            "123456789012345678900|3.333|3.305",
        ),
        (
            "SELECT 'a' LIKE 'A', 'a' ILIKE 'A', 'a_c' LIKE 'a\\_c', 'abc' ~ '^a.c$'",
            "f|t|t|t",
        ),
        (
            "SELECT NULL IS NULL, 1 IS DISTINCT FROM NULL, 3 IN (1, NULL), coalesce(NULL, 2), greatest(1, NULL, 3)",
            "t|t||2|3",
        ),
        (
            "SELECT '2024-01-31'::date + 1, '2024-01-31'::timestamp + interval '1 month'",
            "2024-02-01|2024-02-29 00:00:00",
        ),
        (
            "SELECT date_trunc('month', '2024-05-17 10:11:12'::timestamp), extract(dow from date '2024-05-17')",
            "2024-05-01 00:00:00|5",
        ),
        (
            "SELECT '{\"a\":{\"b\":[1,2]}}'::jsonb -> 'a' ->> 'b', '{\"a\":1}'::jsonb @> '{\"a\":1}'",
            "[1, 2]|t",
        ),
        (
            "SELECT upper('ä'), length('größe'), substr('hello', 2, 3), split_part('a,b', ',', 2), lpad('7', 3, '0')",
            "Ä|5|ell|b|007",
        ),
        (
            "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 5) SELECT sum(n), count(*) FROM t",
            "15|5",
        ),
        (
            "SELECT array_agg(g ORDER BY g DESC), string_agg(g::text, '-' ORDER BY g) FROM generate_series(1, 3) g",
            "{3,2,1}|1-2-3",
        ),
        (
            "SELECT x FROM (VALUES (2), (NULL), (1)) t(x) ORDER BY x DESC",
            ";2;1",
        ),
        (
            "SELECT x FROM (VALUES ('10'::numeric), (9.5), (9.50)) t(x) GROUP BY x ORDER BY x",
            "9.5;10",
        ),
    ] {
        check("", sql, expected);
    }
}

#[test]
fn a_table_is_made_filled_changed_and_read() {
    let script = "
        CREATE TABLE t (id serial PRIMARY KEY, name text NOT NULL UNIQUE, q int DEFAULT 3, at timestamptz DEFAULT now());
        INSERT INTO t (name) VALUES ('a'), ('b'), ('c');
        INSERT INTO t (id, name, q) VALUES (1, 'x', 1) ON CONFLICT (id) DO UPDATE SET q = t.q + excluded.q;
        INSERT INTO t (name) VALUES ('b') ON CONFLICT DO NOTHING;
        UPDATE t SET q = s.q FROM (VALUES ('c', 9)) AS s(name, q) WHERE t.name = s.name;
        DELETE FROM t USING (VALUES ('b')) AS s(name) WHERE t.name = s.name";
    check(
        script,
        "SELECT id, name, q, at IS NOT NULL FROM t ORDER BY id",
        "1|a|4|t;3|c|9|t",
    );
}

#[test]
fn returning_gives_the_rows_that_a_change_has_touched() {
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
fn a_temporary_table_is_seen_by_its_session_only() {
    with_client(json!({}), async |client, config| {
        client
            .batch_execute("CREATE TEMP TABLE t (x int); INSERT INTO t VALUES (1)")
            .await
            .unwrap();
        let other = crate::connect::connect(&config).await;
        assert_eq!(
            crate::connect::state(&other, "SELECT * FROM t")
                .await
                .as_deref(),
            Some("42P01")
        );
        assert_eq!(text(&client, "SELECT * FROM t").await, "1");
    });
}

#[test]
fn definitions_that_change_are_noticed_by_statements_prepared_before() {
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
            .batch_execute("ALTER TABLE t ADD COLUMN b int DEFAULT 7; UPDATE t SET a = 11")
            .await
            .unwrap();
        let row = client.query_one(&statement, &[&1i32]).await.unwrap();
        assert_eq!(row.get::<_, i32>(0), 11);
        other
            .batch_execute("ALTER TABLE t DROP COLUMN a")
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
fn a_portal_gives_its_rows_in_parts() {
    with_client(json!({"preload": ["items"]}), async |mut client, _| {
        let transaction = client.transaction().await.unwrap();
        let portal = transaction
            .bind("SELECT id FROM items WHERE id <= $1 ORDER BY id", &[&7i32])
            .await
            .unwrap();
        let mut parts = Vec::new();
        loop {
            let part = transaction.query_portal(&portal, 3).await.unwrap();
            let ids: Vec<i32> = part.iter().map(|row| row.get(0)).collect();
            parts.push(ids);
            if parts.last().is_none_or(|part| part.len() < 3) {
                break;
            }
        }
        assert_eq!(parts, [vec![1, 2, 3], vec![4, 5, 6], vec![7]]);
    });
}

#[test]
fn settings_are_kept_and_reset() {
    check(
        "SET application_name = 'me'; SET LOCAL work_mem = '1MB'",
        "SHOW application_name",
        "me",
    );
    check(
        "SET application_name = 'me'; RESET application_name",
        "SELECT current_setting('application_name')",
        "",
    );
    check(
        "SET TIME ZONE 'Etc/UTC'; SET datestyle TO iso",
        "SHOW TimeZone",
        "UTC",
    );
}

#[test]
fn the_items_that_were_asked_for_are_there() {
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
fn a_query_of_several_statements_answers_each() {
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
