//! The types this server knows, and their values on the wire in text and binary.
//!
//! A column is declared to SQLite under a name that both chooses the affinity and tells the type when a result is
//! described. Dates and times are text. Where types come from is in `infer.rs`.

use std::io::Write;

use rusqlite::types::{Value, ValueRef};

use super::error::{SqlError, SqlResult};
use super::token::Statement;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    Bool,
    Bytea,
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
    Text,
    Json,
}

/// A type as it is written in SQL, such as `varchar(20)` or `bigserial`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WrittenType {
    pub(crate) ty: Type,
    /// Characters at most, of `varchar(n)` and `char(n)`.
    pub(crate) max_length: Option<u32>,
    pub(crate) is_serial: bool,
    /// Tokens it takes.
    pub(crate) tokens: usize,
}

/// Types of PostgreSQL that this server leaves out.
const UNSUPPORTED: [&str; 20] = [
    "numeric",
    "decimal",
    "interval",
    "uuid",
    "money",
    "inet",
    "cidr",
    "macaddr",
    "bit",
    "varbit",
    "xml",
    "point",
    "tsvector",
    "tsquery",
    "oid",
    "regclass",
    "regtype",
    "int4range",
    "hstore",
    "name",
];

impl Type {
    const ALL: [Type; 9] = [
        Type::Bool,
        Type::Bytea,
        Type::Int2,
        Type::Int4,
        Type::Int8,
        Type::Float4,
        Type::Float8,
        Type::Text,
        Type::Json,
    ];

    /// Object id, bytes of a value (-1 for any number), declaration in SQLite, and name in messages.
    fn facts(self) -> (u32, i16, &'static str, &'static str) {
        match self {
            Type::Bool => (16, 1, "BOOL", "boolean"),
            Type::Bytea => (17, -1, "BYTEA", "bytea"),
            Type::Int2 => (21, 2, "INT2", "smallint"),
            Type::Int4 => (23, 4, "INT4", "integer"),
            Type::Int8 => (20, 8, "INT8", "bigint"),
            Type::Float4 => (700, 4, "FLOAT4", "real"),
            Type::Float8 => (701, 8, "FLOAT8", "double precision"),
            Type::Text => (25, -1, "TEXT", "text"),
            Type::Json => (114, -1, "JSON TEXT", "json"),
        }
    }

    pub(crate) fn oid(self) -> u32 {
        self.facts().0
    }

    pub(crate) fn width(self) -> i16 {
        self.facts().1
    }

    pub(crate) fn declaration(self) -> &'static str {
        self.facts().2
    }

    pub(crate) fn name(self) -> &'static str {
        self.facts().3
    }

    pub(crate) fn of_oid(oid: u32) -> Option<Self> {
        Type::ALL.into_iter().find(|ty| ty.oid() == oid)
    }

    /// The type of a declared column. Only a serial one is declared `INTEGER`, and one of eight bytes has the collation
    /// `RTRIM`, which means nothing for a number.
    pub(crate) fn of_declaration(declaration: &str, collation: Option<&str>) -> Option<Self> {
        match (declaration, collation) {
            ("INTEGER", Some("RTRIM")) => Some(Type::Int8),
            ("INTEGER", _) => Some(Type::Int4),
            _ => Type::ALL
                .into_iter()
                .find(|ty| ty.declaration() == declaration),
        }
    }

    /// True for the types whose values travel here as they do in PostgreSQL, in binary too.
    pub(crate) fn is_native(oid: u32) -> bool {
        const NAME_BPCHAR_VARCHAR: [u32; 3] = [19, 1042, 1043];
        Type::of_oid(oid).is_some() || NAME_BPCHAR_VARCHAR.contains(&oid)
    }

    pub(crate) fn is_integer(self) -> bool {
        matches!(self, Type::Int2 | Type::Int4 | Type::Int8)
    }

    pub(crate) fn is_float(self) -> bool {
        matches!(self, Type::Float4 | Type::Float8)
    }
}

