//! What a round has left on the user's database if its worker was killed: dropped when a run is interrupted.

use std::time::{Duration, Instant};

use photofinish_harness::measure::environment;
use photofinish_harness::parts::Parts;
use photofinish_harness::runtime::Runtime;
use photofinish_harness::runtimes::sync;
use photofinish_record::protocol::WorkerPlan;

use super::db_connection::TARGET;
use super::db_schema::clean;

/// Pause before each try: the server has to notice first that its client is gone.
const PAUSE: Duration = Duration::from_millis(50);

const TRIES: u32 = 4;

/// Deadline of all tries.
const CLEANING: Duration = Duration::from_secs(2);

/// Drops the schema of the round that `plan` describes, as far as the server permits; the next round tries again.
pub fn drop_leftovers(plan: &WorkerPlan) {
    if plan.targets.get(TARGET).is_none_or(|target| target.mock) {
        return;
    }
    let runtime = sync();
    let env = environment(runtime.clone(), plan, &[TARGET], Parts::default());
    let trying = async {
        for _ in 0..TRIES {
            runtime.sleep_until(Instant::now() + PAUSE).await;
            // The server may still be full, or hold the lock of the killed worker.
            let _ = clean(&env).await;
        }
    };
    let _ = runtime.block_on(runtime.timeout(CLEANING, trying));
}
