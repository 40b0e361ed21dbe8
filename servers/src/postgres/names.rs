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
#[derive(Debug, Clone)]
pub(crate) struct Scope {
    pub(crate) user: String,
    pub(crate) database: String,
    pub(crate) pid: i32,
    pub(crate) settings: Settings,
    /// True once the session has made temporary tables, whose schema then comes first.
    pub(crate) has_temporary: bool,
    /// The schemas in which names are looked for.
    pub(crate) path: Vec<String>,
}

impl Scope {
    /// The schema of this session's temporary tables.
    pub(crate) fn temporary_schema(&self) -> String {
        format!("pg_temp_{}", self.pid)
    }

    /// Computes the path again, after a change of what it follows from.
    pub(crate) fn update_path(&mut self) {
        let temporary = self.has_temporary.then(|| self.temporary_schema());
        let schemas = self.settings.get("search_path").split(',');
        let named = schemas.map(|schema| match schema.trim().trim_matches('"') {
            "$user" => self.user.clone(),
            other => other.to_owned(),
        });
        self.path = temporary
            .into_iter()
            .chain(named)
            .filter(|schema| !schema.is_empty())
            .collect();
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

/// True if there is such a schema. Each is marked by a table without a name.
pub(crate) fn schema_exists(connection: &Connection, schema: &str) -> bool {
    schema == "public"
        || schema.starts_with("pg_temp_")
        || table_exists(connection, &format!("{schema}."))
}

pub(crate) fn table_exists(connection: &Connection, engine_name: &str) -> bool {
    connection
        .table_exists(Some("main"), engine_name)
        .unwrap_or(false)
}

/// The tables of a schema and its marker, by their names in SQLite. What was made last comes first: it may refer to what
/// was made before.
pub(crate) fn tables_of(connection: &Connection, schema: &str) -> SqlResult<Vec<String>> {
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND substr(name, 1, length(?1)) = ?1 ORDER BY rowid DESC";
    let mut tables = connection.prepare_cached(sql)?;
    let tables = tables.query_map([format!("{schema}.")], |row| row.get(0))?;
    Ok(tables.collect::<Result<_, _>>()?)
}

/// The type of a column, if there is such a table with such a column.
pub(crate) fn column_type(connection: &Connection, table: &str, column: &str) -> Option<Type> {
    let (declaration, collation, ..) = connection
        .column_metadata(Some("main"), table, column)
        .ok()?;
    Type::of_declaration(
        declaration?.to_str().ok()?,
        collation.and_then(|name| name.to_str().ok()),
    )
}

/// The table that a name means, by its name in SQLite.
pub(crate) fn resolve(
    connection: &Connection,
    path: &[String],
    schema: Option<&str>,
    name: &str,
) -> Option<String> {
    let find = |schema: &str| {
        engine_name(schema, name)
            .ok()
            .filter(|name| table_exists(connection, name))
    };
    match schema {
        Some(schema) => find(schema),
        None => path.iter().find_map(|schema| find(schema)),
    }
}

pub(crate) fn no_such_table(schema: Option<&str>, name: &str) -> SqlError {
    let qualified = schema.map_or_else(|| name.to_owned(), |schema| format!("{schema}.{name}"));
    SqlError::new("42P01", format!("relation \"{qualified}\" does not exist"))
}

/// The schema in which a new table is made.
pub(crate) fn target_schema(
    connection: &Connection,
    path: &[String],
    schema: Option<&str>,
) -> SqlResult<String> {
    let exists = |schema: &&String| !schema.starts_with("pg_") && schema_exists(connection, schema);
    match schema {
        Some(schema) if schema_exists(connection, schema) => Ok(schema.to_owned()),
        Some(schema) => Err(SqlError::new(
            "3F000",
            format!("schema \"{schema}\" does not exist"),
        )),
        None => path
            .iter()
            .find(exists)
            .cloned()
            .ok_or_else(|| SqlError::new("3F000", "no schema has been selected to create in")),
    }
}

/// A place in a statement that names a table.
#[derive(Debug)]
pub(crate) struct TableUse {
    /// Position and number of its tokens.
    pub(crate) at: usize,
    pub(crate) tokens: usize,
    pub(crate) name: String,
    /// Its name in SQLite; `None` for a common table expression or a function.
    pub(crate) engine_name: Option<String>,
}

/// Words that end a FROM clause.
const CLAUSES: [&str; 14] = [
    "where",
    "group",
    "order",
    "having",
    "limit",
    "offset",
    "union",
    "except",
    "intersect",
    "window",
    "returning",
    "set",
    "values",
    "select",
];

/// Functions of SQLite that give rows.
const TABLE_FUNCTIONS: [&str; 3] = ["generate_series", "json_each", "json_tree"];

/// Finds the tables that a statement names; `new_table` is the one that it is about to make.
pub(crate) fn table_uses(
    statement: &Statement<'_>,
    connection: &Connection,
    path: &[String],
    new_table: Option<(&str, &str)>,
) -> SqlResult<Vec<TableUse>> {
    let expressions = common_table_expressions(statement);
    let mut uses = Vec::new();
    let mut expects_table = false;
    // For each open bracket: whether it holds a query, and whether a comma in it is followed by a table.
    let mut levels = vec![(true, false)];
    let mut at = 0;
    while at < statement.len() {
        let token = statement.at(at);
        let level = levels
            .last_mut()
            .ok_or_else(|| SqlError::syntax("unbalanced brackets"))?;
        if token.is_operator("(") {
            let is_query = statement
                .at(at + 1)
                .is_one_of(&["select", "values", "with"]);
            expects_table &= !is_query;
            levels.push((is_query, expects_table));
        } else if token.is_operator(")") {
            levels.pop();
        } else if token.is_operator(",") {
            expects_table = level.1;
        } else if expects_table && token.is_name() && !token.is_one_of(&["only", "select"]) {
            let (schema, name, tokens) = statement.qualified_name(at)?;
            let is_call = statement.at(at + tokens).is_operator("(")
                && !statement.before(at).is_one_of(&["into", "references"]);
            let engine_name = if is_call && TABLE_FUNCTIONS.contains(&name.as_str()) {
                None
            } else if is_call {
                return Err(SqlError::unsupported(format_args!(
                    "the table function {name}"
                )));
            } else if schema.is_none() && expressions.contains(&name) {
                None
            } else if schema.is_none()
                && let Some((_, engine)) = new_table.filter(|(new, _)| *new == name)
            {
                Some(engine.to_owned())
            } else {
                let is_catalog = name.starts_with("pg_")
                    || matches!(schema.as_deref(), Some("pg_catalog" | "information_schema"));
                match resolve(connection, path, schema.as_deref(), &name) {
                    None if is_catalog => {
                        return Err(SqlError::unsupported(format_args!(
                            "the system catalog {name}"
                        )));
                    }
                    None => return Err(no_such_table(schema.as_deref(), &name)),
                    engine => engine,
                }
            };
            uses.push(TableUse {
                at,
                tokens,
                name,
                engine_name,
            });
            expects_table = false;
            at += tokens;
            continue;
        } else if token.is_word("from") {
            let is_comparison = statement.before(at).is_word("distinct")
                && statement
                    .before(at.saturating_sub(1))
                    .is_one_of(&["is", "not"]);
            if !is_comparison && !level.0 {
                return Err(SqlError::unsupported(
                    "FROM among the arguments of a function",
                ));
            }
            expects_table = !is_comparison;
            level.1 = !is_comparison;
        } else if token.is_one_of(&["join", "into", "references"]) {
            expects_table = true;
        } else if token.is_word("update") {
            expects_table = !statement.before(at).is_one_of(&["for", "do", "on", "key"]);
        } else if token.is_one_of(&CLAUSES) {
            level.1 = false;
        }
        at += 1;
    }
    Ok(uses)
}

/// The names that WITH defines.
fn common_table_expressions(statement: &Statement<'_>) -> Vec<String> {
    let defines = |&at: &usize| {
        let columns_end = if statement.at(at + 1).is_operator("(") {
            statement.after(at + 1)
        } else {
            at + 1
        };
        let follows = statement.before(at);
        (follows.is_one_of(&["with", "recursive"]) || follows.is_operator(","))
            && statement.at(columns_end).is_word("as")
            && (statement.at(columns_end + 1).is_operator("(")
                || statement
                    .at(columns_end + 1)
                    .is_one_of(&["materialized", "not"]))
    };
    if !statement.tokens.iter().any(|token| token.is_word("with")) {
        return Vec::new();
    }
    (1..statement.len())
        .filter(defines)
        .map(|at| statement.at(at).name())
        .collect()
}
