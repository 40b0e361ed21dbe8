//! Readers of other languages: whether they are here, and what they make of a file of ours.
//!
//! `.ci/run` installs them. A test that finds none skips aloud, and in CI fails.

use std::path::{Path, PathBuf};
use std::process::Command;

use photofinish_reports::formats::File;
use serde_json::Value;

/// A Python that can import all of these; `package` says what it takes, for people.
pub(crate) fn python(imports: &str, package: &str) -> Option<PathBuf> {
    let candidates = std::env::var_os("PHOTOFINISH_PYTHON")
        .into_iter()
        .chain(["python3".into()])
        .map(PathBuf::from);
    let import = format!("import {imports}");
    let found = candidates
        .into_iter()
        .find(|python| succeeds(Command::new(python).args(["-c", &import])));
    if found.is_none() {
        crate::skip(&format!("python3 with {package}"));
    }
    found
}

/// A Node.js that can load this package.
pub(crate) fn node(package: &str) -> Option<PathBuf> {
    let load = format!("require('{package}')");
    let found = succeeds(Command::new("node").args(["-e", &load]));
    if !found {
        crate::skip(&format!(
            "node with npm install {package}, found by NODE_PATH"
        ));
    }
    found.then(|| PathBuf::from("node"))
}

fn succeeds(command: &mut Command) -> bool {
    let output = command.output();
    output.is_ok_and(|output| output.status.success())
}

/// Runs `script` with the files' paths as its arguments; what it prints is JSON.
pub(crate) fn read(program: &Path, script: &str, files: &[File]) -> Value {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let paths = files.iter().map(|file| {
        let path = folder.path().join(&file.name);
        std::fs::write(&path, &file.bytes).expect("the temporary folder is writable");
        path
    });
    let evaluate = if program.ends_with("node") {
        "-e"
    } else {
        "-c"
    };
    let output = Command::new(program)
        .args([evaluate, script])
        .args(paths)
        .output()
        .expect("the program runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("the script prints JSON")
}
