//! Definitions: schemas, tables and indexes, as SQLite's statements.
//!
//! A schema is a prefix of names, marked by an empty table. A rule of a PostgreSQL type (the range of an integer, the
//! length of a text) becomes a check that is named after its error. A table with a primary key that is not serial has
//! no rowid, so that its key is the only tree, and NULL in it is an error.

use std::ops::Range;

use rusqlite::Connection;

use super::error::{SqlError, SqlResult};
use super::infer::Query;
use super::names::{
    Scope, engine_name, no_such_table, quote, resolve, schema_exists, table_exists, table_uses,
    tables_of, target_schema,
};
use super::rewrite::Writer;
use super::token::Statement;
use super::types::{Type, WrittenType, written_type};

/// What a definition comes to.
#[derive(Debug)]
pub(crate) struct Definition {
    pub(crate) sql: Vec<String>,
    pub(crate) tag: &'static str,
    /// SQLSTATE and text of a notice.
    pub(crate) notice: Option<(&'static str, String)>,
    pub(crate) makes_temporary: bool,
}

impl Definition {
    fn new(tag: &'static str, sql: Vec<String>) -> Self {
        Definition {
            sql,
            tag,
            notice: None,
            makes_temporary: false,
        }
    }

    fn skipped(tag: &'static str, state: &'static str, message: String) -> Self {
        Definition {
            notice: Some((state, message)),
            ..Definition::new(tag, Vec::new())
        }
    }
}

/// A definition, with what it depends on.
struct Definer<'d> {
    statement: &'d Statement<'d>,
    connection: &'d Connection,
    scope: &'d Scope,
}

/// Translates a statement if it is a definition.
pub(crate) fn define(
    statement: &Statement<'_>,
    connection: &Connection,
    scope: &Scope,
) -> SqlResult<Option<Definition>> {
    let definer = Definer {
        statement,
        connection,
        scope,
    };
    let word = |at: usize| statement.at(at).text.to_ascii_lowercase();
    let definition = match (word(0).as_str(), word(1).as_str()) {
        ("create", "schema") => definer.create_schema(),
        ("create", "table") => definer.create_table(2, false),
        ("create", "unlogged") if word(2) == "table" => definer.create_table(3, false),
        ("create", "temp" | "temporary") if word(2) == "table" => definer.create_table(3, true),
        ("create", "index") => definer.create_index(2),
        ("create", "unique") if word(2) == "index" => definer.create_index(3),
        ("drop", "schema") => definer.drop_schemas(),
        ("drop", "table") => definer.drop_all("TABLE", "DROP TABLE"),
        ("drop", "index") => definer.drop_all("INDEX", "DROP INDEX"),
        ("alter", "table") => definer.alter_table(),
        ("truncate", _) => definer.truncate(),
        _ => return Ok(None),
    };
    definition.map(Some)
}

impl<'d> Definer<'d> {
    /// The position after these words, if they are at `at`.
    fn skip(&self, at: usize, words: &[&str]) -> Option<usize> {
        self.statement
            .has_words(at, words)
            .then_some(at + words.len())
    }

    fn expect_end(&self, at: usize) -> SqlResult<()> {
        if at < self.statement.len() {
            let rest = self.statement.at(at).text.to_ascii_uppercase();
            return Err(SqlError::unsupported(format_args!(
                "{rest} in a definition"
            )));
        }
        Ok(())
    }

    fn existing_table(&self, at: usize) -> SqlResult<(String, usize)> {
        let (schema, name, tokens) = self.statement.qualified_name(at)?;
        let found = resolve(self.connection, &self.scope.path, schema.as_deref(), &name);
        Ok((
            found.ok_or_else(|| no_such_table(schema.as_deref(), &name))?,
            at + tokens,
        ))
    }

    /// The parts of a list of names, up to CASCADE or RESTRICT.
    fn listed(&self, start: usize) -> (Vec<Range<usize>>, bool) {
        let last = self.statement.at(self.statement.len() - 1);
        let has_mode = last.is_one_of(&["cascade", "restrict"]);
        let end = self.statement.len() - usize::from(has_mode);
        (
            self.statement.split_commas(start..end),
            last.is_word("cascade"),
        )
    }

