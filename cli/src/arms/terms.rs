//! The terms of a gate: those of its scenarios, replaced by those of the command line, or else the default.
//!
//! This module only chooses the texts; `reports::gate::terms` parses them.

use clap::Args;
use photofinish_record::load::Load;
use photofinish_record::{ArmSource, Gate, GateTerm, Plan};
use photofinish_reports::conditions;
use photofinish_reports::gate::terms;
use photofinish_reports::metrics::part_and_metric;
use photofinish_reports::rule::{LIMIT, MARGIN};
use photofinish_scenarios::scenario::GateSpec;

use crate::exit::Failure;

#[derive(Args)]
#[command(next_help_heading = "What must hold")]
pub struct TermArguments {
    /// Limit on a metric: throughput=5% for the slowdown, "response_p99=< 20ms" for the head's own value; replaces the
    /// scenario's [gate]; repeatable [default: 10% of throughput, or of response_p99 under open load]
    #[arg(long = "limit", value_name = "METRIC=TEXT")]
    limits: Vec<String>,

    /// Largest slowdown that does not matter [default: 2%]
    #[arg(long, alias = "floor", value_name = "PERCENT")]
    tolerance: Option<String>,

    /// Allow the arms to respond with different content
    #[arg(long)]
    content_may_differ: bool,
}

impl TermArguments {
    /// True if the command line has no limit.
    pub fn is_empty(&self) -> bool {
        self.limits.is_empty()
    }

    /// The gate over a plan: each scenario's own terms, replaced by those of the command line.
    pub fn gate(
        &self,
        specs: &[(String, GateSpec)],
        plan: &Plan,
        [base, head]: [ArmSource; 2],
    ) -> Result<Gate, Failure> {
        let limits = self.limits()?;
        let mut terms = Vec::new();
        for (scenario, spec) in specs {
            let replaced = |name: &str| {
                limits
                    .iter()
                    .any(|(metric, _)| conditions::same_metric(metric, name))
            };
            let own = spec.terms.iter().filter(|text| !replaced(&text.metric));
            let own = own.map(|text| (text.metric.clone(), text.text.clone(), text.place.clone()));
            let given = limits
                .iter()
                .map(|(metric, text)| (metric.clone(), text.clone(), spec.place.clone()));
            let mut all: Vec<_> = own.chain(given).collect();
            if all.is_empty() {
                let metric = default_metric(plan, scenario).to_owned();
                all.push((metric, format!("{}%", 100.0 * LIMIT), spec.place.clone()));
            }
            for (metric, text, place) in all {
                let term = terms::parse(&metric, &text).map_err(|error| {
                    Failure::usage(error.to_string())
                        .hint(format!(
                            "metrics to gate: {}; of a part: request.NAME.throughput, request.NAME.errors, and service times \
                             such as request.NAME.service_p99",
                            terms::names().join(", ")
                        ))
                })?;
                check_part(&term.metric, spec)?;
                terms.push(GateTerm {
                    scenario: scenario.clone(),
                    metric: term.metric,
                    requirement: term.requirement,
                    text: format!("{metric} = \"{text}\""),
                    place,
                });
            }
        }
        let tolerances = specs.iter().filter_map(|(_, spec)| spec.tolerance);
        Ok(Gate {
            base,
            head,
            tolerance: match &self.tolerance {
                Some(text) => percent(text)?,
                None => tolerances.reduce(f64::min).unwrap_or(MARGIN),
            },
            terms,
            content_may_differ: self.content_may_differ,
        })
    }

    /// The limits of the command line.
    fn limits(&self) -> Result<Vec<(String, String)>, Failure> {
        let split = |limit: &String| {
            let (metric, text) = limit.split_once('=').ok_or_else(|| {
                Failure::usage(format!("`--limit {limit}` is not of the form METRIC=TEXT"))
                    .hint("such as --limit throughput=5% or --limit 'response_p99=< 20ms'")
            })?;
            Ok((metric.trim().to_owned(), text.trim().to_owned()))
        };
        self.limits.iter().map(split).collect()
    }
}

/// Rejects a metric of a part that the scenario does not have.
fn check_part(metric: &str, spec: &GateSpec) -> Result<(), Failure> {
    match part_and_metric(metric) {
        (Some(part), _) if !spec.parts.iter().any(|known| known == part) => {
            let message = format!("the limit on {metric}: unknown part `{part}`");
            Err(Failure::usage(message).hint(if spec.parts.is_empty() {
                "no operation of the scenario has named parts".to_owned()
            } else {
                format!("parts: {}", spec.parts.join(", "))
            }))
        }
        _ => Ok(()),
    }
}

/// The metric that results are ranked by.
fn default_metric(plan: &Plan, scenario: &str) -> &'static str {
    let mut loads = plan.cells.iter().filter(|cell| cell.scenario == scenario);
    if loads.any(|cell| matches!(cell.load, Load::Open { .. })) {
        "response_p99"
    } else {
        "throughput"
    }
}

fn percent(text: &str) -> Result<f64, Failure> {
    let share = conditions::percent(text.trim()).filter(|share| *share < 1.0);
    share.ok_or_else(|| {
        Failure::usage(format!(
            "`--tolerance`: expected a percentage, got `{text}`"
        ))
        .hint("such as --tolerance 2%")
    })
}
