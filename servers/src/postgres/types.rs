//! The supported types, and their values on the wire in text and binary.
//!
//! A column is declared to SQLite under a name that selects the affinity and identifies the type again when a result is
//! described. Dates, times and JSON are text. `infer.rs` finds the types of expressions.

use std::ffi::CStr;
use std::num::IntErrorKind;

use bytes::BufMut;
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

    /// Oid, bytes of a value (-1 for any number), declaration and affinity in SQLite, and the check of a column `$`.
    fn facts(self) -> (u32, i16, &'static str, &'static str, &'static str) {
        match self {
            Type::Bool => (16, 1, "BOOL", "INTEGER", "$ IN (0, 1)"),
            Type::Bytea => (17, -1, "BYTEA", "BLOB", "typeof($) IN ('blob', 'null')"),
            Type::Int2 => (21, 2, "INT2", "INTEGER", "$ BETWEEN -32768 AND 32767"),
            Type::Int4 => (
                23,
                4,
                "INT4",
                "INTEGER",
                "$ BETWEEN -2147483648 AND 2147483647",
            ),
            Type::Int8 => (20, 8, "INT8", "INTEGER", "typeof($) IN ('integer', 'null')"),
            Type::Float4 => (700, 4, "FLOAT4", "REAL", "typeof($) IN ('real', 'null')"),
            Type::Float8 => (701, 8, "FLOAT8", "REAL", "typeof($) IN ('real', 'null')"),
            Type::Text => (25, -1, "TEXT", "TEXT", "true"),
        }
    }

    pub(crate) fn oid(self) -> u32 {
        self.facts().0
    }

    pub(crate) fn width(self) -> i16 {
        self.facts().1
    }

    /// The SQLite type for a cast.
    pub(crate) fn affinity(self) -> &'static str {
        self.facts().3
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
        let (.., declaration, _, check) = self.facts();
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
    pub(crate) fn of_column(declaration: Option<&CStr>, collation: Option<&CStr>) -> Option<Self> {
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
pub(crate) fn written_type(statement: &Statement, at: usize) -> SqlResult<(Type, usize, bool)> {
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
    if statement.at(end).is_operator("(") {
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
            out.extend(
                bytes
                    .iter()
                    .flat_map(|byte| format!("{byte:02x}").into_bytes()),
            );
        }
        ValueRef::Integer(number) if ty.is_float() => write_real(out, number as f64, ty, is_binary),
        ValueRef::Integer(number) => write_integer(out, ty.check_range(number)?, ty, is_binary),
        ValueRef::Real(number) if ty.is_float() || ty == Type::Text => {
            write_real(out, number, ty, is_binary);
        }
        _ => {
            let value = format_args!("a value that is no {ty:?}, as announced");
            return Err(SqlError::unsupported(value));
        }
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
        _ => shortest
            .parse()
            .map_or(shortest.clone(), |digits: f64| digits.to_string()),
    };
    out.extend(text.replace("inf", "Infinity").bytes());
}

/// Reads a parameter; `oid` is the type that the client declared, or else that of the description.
pub(crate) fn read_value(data: &[u8], ty: Type, oid: u32, is_binary: bool) -> SqlResult<Value> {
    const NAME_BPCHAR_VARCHAR: [u32; 3] = [19, 1042, 1043];
    if is_binary && oid != ty.oid() && !NAME_BPCHAR_VARCHAR.contains(&oid) {
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
    let sign = -i64::from(data[0] >> 7);
    let integer = data
        .iter()
        .fold(sign, |number, byte| number << 8 | i64::from(*byte));
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
