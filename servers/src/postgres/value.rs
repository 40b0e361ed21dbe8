//! Values on the wire and in the engine: parameters in, result columns out, both in text and binary format.
//!
//! The engine stores five kinds of value, PostgreSQL has many types. The stored form of a type is chosen so that the
//! engine's own comparison and order are right for it: bool, integers, dates, times and timestamps as INTEGER, floats
//! as REAL, bytea as BLOB, everything else as TEXT (uuid in lower case, jsonb normalised, arrays as JSON, numeric with
//! a collation). This file is the only one that knows both sides. Types themselves are in `types.rs`.

use std::fmt::Write as _;

use bytes::{BufMut, BytesMut};
use rusqlite::types::{Value, ValueRef};

use super::arrays;
use super::datetime::{self, Interval};
use super::error::{SqlError, SqlResult};
use super::numeric::Numeric;
use super::types::{PgType, Scalar};

/// How a value travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Text,
    Binary,
}

impl Format {
    pub(crate) fn from_code(code: i16) -> SqlResult<Self> {
        match code {
            0 => Ok(Format::Text),
            1 => Ok(Format::Binary),
            other => Err(SqlError::new(
                "22023",
                format!("unsupported format code: {other}"),
            )),
        }
    }

    pub(crate) fn code(self) -> i16 {
        self as i16
    }
}

/// A copy of a value of the engine.
pub(crate) fn owned(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(integer) => Value::Integer(integer),
        ValueRef::Real(real) => Value::Real(real),
        ValueRef::Text(bytes) => Value::Text(String::from_utf8_lossy(bytes).into_owned()),
        ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec()),
    }
}

/// Brings a parameter into stored form.
pub(crate) fn read_parameter(data: &[u8], ty: PgType, format: Format) -> SqlResult<Value> {
    match format {
        Format::Binary => read_binary(data, ty),
        Format::Text => read_text(utf8(data)?, ty),
    }
}

fn utf8(data: &[u8]) -> SqlResult<&str> {
    let text = std::str::from_utf8(data)
        .map_err(|_| SqlError::new("22021", "invalid byte sequence for encoding \"UTF8\""))?;
    match text.contains('\0') {
        true => Err(SqlError::new(
            "22021",
            "invalid byte sequence for encoding \"UTF8\": 0x00",
        )),
        false => Ok(text),
    }
}

/// Brings PostgreSQL's text form of a value into stored form.
pub(crate) fn read_text(text: &str, ty: PgType) -> SqlResult<Value> {
    if ty.is_array {
        return arrays::from_text(text, ty.scalar).map(Value::Text);
    }
    use Scalar as S;
    Ok(match ty.scalar {
        S::Bool => Value::Integer(i64::from(parse_bool(text)?)),
        S::Int2 => Value::Integer(i64::from(parse_integer::<i16>(text, "smallint")?)),
        S::Int4 => Value::Integer(i64::from(parse_integer::<i32>(text, "integer")?)),
        S::Int8 => Value::Integer(parse_integer::<i64>(text, "bigint")?),
        S::Oid | S::Regclass | S::Regtype | S::Regnamespace => {
            Value::Integer(i64::from(parse_integer::<u32>(text, "oid")?))
        }
        S::Float4 => float(f64::from(parse_float::<f32>(text, "real")?)),
        S::Float8 => float(parse_float::<f64>(text, "double precision")?),
        S::Numeric => Value::Text(Numeric::parse(text)?.to_text()),
        S::Bytea => Value::Blob(parse_bytea(text)?),
        S::Date => Value::Integer(datetime::parse_date(text)?),
        S::Time => Value::Integer(datetime::parse_time(text)?),
        S::Timestamp => Value::Integer(datetime::parse_timestamp(text, false)?),
        S::Timestamptz => Value::Integer(datetime::parse_timestamp(text, true)?),
        S::Interval => Value::Text(Interval::parse(text)?.to_text()),
        S::Uuid => Value::Text(parse_uuid(text)?),
        S::Json => Value::Text(parse_json(text).map(|_| text.to_owned())?),
        S::Jsonb => Value::Text(normalise_json(text)?),
        S::Text | S::Varchar | S::Bpchar | S::Name | S::Char | S::Unknown => {
            Value::Text(text.to_owned())
        }
        S::Void => Value::Text(String::new()),
    })
}

