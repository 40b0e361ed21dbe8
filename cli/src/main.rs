//! The command line of Photofinish: parse, do, say how it went.
//!
//! Each subcommand is a file in `commands/`. What they share: `request` (what to measure), `orchestrate` (running a
//! plan), `run_directory` (what stays of a run), `output` (the only place that prints) and `exit` (errors and exit
//! codes). No measuring happens in this process: workers and servers are processes of their own.

#![expect(
    unreachable_pub,
    reason = "in a program, `pub` is what a module offers to the others"
)]

mod commands;

mod exit;
mod output;

mod artifacts;
mod fitness;
mod next_steps;
mod preview;
mod request;
mod servers;
mod warnings;

mod child;
mod conditions;
mod course;
mod identity;
mod interrupt;
mod orchestrate;
mod progress;
mod round;
mod sameness;
mod selftest;
mod server_process;
mod targets;
mod twin;
mod worker_process;

mod dependencies;
mod limits;
mod placement;
mod redact;
mod run_directory;
mod run_id;

use std::process::ExitCode;

use clap::Parser;
use photofinish_harness::allocations::CountingAllocator;

/// Off but in rounds that test the tool itself.
#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// The same file, HTTP and database work under every execution model, measured honestly.
///
/// Photofinish runs identical workloads as synchronous code, threads and several async runtimes, against embedded or
/// real servers, each round in a fresh process, and reports who is faster, by how much, and at what cost.
#[derive(Parser)]
#[command(name = "photofinish", version, max_term_width = 80, after_long_help = commands::EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    command: commands::Command,
}

fn main() -> ExitCode {
    match Arguments::parse().command.execute() {
        Ok(exit) => exit.into(),
        Err(failure) => {
            output::advise(&failure.to_string());
            failure.exit().into()
        }
    }
}
