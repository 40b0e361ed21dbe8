//! A statement on its way to SQLite's SQL: the tables that it names, and the types of its expressions.
//!
//! SQLite has no schemas, so the table `t` of the schema `s` is called `s.t` there, and a table without a name marks a
//! schema. SQLite is the only catalogue, and provides the declared type of a result that is a column. The type of any
//! other result follows from the operators, functions, columns and literals in it; that of a parameter or a string
//! follows from its neighbours, as in PostgreSQL. A value of unknown type is sent as text.

use std::ops::Range;

use rusqlite::{Connection, Statement as Prepared};

use super::error::{SqlError, SqlResult};
use super::settings::Settings;
use super::token::{Kind, Statement};
use super::types::{Type, written_type};

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
    pub(crate) statement: &'q Statement<'q>,
    pub(crate) connection: &'q Connection,
    pub(crate) scope: &'q Scope,
    /// The tables it names, in order.
    pub(crate) tables: Vec<TableUse>,
    /// Types of the parameters, as far as they are declared or have been inferred.
    pub(crate) parameters: Vec<Option<Type>>,
    /// The output so far, in SQLite's SQL.
    pub(crate) sql: String,
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

/// Words that cannot be table names, in places where one could be.
const NO_TABLES: &str = "select values with only if table";

/// Words that begin a clause.
pub(crate) const CLAUSES: &str = "select from where group order having limit offset union except intersect window \
                                  returning set values";

/// Words that make an expression a condition.
const CONDITIONS: &str = "= < > <= >= <> != and or not in is like between exists";

/// Operators with operands of one type.
const OPERATORS: &str = "= < > <= >= <> != + - * / %";

/// The type of an expression with values of both types in it.
fn wider(one: Option<Type>, other: Option<Type>) -> Option<Type> {
    match (one, other) {
        (Some(one), Some(other)) if one.is_integer() && other.is_float() => Some(Type::Float8),
        (Some(one), Some(Type::Int8)) if one.is_integer() => Some(Type::Int8),
        _ => one.or(other),
    }
}

impl<'q> Query<'q> {
    /// A statement whose tables are found.
    pub(crate) fn new(
        statement: &'q Statement<'q>,
        connection: &'q Connection,
        scope: &'q Scope,
    ) -> SqlResult<Self> {
        let mut query = Query {
            statement,
            connection,
            scope,
            tables: Vec::new(),
            parameters: Vec::new(),
            sql: String::new(),
        };
        for at in 0..statement.len() {
            let token = statement.at(at);
            let is_name = token.is_name() && !token.is(NO_TABLES);
            if is_name && follows_table_word(statement, at) {
                query.tables.push(query.table(at)?);
            }
        }
        Ok(query)
    }

    fn table_exists(&self, engine_name: &str) -> bool {
        let exists = self.connection.table_exists(Some("main"), engine_name);
        exists.unwrap_or(false)
    }

    pub(crate) fn schema_exists(&self, schema: &str) -> bool {
        self.table_exists(&format!("{schema}."))
    }

    /// The first schema of the search path that exists.
    pub(crate) fn current_schema(&self) -> String {
        let mut path = self.scope.settings.search_path();
        path.find(|schema| self.schema_exists(schema))
            .unwrap_or_default()
    }

    pub(crate) fn column_type(&self, table: &str, column: &str) -> Option<Type> {
        let metadata = self.connection.column_metadata(Some("main"), table, column);
        let (declaration, collation, ..) = metadata.ok()?;
        Type::of_column(declaration, collation)
    }

    /// The table named at `at`. One that does not exist is a table of the first schema that does.
    fn table(&self, at: usize) -> SqlResult<TableUse> {
        let statement = self.statement;
        let (schema, name, end) = statement.qualified(at)?;
        let is_column_list = statement.before(at).is("into references table exists on");
        let is_call = statement.at(end).is("(") && !is_column_list;
        if is_call && !matches!(&*name, "generate_series" | "json_each") {
            return Err(SqlError::unsupported(format_args!("{name} in FROM")));
        }
        let is_table = !is_call && (schema.is_some() || !is_defined_by_with(statement, &name));
        let in_path = |schema: &String| self.table_exists(&format!("{schema}.{name}"));
        let schema = schema.or_else(|| self.scope.settings.search_path().find(in_path));
        let schema = schema.unwrap_or_else(|| self.current_schema());
        let engine_name = format!("{schema}.{name}");
        let is_catalog = matches!(&*schema, "pg_catalog" | "information_schema");
        if is_table && (is_catalog || name.starts_with("pg_") && !self.table_exists(&engine_name)) {
            let catalog = format_args!("the system catalog {name}");
            return Err(SqlError::unsupported(catalog));
        }
        Ok(TableUse {
            at,
            end,
            name,
            engine_name: is_table.then_some(engine_name),
        })
    }

