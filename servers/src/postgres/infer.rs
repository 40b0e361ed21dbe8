//! Types that SQLite does not provide: of expressions, of parameters, and of string literals.
//!
//! SQLite provides the declared type of a result that is a column. The type of any other result follows from the
//! operators, functions, columns and literals in it; the type of a parameter or a string follows from its neighbours,
//! as in PostgreSQL. If nothing is known the answer is `None`, and the value is sent as text.

use std::ops::Range;

use rusqlite::Statement as Prepared;

use super::names::Query;
use super::token::{Kind, MAX_TOKENS, Token};
use super::types::{Type, written_type};

/// Words that end a list of results.
const AFTER_RESULTS: &str = "from where group having order limit union except intersect window";

const COMPARISONS: &str = "= < > <= >= <> !=";
const ARITHMETIC: &str = "+ - * / %";

fn is_condition(token: &Token) -> bool {
    token.is_operator(COMPARISONS) || token.is_any("and or not in is like between exists")
}

/// The type of an expression with values of both types in it.
fn wider(one: Option<Type>, other: Option<Type>) -> Option<Type> {
    match (one, other) {
        (Some(one), Some(other)) if one.is_integer() && other.is_float() => Some(Type::Float8),
        (Some(one), Some(Type::Int8)) if one.is_integer() => Some(Type::Int8),
        _ => one.or(other),
    }
}

