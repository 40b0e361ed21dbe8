//! What the server counts, against what its clients did.

use serde_json::json;
use tokio::task::JoinSet;

use crate::connect::{block_on, config, connect, server};

#[test]
fn counts_match_the_clients() {
    let mut server = server(json!({"preload": ["items"]}));
    let config = config(&server);
    let before = server.counts();
    assert_eq!(
        (before.requests, before.statements),
        (Some(0), Some(0)),
        "loading counts as nothing"
    );
    block_on(async {
        let mut clients = JoinSet::new();
        for _ in 0..4 {
            let config = config.clone();
            clients.spawn(async move {
                let client = connect(&config).await;
                let statement = client
                    .prepare("SELECT name FROM items WHERE id = $1")
                    .await
                    .unwrap();
                for id in 1..=10i32 {
                    client.query_one(&statement, &[&id]).await.unwrap();
                }
                client.simple_query("SELECT 1; SELECT 2").await.unwrap();
                assert!(client.simple_query("SELECT 1/0").await.is_err());
            });
        }
        clients.join_all().await;
    });
    let counts = server.counts_when(|counts| counts.open_connections == Some(0));
    // Per client: ten executions, two queries; of the statements all but the failed one completed.
    assert_eq!(counts.requests, Some(4 * 12));
    assert_eq!(counts.statements, Some(4 * 12));
    assert_eq!(counts.connections, Some(4));
    let peak = counts.peak_in_flight.unwrap();
    assert!((1..=4).contains(&peak), "{peak} in flight at once");
    server.stop().unwrap();
}

#[test]
fn a_delay_lets_requests_overlap() {
    let mut server = server(json!({"delay": "50ms"}));
    let config = config(&server);
    block_on(async {
        let mut clients = JoinSet::new();
        for _ in 0..5 {
            let config = config.clone();
            clients.spawn(async move {
                connect(&config)
                    .await
                    .simple_query("SELECT 1")
                    .await
                    .map(|_| ())
            });
        }
        clients
            .join_all()
            .await
            .into_iter()
            .for_each(|outcome| outcome.unwrap());
    });
    let peak = server.counts().peak_in_flight.unwrap();
    assert!((2..=5).contains(&peak), "{peak} in flight at once");
    server.stop().unwrap();
}