    fn create_schema(&self) -> SqlResult<Definition> {
        const TAG: &str = "CREATE SCHEMA";
        let lenient = self.skip(2, &["if", "not", "exists"]);
        let at = lenient.unwrap_or(2);
        let (_, name, tokens) = self.statement.qualified_name(at)?;
        let end = at + tokens;
        self.expect_end(if self.statement.at(end).is_word("authorization") {
            end + 2
        } else {
            end
        })?;
        if name.starts_with("pg_") {
            return Err(SqlError::new(
                "42939",
                format!("unacceptable schema name \"{name}\""),
            ));
        }
        if schema_exists(self.connection, &name) {
            let message = format!("schema \"{name}\" already exists");
            return match lenient {
                Some(_) => Ok(Definition::skipped(
                    TAG,
                    "42P06",
                    format!("{message}, skipping"),
                )),
                None => Err(SqlError::new("42P06", message)),
            };
        }
        engine_name(&name, "")?;
        Ok(Definition::new(
            TAG,
            vec![format!(
                "CREATE TABLE {} (marker)",
                quote(&format!("{name}."))
            )],
        ))
    }

    fn drop_schemas(&self) -> SqlResult<Definition> {
        const TAG: &str = "DROP SCHEMA";
        let lenient = self.skip(2, &["if", "exists"]);
        let (names, cascades) = self.listed(lenient.unwrap_or(2));
        let mut definition = Definition::new(TAG, Vec::new());
        for name in names {
            let name = self.statement.at(name.start).name();
            let message = format!("schema \"{name}\" does not exist");
            if name == "public" || name.starts_with("pg_") {
                return Err(SqlError::unsupported(format_args!(
                    "dropping the schema {name}"
                )));
            }
            if !schema_exists(self.connection, &name) {
                if lenient.is_none() {
                    return Err(SqlError::new("3F000", message));
                }
                definition.notice = Some(("00000", format!("{message}, skipping")));
                continue;
            }
            let tables = tables_of(self.connection, &name)?;
            if tables.len() > 1 && !cascades {
                let message =
                    format!("cannot drop schema {name} because other objects depend on it");
                return Err(SqlError::new("2BP01", message));
            }
            definition.sql.extend(
                tables
                    .iter()
                    .map(|table| format!("DROP TABLE {}", quote(table))),
            );
        }
        Ok(definition)
    }

    fn drop_all(&self, kind: &str, tag: &'static str) -> SqlResult<Definition> {
        let lenient = self.skip(2, &["if", "exists"]);
        let mut definition = Definition::new(tag, Vec::new());
        for part in self.listed(lenient.unwrap_or(2)).0 {
            let (schema, name, _) = self.statement.qualified_name(part.start)?;
            let found = if kind == "TABLE" {
                resolve(self.connection, &self.scope.path, schema.as_deref(), &name)
            } else {
                self.find_index(schema.as_deref(), &name)
            };
            match found {
                Some(found) => definition
                    .sql
                    .push(format!("DROP {kind} {}", quote(&found))),
                None if lenient.is_some() => {
                    let message = format!(
                        "{} \"{name}\" does not exist, skipping",
                        kind.to_lowercase()
                    );
                    definition.notice = Some(("00000", message));
                }
                None => return Err(no_such_table(schema.as_deref(), &name)),
            }
        }
        Ok(definition)
    }

    fn find_index(&self, schema: Option<&str>, name: &str) -> Option<String> {
        let exists = |schema: &str| {
            let name = engine_name(schema, name).ok()?;
            let sql = "SELECT name FROM sqlite_schema WHERE type = 'index' AND name = ?1";
            self.connection
                .query_row(sql, [name], |row| row.get(0))
                .ok()
        };
        match schema {
            Some(schema) => exists(schema),
            None => self.scope.path.iter().find_map(|schema| exists(schema)),
        }
    }

