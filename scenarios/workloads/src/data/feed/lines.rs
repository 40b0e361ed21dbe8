//! JSON lines: an object in each line, all with the same keys. Blank lines are skipped.
//!
//! A text is the value of a string, numbers and booleans are taken as they are written, null is an empty text, and an
//! object or array stays JSON.

use std::io::BufRead as _;

use serde::de::IgnoredAny;

use super::{TableBuilder, TableError};
use crate::data::json::{JsonValue, text_of};
use crate::names::listed;

/// Parses the builder's buffer from `start` to its end.
pub(super) fn parse(start: usize, table: &mut TableBuilder) -> Result<(), TableError> {
    let (mut position, mut line) = (start, 0);
    // The values of a line overwrite it.
    let (mut text, mut value_text) = (Vec::new(), Vec::new());
    while position < table.buffer.len() {
        line += 1;
        text.clear();
        let mut rest = &table.buffer[position..];
        position += rest
            .read_until(b'\n', &mut text)
            .expect("reading from memory");
        let text = str::from_utf8(&text).unwrap_or_default();
        if text.trim().is_empty() {
            continue;
        }
        let fail = |message| TableError { line, message };
        let members = members(text).map_err(fail)?;
        if table.columns.is_empty() {
            let names = members.iter().map(|(name, _)| name.clone());
            table.name_columns(names.collect(), line)?;
        }
        for value in in_order(&table.columns, &members).map_err(fail)? {
            if value.raw() != b"null" {
                value_text.clear();
                value.write_text(&mut value_text);
                table.append(&value_text);
            }
            table.end_value();
        }
    }
    Ok(())
}

/// The members of the object that is all of `text`.
fn members(text: &str) -> Result<Vec<(String, JsonValue<'_>)>, String> {
    serde_json::from_str::<IgnoredAny>(text)
        .map_err(|error| format!("expected a JSON object, got {error}"))?;
    let value = JsonValue::at_start(text.as_bytes()).filter(|value| value.raw()[0] == b'{');
    let members = value
        .ok_or("expected a JSON object, got another value")?
        .members();
    let named = members
        .flatten()
        .map(|(name, value)| (text_of(name), value));
    Ok(named.collect())
}

/// The values in the order of the columns.
fn in_order<'a>(
    columns: &[String],
    members: &[(String, JsonValue<'a>)],
) -> Result<Vec<JsonValue<'a>>, String> {
    let values = columns.iter().map(|column| {
        let member = members.iter().find(|(name, _)| name == column);
        member.map(|(_, value)| *value)
    });
    let values: Option<Vec<_>> = values.collect();
    values
        .filter(|_| members.len() == columns.len())
        .ok_or_else(|| {
            let names: Vec<_> = members.iter().map(|(name, _)| name).collect();
            format!(
                "expected the keys of the first line ({}), got {}",
                listed(columns),
                listed(&names)
            )
        })
}
