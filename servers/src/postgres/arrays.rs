//! One-dimensional arrays: PostgreSQL's text and binary forms, and the JSON they are stored as.
//!
//! JSON because the engine can search it (`= ANY($1)` becomes a look-up in `json_each`). An element is in the stored
//! form of its type (see `value.rs`), bytea as hexadecimal text. Arrays of more dimensions are refused.

use bytes::{Buf, BufMut, BytesMut};
use rusqlite::types::{Value, ValueRef};

use super::error::{SqlError, SqlResult};
use super::types::{PgType, Scalar};
use super::value::{self, from_hex, read_binary, read_text, write_text};

fn to_json(elements: Vec<Option<Value>>) -> String {
    let json = |element: Option<Value>| match element {
        None | Some(Value::Null) => serde_json::Value::Null,
        Some(Value::Integer(integer)) => integer.into(),
        Some(Value::Real(real)) => real.into(),
        Some(Value::Text(text)) => text.into(),
        Some(Value::Blob(bytes)) => bytes
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
            .into(),
    };
    serde_json::Value::Array(elements.into_iter().map(json).collect()).to_string()
}

/// The elements of a stored array, in stored form.
pub(crate) fn elements(stored: &str, scalar: Scalar) -> SqlResult<Vec<Option<Value>>> {
    let malformed = || SqlError::new("22P02", "malformed array");
    let json: Vec<serde_json::Value> = serde_json::from_str(stored).map_err(|_| malformed())?;
    let element = |json| {
        Ok(match json {
            serde_json::Value::Null => None,
            serde_json::Value::Bool(flag) => Some(Value::Integer(i64::from(flag))),
            serde_json::Value::Number(number) => Some(match number.as_i64() {
                Some(integer) => Value::Integer(integer),
                None => Value::Real(number.as_f64().ok_or_else(malformed)?),
            }),
            serde_json::Value::String(hex) if scalar == Scalar::Bytea => {
                Some(Value::Blob(from_hex(&hex).ok_or_else(malformed)?))
            }
            serde_json::Value::String(text) => Some(Value::Text(text)),
            other => Some(Value::Text(other.to_string())),
        })
    };
    json.into_iter().map(element).collect()
}

/// Reads `{1,2,NULL,"a,b"}`.
pub(crate) fn from_text(text: &str, scalar: Scalar) -> SqlResult<String> {
    let malformed = || SqlError::new("22P02", format!("malformed array literal: \"{text}\""));
    let inner = text
        .trim()
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'))
        .ok_or_else(malformed)?;
    let mut elements = Vec::new();
    let mut rest = inner.trim();
    while !rest.is_empty() {
        let (element, quoted, after) = next_element(rest).ok_or_else(malformed)?;
        let is_null = !quoted && element.eq_ignore_ascii_case("null");
        elements.push(if is_null {
            None
        } else {
            Some(read_text(&element, scalar.into())?)
        });
        rest = match after.trim_start().strip_prefix(',') {
            Some(more) if !more.trim().is_empty() => more.trim_start(),
            Some(_) => return Err(malformed()),
            None if after.trim().is_empty() => "",
            None => return Err(malformed()),
        };
    }
    Ok(to_json(elements))
}

/// The first element of `rest`, whether it was quoted, and what follows it.
fn next_element(rest: &str) -> Option<(String, bool, &str)> {
    if rest.starts_with('{') {
        return None;
    }
    let quoted = rest.starts_with('"');
    let body = if quoted { &rest[1..] } else { rest };
    let mut element = String::new();
    let mut letters = body.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => element.push(letters.next()?.1),
            '"' if quoted => return Some((element, true, &body[at + 1..])),
            ',' if !quoted => return Some((element.trim_end().to_owned(), false, &body[at..])),
            '{' | '}' | '"' if !quoted => return None,
            other => element.push(other),
        }
    }
    (!quoted).then(|| (element.trim_end().to_owned(), false, ""))
}

/// Writes `{1,2,NULL,"a,b"}`.
pub(crate) fn to_text(stored: &str, scalar: Scalar) -> SqlResult<String> {
    let mut parts = Vec::new();
    for element in elements(stored, scalar)? {
        parts.push(match element {
            None => "NULL".to_owned(),
            Some(value) => {
                let mut out = BytesMut::new();
                write_text(&mut out, ValueRef::from(&value), scalar.into())?;
                quote(&String::from_utf8_lossy(&out))
            }
        });
    }
    Ok(format!("{{{}}}", parts.join(",")))
}

fn quote(element: &str) -> String {
    let special =
        |letter: char| matches!(letter, '{' | '}' | ',' | '"' | '\\') || letter.is_whitespace();
    if element.is_empty() || element.eq_ignore_ascii_case("null") || element.contains(special) {
        return format!("\"{}\"", element.replace('\\', "\\\\").replace('"', "\\\""));
    }
    element.to_owned()
}

/// Reads PostgreSQL's binary form.
pub(crate) fn from_binary(mut data: &[u8], scalar: Scalar) -> SqlResult<String> {
    let malformed = || SqlError::new("22P03", "incorrect binary array format");
    if data.len() < 12 {
        return Err(malformed());
    }
    let (dimensions, _has_null, element_oid) = (data.get_i32(), data.get_i32(), data.get_u32());
    if dimensions == 0 {
        return Ok("[]".into());
    }
    if dimensions != 1 || data.len() < 8 {
        return Err(SqlError::unsupported("an array of more than one dimension"));
    }
    let (count, _lower_bound) = (data.get_i32(), data.get_i32());
    let element_type = PgType::from_oid(element_oid).unwrap_or(scalar.into());
    let mut elements = Vec::new();
    for _ in 0..count {
        if data.len() < 4 {
            return Err(malformed());
        }
        elements.push(match usize::try_from(data.get_i32()) {
            Err(_) => None,
            Ok(length) if length > data.len() => return Err(malformed()),
            Ok(length) => {
                let (element, rest) = data.split_at(length);
                data = rest;
                Some(read_binary(element, element_type)?)
            }
        });
    }
    Ok(to_json(elements))
}

/// Writes PostgreSQL's binary form.
pub(crate) fn write_binary(out: &mut BytesMut, stored: &str, scalar: Scalar) -> SqlResult<()> {
    let elements = elements(stored, scalar)?;
    out.put_i32(i32::from(!elements.is_empty()));
    out.put_i32(i32::from(elements.contains(&None)));
    out.put_u32(PgType::from(scalar).oid());
    if elements.is_empty() {
        return Ok(());
    }
    out.put_i32(elements.len() as i32);
    out.put_i32(1);
    for element in elements {
        let Some(value) = &element else {
            out.put_i32(-1);
            continue;
        };
        let start = out.len();
        out.put_i32(0);
        value::write_binary(out, ValueRef::from(value), scalar.into())?;
        let length = (out.len() - start - 4) as u32;
        out[start..start + 4].copy_from_slice(&length.to_be_bytes());
    }
    Ok(())
}