impl Query<'_> {
    /// The results of the statement: of its first SELECT, its first row of VALUES, or its RETURNING.
    fn results(&self) -> Vec<Range<usize>> {
        let statement = self.statement;
        let end = statement.len();
        let find = |words: &str| statement.find(0..end, |token| token.is_any(words));
        let mut start = match find("select values insert update delete") {
            Some(verb) if statement.at(verb).is("values") => return statement.listed(verb + 1),
            Some(verb) if statement.at(verb).is("select") => verb + 1,
            _ => find("returning").map_or(end, |at| at + 1),
        };
        while statement.at(start).is_any("distinct all") {
            start += 1;
        }
        let is_end = |&at: &usize| {
            statement.at(at).is_any(AFTER_RESULTS) && !statement.before(at).is("distinct")
        };
        let end = statement.top_level(start..end).find(is_end);
        statement.split_commas(start..end.unwrap_or(statement.len()))
    }

    /// The results with their names and types; SQLite provides the types of those that are columns of tables.
    pub(crate) fn columns(&self, prepared: &Prepared<'_>) -> Vec<(String, Type)> {
        let (results, count) = (self.results(), prepared.column_count());
        let is_star = |result: &Range<usize>| self.statement.before(result.end).is_operator("*");
        let star = results.iter().rposition(is_star);
        let column = |at: usize| {
            let metadata = prepared.column_metadata(at).ok().flatten();
            let declared = metadata.and_then(|column| Type::of_column(column.3, column.4));
            // Results after the last `*` count from the end.
            let from_end = (at + results.len()).checked_sub(count);
            let from_end = from_end.filter(|&at| Some(at) > star);
            let result = results
                .get(from_end.unwrap_or(at))
                .filter(|result| !is_star(result));
            let ty = declared.or_else(|| self.type_of(result?.clone()));
            let name = label(prepared.column_name(at).unwrap_or_default());
            (name, ty.unwrap_or(Type::Text))
        };
        (0..count).map(column).collect()
    }

    /// The type of the expression in `range`, which an alias may follow.
    fn type_of(&self, range: Range<usize>) -> Option<Type> {
        let statement = self.statement;
        if statement.find(range.clone(), is_condition).is_some() {
            return Some(Type::Bool);
        }
        if range.len() > MAX_TOKENS {
            return None;
        }
        let (first, inside) = (statement.at(range.start), range.start + 1..range.end);
        if first.is("case") {
            let start = statement.find(inside, |token| token.is("then"))? + 1;
            let is_end = |token: &Token| token.is_any("when else end");
            return self.type_of(start..statement.find(start..range.end, is_end)?);
        }
        let is_cast = |&at: &usize| {
            statement.at(at).is_operator("::") || first.is("cast") && statement.at(at).is("as")
        };
        if let Some(cast) = range.clone().rev().find(is_cast) {
            return Some(written_type(statement, cast + 1).ok()?.0);
        }
        let parts = || range.fold(None, |ty, at| wider(ty, self.type_of_token(at)));
        match first.name().as_str() {
            _ if !statement.at(inside.start).is_operator("(") => parts(),
            "count" | "row_number" | "rank" | "dense_rank" => Some(Type::Int8),
            "length" => Some(Type::Int4),
            "avg" | "random" | "round" => Some(Type::Float8),
            "sum" => wider(parts(), Some(Type::Int8)),
            _ => parts(),
        }
    }

    fn type_of_token(&self, at: usize) -> Option<Type> {
        let token = self.statement.at(at);
        let text = token.text.as_str();
        match token.kind {
            Kind::Number if text.parse::<i32>().is_ok() => Some(Type::Int4),
            Kind::Number if text.parse::<i64>().is_ok() => Some(Type::Int8),
            Kind::Number => Some(Type::Float8),
            Kind::Text => Some(Type::Text),
            Kind::Parameter => {
                let position = text.parse::<usize>().ok()?.checked_sub(1)?;
                self.parameters.get(position).copied().flatten()
            }
            Kind::Operator => token.is_operator("|| -> ->>").then_some(Type::Text),
            _ if token.is_any("true false") => Some(Type::Bool),
            _ if self.statement.at(at + 1).is_operator("(") => None,
            _ => self
                .tables
                .iter()
                .find_map(|table| match &table.engine_name {
                    Some(engine_name) => self.column_type(engine_name, &token.name()),
                    // A series is the only function of rows whose column has a type.
                    None => (table.name == "generate_series").then_some(Type::Int4),
                }),
        }
    }

    /// The type that the neighbours of the string or parameter at `at` require.
    pub(crate) fn required_type(&self, at: usize) -> Option<Type> {
        let statement = self.statement;
        let (before, after) = (statement.before(at), statement.at(at + 1));
        let is_cast = after.is("as") && at > 1 && statement.at(at - 2).is("cast");
        if after.is_operator("::") || is_cast {
            return Some(written_type(statement, at + 2).ok()?.0);
        }
        if before.is_any("limit offset") {
            return Some(Type::Int8);
        }
        let is_operand =
            |token: &Token| token.is_operator(COMPARISONS) || token.is_operator(ARITHMETIC);
        if is_operand(before) || before.is("between") {
            return self.compared(at - 1);
        }
        if before.is("and") && at > 2 && statement.at(at - 3).is("between") {
            return self.compared(at - 3);
        }
        if is_operand(after) {
            let is_qualified = statement.at(at + 3).is_operator(".");
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
        let is_row = opener.is("values") || opener.is_operator(",");
        let position = statement.split_commas(open + 1..at + 1).len() - 1;
        self.inserted
            .get(position)
            .copied()
            .flatten()
            .filter(|_| is_row)
    }

    /// The type of the column or literal before the operator at `at`, which NOT may precede.
    fn compared(&self, at: usize) -> Option<Type> {
        let is_negated = self.statement.before(at).is("not");
        self.type_of_token(at.checked_sub(if is_negated { 2 } else { 1 })?)
    }
}

/// The name of a result column: SQLite shows the expression, but PostgreSQL shows the function, or nothing.
fn label(name: &str) -> String {
    let is_word = |text: &str| {
        text.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    if name.starts_with(|first: char| first.is_ascii_digit() || "('?-".contains(first)) {
        return "?column?".to_owned();
    }
    match name.split_once('(') {
        Some((function, _)) if is_word(function.trim_end()) => {
            function.trim_end().to_ascii_lowercase()
        }
        _ => name.to_owned(),
    }
}
