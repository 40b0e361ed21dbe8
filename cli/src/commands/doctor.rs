//! `photofinish doctor`: what on this machine would distort a measurement, and how to fix it.
//!
//! Examines the machine and runs an A/A comparison. Changes nothing: it prints remedies for the user to apply.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use photofinish_harness::os;
use photofinish_record::cpu_list;
use photofinish_reports::diagnosis::Diagnosis;

use crate::exit::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::output;
use crate::request::placement::{CpuList, PlacementRequest, lay_out};
use crate::run::fitness;
use crate::run::progress::seconds;
use crate::run::sameness::Sameness;

/// Time for which the machine is observed for other activity; long enough that a tick of 10 ms is a small share.
const WATCH_TIME: Duration = Duration::from_secs(1);

/// Find out what on this machine would distort a measurement, and how to fix it
///
/// Examines CPUs, clocks, limits, memory and the file system, then measures one scenario against itself for about 20 seconds
/// to find the smallest difference that can be detected here. Nothing is changed. Exits with 4 if any finding is bad,
/// otherwise with 0.
#[derive(Args)]
pub struct Doctor {
    /// Print one JSON document; `photofinish schema diagnosis` describes it
    #[arg(long)]
    json: bool,

    /// Print the good findings too
    #[arg(long, conflicts_with = "json")]
    all: bool,

    /// Skip the measurement
    #[arg(long)]
    no_measure: bool,

    /// CPUs to use, such as 0,2-3 [default: all that this process may use]
    #[arg(long, value_name = "LIST")]
    cpus: Option<CpuList>,

    /// Directory whose file system is examined: the parent of the run directories
    #[arg(long, value_name = "DIR", default_value = ".")]
    work_dir: PathBuf,
}

impl Doctor {
    pub fn execute(self) -> Result<Exit, Failure> {
        self.check_work_dir()?;
        let request = PlacementRequest {
            cpus: self.cpus.clone(),
            ..PlacementRequest::default()
        };
        let placement = lay_out(&request, &os::allowed_cpus())?.placement;
        // Examined first, while nothing of ours is running.
        let findings = fitness::examine(&placement, &self.work_dir, WATCH_TIME);
        let resolution = if self.no_measure {
            None
        } else {
            self.measure()?
        };
        let diagnosis = Diagnosis::of(os::machine(), findings, resolution);
        self.tell(&diagnosis)?;
        Ok(if diagnosis.fit {
            Exit::Done
        } else {
            Exit::Unfit
        })
    }

    /// A mistyped name must not yield findings about another file system.
    fn check_work_dir(&self) -> Result<(), Failure> {
        if self.work_dir.is_dir() {
            return Ok(());
        }
        let directory = self.work_dir.display();
        Err(
            Failure::usage(format!("--work-dir: {directory} is not a directory"))
                .hint("pass the parent of the run directories, or an ancestor"),
        )
    }

    fn measure(&self) -> Result<Option<photofinish_reports::resolution::Resolution>, Failure> {
        let interrupt = Interrupt::on_signals()?;
        let cpus = self.cpus.as_ref().map(|CpuList(cpus)| cpu_list(cpus));
        let sameness = Sameness::plan(cpus.as_deref())?;
        output::advise(&format!(
            "measuring one scenario against itself, for about {} (--no-measure skips it)",
            seconds(sameness.estimate())
        ));
        sameness.measure(&interrupt)
    }

    fn tell(&self, diagnosis: &Diagnosis) -> Result<(), Failure> {
        if self.json {
            output::emit_json(diagnosis)
        } else {
            output::say(&diagnosis.render(output::style(), self.all))
        }
    }
}