    /// The results of the statement: of its first SELECT, its first row of VALUES, or its RETURNING.
    fn results(&self) -> Vec<Range<usize>> {
        let statement = self.statement;
        let end = statement.len();
        let verb = statement.find(0..end, "select values insert update delete");
        let mut start = match verb {
            Some(verb) if statement.at(verb).is("values") => return statement.listed(verb + 1),
            Some(verb) if statement.at(verb).is("select") => verb + 1,
            _ => statement.find(0..end, "returning").map_or(end, |at| at + 1),
        };
        start = statement.skip_any(start, "distinct");
        let mut rest = statement.top_level(start..end);
        let found = rest.find(|&at| begins_clause(statement, at));
        statement.split_commas(start..found.unwrap_or(end))
    }

    /// The results with their names and types; SQLite provides the types of those that are columns of tables.
    pub(crate) fn columns(&self, prepared: &Prepared<'_>) -> Vec<(String, Type)> {
        let (results, count) = (self.results(), prepared.column_count());
        let is_star = |result: &Range<usize>| self.statement.before(result.end).is("*");
        let star = results.iter().rposition(is_star);
        let column = |at: usize| {
            let metadata = prepared.column_metadata(at).ok().flatten();
            let declared = metadata.and_then(|column| Type::of_column(column.3, column.4));
            // Results after the last `*` count from the end.
            let from_end = (at + results.len()).checked_sub(count);
            let from_end = from_end.filter(|&at| Some(at) > star);
            let result = results.get(from_end.unwrap_or(at));
            let result = result.filter(|result| !is_star(result));
            let ty = declared.or_else(|| self.type_of(result?.clone()));
            let name = label(prepared.column_name(at).unwrap_or_default());
            (name, ty.unwrap_or(Type::Text))
        };
        (0..count).map(column).collect()
    }

    /// The type of the expression in `range`, which an alias may follow.
    fn type_of(&self, range: Range<usize>) -> Option<Type> {
        let statement = self.statement;
        if statement.find(range.clone(), CONDITIONS).is_some() {
            return Some(Type::Bool);
        }
        let (first, second) = (statement.at(range.start), range.start + 1);
        if first.is("case") {
            let start = statement.find(second..range.end, "then")? + 1;
            return self.type_of(start..statement.find(start..range.end, "when else end")?);
        }
        let cast = if first.is("cast") { "as ::" } else { "::" };
        if let Some(cast) = range.clone().rev().find(|&at| statement.at(at).is(cast)) {
            return Some(written_type(statement, cast + 1).ok()?.0);
        }
        let parts = || range.fold(None, |ty, at| wider(ty, self.type_of_token(at)));
        match first.value().as_str() {
            _ if !statement.at(second).is("(") => parts(),
            "count" | "row_number" | "rank" | "dense_rank" => Some(Type::Int8),
            "length" => Some(Type::Int4),
            "avg" | "random" | "round" => Some(Type::Float8),
            "sum" => wider(parts(), Some(Type::Int8)),
            _ => parts(),
        }
    }

    fn type_of_token(&self, at: usize) -> Option<Type> {
        let token = self.statement.at(at);
        let text = token.text;
        match token.kind {
            Kind::Number if text.parse::<i32>().is_ok() => Some(Type::Int4),
            Kind::Number if text.parse::<i64>().is_ok() => Some(Type::Int8),
            Kind::Number => Some(Type::Float8),
            Kind::Text => Some(Type::Text),
            Kind::Parameter => {
                let position = text[1..].parse::<usize>().ok()?.checked_sub(1)?;
                self.parameters.get(position).copied().flatten()
            }
            Kind::Operator => token.is("|| -> ->>").then_some(Type::Text),
            _ if token.is("true false") => Some(Type::Bool),
            _ if self.statement.at(at + 1).is("(") => None,
            _ => {
                let mut tables = self.tables.iter();
                tables.find_map(|table| match &table.engine_name {
                    Some(engine_name) => self.column_type(engine_name, &token.value()),
                    // A series is the only function of rows whose column has a type.
                    None => (table.name == "generate_series").then_some(Type::Int4),
                })
            }
        }
    }

