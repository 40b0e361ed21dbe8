//! Encodings of a value for its place in a request, so that no value can change the structure around it.
//!
//! A value that no encoding makes valid is refused. `|raw` turns escaping off, but bytes that would end a header or
//! request line are still refused.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use url::form_urlencoded::byte_serialize;

use super::json;

/// Everything but RFC 3986's unreserved characters.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The context of a value, which determines its encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// As it is: a plain text, a parameter of a statement.
    None,
    /// A path with its query: percent-encoded.
    Percent,
    /// `application/x-www-form-urlencoded`: percent-encoded, with `+` for a space.
    Form,
    /// JSON: within quotes a string's content, elsewhere a number, `true`, `false` or `null`.
    Json,
    /// A header's value: as it is, and refused if it holds a control character.
    Header,
}

/// The treatment of one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Escape {
    None,
    Percent,
    Form,
    JsonString,
    JsonScalar,
    Header,
    /// An already encoded value in a path.
    Target,
}

impl Encoding {
    /// The treatment of a value in this place; `quoted` if it stands in a JSON string.
    pub(super) fn escape(self, raw: bool, quoted: bool) -> Escape {
        match (self, raw) {
            (Self::Header, _) => Escape::Header,
            (Self::Percent, true) => Escape::Target,
            (_, true) | (Self::None, _) => Escape::None,
            (Self::Percent, _) => Escape::Percent,
            (Self::Form, _) => Escape::Form,
            (Self::Json, _) if quoted => Escape::JsonString,
            (Self::Json, _) => Escape::JsonScalar,
        }
    }
}

impl Escape {
    /// Upper bound of the encoded length of one byte.
    pub(super) fn growth(self) -> usize {
        match self {
            Self::Percent | Self::Form => 3,
            Self::JsonString => 6,
            Self::None | Self::JsonScalar | Self::Header | Self::Target => 1,
        }
    }

    /// Appends the encoded value. An error says why the value is refused; nothing is appended then.
    #[inline]
    pub(super) fn write(self, value: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
        match self {
            Self::None => out.extend_from_slice(value),
            Self::Percent => {
                percent_encode(value, RESERVED)
                    .for_each(|part| out.extend_from_slice(part.as_bytes()));
            }
            Self::Form => {
                byte_serialize(value).for_each(|part| out.extend_from_slice(part.as_bytes()));
            }
            Self::JsonString => return write_json_string(value, out),
            Self::JsonScalar if json::is_scalar(value) => out.extend_from_slice(value),
            Self::JsonScalar => {
                return Err(
                    "expected a number, `true`, `false` or `null` outside of quotes in JSON",
                );
            }
            Self::Header if !value.iter().any(|byte| is_control(*byte)) => {
                out.extend_from_slice(value);
            }
            Self::Header => return Err("got a control character, which a header cannot hold"),
            Self::Target if value.iter().all(u8::is_ascii_graphic) => out.extend_from_slice(value),
            Self::Target => {
                return Err(
                    "got a space, control or non-ASCII character, which a path cannot hold as it is",
                );
            }
        }
        Ok(())
    }
}

/// Every control character but the tab.
fn is_control(byte: u8) -> bool {
    byte.is_ascii_control() && byte != b'\t'
}

fn write_json_string(value: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
    if std::str::from_utf8(value).is_err() {
        return Err("got bytes that are not UTF-8, which JSON cannot hold");
    }
    let mut rest = value;
    while let Some(length) = rest.iter().position(|byte| needs_escape(*byte)) {
        let (plain, special) = rest.split_at(length);
        out.extend_from_slice(plain);
        escape_json(special[0], out);
        rest = &special[1..];
    }
    out.extend_from_slice(rest);
    Ok(())
}

fn needs_escape(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

fn escape_json(byte: u8, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    match byte {
        b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        _ => {
            let digits = [byte >> 4, byte & 15].map(|digit| HEX[usize::from(digit)]);
            out.extend_from_slice(b"\\u00");
            out.extend_from_slice(&digits);
        }
    }
}
