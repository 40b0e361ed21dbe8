//! Tokens of PostgreSQL's SQL, and the statements they form.
//!
//! Quoted text is decoded here, comments are dropped, and every bracket knows its partner (`CASE` and `END` count as
//! brackets), so that readers of a statement can step over a nested part. What tokens mean is in `rewrite.rs`.

use std::borrow::Cow;
use std::ops::Range;

use super::error::{SqlError, SqlResult};

/// Longest text of one message.
const MAX_SQL_BYTES: usize = 4 << 20;

/// Deepest nesting of brackets.
const MAX_DEPTH: usize = 200;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A keyword, or a name without quotes.
    Word,
    /// A name in double quotes.
    Quoted,
    /// A string.
    Text,
    Number,
    /// The number of a parameter, without its `$`.
    Parameter,
    Operator,
}

#[derive(Debug, Clone)]
pub(crate) struct Token<'a> {
    pub(crate) kind: Kind,
    /// Decoded: without quotes and escapes.
    pub(crate) text: Cow<'a, str>,
}

impl Token<'_> {
    pub(crate) fn is_word(&self, word: &str) -> bool {
        self.kind == Kind::Word && self.text.eq_ignore_ascii_case(word)
    }

    pub(crate) fn is_one_of(&self, words: &[&str]) -> bool {
        self.kind == Kind::Word
            && words
                .iter()
                .any(|word| self.text.eq_ignore_ascii_case(word))
    }

    pub(crate) fn is_operator(&self, operator: &str) -> bool {
        self.kind == Kind::Operator && self.text == operator
    }

    pub(crate) fn is_name(&self) -> bool {
        matches!(self.kind, Kind::Word | Kind::Quoted)
    }

    /// The name this token stands for: in lower case unless quoted.
    pub(crate) fn name(&self) -> String {
        if self.kind == Kind::Word {
            self.text.to_ascii_lowercase()
        } else {
            self.text.clone().into_owned()
        }
    }
}

/// One statement.
#[derive(Debug, Default)]
pub(crate) struct Statement<'a> {
    pub(crate) tokens: Vec<Token<'a>>,
    /// For each bracket the position of its partner, for any other token its own.
    pub(crate) partner: Vec<usize>,
    /// For each token the bracket it is in, if any, and the number of commas between the two.
    pub(crate) enclosing: Vec<(Option<usize>, usize)>,
}

static NOTHING: Token<'static> = Token {
    kind: Kind::Operator,
    text: Cow::Borrowed(""),
};

impl<'a> Statement<'a> {
    /// The token at `at`; an empty operator beyond the end.
    pub(crate) fn at(&self, at: usize) -> &Token<'a> {
        self.tokens.get(at).unwrap_or(&NOTHING)
    }

    /// The token before `at`; an empty operator before the first.
    pub(crate) fn before(&self, at: usize) -> &Token<'a> {
        self.at(at.wrapping_sub(1))
    }

    pub(crate) fn len(&self) -> usize {
        self.tokens.len()
    }

    /// True if the tokens from `at` on are these words.
    pub(crate) fn has_words(&self, at: usize, words: &[&str]) -> bool {
        words
            .iter()
            .enumerate()
            .all(|(offset, word)| self.at(at + offset).is_word(word))
    }

    /// The position after the token at `at`, or after its partner if it opens a bracket.
    pub(crate) fn after(&self, at: usize) -> usize {
        self.partner.get(at).map_or(at, |&partner| partner.max(at)) + 1
    }

    /// The positions in `range` that are not inside a nested bracket; a bracket counts by its opening.
    pub(crate) fn top_level(&self, range: Range<usize>) -> impl Iterator<Item = usize> + '_ {
        let end = range.end;
        std::iter::successors(Some(range.start), |&at| Some(self.after(at)))
            .take_while(move |&at| at < end)
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
        if range.end > range.start {
            parts.push(start..range.end);
        }
        parts
    }

    /// A name, and how many tokens it takes: `t`, or `s.t` with the schema first.
    pub(crate) fn qualified_name(&self, at: usize) -> SqlResult<(Option<String>, String, usize)> {
        if !self.at(at).is_name() {
            return Err(SqlError::syntax("expected a name"));
        }
        let first = self.at(at).name();
        if !(self.at(at + 1).is_operator(".") && self.at(at + 2).is_name()) {
            return Ok((None, first, 1));
        }
        Ok((Some(first), self.at(at + 2).name(), 3))
    }

    fn pair_brackets(mut self) -> SqlResult<Self> {
        // Brackets that are open, each with the commas since.
        let mut open: Vec<(usize, usize)> = Vec::new();
        for at in 0..self.len() {
            self.partner.push(at);
            self.enclosing.push(
                open.last()
                    .map_or((None, 0), |&(start, commas)| (Some(start), commas)),
            );
            let token = self.at(at);
            let opens = token.is_operator("(") || token.is_operator("[") || token.is_word("case");
            let is_end = token.is_word("end")
                && open
                    .last()
                    .is_some_and(|&(start, _)| self.at(start).is_word("case"));
            if token.is_operator(",")
                && let Some((_, commas)) = open.last_mut()
            {
                *commas += 1;
            } else if opens {
                open.push((at, 0));
                if open.len() > MAX_DEPTH {
                    return Err(SqlError::new("54001", "the statement is nested too deeply"));
                }
            } else if is_end || token.is_operator(")") || token.is_operator("]") {
                let unbalanced = || {
                    SqlError::syntax(format!("syntax error at or near \"{}\"", self.at(at).text))
                };
                let (start, _) = open.pop().ok_or_else(unbalanced)?;
                let expected = match self.at(start).text.as_ref() {
                    "(" => ")",
                    "[" => "]",
                    _ => "end",
                };
                if !is_end && self.at(at).text != expected {
                    return Err(unbalanced());
                }
                self.partner[start] = at;
                self.partner[at] = start;
            }
        }
        if open.is_empty() {
            Ok(self)
        } else {
            Err(SqlError::syntax("syntax error at end of input"))
        }
    }
}

