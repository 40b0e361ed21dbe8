//! `photofinish selftest`: proves the tool's own numbers on this machine.
//!
//! Runs every check under the given runtimes, and prints each claim with its bound and its measurement. The checks are in
//! `run::selftest`, the claims in `reports::selftest`.

use clap::Args;
use photofinish_harness::os;
use photofinish_harness::runtimes::DESCRIPTORS;
use photofinish_reports::selftest::{Claim, Proof, recorded_percentiles};
use photofinish_scenarios::plan::PlanError;
use photofinish_workloads::names::did_you_mean;

use crate::exit::{Exit, Failure, OrFail};
use crate::interrupt::Interrupt;
use crate::output;
use crate::request::placement::{CpuList, PlacementRequest, lay_out};
use crate::run::fitness::PROFILE;
use crate::run::selftest::{Bench, CHECKS, Effort};

/// Check the tool's own numbers on this machine against known values
///
/// The claims are about percentiles (compared with the raw samples), latency under a stalled server (compared with arithmetic),
/// rate and pacing, counts, and the cost of measuring. Each is printed with its bound and its measured value. Takes about half a
/// minute per runtime. Exits with 0 if every claim holds, and with 4 if one does not: the machine is too busy, or the tool
/// is wrong.
#[derive(Args)]
pub struct Selftest {
    /// Runtimes to test [default: all]
    #[arg(long, value_delimiter = ',', value_name = "A,B")]
    runtimes: Option<Vec<String>>,

    /// Few, short rounds, as a smoke test
    #[arg(long)]
    quick: bool,

    /// Print one JSON document; `photofinish schema selftest` describes it
    #[arg(long)]
    json: bool,

    /// CPUs to use, such as 0,2-3 [default: all that this process may use]
    #[arg(long, value_name = "LIST")]
    cpus: Option<CpuList>,
}

impl Selftest {
    pub fn execute(self) -> Result<Exit, Failure> {
        let runtimes = self.runtimes()?;
        let interrupt = Interrupt::on_signals()?;
        let request = PlacementRequest {
            cpus: self.cpus.clone(),
            pacer: true,
            ..PlacementRequest::default()
        };
        let layout = lay_out(&request, &os::allowed_cpus())?;
        let work_dir = tempfile::tempdir().or_fail("cannot make a temporary directory")?;
        let bench = Bench {
            placement: &layout.placement,
            effort: if self.quick {
                Effort::QUICK
            } else {
                Effort::WHOLE
            },
            clock_read_ns: os::clock_read_ns(),
            work_dir: work_dir.path().to_owned(),
            interrupt: &interrupt,
        };
        let claims = claims(&bench, &runtimes)?;
        let proof = Proof::of(os::machine(), PROFILE, claims);
        self.tell(&proof)?;
        Ok(if proof.passed {
            Exit::Done
        } else {
            Exit::Unfit
        })
    }

    fn runtimes(&self) -> Result<Vec<String>, Failure> {
        let all = || DESCRIPTORS.iter().map(|known| known.name.to_owned());
        let runtimes = self.runtimes.clone().unwrap_or_else(|| all().collect());
        let unknown = runtimes
            .iter()
            .find(|name| !all().any(|known| known == **name));
        let Some(name) = unknown else {
            return Ok(runtimes);
        };
        let error = PlanError::UnknownRuntime {
            suggestion: did_you_mean(name, DESCRIPTORS.iter().map(|known| known.name))
                .map(str::to_owned),
            name: name.clone(),
        };
        Err(Failure::usage(error.to_string()).hint(error.hint()))
    }

    fn tell(&self, proof: &Proof) -> Result<(), Failure> {
        if self.json {
            return output::emit_json(proof);
        }
        output::say(&proof.render(output::style()))
    }
}

/// Every claim, grouped by name.
fn claims(bench: &Bench<'_>, runtimes: &[String]) -> Result<Vec<Claim>, Failure> {
    let all_cpus = os::allowed_cpus();
    // As in a run: this process must not disturb the worker.
    let _ = os::pin_process(&bench.placement.server_cpus);
    let mut claims = vec![recorded_percentiles()];
    for runtime in runtimes {
        output::advise(&format!("testing under {runtime}"));
        for check in CHECKS {
            claims.extend(check(bench, runtime)?);
        }
    }
    let _ = os::pin_process(&all_cpus);
    let mut names: Vec<String> = Vec::new();
    for claim in &claims {
        if !names.contains(&claim.name) {
            names.push(claim.name.clone());
        }
    }
    claims.sort_by_key(|claim| names.iter().position(|name| *name == claim.name));
    Ok(claims)
}
