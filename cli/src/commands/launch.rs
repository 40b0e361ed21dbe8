//! `photofinish launch`: becomes the worker of another language, already pinned and tied to its parent. Not for people.
//!
//! Interpreters start threads before a script could choose its CPUs, and none can ask for the parent's death signal; both
//! survive an exec.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use clap::Args;
use photofinish_harness::os;

use crate::exit::{Exit, Failure, OrFail};
use crate::request::placement::CpuList;

/// Pins this process, then becomes COMMAND
#[derive(Args)]
pub struct Launch {
    /// CPUs to run on; empty leaves the process where it is
    #[arg(long, value_name = "LIST", default_value = "")]
    cpus: String,

    #[arg(required = true, last = true)]
    command: Vec<OsString>,
}

impl Launch {
    pub fn execute(self) -> Result<Exit, Failure> {
        os::die_with_parent().or_fail("the worker cannot be tied to its parent")?;
        if !self.cpus.is_empty() {
            let cpus: CpuList = self.cpus.parse().map_err(Failure::usage)?;
            os::pin_process(&cpus.0).or_fail("the worker cannot be pinned")?;
        }
        os::raise_open_files_limit();
        let (program, arguments) = self.command.split_first().expect("required by clap");
        let error = Command::new(program).args(arguments).exec();
        Err(Failure::could_not_run(format!(
            "cannot start {}: {error}",
            program.display()
        )))
    }
}
