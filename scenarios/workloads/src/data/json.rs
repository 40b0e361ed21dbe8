//! JSON as bytes: finding the ends of values, and a value without a tree.
//!
//! The scanner finds structure; it does not check all of the grammar, and reads no further than it must. `pointer` walks a
//! document with it.

use serde_json::Value;

/// A value within a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JsonValue<'a> {
    /// As it stands in the document, with the quotes of a string.
    raw: &'a [u8],
}

impl<'a> JsonValue<'a> {
    /// The value at the start of `bytes`, after blanks; `None` if there is none.
    pub(super) fn at_start(bytes: &'a [u8]) -> Option<Self> {
        let start = skip_blanks(bytes, 0);
        let end = value_end(bytes, start)?;
        let raw = &bytes[start..end];
        let sound = matches!(raw[0], b'"' | b'{' | b'[') || is_scalar(raw);
        sound.then_some(Self { raw })
    }

    /// The value as it stands in the document, with the quotes of a string.
    pub fn raw(self) -> &'a [u8] {
        self.raw
    }

    /// The kind of value, with its article.
    pub fn kind(self) -> &'static str {
        match self.raw[0] {
            b'"' => "a string",
            b'{' => "an object",
            b'[' => "an array",
            b't' | b'f' => "a boolean",
            b'n' => "null",
            _ => "a number",
        }
    }

    /// Appends the value as text: a string's content without quotes and escapes, anything else as it stands. Half of a
    /// surrogate pair becomes U+FFFD.
    pub fn write_text(self, out: &mut Vec<u8>) {
        match self.string() {
            Some(content) => {
                unescape(content, |part| out.extend_from_slice(part));
            }
            None => out.extend_from_slice(self.raw),
        }
    }

    /// True if the value equals `expected`; numbers are compared by value. Allocates only for arrays and objects.
    pub fn equals(self, expected: &Value) -> bool {
        match (expected, self.string()) {
            (Value::String(expected), Some(content)) => is_text(content, expected.as_bytes()),
            (Value::Null, None) => self.raw == b"null",
            (Value::Bool(expected), None) => {
                self.raw
                    == if *expected {
                        b"true" as &[u8]
                    } else {
                        b"false"
                    }
            }
            (Value::Number(expected), None) => self.equals_number(expected),
            (Value::Array(_) | Value::Object(_), None) => {
                serde_json::from_slice::<Value>(self.raw).is_ok_and(|value| value == *expected)
            }
            _ => false,
        }
    }

    fn equals_number(self, expected: &serde_json::Number) -> bool {
        let text = std::str::from_utf8(self.raw).unwrap_or_default();
        match (text.parse::<i64>(), expected.as_i64()) {
            (Ok(value), Some(expected)) => value == expected,
            _ => text.parse::<f64>().ok() == expected.as_f64(),
        }
    }

    /// The content of a string, still escaped; `None` for anything else.
    fn string(self) -> Option<&'a [u8]> {
        let content = self.raw.strip_prefix(b"\"")?;
        content.strip_suffix(b"\"")
    }

    /// The members of an object, in order: names, still escaped, and values. Ends early where the text is not JSON,
    /// with an error as its last item.
    pub(super) fn members(self) -> Members<'a> {
        Members {
            rest: self.raw.strip_prefix(b"{").unwrap_or_default(),
            named: true,
        }
    }

    /// The elements of an array, likewise, with empty names.
    pub(super) fn elements(self) -> Members<'a> {
        Members {
            rest: self.raw.strip_prefix(b"[").unwrap_or_default(),
            named: false,
        }
    }
}

/// The text is not JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotJson;

/// The parts of an object or array.
pub(super) struct Members<'a> {
    rest: &'a [u8],
    named: bool,
}

impl<'a> Members<'a> {
    fn read(&mut self) -> Option<(&'a [u8], JsonValue<'a>)> {
        let bytes = self.rest;
        let mut position = skip_blanks(bytes, 0);
        let mut name: &[u8] = b"";
        if self.named {
            let end = string_end(bytes, position)?;
            name = &bytes[position + 1..end - 1];
            position = skip_blanks(bytes, end);
            (bytes.get(position) == Some(&b':')).then_some(())?;
            position += 1;
        }
        let value = JsonValue::at_start(&bytes[position..])?;
        position = skip_blanks(bytes, position);
        self.rest = &bytes[position + value.raw.len()..];
        Some((name, value))
    }

    /// True if there are no more members; otherwise moves past the comma.
    fn at_end(&mut self) -> bool {
        let position = skip_blanks(self.rest, 0);
        let last = matches!(self.rest.get(position), None | Some(b'}' | b']'));
        if last {
            self.rest = b"";
        } else if self.rest[position] == b',' {
            self.rest = &self.rest[position + 1..];
        }
        last
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = Result<(&'a [u8], JsonValue<'a>), NotJson>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at_end() {
            return None;
        }
        let member = self.read();
        if member.is_none() {
            self.rest = b"";
        }
        Some(member.ok_or(NotJson))
    }
}

