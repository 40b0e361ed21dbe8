//! The terms of a gate: texts such as `5%` or `< 20ms` as requirements of a metric.
//!
//! A metric is named with or without its unit (`response_p99`, `cpu_per_op`, `peak_rss`, `throughput`). A percentage
//! limits the slowdown, a comparison is an objective for the head's own value, and `errors` is a share of all
//! operations. Terms that no measurement could break are rejected: a gate that cannot fail protects nothing.

use photofinish_record::load::Load;
use photofinish_record::{Plan, Requirement};

use crate::metrics::{Better, METRICS, Metric, short_name};
use crate::rule::Rule;
use crate::units;

/// The name of the term for failed operations.
pub const ERRORS: &str = "errors";

/// The longest time that a histogram holds, in ns.
const LONGEST_NS: f64 = 60e9;

/// Prefixes of metrics that belong to the tool itself or are given by the load.
const NOT_GATED: [&str; 4] = ["overhead_", "pacing_error_", "offered_", "achieved_"];

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
const NUMBERS: [(&str, f64); 4] = [("k", 1e3), ("M", 1e6), ("/s", 1.0), ("", 1.0)];

/// A term without its scenario.
#[derive(Clone, Debug, PartialEq)]
pub struct Term {
    /// The metric's full name, or [`ERRORS`].
    pub metric: String,
    pub requirement: Requirement,
}

/// A text that is not a term.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TermError {
    #[error("there is no metric `{name}` to gate")]
    UnknownMetric {
        name: String,
        /// The valid names, without their units.
        known: Vec<String>,
    },
    #[error("expected {expected} for {metric}, got `{text}`")]
    NoRequirement {
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
}

/// The metrics that can be gated, with their better directions.
fn gated() -> impl Iterator<Item = (&'static Metric, Better)> {
    METRICS
        .iter()
        .filter_map(|metric| Some((metric, direction(metric)?)))
}

