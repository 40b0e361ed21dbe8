//! From PostgreSQL's SQL to SQLite's, token by token.
//!
//! Rewritten are names of tables, casts, parameters, string literals that stand for other types, `generate_series`,
//! divisors (SQLite divides by zero without an error), and what only a session knows. Everything else is SQLite's to
//! understand; what PostgreSQL alone would understand is refused.

use std::fmt::Write as _;
use std::ops::Range;

use rusqlite::Connection;
use rusqlite::types::Value;

use super::error::{SqlError, SqlResult};
use super::infer::Query;
use super::names::{Scope, TableUse, column_type, quote, table_uses};
use super::token::{Kind, Statement};
use super::types::{Type, WrittenType, parse, written_type};

/// Parameters of one statement at most; the bound is SQLite's.
const MAX_PARAMETERS: usize = 32_766;

/// A statement that reads or changes rows.
#[derive(Debug)]
pub(crate) struct Rewritten {
    pub(crate) sql: String,
    pub(crate) verb: Verb,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) results: Vec<ResultColumn>,
    /// True if the text holds what only this session knows, at this moment.
    pub(crate) is_private: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Select,
    Insert,
    Update,
    Delete,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Parameter {
    pub(crate) ty: Type,
    pub(crate) oid: u32,
}

/// A result as it is written in a statement.
#[derive(Debug, Clone)]
pub(crate) enum ResultColumn {
    /// `*`, or all columns of one table.
    Star,
    Named(String, Option<Type>),
}

impl Verb {
    /// The verb of a statement that begins with one, or with WITH.
    pub(crate) fn of(statement: &Statement<'_>) -> Option<Self> {
        let verb = |at| {
            let token = statement.at(at);
            match token.text.to_ascii_lowercase().as_str() {
                "select" | "values" => Some(Verb::Select),
                "insert" => Some(Verb::Insert),
                "update" => Some(Verb::Update),
                "delete" => Some(Verb::Delete),
                _ => None,
            }
        };
        if statement.at(0).is_word("with") {
            return statement.top_level(1..statement.len()).find_map(verb);
        }
        verb(0)
    }
}

/// True if a transaction that runs the statement must be alone from then on.
pub(crate) fn takes_lease(statement: &Statement<'_>, verb: Verb) -> bool {
    let locks = |at: usize| statement.at(at).is_word("for") && is_lock(statement, at + 1);
    verb != Verb::Select || (0..statement.len()).any(locks)
}

fn is_lock(statement: &Statement<'_>, at: usize) -> bool {
    statement
        .at(at)
        .is_one_of(&["update", "share", "no", "key"])
}

/// Rewrites a statement with the types of parameters that the client has declared, 0 where it has not.
pub(crate) fn rewrite(
    statement: &Statement<'_>,
    verb: Verb,
    connection: &Connection,
    scope: &Scope,
    declared: &[u32],
) -> SqlResult<Rewritten> {
    let tables = table_uses(statement, connection, &scope.path, None)?;
    let inserted = if verb == Verb::Insert {
        inserted_types(statement, connection, &tables)?
    } else {
        Vec::new()
    };
    let declared_type = |&oid: &u32| match oid {
        0 | 705 => None,
        // Types that are text here keep the oid that the client gave them.
        oid => Some(Type::of_oid(oid).unwrap_or(Type::Text)),
    };
    let query = Query {
        statement,
        connection,
        tables,
        inserted,
        declared: declared.iter().map(declared_type).collect(),
    };
    let mut writer = Writer::new(&query, scope);
    writer.write(0..statement.len())?;
    let Writer {
        sql,
        mut parameters,
        is_private,
        ..
    } = writer;
    parameters.resize(parameters.len().max(declared.len()), None);
    let parameters = parameters.into_iter().enumerate().map(|(at, inferred)| {
        let ty = query
            .declared
            .get(at)
            .copied()
            .flatten()
            .or(inferred)
            .unwrap_or(Type::Text);
        let oid = declared
            .get(at)
            .copied()
            .filter(|oid| !matches!(oid, 0 | 705))
            .unwrap_or(ty.oid());
        Parameter { ty, oid }
    });
    let result = |range: Range<usize>| {
        if statement.at(range.end - 1).is_operator("*") {
            return ResultColumn::Star;
        }
        let (value, label) = query.label(range);
        ResultColumn::Named(label, query.type_of(value))
    };
    let parameters = parameters.collect();
    let results = query
        .results(0..statement.len())
        .into_iter()
        .filter(|range| !range.is_empty());
    Ok(Rewritten {
        sql,
        verb,
        parameters,
        results: results.map(result).collect(),
        is_private,
    })
}

