//! From PostgreSQL's SQL to SQLite's, token by token.
//!
//! Rewrites names of tables, casts, parameters, string literals of other types, `generate_series`, divisors (SQLite
//! divides by zero without an error), and anything that only a session knows. SQLite has to understand everything else;
//! what only PostgreSQL would understand is rejected.

use std::ops::Range;

use rusqlite::types::Value;

use super::error::{SqlError, SqlResult};
use super::names::{Query, quote};
use super::settings::setting;
use super::token::{Kind, Statement};
use super::types::{Type, parse, written_type};

/// Maximum number of parameters of a statement, which is SQLite's limit.
const MAX_PARAMETERS: usize = 32_766;

/// The first word of the tag of a statement that reads or changes rows, which begins with a verb or with WITH.
pub(crate) fn verb(statement: &Statement) -> Option<&'static str> {
    let verb = |at| match statement.at(at).text.to_ascii_lowercase().as_str() {
        "select" | "values" | "show" => Some("SELECT"),
        "insert" => Some("INSERT 0"),
        "update" => Some("UPDATE"),
        "delete" => Some("DELETE"),
        _ => None,
    };
    if statement.at(0).is("with") {
        return statement.top_level(1..statement.len()).find_map(verb);
    }
    verb(0)
}

/// True for FOR UPDATE, FOR SHARE and the like.
pub(crate) fn is_lock(statement: &Statement, at: usize) -> bool {
    statement.at(at).is("for") && statement.at(at + 1).is_any("update share no key")
}

/// Words that an opening bracket may follow without being the call of a function.
const NO_FUNCTIONS: &str = "and or not in is values on where when then else select as like set";

/// Words that can follow a table without an alias.
const AFTER_TABLE: &str = "\
    where group order having limit offset union except intersect join on cross inner left right full natural returning";

/// PostgreSQL words that SQLite would reject or misinterpret: alone, before a bracket, or before another word.
const REFUSED: &str = "lateral ilike similar fetch array";
const REFUSED_CALLS: &str = "extract any all some row rollup cube";
const REFUSED_PAIRS: [(&str, &str); 3] = [("distinct", "on"), ("at", "time"), ("on", "constraint")];