fn parse_integer<T: std::str::FromStr<Err = std::num::ParseIntError>>(
    text: &str,
    name: &str,
) -> SqlResult<T> {
    use std::num::IntErrorKind::{NegOverflow, PosOverflow};
    text.trim()
        .parse::<T>()
        .map_err(|error| match error.kind() {
            PosOverflow | NegOverflow => SqlError::new(
                "22003",
                format!("value \"{text}\" is out of range for type {name}"),
            ),
            _ => SqlError::invalid_text(name, text),
        })
}

fn parse_float<T>(text: &str, name: &str) -> SqlResult<T>
where
    T: std::str::FromStr + Into<f64> + Copy,
{
    let value = text
        .trim()
        .parse::<T>()
        .map_err(|_| SqlError::invalid_text(name, text))?;
    // What is too large to be held reads as infinite, unless it says that it is.
    if value.into().is_infinite() && text.contains(|letter: char| letter.is_ascii_digit()) {
        let message = format!("\"{text}\" is out of range for type {name}");
        return Err(SqlError::new("22003", message));
    }
    Ok(value)
}

/// The engine turns NaN into NULL, so it is stored as a text, which no other float is.
pub(crate) fn float(value: f64) -> Value {
    if value.is_nan() {
        Value::Text("NaN".into())
    } else {
        Value::Real(value)
    }
}

/// Reads PostgreSQL's spellings of a boolean.
pub(crate) fn parse_bool(text: &str) -> SqlResult<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "t" | "tr" | "tru" | "true" | "y" | "ye" | "yes" | "on" | "1" => Ok(true),
        "f" | "fa" | "fal" | "fals" | "false" | "n" | "no" | "of" | "off" | "0" => Ok(false),
        _ => Err(SqlError::invalid_text("boolean", text)),
    }
}

fn parse_uuid(text: &str) -> SqlResult<String> {
    let hex: String = text
        .trim()
        .trim_start_matches('{')
        .trim_end_matches('}')
        .chars()
        .filter(|letter| *letter != '-')
        .map(|letter| letter.to_ascii_lowercase())
        .collect();
    if hex.len() != 32 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(SqlError::invalid_text("uuid", text));
    }
    Ok(hyphenate(&hex))
}

fn hyphenate(hex: &str) -> String {
    [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ]
    .join("-")
}

fn parse_bytea(text: &str) -> SqlResult<Vec<u8>> {
    let wrong = || SqlError::invalid_text("bytea", text);
    match text.strip_prefix("\\x") {
        Some(hex) => from_hex(hex).ok_or_else(wrong),
        None => from_escapes(text.as_bytes()).ok_or_else(wrong),
    }
}

/// Bytes of a hexadecimal text of even length.
pub(crate) fn from_hex(hex: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = hex
        .chars()
        .map(|digit| digit.to_digit(16).map(|value| value as u8))
        .collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0)?;
    Some(
        digits
            .chunks(2)
            .map(|pair| pair[0] << 4 | pair[1])
            .collect(),
    )
}

/// PostgreSQL's older form: `\\` and three octal digits after a backslash.
fn from_escapes(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(rest.len());
    while let Some((&first, after)) = rest.split_first() {
        rest = match (first, after) {
            (b'\\', [b'\\', after @ ..]) => {
                bytes.push(b'\\');
                after
            }
            (
                b'\\',
                [
                    a @ b'0'..=b'3',
                    b @ b'0'..=b'7',
                    c @ b'0'..=b'7',
                    after @ ..,
                ],
            ) => {
                bytes.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                after
            }
            (b'\\', _) => return None,
            (byte, after) => {
                bytes.push(byte);
                after
            }
        };
    }
    Some(bytes)
}

fn parse_json(text: &str) -> SqlResult<serde_json::Value> {
    serde_json::from_str(text)
        .map_err(|_| SqlError::new("22P02", "invalid input syntax for type json"))
}

