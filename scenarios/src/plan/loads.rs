//! The load points of a scenario's cells, and how long their rounds last.
//!
//! What the command line says goes before what the scenario says. Rates make a load an open one; its sessions are then
//! the most that the scenario has, so that they are not what limits it. Which runtimes meet which loads is in `plan`.

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use photofinish_record::load::{Load, RateHz, Stage, Stop};

use super::{PlanError, PlanOptions};
use crate::scenario::Scenario;
use crate::workloads::CLIENT;

/// The longest measurement of a quick run.
const QUICK_DURATION: Duration = Duration::from_millis(200);
/// The longest warm-up of a quick run.
const QUICK_WARMUP: Duration = Duration::from_millis(50);
/// The most operations of a quick run's measurement and warm-up.
const QUICK_OPS: NonZeroU64 = NonZeroU64::new(50).unwrap();

/// The most arrivals in a round: a billion would take longer to count than anybody waits.
pub(super) const MOST_ARRIVALS: u64 = 1_000_000_000;

/// The loads of a scenario, each once, in the order asked.
pub(super) fn loads(scenario: &Scenario, options: &PlanOptions) -> Result<Vec<Load>, PlanError> {
    let asks_for_rates = options.search || options.rates.is_some() || scenario.load.open.is_some();
    if asks_for_rates && scenario.about.targets.contains(&CLIENT) {
        let scenario = scenario.name.clone();
        return Err(PlanError::AskedByItsClient { scenario });
    }
    if options.search {
        let closed = |concurrency| Load::Closed { concurrency };
        return Ok(once(sessions(scenario, options).into_iter().map(closed)));
    }
    let open = scenario.load.open.as_ref();
    let rates = options.rates.clone().or_else(|| Some(open?.rates.clone()));
    let Some(rates) = rates else {
        if options.arrivals.is_some() {
            return Err(PlanError::NothingOpen);
        }
        let closed = |concurrency| Load::Closed { concurrency };
        let points = options.concurrency.as_ref();
        let points = points.unwrap_or(&scenario.load.concurrency);
        return Ok(once(points.iter().copied().map(closed)));
    };
    let arrivals = options.arrivals.or_else(|| Some(open?.arrivals));
    let sessions = sessions(scenario, options);
    let at = |rate_hz, concurrency| Load::Open {
        arrivals: arrivals.unwrap_or_default(),
        rate_hz,
        concurrency,
    };
    let stop = phases(scenario, options).stop;
    for rate_hz in &rates {
        check_arrivals(*rate_hz, stop)?;
    }
    let with_rate = |rate| sessions.iter().map(move |sessions| at(rate, *sessions));
    Ok(once(rates.iter().flat_map(|rate| with_rate(*rate))))
}

/// Sessions for the arrivals: as asked, or as many as the scenario knows.
fn sessions(scenario: &Scenario, options: &PlanOptions) -> Vec<NonZeroU32> {
    if let Some(asked) = &options.concurrency {
        return asked.clone();
    }
    let sweep = &scenario.load.concurrency;
    match scenario.load.open {
        Some(_) => sweep.clone(),
        None => sweep.iter().max().copied().into_iter().collect(),
    }
}

fn check_arrivals(rate_hz: RateHz, stop: Stop) -> Result<(), PlanError> {
    let Stop::DurationNs(duration_ns) = stop else {
        return Ok(());
    };
    let seconds = duration_ns.get() as f64 / 1e9;
    if rate_hz.get() * seconds <= MOST_ARRIVALS as f64 {
        return Ok(());
    }
    Err(PlanError::TooManyArrivals {
        rate_hz,
        seconds: seconds as u64,
    })
}

fn once(loads: impl Iterator<Item = Load>) -> Vec<Load> {
    let mut all = Vec::new();
    for load in loads {
        if !all.contains(&load) {
            all.push(load);
        }
    }
    all
}

/// How long the rounds of a scenario last.
pub(super) struct Phases {
    pub(super) warmup: Stop,
    pub(super) stop: Stop,
    /// Together as long as `stop`; empty where the rate stays.
    pub(super) stages: Vec<Stage>,
}

/// Warm-up, stop rule and stages of a scenario's rounds.
pub(super) fn phases(scenario: &Scenario, options: &PlanOptions) -> Phases {
    let (warmup, stop) = (scenario.load.warmup, scenario.load.stop);
    let (warmup, stop) = match options.quick {
        true => (
            shortened(warmup, QUICK_WARMUP),
            shortened(stop, QUICK_DURATION),
        ),
        false => (warmup, stop),
    };
    let stop = options.duration.map_or(stop, Stop::after);
    let stages = scenario.load.open.as_ref().map(|open| &open.stages);
    Phases {
        warmup,
        stop,
        stages: stages.map_or_else(Vec::new, |stages| stretched(stages, stop)),
    }
}

/// The stages in the same proportions, over the whole of `stop`.
fn stretched(stages: &[Stage], stop: Stop) -> Vec<Stage> {
    let total_ns: u64 = stages.iter().map(|stage| stage.duration_ns.get()).sum();
    let Stop::DurationNs(asked_ns) = stop else {
        return Vec::new();
    };
    let share = asked_ns.get() as f64 / total_ns as f64;
    let stretch = |stage: &Stage| {
        let duration_ns = (stage.duration_ns.get() as f64 * share).round() as u64;
        Stage {
            duration_ns: NonZeroU64::new(duration_ns).unwrap_or(NonZeroU64::MIN),
            ..*stage
        }
    };
    stages.iter().map(stretch).collect()
}

fn shortened(stop: Stop, most: Duration) -> Stop {
    match (stop, Stop::after(most)) {
        (Stop::DurationNs(asked_ns), Stop::DurationNs(most_ns)) => {
            Stop::DurationNs(asked_ns.min(most_ns))
        }
        (Stop::Ops(ops), _) => Stop::Ops(ops.min(QUICK_OPS)),
        (asked, _) => asked,
    }
}
