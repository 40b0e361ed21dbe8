//! From PostgreSQL's SQL to SQLite's, token by token.
//!
//! Rewrites names of tables, casts, parameters, string literals of other types, `generate_series`, divisors (SQLite
//! divides by zero without an error), and anything that only a session knows. SQLite has to understand everything else;
//! what only PostgreSQL would understand is rejected.

use std::ops::Range;

use rusqlite::Connection;
use rusqlite::types::Value;

use super::error::{SqlError, SqlResult};
use super::names::{Query, Scope, TableUse, quote};
use super::settings::setting;
use super::token::{Kind, Statement};
use super::types::{Type, parse, written_type};

/// Maximum number of parameters of a statement, which is SQLite's limit.
const MAX_PARAMETERS: usize = 32_766;

/// A statement that reads or changes rows, in SQLite's SQL.
#[derive(Debug)]
pub(crate) struct Rewritten {
    pub(crate) sql: String,
    /// Types and oids.
    pub(crate) parameters: Vec<(Type, u32)>,
    /// Types of the results as far as they can be told; `None` for `*`, the columns of one or more tables.
    pub(crate) results: Vec<Option<Option<Type>>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Select,
    Insert,
    Update,
    Delete,
}

impl Verb {
    /// The verb of a statement that begins with one, or with WITH.
    pub(crate) fn of(statement: &Statement<'_>) -> Option<Self> {
        let verb = |at| match statement.at(at).text.to_ascii_lowercase().as_str() {
            "select" | "values" | "show" => Some(Verb::Select),
            "insert" => Some(Verb::Insert),
            "update" => Some(Verb::Update),
            "delete" => Some(Verb::Delete),
            _ => None,
        };
        if statement.at(0).is("with") {
            let at = statement.find(1..statement.len(), |at| verb(at).is_some());
            return at.and_then(verb);
        }
        verb(0)
    }

    /// True if a transaction that runs the statement needs exclusive access from then on.
    pub(crate) fn takes_lease(self, statement: &Statement<'_>) -> bool {
        let locks = |at| statement.at(at).is("for") && is_lock(statement, at + 1);
        self != Verb::Select || (0..statement.len()).any(locks)
    }
}

fn is_lock(statement: &Statement<'_>, at: usize) -> bool {
    statement.at(at).is_any("update share no key")
}

/// Rewrites a statement; the client may have declared the types of parameters, by oid.
pub(crate) fn rewrite(
    statement: &Statement<'_>,
    connection: &Connection,
    scope: &Scope,
    declared: &[u32],
) -> SqlResult<Rewritten> {
    if statement.at(0).is("show") {
        let (name, _) = setting(statement, 1);
        let value = scope.settings.show(&name)?.replace('\'', "''");
        let sql = format!("SELECT '{value}' AS {}", quote(&name));
        let (parameters, results) = (Vec::new(), Vec::new());
        return Ok(Rewritten {
            sql,
            parameters,
            results,
        });
    }
    let mut query = Query::new(statement, connection, scope);
    query.find_tables(None)?;
    query.inserted = inserted_types(&query)?;
    query.declared = declared.iter().map(|&oid| Type::of_oid(oid)).collect();
    let mut writer = Writer::new(&query);
    writer.write(0..statement.len())?;
    let (sql, mut parameters) = (writer.sql, writer.parameters);
    parameters.resize(parameters.len().max(declared.len()), None);
    let parameters = parameters.into_iter().enumerate().map(|(at, inferred)| {
        let known = query.declared.get(at).copied().flatten();
        let ty = known.or(inferred).unwrap_or(Type::Text);
        (ty, known.map_or(ty.oid(), |_| declared[at]))
    });
    let results = query.results().into_iter().map(|range| {
        let is_star = statement.before(range.end).is_operator("*");
        (!is_star).then(|| query.type_of(range))
    });
    let (parameters, results) = (parameters.collect(), results.collect());
    Ok(Rewritten {
        sql,
        parameters,
        results,
    })
}

