//! The languages of the shipped lanes: how a lane of each is started, and what it lacks without `photofinish setup`.
//!
//! A new language is one file beside this one, with its interpreter and its set-up, and one constant here.

use super::{go, node, python};
use crate::exit::Failure;

/// A language of shipped lanes.
#[derive(Debug)]
pub struct Language {
    /// Its name in `--runtimes` and `photofinish setup`.
    pub name: &'static str,
    /// Its name in reports: the stack among which its lanes are ranked.
    pub stack: &'static str,
    /// The beginning of a comment.
    pub comment: &'static str,
    /// True if lanes are programs that `photofinish setup` builds: one that is missing lacks every workload, as it would for want
    /// of a package.
    pub is_built: bool,
    /// The command that starts a script of this name (none if lanes are built), or the failure with the remedy.
    pub command: fn(&str) -> Result<Vec<String>, Failure>,
}

pub const PYTHON: Language = Language {
    name: "python",
    stack: "Python",
    comment: "#",
    is_built: false,
    command: python::command,
};

pub const NODE: Language = Language {
    name: "node",
    stack: "Node",
    comment: "//",
    is_built: false,
    command: node::command,
};

pub const GO: Language = Language {
    name: "go",
    stack: "Go",
    comment: "//",
    is_built: true,
    command: |_| go::command(),
};
