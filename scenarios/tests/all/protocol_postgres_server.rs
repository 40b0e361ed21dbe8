//! The PostgreSQL client against a real server, compared with `tokio-postgres`, an independent driver.
//!
//! Both run the same statements on separate connections; rows, counts and SQLSTATEs must be the same.

use photofinish_workloads::protocol::postgres::{
    Outcome, Parameter, PgConfig, PgError, Secret, TransactionStatus,
};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{NoTls, SimpleQueryMessage};

use crate::support::backend_messages::Cells;
use crate::support::pg_client::PgClient;
use crate::support::throwaway_postgres::{PASSWORD, ThrowawayPostgres};

/// Maximum sizes of the client's reads: small ones, and one for everything at once.
const PIECES_BYTES: [usize; 4] = [1, 3, 7, 1 << 16];

fn config(user: &str, password: Option<&str>) -> PgConfig {
    PgConfig {
        password: password.map(Secret::new),
        database: "postgres".to_owned(),
        ..PgConfig::new(user)
    }
}

fn connect(server: &ThrowawayPostgres, piece_bytes: usize) -> PgClient {
    PgClient::connect(server.port, &config("postgres", None), piece_bytes).unwrap()
}

/// The oracle, driven one call at a time.
struct Oracle {
    runtime: tokio::runtime::Runtime,
    client: tokio_postgres::Client,
}

impl Oracle {
    fn connect(
        server: &ThrowawayPostgres,
        user: &str,
        password: &str,
    ) -> Result<Self, tokio_postgres::Error> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let mut config = tokio_postgres::Config::new();
        config
            .host("127.0.0.1")
            .port(server.port)
            .user(user)
            .password(password)
            .dbname("postgres");
        let (client, connection) = runtime.block_on(config.connect(NoTls))?;
        runtime.spawn(connection);
        Ok(Oracle { runtime, client })
    }

    /// Rows as text and rows affected, or the SQLSTATE of an error.
    fn simple(&self, sql: &str) -> Result<(Vec<Cells>, u64), String> {
        let messages = self
            .runtime
            .block_on(self.client.simple_query(sql))
            .map_err(sqlstate)?;
        let (mut rows, mut affected) = (Vec::new(), 0);
        for message in messages {
            match message {
                SimpleQueryMessage::Row(row) => {
                    let cell = |index| row.get(index).map(|text: &str| text.as_bytes().to_vec());
                    rows.push((0..row.len()).map(cell).collect());
                }
                SimpleQueryMessage::CommandComplete(count) => affected += count,
                _ => {}
            }
        }
        Ok((rows, affected))
    }
}

fn sqlstate(error: tokio_postgres::Error) -> String {
    error
        .code()
        .map_or_else(|| error.to_string(), |code| code.code().to_owned())
}

/// The part of our result that the oracle has as well.
fn comparable((rows, outcome): (Vec<Cells>, Outcome)) -> Result<(Vec<Cells>, u64), String> {
    match outcome.error {
        Some(error) => Err(error.code),
        None => Ok((rows, outcome.rows_affected)),
    }
}

#[test]
fn each_method_of_authentication_accepts_only_the_right_password() {
    let Some(server) = ThrowawayPostgres::shared() else {
        return;
    };
    let mut admin = connect(&server, 1 << 16);
    let roles = format!(
        "CREATE ROLE trust_user LOGIN; CREATE ROLE cleartext_user LOGIN PASSWORD '{PASSWORD}';
         SET password_encryption = 'md5'; CREATE ROLE md5_user LOGIN PASSWORD '{PASSWORD}';
         SET password_encryption = 'scram-sha-256'; CREATE ROLE scram_user LOGIN PASSWORD '{PASSWORD}'"
    );
    assert_eq!(admin.simple(&roles).unwrap().1.error, None);
    for user in ["trust_user", "cleartext_user", "md5_user", "scram_user"] {
        let oracle = Oracle::connect(&server, user, PASSWORD).unwrap();
        assert_eq!(
            oracle.simple("SELECT current_user").unwrap().0,
            [[Some(user.into())]]
        );
        for piece_bytes in PIECES_BYTES {
            let mut client =
                PgClient::connect(server.port, &config(user, Some(PASSWORD)), piece_bytes).unwrap();
            let (rows, _) = client.simple("SELECT current_user").unwrap();
            assert_eq!(rows, [[Some(user.as_bytes().to_vec())]]);
            client.terminate();
        }
        if user != "trust_user" {
            let refused = PgClient::connect(server.port, &config(user, Some("wrong")), 5).err();
            let theirs = Oracle::connect(&server, user, "wrong").err().map(sqlstate);
            assert_eq!(
                (code(&refused), theirs.as_deref()),
                (Some("28P01"), Some("28P01")),
                "{user}"
            );
            let none = PgClient::connect(server.port, &config(user, None), 5).err();
            assert!(
                matches!(none, Some(PgError::PasswordRequired { .. })),
                "{user}: {none:?}"
            );
        }
    }
    let unknown = PgClient::connect(server.port, &config("nobody_here", None), 5).err();
    assert_eq!(
        code(&unknown),
        Some("28000"),
        "pg_hba.conf has no line for it"
    );
    let missing = PgConfig {
        database: "missing".into(),
        ..config("postgres", None)
    };
    assert_eq!(
        code(&PgClient::connect(server.port, &missing, 5).err()),
        Some("3D000")
    );
}

