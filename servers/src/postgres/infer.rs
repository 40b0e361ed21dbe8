//! Types that SQLite does not provide: of expressions, of parameters, and of string literals.
//!
//! SQLite provides the declared type of a result that is a column. The type of any other result follows from the
//! operators, functions, columns and literals in it; the type of a parameter or a string follows from its neighbours,
//! as in PostgreSQL. If nothing is known the answer is `None`, and the value is sent as text.

use std::ops::Range;

use super::names::Query;
use super::token::{Kind, Token};
use super::types::{Type, written_type};

/// Maximum length of an expression to examine, so that time stays proportional to length for a hostile statement.
const MAX_TOKENS: usize = 500;

/// Words that end a list of results.
const AFTER_RESULTS: &str = "from where group having order limit union except intersect window";

const CONDITIONS: &str = "and or not is in like between exists";

fn is_comparison(token: &Token<'_>) -> bool {
    token.kind == Kind::Operator
        && "= < > <= >= <> !="
            .split(' ')
            .any(|known| known == token.text)
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
        let end = statement.len();
        let find = |words: &str| statement.find(0..end, |at| statement.at(at).is_any(words));
        let mut start = match find("select values insert update delete") {
            Some(verb) if statement.at(verb).is("values") => return statement.listed(verb + 1),
            Some(verb) if statement.at(verb).is("select") => verb + 1,
            _ => find("returning").map_or(end, |at| at + 1),
        };
        while statement.at(start).is_any("distinct all") {
            start += 1;
        }
        let end = statement.find(start..end, |at| {
            statement.at(at).is_any(AFTER_RESULTS) && !statement.before(at).is("distinct")
        });
        statement.split_commas(start..end.unwrap_or(statement.len()))
    }

    /// The type of the expression in `range`, which an alias may follow.
    pub(crate) fn type_of(&self, range: Range<usize>) -> Option<Type> {
        let statement = self.statement;
        let is_condition = |at| {
            let token = statement.at(at);
            is_comparison(token) || token.is_any(CONDITIONS)
        };
        if statement.find(range.clone(), is_condition).is_some() {
            return Some(Type::Bool);
        }
        if range.len() > MAX_TOKENS {
            return None;
        }
        let (first, inside) = (statement.at(range.start), range.start + 1..range.end);
        if first.is("case") {
            let then = statement.find(inside.clone(), |at| statement.at(at).is("then"))?;
            let ends = |at| statement.at(at).is_any("when else end");
            return self.type_of(then + 1..statement.find(then + 1..range.end, ends)?);
        }
        let cast = range.clone().rev().find(|&at| {
            let is_as = first.is("cast") && statement.at(at).is("as");
            is_as || statement.at(at).is_operator("::")
        });
        if let Some(cast) = cast {
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

    /// The type of the string or parameter at `at`.
    pub(crate) fn wanted(&self, at: usize) -> Option<Type> {
        let statement = self.statement;
        let (before, after) = (statement.before(at), statement.at(at + 1));
        let is_cast = after.is("as") && at > 1 && statement.at(at - 2).is("cast");
        if after.is_operator("::") || is_cast {
            return Some(written_type(statement, at + 2).ok()?.0);
        }
        if before.is_any("limit offset") {
            return Some(Type::Int8);
        }
        if is_comparison(before) || is_arithmetic(before) || before.is("between") {
            return self.compared(at - 1);
        }
        if before.is("and") && at > 2 && statement.at(at - 3).is("between") {
            return self.compared(at - 3);
        }
        if is_comparison(after) || is_arithmetic(after) {
            let is_qualified = statement.at(at + 3).is_operator(".");
            return self.type_of_token(if is_qualified { at + 4 } else { at + 2 });
        }
        let open = self.opening(at)?;
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

    /// The type of the column or literal before the operator at `at`, which NOT may precede.
    fn compared(&self, at: usize) -> Option<Type> {
        let is_negated = self.statement.before(at).is("not");
        self.type_of_token(at.checked_sub(if is_negated { 2 } else { 1 })?)
    }
}
