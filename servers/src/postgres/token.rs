//! Tokens of PostgreSQL's SQL, and the statements they form.
//!
//! Quoted text is decoded here, comments are dropped, and every bracket knows its partner (`CASE` and `END` count as
//! brackets), so that code which reads a statement can skip a nested part. `rewrite.rs` interprets the tokens.

use std::ops::Range;

use super::error::{SqlError, SqlResult};

/// Maximum length of the text of a message.
const MAX_SQL_BYTES: usize = 4 << 20;

/// Maximum nesting depth of brackets.
const MAX_DEPTH: usize = 200;

/// Maximum length of an expression to examine, so that time stays proportional to length for a hostile statement.
pub(crate) const MAX_TOKENS: usize = 500;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A keyword, or a name without quotes.
    Word,
    /// A name in double quotes.
    Quoted,
    /// A string literal.
    Text,
    Number,
    /// The number of a parameter, without its `$`.
    Parameter,
    Operator,
}

#[derive(Debug, Clone)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    /// Without quotes.
    pub(crate) text: String,
}

impl Token {
    pub(crate) fn is(&self, word: &str) -> bool {
        self.kind == Kind::Word && self.text.eq_ignore_ascii_case(word)
    }

    /// True for any of these words, which have spaces between them.
    pub(crate) fn is_any(&self, words: &str) -> bool {
        self.kind == Kind::Word && words.split(' ').any(|word| self.is(word))
    }

    /// True for any of these operators, which have spaces between them.
    pub(crate) fn is_operator(&self, operators: &str) -> bool {
        self.kind == Kind::Operator && operators.split(' ').any(|known| self.text == known)
    }

    pub(crate) fn is_name(&self) -> bool {
        matches!(self.kind, Kind::Word | Kind::Quoted)
    }

    /// The name this token stands for: in lower case unless quoted.
    pub(crate) fn name(&self) -> String {
        match self.kind {
            Kind::Word => self.text.to_ascii_lowercase(),
            _ => self.text.clone(),
        }
    }
}

/// One statement.
#[derive(Debug, Clone)]
pub(crate) struct Statement {
    tokens: Vec<Token>,
    /// For each bracket the position of its partner, for any other token its own.
    partner: Vec<usize>,
}

static NOTHING: Token = Token {
    kind: Kind::Operator,
    text: String::new(),
};

impl Statement {
    /// The token at `at`; an empty operator outside of the statement.
    pub(crate) fn at(&self, at: usize) -> &Token {
        self.tokens.get(at).unwrap_or(&NOTHING)
    }

    pub(crate) fn before(&self, at: usize) -> &Token {
        self.at(at.wrapping_sub(1))
    }

    pub(crate) fn len(&self) -> usize {
        self.tokens.len()
    }

    /// The position after these words, if they are at `at`.
    pub(crate) fn skip(&self, at: usize, words: &str) -> Option<usize> {
        let mut words = words.split(' ');
        words.try_fold(at, |at, word| self.at(at).is(word).then_some(at + 1))
    }

    /// The position after these words, or `at` if they are not there.
    pub(crate) fn skip_any(&self, at: usize, words: &str) -> usize {
        self.skip(at, words).unwrap_or(at)
    }

    /// The position after the token at `at`, or after its partner if it opens a bracket.
    pub(crate) fn after(&self, at: usize) -> usize {
        self.partner.get(at).map_or(at, |&partner| partner.max(at)) + 1
    }

    /// The bracket around the token at `at`, if it is not too far away.
    pub(crate) fn opening(&self, at: usize) -> Option<usize> {
        let outward = |&open: &usize| Some(self.partner[open.checked_sub(1)?].min(open - 1));
        std::iter::successors(outward(&at), outward)
            .take_while(|open| at - open <= MAX_TOKENS)
            .find(|&open| self.partner[open] > at)
    }

    /// The positions in `range` that are not inside a bracket there; a bracket counts by its opening.
    pub(crate) fn top_level(&self, range: Range<usize>) -> impl Iterator<Item = usize> + '_ {
        let next = |&at: &usize| Some(self.after(at));
        std::iter::successors(Some(range.start), next).take_while(move |&at| at < range.end)
    }

    /// The first of those positions with a token that `is_it` accepts.
    pub(crate) fn find(
        &self,
        range: Range<usize>,
        is_it: impl Fn(&Token) -> bool,
    ) -> Option<usize> {
        self.top_level(range).find(|&at| is_it(self.at(at)))
    }

    /// The parts of `range` between its commas; none if it is empty.
    pub(crate) fn split_commas(&self, range: Range<usize>) -> Vec<Range<usize>> {
        let mut parts = Vec::new();
        let mut start = range.start;
        while start < range.end {
            let comma = self.find(start..range.end, |token| token.is_operator(","));
            parts.push(start..comma.unwrap_or(range.end));
            start = comma.map_or(range.end, |comma| comma + 1);
        }
        parts
    }

    /// The parts in the brackets that open at `at`.
    pub(crate) fn listed(&self, at: usize) -> Vec<Range<usize>> {
        self.split_commas(at + 1..self.after(at) - 1)
    }

    /// A name with its schema, if it has one, and the position after both.
    pub(crate) fn qualified(&self, at: usize) -> SqlResult<(Option<String>, String, usize)> {
        if !self.at(at).is_name() {
            return Err(SqlError::syntax_at(&self.at(at).text));
        }
        let first = self.at(at).name();
        if self.at(at + 1).is_operator(".") && self.at(at + 2).is_name() {
            return Ok((Some(first), self.at(at + 2).name(), at + 3));
        }
        Ok((None, first, at + 1))
    }

    fn new(tokens: Vec<Token>) -> SqlResult<Self> {
        let mut partner: Vec<usize> = (0..tokens.len()).collect();
        let mut open: Vec<usize> = Vec::new();
        for (at, token) in tokens.iter().enumerate() {
            let in_case = open.last().is_some_and(|&start| tokens[start].is("case"));
            if token.is_operator("(") || token.is("case") {
                open.push(at);
            } else if token.is_operator(")") || in_case && token.is("end") {
                let start = open.pop().filter(|_| in_case == token.is("end"));
                let start = start.ok_or_else(|| SqlError::syntax_at(&token.text))?;
                (partner[start], partner[at]) = (at, start);
            }
            if open.len() > MAX_DEPTH {
                return Err(SqlError::new("54001", "the statement is nested too deeply"));
            }
        }
        if open.is_empty() {
            Ok(Statement { tokens, partner })
        } else {
            Err(SqlError::syntax_at("end of input"))
        }
    }
}