/// The statements of a text; empty ones are left out.
pub(crate) fn statements(sql: &str) -> SqlResult<Vec<Statement<'_>>> {
    if sql.len() > MAX_SQL_BYTES {
        let message = format!("the text is longer than {MAX_SQL_BYTES} bytes");
        return Err(SqlError::new("54000", message));
    }
    let mut statements = Vec::new();
    let mut statement = Statement::default();
    let mut rest = sql;
    while let Some((token, behind)) = next(rest)? {
        rest = behind;
        if token.is_operator(";") {
            statements.push(std::mem::take(&mut statement));
        } else {
            statement.tokens.push(token);
        }
    }
    statements.push(statement);
    statements.retain(|statement| statement.len() > 0);
    statements
        .into_iter()
        .map(Statement::pair_brackets)
        .collect()
}

/// The first token of `sql` and what follows it.
fn next(sql: &str) -> SqlResult<Option<(Token<'_>, &str)>> {
    let sql = skip_space(sql)?;
    let bytes = sql.as_bytes();
    let Some(&first) = bytes.first() else {
        return Ok(None);
    };
    let second = bytes.get(1).copied().unwrap_or(0);
    let token = |kind, length: usize| Token {
        kind,
        text: Cow::Borrowed(&sql[..length]),
    };
    let (token, length) = match first {
        b'\'' => quoted(sql, 0, '\'', false)?,
        b'"' => quoted(sql, 0, '"', false)?,
        b'e' | b'E' if second == b'\'' => quoted(sql, 1, '\'', true)?,
        b'b' | b'B' | b'x' | b'X' if second == b'\'' => {
            return Err(SqlError::unsupported("a bit string"));
        }
        b'$' if second.is_ascii_digit() => {
            let length = 1 + run(&bytes[1..], |byte| byte.is_ascii_digit());
            let mut token = token(Kind::Parameter, length);
            token.text = Cow::Borrowed(&sql[1..length]);
            (token, length)
        }
        b'$' => dollar_quoted(sql)?,
        b'0'..=b'9' => (token(Kind::Number, number(bytes)), number(bytes)),
        b'.' if second.is_ascii_digit() => (token(Kind::Number, number(bytes)), number(bytes)),
        _ if is_name_byte(first) => {
            let length = run(bytes, |byte| {
                is_name_byte(byte) || byte.is_ascii_digit() || byte == b'$'
            });
            (token(Kind::Word, length), length)
        }
        b'(' | b')' | b'[' | b']' | b',' | b';' | b'.' => (token(Kind::Operator, 1), 1),
        _ => {
            let length = operator(sql);
            (token(Kind::Operator, length), length)
        }
    };
    Ok(Some((token, &sql[length..])))
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

fn run(bytes: &[u8], belongs: impl Fn(u8) -> bool) -> usize {
    bytes.iter().take_while(|&&byte| belongs(byte)).count()
}

fn skip_space(mut sql: &str) -> SqlResult<&str> {
    loop {
        sql = sql.trim_ascii_start();
        if sql.starts_with("--") {
            sql = sql.find('\n').map_or("", |end| &sql[end..]);
        } else if sql.starts_with("/*") {
            sql = skip_comment(sql)?;
        } else {
            return Ok(sql);
        }
    }
}

/// Comments of this kind nest.
fn skip_comment(sql: &str) -> SqlResult<&str> {
    let bytes = sql.as_bytes();
    let (mut depth, mut at) = (0, 0);
    while at + 1 < bytes.len() {
        match &bytes[at..at + 2] {
            b"/*" => (depth, at) = (depth + 1, at + 2),
            b"*/" => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return Ok(&sql[at..]);
        }
    }
    Err(SqlError::syntax("unterminated /* comment"))
}

fn number(bytes: &[u8]) -> usize {
    let digits = |from: usize| from + run(&bytes[from..], |byte| byte.is_ascii_digit());
    let mut end = digits(0);
    if bytes.get(end) == Some(&b'.') {
        end = digits(end + 1);
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        if bytes.get(end + 1 + sign).is_some_and(u8::is_ascii_digit) {
            end = digits(end + 1 + sign);
        }
    }
    end
}

fn operator(sql: &str) -> usize {
    let bytes = sql.as_bytes();
    if sql.starts_with("::") {
        return 2;
    }
    let length = run(bytes, |byte| b"+-*/<>=~!@#%^&|`?".contains(&byte));
    if length == 0 {
        return sql.chars().next().map_or(1, char::len_utf8);
    }
    // A comment may follow at once; and `=-1` is two operators, as in PostgreSQL.
    let comment = ["--", "/*"]
        .iter()
        .filter_map(|start| sql[..length].find(start))
        .min();
    let length = comment.unwrap_or(length);
    let is_special = sql[..length].contains(['~', '!', '@', '#', '%', '^', '&', '|', '`', '?']);
    let is_arrow = matches!(&sql[..length], "->" | "->>");
    if is_special || is_arrow {
        return length;
    }
    let trimmed = sql[..length].trim_end_matches(['+', '-']).len();
    trimmed.max(1)
}

/// A string or name in quotes, which begin after `prefix` bytes.
fn quoted(sql: &str, prefix: usize, quote: char, escapes: bool) -> SqlResult<(Token<'_>, usize)> {
    let kind = if quote == '"' {
        Kind::Quoted
    } else {
        Kind::Text
    };
    let start = prefix + 1;
    let body = &sql[start..];
    if !escapes
        && let Some(end) = body.find(quote)
        && !body[end + 1..].starts_with(quote)
    {
        let text = Cow::Borrowed(&body[..end]);
        return Ok((Token { kind, text }, start + end + 1));
    }
    let mut text = String::new();
    let mut letters = body.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        if letter == quote && letters.next_if(|&(_, next)| next == quote).is_none() {
            let text = Cow::Owned(text);
            return Ok((Token { kind, text }, start + at + 1));
        }
        match letter {
            '\\' if escapes => match letters.next() {
                Some((_, 'n')) => text.push('\n'),
                Some((_, 't')) => text.push('\t'),
                Some((_, 'r')) => text.push('\r'),
                Some((_, digit)) if digit.is_alphanumeric() => {
                    return Err(SqlError::unsupported(format_args!("the escape \\{digit}")));
                }
                Some((_, other)) => text.push(other),
                None => break,
            },
            _ => text.push(letter),
        }
    }
    Err(SqlError::syntax("unterminated quoted string"))
}

