//! Conditions: a metric's name and a text such as `< 20ms`, read in the metric's unit.
//!
//! The limits of a gate, the thresholds of a run and the objective of a search share one syntax, parsed here. A
//! metric is named with or without its unit (`response_p99`, `response_p99.5`, `cpu_per_op`, `throughput`); `errors`,
//! `retries` and `reconnects` are shares of operations. A text that no measurement could meet or break is rejected.

use std::borrow::Cow;

use photofinish_record::Requirement;

use crate::metrics::{self, Better, METRICS, Metric, part_and_metric, short_name};
use crate::units;

/// The share of failed operations.
pub const ERRORS: &str = "errors";
/// Repeated requests or transactions, as a share of operations.
pub const RETRIES: &str = "retries";
/// Keep-alive connections that were closed by the server and opened again, as a share of operations.
pub const RECONNECTS: &str = "reconnects";

/// The longest time that a histogram holds, in ns.
const LONGEST_NS: f64 = 60e9;

/// Prefixes of metrics that belong to the tool itself or are given by the load.
const NOT_REQUIRED: [&str; 4] = ["overhead_", "pacing_error_", "offered_", "achieved_"];

const SIZES: [(&str, f64); 8] = [
    ("KiB", 1024.0),
    ("MiB", 1024.0 * 1024.0),
    ("GiB", 1024.0 * 1024.0 * 1024.0),
    ("kB", 1e3),
    ("KB", 1e3),
    ("MB", 1e6),
    ("GB", 1e9),
    ("B", 1.0),
];
const NUMBERS: [(&str, f64); 6] = [
    ("k/s", 1e3),
    ("M/s", 1e6),
    ("/s", 1.0),
    ("k", 1e3),
    ("M", 1e6),
    ("", 1.0),
];

/// A text that is not a condition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConditionError {
    #[error("there is no metric `{name}` to limit")]
    UnknownMetric {
        name: String,
        /// The valid names, without their units.
        known: Vec<String>,
    },
    #[error("expected {expected} for {metric}, got `{text}`")]
    Syntax {
        text: String,
        metric: String,
        expected: String,
    },
    #[error("`{text}` could never fail for {metric}: {why}")]
    NeverFails {
        text: String,
        metric: String,
        why: String,
    },
    #[error("`{text}` could never be met for {metric}: nothing measured is below zero")]
    NeverMet { text: String, metric: String },
}

/// The metrics that can be limited, each with the direction that is better.
fn listed() -> impl Iterator<Item = (&'static Metric, Better)> {
    METRICS
        .iter()
        .filter_map(|metric| Some((metric, direction(metric)?)))
}

/// The direction in which a metric is better; `None` if there is none.
fn direction(metric: &Metric) -> Option<Better> {
    if NOT_REQUIRED
        .iter()
        .any(|beginning| metric.name.starts_with(beginning))
    {
        return None;
    }
    match (metric.compared, metric.unit) {
        (Some(compared), _) => Some(compared.better),
        (None, "ops/s") => Some(Better::Higher),
        (None, "ns" | "bytes") => Some(Better::Lower),
        (None, unit) => unit.ends_with("/op").then_some(Better::Lower),
    }
}

/// The names of the metrics that can be limited, as users write them.
pub fn names() -> Vec<String> {
    listed()
        .map(|(metric, _)| short_name(&metric.name))
        .collect()
}

/// The metric with that name, given with or without its unit.
pub fn find(name: &str) -> Option<(Cow<'static, Metric>, Better)> {
    let metric = metrics::by_name(name)?;
    let better = direction(&metric)?;
    Some((metric, better))
}

/// True if two names, with or without unit, mean the same metric.
pub fn same_metric(a: &str, b: &str) -> bool {
    let full = |name: &str| match find(name) {
        Some((metric, _)) => Some(metric.name.to_string()),
        None => errors_name(name),
    };
    a == b || full(a).is_some_and(|name| Some(name) == full(b))
}

