//! The worker: one plan in, one reply out.
//!
//! The one place where workload × runtime × load meet: the plan names all three, the registry turns the workload's name
//! into code, and the harness the runtime's. Reading the plan and writing the reply is the business of the process
//! around it.

use photofinish_record::protocol::{WORKER_PROTOCOL, WorkerPlan, WorkerReply, WorkerResult};

use crate::registry::workload;

/// Runs the round that `plan` describes, in this process.
pub fn work(plan: &WorkerPlan) -> WorkerReply {
    WorkerReply {
        protocol: WORKER_PROTOCOL,
        result: run(plan),
    }
}

fn run(plan: &WorkerPlan) -> WorkerResult {
    let failed = |reason: String| WorkerResult::Failed { reason, hint: None };
    if plan.protocol != WORKER_PROTOCOL {
        let asked = plan.protocol;
        return failed(format!(
            "the plan is of protocol {asked}, this worker of {WORKER_PROTOCOL}"
        ));
    }
    match workload(&plan.workload) {
        Some(entry) => (entry.run)(plan),
        None => failed(format!("no workload is called `{}`", plan.workload)),
    }
}
