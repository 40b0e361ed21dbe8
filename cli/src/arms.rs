//! The arms of a gate as they are started: which server, which worker.
//!
//! In a run that is no gate every worker is this program, and every server one of its own or a standing one. How a
//! server of an arm lives is told in `arms::server`; where the arms come from, in `commands::gate`.

pub mod revision;
pub mod server;
pub mod sources;
pub mod terms;

use std::io;
use std::path::PathBuf;

use photofinish_record::Arm;

/// What differs between the two arms.
#[derive(Clone, Debug, Default)]
pub enum Arms {
    /// Nothing: no gate, or a gate against a record.
    #[default]
    None,
    /// The server's command.
    Servers(Both<String>),
    /// The worker's executable.
    Executables(Both<PathBuf>),
}

/// One of each arm.
#[derive(Clone, Debug)]
pub struct Both<T> {
    /// That of the base.
    pub base: T,
    /// That of the head.
    pub head: T,
}

impl<T> Both<T> {
    fn of(&self, arm: Arm) -> &T {
        match arm {
            Arm::Base => &self.base,
            Arm::Head => &self.head,
        }
    }
}

impl Arms {
    /// The program that a worker of this arm is.
    pub fn worker(&self, arm: Option<Arm>) -> io::Result<PathBuf> {
        match (self, arm) {
            (Self::Executables(both), Some(arm)) => Ok(both.of(arm).clone()),
            _ => std::env::current_exe(),
        }
    }

    /// The command of this arm's server; `None` where the arms have none of their own.
    pub fn server(&self, arm: Option<Arm>) -> Option<&str> {
        match (self, arm) {
            (Self::Servers(both), Some(arm)) => Some(both.of(arm)),
            _ => None,
        }
    }
}
