//! Definitions: schemas, tables and indexes, as SQLite's statements.
//!
//! A schema is a prefix of names, marked by a table without a name. A rule of a PostgreSQL type (the range of an integer,
//! the length of a text) becomes a check that is named after its error. A table with a primary key that is not serial has
//! no rowid: its key is its only tree, and takes no NULL.

use std::ops::Range;

use rusqlite::Connection;

use super::error::{SqlError, SqlResult};
use super::infer::Query;
use super::names::{Scope, engine_name, quote, resolve, schema_exists, table_exists, table_uses};
use super::rewrite::Writer;
use super::token::Statement;
use super::types::{Type, written_type};

/// SQLite's statements for a definition, and its tag.
type Definition = (Vec<String>, &'static str);

/// A definition, with what it depends on.
struct Definer<'d> {
    statement: &'d Statement<'d>,
    connection: &'d Connection,
    scope: &'d Scope,
}

/// Translates a definition.
pub(crate) fn define(
    statement: &Statement<'_>,
    connection: &Connection,
    scope: &Scope,
) -> SqlResult<Definition> {
    let definer = Definer {
        statement,
        connection,
        scope,
    };
    let words = [0, 1, 2].map(|at| statement.at(at).text.to_ascii_lowercase());
    match words.each_ref().map(String::as_str) {
        ["create", "schema", _] => definer.create_schema(),
        ["create", "table", _] => definer.create_table(),
        ["create", "index", _] => definer.create_index(2),
        ["create", "unique", "index"] => definer.create_index(3),
        ["drop", "schema", _] => definer.drop_schemas(),
        ["drop", "table", _] => definer.each_table(2, "DROP TABLE", "DROP TABLE"),
        ["truncate", "table", _] => definer.each_table(2, "DELETE FROM", "TRUNCATE TABLE"),
        ["truncate", ..] => definer.each_table(1, "DELETE FROM", "TRUNCATE TABLE"),
        ["alter", "table", _] => definer.alter_table(),
        [first, second, _] => {
            let command = format!("{first} {second}").to_ascii_uppercase();
            Err(SqlError::unsupported(command))
        }
    }
}

