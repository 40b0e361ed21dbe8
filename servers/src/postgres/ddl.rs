//! Definitions: schemas, tables and indexes, as SQLite's statements.
//!
//! A schema is a prefix of names, marked by a table without a name. A rule of a PostgreSQL type (the range of an integer,
//! the length of a text) becomes a check that is named after its error. A table with a primary key that is not serial has
//! no rowid: its key is its only tree, and takes no NULL.

use std::ops::Range;

use rusqlite::Connection;

use super::error::{SqlError, SqlResult};
use super::names::{Query, Scope, engine_name, quote};
use super::token::Statement;
use super::types::{Type, written_type};

/// The tables of a schema, newest first: a table may refer to older ones.
const TABLES: &str = "SELECT name FROM sqlite_schema WHERE type = 'table' \
                      AND substr(name, 1, length(?1)) = ?1 ORDER BY rowid DESC";

/// Continuation of a serial column after its type.
const SERIAL: &str = "PRIMARY KEY AUTOINCREMENT";

/// Translates a definition; nothing is to be done if the result is empty.
pub(crate) fn define(
    statement: &Statement,
    connection: &Connection,
    scope: &Scope,
) -> SqlResult<String> {
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
        let end = self.statement.skip_any(at, "if exists");
        let end = self.statement.skip_any(end, "if not exists");
        (end, end > at)
    }

    /// The listed names, up to CASCADE or RESTRICT.
    fn listed_names(&self, start: usize) -> Vec<Range<usize>> {
        let end = self.statement.len();
        let last = self
            .statement
            .find(start..end, |token| token.is_any("cascade restrict"));
        self.statement.split_commas(start..last.unwrap_or(end))
    }

    fn create_schema(&self) -> SqlResult<String> {
        let (at, is_lenient) = self.lenient(2);
        let (_, name, end) = self.statement.qualified(at)?;
        if end < self.statement.len() {
            return Err(SqlError::unsupported("more than a name in CREATE SCHEMA"));
        }
        match self.schema_exists(&name) {
            true if is_lenient => Ok(String::new()),
            true => Err(SqlError::exists("42P06", "schema", &name)),
            false => Ok(format!(
                "CREATE TABLE {} (marker)",
                quote(&engine_name(&name, "")?)
            )),
        }
    }

    fn drop_schemas(&self) -> SqlResult<String> {
        let (at, is_lenient) = self.lenient(2);
        let cascades = self.statement.before(self.statement.len()).is("cascade");
        let mut sql = String::new();
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
            let drops = tables
                .iter()
                .map(|table| format!("DROP TABLE {};", quote(table)));
            sql.extend(drops);
        }
        Ok(sql)
    }

    fn each_table(&self, start: usize, command: &str) -> SqlResult<String> {
        let (start, is_lenient) = self.lenient(start);
        let mut sql = String::new();
        for name in self.listed_names(start) {
            match self.table(name.start) {
                Ok((table, _)) => sql.push_str(&format!("{command} {};", quote(&table))),
                Err(error) if !is_lenient => return Err(error),
                Err(_) => (),
            }
        }
        Ok(sql)
    }

    fn create_index(&mut self, at: usize, unique: &str) -> SqlResult<String> {
        let (name, is_lenient) = self.lenient(at);
        let on = self.statement.skip(name + 1, "on");
        let on = on.ok_or_else(|| SqlError::unsupported("CREATE INDEX without a name"))?;
        let (table, columns) = self.table(on)?;
        let schema = table.split('.').next().unwrap_or("public");
        let index = quote(&engine_name(schema, &self.statement.at(name).name())?);
        let lenient = if is_lenient { "IF NOT EXISTS" } else { "" };
        let columns = self.written(columns..self.statement.len())?;
        Ok(format!(
            "CREATE {unique} INDEX {lenient} {index} ON {} {columns}",
            quote(&table)
        ))
    }

    /// A part of the statement as SQLite's SQL.
    fn written(&mut self, range: Range<usize>) -> SqlResult<String> {
        self.write(range)?;
        // An operand that the part leaves incomplete does not reach into the next one.
        self.operand = 0;
        self.divisors.clear();
        Ok(std::mem::take(&mut self.sql))
    }

    fn create_table(&mut self) -> SqlResult<String> {
        let statement = self.statement;
        let (at, is_lenient) = self.lenient(2);
        let (schema, name, open) = statement.qualified(at)?;
        let schemas = self.schemas(schema);
        let schema = schemas.iter().find(|schema| self.schema_exists(schema));
        let schema =
            schema.ok_or_else(|| SqlError::missing("3F000", "schema", &schemas.join(",")))?;
        let table = engine_name(schema, &name)?;
        if self.table_exists(&table) {
            let exists = SqlError::exists("42P07", "relation", &name);
            return if is_lenient {
                Ok(String::new())
            } else {
                Err(exists)
            };
        }
        let close = statement.after(open);
        // Storage options have no meaning here.
        let end = statement
            .skip(close, "with")
            .map_or(close, |options| statement.after(options));
        if !statement.at(open).is_operator("(") || end < statement.len() {
            let message = "CREATE TABLE without a list of columns";
            return Err(SqlError::unsupported(message));
        }
        self.find_tables(Some((&name, &table)))?;
        let mut items = Vec::new();
        for item in statement.listed(open) {
            let first = statement.at(item.start);
            let is_rule = first.is_any("constraint primary unique check foreign");
            items.push(if is_rule {
                self.written(item)?
            } else {
                self.column(item)?
            });
        }
        let has_key = (open..close).any(|at| statement.skip(at, "primary key").is_some());
        let has_rowid = !has_key || items.iter().any(|item| item.contains(SERIAL));
        let ending = if has_rowid { "" } else { "WITHOUT ROWID" };
        Ok(format!(
            "CREATE TABLE {} ({}) {ending}",
            quote(&table),
            items.join(", ")
        ))
    }

    /// The definition of a column.
    fn column(&mut self, item: Range<usize>) -> SqlResult<String> {
        let name = quote(&self.statement.at(item.start).name());
        let (ty, end, is_serial) = written_type(self.statement, item.start + 1)?;
        if !is_serial {
            // The length is the last thing in a type that has one.
            let length = self.statement.at(end - 2).text.parse().ok();
            return Ok(ty.column(&name, &self.written(end..item.end)?, length));
        }
        let rest = self.statement.skip(end, "primary key");
        let rest = rest.ok_or_else(|| SqlError::unsupported("serial other than as PRIMARY KEY"))?;
        let rest = self.written(rest..item.end)?;
        let collation = if ty == Type::Int8 {
            "COLLATE RTRIM"
        } else {
            ""
        };
        Ok(format!("{name} INTEGER {collation} {SERIAL}{rest}"))
    }

    /// ALTER TABLE as `pgbench -i` needs it.
    fn alter_table(&mut self) -> SqlResult<String> {
        let (table, at) = self.table(self.lenient(2).0)?;
        let columns = self.statement.skip(at, "add primary key");
        let columns = columns.ok_or_else(|| SqlError::unsupported("this ALTER TABLE"))?;
        let columns = self.written(columns..self.statement.len())?;
        let (index, table) = (quote(&format!("{table}_pkey")), quote(&table));
        Ok(format!("CREATE UNIQUE INDEX {index} ON {table} {columns}"))
    }
}
