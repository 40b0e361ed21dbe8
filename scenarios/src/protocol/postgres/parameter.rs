//! Values bound to the parameters of a prepared statement.
//!
//! Numbers travel in binary, as drivers send them; text travels as text, which suits a parameter of any type. The
//! statement must have been parsed with matching OIDs ([`Parameter::oid`]) where binary is used. Read next:
//! `encode.rs`.

/// How values are written: as text, or as the type's own binary form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// As in SQL.
    #[default]
    Text,
    /// Big-endian numbers, raw bytes.
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

/// One bound value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Parameter<'a> {
    /// Null of any type.
    Null,
    /// Text, or the textual form of any other type.
    Text(&'a str),
    /// `int4`, in binary.
    Int4(i32),
    /// `int8`, in binary.
    Int8(i64),
    /// `float8`, in binary.
    Float8(f64),
    /// `bytea`, in binary.
    Bytea(&'a [u8]),
}

impl Parameter<'_> {
    /// The OID to parse the statement with; 0, which lets the server decide, for null and text.
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

    /// Calls `write` with the value's bytes, or with `None` for a null.
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
