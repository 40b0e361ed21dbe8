//! Scenario files: no panic, and an error that can be told.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use photofinish_scenarios::diagnostic::Source;
use photofinish_scenarios::scenario::{Checks, Scenario};

/// Servers and gates are known to other crates.
const CHECKS: Checks<'_> = Checks {
    server: &|_, _| Ok(()),
    default_server: &|_| Some("http"),
    gate: &|_, _| Ok(()),
    threshold: &|_, _, _| Ok(()),
};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let source = Source::of_file(Path::new("mine.toml"), text.to_owned());
    if let Err(diagnostics) = Scenario::parse(source, &[], CHECKS) {
        assert!(!diagnostics.to_string().is_empty());
    }
});
