//! Processes that the orchestrator starts and ends.
//!
//! Workers (`worker`) and embedded servers (`server`) are this same program. Other servers run under a guard (`guard`),
//! which ends them when its stdin closes. A worker can be sampled (`profiler`).

mod child;
pub mod guard;
pub mod profiler;
pub mod server;
pub mod worker;

pub use child::{LineProcess, NoLine, describe, no_answer};

use std::path::PathBuf;

use crate::exit::{Failure, OrFail};

/// The executable of this program, which workers, embedded servers and guards run as well.
pub fn this_program() -> Result<PathBuf, Failure> {
    std::env::current_exe().or_fail("cannot find this program")
}
