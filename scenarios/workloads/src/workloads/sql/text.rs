//! A statement's text, cut at its `:name`s by the lexical rules of PostgreSQL.
//!
//! A colon is no value in a string, a quoted name, a comment or a dollar quote, in `::`, and between the two bounds of an
//! array's slice. Nothing else of the language is known here.

use std::ops::Range;

/// A statement: literals with a name between each two of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// One more than there are names.
    pub literals: Vec<String>,
    pub names: Vec<String>,
}

impl Text {
    /// Reads one statement; a semicolon at its end is left out.
    pub fn parse(sql: &str) -> Result<Self, String> {
        if sql.contains('\0') {
            return Err("expected text without NUL".to_owned());
        }
        let mut scanner = Scanner::new(sql);
        scanner.scan(false);
        if scanner.is_numbered {
            return Err("expected `:name` for a value, got `$` and a number".to_owned());
        }
        let end = scanner.at;
        if !is_blank(&sql[end..]) {
            let message = "expected one statement, got several: write each as a separate string";
            return Err(message.to_owned());
        }
        let Scanner {
            literal_start,
            mut text,
            ..
        } = scanner;
        text.literals.push(sql[literal_start..end].to_owned());
        if text.names.is_empty() && is_blank(&text.literals[0]) {
            return Err("expected a statement, got none".to_owned());
        }
        Ok(text)
    }

    /// Length of the statement at the beginning of a script: up to its semicolon, or to a backslash, which begins a
    /// command of psql or pgbench.
    pub fn end_of_statement(script: &str) -> usize {
        let mut scanner = Scanner::new(script);
        scanner.scan(true);
        scanner.at
    }

    /// The text with `$1`, `$2`, … in place of the names; equal names share a number. Also the names in that order.
    pub(super) fn numbered(&self) -> (String, Vec<&str>) {
        let mut sql = String::new();
        let mut names: Vec<&str> = Vec::new();
        for (literal, name) in self.literals.iter().zip(&self.names) {
            let known = names.iter().position(|known| known == name);
            let index = known.unwrap_or_else(|| {
                names.push(name);
                names.len() - 1
            });
            sql += &format!("{literal}${}", index + 1);
        }
        sql += self.literals.last().map_or("", String::as_str);
        (sql, names)
    }

    /// A statement with a space in place of each comment, trimmed.
    pub fn without_comments(sql: &str) -> String {
        let mut scanner = Scanner::new(sql);
        scanner.scan(false);
        let mut text = String::with_capacity(sql.len());
        let mut start = 0;
        for comment in scanner.comments {
            text += &sql[start..comment.start];
            text.push(' ');
            start = comment.end;
        }
        (text + &sql[start..]).trim().to_owned()
    }

    /// The first word, in capitals: `SELECT`.
    pub fn verb(&self) -> String {
        let rest = Self::without_comments(&self.literals[0]);
        let word = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        rest[..word].to_ascii_uppercase()
    }
}

/// True if there is nothing but space and semicolons.
fn is_blank(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_whitespace() || byte == b';')
}

struct Scanner<'a> {
    sql: &'a str,
    at: usize,
    literal_start: usize,
    /// The last character that is neither space nor comment.
    last: u8,
    /// Open square brackets.
    brackets: u32,
    /// True if there is a `$1`.
    is_numbered: bool,
    comments: Vec<Range<usize>>,
    text: Text,
}

impl<'a> Scanner<'a> {
    fn new(sql: &'a str) -> Self {
        Self {
            sql,
            at: 0,
            literal_start: 0,
            last: b' ',
            brackets: 0,
            is_numbered: false,
            comments: Vec::new(),
            text: Text {
                literals: Vec::new(),
                names: Vec::new(),
            },
        }
    }

    fn byte(&self, ahead: usize) -> u8 {
        self.sql
            .as_bytes()
            .get(self.at + ahead)
            .copied()
            .unwrap_or(0)
    }

