//! The load points of a scenario's cells, and the phases of their rounds.
//!
//! The command line has precedence over the scenario. Rates make a load open, with the scenario's maximum number of
//! sessions, so that sessions do not limit the load.

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use photofinish_record::load::{Arrivals, Load, RateHz, Stage, Stop};
use photofinish_record::schedule::Schedule;

use super::{MAX_ARRIVALS, PlanError, PlanOptions, each_once};
use crate::scenario::Scenario;
use photofinish_workloads::workloads::CLIENT;

/// Maximum length of a quick run's measurement.
const QUICK_DURATION: Duration = Duration::from_millis(200);
/// Maximum length of a quick run's warm-up.
const QUICK_WARMUP: Duration = Duration::from_millis(50);
/// Maximum number of operations in each phase of a quick run.
const QUICK_OPS: NonZeroU64 = NonZeroU64::new(50).unwrap();

/// The loads of a scenario, each once, in the given order.
pub(super) fn loads(scenario: &Scenario, options: &PlanOptions) -> Result<Vec<Load>, PlanError> {
    let open = scenario.load.open.as_ref();
    let rates = options.rates.as_ref().or(open.map(|open| &open.rates));
    if (options.search || rates.is_some()) && scenario.about.targets.contains(&CLIENT) {
        let scenario = scenario.name.clone();
        return Err(PlanError::OpenLoadOfServer { scenario });
    }
    let mut loads = Vec::new();
    match rates {
        _ if options.search => loads.extend(closed(&sessions(scenario, options))),
        None if options.arrivals.is_some() => return Err(PlanError::NoOpenLoad),
        None => {
            let sweep = options.concurrency.as_ref();
            loads.extend(closed(sweep.unwrap_or(&scenario.load.concurrency)));
        }
        Some(rates) => {
            let arrivals = options.arrivals.or(open.map(|open| open.arrivals));
            let arrivals = arrivals.unwrap_or_default();
            let phases = phases(scenario, options);
            for rate_hz in rates {
                check_arrivals(*rate_hz, arrivals, &phases, options.seed)?;
                loads.extend(sessions(scenario, options).into_iter().map(|concurrency| {
                    Load::Open {
                        arrivals,
                        rate_hz: *rate_hz,
                        concurrency,
                    }
                }));
            }
        }
    }
    Ok(each_once(loads))
}

fn closed(points: &[NonZeroU32]) -> impl Iterator<Item = Load> {
    points.iter().map(|concurrency| Load::Closed {
        concurrency: *concurrency,
    })
}

/// Numbers of sessions under open load: as given, or the scenario's maximum if its own load is closed.
fn sessions(scenario: &Scenario, options: &PlanOptions) -> Vec<NonZeroU32> {
    let sweep = &scenario.load.concurrency;
    match (&options.concurrency, &scenario.load.open) {
        (Some(given), _) => given.clone(),
        (None, Some(_)) => sweep.clone(),
        (None, None) => sweep.iter().max().copied().into_iter().collect(),
    }
}

/// Checks that a round has arrivals, and not too many. A constant schedule has one at its start whatever its rate.
fn check_arrivals(
    rate_hz: RateHz,
    arrivals: Arrivals,
    phases: &Phases,
    seed: u64,
) -> Result<(), PlanError> {
    let Stop::DurationNs(duration_ns) = phases.stop else {
        return Ok(());
    };
    let seconds = duration_ns.get() as f64 / 1e9;
    if rate_hz.get() * seconds > MAX_ARRIVALS as f64 {
        let seconds = seconds as u64;
        return Err(PlanError::TooManyArrivals { rate_hz, seconds });
    }
    let (expected, schedule) = if phases.stages.is_empty() {
        let schedule = Schedule::steady(arrivals, rate_hz, phases.stop, seed);
        (rate_hz.get() * seconds, schedule)
    } else {
        let schedule = Schedule::staged(arrivals, rate_hz, &phases.stages, seed);
        let shares = phases
            .stages
            .iter()
            .map(|stage| (stage.from + stage.to) / 2.0 * stage.duration_ns.get() as f64 / 1e9);
        (rate_hz.get() * shares.sum::<f64>(), schedule)
    };
    // Rounding may have taken a little from a single arrival.
    if expected < 0.999 || schedule.due_times().next().is_none() {
        let length = Duration::from_nanos(duration_ns.get());
        return Err(PlanError::NoArrivals { rate_hz, length });
    }
    Ok(())
}

/// The phases of a scenario's rounds.
pub(super) struct Phases {
    pub(super) warmup: Stop,
    pub(super) stop: Stop,
    /// Together as long as `stop`; empty if the rate is constant.
    pub(super) stages: Vec<Stage>,
}

pub(super) fn phases(scenario: &Scenario, options: &PlanOptions) -> Phases {
    let (mut warmup, mut stop) = (scenario.load.warmup, scenario.load.stop);
    if options.quick {
        warmup = shortened(warmup, QUICK_WARMUP);
        stop = shortened(stop, QUICK_DURATION);
    } else if !options.keep_warmup {
        warmup = lengthened(warmup, lanes_warmup(scenario, options));
    }
    let stop = options.duration.map_or(stop, Stop::after);
    let stages = scenario.load.open.as_ref().map(|open| &open.stages);
    Phases {
        warmup,
        stop,
        stages: stages.map_or_else(Vec::new, |stages| scaled(stages, stop)),
    }
}

/// The longest warm-up that a lane with this workload asks for. All runtimes get it, so that they are compared after the same
/// number of seconds.
fn lanes_warmup(scenario: &Scenario, options: &PlanOptions) -> Option<NonZeroU64> {
    let lanes = options.lanes.iter().map(|lane| &lane.description);
    let able = lanes.filter(|lane| lane.workloads.iter().any(|it| it == scenario.about.name));
    able.filter_map(|lane| NonZeroU64::new(lane.min_warmup_ns?))
        .max()
}

/// The warm-up, no shorter than `minimum_ns`. One by count stays as it is: what it counts may be limited.
fn lengthened(warmup: Stop, minimum_ns: Option<NonZeroU64>) -> Stop {
    match (warmup, minimum_ns) {
        (Stop::DurationNs(own_ns), Some(minimum_ns)) => Stop::DurationNs(own_ns.max(minimum_ns)),
        (warmup, _) => warmup,
    }
}

/// The stages in the same proportions, with the total length of `stop`.
fn scaled(stages: &[Stage], stop: Stop) -> Vec<Stage> {
    let Stop::DurationNs(stop_ns) = stop else {
        return Vec::new();
    };
    let total_ns: u64 = stages.iter().map(|stage| stage.duration_ns.get()).sum();
    let factor = stop_ns.get() as f64 / total_ns as f64;
    stages
        .iter()
        .map(|stage| {
            let duration_ns = (stage.duration_ns.get() as f64 * factor).round() as u64;
            Stage {
                duration_ns: NonZeroU64::new(duration_ns).unwrap_or(NonZeroU64::MIN),
                ..*stage
            }
        })
        .collect()
}

fn shortened(stop: Stop, limit: Duration) -> Stop {
    match (stop, Stop::after(limit)) {
        (Stop::DurationNs(stop_ns), Stop::DurationNs(limit_ns)) => {
            Stop::DurationNs(stop_ns.min(limit_ns))
        }
        (Stop::Ops(ops), _) => Stop::Ops(ops.min(QUICK_OPS)),
        (stop, _) => stop,
    }
}
