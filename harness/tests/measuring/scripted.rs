//! A workload that follows a script, and notes the operations it performs.

use std::num::{NonZeroU32, NonZeroU64};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use photofinish_harness::measure::{FIRST_WARMUP_OP, run_round};
use photofinish_harness::parts::{PartOutcome, PartRecorder};
use photofinish_harness::runtime::{Descriptor, Runtime};
use photofinish_harness::workload::{About, Env, Failure, ParamError, RoundEnv, Totals, Workload};
use photofinish_record::load::{Load, Stop};
use photofinish_record::protocol::{WORKER_PROTOCOL, WorkerPlan, WorkerResult};
use photofinish_record::{Measurement, Part};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::suite::WORKER_THREADS;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Script {
    /// Each operation succeeds at once, and is noted.
    #[default]
    Note,
    /// Each operation succeeds at once.
    Succeed,
    /// Of every three operations one succeeds, one is reset and one times out.
    FailTwoOfThree,
    /// The operation of this number gives the wrong content.
    WrongContentAt(u64),
    /// Operations below this number are noted; there are no data for later ones. The same holds in the warm-up.
    RowsEndAt(u64),
    /// The operation of this number panics.
    PanicAt(u64),
    /// Every operation looks, and every second one also buys; every second purchase fails.
    Shop,
    /// Each operation looks and buys.
    Buy,
    /// The workload lists too many parts.
    ListManyParts,
    /// Each operation sleeps this long, in µs.
    SleepUs(u64),
    /// The operations of this number and of this number of the warm-up never end.
    StickAt {
        /// Of the measurement.
        measured: Option<u64>,
        /// Of the warm-up.
        warmup: Option<u64>,
    },
    /// Setting up fails.
    FailToPrepare,
    /// The session of this number does not open.
    FailToOpen(u32),
    /// The session of this number opens to the wrong content.
    OpenToWrongContent(u32),
    /// No session ever closes.
    NeverClose,
    /// An expectation of the whole round is not met.
    BreakAPromise,
    /// An expectation is not met, and the check at the end of the round fails.
    FailToFinish,
    /// The parameters make no sense.
    Refuse,
}

/// Noted when the workload is abandoned.
pub(crate) const ABANDONED: u64 = FIRST_WARMUP_OP - 1;

/// Numbers of the operations that were noted, in no particular order: this process runs one check.
static NOTED: Mutex<Vec<u64>> = Mutex::new(Vec::new());

/// Takes what was noted so far, ascending: numbers of the warm-up, counted from 0, and of the measurement.
pub(crate) fn noted() -> (Vec<u64>, Vec<u64>) {
    let mut noted = std::mem::take(&mut *NOTED.lock().unwrap_or_else(PoisonError::into_inner));
    noted.sort_unstable();
    let (measured, warmup): (Vec<_>, Vec<_>) = noted.iter().partition(|op| **op < FIRST_WARMUP_OP);
    (
        warmup.iter().map(|op| op - FIRST_WARMUP_OP).collect(),
        measured,
    )
}

struct Scripted {
    script: Script,
}

#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Params {
    script: Script,
}

impl Workload for Scripted {
    const ABOUT: About = About {
        name: "scripted",
        class: "test",
        operation: "what the script says",
        targets: &[],
        needs: &[],
    };
    type Params = Params;
    type Shared<R: Runtime> = ();
    type Session<R: Runtime> = u32;

    fn new(params: Params, _: Duration) -> Result<Self, ParamError> {
        match params.script {
            Script::Refuse => Err(ParamError {
                param: "script".to_owned(),
                message: "asks for the impossible".to_owned(),
            }),
            script => Ok(Self { script }),
        }
    }

    fn parts(&self) -> Vec<String> {
        match self.script {
            Script::Shop | Script::Buy => ["look", "buy", "return"].map(str::to_owned).to_vec(),
            Script::ListManyParts => (0..=Part::MOST).map(|part| part.to_string()).collect(),
            _ => Vec::new(),
        }
    }

    async fn prepare<R: Runtime>(&self, _: &Env<R>) -> Result<(), Failure> {
        match self.script {
            Script::FailToPrepare => Err(Failure::new(Failure::IO, "no room")),
            _ => Ok(()),
        }
    }

    async fn open<R: Runtime>(&self, _: &Env<R>, index: u32) -> Result<u32, Failure> {
        match self.script {
            Script::FailToOpen(refused) if index == refused => {
                Err(Failure::new(Failure::REFUSED, "nobody there"))
            }
            Script::OpenToWrongContent(wrong) if index == wrong => {
                Err(Failure::wrong_content("7 instead of 8"))
            }
            _ => Ok(index),
        }
    }

