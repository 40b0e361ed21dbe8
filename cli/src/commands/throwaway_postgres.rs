//! `photofinish throwaway-postgres`: guards the server behind `--target db=local`. Not for people.
//!
//! See `targets::local_postgres`.

use std::path::PathBuf;

use clap::Args;

use crate::exit::{Exit, Failure};
use crate::request::placement::CpuList;
use crate::targets::guard_local_postgres;

/// Starts a throwaway PostgreSQL, and stops it when stdin closes
#[derive(Args)]
pub struct ThrowawayPostgres {
    /// CPUs to use
    #[arg(long)]
    cpus: CpuList,

    /// Directory of its programs
    #[arg(long)]
    binaries: PathBuf,
}

impl ThrowawayPostgres {
    pub fn execute(self) -> Result<Exit, Failure> {
        guard_local_postgres(&self.cpus.0, &self.binaries)?;
        Ok(Exit::Done)
    }
}
