//! Who is let in: every method, with the right and the wrong password, and the bound of connections.

use serde_json::{Value, json};

use crate::connect::{block_on, config, connect, server, state_of, text, try_connect};

#[track_caller]
fn check(method: &str, user: &str, password: &str, expected: Result<(), &str>) {
    let server = server(json!({"auth": method, "user": "alice", "password": "s3cret ü"}));
    let mut config = config(&server);
    config.user(user).password(password);
    block_on(async {
        let connected = try_connect(&config).await;
        if let Ok(client) = &connected {
            assert_eq!(text(client, "SELECT current_user").await, user);
        }
        let outcome = connected.map(|_| ()).map_err(|error| state_of(&error));
        assert_eq!(
            outcome,
            expected.map_err(str::to_owned),
            "{method} as {user} with {password}"
        );
    });
    server.stop().unwrap();
}

#[test]
fn every_method_tells_the_right_password_from_a_wrong_one() {
    for method in ["cleartext", "md5", "scram-sha-256"] {
        check(method, "alice", "s3cret ü", Ok(()));
        check(method, "alice", "wrong", Err("28P01"));
        check(method, "bob", "s3cret ü", Err("28P01"));
    }
    check("trust", "bob", "", Ok(()));
}

#[test]
fn one_connection_too_many_is_refused_and_the_next_one_is_not() {
    let mut server = server(json!({"max_connections": 2}));
    let config = config(&server);
    block_on(async {
        let (first, _second) = (connect(&config).await, connect(&config).await);
        let error = try_connect(&config).await.expect_err("the third");
        assert_eq!(state_of(&error), "53300");
        drop(first);
    });
    server.counts_when(|counts| counts.open_connections == Some(0));
    block_on(async {
        assert_eq!(text(&connect(&config).await, "SELECT 1").await, "1");
    });
    assert_eq!(server.counts().refused, Some(1));
    server.stop().unwrap();
}

#[track_caller]
fn check_behaviour(behaviour: Value, path: &[&str]) {
    let kind = photofinish_servers::find("postgres").expect("listed");
    let error = (kind.check_behaviour)(&behaviour).expect_err("invalid");
    assert_eq!(error.path, path, "{error}");
}

#[test]
fn an_invalid_behaviour_is_reported_with_its_path() {
    check_behaviour(json!({"auth": "md5"}), &["password"]);
    check_behaviour(json!({"pasword": "x"}), &["pasword"]);
    check_behaviour(json!({"auth": "kerberos"}), &["auth"]);
    check_behaviour(json!({"preload": ["nothing"]}), &["preload", "0"]);
    check_behaviour(
        json!({"seed_sql": ["SELECT 1", "CREATE TABEL t"]}),
        &["seed_sql", "1"],
    );
    check_behaviour(json!({"delay": 5}), &["delay"]);
}