fn code(error: &Option<PgError>) -> Option<&str> {
    match error {
        Some(PgError::Server(error)) => Some(&error.code),
        _ => None,
    }
}

/// Runs the same statements through both, each with its own connection and temporary tables.
#[test]
fn simple_statements_agree_with_the_oracle() {
    let Some(server) = ThrowawayPostgres::shared() else {
        return;
    };
    let statements = [
        "SELECT 1, NULL, '', 'ü€😀', 1.5::float8, '\\x00ff'::bytea, true",
        "SELECT generate_series(1, 500), repeat('x', 300)",
        "SELECT",
        "SELECT FROM generate_series(1, 3)",
        "",
        "CREATE TEMPORARY TABLE item (id int PRIMARY KEY, name text)",
        "INSERT INTO item SELECT n, 'name ' || n FROM generate_series(1, 20) n",
        "UPDATE item SET name = NULL WHERE id > 15",
        "SELECT * FROM item ORDER BY id; DELETE FROM item WHERE id < 5; SELECT count(*) FROM item",
        "INSERT INTO item VALUES (7, 'twice')",
        "SELECT 1; SELECT 1 / 0; SELECT 2",
        "SELEC",
        "SELECT * FROM nowhere",
        "BEGIN; SELECT 1",
        "INSERT INTO item VALUES (7, 'twice')",
        "SELECT 1",
        "ROLLBACK",
        "SELECT count(*) FROM item",
        "DO $$ BEGIN RAISE NOTICE 'to be skipped'; RAISE WARNING 'as well'; END $$",
        "SET TimeZone = 'Asia/Tokyo'; SHOW TimeZone",
        "LISTEN here; NOTIFY here, 'payload'; SELECT 1",
        "SELECT 'the connection still works'",
    ];
    let oracle = Oracle::connect(&server, "postgres", "").unwrap();
    let expected = statements.map(|sql| oracle.simple(sql));
    for piece_bytes in PIECES_BYTES {
        let mut client = connect(&server, piece_bytes);
        for (sql, expected) in statements.iter().zip(&expected) {
            let actual = comparable(client.simple(sql).unwrap());
            assert_eq!(&actual, expected, "{sql} in pieces of {piece_bytes}");
        }
    }
}

#[test]
fn transaction_status_and_errors_are_reported() {
    let Some(server) = ThrowawayPostgres::shared() else {
        return;
    };
    let mut client = connect(&server, 3);
    let mut outcome = |sql| client.simple(sql).unwrap().1;
    assert_eq!(
        outcome("BEGIN").transaction_status,
        TransactionStatus::Active
    );
    let failed = outcome("SELECT 1 / 0");
    assert_eq!(failed.transaction_status, TransactionStatus::Failed);
    let error = failed.error.unwrap();
    assert_eq!(
        (error.severity.as_str(), error.code.as_str()),
        ("ERROR", "22012")
    );
    assert_eq!(error.message, "division by zero");
    assert_eq!(outcome("SELECT 1").error.unwrap().code, "25P02");
    assert_eq!(
        outcome("ROLLBACK").transaction_status,
        TransactionStatus::Idle
    );
    for skipped in [
        "DO $$ BEGIN RAISE NOTICE 'a'; RAISE NOTICE 'b'; END $$",
        "LISTEN here",
        "NOTIFY here",
    ] {
        let expected = Outcome {
            rows_of_statements: vec![0],
            ..Outcome::default()
        };
        assert_eq!(outcome(skipped), expected, "{skipped}");
    }
    let hinted = "DO $$ BEGIN RAISE 'm' USING DETAIL = 'd', HINT = 'h', ERRCODE = 'ABCDE'; END $$";
    let error = outcome(hinted).error.unwrap();
    assert_eq!(
        (error.code.as_str(), error.message.as_str()),
        ("ABCDE", "m")
    );
    assert_eq!(
        (error.detail.as_deref(), error.hint.as_deref()),
        (Some("d"), Some("h"))
    );
}