    async fn operate<R: Runtime>(
        &self,
        env: &Env<R>,
        index: &mut u32,
        op: u64,
    ) -> Result<(), Failure> {
        match self.script {
            Script::Note => {
                let mut noted = NOTED.lock().unwrap_or_else(PoisonError::into_inner);
                noted.push(op);
            }
            Script::FailTwoOfThree => match op % 3 {
                1 => return Err(Failure::new(Failure::RESET, "as told")),
                2 => return Err(Failure::new(Failure::TIMEOUT, "as told")),
                _ => {}
            },
            Script::RowsEndAt(end) if op % FIRST_WARMUP_OP >= end => {
                return Err(Failure::new(Failure::ROWS_END, "as told"));
            }
            Script::RowsEndAt(_) => {
                let mut noted = NOTED.lock().unwrap_or_else(PoisonError::into_inner);
                noted.push(op);
            }
            Script::WrongContentAt(wrong) if op == wrong => {
                return Err(Failure::wrong_content("7 instead of 8"));
            }
            Script::PanicAt(number) => assert_ne!(op, number, "as told"),
            Script::Shop => return shop(&env.parts.recorder(*index), op).await,
            Script::Buy => return shop(&env.parts.recorder(*index), 1).await,
            Script::SleepUs(sleep_us) => {
                let due = Instant::now() + Duration::from_micros(sleep_us);
                env.runtime.sleep_until(due).await;
            }
            Script::StickAt { measured, warmup } => {
                let warmup = warmup.map(|op| op + FIRST_WARMUP_OP);
                if [measured, warmup].contains(&Some(op)) {
                    let never = Instant::now() + Duration::from_secs(3600);
                    env.runtime.sleep_until(never).await;
                }
            }
            _ => {}
        }
        Ok(())
    }

    async fn close<R: Runtime>(&self, env: &Env<R>, _: &mut u32) {
        if self.script == Script::NeverClose {
            let never = Instant::now() + Duration::from_secs(3600);
            env.runtime.sleep_until(never).await;
        }
    }

    fn violations(&self, totals: &Totals) -> Vec<String> {
        match self.script {
            Script::BreakAPromise => vec![format!("{totals:?}")],
            Script::FailToFinish => vec!["broken".to_owned()],
            _ => Vec::new(),
        }
    }

    async fn finish<R: Runtime>(&self, _: &Env<R>, _: &Totals) -> Result<Vec<String>, Failure> {
        match self.script {
            Script::FailToFinish => Err(Failure::new(Failure::RESET, "nobody there")),
            _ => Ok(Vec::new()),
        }
    }

    async fn abandon<R: Runtime>(&self, _: &RoundEnv<R>) {
        let mut noted = NOTED.lock().unwrap_or_else(PoisonError::into_inner);
        noted.push(ABANDONED);
    }
}

async fn shop(parts: &PartRecorder, op: u64) -> Result<(), Failure> {
    let start = parts.start();
    let looked = PartOutcome {
        status: Some(200),
        failure: None,
    };
    parts.end(0, start, looked);
    let buy = async {
        match op % 4 {
            3 => (Some(503), Err(Failure::new(Failure::STATUS, "as told"))),
            _ => (Some(201), Ok(())),
        }
    };
    if op % 2 == 1 {
        parts.time(1, buy).await?;
    }
    Ok(())
}

/// A round to be run.
#[derive(Clone, Copy)]
pub(crate) struct RoundSpec {
    pub(crate) script: Script,
    pub(crate) concurrency: u32,
    pub(crate) warmup_ops: u64,
    pub(crate) stop: Stop,
}

/// Stops after this many operations.
pub(crate) fn ops(number: u64) -> Stop {
    Stop::Ops(NonZeroU64::new(number).expect("at least one"))
}

/// Runs the round under the runtime.
pub(crate) fn round(runtime: &Descriptor, spec: RoundSpec) -> WorkerResult {
    round_of(&plan(runtime, spec))
}

/// Runs the round of a plan that was changed.
pub(crate) fn round_of(plan: &WorkerPlan) -> WorkerResult {
    run_round::<Scripted>(plan)
}

/// The plan of a closed round.
pub(crate) fn plan(runtime: &Descriptor, spec: RoundSpec) -> WorkerPlan {
    WorkerPlan {
        protocol: WORKER_PROTOCOL,
        workload: "scripted".to_owned(),
        params: serde_json::to_value(Params {
            script: spec.script,
        })
        .expect("plain data"),
        unit_ns: 1,
        runtime: runtime.name.to_owned(),
        cpus: Vec::new(),
        worker_threads: WORKER_THREADS.get(),
        load: Load::Closed {
            concurrency: NonZeroU32::new(spec.concurrency).expect("at least one"),
        },
        warmup: ops(spec.warmup_ops),
        stop: spec.stop,
        stages: Vec::new(),
        pacer_cpu: None,
        piped: None,
        lag_probe: false,
        audit: false,
        seed: 1,
        targets: Default::default(),
        work_dir: std::env::temp_dir(),
        directory: Default::default(),
        run: String::new(),
        round: 1,
        shard: None,
    }
}

/// Runs the round under the runtime; it must give a measurement.
pub(crate) fn measure(runtime: &Descriptor, spec: RoundSpec) -> Measurement {
    match round(runtime, spec) {
        WorkerResult::Ok { measurement, .. } => *measurement,
        other => panic!("not measured: {other:?}"),
    }
}

/// Sessions that run when this many are asked for.
pub(crate) fn sessions(runtime: &Descriptor, requested: u32) -> u32 {
    use photofinish_harness::runtime::Capability::Concurrency;
    match runtime.refusal(&[Concurrency]) {
        Some(_) => 1,
        None => requested,
    }
}
