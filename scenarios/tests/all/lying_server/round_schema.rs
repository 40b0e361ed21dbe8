//! The schema of a database round on a server that records every statement: created once, under a name of its own, and
//! dropped by nobody but its round, whatever fails.
//!
//! The server knows just enough of PostgreSQL's protocol to say yes, or no where a test wants it to.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use photofinish_record::protocol::{TargetAddress, WorkerPlan, WorkerResult};
use photofinish_workloads::registry::workload;
use photofinish_workloads::worker::work;
use serde_json::json;

use crate::support::backend_messages::row;
use crate::support::rounds::plan;
use crate::support::tiny_server;

const WORKLOADS: [&str; 4] = ["db-crud", "db-pool", "db-select", "db-transaction"];

/// The statements of a round against a server that refuses all that begin with `refused`.
fn statements(name: &str, refused: &'static str) -> Vec<String> {
    round(name, refused, None).0
}

/// The statements and the result of a round, if the server says of each connection that `process` serves it.
fn round(name: &str, refused: &'static str, process: Option<&str>) -> (Vec<String>, WorkerResult) {
    let process = process.map_or_else(Vec::new, |process| row(&[Some(process.into())]));
    let statements = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&statements);
    let address = tiny_server::start(move |client| {
        let answer = |sql: &str| {
            kept.lock().expect("not poisoned").push(sql.to_owned());
            !sql.starts_with(refused)
        };
        let _ = serve(client, &process, &answer);
    });
    let directory = tempfile::tempdir().expect("a directory");
    let entry = workload(name).expect("it ships");
    let url = format!("postgres://photofinish@{address}/photofinish");
    let target = TargetAddress {
        url,
        address: None,
        mock: false,
        tls: None,
    };
    let unit = Duration::from_millis(1);
    let plan = WorkerPlan {
        targets: [("db".to_owned(), target)].into(),
        ..plan(entry, &json!({}), unit, "sync", 1, directory.path())
    };
    let result = work(&plan).result;
    if let WorkerResult::Ok { measurement, .. } = &result {
        assert_ne!(
            measurement.violations, [""; 0],
            "{name} cannot succeed here"
        );
    }
    let statements = statements.lock().expect("not poisoned");
    (statements.clone(), result)
}

/// Answers what a client sends; statements are accepted or refused as `answer` says.
fn serve(mut client: &TcpStream, process: &[u8], answer: &dyn Fn(&str) -> bool) -> io::Result<()> {
    const READY: &[u8] = b"Z\0\0\0\x05I";
    const ERROR: &[u8] = b"E\0\0\0\x17SERROR\0CXX000\0Mno\0\0";
    let mut word = [0; 4];
    client.read_exact(&mut word)?;
    let mut startup = vec![0; u32::from_be_bytes(word) as usize - 4];
    client.read_exact(&mut startup)?;
    client.write_all(&[b"R\0\0\0\x08\0\0\0\0", READY].concat())?;
    let mut refused = false;
    loop {
        let mut tag = [0];
        client.read_exact(&mut tag)?;
        client.read_exact(&mut word)?;
        let mut body = vec![0; u32::from_be_bytes(word) as usize - 4];
        client.read_exact(&mut body)?;
        let text = String::from_utf8_lossy(&body);
        let mut sql = |sql: &str| {
            refused |= !answer(sql);
            refused
        };
        let reply: &[u8] = match tag[0] {
            b'Q' if text.contains("pg_backend_pid") => {
                &[process, b"C\0\0\0\x07OK\0", READY].concat()
            }
            b'Q' if sql(text.trim_end_matches('\0')) => &[ERROR, READY].concat(),
            b'Q' => &[b"C\0\0\0\x07OK\0", READY].concat(),
            b'P' if sql(text.split('\0').nth(1).unwrap_or_default()) => ERROR,
            b'P' => b"1\0\0\0\x04",
            b'B' => b"2\0\0\0\x04",
            b'E' => b"C\0\0\0\x07OK\0",
            b'S' => READY,
            _ => return Ok(()),
        };
        if matches!(tag[0], b'Q' | b'S') {
            refused = false;
        }
        client.write_all(reply)?;
    }
}

