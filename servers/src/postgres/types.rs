//! The supported types, and their values on the wire in text and binary.
//!
//! A column is declared to SQLite under a name that selects the affinity and identifies the type again when a result is
//! described. Dates, times and JSON are text. `infer.rs` finds the types of expressions.

use std::ffi::CStr;
use std::io::Write;
use std::num::IntErrorKind;

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
}

impl Type {
    const ALL: [Type; 8] = {
        use Type::*;
        [Bool, Bytea, Int2, Int4, Int8, Float4, Float8, Text]
    };

    /// Oid, bytes of a value (-1 for any number), declaration in SQLite, and the check of a column called `$`.
    fn facts(self) -> (u32, i16, &'static str, &'static str) {
        match self {
            Type::Bool => (16, 1, "BOOL", "$ IN (0, 1)"),
            Type::Bytea => (17, -1, "BYTEA", "typeof($) IN ('blob', 'null')"),
            Type::Int2 => (21, 2, "INT2", "$ BETWEEN -32768 AND 32767"),
            Type::Int4 => (23, 4, "INT4", "$ BETWEEN -2147483648 AND 2147483647"),
            Type::Int8 => (20, 8, "INT8", "typeof($) IN ('integer', 'null')"),
            Type::Float4 => (700, 4, "FLOAT4", "typeof($) IN ('real', 'null')"),
            Type::Float8 => (701, 8, "FLOAT8", "typeof($) IN ('real', 'null')"),
            Type::Text => (25, -1, "TEXT", "true"),
        }
    }

    pub(crate) fn oid(self) -> u32 {
        self.facts().0
    }

    pub(crate) fn width(self) -> i16 {
        self.facts().1
    }

    pub(crate) fn is_integer(self) -> bool {
        matches!(self, Type::Int2 | Type::Int4 | Type::Int8)
    }

    pub(crate) fn is_float(self) -> bool {
        matches!(self, Type::Float4 | Type::Float8)
    }

    /// The SQLite type for a cast.
    pub(crate) fn affinity(self) -> &'static str {
        match self {
            Type::Text => "TEXT",
            Type::Bytea => "BLOB",
            Type::Float4 | Type::Float8 => "REAL",
            Type::Bool | Type::Int2 | Type::Int4 | Type::Int8 => "INTEGER",
        }
    }

    /// A column of SQLite with this type and these constraints, and a check that keeps other values out, named after its
    /// error.
    pub(crate) fn column(self, name: &str, constraints: &str, max_length: Option<u32>) -> String {
        let (_, _, declaration, check) = self.facts();
        let (state, check) = match max_length {
            Some(length) if self == Type::Text => ("22001", format!("length({name}) <= {length}")),
            _ if check.contains("BETWEEN") => ("22003", check.replace('$', name)),
            _ => ("22P02", check.replace('$', name)),
        };
        let error = format!("{state} value does not fit into {declaration}");
        format!("{name} {declaration}{constraints} CONSTRAINT \"{error}\" CHECK ({check})")
    }

    /// The type of a column as SQLite reports it. Only a serial column is declared `INTEGER`; one of eight bytes has
    /// the collation `RTRIM`, which has no meaning for a number.
    pub(crate) fn of_column(
        (declaration, collation): (Option<&CStr>, Option<&CStr>),
    ) -> Option<Self> {
        match declaration?.to_str().ok()? {
            "INTEGER" if collation == Some(c"RTRIM") => Some(Type::Int8),
            "INTEGER" => Some(Type::Int4),
            other => Type::ALL.into_iter().find(|ty| ty.facts().2 == other),
        }
    }

    /// The type that a client declared for a parameter, if any; for unknown types only the text form is understood.
    pub(crate) fn of_oid(oid: u32) -> Option<Self> {
        const UNKNOWN: [u32; 2] = [0, 705];
        let known = Type::ALL.into_iter().find(|ty| ty.oid() == oid);
        known.or((!UNKNOWN.contains(&oid)).then_some(Type::Text))
    }

    fn check_range(self, number: i64) -> SqlResult<i64> {
        match self {
            Type::Int2 if i16::try_from(number).is_err() => Err(self.out_of_range()),
            Type::Int4 if i32::try_from(number).is_err() => Err(self.out_of_range()),
            _ => Ok(number),
        }
    }

    fn out_of_range(self) -> SqlError {
        SqlError::new("22003", format!("value out of range for type {self:?}"))
    }
}

/// Reads the type at `at`, and returns the position after it; true if it is serial.
pub(crate) fn written_type(statement: &Statement<'_>, at: usize) -> SqlResult<(Type, usize, bool)> {
    let (_, name, mut end) = statement.qualified(at)?;
    let ty = match name.as_str() {
        "bool" | "boolean" => Type::Bool,
        "bytea" => Type::Bytea,
        "smallint" | "int2" => Type::Int2,
        "integer" | "int" | "int4" | "serial" => Type::Int4,
        "bigint" | "int8" | "bigserial" => Type::Int8,
        "real" | "float4" => Type::Float4,
        "double" | "float8" | "float" => Type::Float8,
        "text" | "varchar" | "character" | "char" | "bpchar" | "json" | "jsonb" => Type::Text,
        "timestamp" | "timestamptz" | "date" | "time" | "timetz" => Type::Text,
        _ => return Err(SqlError::unsupported(format_args!("type {name}"))),
    };
    end = statement.skip(end, "precision").unwrap_or(end);
    end = statement.skip(end, "varying").unwrap_or(end);
    if statement.at(end).is_operator("(") {
        end = statement.after(end);
    }
    end = statement.skip(end, "with time zone").unwrap_or(end);
    end = statement.skip(end, "without time zone").unwrap_or(end);
    Ok((ty, end, name.contains("serial")))
}