impl Definer<'_> {
    /// The position after IF EXISTS or IF NOT EXISTS at `at`, and whether it is there.
    fn lenient(&self, at: usize) -> (usize, bool) {
        let exists = self.statement.skip(at, "if exists");
        let end = exists.or_else(|| self.statement.skip(at, "if not exists"));
        (end.unwrap_or(at), end.is_some())
    }

    /// The listed names, up to CASCADE or RESTRICT.
    fn names(&self, start: usize) -> Vec<Range<usize>> {
        let ends = |&at: &usize| self.statement.at(at).is_any("cascade restrict");
        let end = (start..self.statement.len()).find(ends);
        self.statement
            .split_commas(start..end.unwrap_or(self.statement.len()))
    }

    /// The table at `at` by its name in SQLite, and the position after it.
    fn table(&self, at: usize) -> SqlResult<(String, usize)> {
        let (schema, name, end) = self.statement.qualified(at)?;
        let table = resolve(self.connection, self.scope, schema.as_deref(), &name)?;
        Ok((table, end))
    }

    fn create_schema(&self) -> SqlResult<Definition> {
        const TAG: &str = "CREATE SCHEMA";
        let (at, is_lenient) = self.lenient(2);
        let (_, name, end) = self.statement.qualified(at)?;
        if end < self.statement.len() {
            return Err(SqlError::unsupported("more than a name in CREATE SCHEMA"));
        }
        if !schema_exists(self.connection, &name) {
            let marker = quote(&engine_name(&name, "")?);
            return Ok((vec![format!("CREATE TABLE {marker} (marker)")], TAG));
        }
        if is_lenient {
            return Ok((Vec::new(), TAG));
        }
        Err(SqlError::new(
            "42P06",
            format!("schema \"{name}\" already exists"),
        ))
    }

    fn drop_schemas(&self) -> SqlResult<Definition> {
        // What was made last may refer to what was made before.
        const TABLES: &str = "SELECT name FROM sqlite_schema WHERE type = 'table' \
                              AND substr(name, 1, length(?1)) = ?1 ORDER BY rowid DESC";
        let (at, is_lenient) = self.lenient(2);
        let cascades = self.statement.before(self.statement.len()).is("cascade");
        let mut sql = Vec::new();
        for name in self.names(at) {
            let name = self.statement.at(name.start).name();
            let mut tables = self.connection.prepare(TABLES)?;
            let tables = tables.query_map([format!("{name}.")], |row| row.get(0))?;
            let tables: Vec<String> = tables.collect::<Result<_, _>>()?;
            if name == "public" {
                return Err(SqlError::unsupported("dropping the schema public"));
            }
            if tables.is_empty() && !is_lenient {
                let message = format!("schema \"{name}\" does not exist");
                return Err(SqlError::new("3F000", message));
            }
            if tables.len() > 1 && !cascades {
                let message = format!("cannot drop schema {name}, on which other objects depend");
                return Err(SqlError::new("2BP01", message));
            }
            sql.extend(
                tables
                    .iter()
                    .map(|table| format!("DROP TABLE {}", quote(table))),
            );
        }
        Ok((sql, "DROP SCHEMA"))
    }

    fn each_table(&self, start: usize, command: &str, tag: &'static str) -> SqlResult<Definition> {
        let (start, is_lenient) = self.lenient(start);
        let mut sql = Vec::new();
        for name in self.names(start) {
            match self.table(name.start) {
                Ok((table, _)) => sql.push(format!("{command} {}", quote(&table))),
                Err(error) if !is_lenient => return Err(error),
                Err(_) => (),
            }
        }
        Ok((sql, tag))
    }

    /// The name in SQLite of what is to be made, and the position after it; none if it is there and may be.
    fn new_name(&self, at: usize) -> SqlResult<(Option<String>, String, usize)> {
        let (at, is_lenient) = self.lenient(at);
        let (schema, name, end) = self.statement.qualified(at)?;
        let mut schemas = schema
            .iter()
            .chain(self.scope.path.iter().filter(|_| schema.is_none()));
        let schema = schemas.find(|schema| schema_exists(self.connection, schema));
        let missing = || SqlError::new("3F000", "no such schema to create in");
        let engine_name = engine_name(schema.ok_or_else(missing)?, &name)?;
        if !table_exists(self.connection, &engine_name) {
            return Ok((Some(engine_name), name, end));
        }
        if is_lenient {
            return Ok((None, name, end));
        }
        Err(SqlError::new(
            "42P07",
            format!("relation \"{name}\" already exists"),
        ))
    }

    fn create_index(&self, at: usize) -> SqlResult<Definition> {
        let (name, lenient) = self.lenient(at);
        let on = self.statement.skip(name + 1, "on");
        let on = on.ok_or_else(|| SqlError::unsupported("CREATE INDEX without a name"))?;
        let (table, columns) = self.table(on)?;
        let schema = table.split('.').next().unwrap_or("public");
        let index = quote(&engine_name(schema, &self.statement.at(name).name())?);
        let unique = if self.statement.at(1).is("unique") {
            "UNIQUE"
        } else {
            ""
        };
        let lenient = if lenient { "IF NOT EXISTS" } else { "" };
        let columns = self.written(columns..self.statement.len(), None)?;
        let sql = format!(
            "CREATE {unique} INDEX {lenient} {index} ON {} {columns}",
            quote(&table)
        );
        Ok((vec![sql], "CREATE INDEX"))
    }

    /// A part of the statement as SQLite's SQL.
    fn written(&self, range: Range<usize>, new_table: Option<(&str, &str)>) -> SqlResult<String> {
        let query = Query {
            statement: self.statement,
            connection: self.connection,
            tables: table_uses(self.statement, self.connection, self.scope, new_table)?,
            inserted: Vec::new(),
            declared: Vec::new(),
        };
        let mut writer = Writer::new(&query, self.scope);
        writer.write(range)?;
        Ok(writer.sql)
    }

    fn create_table(&self) -> SqlResult<Definition> {
        const TAG: &str = "CREATE TABLE";
        let statement = self.statement;
        let (new, name, open) = self.new_name(2)?;
        let Some(table) = new else {
            return Ok((Vec::new(), TAG));
        };
        let end = statement.after(open);
        // Options of storage mean nothing here.
        let end = if statement.at(end).is("with") {
            statement.after(end + 1)
        } else {
            end
        };
        if !statement.at(open).is_operator("(") || end < statement.len() {
            return Err(SqlError::unsupported(
                "CREATE TABLE other than with a list of columns",
            ));
        }
        let new_table = Some((name.as_str(), table.as_str()));
        let mut items = Vec::new();
        for item in statement.listed(open) {
            let constraints = "constraint primary unique check foreign";
            items.push(if statement.at(item.start).is_any(constraints) {
                self.written(item, new_table)?
            } else {
                self.column(item, new_table)?
            });
        }
        let has_key = (open..end).any(|at| statement.skip(at, "primary key").is_some());
        let has_rowid = !has_key || items.iter().any(|item| item.contains(SERIAL));
        let ending = if has_rowid { "" } else { "WITHOUT ROWID" };
        let (table, items) = (quote(&table), items.join(", "));
        Ok((
            vec![format!("CREATE TABLE {table} ({items}) {ending}")],
            TAG,
        ))
    }

    /// The definition of a column.
    fn column(&self, item: Range<usize>, new_table: Option<(&str, &str)>) -> SqlResult<String> {
        let name = quote(&self.statement.at(item.start).name());
        let (ty, end, is_serial) = written_type(self.statement, item.start + 1)?;
        if !is_serial {
            // The length is the last thing in a type that has one.
            let length = self.statement.at(end - 2).text.parse().ok();
            let constraints = self.written(end..item.end, new_table)?;
            return Ok(ty.column(&name, &constraints, length));
        }
        let rest = self.statement.skip(end, "primary key");
        let rest = rest.ok_or_else(|| SqlError::unsupported("serial other than as PRIMARY KEY"))?;
        let collation = if ty == Type::Int8 {
            "COLLATE RTRIM"
        } else {
            ""
        };
        let rest = self.written(rest..item.end, new_table)?;
        Ok(format!("{name} INTEGER {collation} {SERIAL}{rest}"))
    }

    /// ALTER TABLE as `pgbench -i` needs it.
    fn alter_table(&self) -> SqlResult<Definition> {
        let (table, at) = self.table(self.lenient(2).0)?;
        let columns = self.statement.skip(at, "add primary key");
        let columns = columns.ok_or_else(|| SqlError::unsupported("this ALTER TABLE"))?;
        let columns = self.written(columns..self.statement.len(), None)?;
        let (index, table) = (quote(&format!("{table}_pkey")), quote(&table));
        let sql = format!("CREATE UNIQUE INDEX {index} ON {table} {columns}");
        Ok((vec![sql], "ALTER TABLE"))
    }
}

/// How a serial column goes on after its type.
const SERIAL: &str = "PRIMARY KEY AUTOINCREMENT";