/// The types of the columns that an INSERT fills.
fn inserted_types(
    statement: &Statement<'_>,
    connection: &Connection,
    tables: &[TableUse],
) -> SqlResult<Vec<Option<Type>>> {
    let Some(target) = tables
        .iter()
        .find(|table| statement.before(table.at).is_word("into"))
    else {
        return Ok(Vec::new());
    };
    let Some(table) = &target.engine_name else {
        return Ok(Vec::new());
    };
    let mut open = target.at + target.tokens;
    if statement.at(open).is_word("as") {
        open += 2;
    }
    if statement.at(open).is_operator("(") {
        let columns = statement.split_commas(open + 1..statement.partner[open]);
        return Ok(columns
            .into_iter()
            .map(|column| column_type(connection, table, &statement.at(column.start).name()))
            .collect());
    }
    let all = connection.prepare(&format!("SELECT * FROM {}", quote(table)))?;
    Ok(all
        .column_names()
        .map(|column| column_type(connection, table, column))
        .collect())
}

/// Words that an opening bracket may follow without being the call of a function.
const NO_FUNCTIONS: [&str; 28] = [
    "and",
    "or",
    "not",
    "in",
    "is",
    "values",
    "on",
    "where",
    "when",
    "then",
    "else",
    "select",
    "by",
    "having",
    "as",
    "between",
    "like",
    "using",
    "from",
    "join",
    "exists",
    "over",
    "filter",
    "distinct",
    "limit",
    "offset",
    "returning",
    "set",
];

/// Operators of PostgreSQL that SQLite does not have, or has with another meaning.
const REFUSED_OPERATORS: [&str; 22] = [
    "~", "~*", "!~", "!~*", "~~", "!~~", "@>", "<@", "@@", "@", "&&", "^", "#", "#>", "#>>", "?",
    "?|", "?&", "!!", "|/", ":", "`",
];

/// Writes parts of a statement as SQLite's SQL.
pub(crate) struct Writer<'w> {
    query: &'w Query<'w>,
    scope: &'w Scope,
    pub(crate) sql: String,
    parameters: Vec<Option<Type>>,
    /// Where the last operand begins in `sql`: a cast, which comes after it, is wrapped around it.
    operand: usize,
    /// The same for each open bracket.
    brackets: Vec<usize>,
    /// Divisors under way: the token after each, and where it begins in `sql`.
    divisors: Vec<(usize, usize)>,
    is_private: bool,
}

impl<'w> Writer<'w> {
    pub(crate) fn new(query: &'w Query<'w>, scope: &'w Scope) -> Self {
        Writer {
            query,
            scope,
            sql: String::new(),
            parameters: Vec::new(),
            operand: 0,
            brackets: Vec::new(),
            divisors: Vec::new(),
            is_private: false,
        }
    }

    /// Appends the tokens in `range`, rewritten.
    pub(crate) fn write(&mut self, range: Range<usize>) -> SqlResult<()> {
        let mut at = range.start;
        while at < range.end {
            at = self.write_token(at)?;
            while let Some((_, start)) = self.divisors.pop_if(|(end, _)| *end <= at) {
                self.sql.push(')');
                self.operand = start;
            }
        }
        Ok(())
    }

    /// Appends the tokens in `range` to a text of their own.
    fn written(&mut self, range: Range<usize>) -> SqlResult<String> {
        let start = self.sql.len();
        self.write(range)?;
        Ok(self.sql.split_off(start))
    }

    /// Appends an operand.
    fn push(&mut self, text: &str) {
        self.sql.push(' ');
        self.operand = self.sql.len();
        self.sql.push_str(text);
    }

    /// Appends what begins with the token at `at`, and returns the position after that.
    fn write_token(&mut self, at: usize) -> SqlResult<usize> {
        let statement = self.query.statement;
        let token = statement.at(at);
        match token.kind {
            Kind::Number => self.push(&token.text),
            Kind::Text => self.write_text(at)?,
            Kind::Parameter => self.write_parameter(at)?,
            Kind::Operator => return self.write_operator(at),
            Kind::Word | Kind::Quoted => return self.write_name(at),
        }
        Ok(at + 1)
    }