/// PostgreSQL's form of jsonb: one space after `:` and `,`, keys by length and then by bytes.
pub(crate) fn normalise_json(text: &str) -> SqlResult<String> {
    let mut out = String::with_capacity(text.len());
    write_json(&parse_json(text)?, &mut out);
    Ok(out)
}

fn write_json(value: &serde_json::Value, out: &mut String) {
    match value {
        serde_json::Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by(|(a, _), (b, _)| a.len().cmp(&b.len()).then_with(|| a.cmp(b)));
            out.push('{');
            for (position, (key, member)) in members.into_iter().enumerate() {
                out.push_str(if position == 0 { "" } else { ", " });
                // A `String` takes whatever is written to it.
                let _ = write!(out, "{}: ", serde_json::Value::from(key.as_str()));
                write_json(member, out);
            }
            out.push('}');
        }
        serde_json::Value::Array(elements) => {
            out.push('[');
            for (position, element) in elements.iter().enumerate() {
                out.push_str(if position == 0 { "" } else { ", " });
                write_json(element, out);
            }
            out.push(']');
        }
        simple => {
            let _ = write!(out, "{simple}");
        }
    }
}

fn fixed<const N: usize>(data: &[u8]) -> SqlResult<[u8; N]> {
    data.try_into()
        .map_err(|_| SqlError::new("22P03", "incorrect binary data format"))
}

/// Brings PostgreSQL's binary form of a value into stored form.
pub(crate) fn read_binary(data: &[u8], ty: PgType) -> SqlResult<Value> {
    if ty.is_array {
        return arrays::from_binary(data, ty.scalar).map(Value::Text);
    }
    use Scalar as S;
    Ok(match ty.scalar {
        S::Bool => Value::Integer(i64::from(fixed::<1>(data)?[0] != 0)),
        S::Int2 => Value::Integer(i64::from(i16::from_be_bytes(fixed(data)?))),
        S::Int4 | S::Date => Value::Integer(i64::from(i32::from_be_bytes(fixed(data)?))),
        S::Oid | S::Regclass | S::Regtype | S::Regnamespace => {
            Value::Integer(i64::from(u32::from_be_bytes(fixed(data)?)))
        }
        S::Int8 | S::Time | S::Timestamp | S::Timestamptz => {
            Value::Integer(i64::from_be_bytes(fixed(data)?))
        }
        S::Float4 => float(f64::from(f32::from_be_bytes(fixed(data)?))),
        S::Float8 => float(f64::from_be_bytes(fixed(data)?)),
        S::Numeric => Value::Text(Numeric::read_binary(data)?.to_text()),
        S::Bytea => Value::Blob(data.to_vec()),
        S::Interval => Value::Text(read_interval(data)?.to_text()),
        S::Uuid => Value::Text(hyphenate(&format!(
            "{:032x}",
            u128::from_be_bytes(fixed(data)?)
        ))),
        S::Jsonb => match data.split_first() {
            Some((1, text)) => Value::Text(normalise_json(utf8(text)?)?),
            _ => return Err(SqlError::new("22P03", "unsupported jsonb version number")),
        },
        S::Json | S::Text | S::Varchar | S::Bpchar | S::Name | S::Char | S::Unknown => {
            return read_text(utf8(data)?, ty);
        }
        S::Void => Value::Text(String::new()),
    })
}

fn read_interval(data: &[u8]) -> SqlResult<Interval> {
    let all: [u8; 16] = fixed(data)?;
    Ok(Interval {
        micros: i64::from_be_bytes(fixed(&all[..8])?),
        days: i64::from(i32::from_be_bytes(fixed(&all[8..12])?)),
        months: i64::from(i32::from_be_bytes(fixed(&all[12..])?)),
    })
}

