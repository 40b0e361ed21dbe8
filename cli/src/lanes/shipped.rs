//! The lanes that ship with the program, as their sources (`sources`).
//!
//! A new lane of a known language is one script, its name in `sources`, and one entry in [`SHIPPED`]; languages are in
//! `languages`. `photofinish lanes show NAME` prints its source: a reader has to be able to judge whether it is written as that language's own users write.

use std::ffi::OsString;
use std::path::Path;

use photofinish_record::protocol::LaneDescription;
use photofinish_record::{ForeignWorker, RuntimeFamily, hex};
use photofinish_scenarios::plan::Lane;
use photofinish_scenarios::registry::workloads;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::languages::{GO, Language, NODE, PYTHON};
use super::managed::write_files;
use super::sources::{self, SourceFile};
use super::{describe, scratch};
use crate::exit::Failure;

/// A lane that ships with the program.
#[derive(Debug)]
pub struct ShippedLane {
    pub name: &'static str,
    /// Its language, whose name selects its lanes.
    pub language: &'static Language,
    pub summary: &'static str,
    /// True if the name of its language selects it: not a lane that has few workloads.
    is_in_group: bool,
    /// The files of its program: those shared with other lanes, and last the one that the program starts with.
    files: &'static [&'static [SourceFile]],
}

/// Every shipped lane.
pub const SHIPPED: [ShippedLane; 8] = [
    ShippedLane {
        name: "python-sync",
        language: &PYTHON,
        summary: "CPython: blocking calls, one session (http.client, psycopg)",
        is_in_group: true,
        files: &[sources::COMMON, sources::BLOCKING, sources::PYTHON_SYNC],
    },
    ShippedLane {
        name: "python-threads",
        language: &PYTHON,
        summary: "CPython: a thread per session, blocking calls (http.client, psycopg)",
        is_in_group: true,
        files: &[sources::COMMON, sources::BLOCKING, sources::PYTHON_THREADS],
    },
    ShippedLane {
        name: "asyncio",
        language: &PYTHON,
        summary: "CPython: a task per session on the event loop (asyncio streams)",
        is_in_group: true,
        files: &[sources::COMMON, sources::ASYNCHRONOUS, sources::ASYNCIO],
    },
    ShippedLane {
        name: "asyncio-processes",
        language: &PYTHON,
        summary: "CPython: the lane asyncio with a process pool for offloaded calls (ProcessPoolExecutor)",
        is_in_group: false,
        files: &[
            sources::COMMON,
            sources::ASYNCHRONOUS,
            sources::ASYNCIO_PROCESSES,
        ],
    },
    ShippedLane {
        name: "aiohttp",
        language: &PYTHON,
        summary: "CPython: a task per session on the event loop (aiohttp, aiofiles, asyncpg, websockets)",
        is_in_group: true,
        files: &[sources::COMMON, sources::ASYNCHRONOUS, sources::AIOHTTP],
    },
    ShippedLane {
        name: "uvloop",
        language: &PYTHON,
        summary: "CPython: the lane aiohttp under uvloop",
        is_in_group: true,
        files: &[sources::COMMON, sources::ASYNCHRONOUS, sources::UVLOOP],
    },
    ShippedLane {
        name: "node",
        language: &NODE,
        summary: "Node.js: a task per session on the event loop (node:http, fs/promises, pg, ws)",
        is_in_group: true,
        files: &[sources::NODE],
    },
    ShippedLane {
        name: "go",
        language: &GO,
        summary: "Go: a goroutine per session (net/http, os; the standard library alone)",
        is_in_group: true,
        files: &[sources::GO],
    },
];

/// The names of the lanes in the language `name`; none if there is no such language.
pub fn group(name: &str) -> Vec<String> {
    let members = SHIPPED.iter();
    let members = members.filter(|lane| lane.language.name == name && lane.is_in_group);
    members.map(|lane| lane.name.to_owned()).collect()
}

/// The files of a lane, each with its name: what is shared first, the one that the program starts with last.
pub fn source(lane: &ShippedLane) -> Vec<SourceFile> {
    lane.files.concat()
}

