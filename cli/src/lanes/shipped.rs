//! The lanes that ship with the program, as their sources (`sources`).
//!
//! A new lane of a known language is one script, its name in `sources`, and one entry in [`SHIPPED`]; languages are in
//! `languages`. `photofinish lanes show NAME` prints its source: a reader has to be able to judge whether it is written as that
//! language's own users write.

use std::ffi::OsString;
use std::path::Path;

use photofinish_record::protocol::LaneDescription;
use photofinish_record::{ForeignWorker, RuntimeFamily, hex};
use photofinish_scenarios::plan::Lane;
use photofinish_workloads::registry::workloads;
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
    selection: Selection,
    /// The files of its program: those shared with other lanes, and last the one that the program starts with.
    files: &'static [&'static [SourceFile]],
}

/// How a lane is selected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Selection {
    /// Selected by the name of the language.
    Group,
    /// Selected by its own name alone: it has few workloads.
    Apart,
    /// Shows the distance of the others from what the language can do, and is not for choice.
    Floor,
}

/// Every shipped lane.
pub const SHIPPED: [ShippedLane; 11] = [
    ShippedLane {
        name: "python-sync",
        language: &PYTHON,
        summary: "CPython: blocking calls, one session (http.client, psycopg)",
        selection: Selection::Group,
        files: &[sources::COMMON, sources::BLOCKING, sources::PYTHON_SYNC],
    },
    ShippedLane {
        name: "python-threads",
        language: &PYTHON,
        summary: "CPython: a thread per session, blocking calls (http.client, psycopg)",
        selection: Selection::Group,
        files: &[sources::COMMON, sources::BLOCKING, sources::PYTHON_THREADS],
    },
    ShippedLane {
        name: "asyncio",
        language: &PYTHON,
        summary: "CPython: a task per session on the event loop (asyncio streams)",
        selection: Selection::Group,
        files: &[sources::COMMON, sources::ASYNCHRONOUS, sources::ASYNCIO],
    },
    ShippedLane {
        name: "asyncio-processes",
        language: &PYTHON,
        summary: "CPython: the lane asyncio with a process pool for offloaded calls (ProcessPoolExecutor)",
        selection: Selection::Apart,
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
        selection: Selection::Group,
        files: &[sources::COMMON, sources::ASYNCHRONOUS, sources::AIOHTTP],
    },
    ShippedLane {
        name: "uvloop",
        language: &PYTHON,
        summary: "CPython: the lane aiohttp under uvloop",
        selection: Selection::Group,
        files: &[sources::COMMON, sources::ASYNCHRONOUS, sources::UVLOOP],
    },
    ShippedLane {
        name: "asyncio-floor",
        language: &PYTHON,
        summary: "CPython: asyncio.Protocol and a parser of our own, a floor",
        selection: Selection::Floor,
        files: &[
            sources::COMMON,
            sources::ASYNCHRONOUS,
            sources::ASYNCIO_FLOOR,
        ],
    },
    ShippedLane {
        name: "node",
        language: &NODE,
        summary: "Node.js: a task per session on the event loop (node:http, fs/promises, pg, ws)",
        selection: Selection::Group,
        files: &[sources::NODE_COMMON, sources::NODE],
    },
    ShippedLane {
        name: "node-floor",
        language: &NODE,
        summary: "Node.js: node:net and a parser of our own, a floor",
        selection: Selection::Floor,
        files: &[sources::NODE_COMMON, sources::NODE_FLOOR],
    },
    ShippedLane {
        name: "go",
        language: &GO,
        summary: "Go: a goroutine per session (net/http, os; the standard library alone)",
        selection: Selection::Group,
        files: &[sources::GO],
    },
    ShippedLane {
        name: "go-floor",
        language: &GO,
        summary: "Go: net.Conn and a parser of our own, a floor",
        selection: Selection::Floor,
        files: &[sources::GO],
    },
];

/// The names of the lanes in the language `name` that are for choice; none if there is no such language.
pub fn group(name: &str) -> Vec<String> {
    let members = SHIPPED.iter();
    let members =
        members.filter(|lane| lane.language.name == name && lane.selection == Selection::Group);
    members.map(|lane| lane.name.to_owned()).collect()
}

/// The lanes with these names, each once, and after them the floors of their languages if `with_floors`.
pub(super) fn chosen(names: &[String], with_floors: bool) -> Vec<&'static ShippedLane> {
    const ALL: &[ShippedLane] = &SHIPPED;
    let is_named = |lane: &&ShippedLane| names.iter().any(|name| name == lane.name);
    let named: Vec<&ShippedLane> = ALL.iter().filter(is_named).collect();
    let has = |lane: &ShippedLane| named.iter().any(|named| named.name == lane.name);
    let speaks = |lane: &ShippedLane| {
        named
            .iter()
            .any(|named| named.language.name == lane.language.name)
    };
    let is_beside =
        |lane: &&ShippedLane| lane.selection == Selection::Floor && speaks(lane) && !has(lane);
    let floors = ALL.iter().filter(is_beside).filter(|_| with_floors);
    named.iter().copied().chain(floors).collect()
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
        let description = describe(&command, Some(directory.path()))?
            .into_iter()
            .find(|description| description.name == self.name)
            .ok_or_else(|| {
                Failure::could_not_run(format!("the program of {} describes others", self.name))
            })?;
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
            family: if self.selection == Selection::Floor {
                RuntimeFamily::Floor
            } else {
                RuntimeFamily::Async
            },
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
            let names = ['"', '\''].map(|quote| format!("{quote}{}{quote}", lane.name));
            // A program that is built may have several lanes.
            let scripts = files.iter().rev();
            let mut scripts = scripts.take(if lane.language.is_built {
                files.len()
            } else {
                1
            });
            assert!(
                scripts.any(|(_, script)| names.iter().any(|name| script.contains(name))),
                "{} is not named by its script",
                lane.name
            );
        }
        assert_eq!(group("python").len(), 5);
        assert_eq!(group("node"), ["node"]);
        assert_eq!(group("go"), ["go"]);
        assert_eq!(group("ruby"), [""; 0]);
    }

    #[test]
    fn floors_come_with_the_lanes_of_their_language() {
        let names = |requested: &[&str], with_floors| -> Vec<&str> {
            let requested: Vec<String> = requested.iter().map(|name| (*name).to_owned()).collect();
            let chosen = chosen(&requested, with_floors);
            chosen.into_iter().map(|lane| lane.name).collect()
        };
        let some = ["uvloop", "tokio", "go"];
        assert_eq!(names(&some, false), ["uvloop", "go"]);
        assert_eq!(
            names(&some, true),
            ["uvloop", "go", "asyncio-floor", "go-floor"]
        );
        assert_eq!(names(&["node-floor"], true), ["node-floor"]);
        assert_eq!(names(&["tokio"], true), [""; 0]);
        let languages = SHIPPED
            .iter()
            .filter(|lane| lane.selection != Selection::Floor);
        for lane in languages {
            let floors = names(&[lane.name], true).len() - 1;
            assert_eq!(floors, 1, "{}", lane.language.name);
        }
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
