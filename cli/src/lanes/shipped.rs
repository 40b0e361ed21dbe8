//! The lanes that ship with the program: their scripts, and the files beside them.
//!
//! A new lane of a known language is one script and one line in [`SHIPPED`]. `photofinish lanes show NAME` prints its source:
//! a reader has to be able to judge whether it is written as that language's own users write.

use std::fs;
use std::path::Path;

use photofinish_record::{ForeignWorker, hex};
use photofinish_scenarios::plan::Lane;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::python::require_interpreter;
use super::{describe, scratch};
use crate::exit::{Failure, OrFail};

/// A lane that ships with the program.
#[derive(Debug)]
pub struct ShippedLane {
    pub name: &'static str,
    /// The group that selects it among others: `python`.
    pub group: &'static str,
    pub summary: &'static str,
    /// The files of its program: those shared with other lanes, and last the script that is started.
    files: &'static [&'static [File]],
}

/// A file's name and text.
type File = (&'static str, &'static str);

/// Files of the Python lanes with their texts.
macro_rules! files {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../lanes/python/", $name)))),*]
    };
}

/// Files of every Python lane.
const COMMON: &[File] = files![
    "frame.py",
    "open_phase.py",
    "content.py",
    "db_content.py",
    "ws_content.py",
    "site_content.py",
];

/// Files of the lanes of blocking code.
const BLOCKING: &[File] = files![
    "blocking_open.py",
    "blocking_frame.py",
    "blocking_tasks.py",
    "blocking_http.py",
    "blocking_site.py",
    "blocking_files.py",
    "blocking_db.py",
    "blocking_ws.py",
];

/// Files of the lanes under an event loop.
const ASYNCHRONOUS: &[File] = files![
    "async_open.py",
    "async_frame.py",
    "async_tasks.py",
    "async_http.py",
    "async_site.py",
    "async_files.py",
    "async_db.py",
    "async_ws.py",
    "async_workloads.py",
];

/// Every shipped lane.
pub const SHIPPED: [ShippedLane; 5] = [
    ShippedLane {
        name: "python-sync",
        group: "python",
        summary: "CPython: blocking calls, one session (http.client, psycopg)",
        files: &[COMMON, BLOCKING, files!["python_sync.py"]],
    },
    ShippedLane {
        name: "python-threads",
        group: "python",
        summary: "CPython: a thread per session, blocking calls (http.client, psycopg)",
        files: &[COMMON, BLOCKING, files!["python_threads.py"]],
    },
    ShippedLane {
        name: "asyncio",
        group: "python",
        summary: "CPython: a task per session on the event loop (asyncio streams)",
        files: &[COMMON, ASYNCHRONOUS, files!["asyncio_tasks.py"]],
    },
    ShippedLane {
        name: "aiohttp",
        group: "python",
        summary: "CPython: a task per session on the event loop (aiohttp, aiofiles, asyncpg, websockets)",
        files: &[COMMON, ASYNCHRONOUS, files!["aiohttp_tasks.py"]],
    },
    ShippedLane {
        name: "uvloop",
        group: "python",
        summary: "CPython: the lane aiohttp under uvloop",
        files: &[
            COMMON,
            ASYNCHRONOUS,
            files!["aiohttp_tasks.py", "uvloop_tasks.py"],
        ],
    },
];

/// The names of the lanes in the group `name`; none if there is no such group.
pub fn group(name: &str) -> Vec<String> {
    let members = SHIPPED.iter().filter(|lane| lane.group == name);
    members.map(|lane| lane.name.to_owned()).collect()
}

/// The files of a lane, each with its name: the frame first, the script that is started last.
pub fn source(lane: &ShippedLane) -> Vec<(&'static str, &'static str)> {
    lane.files.concat()
}

impl ShippedLane {
    /// The file name of the script that is started.
    pub(super) fn script(&self) -> &'static str {
        let (script, _) = source(self).pop().expect("a lane has a script");
        script
    }

    pub(super) fn write_to(&self, directory: &Path) -> Result<(), Failure> {
        let cannot = || {
            format!(
                "cannot write the scripts of lanes to {}",
                directory.display()
            )
        };
        fs::create_dir_all(directory).or_fail(cannot())?;
        for (name, text) in source(self) {
            fs::write(directory.join(name), text).or_fail(cannot())?;
        }
        Ok(())
    }

    /// Its command and the directory to run it in, with its scripts.
    pub(super) fn unpacked(&self) -> Result<(Vec<String>, TempDir), Failure> {
        let python = require_interpreter()?.to_string_lossy().into_owned();
        let directory = scratch()?;
        self.write_to(directory.path())?;
        Ok((vec![python, self.script().to_owned()], directory))
    }

    /// The lane as its own worker describes it.
    pub(super) fn describe(&self) -> Result<Lane, Failure> {
        let (command, directory) = self.unpacked()?;
        let mut described = describe(&command, Some(directory.path()))?;
        let description = described
            .pop()
            .ok_or_else(|| Failure::could_not_run(format!("{} describes no lane", self.name)))?;
        Ok(Lane {
            worker: ForeignWorker {
                stack: description.stack.clone(),
                command,
                sha256: Some(self.sha256()),
                versions: description.versions.clone(),
            },
            description,
            everywhere: false,
        })
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
    use super::*;

    #[test]
    fn every_lane_has_its_script_and_its_frame() {
        for lane in &SHIPPED {
            let files = source(lane);
            let has = |module: &str| {
                files
                    .iter()
                    .any(|(name, _)| *name == format!("{module}.py"))
            };
            assert_eq!(files[0].0, "frame.py");
            for (name, text) in &files {
                for module in own_modules(text) {
                    assert!(has(module), "{}: {name} imports {module}", lane.name);
                }
            }
            let (_, script) = *source(lane).last().expect("a script");
            assert!(
                script.contains(&format!("NAME = \"{}\"", lane.name)),
                "{}",
                lane.name
            );
        }
        assert_eq!(group("python").len(), 5);
        assert_eq!(group("ruby"), [""; 0]);
    }

    /// The modules of ours that a file imports.
    fn own_modules(text: &str) -> impl Iterator<Item = &str> {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("lanes/python");
        let imported = text.lines().filter_map(|line| {
            let mut words = line.split([' ', ',']).filter(|word| !word.is_empty());
            matches!(words.next(), Some("from" | "import")).then(|| words.next())?
        });
        imported.filter(move |module| directory.join(format!("{module}.py")).exists())
    }
}
