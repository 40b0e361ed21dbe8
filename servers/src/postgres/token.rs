//! Tokens of PostgreSQL's SQL, and the statements they form.
//!
//! Quoted text is decoded here, comments are dropped, and every bracket knows its partner (`CASE` and `END` count as
//! brackets), so that code which reads a statement can skip a nested part. `rewrite.rs` interprets the tokens.

use std::borrow::Cow;
use std::ops::Range;

use super::error::{SqlError, SqlResult};

/// Maximum length of the text of a message.
const MAX_SQL_BYTES: usize = 4 << 20;

/// Maximum nesting depth of brackets.
const MAX_DEPTH: usize = 200;

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

#[derive(Debug)]
pub(crate) struct Token<'a> {
    pub(crate) kind: Kind,
    /// Without quotes.
    pub(crate) text: Cow<'a, str>,
}

impl Token<'_> {
    pub(crate) fn is(&self, word: &str) -> bool {
        self.kind == Kind::Word && self.text.eq_ignore_ascii_case(word)
    }

    /// True for any of these words, which have spaces between them.
    pub(crate) fn is_any(&self, words: &str) -> bool {
        self.kind == Kind::Word && words.split(' ').any(|word| self.is(word))
    }

    pub(crate) fn is_operator(&self, operator: &str) -> bool {
        self.kind == Kind::Operator && self.text == operator
    }

    pub(crate) fn is_name(&self) -> bool {
        matches!(self.kind, Kind::Word | Kind::Quoted)
    }

    /// The name this token stands for: in lower case unless quoted.
    pub(crate) fn name(&self) -> String {
        match self.kind {
            Kind::Word => self.text.to_ascii_lowercase(),
            _ => self.text.to_string(),
        }
    }
}

/// One statement.
#[derive(Debug, Default)]
pub(crate) struct Statement<'a> {
    pub(crate) tokens: Vec<Token<'a>>,
    /// For each bracket the position of its partner, for any other token its own.
    pub(crate) partner: Vec<usize>,
}

static NOTHING: Token<'static> = Token {
    kind: Kind::Operator,
    text: Cow::Borrowed(""),
};

impl<'a> Statement<'a> {
    /// The token at `at`; an empty operator outside of the statement.
    pub(crate) fn at(&self, at: usize) -> &Token<'a> {
        self.tokens.get(at).unwrap_or(&NOTHING)
    }

    pub(crate) fn before(&self, at: usize) -> &Token<'a> {
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

    /// The position after the token at `at`, or after its partner if it opens a bracket.
    pub(crate) fn after(&self, at: usize) -> usize {
        self.partner.get(at).map_or(at, |&partner| partner.max(at)) + 1
    }

    /// The positions in `range` that are not inside a bracket there; a bracket counts by its opening.
    fn top_level(&self, range: Range<usize>) -> impl Iterator<Item = usize> + '_ {
        let end = range.end;
        let next = |&at: &usize| Some(self.after(at));
        std::iter::successors(Some(range.start), next).take_while(move |&at| at < end)
    }

    /// The first of those positions for which `is_it` holds.
    pub(crate) fn find(&self, range: Range<usize>, is_it: impl Fn(usize) -> bool) -> Option<usize> {
        self.top_level(range).find(|&at| is_it(at))
    }

    /// The parts of `range` between its commas; none if it is empty.
    pub(crate) fn split_commas(&self, range: Range<usize>) -> Vec<Range<usize>> {
        let mut parts = Vec::new();
        let mut start = range.start;
        for at in self.top_level(range.clone()) {
            if self.at(at).is_operator(",") {
                parts.push(start..at);
                start = at + 1;
            }
        }
        if start < range.end {
            parts.push(start..range.end);
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

    fn pair_brackets(mut self) -> SqlResult<Self> {
        self.partner = (0..self.len()).collect();
        let mut open: Vec<usize> = Vec::new();
        for at in 0..self.len() {
            let token = &self.tokens[at];
            let last = open.last();
            let in_case = last.is_some_and(|&start| self.tokens[start].is("case"));
            if token.is_operator("(") || token.is("case") {
                open.push(at);
            } else if token.is_operator(")") || in_case && token.is("end") {
                let start = open.pop().filter(|_| in_case == token.is("end"));
                let start = start.ok_or_else(|| SqlError::syntax_at(&token.text))?;
                (self.partner[start], self.partner[at]) = (at, start);
            }
            if open.len() > MAX_DEPTH {
                return Err(SqlError::new("54001", "the statement is nested too deeply"));
            }
        }
        let is_complete = open.is_empty().then_some(self);
        is_complete.ok_or_else(|| SqlError::syntax_at("end of input"))
    }
}

/// The statements of a text; empty ones are left out.
pub(crate) fn statements(sql: &str) -> SqlResult<Vec<Statement<'_>>> {
    if sql.len() > MAX_SQL_BYTES {
        let message = format!("the text is longer than {MAX_SQL_BYTES} bytes");
        return Err(SqlError::new("54000", message));
    }
    let mut statements = vec![Statement::default()];
    let mut rest = sql;
    while let Some((token, length)) = next(&mut rest)? {
        rest = &rest[length..];
        match statements.last_mut() {
            Some(statement) if !token.is_operator(";") => statement.tokens.push(token),
            _ => statements.push(Statement::default()),
        }
    }
    statements.retain(|statement| statement.len() > 0);
    let statements = statements.into_iter();
    statements.map(Statement::pair_brackets).collect()
}

