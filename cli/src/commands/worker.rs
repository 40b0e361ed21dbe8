//! `photofinish worker`: one round in this process, for the orchestrator. Not for people.
//!
//! Reads one plan from stdin and writes one reply to stdout (`record::protocol`). Process-wide settings (CPUs, timer
//! slack, open files, exiting with the parent) are applied before the first thread starts.

use std::io::{self, BufRead};

use clap::Args;
use photofinish_harness::{allocations, os};
use photofinish_record::protocol::WorkerPlan;
use photofinish_workloads::worker::work;

use crate::exit::{Exit, Failure, OrFail};
use crate::output;
use crate::process::worker::NO_PLAN;

/// The minimum: sleeps end as precisely as the kernel can.
const TIMER_SLACK_NS: u64 = 1;

/// Measures one round in this process, with its plan on stdin and its reply on stdout
#[derive(Args)]
pub struct Worker {}

impl Worker {
    pub fn execute(self) -> Result<Exit, Failure> {
        os::die_with_parent().or_fail("the worker cannot be tied to its parent")?;
        let plan = read_plan()?;
        if !plan.cpus.is_empty() {
            os::pin_process(&plan.cpus).or_fail("the worker cannot be pinned")?;
        }
        os::raise_open_files_limit();
        os::set_timer_slack_ns(TIMER_SLACK_NS);
        if plan.audit {
            allocations::start_counting();
        }
        output::emit_json_line(&work(&plan))?;
        Ok(Exit::Done)
    }
}

fn read_plan() -> Result<WorkerPlan, Failure> {
    let mut line = Vec::new();
    let read = io::stdin().lock().read_until(b'\n', &mut line);
    read.or_fail("the worker cannot read its plan")?;
    serde_json::from_slice(&line).map_err(|error| {
        Failure::usage(NO_PLAN).caused_by(error).hint(
            "`photofinish run` starts workers; `photofinish schema worker-plan` describes a plan",
        )
    })
}
