//! Suites: several scenarios under one title, with how often and with which overrides they run; the tour is one.
//!
//! A suite is a TOML file like a scenario and is checked the same way, each flaw at its line. Its overrides are those of
//! `--set`. Scenarios are named here and read by whoever runs the suite.

use std::num::NonZeroU32;
use std::sync::Arc;

use serde::Deserialize;

use crate::catalogue::{CatalogueEntry, catalogue};
use crate::diagnostic::{Diagnostic, Diagnostics, Source};
use crate::scenario::{Document, Override, Side, check_all, typed};

/// Several scenarios under one title.
#[derive(Clone, Debug, PartialEq)]
pub struct Suite {
    /// One line for people.
    pub title: String,
    /// Rounds per cell; `None` for the run's default.
    pub rounds: Option<NonZeroU32>,
    /// The scenarios, in order.
    pub scenarios: Vec<SuiteScenario>,
}

/// A scenario of a suite.
#[derive(Clone, Debug, PartialEq)]
pub struct SuiteScenario {
    /// Its name in the catalogue, or the path of its file.
    pub name: String,
    /// What to lay over it.
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
    /// Reads a suite.
    pub fn parse(source: Source) -> Result<Self, Diagnostics> {
        let default_title = source.name.clone();
        let document = Document::parse(Arc::new(source)).map_err(Diagnostics::new)?;
        let (file, flaws) = check_all(&mut document.value.clone(), typed::<SuiteFile>);
        let mut problems: Vec<_> = flaws
            .into_iter()
            .map(|flaw| document.diagnose(flaw))
            .collect();
        let mut scenarios = Vec::new();
        for (index, entry) in file
            .iter()
            .flat_map(|file| file.scenarios.iter().enumerate())
        {
            match overrides(&document, index, &entry.set) {
                Ok(overrides) => scenarios.push(SuiteScenario {
                    name: entry.name.clone(),
                    overrides,
                }),
                Err(flawed) => problems.extend(flawed),
            }
        }
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

/// The overrides of entry number `index`, or what is wrong with them, placed in the suite's text.
fn overrides(
    document: &Document,
    index: usize,
    set: &[String],
) -> Result<Vec<Override>, Vec<Diagnostic>> {
    let mut problems = Vec::new();
    let mut overrides = Vec::new();
    for (position, argument) in set.iter().enumerate() {
        let path = [
            "scenarios",
            &index.to_string(),
            "set",
            &position.to_string(),
        ]
        .map(str::to_owned);
        match Override::parse(argument) {
            Ok(asked) => overrides.push(asked),
            Err(wrong) => problems.extend(wrong.iter().map(|diagnostic| Diagnostic {
                place: document.place(&path, Side::Value),
                ..diagnostic.clone()
            })),
        }
    }
    if problems.is_empty() {
        Ok(overrides)
    } else {
        Err(problems)
    }
}

/// The suites that ship, by name; the first is what a run without arguments measures.
pub const SUITES: [(&str, &str); 2] = [
    ("tour", include_str!("../suites/tour.toml")),
    (
        "where-async-pays",
        include_str!("../suites/where-async-pays.toml"),
    ),
];

/// The suite that holds the whole catalogue.
pub const ALL: &str = "all";

/// The suite called `name`, if one ships.
pub fn suite(name: &str) -> Option<Suite> {
    if name == ALL {
        return Some(all());
    }
    let (name, text) = SUITES.iter().find(|(known, _)| *known == name)?;
    let source = Source {
        name: (*name).to_owned(),
        origin: format!("{name}.toml"),
        text: (*text).to_owned(),
    };
    Some(Suite::parse(source).expect("suites that ship are checked by a test"))
}

/// Every scenario of the catalogue, as it is.
fn all() -> Suite {
    let whole = |entry: &CatalogueEntry| SuiteScenario {
        name: entry.name.to_owned(),
        overrides: Vec::new(),
    };
    Suite {
        title: "The whole catalogue".to_owned(),
        rounds: None,
        scenarios: catalogue().iter().map(whole).collect(),
    }
}

/// The names of all suites.
pub fn names() -> impl Iterator<Item = &'static str> {
    SUITES.iter().map(|(name, _)| *name).chain([ALL])
}

/// What a run without arguments measures: files, HTTP and a database, in about a minute.
pub fn tour() -> Suite {
    suite(SUITES[0].0).expect("the tour ships")
}