const LONG_OPERATORS: &str = "->> :: -> || <> <= >= !=";

/// Skips space before the first token, and gives that token with its length.
fn next<'a>(sql: &mut &'a str) -> SqlResult<Option<(Token<'a>, usize)>> {
    skip_space(sql)?;
    let text: &'a str = sql;
    let bytes = text.as_bytes();
    let Some(&first) = bytes.first() else {
        return Ok(None);
    };
    let second = bytes.get(1).copied().unwrap_or(0);
    let (kind, length) = match first {
        b'\'' | b'"' => return quoted(text, first.into()).map(Some),
        _ if second == b'\'' && first.is_ascii_alphabetic() => {
            return Err(SqlError::unsupported("a string with a prefix"));
        }
        b'$' if second.is_ascii_digit() => (Kind::Parameter, 1 + digits(bytes, 1)),
        b'0'..=b'9' | b'.' if first != b'.' || second.is_ascii_digit() => {
            (Kind::Number, number(bytes))
        }
        _ if is_name_byte(first) => {
            let belongs =
                |&&byte: &&u8| is_name_byte(byte) || byte.is_ascii_digit() || byte == b'$';
            (Kind::Word, bytes.iter().take_while(belongs).count())
        }
        _ if b"(),;.+-*/%=<>|&!:".contains(&first) => {
            let mut known = LONG_OPERATORS.split(' ');
            let long = known.find(|known| text.starts_with(known));
            (Kind::Operator, long.map_or(1, |known| known.len()))
        }
        _ => {
            let letter = text.chars().next().unwrap_or(' ');
            return Err(SqlError::unsupported(format_args!("the operator {letter}")));
        }
    };
    let start = usize::from(kind == Kind::Parameter);
    let text = Cow::Borrowed(&text[start..length]);
    Ok(Some((Token { kind, text }, length)))
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

fn skip_space(sql: &mut &str) -> SqlResult<()> {
    loop {
        *sql = sql.trim_ascii_start();
        if sql.starts_with("--") {
            *sql = sql.find('\n').map_or("", |end| &sql[end..]);
        } else if let Some(comment) = sql.strip_prefix("/*") {
            let end = comment.find("*/");
            *sql = &comment[end.ok_or_else(|| SqlError::syntax_at("/*"))? + 2..];
        } else {
            return Ok(());
        }
    }
}

/// Number of digits from `at` on.
fn digits(bytes: &[u8], at: usize) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    rest.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

fn number(bytes: &[u8]) -> usize {
    let mut end = digits(bytes, 0);
    if bytes.get(end) == Some(&b'.') {
        end += 1 + digits(bytes, end + 1);
    }
    let is_signed = matches!(bytes.get(end + 1), Some(b'+' | b'-'));
    let exponent = digits(bytes, end + 1 + usize::from(is_signed));
    if matches!(bytes.get(end), Some(b'e' | b'E')) && exponent > 0 {
        end += 1 + usize::from(is_signed) + exponent;
    }
    end
}

/// A string or name in quotes, in which a doubled quote stands for one.
fn quoted(sql: &str, quote: char) -> SqlResult<(Token<'_>, usize)> {
    let doubled = String::from_iter([quote, quote]);
    let mut end = 1;
    loop {
        let found = sql[end..].find(quote);
        end += found.ok_or_else(|| SqlError::syntax("unterminated quoted string"))?;
        if !sql[end..].starts_with(&doubled) {
            break;
        }
        end += 2;
    }
    let mut text = Cow::Borrowed(&sql[1..end]);
    if text.contains(quote) {
        text = text.replace(&doubled, &sql[..1]).into();
    }
    let kind = if quote == '"' {
        Kind::Quoted
    } else {
        Kind::Text
    };
    Ok((Token { kind, text }, end + 1))
}
