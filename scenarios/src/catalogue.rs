//! The catalogue: the scenarios that ship, built into the tool; and the lookup of names on the command line.
//!
//! Each scenario is a file in `catalogue/`, found at build time, so adding a scenario is adding a file. `scenario` checks
//! their content.

use std::path::{Path, PathBuf};

use crate::diagnostic::Source;
use photofinish_workloads::names::did_you_mean;

// `static ENTRIES: &[CatalogueEntry]`, sorted by name.
include!(concat!(env!("OUT_DIR"), "/catalogue.rs"));

/// A scenario that ships.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CatalogueEntry {
    pub name: &'static str,
    pub text: &'static str,
}

impl CatalogueEntry {
    pub fn source(&self) -> Source {
        Source {
            name: self.name.to_owned(),
            origin: format!("catalogue/{}.toml", self.name),
            text: self.text.to_owned(),
            directory: PathBuf::new(),
            ships: true,
        }
    }
}

/// All scenarios that ship, by name.
pub fn catalogue() -> &'static [CatalogueEntry] {
    ENTRIES
}

/// A commented scenario to start from.
pub const TEMPLATE: &str = include_str!("init.toml");

/// The scenario that a name on the command line refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScenarioRef {
    Catalogue(&'static CatalogueEntry),
    /// A user's file, to be read by the caller.
    File(PathBuf),
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown scenario `{name}`")]
pub struct UnknownScenario {
    pub name: String,
    /// The most similar name.
    pub suggestion: Option<&'static str>,
}

impl UnknownScenario {
    pub fn hint(&self) -> String {
        match self.suggestion {
            Some(name) => format!("did you mean `{name}`?"),
            None => "`photofinish list` shows all scenarios; a file of your own ends in `.toml`"
                .to_owned(),
        }
    }
}

/// Resolves a name on the command line. A name that ends in `.toml` or contains a slash is a file, whether it exists or
/// not.
pub fn locate(name: &str) -> Result<ScenarioRef, UnknownScenario> {
    if let Some(entry) = ENTRIES.iter().find(|entry| entry.name == name) {
        return Ok(ScenarioRef::Catalogue(entry));
    }
    let path = Path::new(name);
    if name.contains(std::path::is_separator) || path.extension().is_some_and(|it| it == "toml") {
        return Ok(ScenarioRef::File(path.to_owned()));
    }
    Err(UnknownScenario {
        name: name.to_owned(),
        suggestion: did_you_mean(name, ENTRIES.iter().map(|entry| entry.name)),
    })
}
