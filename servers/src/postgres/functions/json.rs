//! Functions on JSON documents and on arrays, which are stored as JSON.

use rusqlite::types::Value;
use serde_json::Value as Json;

use super::super::error::{SqlError, SqlResult};
use super::super::value::normalise_json;
use super::{Registry, boolean, text_at};

pub(super) fn register(registry: &mut Registry<'_>) {
    registry.strict("pf_json_get", 2, |context| {
        let document = parse(&text_at(context, 0)?)?;
        Ok(as_json(get(&document, &text_at(context, 1)?)))
    });
    registry.strict("pf_json_text", 2, |context| {
        let document = parse(&text_at(context, 0)?)?;
        Ok(as_text(get(&document, &text_at(context, 1)?)))
    });
    registry.strict("pf_json_path", 2, |context| {
        let document = parse(&text_at(context, 0)?)?;
        Ok(as_json(path(&document, &text_at(context, 1)?)?))
    });
    registry.strict("pf_json_path_text", 2, |context| {
        let document = parse(&text_at(context, 0)?)?;
        Ok(as_text(path(&document, &text_at(context, 1)?)?))
    });
    registry.strict("pf_json_contains", 2, |context| {
        Ok(boolean(contains(
            &parse(&text_at(context, 0)?)?,
            &parse(&text_at(context, 1)?)?,
        )))
    });
    registry.strict("pf_json_has", 2, |context| {
        let key = text_at(context, 1)?;
        Ok(boolean(match parse(&text_at(context, 0)?)? {
            Json::Object(members) => members.contains_key(&key),
            Json::Array(elements) => elements.contains(&Json::String(key)),
            Json::String(text) => text == key,
            _ => false,
        }))
    });
    registry.strict("pf_json_cat", 2, |context| {
        let joined = concatenate(parse(&text_at(context, 0)?)?, parse(&text_at(context, 1)?)?);
        normalise_json(&joined.to_string()).map(Value::Text)
    });
    registry.strict("pf_array_cat", 2, |context| {
        Ok(Value::Text(
            concatenate(parse(&text_at(context, 0)?)?, parse(&text_at(context, 1)?)?).to_string(),
        ))
    });
    registry.strict("pf_json_normal", 1, |context| {
        normalise_json(&text_at(context, 0)?).map(Value::Text)
    });
    registry.strict("pf_json_type", 1, |context| {
        Ok(Value::Text(match parse(&text_at(context, 0)?)? {
            Json::Null => "null".into(),
            Json::Bool(_) => "boolean".into(),
            Json::Number(_) => "number".into(),
            Json::String(_) => "string".into(),
            Json::Array(_) => "array".into(),
            Json::Object(_) => "object".into(),
        }))
    });
}

fn parse(text: &str) -> SqlResult<Json> {
    serde_json::from_str(text)
        .map_err(|_| SqlError::new("22P02", "invalid input syntax for type json"))
}

/// A member by name, or an element by its number, which counts from the end when negative.
fn get<'j>(document: &'j Json, key: &str) -> Option<&'j Json> {
    match document {
        Json::Object(members) => members.get(key),
        Json::Array(elements) => {
            let at: i64 = key.parse().ok()?;
            let at = if at < 0 {
                elements.len() as i64 + at
            } else {
                at
            };
            elements.get(usize::try_from(at).ok()?)
        }
        _ => None,
    }
}

fn path<'j>(document: &'j Json, steps: &str) -> SqlResult<Option<&'j Json>> {
    let steps: Vec<String> =
        serde_json::from_str(steps).map_err(|_| SqlError::new("22P02", "malformed array"))?;
    let mut at = Some(document);
    for step in &steps {
        at = at.and_then(|document| get(document, step));
    }
    Ok(at)
}

fn as_json(found: Option<&Json>) -> Value {
    match found.map(|json| normalise_json(&json.to_string())) {
        Some(Ok(text)) => Value::Text(text),
        _ => Value::Null,
    }
}

fn as_text(found: Option<&Json>) -> Value {
    match found {
        None | Some(Json::Null) => Value::Null,
        Some(Json::String(text)) => Value::Text(text.clone()),
        simple => as_json(simple),
    }
}

/// PostgreSQL's `@>`: every member and element of `inner` is somewhere in `outer`.
fn contains(outer: &Json, inner: &Json) -> bool {
    match (outer, inner) {
        (Json::Object(outer), Json::Object(inner)) => inner
            .iter()
            .all(|(key, value)| outer.get(key).is_some_and(|found| contains(found, value))),
        (Json::Array(outer), Json::Array(inner)) => inner
            .iter()
            .all(|value| outer.iter().any(|candidate| contains(candidate, value))),
        (Json::Array(outer), simple) if !simple.is_object() => outer.contains(simple),
        (outer, inner) => outer == inner,
    }
}

fn concatenate(left: Json, right: Json) -> Json {
    match (left, right) {
        (Json::Object(mut left), Json::Object(right)) => {
            left.extend(right);
            Json::Object(left)
        }
        (left, right) => {
            let elements = |json| match json {
                Json::Array(elements) => elements,
                single => vec![single],
            };
            Json::Array([elements(left), elements(right)].concat())
        }
    }
}