    /// Appends a string as a literal of the type it stands for.
    fn write_text(&mut self, at: usize) -> SqlResult<()> {
        let text = &self.query.statement.at(at).text;
        let wanted = self.query.wanted(at).unwrap_or(Type::Text);
        let literal = match parse(text, wanted)? {
            Value::Integer(number) => format!("({number})"),
            Value::Real(number) if number.is_infinite() => {
                format!("({}9e999)", if number < 0.0 { "-" } else { "" })
            }
            Value::Real(number) => format!("({number:e})"),
            Value::Blob(bytes) => format!(
                "x'{}'",
                bytes
                    .iter()
                    .map(|byte| format!("{byte:02x}"))
                    .collect::<String>()
            ),
            _ => format!("'{}'", text.replace('\'', "''")),
        };
        self.push(&literal);
        Ok(())
    }

    fn write_parameter(&mut self, at: usize) -> SqlResult<()> {
        let number: usize = self
            .query
            .statement
            .at(at)
            .text
            .parse()
            .unwrap_or(usize::MAX);
        if !(1..=MAX_PARAMETERS).contains(&number) {
            return Err(SqlError::new(
                "54000",
                format!("parameters are numbered from 1 to {MAX_PARAMETERS}"),
            ));
        }
        if self.parameters.len() < number {
            self.parameters.resize(number, None);
        }
        let wanted = self.query.wanted(at);
        let parameter = &mut self.parameters[number - 1];
        *parameter = parameter.or(wanted);
        self.push(&format!("?{number}"));
        Ok(())
    }

    fn write_operator(&mut self, at: usize) -> SqlResult<usize> {
        let statement = self.query.statement;
        let text = statement.at(at).text.as_ref();
        match text {
            "(" => {
                let before = statement.before(at);
                let is_call = before.is_name() && !before.is_one_of(&NO_FUNCTIONS);
                self.brackets.push(if is_call {
                    self.operand
                } else {
                    self.sql.len() + 1
                });
                self.sql.push_str(" (");
            }
            ")" => {
                self.sql.push(')');
                self.operand = self.brackets.pop().unwrap_or(0);
            }
            "::" => {
                let written = written_type(statement, at + 1)?;
                let operand = self.query.type_of(self.query.primary_before(at));
                self.cast(written, operand)?;
                return Ok(at + 1 + written.tokens);
            }
            "/" | "%" => {
                self.sql.push_str(text);
                let next = statement.at(at + 1);
                if next.kind != Kind::Number || next.text.parse() == Ok(0.0) {
                    self.sql.push(' ');
                    self.divisors
                        .push((self.query.primary_end(at + 1), self.sql.len()));
                    self.sql.push_str("divisor(");
                }
            }
            "[" | "]" => return Err(SqlError::unsupported("an array")),
            _ if REFUSED_OPERATORS.contains(&text) => {
                return Err(SqlError::unsupported(format_args!("the operator {text}")));
            }
            "." | "," => self.sql.push_str(text),
            _ => {
                self.sql.push(' ');
                self.sql.push_str(text);
            }
        }
        Ok(at + 1)
    }

    /// Wraps a cast around the last operand, whose type is `operand`.
    fn cast(&mut self, to: WrittenType, operand: Option<Type>) -> SqlResult<()> {
        let value = self.sql.split_off(self.operand);
        let cast = match to.ty {
            ty if ty.is_integer() && operand.is_some_and(Type::is_float) => {
                format!("CAST(round({value}) AS INTEGER)")
            }
            ty if ty.is_integer() => format!("CAST({value} AS INTEGER)"),
            ty if ty.is_float() => format!("CAST({value} AS REAL)"),
            Type::Bool => format!("({value} <> 0)"),
            Type::Bytea if matches!(operand, Some(Type::Bytea | Type::Text) | None) => {
                format!("CAST({value} AS BLOB)")
            }
            Type::Text if operand == Some(Type::Bool) => {
                format!("CASE {value} WHEN 0 THEN 'false' WHEN 1 THEN 'true' END")
            }
            Type::Text | Type::Json if operand != Some(Type::Bytea) => match to.max_length {
                Some(length) => format!("substr(CAST({value} AS TEXT), 1, {length})"),
                None => format!("CAST({value} AS TEXT)"),
            },
            ty => {
                return Err(SqlError::unsupported(format_args!(
                    "this cast to {}",
                    ty.name()
                )));
            }
        };
        self.sql.push_str(&cast);
        Ok(())
    }