impl ShippedLane {
    /// The file name of the script that is started; `None` if its program has to be built.
    fn script(&self) -> Option<&'static str> {
        let (script, _) = source(self).pop().expect("a lane has files");
        (!self.language.is_built).then_some(script)
    }

    /// Writes its scripts, if it has any.
    pub(super) fn write_to(&self, directory: &Path) -> Result<(), Failure> {
        match self.script() {
            Some(_) => write_files(directory, &source(self)),
            None => Ok(()),
        }
    }

    /// Its command with the script in `directory`.
    pub(super) fn command_in(&self, command: &[String], directory: &Path) -> Vec<OsString> {
        let script = self.script();
        let words = command.iter();
        words
            .map(|word| match script {
                Some(script) if word == script => directory.join(script).into(),
                _ => OsString::from(word),
            })
            .collect()
    }

    /// Its command and the directory to run it in, with its scripts.
    pub(super) fn unpacked(&self) -> Result<(Vec<String>, TempDir), Failure> {
        let command = (self.language.command)(self.script().unwrap_or_default())?;
        let directory = scratch()?;
        self.write_to(directory.path())?;
        Ok((command, directory))
    }

    /// The lane as its own worker describes it.
    pub(super) fn describe(&self) -> Result<Lane, Failure> {
        let (command, directory) = match self.unpacked() {
            Err(failure) if self.language.is_built => return Ok(self.without_program(&failure)),
            other => other?,
        };
        let mut described = describe(&command, Some(directory.path()))?;
        let description = described
            .pop()
            .ok_or_else(|| Failure::could_not_run(format!("{} describes no lane", self.name)))?;
        Ok(self.lane(description, command))
    }

    fn lane(&self, description: LaneDescription, command: Vec<String>) -> Lane {
        Lane {
            worker: ForeignWorker {
                stack: description.stack.clone(),
                command,
                sha256: Some(self.sha256()),
                min_warmup_ns: description.min_warmup_ns,
                versions: description.versions.clone(),
            },
            description,
            everywhere: false,
        }
    }

    /// The lane without its program: it can run nothing here, for this reason.
    fn without_program(&self, failure: &Failure) -> Lane {
        let reason = failure.in_one_line();
        let all = workloads().map(|workload| (workload.about.name.to_owned(), reason.clone()));
        let description = LaneDescription {
            name: self.name.to_owned(),
            family: RuntimeFamily::Async,
            stack: self.language.stack.to_owned(),
            summary: self.summary.to_owned(),
            workloads: Vec::new(),
            cannot: all.collect(),
            open_load: false,
            min_warmup_ns: None,
            versions: Default::default(),
        };
        self.lane(description, Vec::new())
    }

    /// SHA-256 over its files, in their order.
    fn sha256(&self) -> String {
        let mut digest = Sha256::new();
        for (name, text) in source(self) {
            digest.update(name);
            digest.update(text);
        }
        hex(digest.finalize())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn every_lane_has_the_files_that_its_files_name() {
        for lane in &SHIPPED {
            let files = source(lane);
            let has = |file: &str| files.iter().any(|(name, _)| *name == file);
            let others = others(lane.language.name);
            for (name, text) in &files {
                for file in others.iter().filter(|file| imports(text, file)) {
                    assert!(has(file), "{}: {name} imports {file}", lane.name);
                }
            }
            let (_, script) = files.last().expect("a script");
            let names = ['"', '\''].map(|quote| format!("{quote}{}{quote}", lane.name));
            assert!(
                names.iter().any(|name| script.contains(name)),
                "{} is not named by its script",
                lane.name
            );
        }
        assert_eq!(group("python").len(), 5);
        assert_eq!(group("node"), ["node"]);
        assert_eq!(group("ruby"), [""; 0]);
    }

    /// The sources in the directory of a language.
    fn others(language: &str) -> Vec<String> {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("lanes")
            .join(language);
        let entries = fs::read_dir(directory).expect("a directory of lanes");
        let names = entries.map(|entry| entry.expect("an entry").file_name());
        let names = names.map(|name| name.into_string().expect("text"));
        let is_source =
            |name: &String| [".py", ".cjs", ".go"].iter().any(|end| name.ends_with(end));
        names.filter(is_source).collect()
    }

    /// True if a line of the text imports the file. Files of Go are a package, and need all others.
    fn imports(text: &str, file: &str) -> bool {
        let (stem, ending) = file.rsplit_once('.').expect("an ending");
        text.lines().any(|line| match ending {
            "py" => {
                let mut words = line.split([' ', ',']).filter(|word| !word.is_empty());
                matches!(words.next(), Some("from" | "import")) && words.next() == Some(stem)
            }
            "cjs" => line.contains(&format!("require('./{file}')")),
            _ => true,
        })
    }
}
