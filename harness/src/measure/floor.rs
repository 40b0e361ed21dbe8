//! The overhead: the cost of the measuring loop itself, under the same runtime and with as many sessions.
//!
//! A short closed phase of a workload that does nothing, between warm-up and measurement. A difference between runtimes
//! that is smaller than the overhead is not a difference.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::RoundError;
use super::erased::AnySession;
use super::phase::{PhasePlan, run_closed};
use super::recordings::Recordings;
use super::session::{SessionClock, SessionLoop, Shared};
use crate::observed::Observed;
use crate::parts::Parts;
use crate::runtime::Runtime;
use crate::workload::{About, Env, Failure, ParamError, RoundEnv, Workload};
use photofinish_record::LoopOverhead;
use photofinish_record::load::Stop;
use photofinish_record::shard::Shard;

/// Long enough for a hundred thousand operations, short compared with any round.
const DURATION: Duration = Duration::from_millis(20);

/// Measures the overhead with sessions that write to `recordings`, which are empty again afterwards.
pub(super) async fn measure<R: Runtime>(
    runtime: &R,
    recordings: &Recordings,
    sessions: NonZeroU32,
) -> Result<LoopOverhead, RoundError> {
    let shared = Arc::new(Shared {
        workload: Nothing,
        env: Env::from(RoundEnv {
            runtime: runtime.clone(),
            seed: 0,
            concurrency: sessions.get(),
            targets: Default::default(),
            work_dir: Default::default(),
            directory: Default::default(),
            run: String::new(),
            round: 1,
            warmup: Stop::after(DURATION),
            traffic: Default::default(),
            memo: Default::default(),
            observed: Observed::default(),
            parts: Parts::default(),
        }),
    });
    let session = |index| -> AnySession {
        Box::new(SessionLoop {
            shared: Arc::clone(&shared),
            state: (),
            clock: SessionClock::new(recordings, index, Shard::WHOLE, sessions),
        })
    };
    let all = (0..sessions.get()).map(session).collect();
    let plan = PhasePlan::floor(Stop::after(DURATION));
    let (_, ends) = run_closed(runtime, all, &plan, recordings).await?;
    let phase = ends.phase(recordings.drain());
    let (ops, throughput_ops_s) = (phase.recording.succeeded(), phase.throughput_ops_s);
    let service = phase.recording.into_service();
    let quantile_ns = |quantile| service.quantile_ns(quantile).unwrap_or_default();
    Ok(LoopOverhead {
        ops,
        throughput_ops_s,
        service_p50_ns: quantile_ns(0.5),
        service_p99_ns: quantile_ns(0.99),
    })
}

/// A workload that does nothing.
struct Nothing;

#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
struct NoParams {}

impl Workload for Nothing {
    const ABOUT: About = About {
        name: "floor",
        class: "overhead",
        operation: "nothing",
        targets: &[],
        needs: &[],
    };
    type Params = NoParams;
    crate::nothing_shared!();
    crate::no_session!();

    fn new(_: NoParams, _: Duration) -> Result<Self, ParamError> {
        Ok(Self)
    }

    #[inline]
    async fn operate<R: Runtime>(&self, _: &Env<R>, _: &mut (), op: u64) -> Result<(), Failure> {
        std::hint::black_box(op);
        Ok(())
    }
}
