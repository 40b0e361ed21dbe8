//! Definitions: schemas, tables and indexes, as SQLite's statements.
//!
//! A rule of a PostgreSQL type (the range of an integer, the length of a text) becomes a check that is named after its
//! error. A table with a primary key that is not serial has no rowid: its key is its only tree, and takes no NULL.

use std::ops::Range;

use rusqlite::Row;

use super::error::{SqlError, SqlResult};
use super::query::{Query, TableUse, quote};
use super::types::{Type, written_type};

/// Drops the tables of a schema, newest first, since a table may refer to older ones; also gives their number.
const DROPS: &str = "SELECT group_concat(format('DROP TABLE \"%w\";', name), '' ORDER BY rowid DESC), count(*) \
    FROM sqlite_schema WHERE type = 'table' AND substr(name, 1, length(?1)) = ?1";

/// Continuation of a serial column after its type.
const SERIAL: &str = "PRIMARY KEY AUTOINCREMENT";

/// Translates a definition; nothing is to be done if the result is empty.
pub(crate) fn define(mut query: Query<'_>) -> SqlResult<String> {
    let statement = query.statement;
    let words = [0, 1].map(|at| statement.at(at).text.to_ascii_lowercase());
    match words.each_ref().map(String::as_str) {
        ["create", "schema"] => query.create_schema(),
        ["create", "table"] => query.create_table(),
        ["create", "index" | "unique"] => query.create_index(),
        ["drop", "schema"] => query.drop_schemas(),
        ["drop", "table"] => query.each_table("DROP TABLE"),
        ["truncate", _] => query.each_table("DELETE FROM"),
        ["alter", "table"] => query.alter_table(),
        _ => Err(SqlError::unsupported(words.join(" ").to_ascii_uppercase())),
    }
}