/// Reads the type at `at`.
pub(crate) fn written_type(statement: &Statement<'_>, at: usize) -> SqlResult<WrittenType> {
    let token = statement.at(at);
    if !token.is_name() {
        return Err(SqlError::syntax("expected a type"));
    }
    let is_qualified = token.is_word("pg_catalog") && statement.at(at + 1).is_operator(".");
    let first = if is_qualified { at + 2 } else { at };
    let name = statement.at(first).name();
    let mut next = first + 1;
    let is_double = name == "double" && statement.at(next).is_word("precision");
    if is_double || name == "character" && statement.at(next).is_word("varying") {
        next += 1;
    }
    let ty = match name.as_str() {
        "bool" | "boolean" => Type::Bool,
        "bytea" => Type::Bytea,
        "smallint" | "int2" | "smallserial" | "serial2" => Type::Int2,
        "integer" | "int" | "int4" | "serial" | "serial4" => Type::Int4,
        "bigint" | "int8" | "bigserial" | "serial8" => Type::Int8,
        "real" | "float4" => Type::Float4,
        "double" if is_double => Type::Float8,
        "float8" | "float" => Type::Float8,
        "text" | "varchar" | "character" | "char" | "bpchar" => Type::Text,
        "timestamp" | "timestamptz" | "date" | "time" | "timetz" => Type::Text,
        "json" | "jsonb" => Type::Json,
        other if UNSUPPORTED.contains(&other) => {
            return Err(SqlError::unsupported(format_args!("type {other}")));
        }
        other => {
            return Err(
                SqlError::new("42704", format!("type \"{other}\" does not exist")).with_hint(),
            );
        }
    };
    let mut max_length = None;
    if statement.at(next).is_operator("(") {
        let is_character = matches!(name.as_str(), "varchar" | "character" | "char" | "bpchar");
        max_length = statement
            .at(next + 1)
            .text
            .parse()
            .ok()
            .filter(|_| is_character);
        next = statement.after(next);
    }
    if name.starts_with("time")
        && statement.at(next).is_one_of(&["with", "without"])
        && statement.has_words(next + 1, &["time", "zone"])
    {
        next += 3;
    }
    if statement.at(next).is_operator("[") || statement.at(next).is_word("array") {
        return Err(SqlError::unsupported("an array"));
    }
    Ok(WrittenType {
        ty,
        max_length,
        is_serial: name.contains("serial"),
        tokens: next - at,
    })
}

