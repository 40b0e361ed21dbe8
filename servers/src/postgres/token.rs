//! Tokens of PostgreSQL's SQL, and the statements they form.
//!
//! A token is a part of the text. Comments are dropped, and every bracket knows its partner (`CASE` and `END` count as
//! brackets), so that code which reads a statement can skip a nested part. `rewrite.rs` interprets the tokens.

use std::ops::Range;

use super::error::{SqlError, SqlResult};

/// Maximum length of the text of a message.
const MAX_SQL_BYTES: usize = 4 << 20;

/// Maximum nesting depth of brackets.
const MAX_DEPTH: usize = 200;

/// Maximum length of an expression to examine, so that time stays proportional to length for a hostile statement.
const MAX_TOKENS: usize = 500;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A keyword, or a name without quotes.
    Word,
    /// A name in double quotes.
    Quoted,
    /// A string literal.
    Text,
    Number,
    /// A parameter, such as `$1`.
    Parameter,
    Operator,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Token<'s> {
    pub(crate) kind: Kind,
    /// As it is written, with its quotes or its `$`.
    pub(crate) text: &'s str,
}

impl Token<'_> {
    /// True for any of these words and operators, which have spaces between them.
    pub(crate) fn is(&self, words: &str) -> bool {
        let is_one = |word: &str| self.text.eq_ignore_ascii_case(word);
        matches!(self.kind, Kind::Word | Kind::Operator) && words.split(' ').any(is_one)
    }

    pub(crate) fn is_name(&self) -> bool {
        matches!(self.kind, Kind::Word | Kind::Quoted)
    }

    /// The string or the name this token stands for: without quotes, or in lower case.
    pub(crate) fn value(&self) -> String {
        match self.kind {
            Kind::Quoted | Kind::Text => {
                let quote = &self.text[..1];
                let inside = &self.text[1..self.text.len() - 1];
                inside.replace(&quote.repeat(2), quote)
            }
            _ => self.text.to_ascii_lowercase(),
        }
    }
}

/// One statement.
#[derive(Debug)]
pub(crate) struct Statement<'s> {
    tokens: Vec<Token<'s>>,
    /// For each bracket the position of its partner, for any other token its own.
    partner: Vec<usize>,
}

static NOTHING: Token<'static> = Token {
    kind: Kind::Operator,
    text: "",
};