    fn truncate(&self) -> SqlResult<Definition> {
        let start = if self.statement.at(1).is_word("table") {
            2
        } else {
            1
        };
        let mut sql = Vec::new();
        for part in self.listed(start).0 {
            let (table, end) = self.existing_table(part.start)?;
            sql.push(format!("DELETE FROM {}", quote(&table)));
            if self.skip(end, &["restart", "identity"]).is_some() {
                sql.push(format!(
                    "DELETE FROM sqlite_sequence WHERE name = '{}'",
                    table.replace('\'', "''")
                ));
            }
        }
        Ok(Definition::new("TRUNCATE TABLE", sql))
    }

    fn create_index(&self, at: usize) -> SqlResult<Definition> {
        const TAG: &str = "CREATE INDEX";
        let statement = self.statement;
        let at = self.skip(at, &["concurrently"]).unwrap_or(at);
        let lenient = self.skip(at, &["if", "not", "exists"]);
        let mut at = lenient.unwrap_or(at);
        let own_name = (!statement.at(at).is_word("on")).then(|| statement.at(at).name());
        at += usize::from(own_name.is_some());
        let at = self
            .skip(at, &["on"])
            .ok_or_else(|| SqlError::syntax("expected ON"))?;
        let (table, mut at) = self.existing_table(at)?;
        if statement.at(at).is_word("using") {
            at += 2;
        }
        if !statement.at(at).is_operator("(") {
            return Err(SqlError::syntax("expected the columns of the index"));
        }
        let (schema, table_name) = table.split_once('.').unwrap_or(("public", &table));
        let name = own_name.unwrap_or_else(|| {
            let columns = statement.split_commas(at + 1..statement.partner[at]);
            let columns: Vec<String> = columns
                .into_iter()
                .map(|column| statement.at(column.start).name())
                .collect();
            format!("{table_name}_{}_idx", columns.join("_"))
        });
        let index = engine_name(schema, &name)?;
        if self.find_index(Some(schema), &name).is_some() {
            let message = format!("relation \"{name}\" already exists");
            return match lenient {
                Some(_) => Ok(Definition::skipped(
                    TAG,
                    "42P07",
                    format!("{message}, skipping"),
                )),
                None => Err(SqlError::new("42P07", message)),
            };
        }
        let unique = if statement.at(1).is_word("unique") {
            "UNIQUE "
        } else {
            ""
        };
        let rest = self.written(at..statement.len(), None)?;
        Ok(Definition::new(
            TAG,
            vec![format!(
                "CREATE {unique}INDEX {} ON {}{rest}",
                quote(&index),
                quote(&table)
            )],
        ))
    }

    /// A part of the statement as SQLite's SQL.
    fn written(&self, range: Range<usize>, new_table: Option<(&str, &str)>) -> SqlResult<String> {
        let tables = table_uses(self.statement, self.connection, &self.scope.path, new_table)?;
        let query = Query {
            statement: self.statement,
            connection: self.connection,
            tables,
            inserted: Vec::new(),
            declared: Vec::new(),
        };
        let mut writer = Writer::new(&query, self.scope);
        writer.write(range)?;
        Ok(writer.sql)
    }

