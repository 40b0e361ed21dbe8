//! The checks of `photofinish check-worker`: what a worker has to do for its numbers to mean anything.
//!
//! Each check runs the worker for a moment and compares what it says with what its server saw, with what it was told, or with
//! what the system says about its process. A check is a function and a line in [`CHECKS`]. A lane without the workload or the
//! load that a check needs is not tested by it, and the table says so. `bench` starts workers; the checks are in `answers`,
//! `served`, `processes` and `arrivals`.

mod answers;
mod arrivals;
mod bench;
mod processes;
mod served;

use photofinish_record::protocol::LaneDescription;

use self::bench::Bench;
use super::LaneCommand;
use crate::exit::{Exit, Failure};
use crate::interrupt::Interrupt;

/// The outcome of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Passed,
    /// Not applicable, for this reason.
    Skipped(String),
    /// With the difference.
    Failed(String),
}

impl From<String> for Outcome {
    fn from(difference: String) -> Self {
        Self::Failed(difference)
    }
}

/// The lane's ability that a check needs.
#[derive(Clone, Copy, Debug)]
enum Need {
    Nothing,
    Workload(&'static str),
    /// An open load of `http-get`.
    OpenLoad,
}

impl Need {
    /// The reason that a check with this need does not apply to the lane.
    fn unmet(self, lane: &LaneDescription) -> Option<String> {
        let workload = match self {
            Self::Nothing => return None,
            Self::OpenLoad if !lane.open_load => return Some("it has no open load".to_owned()),
            Self::OpenLoad => "http-get",
            Self::Workload(name) => name,
        };
        let known = lane.workloads.iter().any(|known| known == workload);
        (!known).then(|| format!("the lane has no workload `{workload}`"))
    }
}

/// A check: what must hold, what it needs, and the function that tests it. An error is its outcome.
type Check = (&'static str, Need, fn(&Bench<'_>) -> Result<(), Outcome>);

const CHECKS: [Check; 21] = [
    (
        "its description names a lane and workloads",
        Need::Nothing,
        answers::description,
    ),
    (
        "a phase by count runs that many operations",
        Need::Workload("null"),
        answers::by_count,
    ),
    (
        "a phase by time lasts that long",
        Need::Workload("null"),
        answers::by_time,
    ),
    (
        "its histogram holds scripted times",
        Need::Workload("scripted"),
        answers::scripted_times,
    ),
    (
        "an unknown workload is unsupported",
        Need::Nothing,
        answers::unknown_workload,
    ),
    (
        "a plan of another protocol is refused",
        Need::Nothing,
        answers::other_protocol,
    ),
    (
        "one line on its standard output, then it exits",
        Need::Workload("null"),
        answers::one_line,
    ),
    (
        "a reply of more than 64 KiB is whole",
        Need::Workload("null"),
        answers::long_line,
    ),
    (
        "every thread runs on the CPUs of the plan",
        Need::Workload("http-get"),
        processes::affinity,
    ),
    (
        "its CPU time is that which the system counted",
        Need::Workload("null"),
        processes::cpu_time,
    ),
    (
        "SIGTERM ends it",
        Need::Workload("http-get"),
        processes::ends_on_sigterm,
    ),
    (
        "it ends with its parent",
        Need::Workload("http-get"),
        processes::ends_with_its_parent,
    ),
    (
        "its requests and connections are those that the server saw",
        Need::Workload("http-get"),
        served::counts,
    ),
    (
        "operations are numbered from 0, those of the warm-up from 2^48",
        Need::Workload("http-get"),
        served::numbers,
    ),
    (
        "its draws follow from the seed and the operation's number",
        Need::Workload("http-limited"),
        served::draws,
    ),
    (
        "two rounds with one seed ask for the same",
        Need::Workload("http-limited"),
        served::same_draws,
    ),
    (
        "other content than before is a failure",
        Need::Workload("http-get"),
        served::lies,
    ),
    (
        "a reset is a failure of that kind, and a refused connection ends the set-up",
        Need::Workload("http-get"),
        served::broken_connections,
    ),
    (
        "an answer that does not come is a failure of the kind timeout",
        Need::Workload("http-get"),
        served::silence,
    ),
    (
        "each arrival of an open load is served, and a stall is in the response times",
        Need::OpenLoad,
        arrivals::stall,
    ),
    (
        "arrivals that are left are unsent, and operations that hang are unfinished",
        Need::OpenLoad,
        arrivals::left_over,
    ),
];

/// True if the claim of some check contains `only`.
pub fn is_claimed(only: &str) -> bool {
    CHECKS.iter().any(|(claim, _, _)| claim.contains(only))
}

/// Every check of one lane whose claim contains `only`, in order.
pub fn check(
    command: &LaneCommand,
    lane: &LaneDescription,
    only: &str,
    interrupt: &Interrupt,
    mut tell: impl FnMut(&str, &Outcome) -> Result<(), Failure>,
) -> Result<bool, Failure> {
    let work_dir = super::scratch()?;
    let bench = Bench {
        command,
        lane,
        work_dir: work_dir.path().to_owned(),
        interrupt,
    };
    let mut passed = true;
    for (claim, need, run) in CHECKS
        .into_iter()
        .filter(|(claim, _, _)| claim.contains(only))
    {
        let outcome = match need.unmet(lane) {
            Some(reason) => Outcome::Skipped(reason),
            None => run(&bench).err().unwrap_or(Outcome::Passed),
        };
        if interrupt.requested() {
            return Err(Failure::new(Exit::Interrupted, "interrupted"));
        }
        passed &= !matches!(outcome, Outcome::Failed(_));
        tell(claim, &outcome)?;
    }
    Ok(passed)
}

fn equal<T: PartialEq + std::fmt::Display>(what: &str, expected: T, got: T) -> Result<(), String> {
    if expected == got {
        return Ok(());
    }
    Err(format!("{what}: expected {expected}, got {got}"))
}