/// A statement with a parameter of every kind, executed with boundary values.
#[test]
fn prepared_statements_agree_with_the_oracle() {
    let Some(server) = ThrowawayPostgres::shared() else {
        return;
    };
    let sql = "SELECT $1::int4, $2::text";
    let oracle = Oracle::connect(&server, "postgres", "").unwrap();
    let types = [Type::INT4, Type::TEXT];
    let statement = oracle
        .runtime
        .block_on(oracle.client.prepare_typed(sql, &types))
        .unwrap();
    let mut client = connect(&server, 7);
    let outcome = client.prepare("all", sql, &[23, 25]).unwrap();
    assert_eq!(outcome.error, None);
    for (int4, text) in [
        (0, ""),
        (i32::MIN, "ü€😀 'quoted'"),
        (i32::MAX, "two\nlines"),
        (-1, "\\"),
    ] {
        let parameters = [Parameter::Int4(int4), Parameter::Text(text)];
        let (rows, outcome) = client.execute("all", &parameters).unwrap();
        assert_eq!((outcome.error, outcome.rows), (None, 1));
        let theirs: [&(dyn ToSql + Sync); 2] = [&int4, &text];
        let row = oracle
            .runtime
            .block_on(oracle.client.query_one(&statement, &theirs))
            .unwrap();
        let expected = [row.get::<_, i32>(0).to_string(), row.get(1)];
        assert_eq!(rows, [expected.map(|cell| Some(cell.into_bytes()))]);
    }
}

#[test]
fn a_prepared_statement_is_counted_and_its_errors_are_reported() {
    let Some(server) = ThrowawayPostgres::shared() else {
        return;
    };
    let mut client = connect(&server, 3);
    client
        .simple("CREATE TEMPORARY TABLE item (id int4 PRIMARY KEY, name text)")
        .unwrap();
    let insert = "INSERT INTO item VALUES ($1, $2) RETURNING name";
    let prepared = client.prepare("insert", insert, &[23, 0]).unwrap();
    assert_eq!(prepared.error, None);
    let values = [Parameter::Int4(1), Parameter::Text("one")];
    let mut insert = || client.execute("insert", &values).unwrap();
    let (rows, outcome) = insert();
    assert_eq!(
        (rows, outcome.rows_affected),
        (vec![vec![Some(b"one".to_vec())]], 1)
    );
    let twice = insert().1;
    assert_eq!(
        twice.error.map(|error| error.code).as_deref(),
        Some("23505")
    );
    assert_eq!(twice.transaction_status, TransactionStatus::Idle);
    client.simple("DEALLOCATE insert").unwrap();
    let gone = client.execute("insert", &values).unwrap().1;
    assert_eq!(gone.error.map(|error| error.code).as_deref(), Some("26000"));
    let bad = client.prepare("bad", "SELECT $1 +", &[]).unwrap();
    assert_eq!(bad.error.map(|error| error.code).as_deref(), Some("42601"));
}

#[test]
fn copy_is_refused_and_a_terminated_session_reports_an_error() {
    let Some(server) = ThrowawayPostgres::shared() else {
        return;
    };
    for copy in [
        "COPY (SELECT 1) TO STDOUT",
        "CREATE TEMPORARY TABLE t (n int); COPY t FROM STDIN",
    ] {
        assert_eq!(
            connect(&server, 9).simple(copy),
            Err(PgError::Copy),
            "{copy}"
        );
    }
    let killed = connect(&server, 9)
        .simple("SELECT pg_terminate_backend(pg_backend_pid())")
        .err();
    assert_eq!(code(&killed), Some("57P01"));
}

#[test]
fn too_many_connections_are_refused_with_their_code() {
    let Some(server) = ThrowawayPostgres::shared() else {
        return;
    };
    let mut admin = connect(&server, 64);
    let created = admin
        .simple("CREATE ROLE limited_user LOGIN CONNECTION LIMIT 0")
        .unwrap()
        .1;
    assert_eq!(created.error, None);
    let refused = PgClient::connect(server.port, &config("limited_user", None), 64).err();
    assert_eq!(code(&refused), Some("53300"));
}