    /// Finds names up to the end of the statement, which may be a backslash.
    fn scan(&mut self, to_backslash: bool) {
        while self.at < self.sql.len() {
            let byte = self.byte(0);
            match byte {
                b'\'' => self.skip_quoted(b'\'', false),
                b'"' => self.skip_quoted(b'"', false),
                b'-' if self.byte(1) == b'-' => self.comment(Self::skip_line),
                b'/' if self.byte(1) == b'*' => self.comment(Self::skip_comment),
                b'$' => self.dollar(),
                b':' => self.colon(),
                b';' => return,
                b'\\' if to_backslash => return,
                _ if is_name_start(byte) => self.word(),
                _ if byte.is_ascii_whitespace() => self.at += 1,
                _ => {
                    match byte {
                        b'[' => self.brackets += 1,
                        b']' => self.brackets = self.brackets.saturating_sub(1),
                        _ => {}
                    }
                    self.last = byte;
                    self.at += 1;
                }
            }
        }
        self.at = self.sql.len();
    }

    /// A string or quoted name. A doubled quote ends one and begins the next, which comes to the same.
    fn skip_quoted(&mut self, quote: u8, backslashes: bool) {
        self.at += 1;
        while self.at < self.sql.len() && self.byte(0) != quote {
            self.at += if backslashes && self.byte(0) == b'\\' {
                2
            } else {
                1
            };
        }
        self.at += 1;
        // `E'a''b\''`: the part behind the doubled quote has backslashes as well.
        if backslashes && self.byte(0) == quote {
            return self.skip_quoted(quote, true);
        }
        self.last = quote;
    }

    fn comment(&mut self, skip: fn(&mut Self)) {
        let start = self.at;
        skip(self);
        self.comments.push(start..self.at);
    }

    fn skip_line(&mut self) {
        let rest = &self.sql[self.at..];
        self.at += rest.find('\n').unwrap_or(rest.len());
    }

    /// A comment, with comments in it.
    fn skip_comment(&mut self) {
        let mut depth = 0;
        loop {
            match (self.byte(0), self.byte(1)) {
                (b'/', b'*') => depth += 1,
                (b'*', b'/') => depth -= 1,
                _ if self.at >= self.sql.len() => return,
                _ => {
                    self.at += 1;
                    continue;
                }
            }
            self.at += 2;
            if depth == 0 {
                return;
            }
        }
    }

    /// `$tag$ … $tag$`, or a mistaken `$1`.
    fn dollar(&mut self) {
        let rest = &self.sql[self.at..];
        self.is_numbered |= self.byte(1).is_ascii_digit();
        let tag_bytes = rest[1..].bytes().take_while(|byte| is_name(*byte)).count();
        let tag = rest.get(..tag_bytes + 2).filter(|tag| tag.ends_with('$'));
        self.last = b'$';
        self.at += match tag {
            Some(tag) => {
                let end = rest[tag.len()..].find(tag);
                end.map_or(rest.len(), |end| end + 2 * tag.len())
            }
            None => 1,
        };
    }

    /// A name or a keyword; the prefix of a string with backslashes.
    fn word(&mut self) {
        let start = self.at;
        while is_name(self.byte(0)) || self.byte(0) == b'$' {
            self.at += 1;
        }
        self.last = b'a';
        if self.byte(0) == b'\'' && self.sql[start..self.at].eq_ignore_ascii_case("e") {
            self.skip_quoted(b'\'', true);
        }
    }

    fn colon(&mut self) {
        if self.byte(1) == b':' {
            self.at += 2;
            self.last = b':';
            return;
        }
        let is_operand = is_name(self.last) || matches!(self.last, b')' | b']' | b'"' | b'\'');
        let is_slice = self.brackets > 0 && is_operand;
        let name_bytes = self.name_bytes();
        if is_slice || name_bytes == 0 {
            self.at += 1;
            self.last = b':';
            return;
        }
        let name = &self.sql[self.at + 1..][..name_bytes];
        self.text.names.push(name.to_owned());
        let literal = &self.sql[self.literal_start..self.at];
        self.text.literals.push(literal.to_owned());
        self.at += 1 + name_bytes;
        self.literal_start = self.at;
        self.last = b'a';
    }

