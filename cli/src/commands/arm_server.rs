//! `photofinish arm-server`: guards the server of an arm. Not for people.
//!
//! See `arms::server`.

use clap::Args;

use crate::arms;
use crate::exit::{Exit, Failure};
use crate::request::placement::CpuList;

/// Runs a server's command, and stops it when stdin closes
#[derive(Args)]
pub struct ArmServer {
    /// CPUs to use
    #[arg(long)]
    cpus: CpuList,

    /// The command, with {port} where the port goes
    command: String,
}

impl ArmServer {
    pub fn execute(self) -> Result<Exit, Failure> {
        arms::server::guard(&self.command, &self.cpus.0)?;
        Ok(Exit::Done)
    }
}
