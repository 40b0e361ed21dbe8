//! From PostgreSQL's SQL to SQLite's, token by token.
//!
//! Rewrites names of tables, casts, parameters, string literals of other types, `generate_series`, divisors (SQLite
//! divides by zero without an error), and anything that only a session knows. SQLite has to understand everything else;
//! what only PostgreSQL would understand is rejected.

use std::ops::Range;

use rusqlite::types::Value;

use super::error::{SqlError, SqlResult};
use super::query::{CLAUSES, Query, quote};
use super::settings::setting;
use super::token::{Kind, Statement};
use super::types::{Type, parse, written_type};

/// Maximum number of parameters of a statement, which is SQLite's limit.
const MAX_PARAMETERS: usize = 32_766;

/// The first word of the tag of a statement that reads or changes rows, which begins with a verb or with WITH.
pub(crate) fn verb(statement: &Statement<'_>) -> Option<&'static str> {
    let is_with = statement.at(0).is("with");
    let end = if is_with { statement.len() } else { 1 };
    let verb = statement.find(0..end, "select values show insert update delete")?;
    match statement.at(verb).text.to_ascii_lowercase().as_str() {
        "insert" => Some("INSERT 0"),
        "update" => Some("UPDATE"),
        "delete" => Some("DELETE"),
        _ => Some("SELECT"),
    }
}

/// True for FOR UPDATE, FOR SHARE and the like.
pub(crate) fn is_lock(statement: &Statement<'_>, at: usize) -> bool {
    statement.at(at).is("for") && statement.at(at + 1).is("update share no key")
}

/// Words that can follow a table without an alias, besides those of clauses.
const JOINS: &str = "join on cross inner left right full natural";

/// PostgreSQL words that SQLite would reject or misinterpret, and such pairs of a word and what follows it.
const REFUSED: &str = "lateral ilike similar fetch array";
const REFUSED_PAIRS: &str = "distinct on|at time|on constraint|default ,|default )|extract (|any (|all (|some (|row (|\
    rollup (|cube (";

impl Query<'_> {
    /// Rewrites a statement; the client may have declared the types of parameters, by oid.
    pub(crate) fn rewrite(&mut self, declared: &[u32]) -> SqlResult<()> {
        if self.statement.at(0).is("show") {
            let (name, _) = setting(self.statement, 1);
            let value = self.scope.settings.get(&name)?.replace('\'', "''");
            self.sql = format!("SELECT '{value}' AS {}", quote(&name));
            return Ok(());
        }
        self.parameters = declared.iter().map(|&oid| Type::of_oid(oid)).collect();
        self.write(0..self.statement.len())
    }

    /// Appends the tokens in `range`, rewritten.
    pub(crate) fn write(&mut self, range: Range<usize>) -> SqlResult<()> {
        let mut at = range.start;
        while at < range.end {
            at = self.write_operand(at)?;
        }
        Ok(())
    }

    /// Appends the operand at `at` with the casts after it, or an operator; returns the position after that.
    fn write_operand(&mut self, at: usize) -> SqlResult<usize> {
        let statement = self.statement;
        let end = operand_end(statement, at);
        let (mut next, mut casts) = (end, String::new());
        while statement.at(next).is("::") {
            let (ty, after, _) = written_type(statement, next + 1)?;
            self.sql.push_str(" CAST(");
            casts.push_str(&format!(" AS {})", ty.affinity()));
            next = after;
        }
        let rest = match statement.at(at).kind {
            Kind::Word | Kind::Quoted => self.write_name(at)?,
            Kind::Operator => self.write_operator(at)?,
            Kind::Parameter => self.write_parameter(at)?,
            Kind::Text => self.write_text(at)?,
            Kind::Number => self.push(statement.at(at).text, at + 1),
        };
        self.write(rest..end)?;
        self.sql.push_str(&casts);
        Ok(next.max(rest))
    }

    /// Appends a word, after which the statement goes on at `next`.
    fn push(&mut self, text: &str, next: usize) -> usize {
        self.sql.push(' ');
        self.sql.push_str(text);
        next
    }

    /// Appends a string as a literal of the type it stands for.
    fn write_text(&mut self, at: usize) -> SqlResult<usize> {
        let token = self.statement.at(at);
        let ty = self.required_type(at).unwrap_or(Type::Text);
        let text = token.value();
        let literal = match parse(&text, ty)? {
            Value::Integer(number) => format!("({number})"),
            Value::Real(number) if number.is_finite() => format!("({number:e})"),
            Value::Real(number) => format!("({}e999)", number.signum()),
            Value::Blob(_) => format!("x'{}'", &text[2..]),
            _ => token.text.to_owned(),
        };
        Ok(self.push(&literal, at + 1))
    }

    fn write_parameter(&mut self, at: usize) -> SqlResult<usize> {
        let number = self.statement.at(at).text[1..].parse();
        let number = number.unwrap_or(usize::MAX);
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
        let (operator, mut next) = (self.statement.at(at), at + 1);
        if !operator.is(". , ( )") {
            self.sql.push(' ');
        }
        self.sql.push_str(operator.text);
        let divisor = self.statement.at(next);
        let is_safe = divisor.kind == Kind::Number && divisor.text.parse() != Ok(0.0);
        if operator.is("/ %") && !is_safe {
            // SQLite returns NULL for a division by zero.
            self.sql.push_str(" divisor(");
            while self.statement.at(next).is("-") {
                next = self.push("-", next + 1);
            }
            next = self.write_operand(next)?;
            self.sql.push(')');
        }
        Ok(next)
    }

    fn write_name(&mut self, at: usize) -> SqlResult<usize> {
        let statement = self.statement;
        let (token, next) = (statement.at(at), statement.at(at + 1));
        if let Some(table) = self.tables.iter().find(|table| table.at == at) {
            let end = table.end;
            if table.engine_name.is_none() && table.name == "generate_series" {
                return self.write_series(end);
            }
            let name = quote(table.engine_name.as_ref().unwrap_or(&table.name));
            return Ok(self.push(&name, end));
        }
        if next.is(".") {
            return self.write_qualified(at);
        }
        if token.kind == Kind::Quoted {
            return Ok(self.push(token.text, at + 1));
        }
        let pair = format!("{} {}", token.text, next.text).to_ascii_lowercase();
        if token.is(REFUSED) || REFUSED_PAIRS.split('|').any(|refused| refused == pair) {
            return Err(SqlError::unsupported(pair.to_ascii_uppercase()));
        }
        let is_call = next.is("(") && statement.at(at + 2).is(")");
        if let Some(value) = self.session_value(&token.value(), is_call) {
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
        Ok(self.push(token.text, at + 1))
    }

    /// `generate_series(start, end[, step]) [AS alias]`, from its bracket on.
    fn write_series(&mut self, open: usize) -> SqlResult<usize> {
        let statement = self.statement;
        let end = statement.after(open);
        let alias = statement.at(statement.skip_any(end, "as"));
        let has_alias = alias.is_name() && !alias.is(JOINS) && !alias.is(CLAUSES);
        let (name, ending) = match alias.text {
            name if has_alias => (name, ")"),
            _ => ("generate_series", ") AS generate_series"),
        };
        let select = format!("(SELECT value AS {name} FROM generate_series");
        self.push(&select, end);
        self.write(open..end)?;
        self.sql.push_str(ending);
        Ok(end)
    }

    /// A name with a dot in it: of a column, or of a function.
    fn write_qualified(&mut self, at: usize) -> SqlResult<usize> {
        let statement = self.statement;
        if statement.at(at).is("pg_catalog") && statement.at(at + 3).is("(") {
            return self.write_name(at + 2);
        }
        // A schema in front of a table adds no information.
        let is_long = statement.at(at + 3).is(".");
        let at = if is_long { at + 2 } else { at };
        let name = statement.at(at).value();
        let mut tables = self.tables.iter();
        let table = tables.find(|table| table.name == name);
        let engine_name = table.and_then(|table| table.engine_name.as_ref());
        let column = statement.at(at + 2).text;
        let qualified = format!("{}.{column}", quote(engine_name.unwrap_or(&name)));
        Ok(self.push(&qualified, at + 3))
    }

    /// The value of a word, or of a call without arguments, that depends on the session.
    fn session_value(&self, name: &str, is_call: bool) -> Option<String> {
        let text = |text: &str| Some(format!("'{}'", text.replace('\'', "''")));
        match (name, is_call) {
            ("current_user" | "session_user" | "user", false) => text(&self.scope.user),
            ("current_database", true) => text(&self.scope.database),
            ("current_schema", _) => text(&self.current_schema()),
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

/// The position after the operand or operator at `at`, without casts.
fn operand_end(statement: &Statement<'_>, mut at: usize) -> usize {
    while statement.at(at).is_name() && statement.at(at + 1).is(".") {
        at += 2;
    }
    let is_call = statement.at(at).is_name() && statement.at(at + 1).is("(");
    statement.after(if is_call { at + 1 } else { at })
}