fn beginning_with<'a>(statements: &'a [String], start: &str) -> Vec<&'a str> {
    let all = statements.iter().map(String::as_str);
    all.filter(|sql| sql.starts_with(start)).collect()
}

/// The name of the one schema that a round has tried to create.
fn created(statements: &[String]) -> &str {
    let [create] = beginning_with(statements, "CREATE SCHEMA")[..] else {
        panic!("one schema: {statements:?}");
    };
    create.strip_prefix("CREATE SCHEMA ").expect("as above")
}

#[test]
fn an_existing_schema_is_neither_used_nor_dropped() {
    for name in WORKLOADS {
        let statements = statements(name, "CREATE SCHEMA");
        created(&statements);
        assert_eq!(beginning_with(&statements, "DROP"), [""; 0], "{name}");
        assert_eq!(
            beginning_with(&statements, "CREATE TABLE"),
            [""; 0],
            "{name}"
        );
    }
}

#[test]
fn a_failed_round_drops_the_schema_it_created() {
    for name in WORKLOADS {
        // While tables are made, and while a session is opened.
        for refused in ["CREATE TABLE", "SELECT"] {
            let statements = statements(name, refused);
            let schema = created(&statements);
            let [drop] = beginning_with(&statements, "DROP")[..] else {
                panic!("{name}: {refused}: {statements:?}");
            };
            assert!(drop.ends_with(&format!("; DROP SCHEMA {schema}")), "{drop}");
            assert!(!drop.contains("CASCADE"), "{drop}");
        }
    }
}

#[test]
fn no_two_rounds_have_the_same_schema_and_nobody_guesses_its_name() {
    let [one, other] = [(); 2].map(|()| statements("db-select", "CREATE TABLE"));
    assert_ne!(created(&one), created(&other));
    for statements in [one, other] {
        let random = created(&statements).strip_prefix("photofinish_");
        let random = random.expect("whose it is");
        assert_eq!(random.len(), 32, "{random}");
        assert!(
            random.bytes().all(|byte| byte.is_ascii_hexdigit()),
            "{random}"
        );
    }
}

/// Whatever a session of the server has in its search path, nothing outside of the schema is meant.
#[test]
fn every_table_is_named_with_its_schema() {
    for name in WORKLOADS {
        let statements = statements(name, "nothing");
        let schema = format!("{}.", created(&statements));
        for sql in &statements {
            assert!(!sql.contains("search_path"), "{name}: {sql}");
            for (at, _) in sql
                .match_indices("TABLE ")
                .chain(sql.match_indices("FROM "))
            {
                let table = sql[at..].split_once(' ').expect("as matched").1;
                let table = table.trim_start_matches("IF EXISTS ");
                let table = table.trim_start_matches("IF NOT EXISTS ");
                let catalog = ["pg_", "generate_series"];
                let known = table.starts_with(&schema)
                    || catalog.iter().any(|known| table.starts_with(known));
                assert!(known, "{name}: {sql}");
            }
        }
    }
}

/// A pool that lends the same session to whoever asks first looks like a server until two ask at a time.
#[test]
fn two_connections_with_one_session_are_refused_before_anything_is_made() {
    for name in WORKLOADS {
        let (statements, result) = round(name, "nothing", Some("4711"));
        assert_eq!(statements, [""; 0]);
        let WorkerResult::Failed { reason, hint, .. } = result else {
            panic!("{name}: {result:?}");
        };
        assert!(reason.contains("transaction pooling"), "{reason}");
        assert!(hint.is_some_and(|hint| hint.contains("pool_mode = session")));
    }
}
