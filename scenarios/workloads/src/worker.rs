//! The worker: one plan in, one reply out.
//!
//! The one place where workload × runtime × load meet: the plan names all three, the registry finds the workload by its
//! name, and the harness the runtime. The process around it reads the plan and writes the reply.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use photofinish_harness::measure::environment;
use photofinish_harness::parts::Parts;
use photofinish_harness::runtime::{Runtime, RuntimeConfig};
use photofinish_harness::runtimes::{Visitor, with_any_runtime};
use photofinish_record::protocol::{WORKER_PROTOCOL, WorkerPlan, WorkerReply, WorkerResult};

use crate::registry::workload;
use crate::workloads::{db_connection, db_schema};

/// Pause before each try to drop a schema: the server has to notice first that its client is gone.
const PAUSE: Duration = Duration::from_millis(50);
const TRIES: u32 = 5;
/// Deadline for a server that does not answer.
const CLEANING: Duration = Duration::from_secs(2);

/// Drops what the round that `plan` describes has left on a database of the user's, if its worker was killed.
pub fn clean(plan: &WorkerPlan) {
    let target = plan.targets.get(db_connection::TARGET);
    if target.is_none_or(|target| target.mock) {
        return;
    }
    let worker_threads = NonZeroU32::MIN;
    // Without a server that answers, everything stays for the next round to drop.
    let _ = with_any_runtime("sync", RuntimeConfig { worker_threads }, Cleaning(plan));
}

struct Cleaning<'a>(&'a WorkerPlan);

impl Visitor for Cleaning<'_> {
    type Output = ();

    fn visit<R: Runtime>(self, runtime: R) {
        let env = environment(
            runtime.clone(),
            self.0,
            &[db_connection::TARGET],
            Parts::default(),
        );
        let cleaning = async {
            for _ in 0..TRIES {
                runtime.sleep_until(Instant::now() + PAUSE).await;
                if db_schema::clean(&env).await != Ok(0) {
                    break;
                }
            }
        };
        let _ = runtime.block_on(runtime.timeout(CLEANING, cleaning));
    }
}

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
