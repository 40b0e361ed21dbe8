//! Types that SQLite does not tell: of expressions, of parameters, and of string literals.
//!
//! SQLite tells the declared type of a result that is a column. The type of any other result follows from the operators,
//! functions, columns and literals in it; what a parameter or a string stands for follows from its neighbours, as in
//! PostgreSQL. Where nothing is known the answer is `None`, and the value travels as text.

use std::ops::Range;

use rusqlite::Connection;

use super::names::{TableUse, column_type};
use super::token::{Kind, Statement, Token};
use super::types::{Type, written_type};

/// Longest expression that is looked at: the time for a hostile statement stays in proportion to its length.
const MAX_TOKENS: usize = 500;

/// A statement with what is known about its names.
pub(crate) struct Query<'q> {
    pub(crate) statement: &'q Statement<'q>,
    pub(crate) connection: &'q Connection,
    pub(crate) tables: Vec<TableUse>,
    /// Types of the columns that an INSERT fills, in order.
    pub(crate) inserted: Vec<Option<Type>>,
    /// Types of the parameters that the client has declared.
    pub(crate) declared: Vec<Option<Type>>,
}

/// Words that end a list of results.
const AFTER_RESULTS: [&str; 10] = [
    "from",
    "where",
    "group",
    "having",
    "order",
    "limit",
    "union",
    "except",
    "intersect",
    "window",
];

fn is_condition(token: &Token<'_>) -> bool {
    const WORDS: [&str; 9] = [
        "and", "or", "not", "is", "in", "like", "between", "glob", "exists",
    ];
    is_comparison(token) || token.is_one_of(&WORDS)
}

fn is_comparison(token: &Token<'_>) -> bool {
    let text = token.text.as_ref();
    token.kind == Kind::Operator && matches!(text, "=" | "<" | ">" | "<=" | ">=" | "<>" | "!=")
}