impl Query<'_> {
    /// The position after IF EXISTS or IF NOT EXISTS at `at`, and these words if they are there.
    fn lenient(&self, at: usize) -> (usize, &'static str) {
        let found = |words| Some((self.statement.skip(at, words)?, words));
        let found = found("if exists").or_else(|| found("if not exists"));
        found.unwrap_or((at, ""))
    }

    /// The first of the named tables, and the position after its name.
    fn target(&self) -> SqlResult<(String, usize)> {
        let first = self.tables.first();
        let table = first.and_then(|table| Some((table.engine_name.clone()?, table.end)));
        table.ok_or_else(|| SqlError::syntax("expected the name of a table"))
    }

    fn create_schema(&self) -> SqlResult<String> {
        let (at, lenient) = self.lenient(2);
        let (_, name, end) = self.statement.qualified(at)?;
        if end < self.statement.len() || name.contains('.') {
            return Err(SqlError::unsupported("this CREATE SCHEMA"));
        }
        let marker = quote(&format!("{name}."));
        Ok(format!("CREATE TABLE {lenient} {marker} (marker)"))
    }

    fn drop_schemas(&self) -> SqlResult<String> {
        let (at, lenient) = self.lenient(2);
        let last = self.statement.before(self.statement.len());
        let end = self.statement.len() - usize::from(last.is("cascade restrict"));
        let mut sql = String::new();
        for name in self.statement.split_commas(at..end) {
            let name = self.statement.at(name.start).value();
            let found = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
            let found = self
                .connection
                .query_row(DROPS, [format!("{name}.")], found);
            let (drops, count): (Option<String>, i64) = found?;
            if name == "public" {
                return Err(SqlError::unsupported("dropping the schema public"));
            }
            if drops.is_none() && lenient.is_empty() {
                return Err(SqlError::missing("3F000", "schema", &name));
            }
            if count > 1 && !last.is("cascade") {
                return Err(SqlError::new("2BP01", "other objects depend on the schema"));
            }
            sql.extend(drops);
        }
        Ok(sql)
    }

    /// A command for each of the named tables.
    fn each_table(&self, command: &str) -> SqlResult<String> {
        let (_, lenient) = self.lenient(2);
        self.target()?;
        let names = self
            .tables
            .iter()
            .filter_map(|table| table.engine_name.as_ref());
        let sql = names.map(|name| format!("{command} {lenient} {};", quote(name)));
        Ok(sql.collect())
    }

    /// CREATE [UNIQUE] INDEX name ON table (columns): the name belongs to the schema of the table.
    fn create_index(&mut self) -> SqlResult<String> {
        let is_named = |table: &&TableUse| !self.statement.before(table.at - 1).is("index exists");
        let target = self.tables.last().filter(is_named);
        let Some((on, Some(table))) = target.map(|table| (table.at - 1, &table.engine_name)) else {
            return Err(SqlError::unsupported("CREATE INDEX without a name"));
        };
        let schema = table.split('.').next().unwrap_or_default();
        let index = quote(&format!("{schema}.{}", self.statement.before(on).value()));
        let start = self.written(0..on - 1)?;
        Ok(start + &index + &self.written(on..self.statement.len())?)
    }

    /// A part of the statement as SQLite's SQL.
    fn written(&mut self, range: Range<usize>) -> SqlResult<String> {
        self.write(range)?;
        Ok(std::mem::take(&mut self.sql))
    }

    fn create_table(&mut self) -> SqlResult<String> {
        let statement = self.statement;
        let (_, lenient) = self.lenient(2);
        let (table, open) = self.target()?;
        let schema = table.split('.').next().unwrap_or_default();
        if !self.schema_exists(schema) {
            return Err(SqlError::missing("3F000", "schema", schema));
        }
        let close = statement.after(open);
        // Storage options have no meaning here.
        let options = statement.skip(close, "with");
        let end = options.map_or(close, |options| statement.after(options));
        if !statement.at(open).is("(") || end < statement.len() {
            let message = "CREATE TABLE without a list of columns";
            return Err(SqlError::unsupported(message));
        }
        let mut items = Vec::new();
        for item in statement.listed(open) {
            let first = statement.at(item.start);
            items.push(match first.is("constraint primary unique check foreign") {
                true => self.written(item)?,
                false => self.column(item)?,
            });
        }
        let (table, items) = (quote(&table), items.join(", "));
        let has_key = (open..close).any(|at| statement.skip(at, "primary key").is_some());
        let has_rowid = !has_key || items.contains(SERIAL);
        let ending = if has_rowid { "" } else { "WITHOUT ROWID" };
        Ok(format!("CREATE TABLE {lenient} {table} ({items}) {ending}"))
    }

    /// The definition of a column.
    fn column(&mut self, item: Range<usize>) -> SqlResult<String> {
        let name = quote(&self.statement.at(item.start).value());
        let (ty, end, is_serial) = written_type(self.statement, item.start + 1)?;
        if !is_serial {
            // The length is the last thing in a type that has one.
            let length = self.statement.at(end - 2).text.parse().ok();
            return Ok(ty.column(&name, &self.written(end..item.end)?, length));
        }
        let rest = self.statement.skip(end, "primary key");
        let rest = rest.ok_or_else(|| SqlError::unsupported("serial other than as PRIMARY KEY"))?;
        let rest = self.written(rest..item.end)?;
        let collation = Some("COLLATE RTRIM").filter(|_| ty == Type::Int8);
        let collation = collation.unwrap_or_default();
        Ok(format!("{name} INTEGER {collation} {SERIAL}{rest}"))
    }

    /// ALTER TABLE as `pgbench -i` needs it.
    fn alter_table(&mut self) -> SqlResult<String> {
        let (table, at) = self.target()?;
        let columns = self.statement.skip(at, "add primary key");
        let columns = columns.ok_or_else(|| SqlError::unsupported("this ALTER TABLE"))?;
        let columns = self.written(columns..self.statement.len())?;
        let (index, table) = (quote(&format!("{table}_pkey")), quote(&table));
        Ok(format!("CREATE UNIQUE INDEX {index} ON {table} {columns}"))
    }
}
