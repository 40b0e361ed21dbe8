//! The limit of open files, checked before anything is measured.
//!
//! The requirement is a lower bound, one descriptor per session that talks to a server; a workload that needs more per
//! session reports it itself. The soft limit has already been raised to the hard one.

use photofinish_record::{Cell, Plan};

use crate::exit::Failure;

/// Descriptors used by the process itself: streams, event queues, files being read.
const OWN_FILES: u64 = 32;

/// Rejects a plan that needs more open files than `limit`.
pub fn check_open_files(plan: &Plan, limit: Option<u64>) -> Result<(), Failure> {
    let Some(limit) = limit else { return Ok(()) };
    let needed = OWN_FILES + max_connections(plan);
    if needed <= limit {
        return Ok(());
    }
    Err(Failure::could_not_run(format!(
        "this run needs {needed} open files; the limit is {limit}"
    ))
    .hint(format!(
        "raise the limit with `ulimit -n {needed}`, or ask for a lower --concurrency"
    )))
}

fn max_connections(plan: &Plan) -> u64 {
    let connects =
        |cell: &&Cell| cell.unsupported.is_none() && !plan.scenario_of(cell).servers.is_empty();
    let cells = plan.cells.iter().filter(connects);
    let sessions = cells.map(|cell| u64::from(cell.load.concurrency().get()));
    sessions.max().unwrap_or(0)
}
