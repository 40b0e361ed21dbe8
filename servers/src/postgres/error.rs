//! SQL errors as PostgreSQL tells them: a SQLSTATE, a message, and where known the table, column and constraint.
//!
//! Here lives the one way from the engine's errors to those of PostgreSQL. Functions that run inside the engine can
//! hand over a text only, so theirs carries the SQLSTATE before a separator. When errors are sent, and what they do
//! to a transaction, is in `session.rs`.

use pgwire::messages::response::ErrorResponse;
use rusqlite::ffi;

use super::schema::{Schema, Table};

/// Between SQLSTATE and message in what a function inside the engine throws; no statement can contain it by accident.
const STATE_SEPARATOR: char = '\u{1}';

pub(crate) type SqlResult<T> = Result<T, SqlError>;

/// An error of a statement, or of the session where it is fatal. Boxed, since results carry it everywhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SqlError(Box<Fields>);

#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Fields {
    state: String,
    message: String,
    fatal: bool,
    schema: Option<String>,
    table: Option<String>,
    column: Option<String>,
    constraint: Option<String>,
}

impl std::fmt::Display for SqlError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}: {}", self.0.state, self.0.message)
    }
}

impl std::error::Error for SqlError {}

impl SqlError {
    /// An error with this SQLSTATE.
    pub(crate) fn new(state: &str, message: impl Into<String>) -> Self {
        SqlError(Box::new(Fields {
            state: state.to_owned(),
            message: message.into(),
            ..Fields::default()
        }))
    }

    /// An error after which the connection is closed.
    pub(crate) fn fatal(state: &str, message: impl Into<String>) -> Self {
        let mut error = SqlError::new(state, message);
        error.0.fatal = true;
        error
    }

    /// The statement is understood, and honestly refused.
    pub(crate) fn unsupported(what: impl std::fmt::Display) -> Self {
        SqlError::new("0A000", format!("{what} is not supported by this server"))
    }

    /// Refuses the text `input` as a value of type `type_name`.
    pub(crate) fn invalid_text(type_name: &str, input: &str) -> Self {
        let message = format!("invalid input syntax for type {type_name}: \"{input}\"");
        SqlError::new("22P02", message)
    }

    /// A value beyond the range of type `type_name`.
    pub(crate) fn out_of_range(type_name: &str) -> Self {
        SqlError::new("22003", format!("{type_name} out of range"))
    }

    /// A statement other than ROLLBACK after an error in the transaction.
    pub(crate) fn in_failed_transaction() -> Self {
        let message =
            "current transaction is aborted, commands ignored until end of transaction block";
        SqlError::new("25P02", message)
    }

    /// The five letters.
    pub(crate) fn state(&self) -> &str {
        &self.0.state
    }

    /// Whether the connection ends with it.
    pub(crate) fn is_fatal(&self) -> bool {
        self.0.fatal
    }

    fn about_table(
        mut self,
        table: &Table,
        column: Option<&str>,
        constraint: Option<&str>,
    ) -> Self {
        self.0.schema = Some(table.schema.clone());
        self.0.table = Some(table.name.clone());
        self.0.column = column.map(str::to_owned);
        self.0.constraint = constraint.map(str::to_owned);
        self
    }

    /// As the message that tells the client.
    pub(crate) fn to_response(&self) -> ErrorResponse {
        let severity = if self.0.fatal { "FATAL" } else { "ERROR" };
        let mut fields = vec![
            (b'S', severity.to_owned()),
            (b'V', severity.to_owned()),
            (b'C', self.0.state.clone()),
            (b'M', self.0.message.clone()),
        ];
        let named = [
            (b's', &self.0.schema),
            (b't', &self.0.table),
            (b'c', &self.0.column),
            (b'n', &self.0.constraint),
        ];
        fields.extend(
            named
                .into_iter()
                .filter_map(|(code, name)| name.clone().map(|name| (code, name))),
        );
        ErrorResponse::new(fields)
    }

    /// As an error that a function inside the engine may throw.
    pub(crate) fn into_engine(self) -> rusqlite::Error {
        let text = format!("{}{STATE_SEPARATOR}{}", self.0.state, self.0.message);
        rusqlite::Error::UserFunctionError(text.into())
    }

    /// Translates an error of the engine, with the names of `schema`.
    pub(crate) fn from_engine(error: &rusqlite::Error, schema: &Schema) -> Self {
        match error {
            rusqlite::Error::SqliteFailure(code, message) => {
                let text = message.as_deref().unwrap_or("the engine failed");
                from_failure(code.extended_code, text, schema)
            }
            rusqlite::Error::SqlInputError { error, msg, .. } => {
                from_failure(error.extended_code, msg, schema)
            }
            other => from_text(&other.to_string()),
        }
    }
}