/// The full name of the share of failed operations, or failed runs of a part: `errors`, `request.NAME.errors`.
pub fn errors_name(name: &str) -> Option<String> {
    match part_and_metric(name) {
        (None, ERRORS) => Some(ERRORS.to_owned()),
        (Some(part), ERRORS) => Some(format!("request.{part}.{ERRORS}")),
        _ => None,
    }
}

/// A name and a text from one line: `response_p99 < 50ms`, `retries = 0`; a sign of comparison stays with the text.
pub fn split(line: &str) -> Option<(&str, &str)> {
    let sign = line.find(['<', '>', '='])?;
    let (name, text) = line.split_at(sign);
    let text = text.strip_prefix('=').unwrap_or(text);
    Some((name.trim(), text.trim()))
}

/// Parses an objective such as `< 20ms` for a metric that should be lower, `> 900/s` for one that should be higher.
pub fn objective(metric: &Metric, better: Better, text: &str) -> Option<Requirement> {
    let (sign, rest) = text.split_at_checked(1)?;
    let value = quantity(rest.trim_start_matches('=').trim(), metric.unit)?;
    match (sign, better) {
        ("<", Better::Lower) => Some(Requirement::Below { value }),
        (">", Better::Higher) => Some(Requirement::Above { value }),
        _ => None,
    }
}

/// Parses a limit on a share of operations: `0`, `0.1%`, `<= 0.1%`, `< 0.1%`.
pub fn share(text: &str) -> Option<Requirement> {
    let most = |text: &str| match text.trim() {
        "0" => Some(0.0),
        share => percent(share),
    };
    match (text.strip_prefix("<="), text.strip_prefix('<')) {
        (None, Some(share)) => Some(Requirement::Below {
            value: most(share)?,
        }),
        (share, _) => Some(Requirement::Errors {
            most: most(share.unwrap_or(text))?,
        }),
    }
}

/// Parses `5%` as a share; `None` for anything else, and for negative values.
pub fn percent(text: &str) -> Option<f64> {
    let number: f64 = text.strip_suffix('%')?.trim().parse().ok()?;
    (number.is_finite() && number >= 0.0).then_some(number / 100.0)
}

/// Parses `20ms`, `200MiB`, `10k` in the metric's unit.
fn quantity(text: &str, unit: &str) -> Option<f64> {
    let units: &[(&str, f64)] = match unit {
        "bytes" => &SIZES,
        unit if unit == "ns" || unit == "ns/op" => &units::TIMES,
        _ => &NUMBERS,
    };
    let read = |(name, factor): &(&str, f64)| {
        let number: f64 = text.strip_suffix(name)?.trim().parse().ok()?;
        (number.is_finite() && number >= 0.0).then_some(number * factor)
    };
    units.iter().find_map(read)
}

/// An objective for a metric, in words: `an objective such as "< 20ms"`.
pub fn expected_objective(found: Option<(&Metric, Better)>) -> String {
    let (sign, example) = match found {
        None => return "\"0\", or a share of all operations such as \"0.1%\"".to_owned(),
        Some((_, Better::Higher)) => (">", "10k"),
        Some((metric, Better::Lower)) => match metric.unit {
            "bytes" => ("<", "200MiB"),
            unit if unit.starts_with("ns") => ("<", "20ms"),
            _ => ("<", "10"),
        },
    };
    format!("an objective such as \"{sign} {example}\"")
}

/// True if a value meets a requirement of its own; a slowdown needs another value to compare with.
pub fn holds(requirement: Requirement, value: f64) -> bool {
    match requirement {
        Requirement::Below { value: limit } => value < limit,
        Requirement::Above { value: limit } => value > limit,
        Requirement::Errors { most } => value <= most,
        Requirement::Slowdown { .. } => false,
    }
}

/// True if the metric of that name is a share of operations.
pub fn is_share(name: &str) -> bool {
    let (_, metric) = part_and_metric(name);
    [ERRORS, RETRIES, RECONNECTS].contains(&metric)
}

