//! The set-up and tear-down files: surveyed when the scenario is read, run once a round.

use std::path::Path;

use photofinish_harness::workload::{Failure, ParamError};
use serde_json::{Map, Value, json};

use super::spec::SqlSpec;
use crate::data::{UNFIT, files};

/// Adds the SHA-256 of the files to `params.sql`, or returns the errors.
pub(crate) fn survey(params: &mut Value, directory: &Path) -> Vec<ParamError> {
    let Some(sql) = params.get_mut("sql").and_then(Value::as_object_mut) else {
        return Vec::new();
    };
    // Wrong types are reported when the parameters are checked.
    let Ok(spec) = serde_json::from_value::<SqlSpec>(Value::Object(sql.clone())) else {
        return Vec::new();
    };
    let (mut digests, mut errors) = (Map::new(), Vec::new());
    for (key, file) in [("setup", &spec.setup), ("teardown", &spec.teardown)] {
        let Some(file) = file else { continue };
        match load(&spec, directory, file) {
            Ok(text) => drop(digests.insert(file.clone(), json!(files::sha256(text.as_bytes())))),
            Err(message) => errors.push(ParamError {
                param: format!("sql.{key}"),
                message,
            }),
        }
    }
    if !digests.is_empty() {
        sql.insert("sha256".to_owned(), Value::Object(digests));
    }
    errors
}

/// The text of a file, which has to have the recorded SHA-256.
pub(super) fn read(spec: &SqlSpec, directory: &Path, file: &str) -> Result<String, Failure> {
    load(spec, directory, file).map_err(|message| Failure::new(UNFIT, message))
}

fn load(spec: &SqlSpec, directory: &Path, file: &str) -> Result<String, String> {
    let bytes = files::read(directory, file)?;
    let digest = files::sha256(&bytes);
    match spec.sha256.get(file) {
        Some(expected) if !expected.eq_ignore_ascii_case(&digest) => {
            return Err(format!(
                "expected `{file}` to have the SHA-256 {expected}, got {digest}"
            ));
        }
        _ => {}
    }
    String::from_utf8(bytes).map_err(|_| format!("expected `{file}` to be UTF-8"))
}