    fn write_name(&mut self, at: usize) -> SqlResult<usize> {
        let statement = self.query.statement;
        let token = statement.at(at);
        if let Ok(found) = self
            .query
            .tables
            .binary_search_by_key(&at, |table| table.at)
        {
            return self.write_table(&self.query.tables[found]);
        }
        if statement.at(at + 1).is_operator(".") && !statement.at(at + 2).is_operator("*") {
            return self.write_qualified(at);
        }
        if statement.at(at + 1).is_operator(".") {
            self.write_qualifier(at);
            return Ok(at + 1);
        }
        if token.kind == Kind::Quoted {
            self.push(&quote(&token.text));
            return Ok(at + 1);
        }
        if let Some((value, tokens)) = self.session_value(at)? {
            self.push(&value);
            return Ok(at + tokens);
        }
        self.check_supported(at)?;
        let next = statement.at(at + 1);
        if token.is_word("cast") && next.is_operator("(") {
            return self.write_cast(at + 1);
        }
        if token.is_one_of(&["date", "time", "timestamp", "timestamptz"]) && next.kind == Kind::Text
        {
            return Ok(at + 1);
        }
        if token.is_word("for") && is_lock(statement, at + 1) {
            return self.skip_lock(at + 1);
        }
        self.push(if token.is_word("char_length") {
            "length"
        } else {
            &token.text
        });
        Ok(at + 1)
    }

    /// `CAST (value AS type)`, from its bracket on.
    fn write_cast(&mut self, open: usize) -> SqlResult<usize> {
        let statement = self.query.statement;
        let close = statement.partner[open];
        let as_at = statement
            .top_level(open + 1..close)
            .find(|&at| statement.at(at).is_word("as"));
        let as_at = as_at.ok_or_else(|| SqlError::syntax("expected AS in CAST"))?;
        let value = self.written(open + 1..as_at)?;
        self.push(&format!("({value})"));
        let written = written_type(statement, as_at + 1)?;
        if as_at + 1 + written.tokens != close {
            return Err(SqlError::syntax("expected the end of CAST"));
        }
        self.cast(written, self.query.type_of(open + 1..as_at))?;
        Ok(close + 1)
    }

    /// Skips FOR UPDATE and its kin: whoever says so is alone with the database.
    fn skip_lock(&mut self, mut at: usize) -> SqlResult<usize> {
        let statement = self.query.statement;
        while is_lock(statement, at) {
            at += 1;
        }
        while at < statement.len()
            && (statement.at(at).is_name() || statement.at(at).is_operator(","))
        {
            if statement.at(at).is_one_of(&["nowait", "skip"]) {
                return Err(SqlError::unsupported("NOWAIT or SKIP LOCKED"));
            }
            at += 1;
        }
        Ok(at)
    }

    fn write_table(&mut self, table: &TableUse) -> SqlResult<usize> {
        let statement = self.query.statement;
        let end = table.at + table.tokens;
        match &table.engine_name {
            Some(name) => self.push(&quote(name)),
            None if table.name == "generate_series" => return self.write_series(end),
            None => self.push(&quote(&statement.at(end - 1).name())),
        }
        Ok(end)
    }

    /// `generate_series(start, end[, step])`, from its bracket on, with an alias after it or not.
    fn write_series(&mut self, open: usize) -> SqlResult<usize> {
        let statement = self.query.statement;
        let close = statement.partner[open];
        let arguments = statement.split_commas(open + 1..close);
        let (start, end, step) = match arguments.as_slice() {
            [start, end] => (start, end, "1".to_owned()),
            [start, end, step] if statement.at(step.start).kind == Kind::Number => {
                (start, end, self.written(step.clone())?)
            }
            _ => {
                return Err(SqlError::unsupported(
                    "generate_series with these arguments",
                ));
            }
        };
        let (start, end) = (self.written(start.clone())?, self.written(end.clone())?);
        let mut at = close + 1;
        let mut alias = "generate_series".to_owned();
        let has_as = statement.at(at).is_word("as");
        let names_itself = statement.at(at).is_name() && !statement.at(at).is_one_of(&NO_FUNCTIONS);
        let ends = [
            "where",
            "group",
            "order",
            "limit",
            "union",
            "cross",
            "left",
            "inner",
            "returning",
            "for",
        ];
        if has_as || names_itself && !statement.at(at).is_one_of(&ends) {
            at += usize::from(has_as);
            alias = statement.at(at).name();
            at += 1;
        }
        let mut column = alias.clone();
        if statement.at(at).is_operator("(") {
            column = statement.at(at + 1).name();
            at = statement.after(at);
        }
        let (alias, column) = (quote(&alias), quote(&column));
        let series = format!(
            "(WITH RECURSIVE series(n) AS (SELECT {start} WHERE {start} <= {end} UNION ALL SELECT n + {step} FROM series \
             WHERE n + {step} <= {end}) SELECT n AS {column} FROM series) AS {alias}"
        );
        self.push(&series);
        Ok(at)
    }

