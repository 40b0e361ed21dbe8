//! Feeds that are read once: they must have enough rows for both phases of a round, if the number of operations is
//! known in advance.

use std::collections::BTreeMap;
use std::time::Duration;

use photofinish_record::load::{Load, Stop};
use photofinish_record::schedule::Schedule;
use photofinish_record::{Plan, PlannedScenario};
use serde::Deserialize;

use super::loads::{Phases, phases};
use super::{PlanError, PlanOptions};
use crate::scenario::Scenario;
use photofinish_workloads::data::{FeedOrder, FeedSpec};

/// Checks every feed of a scenario under all of its loads.
pub(super) fn check(
    scenario: &Scenario,
    options: &PlanOptions,
    loads: &[Load],
) -> Result<(), PlanError> {
    let feeds = BTreeMap::<String, FeedSpec>::deserialize(&scenario.params["feed"]);
    let phases = phases(scenario, options);
    for (feed, spec) in feeds.unwrap_or_default() {
        if spec.order != FeedOrder::Once {
            continue;
        }
        let checked = if options.search {
            Err("expected another order than `once` for a search, which has no fixed number of operations".to_owned())
        } else {
            let needed = loads
                .iter()
                .map(|load| ops(*load, &phases, options.seed, spec.rows));
            spec.check_rows(phases.warmup, needed.max().unwrap_or(1))
        };
        checked.map_err(|message| PlanError::ShortFeed {
            scenario: scenario.name.clone(),
            feed,
            message,
        })?;
    }
    Ok(())
}

/// A sentence for each feed with the order `once` that may run out of rows and end rounds early, under a closed load.
pub fn early_ends(plan: &Plan) -> Vec<String> {
    let is_closed = |scenario: &PlannedScenario| {
        let mut cells = plan.cells.iter();
        cells.any(|cell| cell.scenario == scenario.name && matches!(cell.load, Load::Closed { .. }))
    };
    let mut all = Vec::new();
    for scenario in plan.scenarios.iter().filter(|it| is_closed(it)) {
        let Stop::DurationNs(duration_ns) = scenario.stop else {
            continue;
        };
        let feeds = BTreeMap::<String, FeedSpec>::deserialize(&scenario.params["feed"]);
        let feeds = feeds.unwrap_or_default().into_iter();
        all.extend(feeds.filter(|(_, spec)| spec.order == FeedOrder::Once).map(|(feed, spec)| {
            format!(
                "{}: a round ends after {} operations, when the feed `{feed}` (order `once`) has no more rows, if that is before \
                 its {:?}",
                scenario.name,
                spec.rows - spec.warmup_rows(scenario.warmup),
                Duration::from_nanos(duration_ns.get()),
            )
        }));
    }
    all
}

/// Arrivals are counted up to this number at least, so that the error of a short file tells how many rows it lacks.
const MOST_COUNTED: u64 = 10_000_000;

/// Operations of the measurement, counted beyond `most` at most by one or up to `MOST_COUNTED`; 1 if only time ends it.
fn ops(load: Load, phases: &Phases, seed: u64, most: u64) -> u64 {
    match (phases.stop, load) {
        (Stop::Ops(ops), _) => ops.get(),
        (
            stop,
            Load::Open {
                arrivals, rate_hz, ..
            },
        ) => {
            let schedule = if phases.stages.is_empty() {
                Schedule::steady(arrivals, rate_hz, stop, seed)
            } else {
                Schedule::staged(arrivals, rate_hz, &phases.stages, seed)
            };
            let most = most.max(MOST_COUNTED) as usize + 1;
            schedule.due_times().take(most).count() as u64
        }
        (_, Load::Closed { .. }) => 1,
    }
}
