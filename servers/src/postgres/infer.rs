//! Types that SQLite does not know: of expressions, of parameters, and of string literals.
//!
//! SQLite tells the declared type of a result that is a column. What an expression gives follows from its operators,
//! functions and columns; what a parameter or a string stands for follows from its neighbours, as in PostgreSQL. Where
//! nothing is known the answer is `None`, and the value travels as text.

use std::ops::Range;

use rusqlite::Connection;

use super::names::{TableUse, column_type};
use super::token::{Kind, Statement, Token};
use super::types::{Type, written_type};

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

/// Longest expression whose type is inferred.
const MAX_EXPRESSION_TOKENS: usize = 500;

/// Operators between two values of one type.
const ARITHMETIC: [&str; 5] = ["+", "-", "*", "/", "%"];
const COMPARISONS: [&str; 7] = ["=", "<", ">", "<=", ">=", "<>", "!="];
const CONDITIONS: [&str; 10] = [
    "and", "or", "not", "is", "in", "like", "between", "isnull", "notnull", "exists",
];

/// Words that end a list of results.
const AFTER_RESULTS: [&str; 11] = [
    "from",
    "where",
    "group",
    "having",
    "order",
    "limit",
    "offset",
    "union",
    "except",
    "intersect",
    "window",
];

fn is_arithmetic(token: &Token<'_>) -> bool {
    token.kind == Kind::Operator && ARITHMETIC.contains(&token.text.as_ref())
}

fn is_comparison(token: &Token<'_>) -> bool {
    token.kind == Kind::Operator && COMPARISONS.contains(&token.text.as_ref())
}

/// The type of a sum of two numbers; that of the other one where one is unknown.
fn wider(one: Option<Type>, other: Option<Type>) -> Option<Type> {
    match (one, other) {
        (Some(one), Some(other)) if one.is_float() || other.is_float() => Some(Type::Float8),
        (Some(Type::Int8), _) | (_, Some(Type::Int8)) => Some(Type::Int8),
        (one, other) => one.or(other),
    }
}

