//! Suites: several scenarios under one title, with a number of rounds and overrides; the tour is one.
//!
//! A suite is a TOML file like a scenario and is checked the same way, each flaw at its line. Its overrides are those of
//! `--set`. It names its scenarios; the caller reads them.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Deserialize;

use crate::catalogue::catalogue;
use crate::diagnostic::{Diagnostic, Diagnostics, Source};
use crate::scenario::{Document, Override, Side, check_all, typed};

/// Several scenarios under one title.
#[derive(Clone, Debug, PartialEq)]
pub struct Suite {
    pub title: String,
    /// Rounds per cell; `None` for the run's default.
    pub rounds: Option<NonZeroU32>,
    pub scenarios: Vec<SuiteScenario>,
}

/// A scenario of a suite.
#[derive(Clone, Debug, PartialEq)]
pub struct SuiteScenario {
    /// Name in the catalogue, or path of a file.
    pub name: String,
    pub overrides: Vec<Override>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SuiteFile {
    title: Option<String>,
    rounds: Option<NonZeroU32>,
    #[serde(default)]
    scenarios: Vec<EntryFile>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryFile {
    name: String,
    #[serde(default)]
    set: Vec<String>,
}

impl Suite {
    pub fn parse(source: Source) -> Result<Self, Diagnostics> {
        let default_title = source.name.clone();
        let document = Document::parse(Arc::new(source)).map_err(Diagnostics::new)?;
        let (file, flaws) = check_all(&mut document.value.clone(), typed::<SuiteFile>);
        let mut problems: Vec<_> = flaws
            .into_iter()
            .map(|flaw| document.diagnose(flaw))
            .collect();
        let entries = file.iter().flat_map(|file| &file.scenarios);
        let scenarios = entries
            .enumerate()
            .map(|(index, entry)| SuiteScenario {
                name: entry.name.clone(),
                overrides: overrides(&document, index, &entry.set, &mut problems),
            })
            .collect();
        match file {
            Some(file) if problems.is_empty() => Ok(Self {
                title: file.title.unwrap_or(default_title),
                rounds: file.rounds,
                scenarios,
            }),
            _ => Err(Diagnostics::new(problems)),
        }
    }
}

/// The overrides of the entry at `index`; errors go to `problems`, with their location in the suite's text.
fn overrides(
    document: &Document,
    index: usize,
    set: &[String],
    problems: &mut Vec<Diagnostic>,
) -> Vec<Override> {
    let mut overrides = Vec::new();
    for (position, argument) in set.iter().enumerate() {
        match Override::parse(argument) {
            Ok(parsed) => overrides.push(parsed),
            Err(errors) => {
                let (index, position) = (index.to_string(), position.to_string());
                let path = ["scenarios", &index, "set", &position].map(str::to_owned);
                problems.extend(errors.iter().map(|error| Diagnostic {
                    location: document.locate(&path, Side::Value),
                    ..error.clone()
                }));
            }
        }
    }
    overrides
}

/// The built-in suites, by name. A run without arguments measures the first.
pub const SUITES: [(&str, &str); 2] = [
    ("tour", include_str!("../suites/tour.toml")),
    (
        "where-async-pays",
        include_str!("../suites/where-async-pays.toml"),
    ),
];

/// The suite that holds the whole catalogue.
pub const ALL: &str = "all";

/// The suite called `name`.
pub fn suite(name: &str) -> Option<Suite> {
    if name == ALL {
        return Some(all());
    }
    let (name, text) = SUITES.iter().find(|(known, _)| *known == name)?;
    let source = Source {
        name: (*name).to_owned(),
        origin: format!("{name}.toml"),
        text: (*text).to_owned(),
        directory: PathBuf::new(),
        ships: true,
    };
    Some(Suite::parse(source).expect("suites that ship are checked by a test"))
}

fn all() -> Suite {
    Suite {
        title: "The whole catalogue".to_owned(),
        rounds: None,
        scenarios: catalogue()
            .iter()
            .map(|entry| SuiteScenario {
                name: entry.name.to_owned(),
                overrides: Vec::new(),
            })
            .collect(),
    }
}

/// The names of all suites.
pub fn names() -> impl Iterator<Item = &'static str> {
    SUITES.iter().map(|(name, _)| *name).chain([ALL])
}

/// The suite of a run without arguments: files, HTTP and a database, in about a minute.
pub fn tour() -> Suite {
    suite(SUITES[0].0).expect("the tour ships")
}
