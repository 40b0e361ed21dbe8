//! The JSON Schema of the configuration file, made from the definitions of the options.

use std::iter;

use clap::{Arg, Command};
use serde_json::{Map, Value, json};

use super::keys::{KEYS, Key, Kind, TABLES};
use super::option;

/// The JSON Schema of a configuration file for the program with these options.
pub fn schema(program: &Command) -> Value {
    let mut properties = of_keys(program, KEYS.iter());
    for (table, commands) in TABLES {
        let own = KEYS
            .iter()
            .filter(|key| commands.iter().any(|name| key.is_for(name)));
        let own = of_keys(program, own);
        properties.insert(
            table.to_owned(),
            json!({
                "description": format!("Defaults of `{}` only.", commands.join("` and `")),
                "type": "object", "properties": own, "additionalProperties": false,
            }),
        );
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "photofinish.toml",
        "description": "Defaults of options, as if they were typed. Options on the command line replace them.",
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    })
}

fn of_keys<'a>(program: &Command, keys: impl Iterator<Item = &'a Key>) -> Map<String, Value> {
    let described = keys.map(|key| {
        let mut schema = of_kind(key.kind);
        // Options of all commands belong to the program.
        let mut owners = iter::once(program).chain(program.get_subcommands());
        let owner = owners.find_map(|command| option(command, key.name));
        let help = owner.and_then(Arg::get_help);
        if let Some(help) = help {
            schema["description"] = help.to_string().into();
        }
        (key.name.to_owned(), schema)
    });
    described.collect()
}

fn of_kind(kind: Kind) -> Value {
    let text = json!({ "type": ["string", "number"] });
    match kind {
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::Text => text,
        Kind::Directory => json!({ "type": "string" }),
        Kind::List => json!({ "anyOf": [text, { "type": "array", "items": text, "minItems": 1 }] }),
        Kind::Lines => json!({ "type": "array", "items": { "type": "string" } }),
        Kind::Table => json!({ "type": "object", "additionalProperties": text }),
        Kind::Overrides => json!({ "type": "object" }),
    }
}
