//! The worker: one plan in, one reply out.
//!
//! The one place where workload × runtime × load meet: the plan names all three, the registry finds the workload by its
//! name, and the harness the runtime. The process around it reads the plan and writes the reply.

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
    let reason = match workload(&plan.workload) {
        _ if plan.protocol != WORKER_PROTOCOL => format!(
            "expected a plan of protocol {WORKER_PROTOCOL}, got {}",
            plan.protocol
        ),
        Some(entry) => return (entry.run)(plan),
        None => {
            let reason = format!("unknown workload `{}`", plan.workload);
            return WorkerResult::Unsupported { reason };
        }
    };
    WorkerResult::failed(reason, None)
}