    fn create_table(&self, at: usize, is_temporary: bool) -> SqlResult<Definition> {
        const TAG: &str = "CREATE TABLE";
        let statement = self.statement;
        let lenient = self.skip(at, &["if", "not", "exists"]);
        let at = lenient.unwrap_or(at);
        let (schema, name, tokens) = statement.qualified_name(at)?;
        let schema = if is_temporary {
            self.scope.temporary_schema()
        } else {
            target_schema(self.connection, &self.scope.path, schema.as_deref())?
        };
        let table = engine_name(&schema, &name)?;
        if table_exists(self.connection, &table) {
            let message = format!("relation \"{name}\" already exists");
            return match lenient {
                Some(_) => Ok(Definition::skipped(
                    TAG,
                    "42P07",
                    format!("{message}, skipping"),
                )),
                None => Err(SqlError::new("42P07", message)),
            };
        }
        let open = at + tokens;
        if !statement.at(open).is_operator("(") {
            return Err(SqlError::unsupported(
                "CREATE TABLE without a list of columns",
            ));
        }
        let close = statement.partner[open];
        // Options of storage mean nothing here.
        self.expect_end(if statement.at(close + 1).is_word("with") {
            statement.after(close + 2)
        } else {
            close + 1
        })?;
        let parts = statement.split_commas(open + 1..close);
        let (constraints, columns): (Vec<_>, Vec<_>) = parts
            .into_iter()
            .partition(|part| self.is_constraint(part.start));
        let mut columns = columns
            .into_iter()
            .map(|column| self.column(column))
            .collect::<SqlResult<Vec<_>>>()?;
        let mut key: Vec<String> = columns
            .iter()
            .filter(|column| column.is_key)
            .map(|column| column.name.clone())
            .collect();
        let new_table = Some((name.as_str(), table.as_str()));
        let mut items = Vec::new();
        for constraint in constraints {
            match self.primary_key(constraint.clone()) {
                Some(columns) => key = columns,
                None => items.push(self.written(constraint, new_table)?),
            }
        }
        let mut has_rowid = key.is_empty();
        for column in &mut columns {
            column.is_key = key.contains(&column.name);
            has_rowid |= column.is_key && column.written.is_serial;
        }
        let columns = columns
            .iter()
            .map(|column| self.write_column(column, &name, key.len(), new_table))
            .collect::<SqlResult<Vec<_>>>()?;
        if !has_rowid {
            let key: Vec<String> = key.iter().map(|column| quote(column)).collect();
            items.push(format!("PRIMARY KEY ({})", key.join(", ")));
        }
        let items: Vec<String> = columns.into_iter().chain(items).collect();
        let ending = if has_rowid { "" } else { " WITHOUT ROWID" };
        let sql = format!(
            "CREATE TABLE {} ({}){ending}",
            quote(&table),
            items.join(", ")
        );
        Ok(Definition {
            makes_temporary: is_temporary,
            ..Definition::new(TAG, vec![sql])
        })
    }

    fn is_constraint(&self, at: usize) -> bool {
        self.statement.at(at).is_one_of(&[
            "constraint",
            "primary",
            "unique",
            "check",
            "foreign",
            "exclude",
            "like",
        ])
    }

    /// The columns of a PRIMARY KEY over several columns, if this is one.
    fn primary_key(&self, constraint: Range<usize>) -> Option<Vec<String>> {
        let named = self
            .skip(constraint.start, &["constraint"])
            .map(|at| at + 1);
        let open = self.skip(named.unwrap_or(constraint.start), &["primary", "key"])?;
        let columns = self
            .statement
            .split_commas(open + 1..self.statement.after(open) - 1);
        Some(
            columns
                .into_iter()
                .map(|column| self.statement.at(column.start).name())
                .collect(),
        )
    }

    fn column(&self, range: Range<usize>) -> SqlResult<Column> {
        let statement = self.statement;
        let name = statement.qualified_name(range.start)?.1;
        let mut written = written_type(statement, range.start + 1)?;
        let rest = range.start + 1 + written.tokens..range.end;
        let has = |words: &[&str]| {
            statement
                .top_level(rest.clone())
                .any(|at| statement.has_words(at, words))
        };
        written.is_serial |= has(&["identity"]);
        Ok(Column {
            name,
            written,
            is_key: has(&["primary", "key"]),
            rest,
        })
    }

