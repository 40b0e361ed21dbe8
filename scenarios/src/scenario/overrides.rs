//! Overrides: `--set key=value`, applied to a scenario before it is checked.
//!
//! A key without a dot is a key of the scenario file (`unit`, `title`) or else a parameter of its workload; a dotted key
//! reaches everything (`load.warmup`, `server.http.delay`, `params.size`, and `server.http.mocks.0.path` inside a list).
//! Values are TOML, or else plain text. `read.rs` checks the result like any other scenario.

use serde_json::{Map, Value};

use super::document::{key_path, value_or_text};
use super::flaw::{Flaw, KeyPath, part_mut};
use super::format::ALTERNATIVES;
use crate::diagnostic::{Diagnostic, Diagnostics, Location};

/// A value to set in a scenario.
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
            let expected = "expected `key=value`, such as `unit=1s` or `load.concurrency=[1, 16]`";
            Diagnostics::new(vec![Diagnostic {
                message: message.to_owned(),
                location: location(argument),
                label: Some(expected.to_owned()),
                help: None,
            }])
        };
        let (key, value) = argument
            .split_once('=')
            .ok_or_else(|| malformed("override without a value"))?;
        let key = key_path(key.trim()).ok_or_else(|| malformed("override without a valid key"))?;
        Ok(Self {
            argument: argument.to_owned(),
            key,
            value: value_or_text(value.trim()),
        })
    }

    /// The diagnostic of a flaw that this override caused.
    pub(crate) fn diagnose(&self, flaw: Flaw) -> Diagnostic {
        flaw.diagnose(location(&self.argument))
    }

    /// The value, if it is for this key at the root of the file.
    pub(crate) fn value_of(&self, key: &str) -> Option<&Value> {
        (self.key == [key]).then_some(&self.value)
    }

    /// True if it sets this key, given with its tables.
    pub fn sets(&self, key: &[&str]) -> bool {
        self.key == key
    }

    /// The path to set in a file with these keys, for a workload with these parameters; `None` if nothing has the key.
    pub(crate) fn target(&self, file_keys: &[String], params: &[String]) -> Option<KeyPath> {
        match self.key.as_slice() {
            [bare] if file_keys.contains(bare) => Some(self.key.clone()),
            [bare] if params.contains(bare) => Some(vec!["params".to_owned(), bare.clone()]),
            [_] => None,
            _ => Some(self.key.clone()),
        }
    }

    pub(crate) fn unknown_key(&self, known: &[String]) -> Flaw {
        Flaw::unknown_key(self.key.clone(), known)
    }

    /// Sets the value at `path`, creating tables on the way; fails if something else is in the way.
    pub(crate) fn set(&self, root: &mut Value, path: &[String]) -> Result<(), Flaw> {
        let (last, outer) = path.split_last().expect("a key has a name");
        let mut inner = root;
        for (depth, key) in outer.iter().enumerate() {
            if let Value::Object(table) = inner {
                table
                    .entry(key.clone())
                    .or_insert_with(|| Value::Object(Map::new()));
            }
            inner = part_mut(inner, key).ok_or_else(|| missing(&path[..=depth]))?;
        }
        match inner {
            Value::Object(table) => {
                table.insert(last.clone(), self.value.clone());
            }
            inner => *part_mut(inner, last).ok_or_else(|| missing(path))? = self.value.clone(),
        }
        Ok(())
    }
}

/// The keys of `[load]` that the one at `path` replaces.
pub(crate) fn alternatives(path: &[String]) -> Vec<&'static str> {
    ALTERNATIVES
        .into_iter()
        .filter_map(|(a, b)| match path {
            [load, key] if load == "load" && key == a => Some(b),
            [load, key] if load == "load" && key == b => Some(a),
            _ => None,
        })
        .collect()
}

fn missing(path: &[String]) -> Flaw {
    let (last, outer) = path.split_last().expect("a key has a name");
    let message = format!("`{}` has no `{last}`", outer.join("."));
    Flaw {
        unknown_key: true,
        ..Flaw::wrong(path.to_vec(), message, "")
    }
}

fn location(argument: &str) -> Location {
    Location::Argument(format!("--set {argument}"))
}
