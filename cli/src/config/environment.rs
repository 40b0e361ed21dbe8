//! Environment variables: defaults of options, and the list of all that the program reads.
//!
//! [`VARIABLES`] is what the help, the manual page and `docs/CONFIGURATION.md` show.

use std::env;

use clap::Command;

use super::{Candidate, KEYS, Key, Kind, flaw};
use crate::exit::Failure;

/// Name and use of the variables that a user may set.
pub const VARIABLES: [(&str, &str); 18] = [
    (
        "PHOTOFINISH_CONFIG",
        "configuration file to use; empty for none",
    ),
    (
        "PHOTOFINISH_<OPTION>",
        "default of an option, such as PHOTOFINISH_ROUNDS=20",
    ),
    ("PHOTOFINISH_PYTHON", "interpreter of the lanes in Python"),
    ("PHOTOFINISH_NODE", "interpreter of the lane node"),
    ("PHOTOFINISH_GO", "`go` command that `setup go` uses"),
    (
        "PHOTOFINISH_DATA",
        "lane package directory; overrides XDG_DATA_HOME",
    ),
    ("NO_COLOR", "if set and not empty, no colour"),
    (
        "CLICOLOR_FORCE",
        "if set and not 0, colour even without a terminal",
    ),
    ("CLICOLOR", "if 0, no colour"),
    ("TERM", "if dumb or unset, no live view"),
    ("COLUMNS", "width of tables, instead of the terminal's"),
    (
        "BROWSER",
        "program for `open`; several are separated by colons",
    ),
    (
        "PGPASSWORD",
        "password for --target db=… if the URL has none",
    ),
    (
        "XDG_CACHE_HOME",
        "parent of gate checkouts and builds [~/.cache]",
    ),
    (
        "XDG_DATA_HOME",
        "parent of lanes' packages, if not ~/.local/share",
    ),
    ("TMPDIR", "place for temporary files"),
    (
        "CARGO",
        "set by cargo: suggested commands begin with `cargo run`",
    ),
    (
        "any other",
        "a scenario file reads it as {{env.NAME}} in a slot",
    ),
];

/// Defaults for the command from the environment.
pub(super) fn defaults(program: &Command, command: &str) -> Result<Vec<Candidate>, Failure> {
    let keys = KEYS.iter().filter(|key| key.is_for(command));
    let mut candidates = Vec::new();
    for key in keys {
        let Some(source) = key.variable() else {
            continue;
        };
        let Some(value) = env::var_os(&source).filter(|value| !value.is_empty()) else {
            continue;
        };
        let wrong = |message: String| {
            Failure::usage(format!("{source}: {message}")).hint(format!(
                "it is the default of --{}; unset it, or give it a valid value",
                key.name
            ))
        };
        let value = value.into_string();
        let value = value.map_err(|_| wrong("expected text in UTF-8".to_owned()))?;
        let Some(option) = option(key, &value).map_err(wrong)? else {
            continue;
        };
        if let Some(message) = flaw(program, command, &option) {
            return Err(wrong(message));
        }
        candidates.push(Candidate {
            key,
            part: None,
            option,
            source,
        });
    }
    Ok(candidates)
}

/// The option as it would be typed; `None` for a flag that is off.
fn option(key: &Key, value: &str) -> Result<Option<String>, String> {
    if key.kind != Kind::Flag {
        return Ok(Some(format!("--{}={value}", key.name)));
    }
    match value {
        "1" | "true" => Ok(Some(format!("--{}", key.name))),
        "0" | "false" => Ok(None),
        _ => Err(format!("expected 1, true, 0 or false, got `{value}`")),
    }
}
