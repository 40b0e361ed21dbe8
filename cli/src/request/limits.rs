//! Whether the system's limits let a plan run: open files, told before anything is measured.
//!
//! A lower bound only, one descriptor per session that talks to a server: a workload that needs more of them per
//! session still finds out by itself, and says so. The soft limit has been raised to the hard one before.

use photofinish_record::Plan;

use crate::exit::Failure;

/// Descriptors of the process itself: streams, event queues, files being read.
const OWN_FILES: u64 = 32;

/// Refuses a plan that needs more open files than `limit`.
pub fn check_open_files(plan: &Plan, limit: Option<u64>) -> Result<(), Failure> {
    let Some(limit) = limit else { return Ok(()) };
    let needed = OWN_FILES + most_connections(plan);
    match needed <= limit {
        true => Ok(()),
        false => Err(Failure::could_not_run(format!(
            "this run needs {needed} open files, and this process may have {limit} at most"
        ))
        .hint(format!(
            "raise the limit with `ulimit -n {needed}`, or ask for a lower --concurrency"
        ))),
    }
}

fn most_connections(plan: &Plan) -> u64 {
    let talks = |scenario: &str| {
        let named = plan
            .scenarios
            .iter()
            .find(|planned| planned.name == scenario);
        named.is_some_and(|planned| !planned.servers.is_empty())
    };
    let cells = plan
        .cells
        .iter()
        .filter(|cell| cell.unsupported.is_none() && talks(&cell.scenario));
    let sessions = cells.map(|cell| u64::from(cell.load.concurrency().get()));
    sessions.max().unwrap_or(0)
}
