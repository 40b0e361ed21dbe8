//! The arms of a gate: the server or worker that is started for each.
//!
//! Outside of a gate every worker is this program, and every server is embedded or a target. `arms::server` starts a server
//! of the user's, `arms::sources` reads what the arms are from the command line, `arms::revision` builds one from git.

pub mod revision;
pub mod server;
pub mod sources;
pub mod terms;

use std::io;
use std::path::PathBuf;

use photofinish_record::Arm;

/// The difference between the two arms.
#[derive(Clone, Debug, Default)]
pub enum Arms {
    /// None: not a gate, or a gate against a record.
    #[default]
    None,
    /// Commands of servers.
    Servers(PerArm<String>),
    /// Executables of workers.
    Executables(PerArm<PathBuf>),
}

/// A value for each arm.
#[derive(Clone, Debug)]
pub struct PerArm<T> {
    pub base: T,
    pub head: T,
}

impl<T> PerArm<T> {
    fn of(&self, arm: Arm) -> &T {
        match arm {
            Arm::Base => &self.base,
            Arm::Head => &self.head,
        }
    }
}

impl Arms {
    /// Executable of this arm's worker.
    pub fn worker(&self, arm: Option<Arm>) -> io::Result<PathBuf> {
        match (self, arm) {
            (Self::Executables(arms), Some(arm)) => Ok(arms.of(arm).clone()),
            _ => std::env::current_exe(),
        }
    }

    /// Command of this arm's server; `None` if the arms are not servers.
    pub fn server(&self, arm: Option<Arm>) -> Option<&str> {
        match (self, arm) {
            (Self::Servers(arms), Some(arm)) => Some(arms.of(arm)),
            _ => None,
        }
    }
}
