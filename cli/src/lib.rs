//! The command line of Photofinish, and the library that adds workloads of your own to it.
//!
//! [`run_with`] is the whole program with your own workloads alongside the built-in ones: a one-line `main` gives them
//! every runtime, load, report and exit code. `examples/own_workload.rs` is a complete example.
//!
//! Each subcommand is a file in `commands/`. What they share: `request` (what to measure), `arms` (what a gate compares),
//! `run` (running a plan), `process` (workers and servers), `targets` (servers that are not ours), `store` (files kept
//! from a run), `output` (the only place that prints) and `exit` (errors and exit codes). Nothing is measured in this
//! process: workers and servers are separate processes.

#![expect(
    unreachable_pub,
    reason = "public items are re-exported here; elsewhere `pub` marks what other modules of this crate use"
)]

mod commands;

mod completion;
mod config;

mod request;

mod arms;
mod lanes;
mod run;

mod process;
mod servers;
mod targets;

mod meeting_place;
mod store;

mod cleaning;
mod exit;
mod interrupt;
mod output;
mod web;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, FromArgMatches as _};
use photofinish_harness::allocations::CountingAllocator;
use photofinish_reports::describe;
use photofinish_workloads::registry;

use crate::exit::Failure;

/// Counts only in rounds of `photofinish selftest`.
#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

pub use photofinish_harness as harness;
pub use photofinish_record as record;
pub use photofinish_workloads::registry::WorkloadEntry;

/// Runs the program with your own workloads alongside the built-in ones. Returns its exit code.
///
/// Workers are this same program, started afresh for each round, so this must be all that `main` does: code before it
/// would run in each worker as well.
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
/// In a separate package, use [`run_with_lock_file`]: a record's exact versions come from the lock file of that
/// package.
pub fn run_with(own: Vec<WorkloadEntry>) -> ExitCode {
    exit_code(register(own).and_then(execute))
}

/// Like [`run_with`], with the text of the `Cargo.lock` that the program was built with; its versions go into every
/// record.
///
/// ```ignore
/// run_with_lock_file(vec![WorkloadEntry::of::<Mine>()], include_str!("../Cargo.lock"))
/// ```
pub fn run_with_lock_file(own: Vec<WorkloadEntry>, lock_file: &str) -> ExitCode {
    let known = run::dependencies::set_lock_file(lock_file)
        .map_err(|error| Failure::usage(format!("expected the text of a lock file: {error}")));
    exit_code(known.and_then(|()| register(own)).and_then(execute))
}

fn register(own: Vec<WorkloadEntry>) -> Result<(), Failure> {
    registry::add(own).map_err(|taken| Failure::usage(taken.to_string()))
}

fn execute((): ()) -> Result<exit::Exit, Failure> {
    if let Some(answer) = commands::answer_shell() {
        return answer;
    }
    let mut given = std::env::args_os().skip(1);
    match (given.next(), given.next()) {
        (None, _) => return Err(Failure::rendered(commands::BRIEF.to_owned())),
        (Some(flag), None) if flag == "-h" => {
            output::say(commands::BRIEF)?;
            return Ok(exit::Exit::Done);
        }
        _ => {}
    }
    let arguments = read_arguments()?;
    arguments.appearance.apply();
    arguments.command.execute()
}

/// The command line, with the defaults of its options.
fn read_arguments() -> Result<commands::Arguments, Failure> {
    let program = commands::Arguments::command();
    let read = |arguments: &[OsString]| {
        let matches = program.clone().try_get_matches_from(arguments);
        matches.map_err(|error| refused(&error))
    };
    let typed: Vec<_> = std::env::args_os().collect();
    let matches = read(&typed)?;
    let all = config::with_defaults(&program, &matches, typed)?;
    let arguments = commands::Arguments::from_arg_matches(&read(&all)?);
    arguments.map_err(|error| refused(&error))
}

/// The short help of a command, if `-h` asked for it.
fn brief_help(error: &clap::Error) -> Option<&'static str> {
    let mut arguments = std::env::args().skip(1);
    let brief = commands::brief(&arguments.next()?)?;
    let is_short = arguments.all(|argument| argument != "--help");
    (error.kind() == ErrorKind::DisplayHelp && is_short).then_some(brief)
}

/// An error in the arguments, in the form of all others. Help and version are printed, which ends the program.
fn refused(error: &clap::Error) -> Failure {
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        error.exit();
    }
    if !error.use_stderr() {
        let printed = match brief_help(error) {
            Some(brief) => output::say(brief),
            None => output::print_help(error),
        };
        return match printed {
            Ok(()) => std::process::exit(exit::Exit::Done as i32),
            Err(failure) => failure,
        };
    }
    let text = error.render().to_string();
    let mut parts = text.trim().split("\n\n").map(str::trim);
    let message = parts
        .next()
        .unwrap_or_default()
        .trim_start_matches("error: ");
    let tips = parts.filter_map(|part| part.strip_prefix("tip: "));
    let tip = tips
        .map(str::to_owned)
        .find(|tip| !tip.starts_with("to pass "));
    let command = commands::Arguments::command();
    let given = std::env::args().nth(1);
    let name = given.filter(|name| command.find_subcommand(name).is_some());
    let name = name.map_or(String::new(), |name| format!(" {name}"));
    Failure::usage(message)
        .hint(tip.unwrap_or_else(|| format!("`photofinish{name} --help` shows what it takes")))
}

fn exit_code(result: Result<exit::Exit, Failure>) -> ExitCode {
    match result {
        Ok(exit) => exit.into(),
        Err(failure) => {
            output::advise(&failure.to_string());
            // The reason may not be on the command line.
            let defaults = describe::defaults(config::in_effect());
            if let Some(defaults) = defaults.filter(|_| failure.exit() == exit::Exit::Usage) {
                output::advise(&format!("defaults in effect: {defaults}"));
            }
            failure.exit().into()
        }
    }
}