fn skip_blanks(bytes: &[u8], from: usize) -> usize {
    let blank = |byte: &&u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    from + bytes[from.min(bytes.len())..]
        .iter()
        .take_while(blank)
        .count()
}

/// The position after the string that begins at `start`.
fn string_end(bytes: &[u8], start: usize) -> Option<usize> {
    (*bytes.get(start)? == b'"').then_some(())?;
    let mut position = start + 1;
    loop {
        match *bytes.get(position)? {
            b'"' => return Some(position + 1),
            b'\\' => position += 2,
            _ => position += 1,
        }
    }
}

/// The position after the value that begins at `start`. Uses no stack, however deeply the value is nested.
fn value_end(bytes: &[u8], start: usize) -> Option<usize> {
    let (mut position, mut depth) = (start, 0_usize);
    loop {
        match *bytes.get(position)? {
            b'"' => position = string_end(bytes, position)?,
            b'{' | b'[' => {
                depth += 1;
                position += 1;
            }
            b'}' | b']' => {
                depth = depth.checked_sub(1)?;
                position += 1;
            }
            _ if depth > 0 => {
                position += 1;
                continue;
            }
            _ => {
                let inside =
                    |byte: &&u8| !matches!(byte, b',' | b']' | b'}' | b' ' | b'\t' | b'\r' | b'\n');
                let length = bytes[position..].iter().take_while(inside).count();
                return (length > 0).then_some(position + length);
            }
        }
        if depth == 0 {
            return Some(position);
        }
    }
}

/// True for a number, `true`, `false` and `null`.
pub(super) fn is_scalar(text: &[u8]) -> bool {
    matches!(text, b"true" | b"false" | b"null") || is_number(text)
}

/// True for a number by RFC 8259.
fn is_number(text: &[u8]) -> bool {
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let text = text.strip_prefix(b"-").unwrap_or(text);
    let whole = digits(text);
    if whole == 0 || (whole > 1 && text[0] == b'0') {
        return false;
    }
    let mut rest = &text[whole..];
    if let Some(fraction) = rest.strip_prefix(b".") {
        let length = digits(fraction);
        if length == 0 {
            return false;
        }
        rest = &fraction[length..];
    }
    if let Some((b'e' | b'E', exponent)) = rest.split_first() {
        let exponent = match exponent {
            [b'+' | b'-', digits @ ..] => digits,
            unsigned => unsigned,
        };
        let length = digits(exponent);
        return length > 0 && length == exponent.len();
    }
    rest.is_empty()
}

/// True if the escaped content of a string is `expected`.
pub(super) fn is_text(content: &[u8], expected: &[u8]) -> bool {
    if !content.contains(&b'\\') {
        return content == expected;
    }
    let (mut rest, mut equal) = (expected, true);
    unescape(content, |part| match rest.strip_prefix(part) {
        Some(behind) => rest = behind,
        None => equal = false,
    });
    equal && rest.is_empty()
}

/// Passes the parts of a string's content on, unescaped.
fn unescape(content: &[u8], mut emit: impl FnMut(&[u8])) {
    let mut rest = content;
    while let Some(length) = rest.iter().position(|byte| *byte == b'\\') {
        emit(&rest[..length]);
        let escape = &rest[length + 1..];
        rest = match escape.first() {
            Some(b'u') => {
                let (letter, behind) = unicode(&escape[1..]);
                emit(letter.encode_utf8(&mut [0; 4]).as_bytes());
                behind
            }
            Some(letter) => {
                emit(&[control(*letter)]);
                &escape[1..]
            }
            None => escape,
        };
    }
    emit(rest);
}

fn control(letter: u8) -> u8 {
    match letter {
        b'b' => 0x08,
        b'f' => 0x0c,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        itself => itself,
    }
}

/// The character of a `\u` escape, which may be a surrogate pair, and the rest.
fn unicode(digits: &[u8]) -> (char, &[u8]) {
    let (first, behind) = hex4(digits);
    if (0xD800..0xDC00).contains(&first)
        && let Some(digits) = behind.strip_prefix(b"\\u")
        && let (second @ 0xDC00..0xE000, behind) = hex4(digits)
    {
        let code = 0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00);
        return (
            char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER),
            behind,
        );
    }
    (
        char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER),
        behind,
    )
}

/// The value of four hexadecimal digits, and the rest; a surrogate, which is not a character, if there are not four.
fn hex4(digits: &[u8]) -> (u32, &[u8]) {
    let (four, behind) = digits.split_at(digits.len().min(4));
    let text = std::str::from_utf8(four).unwrap_or_default();
    let code = u32::from_str_radix(text, 16).ok();
    (code.filter(|_| four.len() == 4).unwrap_or(0xDFFF), behind)
}

/// The escaped content of a string, unescaped.
pub(super) fn text_of(content: &[u8]) -> String {
    let mut text = Vec::new();
    unescape(content, |part| text.extend_from_slice(part));
    String::from_utf8_lossy(&text).into_owned()
}
