//! Transactions: all or nothing, one after another, and gone with their connection.

use serde_json::json;
use tokio::task::JoinSet;

use crate::connect::{block_on, config, connect, server, state, text, with_client};

#[test]
fn uncommitted_changes_are_not_seen() {
    // Goal: a reader in another session gets the state before or after a transaction, never one within. Method: a read
    // that is sent while a transaction is open answers only once that has ended.
    with_client(json!({}), async |client, config| {
        client
            .batch_execute("CREATE TABLE t (x int); INSERT INTO t VALUES (1)")
            .await
            .unwrap();
        let other = connect(&config).await;
        client
            .batch_execute("BEGIN; UPDATE t SET x = 2")
            .await
            .unwrap();
        let read = tokio::spawn(async move { text(&other, "SELECT x FROM t").await });
        client
            .batch_execute("UPDATE t SET x = 3; COMMIT")
            .await
            .unwrap();
        assert_eq!(read.await.unwrap(), "3");
        client
            .batch_execute("BEGIN; UPDATE t SET x = 4; ROLLBACK")
            .await
            .unwrap();
        assert_eq!(text(&client, "SELECT x FROM t").await, "3");
    });
}

#[test]
fn a_read_only_transaction_blocks_nobody() {
    with_client(json!({}), async |client, config| {
        client
            .batch_execute("CREATE TABLE t (x int); INSERT INTO t VALUES (1)")
            .await
            .unwrap();
        let other = connect(&config).await;
        client.batch_execute("BEGIN").await.unwrap();
        assert_eq!(text(&client, "SELECT x FROM t").await, "1");
        other.batch_execute("UPDATE t SET x = 2").await.unwrap();
        assert_eq!(
            text(&client, "SELECT x FROM t").await,
            "2",
            "read committed"
        );
        client.batch_execute("COMMIT").await.unwrap();
    });
}

#[test]
fn a_serializable_transaction_sees_one_state_throughout() {
    with_client(json!({}), async |client, config| {
        client
            .batch_execute("CREATE TABLE t (x int); INSERT INTO t VALUES (1)")
            .await
            .unwrap();
        let other = connect(&config).await;
        client
            .batch_execute("BEGIN ISOLATION LEVEL SERIALIZABLE")
            .await
            .unwrap();
        assert_eq!(text(&client, "SELECT x FROM t").await, "1");
        let write = tokio::spawn(async move { other.batch_execute("UPDATE t SET x = 2").await });
        assert_eq!(text(&client, "SELECT x FROM t").await, "1");
        client.batch_execute("COMMIT").await.unwrap();
        write.await.unwrap().unwrap();
        assert_eq!(text(&client, "SELECT x FROM t").await, "2");
    });
}

#[test]
fn after_an_error_only_sync_is_accepted() {
    with_client(json!({}), async |client, _| {
        client
            .batch_execute("CREATE TABLE t (x int)")
            .await
            .unwrap();
        client
            .batch_execute("BEGIN; INSERT INTO t VALUES (1)")
            .await
            .unwrap();
        assert_eq!(state(&client, "SELECT 1/0").await.as_deref(), Some("22012"));
        assert_eq!(state(&client, "SELECT 1").await.as_deref(), Some("25P02"));
        assert_eq!(state(&client, "COMMIT").await, None);
        assert_eq!(
            text(&client, "SELECT count(*) FROM t").await,
            "0",
            "the commit was a rollback"
        );
    });
}

#[test]
fn a_savepoint_recovers_a_failed_transaction() {
    with_client(json!({}), async |client, _| {
        client.batch_execute("CREATE TABLE t (x int PRIMARY KEY); BEGIN; INSERT INTO t VALUES (1); SAVEPOINT s; INSERT INTO t VALUES (2)").await.unwrap();
        assert_eq!(
            state(&client, "INSERT INTO t VALUES (2)").await.as_deref(),
            Some("23505")
        );
        client
            .batch_execute("ROLLBACK TO s; INSERT INTO t VALUES (3); RELEASE s; COMMIT")
            .await
            .unwrap();
        assert_eq!(text(&client, "SELECT x FROM t ORDER BY x").await, "1;3");
    });
}

#[test]
fn schema_changes_roll_back_with_their_transaction() {
    with_client(json!({}), async |client, _| {
        client
            .batch_execute("BEGIN; CREATE TABLE t (x int); INSERT INTO t VALUES (1); ROLLBACK")
            .await
            .unwrap();
        assert_eq!(
            state(&client, "SELECT * FROM t").await.as_deref(),
            Some("42P01")
        );
        client
            .batch_execute("CREATE TABLE t (x text)")
            .await
            .unwrap();
        assert_eq!(text(&client, "SELECT count(*) FROM t").await, "0");
    });
}

#[test]
fn statements_of_one_message_are_one_transaction() {
    with_client(json!({}), async |client, _| {
        client
            .batch_execute("CREATE TABLE t (x int PRIMARY KEY)")
            .await
            .unwrap();
        let failed = client
            .batch_execute("INSERT INTO t VALUES (1); INSERT INTO t VALUES (1)")
            .await;
        assert!(failed.is_err(), "the second row is a duplicate");
        assert_eq!(text(&client, "SELECT count(*) FROM t").await, "0");
    });
}

