//! The files that a scenario names, relative to its own directory: read here and nowhere else.
//!
//! [`survey`] runs when the scenario is read: the parameters get the facts that templates and records need, so that a
//! record has a file's path as written and its SHA-256, and no path of this machine. A worker reads the file again and
//! compares.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use photofinish_harness::workload::ParamError;
use photofinish_record::hex;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::feed::{FeedSpec, FileFormat, Table};

/// Largest file, in bytes.
const LARGEST: u64 = 1 << 30;

/// Reads a file whose path is relative to `directory`.
pub fn read(directory: &Path, file: &str) -> Result<Vec<u8>, String> {
    let path = locate(directory, file)?;
    let cannot = |error| format!("cannot read `{file}`: {error}");
    let metadata = fs::metadata(&path).map_err(cannot)?;
    if !metadata.is_file() || metadata.len() > LARGEST {
        return Err(format!("expected `{file}` to be a file of at most 1 GiB"));
    }
    fs::read(&path).map_err(cannot)
}

/// The first `bytes` bytes of a file of any size, or all of it if it is shorter.
pub fn read_start(directory: &Path, file: &str, bytes: usize) -> Result<Vec<u8>, String> {
    let path = locate(directory, file)?;
    let cannot = |error| format!("cannot read `{file}`: {error}");
    if !fs::metadata(&path).map_err(cannot)?.is_file() {
        return Err(format!("expected `{file}` to be a file"));
    }
    let mut start = Vec::new();
    let opened = fs::File::open(&path).map_err(cannot)?;
    let limit = bytes as u64;
    opened.take(limit).read_to_end(&mut start).map_err(cannot)?;
    Ok(start)
}

fn locate(directory: &Path, file: &str) -> Result<PathBuf, String> {
    let path = Path::new(file);
    if file.is_empty() || path.is_absolute() {
        return Err(format!(
            "expected a path relative to the scenario file, got `{file}`"
        ));
    }
    Ok(directory.join(path))
}

/// SHA-256 in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    hex(Sha256::digest(bytes))
}

/// The table of a feed, and the SHA-256 of its file, which must equal that in `spec` if it has one.
pub(super) fn load(directory: &Path, spec: &FeedSpec) -> Result<(Table, String), String> {
    let file = &spec.file;
    let format = FileFormat::of(file).ok_or_else(|| {
        format!("expected a file that ends in `.csv`, `.jsonl` or `.ndjson`, got `{file}`")
    })?;
    let bytes = read(directory, file)?;
    let sha256 = sha256(&bytes);
    if !spec.sha256.is_empty() && !spec.sha256.eq_ignore_ascii_case(&sha256) {
        return Err(format!(
            "expected `{file}` to have the SHA-256 {}, got {sha256}",
            spec.sha256
        ));
    }
    str::from_utf8(&bytes).map_err(|error| {
        let before = &bytes[..error.valid_up_to()];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        format!("{file}, line {line}: expected UTF-8")
    })?;
    let table = format
        .parse(bytes)
        .map_err(|error| format!("{file}, {error}"))?;
    Ok((table, sha256))
}

/// Adds columns, number of rows and SHA-256 to each table in `params.feed`, or returns the errors.
pub fn survey(params: &mut Value, directory: &Path) -> Vec<ParamError> {
    let Some(feeds) = params.get_mut("feed").and_then(Value::as_object_mut) else {
        return Vec::new();
    };
    let mut errors = Vec::new();
    for (name, feed) in feeds {
        // Wrong types are reported when the parameters are checked.
        let Ok(spec) = serde_json::from_value::<FeedSpec>(feed.clone()) else {
            continue;
        };
        match load(directory, &spec) {
            Ok((table, sha256)) => {
                feed["columns"] = json!(table.columns);
                feed["rows"] = json!(table.rows());
                feed["sha256"] = json!(sha256);
            }
            Err(message) => errors.push(ParamError {
                param: format!("feed.{name}.file"),
                message,
            }),
        }
    }
    errors
}
