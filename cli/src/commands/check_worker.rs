//! `photofinish check-worker`: tests a worker in another language before its numbers are believed.
//!
//! The checks are in `lanes::conformance`.

use clap::Args;

use crate::exit::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::lanes::conformance::{Outcome, check, is_claimed};
use crate::lanes::worker;
use crate::output;

/// Test a worker in another language
///
/// Runs the worker for some seconds against a server that records what it is asked for, and compares: counts, operation numbers,
/// draws, content, times, arrivals of an open load, CPUs and CPU time, how it ends. Exits with 0 if every check passes, and with 5 if one fails.
#[derive(Args)]
#[command(after_help = "\
Examples:
  photofinish check-worker asyncio
  photofinish check-worker tokio
  photofinish check-worker perl examples/worker.pl")]
pub struct CheckWorker {
    /// Only the checks whose claim contains this text
    #[arg(long, value_name = "TEXT", default_value = "")]
    only: String,

    /// Command of the worker, or the name of a shipped lane or of a runtime
    #[arg(
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "COMMAND"
    )]
    command: Vec<String>,
}

impl CheckWorker {
    pub fn execute(self) -> Result<Exit, Failure> {
        if !is_claimed(&self.only) {
            return Err(Failure::usage(format!("no check contains `{}`", self.only))
                .hint("without --only, check-worker prints the claim of every check"));
        }
        let interrupt = Interrupt::on_signals()?;
        let (command, lanes) = worker(&self.command)?;
        let mut passed = true;
        for lane in &lanes {
            output::say(&format!("{}  {}", lane.name, lane.summary))?;
            passed &= check(&command, lane, &self.only, &interrupt, |claim, outcome| {
                output::say(&line(claim, outcome))
            })?;
        }
        if passed {
            return Ok(Exit::Done);
        }
        let message = format!("`{}` does not pass every check", self.command.join(" "));
        Err(Failure::new(Exit::Wrong, message).hint("docs/PROTOCOL.md says what a worker does"))
    }
}

fn line(claim: &str, outcome: &Outcome) -> String {
    match outcome {
        Outcome::Passed => format!("  ok      {claim}"),
        Outcome::Skipped(reason) => format!("  -       {claim}: {reason}"),
        Outcome::Failed(reason) => format!("  FAILED  {claim}: {reason}"),
    }
}
