//! SQL errors as PostgreSQL reports them, and the translation of SQLite's.
//!
//! A check that stands for a rule of a PostgreSQL type is named after its error, such as `22003 out of range`.

use rusqlite::ffi;

pub(crate) type SqlResult<T> = Result<T, SqlError>;

/// Hint on how to get a PostgreSQL with every feature.
const HINT: &str = "use --target db=local for a real PostgreSQL";

/// Raised inside SQLite by the function that guards divisors.
pub(crate) const DIVISION_BY_ZERO: &str = "division by zero";

/// An error of a statement, or of the session if it is fatal. Boxed, since every result carries one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SqlError(Box<Fields>);

#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Fields {
    is_fatal: bool,
    state: String,
    message: String,
    hint: Option<&'static str>,
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

impl From<rusqlite::Error> for SqlError {
    fn from(error: rusqlite::Error) -> Self {
        match error {
            rusqlite::Error::SqliteFailure(code, message) => {
                from_sqlite(code.extended_code, message.as_deref().unwrap_or("unknown"))
            }
            rusqlite::Error::SqlInputError { error, msg, .. } => {
                from_sqlite(error.extended_code, &msg)
            }
            other => SqlError::new("XX000", other.to_string()),
        }
    }
}

impl SqlError {
    pub(crate) fn new(state: &str, message: impl Into<String>) -> Self {
        SqlError(Box::new(Fields {
            state: state.to_owned(),
            message: message.into(),
            ..Fields::default()
        }))
    }

    /// An error that ends the connection.
    pub(crate) fn fatal(state: &str, message: impl Into<String>) -> Self {
        let mut error = SqlError::new(state, message);
        error.0.is_fatal = true;
        error
    }

    /// Rejects a feature that PostgreSQL has and this server does not.
    pub(crate) fn unsupported(feature: impl std::fmt::Display) -> Self {
        let message = format!("{feature} is not supported by this mock server");
        SqlError::new("0A000", message).with_hint()
    }

    pub(crate) fn missing(state: &str, kind: &str, name: &str) -> Self {
        SqlError::new(state, format!("{kind} \"{name}\" does not exist"))
    }

    pub(crate) fn exists(state: &str, kind: &str, name: &str) -> Self {
        SqlError::new(state, format!("{kind} \"{name}\" already exists"))
    }

    pub(crate) fn syntax(message: impl Into<String>) -> Self {
        SqlError::new("42601", message).with_hint()
    }

    pub(crate) fn syntax_at(token: &str) -> Self {
        SqlError::syntax(format!("syntax error at or near \"{token}\""))
    }

    pub(crate) fn with_hint(mut self) -> Self {
        self.0.hint = Some(HINT);
        self
    }

    pub(crate) fn state(&self) -> &str {
        &self.0.state
    }

    pub(crate) fn is_fatal(&self) -> bool {
        self.0.is_fatal
    }

    /// The fields of an ErrorResponse, each with its code.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (u8, &str)> {
        let severity = if self.0.is_fatal { "FATAL" } else { "ERROR" };
        let fields = [
            (b'S', Some(severity)),
            (b'V', Some(severity)),
            (b'C', Some(self.0.state.as_str())),
            (b'M', Some(self.0.message.as_str())),
            (b'H', self.0.hint),
            (b't', self.0.table.as_deref()),
            (b'c', self.0.column.as_deref()),
            (b'n', self.0.constraint.as_deref()),
        ];
        fields
            .into_iter()
            .filter_map(|(code, value)| Some((code, value?)))
    }
}

fn from_sqlite(code: i32, text: &str) -> SqlError {
    match code {
        ffi::SQLITE_CONSTRAINT_PRIMARYKEY | ffi::SQLITE_CONSTRAINT_ROWID => duplicate(text, true),
        ffi::SQLITE_CONSTRAINT_UNIQUE => duplicate(text, false),
        ffi::SQLITE_CONSTRAINT_NOTNULL => null(text),
        ffi::SQLITE_CONSTRAINT_CHECK => check(text),
        ffi::SQLITE_CONSTRAINT_FOREIGNKEY => SqlError::new("23503", "foreign key violated"),
        ffi::SQLITE_INTERRUPT => SqlError::new("57014", "canceling statement: it ran too long"),
        ffi::SQLITE_FULL | ffi::SQLITE_NOMEM => SqlError::new("53200", "out of memory"),
        ffi::SQLITE_TOOBIG => SqlError::new("54000", "a value or statement is too big"),
        _ => from_text(text),
    }
}

fn from_text(text: &str) -> SqlError {
    const STATES: [(&str, &str); 14] = [
        (DIVISION_BY_ZERO, "22012"),
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
        ("already exists", "42P07"),
        ("malformed JSON", "22P02"),
    ];
    let known = STATES.iter().find(|(part, _)| text.contains(part));
    SqlError::new(known.map_or("42601", |(_, state)| state), text).with_hint()
}

/// Splits "UNIQUE constraint failed: public.t.a, public.t.b" into the table's name and the columns.
fn failed_columns(text: &str) -> (Option<String>, Vec<&str>) {
    let listed = text.split_once("failed: ").map_or("", |(_, listed)| listed);
    let table = listed.split('.').nth(1).map(str::to_owned);
    let columns = listed
        .split(", ")
        .filter_map(|part| part.rsplit('.').next());
    (table, columns.collect())
}

fn duplicate(text: &str, is_primary: bool) -> SqlError {
    let (table, columns) = failed_columns(text);
    let name = table.as_deref().unwrap_or_default();
    let constraint = if is_primary {
        format!("{name}_pkey")
    } else {
        format!("{name}_{}_key", columns.join("_"))
    };
    let message = format!("duplicate key value violates unique constraint \"{constraint}\"");
    let mut error = SqlError::new("23505", message);
    error.0.table = table;
    error.0.constraint = Some(constraint);
    error
}

fn null(text: &str) -> SqlError {
    let (table, columns) = failed_columns(text);
    let column = columns.first().copied().unwrap_or_default().to_owned();
    let message = format!("null value in column \"{column}\" violates not-null constraint");
    let mut error = SqlError::new("23502", message);
    error.0.table = table;
    error.0.column = Some(column);
    error
}

fn check(text: &str) -> SqlError {
    let name = text.split_once("failed: ").map_or(text, |(_, name)| name);
    if let Some((state @ ("22001" | "22003" | "22P02"), message)) = name.split_once(' ') {
        return SqlError::new(state, message);
    }
    let message = format!("new row violates check constraint \"{name}\"");
    let mut error = SqlError::new("23514", message);
    error.0.constraint = Some(name.to_owned());
    error
}
