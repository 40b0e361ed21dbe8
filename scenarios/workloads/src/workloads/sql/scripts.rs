//! Statements for set-up and tear-down: files are hashed when the scenario is read, and read once per round.

use std::collections::BTreeMap;
use std::path::Path;

use photofinish_harness::workload::{Failure, ParamError};
use serde_json::{Map, Value, json};

use super::spec::Statements;
use crate::data::{UNFIT, files};

/// Sections with set-up statements.
const SECTIONS: [&str; 2] = ["sql", "sqlite"];

/// Adds the SHA-256 of the files to their section, or returns the errors.
pub fn survey(params: &mut Value, directory: &Path) -> Vec<ParamError> {
    let mut errors = Vec::new();
    for section in SECTIONS {
        let settings = params.get_mut(section).and_then(Value::as_object_mut);
        let Some(settings) = settings else { continue };
        let given = settings.get("sha256").cloned().unwrap_or_default();
        // Wrong types are reported when the parameters are checked.
        let given: BTreeMap<String, String> = serde_json::from_value(given).unwrap_or_default();
        let mut digests = Map::new();
        for key in ["setup", "teardown"] {
            let Some(file) = settings.get(key).and_then(Value::as_str) else {
                continue;
            };
            match load(&given, directory, file) {
                Ok(text) => {
                    drop(digests.insert(file.to_owned(), json!(files::sha256(text.as_bytes()))))
                }
                Err(message) => errors.push(ParamError {
                    param: format!("{section}.{key}"),
                    message,
                }),
            }
        }
        if !digests.is_empty() {
            settings.insert("sha256".to_owned(), Value::Object(digests));
        }
    }
    errors
}

impl Statements {
    /// Name in messages: the file, or else `key`.
    pub(crate) fn name<'a>(&'a self, key: &'a str) -> &'a str {
        match self {
            Self::File(file) => file,
            Self::List(_) => key,
        }
    }

    /// Text of the statements; a file must match its recorded SHA-256.
    pub(crate) fn read(
        &self,
        sha256: &BTreeMap<String, String>,
        directory: &Path,
    ) -> Result<String, Failure> {
        match self {
            Self::File(file) => {
                load(sha256, directory, file).map_err(|message| Failure::new(UNFIT, message))
            }
            Self::List(list) => Ok(list.join(";\n")),
        }
    }
}

fn load(sha256: &BTreeMap<String, String>, directory: &Path, file: &str) -> Result<String, String> {
    let bytes = files::read(directory, file)?;
    let digest = files::sha256(&bytes);
    match sha256.get(file) {
        Some(expected) if !expected.eq_ignore_ascii_case(&digest) => {
            return Err(format!(
                "expected `{file}` to have the SHA-256 {expected}, got {digest}"
            ));
        }
        _ => {}
    }
    String::from_utf8(bytes).map_err(|_| format!("expected `{file}` to be UTF-8"))
}