/// The types of the columns that an INSERT fills.
fn inserted_types(query: &Query<'_>) -> SqlResult<Vec<Option<Type>>> {
    let statement = query.statement;
    let mut targets = query
        .tables
        .iter()
        .filter(|table| statement.before(table.at).is("into"));
    let Some((end, Some(table))) = targets.next().map(|table| (table.end, &table.engine_name))
    else {
        return Ok(Vec::new());
    };
    let ty = |column: &str| query.column_type(table, column);
    if statement.at(end).is_operator("(") {
        let columns = statement.listed(end).into_iter();
        return Ok(columns
            .map(|column| ty(&statement.at(column.start).name()))
            .collect());
    }
    let all = query
        .connection
        .prepare(&format!("SELECT * FROM {}", quote(table)))?;
    Ok(all.column_names().map(ty).collect())
}

/// Words that an opening bracket may follow without being the call of a function.
const NO_FUNCTIONS: &str = "and or not in is values on where when then else select as like set";

/// PostgreSQL words that SQLite would reject or misinterpret: alone, before a bracket, or before another word.
const REFUSED: &str = "lateral ilike similar fetch array";
const REFUSED_CALLS: &str = "extract any all some row rollup cube";
const REFUSED_PAIRS: [(&str, &str); 3] = [("distinct", "on"), ("at", "time"), ("on", "constraint")];

/// Writes parts of a statement as SQLite's SQL.
pub(crate) struct Writer<'w> {
    query: &'w Query<'w>,
    pub(crate) sql: String,
    parameters: Vec<Option<Type>>,
    /// Start of the last operand in `sql`: a cast, which comes after it, is wrapped around it.
    operand: usize,
    /// The same for each open bracket.
    brackets: Vec<usize>,
    /// Divisors under way: the position after each, and where it begins in `sql`.
    divisors: Vec<(usize, usize)>,
}

impl<'w> Writer<'w> {
    pub(crate) fn new(query: &'w Query<'w>) -> Self {
        let (sql, parameters) = (String::new(), Vec::new());
        let (operand, brackets, divisors) = (0, Vec::new(), Vec::new());
        Writer {
            query,
            sql,
            parameters,
            operand,
            brackets,
            divisors,
        }
    }

    /// Appends the tokens in `range`, rewritten.
    pub(crate) fn write(&mut self, range: Range<usize>) -> SqlResult<()> {
        let mut at = range.start;
        while at < range.end {
            at = match self.query.statement.at(at).kind {
                Kind::Word | Kind::Quoted => self.write_name(at)?,
                Kind::Operator => self.write_operator(at)?,
                Kind::Parameter => self.write_parameter(at)?,
                Kind::Text => self.write_text(at)?,
                Kind::Number => self.push(&self.query.statement.at(at).text, at + 1),
            };
            while let Some((_, start)) = self.divisors.pop_if(|(end, _)| *end <= at) {
                self.sql.push(')');
                self.operand = start;
            }
        }
        Ok(())
    }

    /// Appends an operand, after which the statement goes on at `next`.
    fn push(&mut self, text: &str, next: usize) -> usize {
        self.sql.push(' ');
        self.operand = self.sql.len();
        self.sql.push_str(text);
        next
    }

    /// Appends a string as a literal of the type it stands for.
    fn write_text(&mut self, at: usize) -> SqlResult<usize> {
        let text = &self.query.statement.at(at).text;
        let ty = self.query.wanted(at).unwrap_or(Type::Text);
        let literal = match parse(text, ty)? {
            Value::Integer(number) => format!("({number})"),
            Value::Real(number) if number.is_finite() => format!("({number:e})"),
            Value::Real(number) => format!("({}e999)", number.signum()),
            Value::Blob(_) => format!("x'{}'", &text[2..]),
            _ => format!("'{}'", text.replace('\'', "''")),
        };
        Ok(self.push(&literal, at + 1))
    }