/// The statements of a text; empty ones are left out.
pub(crate) fn statements(sql: &str) -> SqlResult<Vec<Statement>> {
    if sql.len() > MAX_SQL_BYTES {
        let message = format!("the text is longer than {MAX_SQL_BYTES} bytes");
        return Err(SqlError::new("54000", message));
    }
    let mut statements = vec![Vec::new()];
    let mut rest = skip_space(sql)?;
    while !rest.is_empty() {
        let (token, length) = first_token(rest)?;
        rest = skip_space(&rest[length..])?;
        match statements.last_mut() {
            Some(statement) if !token.is_operator(";") => statement.push(token),
            _ => statements.push(Vec::new()),
        }
    }
    statements.retain(|statement| !statement.is_empty());
    statements.into_iter().map(Statement::new).collect()
}

fn skip_space(mut sql: &str) -> SqlResult<&str> {
    loop {
        sql = sql.trim_ascii_start();
        if sql.starts_with("--") {
            sql = sql.find('\n').map_or("", |end| &sql[end..]);
        } else if let Some(comment) = sql.strip_prefix("/*") {
            let end = comment.find("*/");
            sql = &comment[end.ok_or_else(|| SqlError::syntax_at("/*"))? + 2..];
        } else {
            return Ok(sql);
        }
    }
}

const LONG_OPERATORS: &str = "->> :: -> || <> <= >= !=";

/// The token that a text starts with, and its length.
fn first_token(sql: &str) -> SqlResult<(Token, usize)> {
    let bytes = sql.as_bytes();
    let (first, second) = (bytes[0], bytes.get(1).copied().unwrap_or(0));
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_$".contains(&byte) || byte >= 0x80;
    let length = |belongs: &dyn Fn(usize) -> bool| {
        (1..sql.len()).find(|&at| !belongs(at)).unwrap_or(sql.len())
    };
    let (kind, length) = match first {
        b'\'' => return quoted(sql, Kind::Text, '\''),
        b'"' => return quoted(sql, Kind::Quoted, '"'),
        _ if second == b'\'' && first.is_ascii_alphabetic() => {
            return Err(SqlError::unsupported("a string with a prefix"));
        }
        b'$' if second.is_ascii_digit() => {
            let length = length(&|at| bytes[at].is_ascii_digit());
            let text = sql[1..length].to_owned();
            let kind = Kind::Parameter;
            return Ok((Token { kind, text }, length));
        }
        b'0'..=b'9' | b'.' if first != b'.' || second.is_ascii_digit() => {
            // A sign belongs to a number as that of its exponent.
            let is_sign = |at: usize| b"+-".contains(&bytes[at]) && b"eE".contains(&bytes[at - 1]);
            let belongs = |at: usize| is_name(bytes[at]) || bytes[at] == b'.' || is_sign(at);
            (Kind::Number, length(&belongs))
        }
        _ if is_name(first) && first != b'$' => (Kind::Word, length(&|at| is_name(bytes[at]))),
        _ if b"(),;.+-*/%=<>|&!:".contains(&first) => {
            let mut known = LONG_OPERATORS.split(' ');
            let long = known.find(|known| sql.starts_with(known));
            (Kind::Operator, long.map_or(1, str::len))
        }
        _ => {
            let operator = format_args!("the operator {}", char::from(first));
            return Err(SqlError::unsupported(operator));
        }
    };
    let text = sql[..length].to_owned();
    Ok((Token { kind, text }, length))
}

/// A string or name in quotes, in which a doubled quote stands for one.
fn quoted(sql: &str, kind: Kind, quote: char) -> SqlResult<(Token, usize)> {
    let mut text = String::new();
    let mut rest = &sql[1..];
    loop {
        let (part, after) = rest
            .split_once(quote)
            .ok_or_else(|| SqlError::syntax("unterminated quoted string"))?;
        text.push_str(part);
        let Some(after) = after.strip_prefix(quote) else {
            return Ok((Token { kind, text }, sql.len() - after.len()));
        };
        text.push(quote);
        rest = after;
    }
}