/// Appends a value with its length before it; NULL has the length -1.
pub(crate) fn write_value(
    out: &mut Vec<u8>,
    value: ValueRef<'_>,
    ty: Type,
    is_binary: bool,
) -> SqlResult<()> {
    let start = out.len();
    out.extend_from_slice(&(-1i32).to_be_bytes());
    match value {
        ValueRef::Null => return Ok(()),
        ValueRef::Text(text) if ty == Type::Text => out.extend_from_slice(text),
        ValueRef::Blob(bytes) if ty == Type::Bytea && is_binary => out.extend_from_slice(bytes),
        ValueRef::Blob(bytes) if ty == Type::Bytea => out.extend(hex(bytes).bytes()),
        ValueRef::Integer(number) if ty.is_float() => write_real(out, number as f64, ty, is_binary),
        ValueRef::Integer(number) => write_integer(out, ty.check_range(number)?, ty, is_binary),
        ValueRef::Real(number) if ty.is_float() || ty == Type::Text => {
            write_real(out, number, ty, is_binary);
        }
        _ => {
            return Err(SqlError::unsupported(format_args!(
                "a value that is no {ty:?}, as announced"
            )));
        }
    }
    let length = (out.len() - start - 4) as u32;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
    std::iter::once("\\x".to_owned()).chain(digits).collect()
}

fn write_integer(out: &mut Vec<u8>, number: i64, ty: Type, is_binary: bool) {
    match ty {
        Type::Bool if is_binary => out.push((number != 0).into()),
        Type::Bool => out.push(if number == 0 { b'f' } else { b't' }),
        _ if is_binary && ty.is_integer() => {
            out.extend_from_slice(&number.to_be_bytes()[8 - ty.width() as usize..]);
        }
        // Writing to a vector does not fail.
        _ => drop(write!(out, "{number}")),
    }
}

fn write_real(out: &mut Vec<u8>, number: f64, ty: Type, is_binary: bool) {
    let (plain, scientific, precision) = match ty {
        Type::Float4 if is_binary => return out.extend_from_slice(&(number as f32).to_be_bytes()),
        Type::Float8 if is_binary => return out.extend_from_slice(&number.to_be_bytes()),
        Type::Float4 => (
            format!("{}", number as f32),
            format!("{:e}", number as f32),
            6,
        ),
        _ => (format!("{number}"), format!("{number:e}"), 15),
    };
    // PostgreSQL writes an exponent if more digits than these would be needed.
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&plain, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let _ = if (-4..precision).contains(&exponent) {
        write!(out, "{}", plain.replace("inf", "Infinity"))
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        write!(out, "{mantissa}e{sign}{:02}", exponent.abs())
    };
}

/// Reads a parameter; `oid` is the type that the client declared, or the one it was told.
pub(crate) fn read_value(data: &[u8], ty: Type, oid: u32, is_binary: bool) -> SqlResult<Value> {
    const NAME_BPCHAR_VARCHAR: [u32; 3] = [19, 1042, 1043];
    if !is_binary {
        let invalid = |_| SqlError::new("22021", "invalid UTF-8");
        return parse(std::str::from_utf8(data).map_err(invalid)?, ty);
    }
    if oid != ty.oid() && !NAME_BPCHAR_VARCHAR.contains(&oid) {
        return Err(SqlError::unsupported("a binary parameter of this type"));
    }
    if ty.width() >= 0 && data.len() != ty.width() as usize {
        let message = format!("incorrect binary data for type {ty:?}");
        return Err(SqlError::new("22P03", message));
    }
    let sign = -i64::from(data.first().is_some_and(|byte| *byte >= 0x80));
    let append = |number: i64, byte: &u8| number << 8 | i64::from(*byte);
    let integer = || data.iter().fold(sign, append);
    match ty {
        Type::Text => read_value(data, ty, oid, false),
        Type::Bytea => Ok(Value::Blob(data.to_vec())),
        Type::Float4 => real(f32::from_bits(integer() as u32).into()),
        Type::Float8 => real(f64::from_bits(integer() as u64)),
        Type::Bool | Type::Int2 | Type::Int4 | Type::Int8 => Ok(Value::Integer(integer())),
    }
}

fn real(number: f64) -> SqlResult<Value> {
    if number.is_nan() {
        return Err(SqlError::unsupported("NaN"));
    }
    Ok(Value::Real(number))
}

/// Reads a value from its text form.
pub(crate) fn parse(text: &str, ty: Type) -> SqlResult<Value> {
    let invalid = || {
        SqlError::new(
            "22P02",
            format!("invalid input for type {ty:?}: \"{text}\""),
        )
    };
    let trimmed = text.trim_ascii();
    match ty {
        Type::Text => Ok(Value::Text(text.to_owned())),
        Type::Bool => match trimmed.to_ascii_lowercase().as_str() {
            "t" | "true" | "y" | "yes" | "on" | "1" => Ok(Value::Integer(1)),
            "f" | "false" | "n" | "no" | "off" | "0" => Ok(Value::Integer(0)),
            _ => Err(invalid()),
        },
        Type::Int2 | Type::Int4 | Type::Int8 => match trimmed.parse() {
            Ok(number) => Ok(Value::Integer(ty.check_range(number)?)),
            Err(error) => Err(match error.kind() {
                IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => ty.out_of_range(),
                _ => invalid(),
            }),
        },
        Type::Float4 | Type::Float8 => real(trimmed.parse().map_err(|_| invalid())?),
        Type::Bytea => {
            let digits = text.strip_prefix("\\x").ok_or_else(invalid)?;
            let byte = |at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
            let bytes: Option<Vec<u8>> = (0..digits.len()).step_by(2).map(byte).collect();
            bytes.map(Value::Blob).ok_or_else(invalid)
        }
    }
}