    fn write_parameter(&mut self, at: usize) -> SqlResult<usize> {
        let text = &self.query.statement.at(at).text;
        let number = text.parse().unwrap_or(usize::MAX);
        if !(1..=MAX_PARAMETERS).contains(&number) {
            let message = format!("parameters are numbered from 1 to {MAX_PARAMETERS}");
            return Err(SqlError::new("54000", message));
        }
        let count = self.parameters.len().max(number);
        self.parameters.resize(count, None);
        let known = &mut self.parameters[number - 1];
        *known = known.or_else(|| self.query.wanted(at));
        Ok(self.push(&format!("?{number}"), at + 1))
    }

    fn write_operator(&mut self, at: usize) -> SqlResult<usize> {
        let statement = self.query.statement;
        let before = statement.before(at);
        match statement.at(at).text.as_ref() {
            "(" => {
                let is_call = before.is_name() && !before.is_any(NO_FUNCTIONS);
                let (operand, end) = (self.operand, self.sql.len());
                self.brackets.push(if is_call { operand } else { end });
                self.sql.push('(');
            }
            ")" => {
                self.sql.push(')');
                self.operand = self.brackets.pop().unwrap_or(0);
            }
            "::" => {
                let (ty, end, _) = written_type(statement, at + 1)?;
                self.sql.insert_str(self.operand, "CAST(");
                self.sql.push_str(&format!(" AS {})", ty.affinity()));
                return Ok(end);
            }
            text @ ("/" | "%") => {
                self.sql.push_str(text);
                // SQLite returns NULL for a division by zero.
                let next = statement.at(at + 1);
                if next.kind != Kind::Number || next.text.parse() == Ok(0.0) {
                    let end = operand_end(statement, at + 1);
                    self.divisors.push((end, self.sql.len()));
                    self.sql.push_str("divisor(");
                }
            }
            text @ ("," | "." | "*") => self.sql.push_str(text),
            text => {
                self.sql.push(' ');
                self.sql.push_str(text);
            }
        }
        Ok(at + 1)
    }

    fn write_name(&mut self, at: usize) -> SqlResult<usize> {
        let statement = self.query.statement;
        let (token, next) = (statement.at(at), statement.at(at + 1));
        let mut tables = self.query.tables.iter();
        if let Some(table) = tables.find(|table| table.at == at) {
            return self.write_table(table);
        }
        if next.is_operator(".") {
            return self.write_qualified(at);
        }
        if token.kind == Kind::Quoted {
            return Ok(self.push(&quote(&token.text), at + 1));
        }
        let mut pairs = REFUSED_PAIRS.iter();
        let is_refused = token.is_any(REFUSED)
            || token.is_any(REFUSED_CALLS) && next.is_operator("(")
            || pairs.any(|(first, second)| token.is(first) && next.is(second))
            || token.is("default") && matches!(&*statement.before(at).text, "(" | ",");
        if is_refused {
            let words = format!("{} {}", token.text, next.text).to_ascii_uppercase();
            return Err(SqlError::unsupported(words));
        }
        let is_call = next.is_operator("(") && statement.at(at + 2).is_operator(")");
        if let Some(value) = self.session_value(&token.name(), is_call) {
            return Ok(self.push(&value, if is_call { at + 3 } else { at + 1 }));
        }
        let opening = || self.query.opening(at);
        if token.is("as") && opening().is_some_and(|open| statement.before(open).is("cast")) {
            let (ty, end, _) = written_type(statement, at + 1)?;
            return Ok(self.push(&format!("AS {}", ty.affinity()), end));
        }
        if next.kind == Kind::Text && written_type(statement, at).is_ok() {
            // The type of a literal, in front of it.
            return Ok(at + 1);
        }
        if token.is("for") && is_lock(statement, at + 1) {
            // A session that requests this has exclusive access to the database, so there is nothing to wait for.
            return Ok(statement.len());
        }
        Ok(self.push(&token.text, at + 1))
    }