    fn write_column(
        &self,
        column: &Column,
        table: &str,
        keys: usize,
        new_table: Option<(&str, &str)>,
    ) -> SqlResult<String> {
        let Column {
            name,
            written,
            is_key,
            rest,
        } = column;
        let quoted = quote(name);
        let check_name = quote(&format!("{table}_{name}_check"));
        let rest = self.column_rest(rest.clone(), &check_name, new_table)?;
        if written.is_serial {
            if !is_key || keys != 1 {
                return Err(SqlError::unsupported(
                    "a serial column that is not the primary key",
                ));
            }
            let collation = if written.ty == Type::Int8 {
                " COLLATE RTRIM"
            } else {
                ""
            };
            return Ok(format!(
                "{quoted} INTEGER{collation} PRIMARY KEY AUTOINCREMENT{rest}"
            ));
        }
        let not_null = if *is_key { " NOT NULL" } else { "" };
        Ok(format!(
            "{quoted} {}{not_null}{}{rest}",
            written.ty.declaration(),
            type_check(&quoted, written)
        ))
    }

    /// The constraints of a column; those that `write_column` deals with are left out.
    fn column_rest(
        &self,
        range: Range<usize>,
        check_name: &str,
        new_table: Option<(&str, &str)>,
    ) -> SqlResult<String> {
        const NEXT: [&str; 10] = [
            "not",
            "null",
            "primary",
            "unique",
            "check",
            "references",
            "constraint",
            "collate",
            "generated",
            "default",
        ];
        let statement = self.statement;
        let mut sql = String::new();
        let mut at = range.start;
        while at < range.end {
            let skipped = self
                .skip(at, &["primary", "key"])
                .or_else(|| self.skip(at, &["null"]))
                .or_else(|| self.skip(at, &["collate"]).map(|at| at + 1))
                .or_else(|| self.skip(at, &["generated", "always", "as", "identity"]))
                .or_else(|| self.skip(at, &["generated", "by", "default", "as", "identity"]));
            if let Some(next) = skipped {
                at = if statement.at(next).is_operator("(") {
                    statement.after(next)
                } else {
                    next
                };
                continue;
            }
            let mut ends = statement.top_level(at + 1..range.end).filter(|&end| {
                statement.at(end).is_one_of(&NEXT)
                    && !(end == at + 1 && statement.at(at).is_one_of(&["not", "default"]))
            });
            let end = ends.next().unwrap_or(range.end);
            if statement.at(at).is_word("default") {
                sql.push_str(&format!(
                    " DEFAULT ({})",
                    self.written(at + 1..end, new_table)?
                ));
            } else {
                if statement.at(at).is_word("check")
                    && !statement.before(at - 1).is_word("constraint")
                {
                    sql.push_str(&format!(" CONSTRAINT {check_name}"));
                }
                sql.push_str(&self.written(at..end, new_table)?);
            }
            at = end;
        }
        Ok(sql)
    }

