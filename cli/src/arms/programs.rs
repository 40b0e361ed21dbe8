//! Programs that the processes of an arm's server run, as the system reports them: a command may name one file and
//! start another.
//!
//! The arm's server process inspects its descendants once ready; the gate compares.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use photofinish_harness::os;
use photofinish_record::Arm;
use serde::{Deserialize, Serialize};

/// Programs that only run others: their own content says nothing about an arm.
const INTERPRETERS: [&str; 15] = [
    "bash", "bun", "dash", "deno", "dotnet", "env", "java", "node", "nodejs", "perl", "php",
    "pypy", "python", "ruby", "sh",
];

/// True for an interpreter of any version, such as `python3.11`.
pub fn is_interpreter(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    INTERPRETERS.contains(&name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.'))
}

/// An executable, or the script of an interpreter.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Program {
    device: u64,
    inode: u64,
    size_bytes: u64,
    pub path: PathBuf,
}

/// The programs that each arm was seen to run.
#[derive(Clone, Debug, Default)]
pub struct ArmPrograms(BTreeMap<Arm, BTreeSet<Program>>);

impl ArmPrograms {
    pub fn insert(&mut self, arm: Arm, programs: impl IntoIterator<Item = Program>) {
        self.0.entry(arm).or_default().extend(programs);
    }

    /// A program that both arms ran, if neither ran another one. `None` also if an arm's programs are unknown.
    pub fn only_one(&self) -> Option<&Program> {
        let of = |arm| self.0.get(&arm).filter(|programs| !programs.is_empty());
        let (base, head) = (of(Arm::Base)?, of(Arm::Head)?);
        let within = |some: &BTreeSet<Program>, others: &BTreeSet<Program>| {
            some.iter()
                .all(|program| others.iter().any(|other| program.is_same(other)))
        };
        (within(base, head) && within(head, base))
            .then(|| base.first())
            .flatten()
    }
}

impl Program {
    fn at(path: PathBuf, seen_at: &Path) -> Option<Self> {
        let found = fs::metadata(seen_at).ok().filter(fs::Metadata::is_file)?;
        Some(Self {
            device: found.dev(),
            inode: found.ino(),
            size_bytes: found.len(),
            path,
        })
    }

    /// The program of a process; `None` for an interpreter without a script, and if the system does not report it.
    fn of(process: u32) -> Option<Self> {
        let of_process = |name| Path::new("/proc").join(process.to_string()).join(name);
        let executable = fs::read_link(of_process("exe")).ok()?;
        if !is_interpreter(&executable) {
            return Self::at(executable, &of_process("exe"));
        }
        let directory = fs::read_link(of_process("cwd")).ok()?;
        let arguments = fs::read(of_process("cmdline")).ok()?;
        arguments
            .split(|byte| *byte == 0)
            .skip(1)
            .filter(|argument| !argument.is_empty())
            .map(|argument| directory.join(&*String::from_utf8_lossy(argument)))
            .filter(|path| !is_interpreter(path))
            .find_map(|path| Self::at(path.clone(), &path))
    }

    /// True for one file, and for two files with the same content.
    fn is_same(&self, other: &Self) -> bool {
        let is_one_file = (self.device, self.inode) == (other.device, other.inode);
        let contents = || Some((fs::read(&self.path).ok()?, fs::read(&other.path).ok()?));
        is_one_file
            || self.size_bytes == other.size_bytes
                && contents().is_some_and(|(one, two)| one == two)
    }
}

/// The programs of this process's descendants. Empty unless one of them listens on `port`: a server that runs
/// elsewhere, such as in a container, cannot be seen.
pub fn serving(port: u16) -> BTreeSet<Program> {
    let family = os::descendants();
    let listeners = os::listeners_on(port).unwrap_or_default();
    if !listeners.iter().any(|listener| family.contains(listener)) {
        return BTreeSet::new();
    }
    family.into_iter().filter_map(Program::of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arms_are_the_same_if_all_of_their_programs_are() {
        let directory = tempfile::tempdir().expect("a directory");
        let program = |name: &str, content: &str| {
            let path = directory.path().join(name);
            fs::write(&path, content).expect("written");
            Program::at(path.clone(), &path).expect("a file")
        };
        let [one, copy, two] = [("one", "1"), ("copy", "1"), ("two", "2")]
            .map(|(name, content)| program(name, content));
        let check = |base: &[&Program], head: &[&Program], expected: bool| {
            let mut programs = ArmPrograms::default();
            programs.insert(Arm::Base, base.iter().copied().cloned());
            programs.insert(Arm::Head, head.iter().copied().cloned());
            assert_eq!(programs.only_one().is_some(), expected, "{programs:?}");
        };
        check(&[&one], &[&one], true);
        check(&[&one], &[&copy], true);
        check(&[&one], &[&two], false);
        check(&[&one, &two], &[&one], false);
        check(&[&one], &[&one, &two], false);
        check(&[], &[], false);
        check(&[&one], &[], false);
    }

    #[test]
    fn interpreters_are_known_in_every_version() {
        for (path, expected) in [
            ("/usr/bin/python3.11", true),
            ("sh", true),
            ("/opt/node20/bin/node", true),
            ("./pythonic", false),
            ("server", false),
        ] {
            assert_eq!(is_interpreter(Path::new(path)), expected, "{path}");
        }
    }
}
