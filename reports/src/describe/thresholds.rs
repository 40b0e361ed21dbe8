//! Thresholds in words: the value, what it must be, the number of rounds on either side, and the verdict.

use photofinish_record::Requirement;

use super::{first_and_more, requirement_of, share_or_value};
use crate::metrics::short_name;
use crate::thresholds::check::{ThresholdCheck, ThresholdVerdict};

/// A threshold's metric, after the part of the operation that it is about: `log in service_p99`.
pub fn threshold_metric(check: &ThresholdCheck) -> String {
    let metric = short_name(&check.metric);
    match &check.part {
        Some(part) => format!("{part} {metric}"),
        None => metric,
    }
}

/// A threshold within its scenario: `tokio · closed, 16 in flight · service_p99`.
pub fn threshold_subject(check: &ThresholdCheck) -> String {
    let metric = threshold_metric(check);
    format!("{} · {} · {metric}", check.runtime, check.load)
}

/// The finding in one line: `is 80.0ms, expected < 50.0ms (missed in 9 of 10 rounds)`, or the reason that there is none.
pub fn threshold_finding(check: &ThresholdCheck) -> String {
    let value = match check.value {
        Some(value) => format!("is {}", threshold_value(check, value)),
        None => "is not known".to_owned(),
    };
    let reason = match &check.reason {
        Some(reason) => format!(": {reason}"),
        None => format!(
            " (missed in {} of {} rounds)",
            check.rounds_missed, check.rounds
        ),
    };
    format!("{value}, expected {}{reason}", threshold_requirement(check))
}

/// The thresholds that are not met, in one sentence; `None` if all are met.
pub fn thresholds_not_met(checks: &[ThresholdCheck]) -> Option<String> {
    let with = |verdict| checks.iter().filter(move |check| check.verdict == verdict);
    let first = |verdict, phrase: &str| {
        let first = with(verdict).next()?;
        let count = with(verdict).count();
        let finding = format!(
            "{} / {} ({}): {} {}",
            first.scenario,
            first.runtime,
            first.load,
            threshold_metric(first),
            threshold_finding(first)
        );
        Some(format!(
            "{count} of {} {phrase}: {}",
            super::plural(checks.len(), "threshold"),
            first_and_more(&finding, count - 1)
        ))
    };
    first(ThresholdVerdict::Missed, "missed")
        .or_else(|| first(ThresholdVerdict::CannotTell, "cannot be told"))
}

/// The requirement on a value: `< 50.0ms`, `> 900`, `<= 0.1%`, `none`.
pub fn threshold_requirement(check: &ThresholdCheck) -> String {
    match check.requirement {
        Requirement::Errors { most } if most <= 0.0 => "none".to_owned(),
        requirement => requirement_of(requirement, &check.metric, &check.unit),
    }
}

fn threshold_value(check: &ThresholdCheck, value: f64) -> String {
    share_or_value(&check.metric, value, &check.unit)
}

/// A column of the table of thresholds.
#[derive(Clone, Copy, Debug)]
pub struct ThresholdColumn {
    pub heading: &'static str,
    /// Order in which columns are dropped if there is no room for all: 0 is dropped last.
    pub rank: u8,
    pub text: fn(&ThresholdCheck) -> String,
}

/// The columns of the table of thresholds, after their names.
pub const THRESHOLD_COLUMNS: [ThresholdColumn; 5] = {
    const fn column(
        heading: &'static str,
        rank: u8,
        text: fn(&ThresholdCheck) -> String,
    ) -> ThresholdColumn {
        ThresholdColumn {
            heading,
            rank,
            text,
        }
    }
    [
        column("median", 1, |check| {
            let value = check.value.map(|value| threshold_value(check, value));
            value.unwrap_or_else(|| "n/a".to_owned())
        }),
        column("interval", 4, |check| {
            let interval = check.interval.map(|interval| {
                let print = |value| threshold_value(check, value);
                crate::units::interval(interval.low, interval.high, print)
            });
            interval.unwrap_or_default()
        }),
        column("must be", 2, threshold_requirement),
        column("rounds met", 3, |check| {
            format!("{} of {}", check.rounds_met, check.rounds)
        }),
        column("verdict", 0, |check| check.verdict.name().to_owned()),
    ]
};