/// Appends a value with its length before it; NULL has the length -1.
pub(crate) fn write_value(
    out: &mut Vec<u8>,
    value: ValueRef<'_>,
    ty: Type,
    is_binary: bool,
) -> SqlResult<()> {
    if value == ValueRef::Null {
        out.extend_from_slice(&(-1i32).to_be_bytes());
        return Ok(());
    }
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    if is_binary {
        write_binary(out, value, ty)?;
    } else {
        write_text(out, value, ty)?;
    }
    let length = (out.len() - start - 4) as u32;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

fn out_of_range(ty: Type) -> SqlError {
    SqlError::new("22003", format!("{} out of range", ty.name()))
}

/// A value of another kind than the type that was announced for its column.
fn mismatch(ty: Type) -> SqlError {
    SqlError::unsupported(format_args!(
        "a value that is no {} in such a column",
        ty.name()
    ))
}

fn check_range(number: i64, ty: Type) -> SqlResult<()> {
    let fits = match ty {
        Type::Int2 => i16::try_from(number).is_ok(),
        Type::Int4 => i32::try_from(number).is_ok(),
        _ => true,
    };
    if fits { Ok(()) } else { Err(out_of_range(ty)) }
}

fn write_text(out: &mut Vec<u8>, value: ValueRef<'_>, ty: Type) -> SqlResult<()> {
    match (value, ty) {
        (ValueRef::Integer(number), Type::Bool) => out.push(if number == 0 { b'f' } else { b't' }),
        (ValueRef::Integer(number), Type::Float4 | Type::Float8) => {
            write_float(out, number as f64, ty)
        }
        (ValueRef::Integer(number), _) => {
            check_range(number, ty)?;
            write_integer(out, number);
        }
        (ValueRef::Real(_), Type::Bool | Type::Int2 | Type::Int4 | Type::Int8) => {
            return Err(mismatch(ty));
        }
        (ValueRef::Real(number), _) => write_float(out, number, ty),
        (ValueRef::Text(text), Type::Text | Type::Json) => out.extend_from_slice(text),
        (ValueRef::Blob(bytes), Type::Bytea | Type::Text) => {
            out.extend_from_slice(b"\\x");
            for byte in bytes {
                out.extend(
                    [byte >> 4, byte & 15].map(|digit| b"0123456789abcdef"[usize::from(digit)]),
                );
            }
        }
        _ => return Err(mismatch(ty)),
    }
    Ok(())
}

fn write_integer(out: &mut Vec<u8>, number: i64) {
    // Writing to a vector does not fail.
    let _ = write!(out, "{number}");
}

/// The shortest digits that read back as the same number, in PostgreSQL's layout.
fn write_float(out: &mut Vec<u8>, number: f64, ty: Type) {
    let (scientific, precision) = match ty {
        Type::Float4 => (format!("{:e}", number as f32), 6),
        _ => (format!("{number:e}"), 15),
    };
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let _ = if number.is_infinite() {
        write!(out, "{}Infinity", if number < 0.0 { "-" } else { "" })
    } else if (-4..precision).contains(&exponent) && ty == Type::Float4 {
        write!(out, "{}", number as f32)
    } else if (-4..precision).contains(&exponent) {
        write!(out, "{number}")
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        write!(out, "{mantissa}e{sign}{:02}", exponent.abs())
    };
}

fn write_binary(out: &mut Vec<u8>, value: ValueRef<'_>, ty: Type) -> SqlResult<()> {
    match (ty, value) {
        (Type::Bool, ValueRef::Integer(number)) => out.push(u8::from(number != 0)),
        (Type::Int2, ValueRef::Integer(number)) => {
            check_range(number, ty)?;
            out.extend_from_slice(&(number as i16).to_be_bytes());
        }
        (Type::Int4, ValueRef::Integer(number)) => {
            check_range(number, ty)?;
            out.extend_from_slice(&(number as i32).to_be_bytes());
        }
        (Type::Int8, ValueRef::Integer(number)) => out.extend_from_slice(&number.to_be_bytes()),
        (Type::Float4 | Type::Float8, ValueRef::Integer(number)) => {
            return write_binary(out, ValueRef::Real(number as f64), ty);
        }
        (Type::Float4, ValueRef::Real(number)) => {
            out.extend_from_slice(&(number as f32).to_be_bytes())
        }
        (Type::Float8, ValueRef::Real(number)) => out.extend_from_slice(&number.to_be_bytes()),
        (Type::Bytea, ValueRef::Blob(bytes)) => out.extend_from_slice(bytes),
        (Type::Text | Type::Json, value) => return write_text(out, value, ty),
        _ => return Err(mismatch(ty)),
    }
    Ok(())
}

/// Reads a parameter of this type; `is_native` is false where the client declared a type that is text here.
pub(crate) fn read_value(
    data: &[u8],
    ty: Type,
    is_binary: bool,
    is_native: bool,
) -> SqlResult<Value> {
    if !is_binary {
        let text = std::str::from_utf8(data)
            .map_err(|_| SqlError::new("22021", "invalid byte sequence for encoding \"UTF8\""))?;
        return parse(text, ty);
    }
    if !is_native {
        return Err(SqlError::unsupported("a binary parameter of this type"));
    }
    let incorrect = || {
        SqlError::new(
            "22P03",
            format!("incorrect binary data for type {}", ty.name()),
        )
    };
    Ok(match (ty, data) {
        (Type::Bool, [byte]) => Value::Integer(i64::from(*byte != 0)),
        (Type::Int2, &[a, b]) => Value::Integer(i16::from_be_bytes([a, b]).into()),
        (Type::Int4, &[a, b, c, d]) => Value::Integer(i32::from_be_bytes([a, b, c, d]).into()),
        (Type::Float4, &[a, b, c, d]) => real(f32::from_be_bytes([a, b, c, d]).into())?,
        (Type::Int8, data) => Value::Integer(i64::from_be_bytes(
            data.try_into().map_err(|_| incorrect())?,
        )),
        (Type::Float8, data) => real(f64::from_be_bytes(
            data.try_into().map_err(|_| incorrect())?,
        ))?,
        (Type::Bytea, data) => Value::Blob(data.to_vec()),
        (Type::Text | Type::Json, data) => return read_value(data, ty, false, true),
        _ => return Err(incorrect()),
    })
}

fn real(number: f64) -> SqlResult<Value> {
    if number.is_nan() {
        return Err(SqlError::unsupported("NaN"));
    }
    Ok(Value::Real(number))
}

/// Reads a value from its text form.
pub(crate) fn parse(text: &str, ty: Type) -> SqlResult<Value> {
    let invalid = || SqlError::invalid_text(ty.name(), text);
    let trimmed = text.trim_ascii();
    Ok(match ty {
        Type::Text | Type::Json => Value::Text(text.to_owned()),
        Type::Bool => {
            let lower = trimmed.to_ascii_lowercase();
            let is_true = matches!(lower.as_str(), "t" | "true" | "y" | "yes" | "on" | "1");
            let is_false = matches!(lower.as_str(), "f" | "false" | "n" | "no" | "off" | "0");
            if !is_true && !is_false {
                return Err(invalid());
            }
            Value::Integer(is_true.into())
        }
        Type::Int2 | Type::Int4 | Type::Int8 => {
            let digits = trimmed.trim_start_matches(['-', '+']);
            if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(invalid());
            }
            let number = trimmed.parse().map_err(|_| out_of_range(ty))?;
            check_range(number, ty)?;
            Value::Integer(number)
        }
        Type::Float4 | Type::Float8 => real(trimmed.parse().map_err(|_| invalid())?)?,
        Type::Bytea => match text.strip_prefix("\\x") {
            Some(hex) => Value::Blob(decode_hex(hex).ok_or_else(invalid)?),
            None if text.contains('\\') => {
                return Err(SqlError::unsupported("the escape format of bytea"));
            }
            None => Value::Blob(text.as_bytes().to_vec()),
        },
    })
}

