//! SQL errors as PostgreSQL reports them, and the translation of SQLite's.
//!
//! A check that stands for a rule of a PostgreSQL type is named after its error, such as `22003 out of range`.

use bytes::TryGetError;
use rusqlite::ffi;

pub(crate) type SqlResult<T> = Result<T, SqlError>;

/// Hint on how to get a PostgreSQL with every feature.
const HINT: &str = "use --target db=local for a real PostgreSQL";

/// The state of the error that ends a connection without being sent.
pub(crate) const CLIENT_IS_GONE: &str = "08006";

/// An error of a statement; of the session, if its severity is `FATAL`; or a warning.
#[derive(Debug, thiserror::Error)]
#[error("{state}: {message}")]
pub(crate) struct SqlError {
    pub(crate) severity: &'static str,
    pub(crate) state: &'static str,
    pub(crate) message: String,
    /// Other fields of the message to the client: the hint, table, column or constraint, each with its code.
    pub(crate) details: Vec<(u8, String)>,
}

/// Parts of SQLite's messages, and what they mean.
const STATES: [(&str, &str); 19] = [
    ("division by zero", "22012"),
    ("FOREIGN KEY", "23503"),
    ("no such table", "42P01"),
    ("no such column", "42703"),
    ("has no column named", "42703"),
    ("ambiguous column", "42702"),
    ("no such function", "42883"),
    ("no such savepoint", "3B001"),
    ("misuse of ", "42803"),
    ("integer overflow", "22003"),
    ("maximum depth", "54001"),
    ("stack overflow", "54001"),
    ("too many", "54000"),
    ("too big", "54000"),
    (".\" already exists", "42P06"),
    ("already exists", "42P07"),
    ("malformed JSON", "22P02"),
    ("is full", "53200"),
    ("out of memory", "53200"),
];

impl From<std::io::Error> for SqlError {
    fn from(error: std::io::Error) -> Self {
        SqlError::fatal(CLIENT_IS_GONE, error.to_string())
    }
}

impl From<TryGetError> for SqlError {
    fn from(_: TryGetError) -> Self {
        malformed("a message is cut off")
    }
}

impl From<rusqlite::Error> for SqlError {
    fn from(error: rusqlite::Error) -> Self {
        let (code, text) = match error {
            rusqlite::Error::SqliteFailure(code, text) => {
                (code.extended_code, text.unwrap_or_default())
            }
            rusqlite::Error::SqlInputError { error, msg, .. } => (error.extended_code, msg),
            other => return SqlError::new("XX000", other.to_string()),
        };
        // As in `UNIQUE constraint failed: public.t.a, public.t.b`.
        let (_, subject) = text.split_once("failed: ").unwrap_or_default();
        let table = subject.split('.').nth(1).unwrap_or_default();
        let names = subject.split(", ").map(|name| name.rsplit('.').next());
        let columns = names.flatten().collect::<Vec<_>>().join("_");
        let duplicate = |constraint: String| {
            let message = "duplicate key value violates unique constraint";
            let error = SqlError::new("23505", format!("{message} \"{constraint}\""));
            error.with(b't', table).with(b'n', &constraint)
        };
        match code {
            ffi::SQLITE_CONSTRAINT_PRIMARYKEY | ffi::SQLITE_CONSTRAINT_ROWID => {
                duplicate(format!("{table}_pkey"))
            }
            ffi::SQLITE_CONSTRAINT_UNIQUE => duplicate(format!("{table}_{columns}_key")),
            ffi::SQLITE_CONSTRAINT_NOTNULL => {
                let message = format!("null value in column \"{columns}\"");
                let error = SqlError::new("23502", message + " violates not-null constraint");
                error.with(b't', table).with(b'c', &columns)
            }
            ffi::SQLITE_CONSTRAINT_CHECK => {
                for state in ["22001", "22003", "22P02"] {
                    if let Some(message) = subject.strip_prefix(state) {
                        return SqlError::new(state, message.trim_start());
                    }
                }
                let message = format!("new row violates check constraint \"{subject}\"");
                SqlError::new("23514", message).with(b'n', subject)
            }
            ffi::SQLITE_INTERRUPT => SqlError::new("57014", "canceling statement: it ran too long"),
            _ => {
                let mut known = STATES.iter();
                let known = known.find(|(part, _)| text.contains(part));
                SqlError::new(known.map_or("42601", |(_, state)| state), text).with_hint()
            }
        }
    }
}

/// An error in the protocol.
pub(crate) fn malformed(message: &str) -> SqlError {
    SqlError::fatal("08P01", message)
}

impl SqlError {
    pub(crate) fn new(state: &'static str, message: impl Into<String>) -> Self {
        SqlError {
            severity: "ERROR",
            state,
            message: message.into(),
            details: Vec::new(),
        }
    }

    /// An error that ends the connection.
    pub(crate) fn fatal(state: &'static str, message: impl Into<String>) -> Self {
        let mut error = SqlError::new(state, message);
        error.severity = "FATAL";
        error
    }

    /// Rejects a feature that PostgreSQL has and this server does not.
    pub(crate) fn unsupported(feature: impl std::fmt::Display) -> Self {
        let message = format!("{feature} is not supported by this mock server");
        SqlError::new("0A000", message).with_hint()
    }

    pub(crate) fn missing(state: &'static str, kind: &str, name: &str) -> Self {
        SqlError::new(state, format!("{kind} \"{name}\" does not exist"))
    }

    pub(crate) fn syntax(message: impl Into<String>) -> Self {
        SqlError::new("42601", message).with_hint()
    }

    pub(crate) fn syntax_at(token: &str) -> Self {
        SqlError::syntax(format!("syntax error at or near \"{token}\""))
    }

    fn with(mut self, code: u8, value: &str) -> Self {
        self.details.push((code, value.to_owned()));
        self
    }

    pub(crate) fn with_hint(self) -> Self {
        self.with(b'H', HINT)
    }
}
