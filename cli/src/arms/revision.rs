//! Another revision of the current project, built in addition to the working tree.
//!
//! The revision is built as if it had been cloned: in a checkout of its own outside of the project (`checkout`,
//! `gate_directory`), where none of the head's files reach it, not even those that cargo and rustup look for in the
//! directories above. Its target directory is kept there for the next gate. The working tree is built in place, since
//! only there it has everything it needs; nothing that git would see is left in it.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use crate::arms::checkout::Repository;
use crate::arms::gate_directory::GateDirectory;
use crate::arms::tool::{self, git};
use crate::exit::{Exit, Failure, OrFail};
use crate::interrupt::Interrupt;
use crate::output;

/// Names of the files in which cargo and rustup look for settings, in the directory of a project and all above.
const SETTINGS: [&str; 4] = [
    ".cargo/config.toml",
    ".cargo/config",
    "rust-toolchain.toml",
    "rust-toolchain",
];

/// The name of cargo's lock file.
const LOCK_FILE: &str = "Cargo.lock";

/// The executable of a project.
#[derive(Clone, Debug, Default)]
pub struct Artifact {
    /// Name of a binary; without any name, the project's only executable.
    pub bin: Option<String>,
    pub example: Option<String>,
}

/// An executable, and the commit it was built from.
#[derive(Clone, Debug)]
pub struct Built {
    pub executable: PathBuf,
    /// The commit, with a word about changes of the working tree.
    pub commit: String,
}

/// The working tree and another revision of it.
pub struct Revisions<'a> {
    here: PathBuf,
    repository: Repository<'a>,
    /// The base's commit.
    commit: String,
    place: GateDirectory,
    interrupt: &'a Interrupt,
}

/// The parts of `cargo metadata` that matter here.
#[derive(Deserialize)]
struct Workspace {
    workspace_root: PathBuf,
    target_directory: PathBuf,
}

impl<'a> Revisions<'a> {
    /// Finds `revision` in the repository around the current directory.
    pub fn find(revision: &str, interrupt: &'a Interrupt) -> Result<Self, Failure> {
        let here = std::env::current_dir().and_then(|here| here.canonicalize());
        let here = here.or_fail("cannot find the current directory")?;
        let unknown = |failure: Failure| {
            Failure::usage(format!("unknown revision `{revision}`"))
                .caused_by(failure.in_one_line())
                .hint("run this inside the project's repository; in CI, fetch the base branch (fetch-depth: 0)")
        };
        let repository = Repository::around(&here, interrupt).map_err(unknown)?;
        let commit = repository.commit(revision).map_err(unknown)?;
        Ok(Self {
            place: GateDirectory::of_repository(&repository.root)?,
            here,
            repository,
            commit,
            interrupt,
        })
    }

    /// The topmost directory of the working tree.
    pub fn root(&self) -> &Path {
        &self.repository.root
    }

    /// The place of the builds, which other gates must not change.
    pub fn into_place(self) -> GateDirectory {
        self.place
    }

    /// Builds the working tree in place, then the revision.
    pub fn build(&self, artifact: &Artifact) -> Result<[Built; 2], Failure> {
        let tree = self.place.path().join("tree");
        self.repository.check_out(&self.commit, &tree)?;
        let (head, lock) = self.build_head(artifact)?;
        let base = self.build_base(artifact, &tree, lock.as_deref())?;
        Ok([base, head])
    }

    /// Builds the working tree. Returns the contents of its lock file as well.
    pub fn build_head(&self, artifact: &Artifact) -> Result<(Built, Option<Vec<u8>>), Failure> {
        output::advise("building the head, the working tree …");
        let workspace = self.workspace(&self.here)?;
        let lock_file = workspace.workspace_root.join(LOCK_FILE);
        let before = fs::read(&lock_file).ok();
        let hidden = self.is_hidden(&workspace.target_directory)?;
        let own = self.place.path().join("head");
        let built = self.cargo_build(&self.here, (!hidden).then_some(&own), artifact);
        let lock = fs::read(&lock_file).ok();
        if lock != before {
            // Building must not change the user's files.
            let _ = match &before {
                Some(before) => fs::write(&lock_file, before),
                None => fs::remove_file(&lock_file),
            };
        }
        let executable = built?;
        let commit = self.git(&["rev-parse", "HEAD"])?;
        let status = ["status", "--porcelain", "--untracked-files=no"];
        let changed = !self.git(&status)?.is_empty();
        let changes = if changed { " with changes" } else { "" };
        let built = Built {
            executable,
            commit: format!("commit {}{changes}", short(&commit)),
        };
        Ok((built, lock))
    }

    fn build_base(
        &self,
        artifact: &Artifact,
        tree: &Path,
        head_lock: Option<&[u8]>,
    ) -> Result<Built, Failure> {
        let commit = format!("commit {}", short(&self.commit));
        output::advise(&format!("building the base, {commit} …"));
        self.advise_of_settings_above();
        // The project may be a folder of its repository.
        let within = self.here.strip_prefix(self.root()).unwrap_or(Path::new(""));
        let project = tree.join(within);
        if !project.is_dir() {
            let within = within.display();
            return Err(Failure::could_not_run(format!(
                "the base: {commit} has no directory {within}"
            ))
            .hint("name a revision that has this project"));
        }
        let needs = "the working tree builds; if the base needs files from outside the repository or submodules that \
                     are not checked out here, build both yourself and give --base-server and --head-server, or \
                     --base-exe and --head-exe";
        let in_base = |failure: Failure| match failure.exit() {
            Exit::CouldNotRun => failure.during("the base").hint(needs),
            _ => failure.during("the base"),
        };
        let workspace = self.workspace(&project).map_err(in_base)?;
        let lock_file = workspace.workspace_root.join(LOCK_FILE);
        if let (false, Some(lock)) = (lock_file.exists(), head_lock) {
            output::advise(&format!(
                "{commit} has no {LOCK_FILE}: the base is built with the head's"
            ));
            fs::write(&lock_file, lock).or_fail(format!("cannot write {}", lock_file.display()))?;
        }
        let target = self.place.path().join("base");
        let executable = self
            .cargo_build(&project, Some(&target), artifact)
            .map_err(in_base)?;
        Ok(Built { executable, commit })
    }