impl Query<'_> {
    /// The results of the query in `range`: of its first SELECT, its VALUES, or its RETURNING.
    pub(crate) fn results(&self, range: Range<usize>) -> Vec<Range<usize>> {
        let statement = self.statement;
        let starts = |&at: &usize| {
            statement.at(at).is_one_of(&[
                "select",
                "values",
                "returning",
                "insert",
                "update",
                "delete",
            ])
        };
        let Some(mut start) = statement.top_level(range.clone()).find(starts) else {
            return Vec::new();
        };
        if statement.at(start).is_word("values") {
            return statement.split_commas(start + 2..statement.after(start + 1) - 1);
        }
        if !statement.at(start).is_one_of(&["select", "returning"]) {
            let mut returning = statement
                .top_level(start..range.end)
                .filter(|&at| statement.at(at).is_word("returning"));
            let Some(found) = returning.next() else {
                return Vec::new();
            };
            start = found;
        }
        start += 1;
        while statement.at(start).is_one_of(&["distinct", "all"]) {
            start += 1;
        }
        let mut ends = statement
            .top_level(start..range.end)
            .filter(|&at| statement.at(at).is_one_of(&AFTER_RESULTS));
        // FROM may belong to IS DISTINCT FROM.
        let end = ends.find(|&at| !statement.before(at).is_word("distinct"));
        statement.split_commas(start..end.unwrap_or(range.end))
    }

    /// A result without its alias, and the name it is given.
    pub(crate) fn label(&self, result: Range<usize>) -> (Range<usize>, String) {
        let statement = self.statement;
        let Range { start, end } = result;
        let last = statement.at(end - 1);
        if end - start >= 3 && statement.at(end - 2).is_word("as") {
            return (start..end - 2, last.name());
        }
        let before = statement.before(end - 1);
        let follows_value = match before.kind {
            Kind::Operator => before.text == ")",
            Kind::Word => {
                !before.is_one_of(&CONDITIONS) && !before.is_one_of(&["from", "over", "collate"])
            }
            _ => true,
        };
        let is_alias = last.is_name()
            && !last.is_one_of(&CONDITIONS)
            && !last.is_one_of(&["end", "precision", "varying", "zone"]);
        if end - start >= 2 && is_alias && follows_value {
            return (start..end - 1, last.name());
        }
        (start..end, self.own_label(start..end))
    }

    fn own_label(&self, mut range: Range<usize>) -> String {
        let statement = self.statement;
        // A cast is named after what it casts, or else after its type.
        let cast = statement
            .top_level(range.clone())
            .find(|&at| statement.at(at).is_operator("::"));
        let mut unnamed = "?column?".to_owned();
        if let Some(cast) = cast {
            unnamed =
                written_type(statement, cast + 1).map_or(unnamed, |written| match written.ty {
                    Type::Int2
                    | Type::Int4
                    | Type::Int8
                    | Type::Bool
                    | Type::Float4
                    | Type::Float8 => written.ty.declaration().to_ascii_lowercase(),
                    _ => "text".to_owned(),
                });
            range.end = cast;
        }
        let first = statement.at(range.start);
        if self.primary_end(range.start) < range.end
            && !statement
                .at(self.primary_end(range.start))
                .is_one_of(&["filter", "over"])
        {
            return unnamed;
        }
        if first.is_word("case") {
            return "case".to_owned();
        }
        if first.is_operator("(") {
            let inner = self.results(range.start + 1..range.end - 1);
            return inner
                .first()
                .map_or(unnamed, |result| self.label(result.clone()).1);
        }
        let mut at = range.start;
        while statement.at(at + 1).is_operator(".") {
            at += 2;
        }
        match statement.at(at).kind {
            Kind::Word if statement.at(at).is_one_of(&["true", "false"]) => "bool".to_owned(),
            Kind::Word if statement.at(at).is_word("null") => unnamed,
            Kind::Word | Kind::Quoted => statement.at(at).name(),
            _ => unnamed,
        }
    }

    /// The type of the expression in `range`.
    pub(crate) fn type_of(&self, range: Range<usize>) -> Option<Type> {
        let statement = self.statement;
        let Range { mut start, mut end } = range;
        while start + 1 < end
            && statement.at(start).is_operator("(")
            && statement.after(start) == end
        {
            (start, end) = (start + 1, end - 1);
        }
        // The bound keeps the time for a hostile statement in proportion to its length.
        if start >= end || end - start > MAX_EXPRESSION_TOKENS {
            return None;
        }
        if statement.at(start).is_one_of(&["select", "values", "with"]) {
            let first = self.results(start..end).into_iter().next()?;
            return self.type_of(self.label(first).0);
        }
        let mut operators = Vec::new();
        let mut cast = None;
        for at in statement.top_level(start..end) {
            let token = statement.at(at);
            if is_comparison(token) || token.is_one_of(&CONDITIONS) {
                return Some(Type::Bool);
            }
            match token.text.as_ref() {
                "||" | "->>" if token.kind == Kind::Operator => return Some(Type::Text),
                "->" if token.kind == Kind::Operator => return Some(Type::Json),
                "::" if token.kind == Kind::Operator => cast = Some(at),
                _ if is_arithmetic(token) => operators.push(at),
                _ => (),
            }
        }
        if !operators.is_empty() {
            let ends = operators.iter().copied().chain([end]);
            let starts = std::iter::once(start).chain(operators.iter().map(|&at| at + 1));
            return starts
                .zip(ends)
                .filter(|(start, end)| start < end)
                .map(|(start, end)| self.type_of(start..end))
                .fold(None, wider);
        }
        match cast {
            Some(at) => written_type(statement, at + 1)
                .ok()
                .map(|written| written.ty),
            None => self.type_of_primary(start..end),
        }
    }

    fn type_of_primary(&self, range: Range<usize>) -> Option<Type> {
        let statement = self.statement;
        let first = statement.at(range.start);
        match first.kind {
            Kind::Number if first.text.parse::<i32>().is_ok() => return Some(Type::Int4),
            Kind::Number if first.text.parse::<i64>().is_ok() => return Some(Type::Int8),
            Kind::Number => return Some(Type::Float8),
            Kind::Text => return Some(Type::Text),
            Kind::Parameter => {
                return self
                    .declared
                    .get(first.text.parse::<usize>().ok()?.checked_sub(1)?)
                    .copied()
                    .flatten();
            }
            Kind::Operator => return None,
            Kind::Word | Kind::Quoted => (),
        }
        if first.is_one_of(&["true", "false"]) {
            return Some(Type::Bool);
        }
        if first.is_word("case") {
            let branches = statement
                .top_level(range.start + 1..range.end)
                .filter(|&at| statement.at(at).is_one_of(&["then", "else"]));
            return branches.into_iter().find_map(|at| {
                let end = statement
                    .top_level(at + 1..range.end)
                    .find(|&at| statement.at(at).is_one_of(&["when", "else", "end"]));
                self.type_of(at + 1..end?)
            });
        }
        let mut at = range.start;
        while statement.at(at + 1).is_operator(".") {
            at += 2;
        }
        if statement.at(at + 1).is_operator("(") {
            return self.type_of_call(at);
        }
        let qualifier = (at > range.start).then(|| statement.at(at - 2).name());
        self.column(qualifier.as_deref(), &statement.at(at).name())
    }

    /// The type of the call of the function at `at`.
    fn type_of_call(&self, at: usize) -> Option<Type> {
        let statement = self.statement;
        let name = statement.at(at).name();
        let mut inside = at + 2..statement.after(at + 1) - 1;
        if name == "cast" {
            let as_at = statement
                .top_level(inside)
                .find(|&at| statement.at(at).is_word("as"))?;
            return written_type(statement, as_at + 1)
                .ok()
                .map(|written| written.ty);
        }
        if statement.at(inside.start).is_word("distinct") {
            inside.start += 1;
        }
        let argument = || {
            statement
                .split_commas(inside)
                .into_iter()
                .find_map(|argument| self.type_of(argument))
        };
        match name.as_str() {
            "count" | "row_number" | "rank" | "dense_rank" => Some(Type::Int8),
            "length" | "char_length" | "ntile" | "instr" | "json_array_length" => Some(Type::Int4),
            "avg" | "random" | "sqrt" | "round" | "percent_rank" | "cume_dist" | "total" => {
                Some(Type::Float8)
            }
            "json_object" | "json_array" | "json_extract" | "json_group_array"
            | "json_group_object" => Some(Type::Json),
            "sum" => argument().map(|ty| {
                if ty.is_float() {
                    Type::Float8
                } else {
                    Type::Int8
                }
            }),
            "abs" | "min" | "max" | "coalesce" | "nullif" | "first_value" | "last_value"
            | "nth_value" | "lag" | "lead" => argument(),
            _ => None,
        }
    }

    /// The type of a column of the statement's tables.
    fn column(&self, qualifier: Option<&str>, name: &str) -> Option<Type> {
        let qualified =
            |table: &&TableUse| qualifier.is_none_or(|qualifier| table.name == qualifier);
        let find =
            |table: &TableUse| column_type(self.connection, table.engine_name.as_deref()?, name);
        let named = self.tables.iter().filter(qualified).find_map(find);
        // The qualifier may be an alias; and a series is the only function of rows whose columns have a type.
        let series = || {
            self.tables
                .iter()
                .any(|table| table.name == "generate_series")
                .then_some(Type::Int4)
        };
        named
            .or_else(|| self.tables.iter().find_map(find))
            .or_else(series)
    }

    /// The type that the string or parameter at `at` stands for.
    pub(crate) fn wanted(&self, at: usize) -> Option<Type> {
        let statement = self.statement;
        let (before, after) = (statement.before(at), statement.at(at + 1));
        if after.is_operator("::")
            || after.is_word("as") && statement.before(at.saturating_sub(1)).is_word("cast")
        {
            return written_type(statement, at + 2)
                .ok()
                .map(|written| written.ty);
        }
        if before.is_one_of(&["like", "ilike"])
            || before.is_operator("||")
            || after.is_operator("||")
        {
            return Some(Type::Text);
        }
        if before.is_one_of(&["limit", "offset"]) {
            return Some(Type::Int8);
        }
        if is_comparison(before) || is_arithmetic(before) {
            return self.type_of(self.primary_before(at - 1));
        }
        if is_comparison(after) || is_arithmetic(after) {
            return self.type_of(at + 2..self.primary_end(at + 2));
        }
        if before.is_word("between") {
            return self.type_of(self.compared(at - 1));
        }
        if before.is_word("and") {
            let low = self.primary_before(at - 1).start;
            return if statement.before(low).is_word("between") {
                self.type_of(self.compared(low - 1))
            } else {
                None
            };
        }
        let (Some(open), position) = statement.enclosing.get(at).copied()? else {
            return None;
        };
        let opener = statement.before(open);
        if opener.is_word("in") {
            return self.type_of(self.compared(open - 1));
        }
        if opener.is_one_of(&["coalesce", "nullif"]) {
            let arguments = statement.split_commas(open + 1..statement.partner[open]);
            return arguments
                .into_iter()
                .find_map(|argument| self.type_of(argument));
        }
        let is_row = opener.is_word("values") || opener.is_operator(",");
        if is_row && statement.enclosing[open].0.is_none() {
            return self.inserted.get(position).copied().flatten();
        }
        None
    }

    /// The expression that the IN or BETWEEN at `at` compares.
    fn compared(&self, at: usize) -> Range<usize> {
        let is_negated = self.statement.before(at).is_word("not");
        self.primary_before(if is_negated { at - 1 } else { at })
    }

    /// The operand that ends before `at`.
    pub(crate) fn primary_before(&self, at: usize) -> Range<usize> {
        let statement = self.statement;
        let mut start = at.saturating_sub(1);
        loop {
            start = statement
                .partner
                .get(start)
                .map_or(start, |&partner| partner.min(start));
            if statement.at(start).is_operator("(") && statement.before(start).is_name() {
                start -= 1;
            }
            while statement.before(start).is_operator(".") && start >= 2 {
                start -= 2;
            }
            if !statement.before(start).is_operator("::") || start < 2 {
                return start..at;
            }
            start -= 2;
        }
    }

    /// The position after the operand at `at`, casts excluded.
    pub(crate) fn primary_end(&self, at: usize) -> usize {
        let statement = self.statement;
        let mut at = at;
        while statement.at(at).is_operator("-") || statement.at(at).is_operator("+") {
            at += 1;
        }
        while statement.at(at + 1).is_operator(".") {
            at += 2;
        }
        if statement.at(at).is_name() && statement.at(at + 1).is_operator("(") {
            at += 1;
        }
        statement.after(at)
    }
}