impl<'s> Statement<'s> {
    /// The token at `at`; an empty operator outside of the statement.
    pub(crate) fn at(&self, at: usize) -> &Token<'s> {
        self.tokens.get(at).unwrap_or(&NOTHING)
    }

    pub(crate) fn before(&self, at: usize) -> &Token<'s> {
        self.at(at.wrapping_sub(1))
    }

    pub(crate) fn len(&self) -> usize {
        self.tokens.len()
    }

    /// The position after these words, if they are at `at`.
    pub(crate) fn skip(&self, at: usize, words: &str) -> Option<usize> {
        let follows = |at, word| self.at(at).is(word).then_some(at + 1);
        words.split(' ').try_fold(at, follows)
    }

    /// The position after these words, or `at` if they are not there.
    pub(crate) fn skip_any(&self, at: usize, words: &str) -> usize {
        self.skip(at, words).unwrap_or(at)
    }

    /// The position after the token at `at`, or after its partner if it opens a bracket.
    pub(crate) fn after(&self, at: usize) -> usize {
        self.partner.get(at).map_or(at, |&partner| partner.max(at)) + 1
    }

    /// The positions before `at` that are not inside a bracket there, up to the start of the bracket around `at` and
    /// beyond, nearest first; a bracket counts by its opening. None is too far away.
    pub(crate) fn outward(&self, at: usize) -> impl Iterator<Item = usize> + '_ {
        let outward = |&at: &usize| Some(self.partner[at.checked_sub(1)?].min(at - 1));
        std::iter::successors(outward(&at), outward).take_while(move |open| at - open <= MAX_TOKENS)
    }

    /// The bracket around the token at `at`.
    pub(crate) fn opening(&self, at: usize) -> Option<usize> {
        self.outward(at).find(|&open| self.partner[open] > at)
    }

    /// The positions in `range` that are not inside a bracket there; a bracket counts by its opening.
    pub(crate) fn top_level(&self, range: Range<usize>) -> impl Iterator<Item = usize> + '_ {
        let next = |&at: &usize| Some(self.after(at));
        std::iter::successors(Some(range.start), next).take_while(move |&at| at < range.end)
    }

    /// The first of those positions with one of these words.
    pub(crate) fn find(&self, range: Range<usize>, words: &str) -> Option<usize> {
        self.top_level(range).find(|&at| self.at(at).is(words))
    }

    /// The parts of `range` between its commas; none if it is empty.
    pub(crate) fn split_commas(&self, range: Range<usize>) -> Vec<Range<usize>> {
        let mut parts = Vec::new();
        let mut start = range.start;
        while start < range.end {
            let comma = self.find(start..range.end, ",").unwrap_or(range.end);
            parts.push(start..comma);
            start = comma + 1;
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
            return Err(SqlError::syntax_at(self.at(at).text));
        }
        let first = self.at(at).value();
        if self.at(at + 1).is(".") && self.at(at + 2).is_name() {
            return Ok((Some(first), self.at(at + 2).value(), at + 3));
        }
        Ok((None, first, at + 1))
    }

    fn new(tokens: Vec<Token<'s>>) -> SqlResult<Self> {
        let mut partner: Vec<usize> = (0..tokens.len()).collect();
        let mut open: Vec<usize> = Vec::new();
        for (at, token) in tokens.iter().enumerate() {
            let in_case = open.last().is_some_and(|&start| tokens[start].is("case"));
            if token.is("(") || token.is("case") {
                open.push(at);
            } else if token.is(")") || in_case && token.is("end") {
                let start = open.pop().filter(|_| in_case == token.is("end"));
                let start = start.ok_or_else(|| SqlError::syntax_at(token.text))?;
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
pub(crate) fn statements(sql: &str) -> SqlResult<Vec<Statement<'_>>> {
    if sql.len() > MAX_SQL_BYTES {
        let message = format!("the text is longer than {MAX_SQL_BYTES} bytes");
        return Err(SqlError::new("54000", message));
    }
    let mut statements = vec![Vec::new()];
    let mut rest = skip_space(sql)?;
    while !rest.is_empty() {
        let token = first_token(rest)?;
        rest = skip_space(&rest[token.text.len()..])?;
        match statements.last_mut() {
            Some(statement) if !token.is(";") => statement.push(token),
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

/// The token that a text starts with.
fn first_token(sql: &str) -> SqlResult<Token<'_>> {
    let bytes = sql.as_bytes();
    let (first, second) = (bytes[0], bytes.get(1).copied().unwrap_or(0));
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_$".contains(&byte) || byte >= 0x80;
    let is_number = first.is_ascii_digit() || first == b'.' && second.is_ascii_digit();
    // A sign belongs to a number as that of its exponent.
    let is_sign = |at: usize| b"+-".contains(&bytes[at]) && b"eE".contains(&bytes[at - 1]);
    let goes_on =
        |&at: &usize| is_name(bytes[at]) || is_number && (bytes[at] == b'.' || is_sign(at));
    let length = (1..sql.len()).take_while(goes_on).count() + 1;
    let (kind, length) = match first {
        b'\'' => (Kind::Text, quoted_length(bytes)?),
        b'"' => (Kind::Quoted, quoted_length(bytes)?),
        _ if second == b'\'' && first.is_ascii_alphabetic() => {
            return Err(SqlError::unsupported("a string with a prefix"));
        }
        b'$' if second.is_ascii_digit() => (Kind::Parameter, length),
        _ if is_number => (Kind::Number, length),
        _ if is_name(first) && first != b'$' => (Kind::Word, length),
        _ if b"(),;.+-*/%=<>|&!:".contains(&first) => {
            let mut known = LONG_OPERATORS.split(' ');
            let long = known.find(|known| sql.starts_with(known));
            (Kind::Operator, long.map_or(1, str::len))
        }
        _ => return Err(SqlError::unsupported(char::from(first))),
    };
    let text = &sql[..length];
    Ok(Token { kind, text })
}

/// The length of a text in quotes, in which a doubled quote stands for one.
fn quoted_length(bytes: &[u8]) -> SqlResult<usize> {
    let mut end = 1;
    loop {
        let quote = bytes[end..].iter().position(|byte| *byte == bytes[0]);
        end += 1 + quote.ok_or_else(|| SqlError::syntax("unterminated quoted string"))?;
        if bytes.get(end) != Some(&bytes[0]) {
            return Ok(end);
        }
        end += 1;
    }
}
