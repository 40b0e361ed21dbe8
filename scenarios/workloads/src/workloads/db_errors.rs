//! Failures of PostgreSQL, with a remedy if the SQLSTATE implies one.

use photofinish_harness::workload::Failure;

use crate::protocol::postgres::{PgConfig, PgError, ServerError};

/// The server reported an error about a statement; the detail has its SQLSTATE.
pub(super) const SQL: &str = "sql";

/// A proxy between here and the server does not keep sessions.
const POOLED: &str = "pooled";

const POOLED_HINT: &str =
    "connect to PostgreSQL itself, or through a proxy with pool_mode = session";

/// The failure of a statement.
pub(super) fn statement(error: &ServerError, config: &PgConfig) -> Failure {
    hinted(Failure::new(SQL, error.to_string()), error, config)
}

/// The failure of an exchange, after which the connection is unusable.
pub(super) fn exchange(error: &PgError, config: &PgConfig) -> Failure {
    let failure = broken(error);
    match error {
        PgError::Server(error) => hinted(failure, error, config),
        _ => failure,
    }
}

/// The failure of a connection, with the client's own advice.
pub(super) fn broken(error: &PgError) -> Failure {
    let failure = Failure::new(error.kind(), error.to_string());
    match error.hint() {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// The failure if prepared statements and settings do not stay with a connection.
pub(super) fn pooled() -> Failure {
    let detail = "there is a proxy with transaction pooling in between: connections have no session of their own, \
                  which prepared statements, settings and temporary tables need";
    Failure::new(POOLED, detail).hint(POOLED_HINT)
}

/// `failure`, with advice if its cause is a server that accepts a connection and never responds.
pub(super) fn unserved(failure: Failure) -> Failure {
    advised(
        failure,
        "the server may serve fewer connections than are needed: two to set up, and each session has its own; allow more, \
         or use a lower --concurrency",
    )
}

/// `failure`, with advice if its cause is a server that no longer responds to a session.
pub(super) fn silent(failure: Failure) -> Failure {
    advised(
        failure,
        "the server took the login and stopped responding: check its log, and pg_stat_activity for locks",
    )
}

fn advised(failure: Failure, advice: &str) -> Failure {
    match (failure.kind, &failure.hint) {
        (Failure::TIMEOUT, None) => failure.hint(advice),
        _ => failure,
    }
}

fn hinted(failure: Failure, error: &ServerError, config: &PgConfig) -> Failure {
    match remedy(&error.code, config) {
        Some(remedy) => failure.hint(remedy),
        None => failure,
    }
}

/// The remedy of an error with this SQLSTATE.
fn remedy(code: &str, config: &PgConfig) -> Option<String> {
    let user = quoted(&config.user);
    let database = quoted(&config.database);
    Some(match code {
        "42501" => format!("GRANT CREATE ON DATABASE {database} TO {user}: each round creates its own schema and drops it"),
        "25006" => "every round creates its own tables: use a server that is not a standby, and a user and database without \
                    default_transaction_read_only"
            .to_owned(),
        "57014" => format!("if the server's limit is too short: ALTER ROLE {user} SET statement_timeout = 0"),
        "53300" => format!(
            "use fewer sessions (--concurrency) or allow more connections: the server's max_connections, \
             ALTER ROLE {user} CONNECTION LIMIT -1, ALTER DATABASE {database} CONNECTION LIMIT -1"
        ),
        // A prepared statement that is unknown, or already exists.
        "26000" | "42P05" => format!("if there is a proxy in between: {POOLED_HINT}"),
        _ => return None,
    })
}

/// A quoted SQL identifier.
fn quoted(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    if name.bytes().all(plain) {
        return name.to_owned();
    }
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_sqlstate_has_a_remedy_to_type() {
        let config = PgConfig {
            database: "Shop \"1\"".to_owned(),
            ..PgConfig::new("ann")
        };
        let hint = |code: &str| {
            let error = ServerError {
                code: code.to_owned(),
                ..ServerError::default()
            };
            let hint = statement(&error, &config).hint.clone();
            assert_eq!(hint, exchange(&PgError::Server(error), &config).hint);
            hint.unwrap_or_default()
        };
        assert!(hint("42501").starts_with("GRANT CREATE ON DATABASE \"Shop \"\"1\"\"\" TO ann"));
        assert!(hint("25006").contains("read_only"));
        assert!(hint("57014").contains("ALTER ROLE ann SET statement_timeout"));
        assert!(hint("53300").contains("--concurrency"));
        for code in ["26000", "42P05"] {
            assert!(hint(code).contains("pool_mode = session"));
        }
        assert_eq!(&*hint("23505"), "");
    }
}
