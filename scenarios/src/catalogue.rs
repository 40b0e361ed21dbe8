//! The catalogue: the scenarios that ship, built into the tool; and how a name on the command line finds its scenario.
//!
//! Each is a file in `catalogue/`, found at build time, so that adding a scenario is adding a file. What the files say
//! is checked in `scenario`; `suite.rs` has the short tour.

use std::path::{Path, PathBuf};

use crate::diagnostic::{Source, did_you_mean};

// `static ENTRIES: &[CatalogueEntry]`, sorted by name.
include!(concat!(env!("OUT_DIR"), "/catalogue.rs"));

/// A scenario that ships.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CatalogueEntry {
    /// Its name.
    pub name: &'static str,
    /// Its file's text.
    pub text: &'static str,
}

impl CatalogueEntry {
    /// Its text, for reading.
    pub fn source(&self) -> Source {
        Source {
            name: self.name.to_owned(),
            origin: format!("catalogue/{}.toml", self.name),
            text: self.text.to_owned(),
        }
    }
}

/// All scenarios that ship, by name.
pub fn catalogue() -> &'static [CatalogueEntry] {
    ENTRIES
}

/// A commented scenario to start from.
pub const TEMPLATE: &str = include_str!("init.toml");

/// What a name on the command line means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Located {
    /// A scenario that ships.
    Catalogue(&'static CatalogueEntry),
    /// A file of the user's, to be read by the caller.
    File(PathBuf),
}

/// A name that is neither in the catalogue nor a file's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no scenario `{name}` in the catalogue")]
pub struct UnknownScenario {
    /// The name.
    pub name: String,
    /// What was probably meant.
    pub suggestion: Option<&'static str>,
}

impl UnknownScenario {
    /// What to type instead.
    pub fn hint(&self) -> String {
        match self.suggestion {
            Some(name) => format!("did you mean `{name}`?"),
            None => "`photofinish list` shows all scenarios; a file of your own ends in `.toml`"
                .to_owned(),
        }
    }
}

/// Finds what a name on the command line means. Names that end in `.toml` or hold a slash are files, whether they exist or
/// not.
pub fn locate(name: &str) -> Result<Located, UnknownScenario> {
    let entry = ENTRIES.iter().find(|entry| entry.name == name);
    match entry {
        Some(entry) => Ok(Located::Catalogue(entry)),
        None if is_file(name) => Ok(Located::File(PathBuf::from(name))),
        None => Err(UnknownScenario {
            name: name.to_owned(),
            suggestion: did_you_mean(name, ENTRIES.iter().map(|entry| entry.name)),
        }),
    }
}

fn is_file(name: &str) -> bool {
    let in_folder = name.contains(std::path::is_separator);
    in_folder
        || Path::new(name)
            .extension()
            .is_some_and(|ending| ending == "toml")
}