#[test]
fn a_read_only_transaction_changes_nothing() {
    with_client(json!({}), async |client, _| {
        client
            .batch_execute("CREATE TABLE t (x int); BEGIN READ ONLY")
            .await
            .unwrap();
        assert_eq!(
            state(&client, "INSERT INTO t VALUES (1)").await.as_deref(),
            Some("25006")
        );
        client.batch_execute("ROLLBACK").await.unwrap();
    });
}

#[test]
fn a_broken_connection_leaves_nothing_behind() {
    with_client(json!({}), async |client, config| {
        client
            .batch_execute("CREATE TABLE t (x int)")
            .await
            .unwrap();
        let (broken, connection) = config.connect(tokio_postgres::NoTls).await.unwrap();
        let driving = tokio::spawn(connection);
        broken
            .batch_execute("BEGIN; INSERT INTO t VALUES (1)")
            .await
            .unwrap();
        // The socket closes without a word.
        driving.abort();
        assert_eq!(text(&client, "SELECT count(*) FROM t").await, "0");
    });
}

const CLIENTS: i64 = 20;
const TRANSFERS: i64 = 25;

#[test]
fn concurrent_transfers_keep_the_sum() {
    // Goal: no update is lost and no state within a transaction is seen. Method: 20 connections move money between two
    // accounts, half of them by reading under a lock and writing back, while each also checks the sum.
    let server = server(json!({}));
    let config = config(&server);
    block_on(async {
        let client = connect(&config).await;
        client.batch_execute("CREATE TABLE account (id int PRIMARY KEY, balance bigint); INSERT INTO account VALUES (1, 1000), (2, 1000)").await.unwrap();
        let mut transfers = JoinSet::new();
        for number in 0..CLIENTS {
            let config = config.clone();
            transfers.spawn(async move {
                let mut client = connect(&config).await;
                for round in 0..TRANSFERS {
                    let amount = (number * 7 + round * 3) % 50 - 20;
                    transfer(&mut client, amount, number % 2 == 0).await;
                    assert_eq!(
                        text(&client, "SELECT sum(balance) FROM account").await,
                        "2000"
                    );
                }
            });
        }
        while let Some(done) = transfers.join_next().await {
            done.unwrap();
        }
        let moved: i64 = (0..CLIENTS)
            .flat_map(|number| (0..TRANSFERS).map(move |round| (number * 7 + round * 3) % 50 - 20))
            .sum();
        let expected = format!("{}|{}", 1000 - moved, 1000 + moved);
        assert_eq!(text(&client, "SELECT (SELECT balance FROM account WHERE id = 1), (SELECT balance FROM account WHERE id = 2)").await, expected);
    });
    server.stop().unwrap();
}

async fn transfer(client: &mut tokio_postgres::Client, amount: i64, reads_first: bool) {
    let transaction = client.transaction().await.unwrap();
    if reads_first {
        let row = transaction
            .query_one("SELECT balance FROM account WHERE id = 1 FOR UPDATE", &[])
            .await
            .unwrap();
        let balance: i64 = row.get(0);
        transaction
            .execute(
                "UPDATE account SET balance = $1 WHERE id = 1",
                &[&(balance - amount)],
            )
            .await
            .unwrap();
    } else {
        transaction
            .execute(
                "UPDATE account SET balance = balance - $1 WHERE id = 1",
                &[&amount],
            )
            .await
            .unwrap();
    }
    transaction
        .execute(
            "UPDATE account SET balance = balance + $1 WHERE id = 2",
            &[&amount],
        )
        .await
        .unwrap();
    transaction.commit().await.unwrap();
}

#[test]
fn ids_given_to_concurrent_sessions_are_unique_and_contiguous() {
    let server = server(json!({}));
    let config = config(&server);
    block_on(async {
        let client = connect(&config).await;
        client
            .batch_execute("CREATE TABLE t (id serial PRIMARY KEY, who int NOT NULL)")
            .await
            .unwrap();
        let mut inserts = JoinSet::new();
        for who in 0..CLIENTS as i32 {
            let config = config.clone();
            inserts.spawn(async move {
                let client = connect(&config).await;
                let statement = client
                    .prepare("INSERT INTO t (who) VALUES ($1) RETURNING id")
                    .await
                    .unwrap();
                let mut ids = Vec::new();
                for _ in 0..5 {
                    ids.push(
                        client
                            .query_one(&statement, &[&who])
                            .await
                            .unwrap()
                            .get::<_, i32>(0),
                    );
                }
                ids
            });
        }
        let mut ids: Vec<i32> = inserts.join_all().await.into_iter().flatten().collect();
        ids.sort_unstable();
        assert_eq!(ids, (1..=100).collect::<Vec<i32>>());
    });
    server.stop().unwrap();
}