    fn write_table(&mut self, table: &TableUse) -> SqlResult<usize> {
        match &table.engine_name {
            None if table.name == "generate_series" => self.write_series(table.end),
            None => Ok(self.push(&quote(&table.name), table.end)),
            Some(name) => Ok(self.push(&quote(name), table.end)),
        }
    }

    /// `generate_series(start, end) [AS alias]`, from its bracket on.
    fn write_series(&mut self, open: usize) -> SqlResult<usize> {
        let statement = self.query.statement;
        let [low, high] = statement.listed(open).try_into().unwrap_or_default();
        let end = statement.after(open);
        let alias = end + usize::from(statement.at(end).is("as"));
        let has_alias = statement.at(alias).is_name();
        if high.is_empty() || has_alias && statement.at(alias).is_any("where order") {
            return Err(SqlError::unsupported(
                "generate_series with a step, or without an alias",
            ));
        }
        let start = self.sql.len();
        self.write(low)?;
        let low = self.sql.split_off(start);
        self.write(high)?;
        let high = self.sql.split_off(start);
        let name = has_alias.then(|| statement.at(alias).name());
        let name = quote(name.as_deref().unwrap_or("generate_series"));
        let series = format!(
            "(WITH RECURSIVE series(n) AS (SELECT {low} WHERE {low} <= {high} UNION ALL \
             SELECT n + 1 FROM series WHERE n < {high}) SELECT n AS {name} FROM series) AS {name}"
        );
        Ok(self.push(&series, if has_alias { alias + 1 } else { end }))
    }

    /// A name with a dot in it: of a column, or of a function.
    fn write_qualified(&mut self, at: usize) -> SqlResult<usize> {
        let statement = self.query.statement;
        if statement.at(at).is("pg_catalog") && statement.at(at + 3).is_operator("(") {
            return self.write_name(at + 2);
        }
        // A schema in front of a table adds no information.
        let is_long = statement.at(at + 3).is_operator(".");
        let at = if is_long { at + 2 } else { at };
        let name = statement.at(at).name();
        let mut tables = self.query.tables.iter();
        let table = tables.find(|table| table.name == name);
        let engine_name = table.and_then(|table| table.engine_name.as_ref());
        let column = statement.at(at + 2);
        let column = column.is_name().then(|| quote(&column.name()));
        let column = column.as_deref().unwrap_or("*");
        let qualified = format!("{}.{column}", quote(engine_name.unwrap_or(&name)));
        Ok(self.push(&qualified, at + 3))
    }

    /// The value of a word, or of a call without arguments, that depends on the session.
    fn session_value(&self, name: &str, is_call: bool) -> Option<String> {
        let text = |text: &str| Some(format!("'{}'", text.replace('\'', "''")));
        match (name, is_call) {
            ("current_user" | "session_user" | "user", false) => text(&self.query.scope.user),
            ("current_catalog", false) | ("current_database", true) => {
                text(&self.query.scope.database)
            }
            ("current_schema", _) => {
                let mut path = self.query.scope.path.iter();
                let schema = path.find(|schema| self.query.schema_exists(schema));
                text(schema.map_or("", String::as_str))
            }
            ("version", true) => text("PostgreSQL 15.0 (a mock server over SQLite)"),
            ("pg_backend_pid", true) => Some(self.query.scope.pid.to_string()),
            // Part of the query that asyncpg's pool sends between two users of a connection.
            ("pg_advisory_unlock_all", true) => Some("NULL".to_owned()),
            ("now", true) | ("localtimestamp", false) => Some("CURRENT_TIMESTAMP".to_owned()),
            ("random", true) => Some("(0.5 + random() / 18446744073709551616.0)".to_owned()),
            _ => None,
        }
    }
}

/// The position after the operand at `at`.
fn operand_end(statement: &Statement<'_>, mut at: usize) -> usize {
    while statement.at(at).is_operator("-") {
        at += 1;
    }
    while statement.at(at + 1).is_operator(".") {
        at += 2;
    }
    let is_call = statement.at(at).is_name() && statement.at(at + 1).is_operator("(");
    statement.after(if is_call { at + 1 } else { at })
}
