//! `photofinish doctor`: what on this machine would spoil a measurement, and what to do about it.
//!
//! Looks, measures the same thing twice, tells. It changes nothing: remedies are printed for people to apply.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use photofinish_harness::os;
use photofinish_reports::diagnosis::Diagnosis;

use crate::exit::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::output;
use crate::request::placement::{CpuList, Wish, lay_out, list};
use crate::run::fitness;
use crate::run::progress::seconds;
use crate::run::sameness::Sameness;

/// How long the machine is watched for other work: long enough that a tick of 10 ms is a small share.
const WATCHED: Duration = Duration::from_secs(1);

/// Tells what on this machine would spoil a measurement, and the remedy
///
/// Looks at CPUs, clocks, limits, memory and the file system, then measures one scenario against itself for some 20
/// seconds to find the smallest difference that can be told here. Changes nothing. Ends with 0 when nothing is bad, and
/// with 4 when something is.
#[derive(Args)]
pub struct Doctor {
    /// Prints one JSON document; `photofinish schema diagnosis` describes it
    #[arg(long)]
    json: bool,

    /// Looks only, and measures nothing
    #[arg(long)]
    no_measure: bool,

    /// CPUs that are to be used, such as 0,2-3 [default: all that this process may use]
    #[arg(long, value_name = "LIST")]
    cpus: Option<CpuList>,

    /// Where runs are to go, for what is said of its file system
    #[arg(long, value_name = "DIR", default_value = ".")]
    work_dir: PathBuf,
}

impl Doctor {
    /// Looks, measures and tells.
    pub fn execute(self) -> Result<Exit, Failure> {
        self.check_work_dir()?;
        let wish = Wish {
            cpus: self.cpus.clone(),
            ..Wish::default()
        };
        let placement = lay_out(&wish, &os::allowed_cpus())?.placement;
        // Looked at first, while nothing of ours is at work.
        let findings = fitness::examine(&placement, &self.work_dir, WATCHED);
        let resolution = match self.no_measure {
            true => None,
            false => self.measure()?,
        };
        let diagnosis = Diagnosis::of(os::machine(), findings, resolution);
        self.tell(&diagnosis)?;
        Ok(ended_as(&diagnosis))
    }

    /// A slip in the name must not have another file system judged.
    fn check_work_dir(&self) -> Result<(), Failure> {
        match self.work_dir.is_dir() {
            true => Ok(()),
            false => Err(Failure::usage(format!(
                "--work-dir: {} is no directory",
                self.work_dir.display()
            ))
            .hint("name the directory that runs are to go to, or one above it")),
        }
    }

    fn measure(&self) -> Result<Option<photofinish_reports::resolution::Resolution>, Failure> {
        let interrupt = Interrupt::on_signals().map_err(|error| {
            Failure::could_not_run("cannot listen for signals").caused_by(error)
        })?;
        let cpus = self.cpus.as_ref().map(|CpuList(cpus)| list(cpus));
        let sameness = Sameness::plan(cpus.as_deref())?;
        output::advise(&format!(
            "measuring the same thing twice, for about {} (--no-measure leaves it out)",
            seconds(sameness.estimate())
        ));
        sameness.measure(&interrupt)
    }

    fn tell(&self, diagnosis: &Diagnosis) -> Result<(), Failure> {
        match self.json {
            true => output::emit_json(diagnosis),
            false => output::say(&diagnosis.render(output::style())),
        }
    }
}

fn ended_as(diagnosis: &Diagnosis) -> Exit {
    match diagnosis.fit {
        true => Exit::Done,
        false => Exit::Unfit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use photofinish_record::{Finding, FindingLevel};

    #[test]
    fn the_exit_code_follows_from_the_findings() {
        let check = |levels: &[FindingLevel], expected: Exit| {
            let findings = levels.iter().map(|&level| Finding {
                check: "x".into(),
                level,
                evidence: "seen".into(),
                remedy: None,
            });
            let diagnosis = Diagnosis::of(os::machine(), findings.collect(), None);
            assert_eq!(ended_as(&diagnosis), expected, "{levels:?}");
        };
        use FindingLevel::{Bad, Caution, Good, Unknown};
        check(&[], Exit::Done);
        check(&[Good, Caution, Unknown], Exit::Done);
        check(&[Good, Bad, Good], Exit::Unfit);
    }
}