    fn git(&self, arguments: &[&str]) -> Result<String, Failure> {
        git(&self.here, arguments, self.interrupt)
    }

    /// True if git does not show the directory as a change of the working tree.
    fn is_hidden(&self, directory: &Path) -> Result<bool, Failure> {
        if !directory.starts_with(self.root()) {
            return Ok(true);
        }
        let mut git = tool::command("git", &self.here);
        // Patterns such as `target/` are only for directories.
        git.args(["check-ignore", "--quiet"])
            .arg(directory.join(""));
        let output = tool::run(git, false, self.interrupt).or_fail("cannot run git")??;
        Ok(output.succeeded)
    }

    /// Warns that settings above the project apply to the head alone.
    fn advise_of_settings_above(&self) {
        let home = std::env::var_os("HOME").map(PathBuf::from);
        // Those of the user's home apply to the base as well.
        let above = self
            .root()
            .ancestors()
            .skip(1)
            .filter(|above| home.as_deref() != Some(*above));
        for file in above.flat_map(|above| SETTINGS.map(|name| above.join(name))) {
            if file.exists() {
                output::advise(&format!(
                    "warning: {} applies to the head alone: it is outside the repository",
                    file.display()
                ));
            }
        }
    }

    fn workspace(&self, project: &Path) -> Result<Workspace, Failure> {
        let mut cargo = tool::cargo(project);
        cargo.args(["metadata", "--no-deps", "--format-version=1"]);
        let output = tool::run(cargo, false, self.interrupt).map_err(no_cargo)??;
        let failed = || Failure::could_not_run(format!("no Rust project in {}", project.display()));
        if !output.succeeded {
            return Err(failed()
                .caused_by(output.stderr.trim().to_owned())
                .hint(OTHERS));
        }
        serde_json::from_str(&output.stdout).map_err(|error| failed().caused_by(error))
    }

    /// Builds a project with cargo, and finds the executable among the artifacts that cargo reports.
    fn cargo_build(
        &self,
        project: &Path,
        target: Option<&PathBuf>,
        artifact: &Artifact,
    ) -> Result<PathBuf, Failure> {
        let mut cargo = tool::cargo(project);
        cargo.args([
            "build",
            "--release",
            "--message-format=json-render-diagnostics",
        ]);
        for (flag, name) in [("--bin", &artifact.bin), ("--example", &artifact.example)] {
            if let Some(name) = name {
                cargo.args([flag, name]);
            }
        }
        if let Some(target) = target {
            cargo.env("CARGO_TARGET_DIR", target);
        }
        let output = tool::run(cargo, true, self.interrupt).map_err(no_cargo)??;
        if !output.succeeded {
            let project = project.display();
            return Err(Failure::could_not_run(format!(
                "cargo build failed in {project}"
            )));
        }
        executable(&output.stdout)
    }
}

/// Advice for projects that this module cannot build.
const OTHERS: &str =
    "--base-rev builds Rust projects only; for others, use --base-server and --head-server";

fn no_cargo(error: std::io::Error) -> Failure {
    Failure::could_not_run("cannot run cargo")
        .caused_by(error)
        .hint(OTHERS)
}

fn short(commit: &str) -> &str {
    commit.get(..12).unwrap_or(commit)
}

/// The only executable among cargo's messages.
fn executable(messages: &str) -> Result<PathBuf, Failure> {
    let messages = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut executables: Vec<PathBuf> = messages
        .filter_map(|message| Some(PathBuf::from(message.get("executable")?.as_str()?)))
        .collect();
    executables.sort();
    executables.dedup();
    match executables.as_slice() {
        [only] => Ok(only.clone()),
        [] => Err(Failure::usage("the project builds no executable")
            .hint("name an example with --example")),
        several => {
            let names = several.iter().filter_map(|path| path.file_name()?.to_str());
            Err(Failure::usage(format!(
                "the project builds several executables: {}",
                names.collect::<Vec<_>>().join(", ")
            ))
            .hint("name one with --bin or --example"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_executable_is_the_one_that_cargo_names() {
        let library = r#"{"reason":"compiler-artifact","executable":null}"#;
        let one = r#"{"reason":"compiler-artifact","executable":"/t/release/one"}"#;
        let two = r#"{"reason":"compiler-artifact","executable":"/t/release/two"}"#;
        let found = executable(&[library, one, "not json"].join("\n")).expect("one");
        assert_eq!(found, Path::new("/t/release/one"));
        assert!(executable(library).is_err());
        let several = executable(&[one, two].join("\n"))
            .expect_err("two")
            .to_string();
        assert!(several.contains("one, two"), "{several}");
    }
}
