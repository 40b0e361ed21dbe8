//! The supported types, and their values on the wire in text and binary.
//!
//! A column is declared to SQLite under a name that selects the affinity and identifies the type again when a result is
//! described. Dates, times and JSON are text. `query.rs` finds the types of expressions.

use std::ffi::CStr;

use bytes::{Buf, BufMut};
use rusqlite::types::{Value, ValueRef};

use super::error::{SqlError, SqlResult};
use super::token::Statement;

/// The supported types, with their oids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    Bool = 16,
    Bytea = 17,
    Int8 = 20,
    Int2 = 21,
    Int4 = 23,
    Text = 25,
    Float4 = 700,
    Float8 = 701,
}

impl Type {
    const ALL: [Type; 8] = {
        use Type::*;
        [Bool, Bytea, Int2, Int4, Int8, Float4, Float8, Text]
    };

    /// Bytes of a value (-1 for any number), declaration and affinity in SQLite.
    fn facts(self) -> (i16, &'static str, &'static str) {
        match self {
            Type::Bool => (1, "BOOL", "INTEGER"),
            Type::Bytea => (-1, "BYTEA", "BLOB"),
            Type::Int2 => (2, "INT2", "INTEGER"),
            Type::Int4 => (4, "INT4", "INTEGER"),
            Type::Int8 => (8, "INT8", "INTEGER"),
            Type::Float4 => (4, "FLOAT4", "REAL"),
            Type::Float8 => (8, "FLOAT8", "REAL"),
            Type::Text => (-1, "TEXT", "TEXT"),
        }
    }

    pub(crate) fn width(self) -> i16 {
        self.facts().0
    }

