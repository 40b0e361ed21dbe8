//! The terms of a gate: texts such as `5%` or `< 20ms` as requirements of a metric.
//!
//! A percentage limits the slowdown, a comparison is an objective for the head's own value, and `errors` is a share of
//! all operations, or of all runs of a part; `conditions` parses the texts. Terms that no measurement could break are rejected: a gate that
//! cannot fail protects nothing.

use photofinish_record::load::Load;
use photofinish_record::{Plan, Requirement};

use crate::conditions::{self, ConditionError, ERRORS, percent};
use crate::metrics::{Better, Metric, short_name};
use crate::rule::Rule;

/// A term without its scenario.
#[derive(Clone, Debug, PartialEq)]
pub struct Term {
    /// The metric's full name, or that of a share of errors.
    pub metric: String,
    pub requirement: Requirement,
}

/// The names of the metrics that can be gated, as users write them.
pub fn names() -> Vec<String> {
    let metrics = conditions::names().into_iter();
    metrics.chain([ERRORS.to_owned()]).collect()
}

/// Parses the requirement of the metric called `name`.
pub fn parse(name: &str, text: &str) -> Result<Term, ConditionError> {
    let (name, text) = (name.trim(), text.trim());
    let found = conditions::find(name);
    let gated = found.as_ref().map(|(metric, better)| (&**metric, *better));
    let (full_name, requirement) = match (gated, conditions::errors_name(name)) {
        (Some((metric, better)), _) => (metric.name.to_string(), requirement(metric, better, text)),
        (None, Some(errors)) => (errors, conditions::share(text)),
        (None, None) => {
            return Err(ConditionError::UnknownMetric {
                name: name.to_owned(),
                known: names(),
            });
        }
    };
    let requirement = requirement.ok_or_else(|| ConditionError::Syntax {
        text: text.to_owned(),
        metric: name.to_owned(),
        expected: match gated {
            None => conditions::expected_objective(None),
            gated => format!(
                "a limit of the slowdown such as \"5%\", or {}",
                conditions::expected_objective(gated)
            ),
        },
    })?;
    let unit = gated.map(|(metric, _)| metric.unit);
    conditions::decides(name, text, unit, requirement)?;
    Ok(Term {
        metric: full_name,
        requirement,
    })
}

fn requirement(metric: &Metric, better: Better, text: &str) -> Option<Requirement> {
    match percent(text).filter(|limit| *limit > 0.0) {
        Some(limit) => Some(Requirement::Slowdown { limit }),
        None => conditions::objective(metric, better, text),
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

/// True if a metric exists under a load: response times and lag are those of open loads.
pub(crate) fn exists_under(name: &str, load: Load) -> bool {
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
        let most = |most| Requirement::Errors { most };
        check("request.buy.errors", "1%", "request.buy.errors", most(0.01));
        let (quoted, full) = ("transaction.\"a.b c\".errors", "request.a.b c.errors");
        check(quoted, "0", full, most(0.0));
        check(quoted, "< 1%", full, Requirement::Below { value: 0.01 });
    }

    #[test]
    fn an_invalid_or_unfailable_limit_is_refused() {
        let check = |name: &str, texts: &[&str], expected: fn(&ConditionError) -> bool| {
            for text in texts {
                let error = parse(name, text).expect_err(text);
                assert!(expected(&error), "{name} {text}: {error}");
            }
        };
        let no_term = |error: &ConditionError| matches!(error, ConditionError::Syntax { .. });
        check("throughput", &["< 5k", "5", "-5%", "0%"], no_term);
        check("response_p99.5", &["> 20ms", "< 20", "< soon", ""], no_term);
        check("peak_rss", &["< 20ms"], no_term);
        check("errors", &["many", "< 5"], no_term);
        let never_fails =
            |error: &ConditionError| matches!(error, ConditionError::NeverFails { .. });
        check("throughput", &["> 0"], never_fails);
        check("response_p99", &["< 60s"], never_fails);
        check("errors", &["100%"], never_fails);
        check("request.buy.errors", &["100%", "< 101%"], never_fails);
        let never_met = |error: &ConditionError| matches!(error, ConditionError::NeverMet { .. });
        check("response_p99", &["< 0ms"], never_met);
        check("errors", &["< 0%"], never_met);
        let unknown =
            |error: &ConditionError| matches!(error, ConditionError::UnknownMetric { .. });
        check("through_put", &["5%"], unknown);
        check("request.buy.retries", &["5%"], unknown);
        check("request.errors", &["0"], unknown);
    }
}