fn is_arithmetic(token: &Token<'_>) -> bool {
    token.kind == Kind::Operator && matches!(token.text.as_ref(), "+" | "-" | "*" | "/" | "%")
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
    pub(crate) fn results(&self) -> Vec<Range<usize>> {
        let statement = self.statement;
        let find = |words: &[&str]| {
            let mut positions = statement.top_level(0..statement.len());
            positions.find(|&at| statement.at(at).is_one_of(words))
        };
        let verb = find(&["select", "values", "insert", "update", "delete"]);
        let mut start = match verb {
            Some(verb) if statement.at(verb).is("values") => return statement.listed(verb + 1),
            Some(verb) if statement.at(verb).is("select") => verb + 1,
            _ => find(&["returning"]).map_or(statement.len(), |at| at + 1),
        };
        while statement.at(start).is_one_of(&["distinct", "all"]) {
            start += 1;
        }
        let ends = |&at: &usize| {
            statement.at(at).is_one_of(&AFTER_RESULTS) && !statement.before(at).is("distinct")
        };
        let end = statement.top_level(start..statement.len()).find(ends);
        statement.split_commas(start..end.unwrap_or(statement.len()))
    }

    /// The type of the expression in `range`, which an alias may follow.
    pub(crate) fn type_of(&self, range: Range<usize>) -> Option<Type> {
        let statement = self.statement;
        let mut at_top = statement.top_level(range.clone());
        if at_top.any(|at| is_condition(statement.at(at))) {
            return Some(Type::Bool);
        }
        if range.len() > MAX_TOKENS {
            return None;
        }
        if statement.at(range.start).is("case") {
            let mut inside = statement.top_level(range.start + 1..range.end);
            let then = inside.find(|&at| statement.at(at).is("then"))?;
            let end = inside.find(|&at| statement.at(at).is_one_of(&["when", "else", "end"]))?;
            return self.type_of(then + 1..end);
        }
        let is_call = statement.at(range.start + 1).is_operator("(");
        match statement.at(range.start).name().as_str() {
            "count" | "row_number" | "rank" | "dense_rank" if is_call => Some(Type::Int8),
            "length" if is_call => Some(Type::Int4),
            "avg" | "random" | "round" if is_call => Some(Type::Float8),
            "sum" if is_call => wider(self.type_of_parts(range), Some(Type::Int8)),
            _ => self.type_of_parts(range),
        }
    }

    /// The type that the casts, literals and columns in `range` have in common.
    fn type_of_parts(&self, range: Range<usize>) -> Option<Type> {
        let statement = self.statement;
        let cast = range
            .clone()
            .rev()
            .find(|&at| statement.at(at).is_operator("::"));
        let cast = cast.or_else(|| {
            statement
                .at(range.start)
                .is("cast")
                .then(|| self.as_of(range.start))?
        });
        if let Some(at) = cast {
            return Some(written_type(statement, at + 1).ok()?.0);
        }
        range.fold(None, |ty, at| wider(ty, self.type_of_token(at)))
    }

    /// The position of AS in the CAST at `at`.
    fn as_of(&self, at: usize) -> Option<usize> {
        let inside = at + 2..self.statement.after(at + 1);
        inside.rev().find(|&at| self.statement.at(at).is("as"))
    }

    fn type_of_token(&self, at: usize) -> Option<Type> {
        let token = self.statement.at(at);
        let text = token.text.as_ref();
        match token.kind {
            Kind::Number if text.parse::<i32>().is_ok() => Some(Type::Int4),
            Kind::Number if text.parse::<i64>().is_ok() => Some(Type::Int8),
            Kind::Number => Some(Type::Float8),
            Kind::Text => Some(Type::Text),
            Kind::Parameter => *self
                .declared
                .get(text.parse::<usize>().ok()?.checked_sub(1)?)?,
            Kind::Operator => matches!(text, "||" | "->" | "->>").then_some(Type::Text),
            _ if token.is_one_of(&["true", "false"]) => Some(Type::Bool),
            _ if self.statement.at(at + 1).is_operator("(") => None,
            _ => self.column(at),
        }
    }

    /// The type of the column that the name at `at` means. An alias in front of it is not looked at.
    fn column(&self, at: usize) -> Option<Type> {
        let name = self.statement.at(at).name();
        let mut tables = self.tables.iter();
        tables.find_map(|table| match &table.engine_name {
            Some(engine_name) => column_type(self.connection, engine_name, &name),
            // A series is the only function of rows whose column has a type.
            None => (table.name == "generate_series").then_some(Type::Int4),
        })
    }

    /// The type that the string or parameter at `at` stands for.
    pub(crate) fn wanted(&self, at: usize) -> Option<Type> {
        let statement = self.statement;
        let (before, after) = (statement.before(at), statement.at(at + 1));
        if after.is_operator("::") || after.is("as") && at > 1 && statement.at(at - 2).is("cast") {
            return Some(written_type(statement, at + 2).ok()?.0);
        }
        if before.is_one_of(&["limit", "offset"]) {
            return Some(Type::Int8);
        }
        if is_comparison(before) || is_arithmetic(before) || before.is("between") {
            return self.compared(at - 1);
        }
        if before.is("and") && at > 2 && statement.at(at - 3).is("between") {
            return self.compared(at - 3);
        }
        if is_comparison(after) || is_arithmetic(after) {
            let end = if statement.at(at + 3).is_operator(".") {
                at + 5
            } else {
                at + 3
            };
            return self.type_of(at + 2..end);
        }
        let open = self.opening(at)?;
        let opener = statement.before(open);
        if opener.is("in") {
            return self.compared(open - 1);
        }
        if opener.is("coalesce") {
            return self
                .type_of_parts(open..at)
                .or_else(|| self.type_of_parts(at + 1..statement.partner[open]));
        }
        let is_row = opener.is("values") || opener.is_operator(",");
        let position = statement.split_commas(open + 1..at + 1).len() - 1;
        self.inserted
            .get(position)
            .copied()
            .flatten()
            .filter(|_| is_row)
    }

    /// The bracket around the token at `at`.
    pub(crate) fn opening(&self, at: usize) -> Option<usize> {
        let partner = &self.statement.partner;
        let mut open = at;
        while open > 0 && at - open < MAX_TOKENS {
            open = partner[open - 1].min(open - 1);
            if partner[open] > at {
                return Some(open);
            }
        }
        None
    }

    /// The type of what is before the operator at `at`, which NOT may precede.
    fn compared(&self, at: usize) -> Option<Type> {
        let end = if self.statement.before(at).is("not") {
            at - 1
        } else {
            at
        };
        self.type_of(self.operand_start(end)..end)
    }

    /// Where the operand begins that ends before `end`.
    fn operand_start(&self, end: usize) -> usize {
        let statement = self.statement;
        let last = end.saturating_sub(1);
        let mut start = statement.partner[last].min(last);
        if start < last
            && statement.before(start).is_name()
            && !is_condition(statement.before(start))
        {
            start -= 1;
        }
        while start >= 2 && statement.before(start).is_operator(".") {
            start -= 2;
        }
        start
    }
}
