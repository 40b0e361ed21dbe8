//! The command line of Photofinish: parse, do, say how it went; and how a program of your own becomes one.
//!
//! [`run_with`] is the whole program with workloads of your own beside those that ship: a `main` of one line gives them
//! every runtime, load, report and exit code. `examples/own_workload.rs` is a complete one.
//!
//! Each subcommand is a file in `commands/`. What they share: `request` (what to measure), `arms` (what a gate compares),
//! `run` (running a plan), `process` (workers and servers), `targets` (servers that are not ours), `store` (what stays of
//! a run), `output` (the only place that prints) and `exit` (errors and exit codes). No measuring happens in this
//! process: workers and servers are processes of their own.

#![expect(
    unreachable_pub,
    reason = "what is for others is re-exported here; elsewhere `pub` is what a module offers to its neighbours"
)]

mod commands;

mod request;

mod arms;
mod run;

mod process;
mod servers;
mod targets;

mod store;

mod exit;
mod interrupt;
mod output;

use std::process::ExitCode;

use clap::Parser;
use photofinish_harness::allocations::CountingAllocator;
use photofinish_scenarios::registry;

use crate::exit::Failure;

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

pub use photofinish_harness as harness;
pub use photofinish_scenarios::registry::WorkloadEntry;

/// Runs the program with workloads of your own beside those that ship, and returns how it ended.
///
/// Workers are this same program, started anew for each round, so this must be all that `main` does: whatever came
/// before it would be done in each worker as well.
///
/// ```no_run
/// use photofinish::{WorkloadEntry, run_with};
/// # use photofinish::harness::{runtime::Runtime, workload::{About, Env, Failure, ParamError, Workload}};
/// # #[derive(Default, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
/// # struct Params {}
/// # struct Mine;
/// # impl Workload for Mine {
/// #     const ABOUT: About = About { name: "mine", class: "own", operation: "mine", targets: &[], needs: &[] };
/// #     type Params = Params;
/// #     photofinish::harness::nothing_shared!();
/// #     photofinish::harness::no_session!();
/// #     fn new(_: Params, _: std::time::Duration) -> Result<Self, ParamError> { Ok(Self) }
/// #     async fn operate<R: Runtime>(&self, _: &Env<R>, _: &mut (), _: u64) -> Result<(), Failure> { Ok(()) }
/// # }
/// fn main() -> std::process::ExitCode {
///     run_with(vec![WorkloadEntry::of::<Mine>()])
/// }
/// ```
///
/// A package that depends on this one is built with a lock file of its own, from which a record's exact versions must come:
/// use [`run_with_lock_file`] there.
pub fn run_with(own: Vec<WorkloadEntry>) -> ExitCode {
    ended(registered(own).and_then(execute))
}

/// As [`run_with`], in a package of its own: `lock_file` is the text of the `Cargo.lock` that the program was built with,
/// and every record says the exact versions that stand there.
///
/// ```ignore
/// run_with_lock_file(vec![WorkloadEntry::of::<Mine>()], include_str!("../Cargo.lock"))
/// ```
pub fn run_with_lock_file(own: Vec<WorkloadEntry>, lock_file: &str) -> ExitCode {
    let known = run::dependencies::hand_over(lock_file).map_err(|error| {
        Failure::usage(format!(
            "what was handed over as a lock file is none: {error}"
        ))
    });
    ended(known.and_then(|()| registered(own)).and_then(execute))
}

fn registered(own: Vec<WorkloadEntry>) -> Result<(), Failure> {
    registry::add(own).map_err(|taken| Failure::usage(taken.to_string()))
}

fn execute((): ()) -> Result<exit::Exit, Failure> {
    Arguments::parse().command.execute()
}

fn ended(done: Result<exit::Exit, Failure>) -> ExitCode {
    match done {
        Ok(exit) => exit.into(),
        Err(failure) => {
            output::advise(&failure.to_string());
            failure.exit().into()
        }
    }
}