    fn alter_table(&self) -> SqlResult<Definition> {
        const TAG: &str = "ALTER TABLE";
        let statement = self.statement;
        let lenient = self.skip(2, &["if", "exists"]);
        let at = lenient.unwrap_or(2);
        let at = self.skip(at, &["only"]).unwrap_or(at);
        let (table, at) = match self.existing_table(at) {
            Err(error) if lenient.is_some() => {
                return Ok(Definition::skipped(TAG, "00000", error.to_string()));
            }
            found => found?,
        };
        if statement.split_commas(at..statement.len()).len() != 1 {
            return Err(SqlError::unsupported(
                "more than one change in an ALTER TABLE",
            ));
        }
        let (schema, name) = table.split_once('.').unwrap_or(("public", &table));
        let quoted = quote(&table);
        let after_constraint = self.skip(at, &["add", "constraint"]).map(|at| at + 1);
        let added = after_constraint
            .or_else(|| self.skip(at, &["add"]))
            .unwrap_or(at);
        if statement.at(added).is_one_of(&["primary", "unique"]) && added > at {
            let is_key = statement.at(added).is_word("primary");
            let open = added + if is_key { 2 } else { 1 };
            let columns = statement.split_commas(open + 1..statement.after(open) - 1);
            let columns: Vec<String> = columns
                .into_iter()
                .map(|column| quote(&statement.at(column.start).name()))
                .collect();
            let index = if is_key {
                format!("{table}_pkey")
            } else {
                format!("{table}_{}_key", columns.join("_").replace('"', ""))
            };
            return Ok(Definition::new(
                TAG,
                vec![format!(
                    "CREATE UNIQUE INDEX {} ON {quoted} ({})",
                    quote(&index),
                    columns.join(", ")
                )],
            ));
        }
        let sql =
            if after_constraint.is_some() || statement.at(added).is_one_of(&["foreign", "check"]) {
                return Err(SqlError::unsupported("adding this constraint to a table"));
            } else if added > at {
                let at = self.skip(added, &["column"]).unwrap_or(added);
                let lenient = self.skip(at, &["if", "not", "exists"]);
                let column = self.column(lenient.unwrap_or(at)..statement.len())?;
                if self
                    .connection
                    .column_exists(Some("main"), &table, &column.name)
                    .unwrap_or(false)
                {
                    let message = format!(
                        "column \"{}\" of relation \"{name}\" already exists",
                        column.name
                    );
                    return match lenient {
                        Some(_) => Ok(Definition::skipped(TAG, "42701", message)),
                        None => Err(SqlError::new("42701", message)),
                    };
                }
                if column.is_key {
                    return Err(SqlError::unsupported(
                        "adding a primary key with its column",
                    ));
                }
                format!("ADD COLUMN {}", self.write_column(&column, name, 0, None)?)
            } else if let Some(at) = self.skip(at, &["drop"]) {
                let at = self.skip(at, &["column"]).unwrap_or(at);
                self.expect_end(at + 1)?;
                format!("DROP COLUMN {}", quote(&statement.at(at).name()))
            } else if let Some(at) = self.skip(at, &["rename", "to"]) {
                format!(
                    "RENAME TO {}",
                    quote(&engine_name(schema, &statement.at(at).name())?)
                )
            } else if let Some(at) = self.skip(at, &["rename"]) {
                let at = self.skip(at, &["column"]).unwrap_or(at);
                let to = self
                    .skip(at + 1, &["to"])
                    .ok_or_else(|| SqlError::syntax("expected TO"))?;
                format!(
                    "RENAME COLUMN {} TO {}",
                    quote(&statement.at(at).name()),
                    quote(&statement.at(to).name())
                )
            } else {
                return Err(SqlError::unsupported("this ALTER TABLE"));
            };
        Ok(Definition::new(
            TAG,
            vec![format!("ALTER TABLE {quoted} {sql}")],
        ))
    }
}

/// A column as it is defined.
struct Column {
    name: String,
    written: WrittenType,
    is_key: bool,
    /// The tokens of its constraints.
    rest: Range<usize>,
}

/// The checks that make a column of SQLite hold values of its type only.
fn type_check(column: &str, written: &WrittenType) -> String {
    let WrittenType { ty, max_length, .. } = written;
    let (error, check) = match ty {
        Type::Int2 => (
            "22003 smallint out of range",
            format!("{column} BETWEEN -32768 AND 32767"),
        ),
        Type::Int4 => (
            "22003 integer out of range",
            format!("{column} BETWEEN -2147483648 AND 2147483647"),
        ),
        Type::Int8 => (
            "22P02 invalid input for type bigint",
            format!("typeof({column}) IN ('integer', 'null')"),
        ),
        Type::Float4 | Type::Float8 => (
            "22P02 invalid input for a float",
            format!("typeof({column}) IN ('real', 'null')"),
        ),
        Type::Bool => (
            "22P02 invalid input for type boolean",
            format!("{column} IN (0, 1)"),
        ),
        Type::Bytea => (
            "22P02 invalid input for type bytea",
            format!("typeof({column}) IN ('blob', 'null')"),
        ),
        Type::Json => (
            "22P02 invalid input syntax for type json",
            format!("json_valid({column})"),
        ),
        Type::Text => match max_length {
            Some(length) => {
                let error = format!("22001 value too long for type character varying({length})");
                return format!(
                    " CONSTRAINT {} CHECK(length({column}) <= {length})",
                    quote(&error)
                );
            }
            None => return String::new(),
        },
    };
    format!(" CONSTRAINT {} CHECK({check})", quote(error))
}
