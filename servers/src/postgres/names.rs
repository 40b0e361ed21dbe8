//! Names: the schemas of a session, and the tables that a statement names.
//!
//! SQLite has no schemas, so the table `t` of the schema `s` is called `s.t` there, and every name of a table is
//! resolved along the search path before SQLite sees it. SQLite itself is the only catalogue.

use rusqlite::Connection;

use super::error::{SqlError, SqlResult};
use super::settings::Settings;
use super::token::Statement;
use super::types::Type;

/// A session from the point of view of its statements.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scope {
    pub(crate) user: String,
    pub(crate) database: String,
    pub(crate) pid: i32,
    pub(crate) settings: Settings,
}

/// A statement on its way to SQLite's SQL.
pub(crate) struct Query<'q> {
    pub(crate) statement: &'q Statement,
    pub(crate) connection: &'q Connection,
    pub(crate) scope: &'q Scope,
    /// The tables it names, in order.
    pub(crate) tables: Vec<TableUse>,
    /// Types of the columns that an INSERT fills, in order.
    pub(crate) inserted: Vec<Option<Type>>,
    /// Types of the parameters, as far as they are declared or have been inferred.
    pub(crate) parameters: Vec<Option<Type>>,
    /// What has been written, in SQLite's SQL.
    pub(crate) sql: String,
    /// Start of the last operand in `sql`: a cast, which comes after it, is wrapped around it.
    pub(crate) operand: usize,
    /// The same for each open bracket.
    pub(crate) brackets: Vec<usize>,
    /// Divisors under way: the position after each, and where it begins in `sql`.
    pub(crate) divisors: Vec<(usize, usize)>,
}

/// A place in a statement that names a table.
#[derive(Debug)]
pub(crate) struct TableUse {
    /// Positions of its first token and after its last.
    pub(crate) at: usize,
    pub(crate) end: usize,
    pub(crate) name: String,
    /// Its name in SQLite; `None` for a common table expression or a function.
    pub(crate) engine_name: Option<String>,
}

/// A name in double quotes.
pub(crate) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The name of a table in SQLite.
pub(crate) fn engine_name(schema: &str, name: &str) -> SqlResult<String> {
    if name.contains('.') || schema.contains('.') {
        return Err(SqlError::unsupported("a name with a dot in it"));
    }
    Ok(format!("{schema}.{name}"))
}

/// Words after which a comma is not followed by a table.
const CLAUSES: &str = "where group order having limit union except intersect returning set select";

impl<'q> Query<'q> {
    pub(crate) fn new(
        statement: &'q Statement,
        connection: &'q Connection,
        scope: &'q Scope,
    ) -> Self {
        Query {
            statement,
            connection,
            scope,
            tables: Vec::new(),
            inserted: Vec::new(),
            parameters: Vec::new(),
            sql: String::new(),
            operand: 0,
            brackets: Vec::new(),
            divisors: Vec::new(),
        }
    }

    pub(crate) fn table_exists(&self, engine_name: &str) -> bool {
        let exists = self.connection.table_exists(Some("main"), engine_name);
        exists.unwrap_or(false)
    }

    /// True if there is such a schema. Each but `public` is marked by a table without a name.
    pub(crate) fn schema_exists(&self, schema: &str) -> bool {
        schema == "public" || self.table_exists(&format!("{schema}."))
    }

    pub(crate) fn column_type(&self, table: &str, column: &str) -> Option<Type> {
        let metadata = self.connection.column_metadata(Some("main"), table, column);
        metadata
            .ok()
            .and_then(|column| Type::of_column(column.0, column.1))
    }

    /// The schemas in which to look for a name.
    pub(crate) fn schemas(&self, schema: Option<String>) -> Vec<String> {
        schema.map_or_else(
            || self.scope.settings.search_path().collect(),
            |schema| vec![schema],
        )
    }

    /// The SQLite name of the table named at `at`, and the position after it.
    pub(crate) fn table(&self, at: usize) -> SqlResult<(String, usize)> {
        let (schema, name, end) = self.statement.qualified(at)?;
        let is_catalog = |schema: &String| schema == "pg_catalog" || schema == "information_schema";
        let schemas = self.schemas(schema);
        for schema in &schemas {
            let engine_name = engine_name(schema, &name)?;
            if self.table_exists(&engine_name) {
                return Ok((engine_name, end));
            }
        }
        if name.starts_with("pg_") || schemas.iter().any(is_catalog) {
            let catalog = format_args!("the system catalog {name}");
            return Err(SqlError::unsupported(catalog));
        }
        Err(SqlError::missing("42P01", "relation", &name))
    }

    /// Finds the tables that the statement names; `new_table` is one that it is about to create.
    pub(crate) fn find_tables(&mut self, new_table: Option<(&str, &str)>) -> SqlResult<()> {
        let statement = self.statement;
        // For each open bracket: true if a comma in it is followed by a table.
        let mut lists = vec![false];
        let mut expects_table = false;
        for at in 0..statement.len() {
            let (token, before) = (statement.at(at), statement.before(at));
            let mut is_list = lists.pop().unwrap_or(false);
            if token.is_operator("(") {
                expects_table &= !statement.at(at + 1).is_any("select values with");
                lists.push(is_list);
                is_list = expects_table;
            } else if token.is_operator(")") {
                continue;
            } else if token.is_operator(",") {
                expects_table = is_list;
            } else if expects_table && token.is_name() && !token.is("only") {
                let (schema, name, end) = statement.qualified(at)?;
                let is_call = statement.at(end).is_operator("(");
                let engine_name = match new_table {
                    _ if is_call && !before.is_any("into references") => {
                        if !matches!(&*name, "generate_series" | "json_each") {
                            return Err(SqlError::unsupported(format_args!("{name} in FROM")));
                        }
                        None
                    }
                    _ if schema.is_none() && is_defined_by_with(statement, &name) => None,
                    Some((new, engine_name)) if new == name => Some(engine_name.to_owned()),
                    _ => Some(self.table(at)?.0),
                };
                self.tables.push(TableUse {
                    at,
                    end,
                    name,
                    engine_name,
                });
                expects_table = false;
            } else if token.is("from") && !before.is("distinct") {
                (expects_table, is_list) = (true, true);
            } else if token.is_any("join into references") {
                expects_table = true;
            } else if token.is("update") {
                expects_table = !before.is_any("for do on key");
            } else if token.is_any(CLAUSES) {
                is_list = false;
            }
            lists.push(is_list);
        }
        Ok(())
    }
}

fn is_defined_by_with(statement: &Statement, name: &str) -> bool {
    let defines = |at: usize| {
        let has_columns = statement.at(at + 1).is_operator("(");
        let end = if has_columns {
            statement.after(at + 1)
        } else {
            at + 1
        };
        let before = statement.before(at);
        let follows = before.is_any("with recursive") || before.is_operator(",");
        follows && statement.at(end).is("as") && statement.at(at).name() == name
    };
    let has_with = (0..statement.len()).any(|at| statement.at(at).is("with"));
    has_with && (1..statement.len()).any(defines)
}
