//! Another revision of the current project, built in addition to the working tree.
//!
//! The revision is checked out into a worktree below the project's own target directory and built there, with its own
//! target directory, which is kept for the next time; the worktree is removed when the gate ends. The working tree is
//! built as it is. Nothing else in the repository is touched: in a git hook, the index is the user's.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::exit::{Failure, OrFail};
use crate::output;

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

/// A revision in a worktree of its own. Dropping it removes the worktree.
pub struct Revision {
    project: PathBuf,
    tree: PathBuf,
    target: PathBuf,
    commit: String,
}

impl Revision {
    /// Checks out `revision` of the repository around the current directory.
    pub fn check_out(revision: &str) -> Result<Self, Failure> {
        let here = current_directory()?;
        let commit = git(&here, &["rev-parse", "--verify", "--end-of-options", &format!("{revision}^{{commit}}")])
            .map_err(|failure| {
                Failure::usage(format!("there is no revision `{revision}` here"))
                    .caused_by(failure.in_one_line())
                    .hint("run this inside the project's repository; in CI, fetch the base branch (fetch-depth: 0)")
            })?;
        let root = PathBuf::from(git(&here, &["rev-parse", "--show-toplevel"])?);
        // The project may be a folder of its repository.
        let within = here.strip_prefix(&root).unwrap_or(Path::new("")).to_owned();
        let home = here.join("target").join("photofinish-base");
        let tree = home.join("tree");
        remove_worktree(&root, &tree);
        let place = tree.to_string_lossy().into_owned();
        git(
            &root,
            &["worktree", "add", "--force", "--detach", &place, &commit],
        )?;
        Ok(Self {
            project: tree.join(within),
            tree,
            target: home.join("target"),
            commit,
        })
    }

    pub fn build(&self, artifact: &Artifact) -> Result<Built, Failure> {
        output::advise(&format!(
            "building the base, commit {} …",
            short(&self.commit)
        ));
        let executable = build(&self.project, Some(&self.target), artifact)?;
        Ok(Built {
            executable,
            commit: format!("commit {}", short(&self.commit)),
        })
    }
}

impl Drop for Revision {
    fn drop(&mut self) {
        remove_worktree(&self.tree, &self.tree);
    }
}

/// Builds the working tree as it stands.
pub fn build_working_tree(artifact: &Artifact) -> Result<Built, Failure> {
    let here = current_directory()?;
    output::advise("building the head, the working tree …");
    let executable = build(&here, None, artifact)?;
    let commit = git(&here, &["rev-parse", "HEAD"])?;
    let changed = !git(&here, &["status", "--porcelain", "--untracked-files=no"])?.is_empty();
    let changes = if changed { " with changes" } else { "" };
    Ok(Built {
        executable,
        commit: format!("commit {}{changes}", short(&commit)),
    })
}

fn current_directory() -> Result<PathBuf, Failure> {
    std::env::current_dir().or_fail("there is no current directory")
}

fn short(commit: &str) -> &str {
    commit.get(..12).unwrap_or(commit)
}

/// Does nothing for a worktree that does not exist.
fn remove_worktree(repository: &Path, tree: &Path) {
    if !tree.exists() {
        return;
    }
    let place = tree.to_string_lossy().into_owned();
    let _ = git(repository, &["worktree", "remove", "--force", &place]);
    let _ = std::fs::remove_dir_all(tree);
    if let Some(parent) = tree.parent() {
        let _ = git(parent, &["worktree", "prune"]);
    }
}

/// A command for `program` in `directory`, without the environment of a surrounding git hook: `GIT_DIR` and
/// `GIT_INDEX_FILE` would point git, and anything that calls it, to the user's repository and index from any directory.
fn command(program: impl AsRef<OsStr>, directory: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(directory).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"GIT_") {
            command.env_remove(name);
        }
    }
    command
}

fn git(directory: &Path, arguments: &[&str]) -> Result<String, Failure> {
    let failed = || Failure::could_not_run(format!("git {} failed", arguments[0]));
    // Even `git status` writes to the index, as a cache.
    let output = command("git", directory)
        .arg("--no-optional-locks")
        .args(arguments)
        .output()
        .map_err(|error| failed().caused_by(error).hint("git must be installed"))?;
    if !output.status.success() {
        return Err(failed().caused_by(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Builds a project with cargo, and finds the executable among the artifacts that cargo reports.
fn build(project: &Path, target: Option<&Path>, artifact: &Artifact) -> Result<PathBuf, Failure> {
    let mut cargo = command(std::env::var_os("CARGO").unwrap_or("cargo".into()), project);
    cargo
        .args([
            "build",
            "--release",
            "--message-format=json-render-diagnostics",
        ])
        .stderr(Stdio::inherit());
    for (flag, name) in [("--bin", &artifact.bin), ("--example", &artifact.example)] {
        if let Some(name) = name {
            cargo.args([flag, name]);
        }
    }
    if let Some(target) = target {
        cargo.env("CARGO_TARGET_DIR", target);
    }
    let output = cargo.output().map_err(|error| {
        Failure::could_not_run("cannot run cargo").caused_by(error).hint("--base-rev builds Rust projects; give other ones as --base-server and --head-server")
    })?;
    if !output.status.success() {
        return Err(Failure::could_not_run(format!(
            "cargo build failed in {}",
            project.display()
        )));
    }
    executable(&String::from_utf8_lossy(&output.stdout))
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
