//! Values bound to the parameters of a prepared statement.
//!
//! Numbers are sent in binary, as drivers do; text is sent as text, which works for any type. Binary needs a statement
//! parsed with matching OIDs ([`Parameter::oid`]).

/// Encoding of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// As in SQL.
    #[default]
    Text,
    /// The type's binary form: big-endian numbers, raw bytes.
    Binary,
}

impl Format {
    pub(super) fn code(self) -> i16 {
        match self {
            Format::Text => 0,
            Format::Binary => 1,
        }
    }
}

/// A bound value; numbers and `bytea` are sent in binary.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Parameter<'a> {
    /// NULL of any type.
    Null,
    /// Text, or the textual form of any other type.
    Text(&'a str),
    Int4(i32),
    Int8(i64),
    Float8(f64),
    Bytea(&'a [u8]),
}

impl Parameter<'_> {
    /// The OID to parse the statement with; 0 (inferred by the server) for NULL and text.
    pub fn oid(&self) -> u32 {
        match self {
            Parameter::Null | Parameter::Text(_) => 0,
            Parameter::Int4(_) => 23,
            Parameter::Int8(_) => 20,
            Parameter::Float8(_) => 701,
            Parameter::Bytea(_) => 17,
        }
    }

    pub(super) fn format(&self) -> Format {
        match self {
            Parameter::Null | Parameter::Text(_) => Format::Text,
            _ => Format::Binary,
        }
    }

    /// Calls `write` with the value's bytes, or with `None` for NULL.
    pub(super) fn with_bytes<T>(&self, write: impl FnOnce(Option<&[u8]>) -> T) -> T {
        match self {
            Parameter::Null => write(None),
            Parameter::Text(text) => write(Some(text.as_bytes())),
            Parameter::Int4(number) => write(Some(&number.to_be_bytes())),
            Parameter::Int8(number) => write(Some(&number.to_be_bytes())),
            Parameter::Float8(number) => write(Some(&number.to_be_bytes())),
            Parameter::Bytea(bytes) => write(Some(bytes)),
        }
    }
}
