//! The subcommands: one file each, and one line each in the three lists below: `mod`, [`Command`], its `execute`.
//!
//! A command is a struct of arguments with `execute`, which returns the exit code or a failure; `output` prints. The doc
//! comments are the help texts, written for the person who types `--help`.

mod arm_server;
mod baseline;
mod check_worker;
mod compare;
mod completions;
mod doctor;
mod export;
mod gate;
mod import;
mod init;
mod lanes;
mod launch;
mod list;
mod man;
mod merge;
mod open;
mod plan;
mod report;
mod run;
mod runs;
mod schema;
mod selftest;
mod serve;
mod setup;
mod show;
mod submit;
mod throwaway_postgres;
mod worker;

pub use completions::answer as answer_shell;

use clap::{Parser, Subcommand};

use crate::config::{ConfigArguments, VARIABLES};
use crate::exit::{Exit, Failure};
use crate::output::Appearance;

/// Help shown without a command; fits 24 lines.
pub const BRIEF: &str = "\
The same file, HTTP and database work under every execution model, measured
honestly.

  photofinish run
      a tour of HTTP, files and a database, in about a minute
  photofinish run http-get --runtimes threads,tokio
      a scenario under these runtimes
  photofinish run http-get --target http=http://127.0.0.1:8080/
      your own server
  photofinish gate http-get --base-rev main --server '{exe} --port {port}'
      is my server slower than on main?

Before:   list, plan, doctor, selftest
Measure:  run, gate
After:    show, open, runs, report, compare, export, baseline
Cluster:  run --shard, submit, merge
Your own: init, import, serve, schema, lanes, setup, check-worker
Shell:    completions, man

`photofinish COMMAND -h` lists the options of a command, `photofinish help
COMMAND` explains them, and `photofinish --help` all commands.
";

const EXAMPLES: &str = "\
Examples:
  photofinish run
  photofinish run http-get --runtimes threads,tokio
  photofinish run http-get --target http=http://127.0.0.1:8080/
  photofinish run db-select --target db=local
  photofinish report photofinish-runs/latest
  photofinish gate http-get --base-server './old {port}' \\
      --head-server './new {port}'

Exit codes: 0 done or pass, 1 could not run, 2 wrong usage, 3 regression or
missed threshold, 4 inconclusive, or the machine is unfit for measuring,
5 measured but wrong, 130 interrupted (results so far are kept).";

/// The short help of a command whose options do not fit a screen.
pub fn brief(command: &str) -> Option<&'static str> {
    match command {
        "run" => Some(run::BRIEF),
        "plan" => Some(plan::BRIEF),
        "gate" => Some(gate::BRIEF),
        _ => None,
    }
}

/// The end of `photofinish --help`, with the environment variables.
fn after_help() -> String {
    let width = VARIABLES.map(|(name, _)| name.len()).into_iter().max();
    let width = width.unwrap_or_default();
    let variables = VARIABLES.map(|(name, help)| format!("  {name:width$}  {help}"));
    format!(
        "{EXAMPLES}\n\nEnvironment variables:\n{}",
        variables.join("\n")
    )
}

/// The same file, HTTP and database work under every execution model, measured honestly.
///
/// Photofinish runs identical workloads as synchronous code, threads and several async runtimes, against mock or
/// real servers, each round in a fresh process, and reports which is faster, by how much, and at what cost.
#[derive(Parser)]
#[command(name = "photofinish", version, max_term_width = 80, after_long_help = after_help())]
pub struct Arguments {
    #[command(flatten)]
    pub appearance: Appearance,

    #[command(flatten)]
    pub config: ConfigArguments,

    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    Run(Box<run::Run>),
    Plan(Box<plan::Plan>),
    List(list::List),
    Init(init::Init),
    Import(import::ImportCommand),
    Show(show::Show),
    Open(open::Open),
    Report(report::Report),
    Runs(runs::Runs),
    Merge(merge::Merge),
    Submit(submit::Submit),
    Compare(compare::Compare),
    Gate(Box<gate::Gate>),
    Baseline(baseline::Baseline),
    Export(export::Export),
    Serve(serve::Serve),
    Lanes(lanes::Lanes),
    Setup(setup::Setup),
    CheckWorker(check_worker::CheckWorker),
    Doctor(doctor::Doctor),
    Selftest(selftest::Selftest),
    Schema(schema::Schema),
    Completions(completions::Completions),
    Man(man::Man),
    #[command(hide = true)]
    Worker(worker::Worker),
    #[command(hide = true)]
    Launch(launch::Launch),
    #[command(hide = true)]
    ArmServer(arm_server::ArmServer),
    #[command(hide = true)]
    ThrowawayPostgres(throwaway_postgres::ThrowawayPostgres),
}

impl Command {
    pub fn execute(self) -> Result<Exit, Failure> {
        match self {
            Self::Run(command) => command.execute(),
            Self::Plan(command) => command.execute(),
            Self::List(command) => command.execute(),
            Self::Init(command) => command.execute(),
            Self::Import(command) => command.execute(),
            Self::Show(command) => command.execute(),
            Self::Open(command) => command.execute(),
            Self::Report(command) => command.execute(),
            Self::Runs(command) => command.execute(),
            Self::Merge(command) => command.execute(),
            Self::Submit(command) => command.execute(),
            Self::Compare(command) => command.execute(),
            Self::Gate(command) => command.execute(),
            Self::Baseline(command) => command.execute(),
            Self::Export(command) => command.execute(),
            Self::Serve(command) => command.execute(),
            Self::Lanes(command) => command.execute(),
            Self::Setup(command) => command.execute(),
            Self::CheckWorker(command) => command.execute(),
            Self::Doctor(command) => command.execute(),
            Self::Selftest(command) => command.execute(),
            Self::Schema(command) => command.execute(),
            Self::Completions(command) => command.execute(),
            Self::Man(command) => command.execute(),
            Self::Worker(command) => command.execute(),
            Self::Launch(command) => command.execute(),
            Self::ArmServer(command) => command.execute(),
            Self::ThrowawayPostgres(command) => command.execute(),
        }
    }
}