/// Rejects a requirement of the metric `name`, with this unit (`None` of a share), that no measurement could break or meet.
pub fn decides(
    name: &str,
    text: &str,
    unit: Option<&str>,
    requirement: Requirement,
) -> Result<(), ConditionError> {
    if let Requirement::Below { value } = requirement
        && value <= 0.0
    {
        return Err(ConditionError::NeverMet {
            text: text.to_owned(),
            metric: name.to_owned(),
        });
    }
    match never_fails(name, unit, requirement) {
        None => Ok(()),
        Some(why) => Err(ConditionError::NeverFails {
            text: text.to_owned(),
            metric: name.to_owned(),
            why: why.to_owned(),
        }),
    }
}

/// The reason that no measurement could break a requirement.
fn never_fails(name: &str, unit: Option<&str>, requirement: Requirement) -> Option<&'static str> {
    let is_errors = errors_name(name).is_some();
    match requirement {
        Requirement::Errors { most } if most >= 1.0 && is_errors => {
            Some("no more than all operations can fail")
        }
        Requirement::Below { value } if value > 1.0 && is_errors => {
            Some("no more than all operations can fail")
        }
        Requirement::Above { value } if value <= 0.0 => Some("everything measured is above it"),
        Requirement::Below { value } if unit == Some("ns") && value >= LONGEST_NS => {
            Some("no operation is timed beyond 60 s")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_line_is_a_name_and_a_value() {
        let check = |line, expected| assert_eq!(split(line), expected, "{line}");
        check("response_p99 < 50ms", Some(("response_p99", "< 50ms")));
        check("throughput>=900/s", Some(("throughput", ">=900/s")));
        check("retries = 0", Some(("retries", "0")));
        check("errors<=1%", Some(("errors", "<=1%")));
        check("response_p99 50ms", None);
    }

    #[test]
    fn every_percentile_has_a_metric_and_a_listed_one_keeps_its_name() {
        let check = |name: &str, expected: Option<&str>| {
            let found = find(name).map(|(metric, _)| metric.name.to_string());
            assert_eq!(found.as_deref(), expected, "{name}");
        };
        check("response_p99.5", Some("response_p99.5_ns"));
        check("service_p95_ns", Some("service_p95_ns"));
        check("service_p99.9", Some("service_p999_ns"));
        check("response_p999", Some("response_p999_ns"));
        check("response_p50.0", Some("response_p50_ns"));
        check("service_max", Some("service_max_ns"));
        for wrong in [
            "response_p100",
            "response_p0",
            "response_p1e1",
            "response_p",
            "overhead_p99",
            "pacing_error_p99",
            "response_mean",
        ] {
            check(wrong, None);
        }
    }

    #[test]
    fn a_share_has_an_inclusive_or_exclusive_limit() {
        let check = |text, expected| assert_eq!(share(text), expected, "{text}");
        check("0", Some(Requirement::Errors { most: 0.0 }));
        check("1%", Some(Requirement::Errors { most: 0.01 }));
        check("<= 1 %", Some(Requirement::Errors { most: 0.01 }));
        check("< 1%", Some(Requirement::Below { value: 0.01 }));
        check("> 0", None);
        check("5", None);
    }

    #[test]
    fn names_of_the_same_metric_are_recognized() {
        assert!(same_metric("service_p99", "service_p99_ns"));
        let [quoted, plain] = ["request.\"log in\".errors", "transaction.log in.errors"];
        assert!(same_metric(quoted, plain));
        assert!(!same_metric(quoted, "errors"));
        assert!(!same_metric(quoted, "request.buy.errors"));
    }

    #[test]
    fn every_name_that_is_offered_is_understood() {
        for name in names() {
            assert!(find(&name).is_some(), "{name}");
        }
        assert!(find("overhead_ns_per_op").is_none());
    }
}
