//! What can be scripted on a server, told from the JSON Schema of its behaviour.
//!
//! The schema is made from the types that read a behaviour, so that a list made from it cannot fall behind. What a
//! behaviour means is the business of the servers; what a scenario may ask of them is checked by them.

use serde::Serialize;
use serde_json::Value;

/// Something that a scenario can ask of a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Behaviour {
    /// Where it stands in the server's table: `mocks[].respond[].delay`.
    pub key: String,
    /// What it does, in one sentence; empty where its name says it all.
    pub summary: String,
}

/// No behaviour is nested deeper.
const DEEPEST: usize = 6;

/// Every key that `schema` describes, the containing before the contained.
pub fn behaviours(schema: &Value) -> Vec<Behaviour> {
    let mut found = Vec::new();
    collect(schema, schema, "", &mut found, DEEPEST);
    found
}

fn collect(root: &Value, of: &Value, prefix: &str, found: &mut Vec<Behaviour>, depth: usize) {
    if depth == 0 {
        return;
    }
    for (name, property) in properties(root, of) {
        let (inner, brackets) = inside(root, property);
        let key = format!("{prefix}{name}{brackets}");
        found.push(Behaviour {
            summary: summary(property, inner),
            key: key.clone(),
        });
        collect(root, inner, &format!("{key}."), found, depth - 1);
    }
}

/// The properties of an object, and of whichever objects it may be instead.
fn properties<'a>(root: &'a Value, of: &'a Value) -> Vec<(&'a String, &'a Value)> {
    let own = of["properties"].as_object().into_iter().flatten();
    let choices = ["anyOf", "oneOf"].map(|word| of[word].as_array().into_iter().flatten());
    let others = choices.into_iter().flatten();
    let of_others = others.flat_map(|other| properties(root, resolved(root, other)));
    own.chain(of_others).collect()
}

/// What an array holds, and the brackets that say it is one; anything else as it is.
fn inside<'a>(root: &'a Value, property: &'a Value) -> (&'a Value, &'static str) {
    let property = resolved(root, property);
    match property.get("items") {
        Some(items) => (resolved(root, items), "[]"),
        None => (property, ""),
    }
}

/// What stands behind a reference, or behind the one choice that is no null.
fn resolved<'a>(root: &'a Value, mut schema: &'a Value) -> &'a Value {
    for _ in 0..DEEPEST {
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

/// The first sentence of its description, else of its type's.
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
        let told: Vec<(&str, &str)> = found
            .iter()
            .map(|found| (&*found.key, &*found.summary))
            .collect();
        let expected = [
            ("delay", "How long"),
            ("delay.mean", ""),
            ("mocks[]", "One"),
            ("mocks[].path", "The path"),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn a_schema_that_refers_to_itself_comes_to_an_end() {
        let schema = json!({"properties": {"again": {"$ref": "#"}}});
        assert_eq!(behaviours(&schema).len(), DEEPEST);
    }
}
