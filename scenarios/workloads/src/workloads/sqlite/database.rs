//! The database of a round: created in the work directory and removed, or the user's own, which only their statements change.

use std::fs;
use std::path::{Path, PathBuf};

use photofinish_harness::workload::{Failure, ParamError};
use rusqlite::{Connection, Error, ErrorCode, OpenFlags};
use serde_json::{Value, json};

use super::spec::{Journal, SqliteSpec};
use crate::data::files;
use crate::workloads::sql::about;

/// Kind of failure: another connection holds the lock.
pub(super) const BUSY: &str = "busy";

/// Kind of failure: an error about a statement.
pub(super) const SQL: &str = "sql";

/// File name of a round's temporary database in its work directory.
const ROUND: &str = "round.sqlite";

/// Suffixes of a database and of the files that SQLite keeps beside it.
const COMPANIONS: [&str; 4] = ["", "-wal", "-shm", "-journal"];

const MAGIC: &[u8] = b"SQLite format 3\0";

/// Offset of the header byte that is 2 with a write-ahead log.
const FORMAT: usize = 18;

/// The database of a round.
#[derive(Debug)]
pub(super) struct Database {
    path: PathBuf,
    settings: SqliteSpec,
}

impl Database {
    pub(super) fn new(settings: &SqliteSpec, directory: &Path, work_dir: &Path) -> Self {
        let path = match &settings.file {
            Some(file) => directory.join(file),
            None => work_dir.join(ROUND),
        };
        Self {
            path,
            settings: settings.clone(),
        }
    }

    /// True for a database that lasts for one round, false for the user's own.
    pub(super) fn is_temporary(&self) -> bool {
        self.settings.file.is_none()
    }

    /// Creates a temporary database.
    pub(super) fn create(&self) -> Result<(), Failure> {
        self.remove()?;
        if let Some(parent) = self.path.parent() {
            fs::create_dir_all(parent)?;
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags).map_err(failure)?;
        // Stored in the header of the file.
        let journal = self.settings.journal.name();
        pragma(&connection, &format!("journal_mode = {journal}"))?;
        Ok(())
    }

    /// Removes a temporary database.
    pub(super) fn remove(&self) -> Result<(), Failure> {
        for ending in COMPANIONS.iter().filter(|_| self.is_temporary()) {
            let mut path = self.path.clone().into_os_string();
            path.push(ending);
            match fs::remove_file(path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error.into());
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Opens a connection and applies the settings that last for it.
    pub(super) fn connect(&self) -> Result<Connection, Failure> {
        let SqliteSpec {
            journal,
            synchronous,
            busy_timeout,
            ..
        } = &self.settings;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags).map_err(failure)?;
        connection.busy_timeout(busy_timeout.0).map_err(failure)?;
        let found = pragma(&connection, "journal_mode")?;
        if (found == Journal::Wal.name()) != (*journal == Journal::Wal) {
            let expected = journal.name();
            let message =
                format!("expected a database with the journal `{expected}`, got `{found}`");
            return Err(Failure::new(SQL, message));
        }
        if *journal != Journal::Wal {
            pragma(&connection, &format!("journal_mode = {}", journal.name()))?;
        }
        let synchronous = format!("PRAGMA synchronous = {}", synchronous.name());
        connection.execute_batch(&synchronous).map_err(failure)?;
        Ok(connection)
    }

    /// Runs statements on a separate connection; `name` names them in messages.
    pub(super) fn run(&self, name: &str, text: &str) -> Result<(), Failure> {
        let connection = self.connect()?;
        if self.is_temporary() {
            // The file need not survive a loss of power.
            connection
                .execute_batch("PRAGMA synchronous = off")
                .map_err(failure)?;
        }
        let run = connection.execute_batch(text);
        run.map_err(|error| about(name, failure(error)))
    }

    /// Number of rows that a query returns.
    pub(super) fn count_rows(&self, query: &str) -> Result<u64, Failure> {
        let count = || {
            let connection = self.connect()?;
            let mut statement = connection.prepare(query).map_err(failure)?;
            let mut rows = statement.raw_query();
            let mut count = 0;
            while rows.next().map_err(failure)?.is_some() {
                count += 1;
            }
            Ok(count)
        };
        count().map_err(|failure| about("check", failure))
    }
}

/// Text that a pragma returns.
fn pragma(connection: &Connection, name: &str) -> Result<String, Failure> {
    let text = connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0));
    text.map_err(failure)
}

/// The failure of a call.
#[cold]
pub(super) fn failure(error: Error) -> Failure {
    use ErrorCode::{CannotOpen, DatabaseBusy, DatabaseLocked, ReadOnly};
    let detail = error.to_string();
    match error.sqlite_error_code() {
        Some(DatabaseBusy | DatabaseLocked) => Failure::new(BUSY, detail).hint(
            "another connection held the lock: raise `busy_timeout` or `tries` in `[sqlite]`, or lower --concurrency",
        ),
        Some(CannotOpen | ReadOnly) => Failure::new(SQL, detail)
            .hint("the database and its directory must be writable for this user"),
        _ if detail.contains("no such table") => Failure::new(SQL, detail)
            .hint("`setup` in `[sqlite]` creates tables in the database of a round, `file` names your own database"),
        _ => Failure::new(SQL, detail),
    }
}

/// Sets the parameter `journal` to the journal mode of the user's own database, or returns errors.
pub fn survey(params: &mut Value, directory: &Path) -> Vec<ParamError> {
    let settings = params.get_mut("sqlite").and_then(Value::as_object_mut);
    let Some(settings) = settings else {
        return Vec::new();
    };
    let Some(file) = settings.get("file").and_then(Value::as_str) else {
        return Vec::new();
    };
    let error = |key: &str, message| {
        vec![ParamError {
            param: format!("sqlite.{key}"),
            message,
        }]
    };
    let header = match files::read_start(directory, file, FORMAT + 1) {
        Ok(header) => header,
        Err(message) => return error("file", message),
    };
    if !header.is_empty() && (!header.starts_with(MAGIC) || header.len() <= FORMAT) {
        return error(
            "file",
            format!("expected `{file}` to be an SQLite database"),
        );
    }
    let is_wal = header.get(FORMAT) == Some(&2);
    let found = if is_wal {
        Journal::Wal
    } else {
        Journal::Delete
    };
    match settings.get("journal").and_then(Value::as_str) {
        None => drop(settings.insert("journal".to_owned(), json!(found))),
        Some(given) if (given == Journal::Wal.name()) != is_wal => {
            let name = found.name();
            let message = format!(
                "expected `{name}`, as the header of `{file}` says, got `{given}`: the journal of your own database is not changed"
            );
            return error("journal", message);
        }
        Some(_) => {}
    }
    Vec::new()
}
