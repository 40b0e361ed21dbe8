//! The keys of a server's behaviour, from its JSON Schema.
//!
//! The schema is derived from the types that parse a behaviour, so that the list is always current.

use serde::Serialize;
use serde_json::Value;

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Behaviour {
    /// The path in the server's table: `mocks[].respond[].delay`.
    pub key: String,
    /// One sentence; empty if the key is self-explanatory.
    pub summary: String,
}

const MAX_DEPTH: usize = 6;

/// Every key of `schema`, tables before their contents.
pub fn behaviours(schema: &Value) -> Vec<Behaviour> {
    let mut found = Vec::new();
    collect(schema, schema, "", &mut found, MAX_DEPTH);
    found
}

fn collect(root: &Value, of: &Value, prefix: &str, found: &mut Vec<Behaviour>, depth: usize) {
    if depth == 0 {
        return;
    }
    for (name, property) in properties(root, of) {
        let (inner, brackets) = item(root, property);
        let key = format!("{prefix}{name}{brackets}");
        found.push(Behaviour {
            summary: summary(property, inner),
            key: key.clone(),
        });
        collect(root, inner, &format!("{key}."), found, depth - 1);
    }
}

/// The properties of an object, and of its alternatives.
fn properties<'a>(root: &'a Value, of: &'a Value) -> Vec<(&'a String, &'a Value)> {
    let own = of["properties"].as_object().into_iter().flatten();
    let choices = ["anyOf", "oneOf"].map(|word| of[word].as_array().into_iter().flatten());
    let others = choices.into_iter().flatten();
    let of_others = others.flat_map(|other| properties(root, resolved(root, other)));
    own.chain(of_others).collect()
}

/// The items of an array, with `[]`; anything else unchanged.
fn item<'a>(root: &'a Value, property: &'a Value) -> (&'a Value, &'static str) {
    let property = resolved(root, property);
    match property.get("items") {
        Some(items) => (resolved(root, items), "[]"),
        None => (property, ""),
    }
}

/// Follows references, and choices with one alternative to null.
fn resolved<'a>(root: &'a Value, mut schema: &'a Value) -> &'a Value {
    for _ in 0..MAX_DEPTH {
        let choices = schema["anyOf"].as_array();
        let is_something = |choice: &&Value| choice["type"] != "null";
        let optional = choices.filter(|choices| choices.iter().filter(is_something).count() == 1);
        let only = optional.and_then(|choices| choices.iter().find(is_something));
        let pointer = schema["$ref"].as_str().and_then(|to| to.strip_prefix('#'));
        let referred = pointer.and_then(|pointer| root.pointer(pointer));
        match only.or(referred) {
            Some(next) => schema = next,
            None => break,
        }
    }
    schema
}

/// The first sentence of the property's description, or of its type's.
fn summary(property: &Value, inner: &Value) -> String {
    let described = [property, inner].map(|schema| schema["description"].as_str());
    let text = described.into_iter().flatten().next().unwrap_or_default();
    let text = text.replace('\n', " ");
    let sentence = text.split_once(". ").map_or(&*text, |(first, _)| first);
    sentence.trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_are_found_through_arrays_references_and_choices() {
        let schema = json!({
            "properties": {
                "mocks": {"type": "array", "items": {"$ref": "#/$defs/Mock"}, "description": "One. Two."},
                "delay": {"anyOf": [{"$ref": "#/$defs/Delay"}, {"type": "null"}]},
            },
            "$defs": {
                "Mock": {"properties": {"path": {"type": "string", "description": "The path."}}},
                "Delay": {"description": "How long", "anyOf": [
                    {"type": "string"}, {"properties": {"mean": {"type": "number"}}},
                ]},
            },
        });
        let found = behaviours(&schema);
        let keys_and_summaries: Vec<(&str, &str)> = found
            .iter()
            .map(|found| (&*found.key, &*found.summary))
            .collect();
        let expected = [
            ("delay", "How long"),
            ("delay.mean", ""),
            ("mocks[]", "One"),
            ("mocks[].path", "The path"),
        ];
        assert_eq!(keys_and_summaries, expected);
    }

    #[test]
    fn a_recursive_schema_terminates() {
        let schema = json!({"properties": {"again": {"$ref": "#"}}});
        assert_eq!(behaviours(&schema).len(), MAX_DEPTH);
    }
}
