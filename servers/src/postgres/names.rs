//! Names: the schemas of a session, and the tables that a statement names.
//!
//! SQLite has no schemas, so the table `t` of the schema `s` is called `s.t` there, and every name of a table is
//! resolved along the search path before SQLite sees it. SQLite itself is the only catalogue.

use rusqlite::Connection;

use super::error::{SqlError, SqlResult};
use super::settings::Settings;
use super::token::Statement;
use super::types::Type;

/// A session as its statements see it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scope {
    pub(crate) user: String,
    pub(crate) database: String,
    pub(crate) pid: i32,
    pub(crate) settings: Settings,
    /// The schemas in which names are looked for.
    pub(crate) path: Vec<String>,
}

impl Scope {
    /// Takes the path from its setting.
    pub(crate) fn update_path(&mut self) {
        let schemas = self
            .settings
            .get("search_path")
            .split(',')
            .map(|schema| schema.trim().trim_matches('"'));
        self.path = schemas.map(str::to_owned).collect();
    }
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

/// True if there is such a schema. Each but `public` is marked by a table without a name.
pub(crate) fn schema_exists(connection: &Connection, schema: &str) -> bool {
    schema == "public" || table_exists(connection, &format!("{schema}."))
}

pub(crate) fn table_exists(connection: &Connection, engine_name: &str) -> bool {
    connection
        .table_exists(Some("main"), engine_name)
        .unwrap_or(false)
}

pub(crate) fn column_type(connection: &Connection, table: &str, column: &str) -> Option<Type> {
    let metadata = connection
        .column_metadata(Some("main"), table, column)
        .ok()?;
    Type::of_column((metadata.0, metadata.1))
}

/// The table that a name means, by its name in SQLite.
pub(crate) fn resolve(
    connection: &Connection,
    scope: &Scope,
    schema: Option<&str>,
    name: &str,
) -> SqlResult<String> {
    let path = scope.path.iter().map(String::as_str);
    for schema in path.filter(|_| schema.is_none()).chain(schema) {
        let engine_name = engine_name(schema, name)?;
        if table_exists(connection, &engine_name) {
            return Ok(engine_name);
        }
    }
    if name.starts_with("pg_") || matches!(schema, Some("pg_catalog" | "information_schema")) {
        return Err(SqlError::unsupported(format_args!(
            "the system catalog {name}"
        )));
    }
    Err(SqlError::new(
        "42P01",
        format!("relation \"{name}\" does not exist"),
    ))
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

/// Words after which a comma is not followed by a table.
const CLAUSES: &str = "where group order having limit union except intersect returning set select";

/// Finds the tables that a statement names; `new_table` is one that it is about to make.
pub(crate) fn table_uses(
    statement: &Statement<'_>,
    connection: &Connection,
    scope: &Scope,
    new_table: Option<(&str, &str)>,
) -> SqlResult<Vec<TableUse>> {
    let mut uses = Vec::new();
    // For each open bracket: true if a comma in it is followed by a table.
    let mut lists = vec![false];
    let mut expects_table = false;
    let mut at = 0;
    while at < statement.len() {
        let (token, before) = (statement.at(at), statement.before(at));
        if token.is_operator("(") {
            expects_table &= !statement.at(at + 1).is_any("select values with");
            lists.push(expects_table);
        } else if token.is_operator(")") {
            lists.pop();
        } else if token.is_operator(",") {
            expects_table = lists.last() == Some(&true);
        } else if expects_table && token.is_name() && !token.is("only") {
            let (schema, name, end) = statement.qualified(at)?;
            let is_call = statement.at(end).is_operator("(") && !before.is_any("into references");
            let engine_name = match new_table {
                _ if is_call && matches!(&*name, "generate_series" | "json_each") => None,
                _ if is_call => return Err(SqlError::unsupported(format_args!("{name} in FROM"))),
                _ if schema.is_none() && is_defined_by_with(statement, &name) => None,
                Some((new, engine_name)) if new == name => Some(engine_name.to_owned()),
                _ => Some(resolve(connection, scope, schema.as_deref(), &name)?),
            };
            uses.push(TableUse {
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
            lists.last_mut().into_iter().for_each(|list| *list = true);
        } else if token.is_any("join into references") {
            expects_table = true;
        } else if token.is("update") {
            expects_table = !before.is_any("for do on key");
        } else if token.is_any(CLAUSES) {
            lists.last_mut().into_iter().for_each(|list| *list = false);
        }
        at += 1;
    }
    Ok(uses)
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
