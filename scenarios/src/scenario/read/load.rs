//! Reads the load of a scenario and checks combinations of its keys.
//!
//! A key without effect is a flaw: arrivals in a closed load, a duration in addition to stages.

use std::num::NonZeroU32;
use std::time::Duration;

use photofinish_record::load::{Stage, Stop};

use super::super::flaw::Flaw;
use super::super::format::{LoadSection, Model, StageSection};
use super::super::{LoadSpec, OpenSpec};
use super::{Reader, path, zero_time};
use photofinish_workloads::quantity::{Ops, Sweep, Time};

const DEFAULT_DURATION: Duration = Duration::from_secs(2);
const DEFAULT_WARMUP: Duration = Duration::from_millis(300);

impl Reader<'_> {
    pub(super) fn load(&mut self, load: &LoadSection) -> LoadSpec {
        if load.duration.is_some_and(|duration| duration.0.is_zero()) {
            self.add(zero_time(path(["load", "duration"])));
        }
        self.exclude(
            load.duration.is_some() && load.ops.is_some(),
            ["duration", "ops"],
        );
        self.exclude(
            load.warmup.is_some() && load.warmup_ops.is_some(),
            ["warmup", "warmup_ops"],
        );
        let open = self.open(load);
        let stages_stop = open.as_ref().and_then(|open| total(&open.stages));
        LoadSpec {
            concurrency: match &load.concurrency {
                Some(Sweep(points)) => points.iter().map(|point| point.0).collect(),
                None => vec![NonZeroU32::MIN],
            },
            open,
            warmup: stop(load.warmup_ops, load.warmup, DEFAULT_WARMUP),
            stop: stages_stop.unwrap_or_else(|| stop(load.ops, load.duration, DEFAULT_DURATION)),
        }
    }

    fn open(&mut self, load: &LoadSection) -> Option<OpenSpec> {
        let is_open = load
            .model
            .map_or(load.rate.is_some(), |model| model == Model::Open);
        if !is_open {
            self.only_open("rate", load.rate.is_some());
            self.only_open("arrivals", load.arrivals.is_some());
            self.only_open("stages", load.stages.is_some());
            return None;
        }
        let Some(Sweep(rates)) = &load.rate else {
            self.add(Flaw::wrong(
                path(["load", "model"]),
                "open load without a rate",
                "add `rate`, in arrivals per second",
            ));
            return None;
        };
        self.exclude(
            load.stages.is_some() && load.duration.is_some(),
            ["stages", "duration"],
        );
        self.exclude(
            load.stages.is_some() && load.ops.is_some(),
            ["stages", "ops"],
        );
        Some(OpenSpec {
            rates: rates.iter().map(|rate| rate.0).collect(),
            arrivals: load.arrivals.unwrap_or_default(),
            stages: self.stages(load.stages.as_deref()),
        })
    }

    fn only_open(&mut self, key: &str, given: bool) {
        if given {
            let message = format!("`{key}` is for open loads");
            self.add(Flaw::wrong(path(["load", key]), message, "this load is closed").at_key());
        }
    }

    fn stages(&mut self, sections: Option<&[StageSection]>) -> Vec<Stage> {
        let mut stages = Vec::new();
        for (index, section) in sections.unwrap_or_default().iter().enumerate() {
            let length = Stop::after(section.duration.0);
            let (false, Stop::DurationNs(duration_ns)) = (section.duration.0.is_zero(), length)
            else {
                let path = path(["load", "stages", &index.to_string(), "duration"]);
                self.add(zero_time(path));
                continue;
            };
            stages.push(Stage {
                duration_ns,
                from: section.from.0,
                to: section.to.unwrap_or(section.from).0,
            });
        }
        let peak = stages.iter().map(|stage| stage.from.max(stage.to));
        let all_valid = stages.len() == sections.map_or(0, <[_]>::len);
        if sections.is_some() && all_valid && peak.fold(0.0, f64::max) <= 0.0 {
            self.add(Flaw::wrong(
                path(["load", "stages"]),
                "stages without arrivals",
                "expected at least one stage with `from` or `to` above 0",
            ));
        }
        stages
    }

    fn exclude(&mut self, both: bool, [one, other]: [&str; 2]) {
        if both {
            let message = format!("`{one}` and `{other}` exclude each other");
            let path = path(["load", other]);
            self.add(Flaw::wrong(path, message, "keep one of the two").at_key());
        }
    }
}

fn stop(ops: Option<Ops>, time: Option<Time>, default: Duration) -> Stop {
    match ops {
        Some(Ops(ops)) => Stop::Ops(ops),
        None => Stop::after(time.map_or(default, |time| time.0)),
    }
}

/// The stop rule after all stages; `None` without any.
fn total(stages: &[Stage]) -> Option<Stop> {
    let lengths = stages.iter().map(|stage| stage.duration_ns.get());
    let total_ns = lengths.reduce(u64::saturating_add)?;
    Some(Stop::after(Duration::from_nanos(total_ns)))
}