impl Query<'_> {
    /// Rewrites a statement; the client may have declared the types of parameters, by oid.
    pub(crate) fn rewrite(&mut self, declared: &[u32]) -> SqlResult<()> {
        if self.statement.at(0).is("show") {
            let (name, _) = setting(self.statement, 1);
            let value = self.scope.settings.get(&name)?.replace('\'', "''");
            self.sql = format!("SELECT '{value}' AS {}", quote(&name));
            return Ok(());
        }
        self.find_tables(None)?;
        self.inserted = self.inserted_types()?;
        self.parameters = declared.iter().map(|&oid| Type::of_oid(oid)).collect();
        self.write(0..self.statement.len())
    }

    /// The types of the columns that an INSERT fills.
    fn inserted_types(&self) -> SqlResult<Vec<Option<Type>>> {
        let statement = self.statement;
        let mut tables = self.tables.iter();
        let target = tables.find(|table| statement.before(table.at).is("into"));
        let Some((end, Some(table))) = target.map(|table| (table.end, &table.engine_name)) else {
            return Ok(Vec::new());
        };
        let ty = |column: &str| self.column_type(table, column);
        if statement.at(end).is_operator("(") {
            let columns = statement.listed(end).into_iter();
            return Ok(columns
                .map(|column| ty(&statement.at(column.start).name()))
                .collect());
        }
        let all = format!("SELECT * FROM {}", quote(table));
        Ok(self
            .connection
            .prepare(&all)?
            .column_names()
            .map(ty)
            .collect())
    }

    /// Appends the tokens in `range`, rewritten.
    pub(crate) fn write(&mut self, range: Range<usize>) -> SqlResult<()> {
        let statement = self.statement;
        let mut at = range.start;
        while at < range.end {
            at = match statement.at(at).kind {
                Kind::Word | Kind::Quoted => self.write_name(at)?,
                Kind::Operator => self.write_operator(at)?,
                Kind::Parameter => self.write_parameter(at)?,
                Kind::Text => self.write_text(at)?,
                Kind::Number => self.push(&statement.at(at).text, at + 1),
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
        let text = &self.statement.at(at).text;
        let ty = self.required_type(at).unwrap_or(Type::Text);
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
        let text = &self.statement.at(at).text;
        let number = text.parse().unwrap_or(usize::MAX);
        if !(1..=MAX_PARAMETERS).contains(&number) {
            let message = format!("parameters are numbered from 1 to {MAX_PARAMETERS}");
            return Err(SqlError::new("54000", message));
        }
        let count = self.parameters.len().max(number);
        self.parameters.resize(count, None);
        let known = self.parameters[number - 1];
        self.parameters[number - 1] = known.or_else(|| self.required_type(at));
        Ok(self.push(&format!("?{number}"), at + 1))
    }

    fn write_operator(&mut self, at: usize) -> SqlResult<usize> {
        let statement = self.statement;
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
        let statement = self.statement;
        let (token, next) = (statement.at(at), statement.at(at + 1));
        if let Some(table) = self.tables.iter().find(|table| table.at == at) {
            let (name, end) = (
                quote(table.engine_name.as_ref().unwrap_or(&table.name)),
                table.end,
            );
            if table.engine_name.is_none() && table.name == "generate_series" {
                return self.write_series(end);
            }
            return Ok(self.push(&name, end));
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
        let opening = || statement.opening(at);
        if token.is("as") && opening().is_some_and(|open| statement.before(open).is("cast")) {
            let (ty, end, _) = written_type(statement, at + 1)?;
            return Ok(self.push(&format!("AS {}", ty.affinity()), end));
        }
        if next.kind == Kind::Text && written_type(statement, at).is_ok() {
            // The type of a literal, in front of it.
            return Ok(at + 1);
        }
        if is_lock(statement, at) {
            // A session that requests this has exclusive access to the database, so there is nothing to wait for.
            return Ok(statement.len());
        }
        Ok(self.push(&token.text, at + 1))
    }

    /// `generate_series(start, end[, step]) [AS alias]`, from its bracket on.
    fn write_series(&mut self, open: usize) -> SqlResult<usize> {
        let statement = self.statement;
        let end = statement.after(open);
        let alias = statement.skip_any(end, "as");
        let has_alias = statement.at(alias).is_name() && !statement.at(alias).is_any(AFTER_TABLE);
        let name = if has_alias {
            statement.at(alias).name()
        } else {
            "generate_series".to_owned()
        };
        let name = quote(&name);
        self.push(
            &format!("(SELECT value AS {name} FROM generate_series"),
            end,
        );
        self.write(open..end)?;
        self.sql.push_str(&format!(") AS {name}"));
        Ok(if has_alias { alias + 1 } else { end })
    }

    /// A name with a dot in it: of a column, or of a function.
    fn write_qualified(&mut self, at: usize) -> SqlResult<usize> {
        let statement = self.statement;
        if statement.at(at).is("pg_catalog") && statement.at(at + 3).is_operator("(") {
            return self.write_name(at + 2);
        }
        // A schema in front of a table adds no information.
        let is_long = statement.at(at + 3).is_operator(".");
        let at = if is_long { at + 2 } else { at };
        let name = statement.at(at).name();
        let mut tables = self.tables.iter();
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
            ("current_user" | "session_user" | "user", false) => text(&self.scope.user),
            ("current_database", true) => text(&self.scope.database),
            ("current_schema", _) => {
                let mut path = self.scope.settings.search_path();
                let schema = path.find(|schema| self.schema_exists(schema));
                text(&schema.unwrap_or_default())
            }
            ("version", true) => text("PostgreSQL 15.0 (a mock server over SQLite)"),
            ("pg_backend_pid", true) => Some(self.scope.pid.to_string()),
            // Part of the query that asyncpg's pool sends between two users of a connection.
            ("pg_advisory_unlock_all", true) => Some("NULL".to_owned()),
            ("now", true) => Some("CURRENT_TIMESTAMP".to_owned()),
            ("random", true) => Some("(0.5 + random() / 18446744073709551616.0)".to_owned()),
            _ => None,
        }
    }
}

/// The position after the operand at `at`.
fn operand_end(statement: &Statement, mut at: usize) -> usize {
    while statement.at(at).is_operator("-") {
        at += 1;
    }
    while statement.at(at + 1).is_operator(".") {
        at += 2;
    }
    let is_call = statement.at(at).is_name() && statement.at(at + 1).is_operator("(");
    statement.after(if is_call { at + 1 } else { at })
}
