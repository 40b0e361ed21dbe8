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

/// Debian's Go tools, as `go run` with the libraries of the distribution instead of modules from the network.
pub(crate) fn go_run(package: &str) -> Option<Command> {
    let run = || {
        let mut go = Command::new("go");
        go.env("GO111MODULE", "off")
            .env("GOPATH", "/usr/share/gocode")
            .env("GOCACHE", env!("CARGO_TARGET_TMPDIR"))
            .args(["run", package]);
        go
    };
    let is_there = Path::new("/usr/share/gocode/src").join(package).is_dir();
    if !is_there || !succeeds(Command::new("go").arg("version")) {
        crate::skip(&format!("go with {package} (golang-golang-x-tools-dev)"));
        return None;
    }
    Some(run())
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

/// A Python that reads JUnit documents.
pub(crate) fn junit_reader() -> Option<PathBuf> {
    python("junitparser, lxml", "the packages junitparser and lxml")
}

/// The last file of what [`READ_JUNIT`] is given.
pub(crate) fn junit_schema() -> File {
    File {
        name: "junit.xsd".to_owned(),
        bytes: include_bytes!("junit.xsd").to_vec(),
    }
}

/// The cases of each suite of each document, which must follow the schema and have counted right.
pub(crate) const READ_JUNIT: &str = r#"
import json, sys
from junitparser import JUnitXml
from lxml import etree
*paths, schema = sys.argv[1:]
schema = etree.XMLSchema(etree.parse(schema))
def case(case):
    result = case.result[0] if case.result else None
    return {"classname": case.classname, "name": case.name, "time": case.time, "output": case.system_out,
            "result": type(result).__name__ if result else "Passed", "message": result.message if result else ""}
def read(path):
    schema.assertValid(etree.parse(path))
    document = JUnitXml.fromfile(path)
    counts = lambda it: (it.tests, it.failures, it.errors)
    stated = counts(document), [counts(suite) + (suite.skipped,) for suite in document]
    document.update_statistics()
    found = counts(document), [counts(suite) + (suite.skipped,) for suite in document]
    assert stated == found, (path, stated, found)
    return [[case(it) for it in suite] for suite in document]
print(json.dumps([read(path) for path in paths]))
"#;
