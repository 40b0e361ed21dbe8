//! `photofinish arm-server`: guards the server of an arm. Not for people.
//!
//! See `arms::server`.

use std::io;

use clap::Args;

use crate::arms;
use crate::exit::{Exit, Failure, OrFail};
use crate::request::placement::CpuList;

/// Runs a server's command, a JSON string in the first line of stdin, with {port} where the port goes; stops it when stdin
/// closes
#[derive(Args)]
pub struct ArmServer {
    /// CPUs to use
    #[arg(long)]
    cpus: CpuList,
}

impl ArmServer {
    pub fn execute(self) -> Result<Exit, Failure> {
        let mut command = String::new();
        let read = io::stdin().read_line(&mut command);
        read.or_fail("the guard cannot read the command")?;
        let command: String = serde_json::from_str(&command).or_fail("the guard has no command")?;
        arms::server::guard(&command, &self.cpus.0)?;
        Ok(Exit::Done)
    }
}
