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
    /// The schemas to search for names.
    pub(crate) path: Vec<String>,
}

impl Scope {
    /// Takes the path from its setting.
    pub(crate) fn update_path(&mut self) {
        let schemas = self.settings.get("search_path").split(',');
        let schemas = schemas.map(|schema| schema.trim().trim_matches('"').to_owned());
        self.path = schemas.collect();
    }
}

/// A statement with its names resolved.
pub(crate) struct Query<'q> {
    pub(crate) statement: &'q Statement<'q>,
    pub(crate) connection: &'q Connection,
    pub(crate) scope: &'q Scope,
    /// The tables it names, in order.
    pub(crate) tables: Vec<TableUse>,
    /// Types of the columns that an INSERT fills, in order.
    pub(crate) inserted: Vec<Option<Type>>,
    /// Types of the parameters that the client has declared.
    pub(crate) declared: Vec<Option<Type>>,
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
        statement: &'q Statement<'q>,
        connection: &'q Connection,
        scope: &'q Scope,
    ) -> Self {
        let (tables, inserted, declared) = (Vec::new(), Vec::new(), Vec::new());
        Query {
            statement,
            connection,
            scope,
            tables,
            inserted,
            declared,
        }
    }

    pub(crate) fn table_exists(&self, engine_name: &str) -> bool {
        self.connection
            .table_exists(Some("main"), engine_name)
            .unwrap_or(false)
    }

    /// True if there is such a schema. Each but `public` is marked by a table without a name.
    pub(crate) fn schema_exists(&self, schema: &str) -> bool {
        schema == "public" || self.table_exists(&format!("{schema}."))
    }

    pub(crate) fn column_type(&self, table: &str, column: &str) -> Option<Type> {
        let metadata = self
            .connection
            .column_metadata(Some("main"), table, column)
            .ok()?;
        Type::of_column((metadata.0, metadata.1))
    }

    /// The SQLite name of the table named at `at`, and the position after it.
    pub(crate) fn table(&self, at: usize) -> SqlResult<(String, usize)> {
        let (schema, name, end) = self.statement.qualified(at)?;
        let path = self.scope.path.iter().filter(|_| schema.is_none());
        for schema in schema.iter().chain(path) {
            let engine_name = engine_name(schema, &name)?;
            if self.table_exists(&engine_name) {
                return Ok((engine_name, end));
            }
        }
        let catalogs = ["pg_catalog", "information_schema"];
        if name.starts_with("pg_") || schema.is_some_and(|schema| catalogs.contains(&&*schema)) {
            return Err(SqlError::unsupported(format_args!(
                "the system catalog {name}"
            )));
        }
        Err(SqlError::missing("42P01", "relation", &name))
    }

    /// Finds the tables that the statement names; `new_table` is one that it is about to create.
    pub(crate) fn find_tables(&mut self, new_table: Option<(&str, &str)>) -> SqlResult<()> {
        let statement = self.statement;
        // For each open bracket: true if a comma in it is followed by a table.
        let mut lists = vec![false];
        let mut expects_table = false;
        let mut at = 0;
        while at < statement.len() {
            let (token, before) = (statement.at(at), statement.before(at));
            let list = lists.last_mut();
            if token.is_operator("(") {
                expects_table &= !statement.at(at + 1).is_any("select values with");
                lists.push(expects_table);
            } else if token.is_operator(")") {
                lists.pop();
            } else if token.is_operator(",") {
                expects_table = list.is_some_and(|list| *list);
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
                at = end;
                continue;
            } else if token.is("from") && !before.is("distinct") {
                expects_table = true;
                list.into_iter().for_each(|list| *list = true);
            } else if token.is_any("join into references") {
                expects_table = true;
            } else if token.is("update") {
                expects_table = !before.is_any("for do on key");
            } else if token.is_any(CLAUSES) {
                list.into_iter().for_each(|list| *list = false);
            }
            at += 1;
        }
        Ok(())
    }
}

fn is_defined_by_with(statement: &Statement<'_>, name: &str) -> bool {
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
    let has_with = statement.tokens.iter().any(|token| token.is("with"));
    has_with && (1..statement.len()).any(defines)
}
