//! Overrides: `--set key=value`, laid over a scenario before it is checked.
//!
//! A key without a dot is a key of the scenario file (`unit`, `title`) or else a parameter of its workload; a dotted key
//! reaches everything (`load.warmup`, `server.http.delay`, `params.size`, and `server.http.mocks.0.path` inside a list).
//! Values are TOML, or else plain text. What an override makes of a scenario is checked in `read.rs`, like the rest of it.

use serde_json::{Map, Value};

use super::document::{key_path, value_or_text};
use super::flaw::{Flaw, KeyPath, part_mut};
use super::format::ALTERNATIVES;
use crate::diagnostic::{Diagnostic, Diagnostics, Place};

/// A value to lay over a scenario.
#[derive(Clone, Debug, PartialEq)]
pub struct Override {
    argument: String,
    key: KeyPath,
    value: Value,
}

impl Override {
    /// Reads `key=value`.
    pub fn parse(argument: &str) -> Result<Self, Diagnostics> {
        let malformed = |message: &str| {
            Diagnostics::new(vec![Diagnostic {
                message: message.to_owned(),
                place: place(argument),
                label: Some(
                    "expected `key=value`, such as `unit=1s` or `load.concurrency=[1, 16]`"
                        .to_owned(),
                ),
                help: None,
            }])
        };
        let (key, value) = argument
            .split_once('=')
            .ok_or_else(|| malformed("an override without a value"))?;
        let key = key_path(key.trim()).ok_or_else(|| malformed("an override without a key"))?;
        Ok(Self {
            argument: argument.to_owned(),
            key,
            value: value_or_text(value.trim()),
        })
    }

    /// A flaw that this override made.
    pub(crate) fn diagnose(&self, flaw: Flaw) -> Diagnostic {
        Diagnostic {
            message: flaw.message,
            place: place(&self.argument),
            label: flaw.label,
            help: flaw.help,
        }
    }

    /// The value, where it is for this key of the file itself.
    pub(crate) fn value_of(&self, key: &str) -> Option<&Value> {
        (self.key == [key]).then_some(&self.value)
    }

    /// Where it goes in a file with these keys, for a workload with these parameters.
    pub(crate) fn target(&self, file_keys: &[String], params: &[String]) -> Option<KeyPath> {
        match self.key.as_slice() {
            [bare] if file_keys.contains(bare) => Some(self.key.clone()),
            [bare] if params.contains(bare) => Some(vec!["params".to_owned(), bare.clone()]),
            [_] => None,
            _ => Some(self.key.clone()),
        }
    }

    /// That this scenario has no such key.
    pub(crate) fn misfit(&self, known: &[String]) -> Flaw {
        Flaw::unknown_key(self.key.clone(), known)
    }

    /// Puts the value at `path`, making tables on the way; refuses where the way leads through something else.
    pub(crate) fn put(&self, root: &mut Value, path: &[String]) -> Result<(), Flaw> {
        let (last, outer) = path.split_last().expect("a key has a name");
        let mut inner = root;
        for (depth, key) in outer.iter().enumerate() {
            if let Value::Object(table) = inner {
                table
                    .entry(key.clone())
                    .or_insert_with(|| Value::Object(Map::new()));
            }
            inner = part_mut(inner, key).ok_or_else(|| no_way(&path[..=depth]))?;
        }
        match inner {
            Value::Object(table) => {
                table.insert(last.clone(), self.value.clone());
            }
            inner => *part_mut(inner, last).ok_or_else(|| no_way(path))? = self.value.clone(),
        }
        Ok(())
    }
}

/// The keys in `[load]` that give way to the one at `path`.
pub(crate) fn displaced(path: &[String]) -> Vec<&'static str> {
    let other = |(a, b): &(&'static str, &'static str)| match path {
        [load, key] if load == "load" && key == a => Some(*b),
        [load, key] if load == "load" && key == b => Some(*a),
        _ => None,
    };
    ALTERNATIVES.iter().filter_map(other).collect()
}

fn no_way(path: &[String]) -> Flaw {
    let (last, outer) = path.split_last().expect("a key has a name");
    Flaw {
        unknown_key: true,
        ..Flaw::wrong(
            path.to_vec(),
            format!("`{}` has no `{last}`", outer.join(".")),
            "",
        )
    }
}

fn place(argument: &str) -> Place {
    Place::Argument(format!("--set {argument}"))
}
