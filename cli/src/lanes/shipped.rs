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

use super::{describe, require_python, scratch};
use crate::exit::{Failure, OrFail};

/// A lane that ships with the program.
#[derive(Debug)]
pub struct ShippedLane {
    pub name: &'static str,
    /// The group that selects it among others: `python`.
    pub group: &'static str,
    pub summary: &'static str,
    /// The script's file name.
    pub script: &'static str,
}

/// Every shipped lane.
pub const SHIPPED: [ShippedLane; 3] = [
    ShippedLane {
        name: "python-sync",
        group: "python",
        summary: "CPython: blocking calls, one session (http.client)",
        script: "python_sync.py",
    },
    ShippedLane {
        name: "python-threads",
        group: "python",
        summary: "CPython: a thread per session, blocking calls (http.client)",
        script: "python_threads.py",
    },
    ShippedLane {
        name: "asyncio",
        group: "python",
        summary: "CPython: a task per session on the event loop (asyncio streams)",
        script: "asyncio_tasks.py",
    },
];

/// Every file of the Python lanes: the scripts, and what they share.
const FILES: [(&str, &str); 6] = [
    ("frame.py", include_str!("../../lanes/python/frame.py")),
    ("content.py", include_str!("../../lanes/python/content.py")),
    (
        "blocking.py",
        include_str!("../../lanes/python/blocking.py"),
    ),
    (
        "python_sync.py",
        include_str!("../../lanes/python/python_sync.py"),
    ),
    (
        "python_threads.py",
        include_str!("../../lanes/python/python_threads.py"),
    ),
    (
        "asyncio_tasks.py",
        include_str!("../../lanes/python/asyncio_tasks.py"),
    ),
];

/// The names of the lanes in the group `name`; none if there is no such group.
pub fn group(name: &str) -> Vec<String> {
    let members = SHIPPED.iter().filter(|lane| lane.group == name);
    members.map(|lane| lane.name.to_owned()).collect()
}

/// The files of a lane, each with its name: the frame first, the lane's own script last.
pub fn source(lane: &ShippedLane) -> Vec<(&'static str, &'static str)> {
    let is_part = |name: &str| {
        let blocking = lane.name.starts_with("python-");
        ["frame.py", "content.py", lane.script].contains(&name) || name == "blocking.py" && blocking
    };
    FILES
        .into_iter()
        .filter(|(name, _)| is_part(name))
        .collect()
}

impl ShippedLane {
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
        let python = require_python()?.to_string_lossy().into_owned();
        let directory = scratch()?;
        self.write_to(directory.path())?;
        Ok((vec![python, self.script.to_owned()], directory))
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
            let names: Vec<_> = source(lane).into_iter().map(|(name, _)| name).collect();
            assert!(names.contains(&"frame.py"), "{names:?}");
            assert!(names.contains(&lane.script), "{names:?}");
            let (_, script) = *source(lane).last().expect("a script");
            assert!(
                script.contains(&format!("NAME = \"{}\"", lane.name)),
                "{}",
                lane.name
            );
        }
        assert_eq!(group("python").len(), 3);
        assert_eq!(group("ruby"), [""; 0]);
    }
}
