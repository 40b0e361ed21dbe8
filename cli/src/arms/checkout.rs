//! A revision of a repository, checked out into a repository of its own elsewhere.
//!
//! Not a worktree, which would have to be registered in the user's repository and would stay there after a kill. The
//! new repository borrows the objects of the user's and copies its tags, so that build scripts can ask `git describe`;
//! it is only ever read by the user's tools. Submodules come from the user's own copies, without a network.

use std::fs;
use std::path::{Path, PathBuf};

use crate::arms::tool::git;
use crate::exit::{Failure, OrFail};
use crate::interrupt::Interrupt;

/// A repository of the user, which is only read.
pub struct Repository<'a> {
    /// The topmost directory of its working tree.
    pub root: PathBuf,
    interrupt: &'a Interrupt,
}

impl<'a> Repository<'a> {
    /// The repository around `directory`.
    pub fn around(directory: &Path, interrupt: &'a Interrupt) -> Result<Self, Failure> {
        let root = PathBuf::from(git(
            directory,
            &["rev-parse", "--show-toplevel"],
            interrupt,
        )?);
        Ok(Self { root, interrupt })
    }

    fn git(&self, arguments: &[&str]) -> Result<String, Failure> {
        git(&self.root, arguments, self.interrupt)
    }

    /// A path inside its git directory.
    fn git_path(&self, name: &str) -> Result<PathBuf, Failure> {
        let path = self.git(&["rev-parse", "--git-path", name])?;
        Ok(self.root.join(path))
    }

    /// The commit that `revision` names.
    pub fn commit(&self, revision: &str) -> Result<String, Failure> {
        let commit = format!("{revision}^{{commit}}");
        self.git(&["rev-parse", "--verify", "--end-of-options", &commit])
    }

    /// Makes `tree` a clean checkout of `commit`, reusing anything that another gate left there.
    pub fn check_out(&self, commit: &str, tree: &Path) -> Result<(), Failure> {
        self.try_check_out(commit, tree).or_else(|failure| {
            if self.interrupt.requested() || !tree.exists() {
                return Err(failure);
            }
            // Git may have been killed midway.
            fs::remove_dir_all(tree).or_fail(format!("cannot remove {}", tree.display()))?;
            self.try_check_out(commit, tree)
        })
    }

    fn try_check_out(&self, commit: &str, tree: &Path) -> Result<(), Failure> {
        let there = |arguments: &[&str]| git(tree, arguments, self.interrupt);
        let failed = || format!("cannot make a repository in {}", tree.display());
        fs::create_dir_all(tree).or_fail(failed())?;
        let format = self.git(&["rev-parse", "--show-object-format"])?;
        let format = format!("--object-format={format}");
        there(&["init", "--quiet", "--template=", &format])?;
        let own = tree.join(".git");
        let objects = self.git_path("objects")?;
        fs::create_dir_all(own.join("objects/info")).or_fail(failed())?;
        let alternates = format!("{}\n", objects.display());
        fs::write(own.join("objects/info/alternates"), alternates).or_fail(failed())?;
        if let Ok(shallow) = fs::read(self.git_path("shallow")?) {
            fs::write(own.join("shallow"), shallow).or_fail(failed())?;
        }
        let tags = self.git(&[
            "for-each-ref",
            "--format=%(objectname) %(refname)",
            "refs/tags",
        ])?;
        let tags: String = tags.lines().map(|line| format!("{line}\n")).collect();
        fs::write(own.join("packed-refs"), tags).or_fail(failed())?;
        there(&["checkout", "--quiet", "--force", "--detach", commit])?;
        there(&["clean", "-ffdqx"])?;
        self.check_out_submodules(tree)
    }

    /// Checks out the submodules that the user has.
    fn check_out_submodules(&self, tree: &Path) -> Result<(), Failure> {
        if !tree.join(".gitmodules").exists() {
            return Ok(());
        }
        let there = |arguments: &[&str]| git(tree, arguments, self.interrupt);
        let pattern = r"^submodule\..*\.path$";
        let paths = there(&["config", "--file=.gitmodules", "--get-regexp", pattern])?;
        for line in paths.lines() {
            let Some((key, path)) = line.split_once(' ') else {
                continue;
            };
            let name = key
                .trim_start_matches("submodule.")
                .trim_end_matches(".path");
            let copy = self.git_path(&format!("modules/{name}"))?;
            if !copy.is_dir() {
                continue;
            }
            let copy = copy.canonicalize().or_fail("cannot find a submodule")?;
            let url = format!("submodule.{name}.url");
            there(&["config", &url, &copy.to_string_lossy()])?;
            let update = ["submodule", "--quiet", "update", "--init", "--force"];
            let has_own = copy.join("modules").is_dir();
            let nested: &[&str] = if has_own { &["--recursive"] } else { &[] };
            there(&[&update, nested, &["--", path]].concat())?;
        }
        Ok(())
    }
}
