//! Definitions: schemas, tables and indexes, as SQLite's statements.
//!
//! A schema is a prefix of names, marked by a table without a name. A rule of a PostgreSQL type (the range of an integer,
//! the length of a text) becomes a check that is named after its error. A table with a primary key that is not serial has
//! no rowid: its key is its only tree, and takes no NULL.

use std::ops::Range;

use rusqlite::Connection;

use super::error::{SqlError, SqlResult};
use super::names::{Query, Scope, engine_name, quote};
use super::rewrite::Writer;
use super::token::Statement;
use super::types::{Type, written_type};

/// The tables of a schema, newest first: a table may refer to older ones.
const TABLES: &str = "SELECT name FROM sqlite_schema WHERE type = 'table' \
                      AND substr(name, 1, length(?1)) = ?1 ORDER BY rowid DESC";

/// Continuation of a serial column after its type.
const SERIAL: &str = "PRIMARY KEY AUTOINCREMENT";

/// Translates a definition.
pub(crate) fn define(
    statement: &Statement<'_>,
    connection: &Connection,
    scope: &Scope,
) -> SqlResult<Vec<String>> {
    let mut query = Query::new(statement, connection, scope);
    let words = [0, 1, 2].map(|at| statement.at(at).text.to_ascii_lowercase());
    match words.each_ref().map(String::as_str) {
        ["create", "schema", _] => query.create_schema(),
        ["create", "table", _] => query.create_table(),
        ["create", "index", _] => query.create_index(2, ""),
        ["create", "unique", "index"] => query.create_index(3, "UNIQUE"),
        ["drop", "schema", _] => query.drop_schemas(),
        ["drop", "table", _] => query.each_table(2, "DROP TABLE"),
        ["truncate", "table", _] => query.each_table(2, "DELETE FROM"),
        ["truncate", ..] => query.each_table(1, "DELETE FROM"),
        ["alter", "table", _] => query.alter_table(),
        [first, second, _] => {
            let command = format!("{first} {second}").to_ascii_uppercase();
            Err(SqlError::unsupported(command))
        }
    }
}