    /// A name with a dot in it: of a column, or of a function.
    fn write_qualified(&mut self, at: usize) -> SqlResult<usize> {
        let statement = self.query.statement;
        if statement.at(at + 3).is_operator("(") {
            if !statement.at(at).is_word("pg_catalog") {
                return Err(SqlError::unsupported("a function of the user's"));
            }
            return self.write_name(at + 2);
        }
        let is_long = statement.at(at + 3).is_operator(".");
        self.write_qualifier(if is_long { at + 2 } else { at });
        let column = if is_long { at + 4 } else { at + 2 };
        if !is_long || !statement.at(column).is_operator("*") {
            let operand = self.operand;
            self.sql.push('.');
            self.sql.push_str(&quote(&statement.at(column).name()));
            self.operand = operand;
            return Ok(column + 1);
        }
        Ok(at + 3)
    }

    /// The name of a table in front of a column.
    fn write_qualifier(&mut self, at: usize) {
        let name = self.query.statement.at(at).name();
        let table = self.query.tables.iter().find(|table| table.name == name);
        let engine_name = table.and_then(|table| table.engine_name.as_ref());
        self.push(&quote(engine_name.unwrap_or(&name)));
    }

    /// The value of what only the session knows, and how many tokens it takes.
    fn session_value(&mut self, at: usize) -> SqlResult<Option<(String, usize)>> {
        let statement = self.query.statement;
        let is_call = statement.at(at + 1).is_operator("(");
        let is_empty_call = is_call && statement.at(at + 2).is_operator(")");
        let text = |text: &str| format!("'{}'", text.replace('\'', "''"));
        let value = match statement.at(at).name().as_str() {
            "current_user" | "session_user" | "user" | "current_role" if !is_call => {
                text(&self.scope.user)
            }
            "current_catalog" if !is_call => text(&self.scope.database),
            "current_database" if is_empty_call => text(&self.scope.database),
            "current_schema" if !is_call || is_empty_call => {
                let exists =
                    |schema: &&String| super::names::schema_exists(self.query.connection, schema);
                self.scope
                    .path
                    .iter()
                    .find(exists)
                    .map_or("NULL".to_owned(), |schema| text(schema))
            }
            "current_setting" if is_call && statement.at(at + 2).kind == Kind::Text => {
                self.is_private = true;
                let value = self.scope.settings.show(&statement.at(at + 2).text)?;
                return Ok(Some((text(&value), statement.after(at + 1) - at)));
            }
            "version" if is_empty_call => text("PostgreSQL 15.0 (a mock server over SQLite)"),
            "pg_backend_pid" if is_empty_call => self.scope.pid.to_string(),
            // Part of how asyncpg's pool cleans a connection.
            "pg_advisory_unlock_all" if is_empty_call => "NULL".to_owned(),
            "now" | "clock_timestamp" | "statement_timestamp" | "transaction_timestamp"
                if is_empty_call =>
            {
                return Ok(Some(("CURRENT_TIMESTAMP".to_owned(), 3)));
            }
            "localtimestamp" if !is_call => return Ok(Some(("CURRENT_TIMESTAMP".to_owned(), 1))),
            "random" if is_empty_call => {
                return Ok(Some((
                    "(0.5 + random() / 18446744073709551616.0)".to_owned(),
                    3,
                )));
            }
            _ => return Ok(None),
        };
        self.is_private = true;
        Ok(Some((value, if is_empty_call { 3 } else { 1 })))
    }

    /// Refuses words that SQLite would stumble over, or misunderstand.
    fn check_supported(&self, at: usize) -> SqlResult<()> {
        let statement = self.query.statement;
        let (token, next) = (statement.at(at), statement.at(at + 1));
        let is_refused = token.is_one_of(&[
            "lateral",
            "ilike",
            "similar",
            "tablesample",
            "fetch",
            "array",
        ]) || token
            .is_one_of(&["any", "all", "some", "rollup", "cube", "sets", "row"])
            && next.is_operator("(")
            || token.is_word("interval") && next.kind == Kind::Text
            || token.is_word("distinct") && next.is_word("on")
            || token.is_word("at") && next.is_word("time")
            || token.is_word("on") && next.is_word("constraint")
            || token.is_word("default")
                && (statement.before(at).is_operator("(") || statement.before(at).is_operator(","));
        if is_refused {
            let mut name = token.text.to_ascii_uppercase();
            let _ = write!(name, " {}", next.text);
            return Err(SqlError::unsupported(name.trim_end()));
        }
        Ok(())
    }
}