/// `$$text$$` or `$tag$text$tag$`.
fn dollar_quoted(sql: &str) -> SqlResult<(Token<'_>, usize)> {
    let unterminated = || SqlError::syntax("unterminated dollar-quoted string");
    let tag_end = sql[1..].find('$').ok_or_else(unterminated)? + 2;
    let (tag, body) = sql.split_at(tag_end);
    let end = body.find(tag).ok_or_else(unterminated)?;
    let token = Token {
        kind: Kind::Text,
        text: Cow::Borrowed(&body[..end]),
    };
    Ok((token, tag_end * 2 + end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(sql: &str, expected: &[&str]) {
        let texts: Vec<String> = statements(sql)
            .unwrap_or_else(|error| panic!("{sql}: {error}"))
            .iter()
            .flat_map(|statement| statement.tokens.iter())
            .map(|token| token.text.clone().into_owned())
            .collect();
        assert_eq!(texts, expected, "{sql}");
    }

    #[test]
    fn a_text_is_cut_into_its_tokens() {
        check(
            "SELECT a.b,$1 FROM t",
            &["SELECT", "a", ".", "b", ",", "1", "FROM", "t"],
        );
        check("x=-1.5e3+.5", &["x", "=", "-", "1.5e3", "+", ".5"]);
        check(
            "'it''s' E'a\\'b\\n' \"Na\"\"me\" $$a'b$$ $t$x$t$",
            &["it's", "a'b\n", "Na\"me", "a'b", "x"],
        );
        check(
            "a::int -> b ->> c <> d",
            &["a", "::", "int", "->", "b", "->>", "c", "<>", "d"],
        );
        check("1 -- one\n/* a /* b */ c */ +2; ;3", &["1", "+", "2", "3"]);
        check("ä = 'ü'", &["ä", "=", "ü"]);
    }

    #[test]
    fn what_is_cut_off_is_refused() {
        for sql in [
            "'a", "\"a", "$$a", "/* a", "(1", "1)", "(1]", "CASE 1", "E'\\",
        ] {
            let error = statements(sql).expect_err(sql);
            assert_eq!(error.state(), "42601", "{sql}");
        }
    }
}