impl Query<'_> {
    /// The position after IF EXISTS or IF NOT EXISTS at `at`, and true if it is there.
    fn lenient(&self, at: usize) -> (usize, bool) {
        let exists = self.statement.skip(at, "if exists");
        let end = exists.or_else(|| self.statement.skip(at, "if not exists"));
        (end.unwrap_or(at), end.is_some())
    }

    /// The listed names, up to CASCADE or RESTRICT.
    fn listed_names(&self, start: usize) -> Vec<Range<usize>> {
        let (statement, end) = (self.statement, self.statement.len());
        let last = statement.find(start..end, |at| statement.at(at).is_any("cascade restrict"));
        statement.split_commas(start..last.unwrap_or(end))
    }

    fn create_schema(&self) -> SqlResult<Vec<String>> {
        let (at, is_lenient) = self.lenient(2);
        let (_, name, end) = self.statement.qualified(at)?;
        if end < self.statement.len() {
            return Err(SqlError::unsupported("more than a name in CREATE SCHEMA"));
        }
        if !self.schema_exists(&name) {
            let marker = quote(&engine_name(&name, "")?);
            return Ok(vec![format!("CREATE TABLE {marker} (marker)")]);
        }
        let exists = SqlError::exists("42P06", "schema", &name);
        if is_lenient {
            Ok(Vec::new())
        } else {
            Err(exists)
        }
    }

    fn drop_schemas(&self) -> SqlResult<Vec<String>> {
        let (at, is_lenient) = self.lenient(2);
        let cascades = self.statement.before(self.statement.len()).is("cascade");
        let mut sql = Vec::new();
        for name in self.listed_names(at) {
            let name = self.statement.at(name.start).name();
            let mut tables = self.connection.prepare(TABLES)?;
            let tables = tables.query_map([format!("{name}.")], |row| row.get(0))?;
            let tables: Vec<String> = tables.collect::<Result<_, _>>()?;
            if name == "public" {
                return Err(SqlError::unsupported("dropping the schema public"));
            }
            if tables.is_empty() && !is_lenient {
                return Err(SqlError::missing("3F000", "schema", &name));
            }
            if tables.len() > 1 && !cascades {
                return Err(SqlError::new("2BP01", "other objects depend on the schema"));
            }
            sql.extend(
                tables
                    .iter()
                    .map(|table| format!("DROP TABLE {}", quote(table))),
            );
        }
        Ok(sql)
    }

    fn each_table(&self, start: usize, command: &str) -> SqlResult<Vec<String>> {
        let (start, is_lenient) = self.lenient(start);
        let mut sql = Vec::new();
        for name in self.listed_names(start) {
            match self.table(name.start) {
                Ok((table, _)) => sql.push(format!("{command} {}", quote(&table))),
                Err(error) if !is_lenient => return Err(error),
                Err(_) => (),
            }
        }
        Ok(sql)
    }

    fn create_index(&mut self, at: usize, unique: &str) -> SqlResult<Vec<String>> {
        let (name, is_lenient) = self.lenient(at);
        let on = self.statement.skip(name + 1, "on");
        let on = on.ok_or_else(|| SqlError::unsupported("CREATE INDEX without a name"))?;
        let (table, columns) = self.table(on)?;
        let schema = table.split('.').next().unwrap_or("public");
        let index = quote(&engine_name(schema, &self.statement.at(name).name())?);
        let lenient = if is_lenient { "IF NOT EXISTS" } else { "" };
        let columns = self.written(columns..self.statement.len())?;
        let table = quote(&table);
        Ok(vec![format!(
            "CREATE {unique} INDEX {lenient} {index} ON {table} {columns}"
        )])
    }

    /// A part of the statement as SQLite's SQL.
    fn written(&self, range: Range<usize>) -> SqlResult<String> {
        let mut writer = Writer::new(self);
        writer.write(range)?;
        Ok(writer.sql)
    }

    fn create_table(&mut self) -> SqlResult<Vec<String>> {
        let statement = self.statement;
        let (at, is_lenient) = self.lenient(2);
        let (schema, name, open) = statement.qualified(at)?;
        let path = self.scope.path.iter().filter(|_| schema.is_none());
        let mut schemas = schema.iter().chain(path);
        let schema = schemas.find(|schema| self.schema_exists(schema));
        let schema = schema.ok_or_else(|| SqlError::missing("3F000", "schema", "to create in"))?;
        let table = engine_name(schema, &name)?;
        if self.table_exists(&table) {
            let exists = SqlError::exists("42P07", "relation", &name);
            return if is_lenient {
                Ok(Vec::new())
            } else {
                Err(exists)
            };
        }
        // Storage options have no meaning here.
        let close = statement.after(open);
        let end = statement
            .skip(close, "with")
            .map_or(close, |options| statement.after(options));
        if !statement.at(open).is_operator("(") || end < statement.len() {
            return Err(SqlError::unsupported(
                "CREATE TABLE without a list of columns",
            ));
        }
        self.find_tables(Some((&name, &table)))?;
        let mut items = Vec::new();
        for item in statement.listed(open) {
            let is_column = !statement
                .at(item.start)
                .is_any("constraint primary unique check foreign");
            items.push(if is_column {
                self.column(item)?
            } else {
                self.written(item)?
            });
        }
        let has_key = (open..close).any(|at| statement.skip(at, "primary key").is_some());
        let has_rowid = !has_key || items.iter().any(|item| item.contains(SERIAL));
        let ending = if has_rowid { "" } else { "WITHOUT ROWID" };
        let (table, items) = (quote(&table), items.join(", "));
        Ok(vec![format!("CREATE TABLE {table} ({items}) {ending}")])
    }

    /// The definition of a column.
    fn column(&self, item: Range<usize>) -> SqlResult<String> {
        let name = quote(&self.statement.at(item.start).name());
        let (ty, end, is_serial) = written_type(self.statement, item.start + 1)?;
        if !is_serial {
            // The length is the last thing in a type that has one.
            let length = self.statement.at(end - 2).text.parse().ok();
            return Ok(ty.column(&name, &self.written(end..item.end)?, length));
        }
        let rest = self.statement.skip(end, "primary key");
        let rest = rest.ok_or_else(|| SqlError::unsupported("serial other than as PRIMARY KEY"))?;
        let collation = if ty == Type::Int8 {
            "COLLATE RTRIM"
        } else {
            ""
        };
        let rest = self.written(rest..item.end)?;
        Ok(format!("{name} INTEGER {collation} {SERIAL}{rest}"))
    }

    /// ALTER TABLE as `pgbench -i` needs it.
    fn alter_table(&self) -> SqlResult<Vec<String>> {
        let (table, at) = self.table(self.lenient(2).0)?;
        let columns = self.statement.skip(at, "add primary key");
        let columns = columns.ok_or_else(|| SqlError::unsupported("this ALTER TABLE"))?;
        let columns = self.written(columns..self.statement.len())?;
        let (index, table) = (quote(&format!("{table}_pkey")), quote(&table));
        Ok(vec![format!(
            "CREATE UNIQUE INDEX {index} ON {table} {columns}"
        )])
    }
}