fn from_failure(code: i32, text: &str, schema: &Schema) -> SqlError {
    match code {
        ffi::SQLITE_CONSTRAINT_UNIQUE
        | ffi::SQLITE_CONSTRAINT_PRIMARYKEY
        | ffi::SQLITE_CONSTRAINT_ROWID => unique_violation(text, schema),
        ffi::SQLITE_CONSTRAINT_NOTNULL => not_null_violation(text, schema),
        ffi::SQLITE_CONSTRAINT_CHECK => check_violation(text, schema),
        ffi::SQLITE_CONSTRAINT_FOREIGNKEY | ffi::SQLITE_CONSTRAINT_TRIGGER => SqlError::new(
            "23503",
            "insert, update or delete violates a foreign key constraint",
        ),
        ffi::SQLITE_INTERRUPT => {
            SqlError::new("57014", "canceling statement due to statement timeout")
        }
        ffi::SQLITE_FULL | ffi::SQLITE_NOMEM => SqlError::new("53200", "out of memory"),
        ffi::SQLITE_TOOBIG => SqlError::new("54000", "a value or a statement is too big"),
        _ => from_text(text),
    }
}

fn from_text(text: &str) -> SqlError {
    // What a function threw may come wrapped; the five letters are just before the separator.
    if let Some((before, message)) = text.split_once(STATE_SEPARATOR) {
        let start = before.len().saturating_sub(5);
        return SqlError::new(before.get(start..).unwrap_or("XX000"), message);
    }
    let state = match text {
        _ if text.contains("syntax error") => "42601",
        _ if text.contains("no such table") => "42P01",
        _ if text.contains("no such column") => "42703",
        _ if text.contains("no such function") => "42883",
        _ if text.contains("misuse of aggregate") || text.contains("misuse of window") => "42803",
        _ if text.contains("integer overflow") => "22003",
        _ if text.contains("too many") || text.contains("maximum depth") => "54001",
        _ if text.contains("already exists") => "42P07",
        _ if text.contains("ON CONFLICT clause does not match") => "42P10",
        _ => "XX000",
    };
    SqlError::new(state, text)
}

/// Splits "UNIQUE constraint failed: t.a, t.b" into the table and its columns.
fn failed_columns<'a>(
    text: &'a str,
    schema: &Schema,
) -> Option<(std::sync::Arc<Table>, Vec<&'a str>)> {
    let (_, listed) = text.split_once("failed: ")?;
    let mut table_name = None;
    let mut columns = Vec::new();
    for part in listed.split(", ") {
        let (table, column) = part.rsplit_once('.')?;
        table_name = Some(table);
        columns.push(column);
    }
    let table = schema.table_by_engine_name(table_name?)?;
    Some((table, columns))
}

fn unique_violation(text: &str, schema: &Schema) -> SqlError {
    let named_index = text
        .split_once("index '")
        .and_then(|(_, rest)| rest.split_once('\''));
    let Some((table, columns)) = failed_columns(text, schema) else {
        let name = named_index.map_or("unknown", |(name, _)| name);
        let message = format!("duplicate key value violates unique constraint \"{name}\"");
        return SqlError::new("23505", message);
    };
    // Every unique constraint has an index of its name.
    let is_it = |index: &&super::schema::Index| {
        index.unique
            && index
                .columns
                .iter()
                .map(String::as_str)
                .eq(columns.iter().copied())
    };
    let constraint = match table.indexes.iter().find(is_it) {
        Some(index) => index.name.clone(),
        None => format!("{}_{}_key", table.name, columns.join("_")),
    };
    let message = format!("duplicate key value violates unique constraint \"{constraint}\"");
    SqlError::new("23505", message).about_table(&table, None, Some(&constraint))
}

fn not_null_violation(text: &str, schema: &Schema) -> SqlError {
    match failed_columns(text, schema) {
        Some((table, columns)) => null_in_column(&table, columns[0]),
        None => SqlError::new("23502", text),
    }
}

/// The error of a NULL in a column that must have a value.
pub(crate) fn null_in_column(table: &Table, column: &str) -> SqlError {
    let message = format!(
        "null value in column \"{column}\" of relation \"{}\" violates not-null constraint",
        table.name
    );
    SqlError::new("23502", message).about_table(table, Some(column), None)
}

fn check_violation(text: &str, schema: &Schema) -> SqlError {
    let name = text
        .split_once("failed: ")
        .map_or("check", |(_, name)| name);
    let has_it = |table: &&std::sync::Arc<Table>| {
        table
            .constraints
            .iter()
            .any(|constraint| constraint.name == name)
    };
    // The engine tells the constraint only, and two tables may have one of that name.
    let mut tables = schema.tables.values().filter(has_it);
    match (tables.next(), tables.next()) {
        (Some(table), None) => {
            let message = format!(
                "new row for relation \"{}\" violates check constraint \"{name}\"",
                table.name
            );
            SqlError::new("23514", message).about_table(table, None, Some(name))
        }
        _ => SqlError::new(
            "23514",
            format!("new row violates check constraint \"{name}\""),
        ),
    }
}