/// Appends one column of a row: its length and its value.
pub(crate) fn write_column(
    out: &mut BytesMut,
    value: ValueRef<'_>,
    ty: PgType,
    format: Format,
) -> SqlResult<()> {
    if value == ValueRef::Null {
        out.put_i32(-1);
        return Ok(());
    }
    let start = out.len();
    out.put_i32(0);
    match format {
        Format::Text => write_text(out, value, ty)?,
        Format::Binary => write_binary(out, value, ty)?,
    }
    let length = (out.len() - start - 4) as u32;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

/// Writes into a buffer that takes whatever it is given.
fn put(out: &mut BytesMut, text: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(text);
}

fn as_text(value: ValueRef<'_>) -> SqlResult<&str> {
    match value {
        ValueRef::Text(bytes) => std::str::from_utf8(bytes).map_err(|_| mismatch()),
        _ => Err(mismatch()),
    }
}

fn mismatch() -> SqlError {
    SqlError::new(
        "42804",
        "the value of an expression is not of the type it was declared with",
    )
}

/// The value as an integer; only a whole number is one.
fn as_integer(value: ValueRef<'_>) -> SqlResult<i64> {
    match value {
        ValueRef::Integer(integer) => Ok(integer),
        ValueRef::Real(real) if real.abs() < 9.2e18 => Ok(real.round() as i64),
        // Integer arithmetic of the engine turns into floats where it overflows.
        ValueRef::Real(_) => Err(SqlError::out_of_range("bigint")),
        ValueRef::Text(bytes) => std::str::from_utf8(bytes)
            .ok()
            .and_then(|text| text.parse().ok())
            .ok_or_else(mismatch),
        _ => Err(mismatch()),
    }
}

fn as_float(value: ValueRef<'_>) -> SqlResult<f64> {
    match value {
        ValueRef::Integer(integer) => Ok(integer as f64),
        ValueRef::Real(real) => Ok(real),
        other => as_text(other)?.parse().map_err(|_| mismatch()),
    }
}

fn narrow<T: TryFrom<i64>>(value: ValueRef<'_>, name: &str) -> SqlResult<T> {
    T::try_from(as_integer(value)?).map_err(|_| SqlError::out_of_range(name))
}

/// Appends PostgreSQL's text form.
pub(crate) fn write_text(out: &mut BytesMut, value: ValueRef<'_>, ty: PgType) -> SqlResult<()> {
    if ty.is_array {
        out.put_slice(arrays::to_text(as_text(value)?, ty.scalar)?.as_bytes());
        return Ok(());
    }
    use Scalar as S;
    match ty.scalar {
        S::Bool => out.put_u8(if as_integer(value)? != 0 { b't' } else { b'f' }),
        S::Int2 => put(out, format_args!("{}", narrow::<i16>(value, "smallint")?)),
        S::Int4 => put(out, format_args!("{}", narrow::<i32>(value, "integer")?)),
        S::Int8 | S::Oid => put(out, format_args!("{}", as_integer(value)?)),
        S::Float4 => {
            let float = as_float(value)? as f32;
            write_float(out, f64::from(float), FLOAT4_PLAIN, format_args!("{float}"));
        }
        S::Float8 => {
            let float = as_float(value)?;
            write_float(out, float, FLOAT8_PLAIN, format_args!("{float}"));
        }
        S::Bytea => write_bytea(out, value)?,
        S::Date => out.put_slice(datetime::format_date(as_integer(value)?).as_bytes()),
        S::Time => out.put_slice(datetime::format_time(as_integer(value)?).as_bytes()),
        S::Timestamp => {
            out.put_slice(datetime::format_timestamp(as_integer(value)?, false).as_bytes())
        }
        S::Timestamptz => {
            out.put_slice(datetime::format_timestamp(as_integer(value)?, true).as_bytes())
        }
        _ => write_plain(out, value),
    }
    Ok(())
}

/// Where PostgreSQL begins to write an exponent.
const FLOAT4_PLAIN: f64 = 1e6;
const FLOAT8_PLAIN: f64 = 1e15;

/// Writes a float whose shortest digits are given; from `plain_below` on with an exponent.
fn write_float(
    out: &mut BytesMut,
    value: f64,
    plain_below: f64,
    shortest: std::fmt::Arguments<'_>,
) {
    if value.is_nan() {
        out.put_slice(b"NaN");
    } else if value.is_infinite() {
        out.put_slice(if value > 0.0 {
            b"Infinity"
        } else {
            b"-Infinity"
        });
    } else if value != 0.0 && !(1e-4..plain_below).contains(&value.abs()) {
        out.put_slice(exponent_form(&shortest.to_string()).as_bytes());
    } else {
        put(out, shortest);
    }
}

/// Rust writes all digits where PostgreSQL writes `1e+20`; the digits that count are the same.
fn exponent_form(plain: &str) -> String {
    let (sign, digits) = plain
        .strip_prefix('-')
        .map_or(("", plain), |rest| ("-", rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all = format!("{whole}{fraction}");
    let first = all.find(|digit| digit != '0').unwrap_or(0);
    let significant = all[first..].trim_end_matches('0');
    let exponent = whole.len() as i64 - 1 - first as i64;
    let (lead, rest) = significant.split_at(1.min(significant.len()));
    let point = if rest.is_empty() { "" } else { "." };
    let exponent_sign = if exponent < 0 { '-' } else { '+' };
    format!(
        "{sign}{lead}{point}{rest}e{exponent_sign}{:02}",
        exponent.abs()
    )
}

fn write_bytea(out: &mut BytesMut, value: ValueRef<'_>) -> SqlResult<()> {
    let (ValueRef::Blob(bytes) | ValueRef::Text(bytes)) = value else {
        return Err(mismatch());
    };
    out.put_slice(b"\\x");
    for byte in bytes {
        let digit = |nibble: u8| b"0123456789abcdef"[usize::from(nibble)];
        out.put_slice(&[digit(byte >> 4), digit(byte & 15)]);
    }
    Ok(())
}

/// Whatever the engine has, as it is.
fn write_plain(out: &mut BytesMut, value: ValueRef<'_>) {
    match value {
        ValueRef::Null => (),
        ValueRef::Integer(integer) => put(out, format_args!("{integer}")),
        ValueRef::Real(real) => write_float(out, real, FLOAT8_PLAIN, format_args!("{real}")),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => out.put_slice(bytes),
    }
}

/// Appends PostgreSQL's binary form.
pub(crate) fn write_binary(out: &mut BytesMut, value: ValueRef<'_>, ty: PgType) -> SqlResult<()> {
    if ty.is_array {
        return arrays::write_binary(out, as_text(value)?, ty.scalar);
    }
    use Scalar as S;
    match ty.scalar {
        S::Bool => out.put_u8(u8::from(as_integer(value)? != 0)),
        S::Int2 => out.put_i16(narrow(value, "smallint")?),
        S::Int4 | S::Date => out.put_i32(narrow(value, "integer")?),
        S::Oid | S::Regclass | S::Regtype | S::Regnamespace => out.put_u32(narrow(value, "oid")?),
        S::Int8 | S::Time | S::Timestamp | S::Timestamptz => out.put_i64(as_integer(value)?),
        S::Float4 => out.put_f32(as_float(value)? as f32),
        S::Float8 => out.put_f64(as_float(value)?),
        S::Numeric => write_numeric(out, value)?,
        S::Uuid => {
            let hex: String = as_text(value)?
                .chars()
                .filter(|letter| *letter != '-')
                .collect();
            out.put_u128(u128::from_str_radix(&hex, 16).map_err(|_| mismatch())?);
        }
        S::Interval => {
            let interval = Interval::parse(as_text(value)?)?;
            out.put_i64(interval.micros);
            out.put_i32(interval.days as i32);
            out.put_i32(interval.months as i32);
        }
        S::Jsonb => {
            out.put_u8(1);
            write_plain(out, value);
        }
        _ => write_plain(out, value),
    }
    Ok(())
}

fn write_numeric(out: &mut BytesMut, value: ValueRef<'_>) -> SqlResult<()> {
    let number = match value {
        ValueRef::Integer(integer) => Numeric::from_i128(i128::from(integer)),
        ValueRef::Real(real) => Numeric::parse(&real.to_string())?,
        other => Numeric::parse(as_text(other)?)?,
    };
    number.write_binary(out);
    Ok(())
}