/// The better direction of a metric; `None` if it has none.
fn direction(metric: &Metric) -> Option<Better> {
    if NOT_GATED
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

/// The names of the metrics that can be gated, as users write them.
pub fn names() -> Vec<String> {
    let metrics = gated().map(|(metric, _)| short_name(&metric.name));
    metrics.chain([ERRORS.to_owned()]).collect()
}

/// The metric of that name, with or without its unit.
pub fn find(name: &str) -> Option<(&'static Metric, Better)> {
    gated().find(|(metric, _)| metric.name == name || short_name(&metric.name) == name)
}

/// Parses the requirement of the metric called `name`.
pub fn parse(name: &str, text: &str) -> Result<Term, TermError> {
    let (name, text) = (name.trim(), text.trim());
    let gated = find(name);
    let (full_name, requirement) = match gated {
        Some((metric, better)) => (&*metric.name, requirement(metric, better, text)),
        None if name == ERRORS => (ERRORS, errors(text)),
        None => {
            return Err(TermError::UnknownMetric {
                name: name.to_owned(),
                known: names(),
            });
        }
    };
    let requirement = requirement.ok_or_else(|| TermError::NoRequirement {
        text: text.to_owned(),
        metric: name.to_owned(),
        expected: expected(gated),
    })?;
    match never_fails(gated.map(|(metric, _)| metric.unit), requirement) {
        None => Ok(Term {
            metric: full_name.to_owned(),
            requirement,
        }),
        Some(why) => Err(TermError::NeverFails {
            text: text.to_owned(),
            metric: name.to_owned(),
            why: why.to_owned(),
        }),
    }
}

fn expected(gated: Option<(&Metric, Better)>) -> String {
    let (sign, example) = match gated {
        None => return "\"0\", or a share of all operations such as \"0.1%\"".to_owned(),
        Some((_, Better::Higher)) => (">", "10k"),
        Some((metric, Better::Lower)) => match metric.unit {
            "bytes" => ("<", "200MiB"),
            unit if unit.starts_with("ns") => ("<", "20ms"),
            _ => ("<", "10"),
        },
    };
    format!("a limit of the slowdown such as \"5%\", or an objective such as \"{sign} {example}\"")
}

fn errors(text: &str) -> Option<Requirement> {
    let most = match text.trim_start_matches("<=").trim() {
        "0" => 0.0,
        share => percent(share)?,
    };
    Some(Requirement::Errors { most })
}

fn requirement(metric: &Metric, better: Better, text: &str) -> Option<Requirement> {
    if let Some(limit) = percent(text).filter(|limit| *limit > 0.0) {
        return Some(Requirement::Slowdown { limit });
    }
    let (sign, rest) = text.split_at_checked(1)?;
    let value = quantity(rest.trim_start_matches('=').trim(), metric.unit)?;
    match (sign, better) {
        ("<", Better::Lower) => Some(Requirement::Below { value }),
        (">", Better::Higher) => Some(Requirement::Above { value }),
        _ => None,
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

/// The reason that no measurement could break a requirement of a metric with this unit.
fn never_fails(unit: Option<&str>, requirement: Requirement) -> Option<&'static str> {
    match requirement {
        Requirement::Errors { most } if most >= 1.0 => Some("no more than all operations can fail"),
        Requirement::Above { value } if value <= 0.0 => Some("everything measured is above it"),
        Requirement::Below { value } if unit == Some("ns") && value >= LONGEST_NS => {
            Some("no operation is timed beyond 60 s")
        }
        _ => None,
    }
}

/// The reason that the gate of this plan could never fail, whatever is measured; `None` if it can.
pub fn toothless(plan: &Plan) -> Option<String> {
    let Some(gate) = &plan.gate else {
        return Some("the run has no arms, so it is not a gate".to_owned());
    };
    if gate.terms.is_empty() {
        return Some("it has no terms: nothing is required of any metric".to_owned());
    }
    let cells = || plan.cells.iter().filter(|cell| cell.unsupported.is_none());
    if cells().next().is_none() {
        return Some("none of its runtimes can run its scenarios".to_owned());
    }
    let rule = Rule::of_gate(gate.tolerance, &plan.looks);
    let most = plan.looks.last().copied().unwrap_or(0);
    if most < rule.fewest_pairs() {
        return Some(format!(
            "with at most {most} pairs no regression can be told from chance; it takes {}",
            rule.fewest_pairs()
        ));
    }
    gate.terms.iter().find_map(|term| {
        let own = cells().filter(|cell| cell.scenario == term.scenario);
        let known = own
            .clone()
            .any(|cell| exists_under(&term.metric, cell.load));
        match (own.count(), known) {
            (0, _) => Some(format!(
                "none of its runtimes can run the scenario `{}`",
                term.scenario
            )),
            (_, false) => Some(format!(
                "`{}` does not exist under the load of `{}`: only open loads have response times and lag",
                short_name(&term.metric),
                term.scenario
            )),
            _ => None,
        }
    })
}

fn exists_under(name: &str, load: Load) -> bool {
    let open = name.starts_with("response_") || name.starts_with("lag_");
    !open || matches!(load, Load::Open { .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, text: &str, metric: &str, requirement: Requirement) {
        let expected = Term {
            metric: metric.to_owned(),
            requirement,
        };
        assert_eq!(parse(name, text), Ok(expected), "{name} {text}");
    }

    #[test]
    fn limits_and_objectives_are_read_in_the_metrics_unit() {
        let limit = |limit| Requirement::Slowdown { limit };
        check("throughput", "5%", "throughput_ops_s", limit(0.05));
        check("cpu_per_op", " 2.5 %", "cpu_ns_per_op", limit(0.025));
        check("peak_rss_bytes", "10%", "peak_rss_bytes", limit(0.1));
        let below = |value| Requirement::Below { value };
        check("response_p99", "< 20ms", "response_p99_ns", below(20e6));
        check(
            "service_p50_ns",
            "<= 1.5us",
            "service_p50_ns",
            below(1500.0),
        );
        check("peak_rss", "<64MiB", "peak_rss_bytes", below(67_108_864.0));
        check("cpu_per_op", "< 10us", "cpu_ns_per_op", below(10_000.0));
        let above = Requirement::Above { value: 10_000.0 };
        check("throughput", "> 10k", "throughput_ops_s", above);
        check("errors", "0", "errors", Requirement::Errors { most: 0.0 });
        check("errors", "1%", "errors", Requirement::Errors { most: 0.01 });
    }

    #[test]
    fn what_is_no_term_or_could_never_fail_is_refused() {
        let check = |name: &str, texts: &[&str], expected: fn(&TermError) -> bool| {
            for text in texts {
                let error = parse(name, text).expect_err(text);
                assert!(expected(&error), "{name} {text}: {error}");
            }
        };
        let no_term = |error: &TermError| matches!(error, TermError::NoRequirement { .. });
        check("throughput", &["< 5k", "5", "-5%", "0%"], no_term);
        check("response_p99", &["> 20ms", "< 20", "< soon", ""], no_term);
        check("peak_rss", &["< 20ms"], no_term);
        check("errors", &["many", "< 5"], no_term);
        let never_fails = |error: &TermError| matches!(error, TermError::NeverFails { .. });
        check("throughput", &["> 0"], never_fails);
        check("response_p99", &["< 60s"], never_fails);
        check("errors", &["100%"], never_fails);
        let unknown = |error: &TermError| matches!(error, TermError::UnknownMetric { .. });
        check("through_put", &["5%"], unknown);
    }

    #[test]
    fn every_name_that_is_offered_is_understood() {
        for name in names() {
            let found = name == ERRORS || find(&name).is_some();
            assert!(found, "{name}");
        }
        assert!(find("overhead_ns_per_op").is_none());
    }
}
