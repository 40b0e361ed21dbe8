//! Photofinish beside other load generators: the same work, on the same CPUs, in interleaved blocks.
//!
//! [`comparisons`] lists what is compared, [`rivals`] knows the other programs (one file each), [`scripts`]
//! has plain scripts in other languages, [`photofinish`] runs ours,
//! [`servers`] starts what they load, and [`blocks`] interleaves them. [`results`] turns the measurements into ratios
//! with intervals, by the statistics of the reports, and [`render`] writes them. Only loopback is loaded, and every child
//! process is ended by its id.

mod arguments;
mod blocks;
mod child;
mod commands;
mod comparisons;
mod cpus;
mod failure;
mod interrupt;
mod output;
mod photofinish;
mod programs;
mod render;
mod results;
mod rivals;
mod scripts;
mod servers;
mod text;
mod work;

use std::process::ExitCode;

use clap::Parser as _;

/// Parses the command line, runs it, and returns the exit code.
pub fn main() -> ExitCode {
    match commands::execute(arguments::Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output::complain(&failure.to_string());
            ExitCode::from(failure.exit_code)
        }
    }
}
