//! Tidy: rules about the source tree that the compiler does not check. Crate edges, file headers, leftovers, banned
//! dependencies; module cycles, names and doc comments in files of their own.

mod comments;
mod cycles;
mod names;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The allowed dependencies between crates of the workspace.
const EDGES: [(&str, &[&str]); 8] = [
    ("harness/record", &[]),
    ("harness", &["record"]),
    ("scenarios/workloads", &["harness", "record"]),
    ("scenarios", &["harness", "record", "workloads"]),
    ("servers", &[]),
    ("reports", &["record"]),
    (
        "cli",
        &[
            "harness",
            "record",
            "workloads",
            "scenarios",
            "servers",
            "reports",
        ],
    ),
    ("bench", &["record", "reports"]),
];

/// The only files that may contain `unsafe`, one per need.
const UNSAFE: [&str; 3] = [
    "harness/src/allocations.rs",
    "harness/src/runtimes/uring/ring.rs",
    "harness/tests/conformance/tcp_options.rs",
];

/// Crates that need system libraries, C build tools, or a font on the machine.
const BANNED: [&str; 12] = [
    "font-kit",
    "freetype-sys",
    "servo-fontconfig-sys",
    "yeslogic-fontconfig-sys",
    "fontconfig",
    "openssl-sys",
    "openssl",
    "native-tls",
    "cmake",
    "bindgen",
    "aws-lc-sys",
    "libz-sys",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("a workspace")
        .to_owned()
}

/// Every Rust file of the workspace, once.
fn sources() -> Vec<PathBuf> {
    let mut files = Vec::new();
    for (folder, _) in [("examples", &[] as &[&str])].into_iter().chain(EDGES) {
        collect(&root().join(folder), &mut files);
    }
    assert!(files.len() > 50, "{} files", files.len());
    files
}

/// Adds the Rust files of a directory, leaving out crates nested in it.
fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let is_crate = path.join("Cargo.toml").exists();
        if path.is_dir() && !is_crate && name != "target" && !name.starts_with('.') {
            collect(&path, files);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            files.push(path);
        }
    }
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root())
        .unwrap_or(path)
        .display()
        .to_string()
}

#[test]
fn crates_depend_on_each_other_in_one_direction_only() {
    for (name, allowed) in EDGES {
        let manifest =
            fs::read_to_string(root().join(name).join("Cargo.toml")).expect("a manifest");
        let manifest: toml::Table = manifest.parse().expect("TOML");
        let tables = ["dependencies", "dev-dependencies", "build-dependencies"];
        let named = tables
            .iter()
            .filter_map(|table| manifest.get(*table)?.as_table())
            .flat_map(toml::Table::keys);
        let edges: BTreeSet<&str> = named
            .filter_map(|dependency| dependency.strip_prefix("photofinish-"))
            .collect();
        let allowed: BTreeSet<&str> = allowed.iter().copied().collect();
        assert!(
            edges.is_subset(&allowed),
            "{name} depends on {edges:?}, expected at most {allowed:?}"
        );
    }
}

#[test]
fn every_file_opens_with_a_description() {
    for file in sources() {
        let text = fs::read_to_string(&file).expect("a source");
        assert!(
            text.starts_with("//!"),
            "{} does not open with `//!`",
            shown(&file)
        );
    }
}

#[test]
fn unsafe_stays_in_the_listed_files() {
    let word = concat!("un", "safe ");
    for file in sources() {
        let text = fs::read_to_string(&file).expect("a source");
        let uses = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
            .any(|line| {
                line.contains(&format!("{word}{{"))
                    || line.contains(&format!("{word}fn"))
                    || line.contains(&format!("{word}impl"))
            });
        assert!(
            !uses || UNSAFE.contains(&shown(&file).as_str()),
            "{} contains unsafe code and is not listed",
            shown(&file)
        );
    }
}

#[test]
fn nothing_is_left_over() {
    let words = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X"),
        concat!("HA", "CK"),
        concat!("dbg", "!("),
        concat!("#[ig", "nore"),
    ];
    for file in sources() {
        let text = fs::read_to_string(&file).expect("a source");
        for word in words {
            let line = text.lines().position(|line| line.contains(word));
            assert_eq!(line, None, "{word} in {}", shown(&file));
        }
    }
}

#[test]
fn only_the_output_module_prints() {
    let words = ["println!(", "print!(", "eprintln!(", "eprint!("];
    for file in sources() {
        let path = shown(&file);
        let is_program = path.contains("/src/") && !path.contains("/src/bin/");
        let text = fs::read_to_string(&file).expect("a source");
        let code = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        let prints = code
            .filter(|line| words.iter().any(|word| line.contains(word)))
            .count();
        assert!(
            !is_program || prints == 0,
            "{path} prints without going through the output module"
        );
    }
}

/// `thread::spawn` panics where the system refuses a thread; `thread::Builder` gives the error.
#[test]
fn a_thread_that_cannot_be_started_is_no_panic() {
    for file in sources() {
        let path = shown(&file);
        let is_program = path.contains("/src/") && !path.starts_with("bench/");
        let text = fs::read_to_string(&file).expect("a source");
        let is_test = path.ends_with("allocations.rs");
        let program = text.split("\nmod tests {").next().unwrap_or_default();
        assert!(
            !is_program || is_test || !program.contains("thread::spawn("),
            "{path} starts a thread without an answer to its refusal"
        );
    }
}

#[test]
fn nothing_but_rust_is_needed_to_build() {
    let lock = fs::read_to_string(root().join("Cargo.lock")).expect("a lock file");
    let lock: toml::Table = lock.parse().expect("TOML");
    let packages = lock["package"].as_array().expect("packages");
    let names: BTreeSet<&str> = packages
        .iter()
        .filter_map(|package| package["name"].as_str())
        .collect();
    let banned: Vec<_> = BANNED
        .into_iter()
        .filter(|name| names.contains(name))
        .collect();
    assert_eq!(banned, [""; 0]);
}