    /// The type required by the neighbours of the string or parameter at `at`.
    pub(crate) fn required_type(&self, at: usize) -> Option<Type> {
        let statement = self.statement;
        let (before, after) = (statement.before(at), statement.at(at + 1));
        let is_cast = after.is("as") && at > 1 && statement.at(at - 2).is("cast");
        if after.is("::") || is_cast {
            return Some(written_type(statement, at + 2).ok()?.0);
        }
        if before.is("limit offset") {
            return Some(Type::Int8);
        }
        if before.is(OPERATORS) || before.is("between") {
            return self.compared(at - 1);
        }
        if before.is("and") && at > 2 && statement.at(at - 3).is("between") {
            return self.compared(at - 3);
        }
        if after.is(OPERATORS) {
            let is_qualified = statement.at(at + 3).is(".");
            return self.type_of_token(if is_qualified { at + 4 } else { at + 2 });
        }
        let open = statement.opening(at)?;
        let opener = statement.before(open);
        if opener.is("in") {
            return self.compared(open - 1);
        }
        if opener.is("coalesce") {
            return self.type_of(open + 1..at);
        }
        let is_row = opener.is("values ,");
        let position = statement.split_commas(open + 1..at + 1).len() - 1;
        self.inserted_type(position).filter(|_| is_row)
    }

    /// The type of a column that an INSERT fills.
    fn inserted_type(&self, position: usize) -> Option<Type> {
        let statement = self.statement;
        let mut tables = self.tables.iter();
        let target = tables.find(|table| statement.before(table.at).is("into"))?;
        let table = target.engine_name.as_ref()?;
        if statement.at(target.end).is("(") {
            let column = statement.listed(target.end).get(position)?.start;
            return self.column_type(table, &statement.at(column).value());
        }
        let all = format!("SELECT * FROM {}", quote(table));
        let all = self.connection.prepare_cached(&all).ok()?;
        self.column_type(table, all.column_name(position).ok()?)
    }

    /// The type of the column or literal before the operator at `at`, which NOT may precede.
    fn compared(&self, at: usize) -> Option<Type> {
        let is_negated = self.statement.before(at).is("not");
        self.type_of_token(at.checked_sub(if is_negated { 2 } else { 1 })?)
    }
}

/// True for a word of `CLAUSES`, but not in IS DISTINCT FROM.
fn begins_clause(statement: &Statement<'_>, at: usize) -> bool {
    statement.at(at).is(CLAUSES) && !statement.before(at).is("distinct")
}

/// True if a table can be named at `at`: after FROM and the like.
fn follows_table_word(statement: &Statement<'_>, at: usize) -> bool {
    let before = statement.before(at);
    let starts_list = |at| {
        let is_from = statement.at(at).is("from") && begins_clause(statement, at);
        is_from || statement.at(at).is("join table exists truncate")
    };
    match before.text {
        "(" => at > 1 && follows_table_word(statement, at - 1),
        "," => {
            let ends = |word| begins_clause(statement, word) || statement.after(word) > at;
            let mut words = statement.outward(at - 1);
            let last = words.find(|&word| starts_list(word) || ends(word));
            last.is_some_and(starts_list)
        }
        _ if before.is("update") => !statement.before(at - 1).is("for do on key"),
        _ if before.is("on") => statement.at(1).is("index unique"),
        _ => before.is("into references only") || at > 0 && starts_list(at - 1),
    }
}

fn is_defined_by_with(statement: &Statement<'_>, name: &str) -> bool {
    (1..statement.len()).any(|at| {
        let columns = Some(at + 1).filter(|&at| statement.at(at).is("("));
        let end = columns.map_or(at + 1, |columns| statement.after(columns));
        let is_definition = statement.at(end + 1).is("( materialized not");
        is_definition && statement.at(end).is("as") && statement.at(at).value() == name
    })
}

/// The name of a result column: SQLite shows the expression, but PostgreSQL shows the function, or nothing.
fn label(name: &str) -> String {
    if name.starts_with(|first: char| first.is_ascii_digit() || "('?-".contains(first)) {
        return "?column?".to_owned();
    }
    let function = name.split('(').next().unwrap_or_default().trim_end();
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if function.len() < name.len() && function.bytes().all(is_part) {
        return function.to_ascii_lowercase();
    }
    name.to_owned()
}