    /// Length of the name after a colon: `aid`, or `user.email`.
    fn name_bytes(&self) -> usize {
        let rest = &self.sql.as_bytes()[self.at + 1..];
        let length = |rest: &[u8]| match rest.first() {
            Some(first) if is_name_start(*first) && first.is_ascii() => rest
                .iter()
                .take_while(|byte| is_name(**byte) && byte.is_ascii())
                .count(),
            _ => 0,
        };
        let first = length(rest);
        match rest.get(first) {
            Some(b'.') if first > 0 => match length(&rest[first + 1..]) {
                0 => first,
                second => first + 1 + second,
            },
            _ => first,
        }
    }
}

fn is_name_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || !byte.is_ascii()
}

fn is_name(byte: u8) -> bool {
    is_name_start(byte) || byte.is_ascii_digit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_values_get_numbers_and_equal_names_share_one() {
        let same = |sql: &str| (sql.to_owned(), 0);
        for (sql, (numbered, names)) in [
            (
                "UPDATE a SET b=b+:d WHERE i=:i AND :d>0;\n",
                ("UPDATE a SET b=b+$1 WHERE i=$2 AND $1>0".to_owned(), 2),
            ),
            (
                "SELECT:a::int,x::text",
                ("SELECT$1::int,x::text".to_owned(), 1),
            ),
            ("SELECT :user.email, :t.", ("SELECT $1, $2.".to_owned(), 2)),
            (
                "SELECT ':a'':b', \":c\", 'é:d'",
                same("SELECT ':a'':b', \":c\", 'é:d'"),
            ),
            (
                r"SELECT E'\':a'':b\'', e'\\' || :c",
                (r"SELECT E'\':a'':b\'', e'\\' || $1".to_owned(), 1),
            ),
            (r"SELECT '\' || :c", (r"SELECT '\' || $1".to_owned(), 1)),
            (
                "SELECT 1 -- :a\n + :b /* :c /* :d */ :e */",
                ("SELECT 1 -- :a\n + $1 /* :c /* :d */ :e */".to_owned(), 1),
            ),
            (
                "SELECT $$:a$$, $t$ :b $$ $t$, a$b$:c",
                ("SELECT $$:a$$, $t$ :b $$ $t$, a$b$$1".to_owned(), 1),
            ),
            (
                "SELECT x[1:n], x[lo : hi], x[:i], x[a[1]:b]",
                ("SELECT x[1:n], x[lo : hi], x[$1], x[a[1]:b]".to_owned(), 1),
            ),
            ("SELECT 12:34, a := 1", same("SELECT 12:34, a := 1")),
        ] {
            let text = Text::parse(sql).expect(sql);
            let (found, found_names) = text.numbered();
            assert_eq!((found, found_names.len()), (numbered, names), "{sql}");
        }
    }

    #[test]
    fn invalid_statements_are_refused() {
        for (sql, expected) in [
            ("SELECT 1; SELECT 2", "expected one statement"),
            ("SELECT $1", "expected `:name`"),
            (" ;; ", "expected a statement"),
            ("a\0b", "NUL"),
        ] {
            let error = Text::parse(sql).expect_err(sql);
            assert!(error.contains(expected), "{sql}: {error}");
        }
    }

    #[test]
    fn only_comments_are_left_out() {
        for (sql, expected) in [
            ("-- a\n BEGIN /* b /* c */ */ -- d", "BEGIN"),
            ("SELECT 1--a\n+2", "SELECT 1 \n+2"),
            ("SELECT '--a', $$/* b */$$", "SELECT '--a', $$/* b */$$"),
            ("/* never ends", ""),
        ] {
            assert_eq!(Text::without_comments(sql), expected, "{sql}");
        }
    }

    #[test]
    fn the_verb_is_found_after_comments() {
        let verb = |sql| Text::parse(sql).expect("sound").verb();
        assert_eq!(verb(" /* a */ -- b\n select(1)"), "SELECT");
        assert_eq!(verb("/* /* a */ b */ insert"), "INSERT");
        assert_eq!(verb("(SELECT 1)"), "");
    }
}