fn decode_hex(hex: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let pairs = hex.as_bytes().chunks(2);
    pairs
        .map(|pair| match pair {
            [high, low] => Some((digit(high)? * 16 + digit(low)?) as u8),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: Value, ty: Type, expected: &str) {
        let mut out = Vec::new();
        write_value(&mut out, (&value).into(), ty, false).expect("a value of the type");
        assert_eq!(String::from_utf8_lossy(&out[4..]), expected);
    }

    #[test]
    fn numbers_are_written_as_postgresql_writes_them() {
        for (number, expected) in [
            (0.1, "0.1"),
            (2.0, "2"),
            (1e14, "100000000000000"),
            (1e15, "1e+15"),
            (1e20, "1e+20"),
            (0.0001, "0.0001"),
            (1e-7, "1e-07"),
            (-1.5e300, "-1.5e+300"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            check(Value::Real(number), Type::Float8, expected);
        }
        check(Value::Real(f64::from(0.1f32)), Type::Float4, "0.1");
        check(Value::Integer(7), Type::Float8, "7");
        check(Value::Integer(1), Type::Bool, "t");
        check(Value::Blob(vec![0, 255]), Type::Bytea, "\\x00ff");
    }

    #[test]
    fn a_value_that_its_type_cannot_hold_is_refused() {
        let state = |value: Value, ty| {
            write_value(&mut Vec::new(), (&value).into(), ty, true)
                .map_err(|error| error.state().to_owned())
        };
        assert_eq!(
            state(Value::Integer(40_000), Type::Int2),
            Err("22003".into())
        );
        assert_eq!(
            state(Value::Text("x".into()), Type::Int4),
            Err("0A000".into())
        );
        assert_eq!(
            parse("abc", Type::Int4).map_err(|error| error.state().to_owned()),
            Err("22P02".into())
        );
        assert_eq!(
            parse("99999999999", Type::Int4).map_err(|error| error.state().to_owned()),
            Err("22003".into())
        );
        assert_eq!(
            parse("\\x0", Type::Bytea).map_err(|error| error.state().to_owned()),
            Err("22P02".into())
        );
    }
}