    /// The SQLite type for a cast.
    pub(crate) fn affinity(self) -> &'static str {
        self.facts().2
    }

    pub(crate) fn is_integer(self) -> bool {
        matches!(self, Type::Int2 | Type::Int4 | Type::Int8)
    }

    pub(crate) fn is_float(self) -> bool {
        matches!(self, Type::Float4 | Type::Float8)
    }

    /// A column of SQLite with this type and these constraints, and a check that keeps other values out, named after its
    /// error.
    pub(crate) fn column(self, name: &str, constraints: &str, max_length: Option<u32>) -> String {
        let (_, declaration, affinity) = self.facts();
        let (state, check) = match (self, max_length) {
            (Type::Text, Some(length)) => ("22001", format!("length({name}) <= {length}")),
            (Type::Text, None) => ("22001", "true".to_owned()),
            (Type::Bool, _) => ("22P02", format!("{name} IN (0, 1)")),
            _ if self.is_integer() => {
                let max = i64::MAX >> (64 - 8 * self.width());
                ("22003", format!("{name} BETWEEN {} AND {max}", -max - 1))
            }
            _ => {
                let storage = affinity.to_ascii_lowercase();
                ("22P02", format!("typeof({name}) IN ('{storage}', 'null')"))
            }
        };
        let error = format!("{state} value does not fit into {declaration}");
        format!("{name} {declaration}{constraints} CONSTRAINT \"{error}\" CHECK ({check})")
    }

    /// The type of a column as SQLite reports it. Only a serial column is declared `INTEGER`; one of eight bytes has
    /// the collation `RTRIM`, which has no meaning for a number.
    pub(crate) fn of_column(declaration: Option<&CStr>, collation: Option<&CStr>) -> Option<Self> {
        match declaration?.to_str().ok()? {
            "INTEGER" if collation == Some(c"RTRIM") => Some(Type::Int8),
            "INTEGER" => Some(Type::Int4),
            other => Type::ALL.into_iter().find(|ty| ty.facts().1 == other),
        }
    }

    /// The type that a client declared for a parameter, if any; for unknown types only the text form is understood.
    pub(crate) fn of_oid(oid: u32) -> Option<Self> {
        const UNKNOWN: [u32; 2] = [0, 705];
        let known = Type::ALL.into_iter().find(|ty| *ty as u32 == oid);
        known.or((!UNKNOWN.contains(&oid)).then_some(Type::Text))
    }

    fn check_range(self, number: i64) -> SqlResult<i64> {
        if self.is_integer() && !matches!(number >> (8 * self.width() - 1), 0 | -1) {
            return Err(self.out_of_range());
        }
        Ok(number)
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
    end = statement.skip_any(end, "precision");
    end = statement.skip_any(end, "varying");
    if statement.at(end).is("(") {
        end = statement.after(end);
    }
    end = statement.skip_any(end, "with time zone");
    end = statement.skip_any(end, "without time zone");
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
    out.put_i32(-1);
    match value {
        ValueRef::Null => return Ok(()),
        ValueRef::Text(text) if ty == Type::Text => out.put_slice(text),
        ValueRef::Blob(bytes) if ty == Type::Bytea && is_binary => out.put_slice(bytes),
        ValueRef::Blob(bytes) if ty == Type::Bytea => {
            out.put_slice(b"\\x");
            let hex = bytes.iter().map(|byte| format!("{byte:02x}"));
            hex.for_each(|digits| out.put_slice(digits.as_bytes()));
        }
        ValueRef::Integer(number) if ty.is_float() => write_real(out, number as f64, ty, is_binary),
        ValueRef::Integer(number) => write_integer(out, ty.check_range(number)?, ty, is_binary),
        ValueRef::Real(number) if ty.is_float() || ty == Type::Text => {
            write_real(out, number, ty, is_binary);
        }
        _ => return Err(SqlError::unsupported(format!("a value unlike {ty:?}"))),
    }
    let length = (out.len() - start - 4) as u32;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

fn write_integer(out: &mut Vec<u8>, number: i64, ty: Type, is_binary: bool) {
    match ty {
        Type::Bool if is_binary => out.put_u8((number != 0).into()),
        Type::Bool => out.put_u8(if number == 0 { b'f' } else { b't' }),
        _ if is_binary && ty.is_integer() => out.put_int(number, ty.width() as usize),
        _ => out.extend(number.to_string().bytes()),
    }
}

fn write_real(out: &mut Vec<u8>, number: f64, ty: Type, is_binary: bool) {
    let (shortest, precision) = match ty {
        Type::Float4 if is_binary => return out.put_f32(number as f32),
        Type::Float8 if is_binary => return out.put_f64(number),
        Type::Float4 => (format!("{:e}", number as f32), 6),
        _ => (format!("{number:e}"), 15),
    };
    // PostgreSQL writes an exponent if more digits than these would be needed.
    let (mantissa, exponent) = shortest.split_once('e').unwrap_or((&shortest, "0"));
    let text = match exponent.parse::<i32>() {
        Ok(exponent) if exponent < -4 => format!("{mantissa}e-{:02}", -exponent),
        Ok(exponent) if exponent >= precision => format!("{mantissa}e+{exponent:02}"),
        _ => shortest.parse().unwrap_or(number).to_string(),
    };
    out.extend(text.replace("inf", "Infinity").bytes());
}

/// Reads a parameter.
pub(crate) fn read_value(data: &[u8], oid: u32, is_binary: bool) -> SqlResult<Value> {
    let ty = Type::of_oid(oid).unwrap_or(Type::Text);
    const NAME_BPCHAR_VARCHAR: [u32; 3] = [19, 1042, 1043];
    if is_binary && oid != ty as u32 && !NAME_BPCHAR_VARCHAR.contains(&oid) {
        return Err(SqlError::unsupported("a binary parameter of this type"));
    }
    if !is_binary || ty == Type::Text {
        let invalid = |_| SqlError::new("22021", "invalid UTF-8");
        return parse(std::str::from_utf8(data).map_err(invalid)?, ty);
    }
    if ty == Type::Bytea {
        return Ok(Value::Blob(data.to_vec()));
    }
    if data.len() != ty.width() as usize {
        let message = format!("incorrect binary data for type {ty:?}");
        return Err(SqlError::new("22P03", message));
    }
    let integer = (&mut &data[..]).get_int(data.len());
    match ty {
        Type::Float4 => real(f32::from_bits(integer as u32).into()),
        Type::Float8 => real(f64::from_bits(integer as u64)),
        _ => Ok(Value::Integer(integer)),
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
    let message = || format!("invalid input for type {ty:?}: \"{text}\"");
    let invalid = || SqlError::new("22P02", message());
    let trimmed = text.trim_ascii();
    match ty {
        Type::Text => Ok(Value::Text(text.to_owned())),
        Type::Bool => match trimmed.to_ascii_lowercase().as_str() {
            "t" | "true" | "y" | "yes" | "on" | "1" => Ok(Value::Integer(1)),
            "f" | "false" | "n" | "no" | "off" | "0" => Ok(Value::Integer(0)),
            _ => Err(invalid()),
        },
        Type::Int2 | Type::Int4 | Type::Int8 => {
            let number: i128 = trimmed.parse().map_err(|_| invalid())?;
            let number = i64::try_from(number).map_err(|_| ty.out_of_range())?;
            Ok(Value::Integer(ty.check_range(number)?))
        }
        Type::Float4 | Type::Float8 => real(trimmed.parse().map_err(|_| invalid())?),
        Type::Bytea => {
            let digits = text.strip_prefix("\\x").ok_or_else(invalid)?;
            let byte = |at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
            let bytes: Option<Vec<u8>> = (0..digits.len()).step_by(2).map(byte).collect();
            bytes.map(Value::Blob).ok_or_else(invalid)
        }
    }
}
