//! What a gate asks: the terms of its scenarios, those of the command line over them, and what is usual.
//!
//! What a text means is known by `reports::gate::terms`; here is which texts count, and for which scenario.

use clap::Args;
use photofinish_record::load::Load;
use photofinish_record::{ArmSource, Gate as Gated, GateTerm, Plan};
use photofinish_reports::gate::terms;
use photofinish_reports::rule::{LIMIT, MARGIN};
use photofinish_scenarios::scenario::GateSpec;

use crate::exit::Failure;

/// What must hold.
#[derive(Args)]
pub struct TermArguments {
    /// What is asked of a metric: throughput=5% is a limit of the slowdown, "response_p99=< 20ms" an objective; goes over
    /// the scenario's [gate]; repeatable [default: 10% of throughput, or of response_p99 under open load]
    #[arg(
        long = "limit",
        value_name = "METRIC=TEXT",
        help_heading = "What must hold"
    )]
    limits: Vec<String>,

    /// The slowdown that does not matter yet [default: 2%]
    #[arg(long, value_name = "PERCENT", help_heading = "What must hold")]
    floor: Option<String>,

    /// Lets the arms answer with different content
    #[arg(long, help_heading = "What must hold")]
    content_may_differ: bool,
}

impl TermArguments {
    /// Whether nothing is asked on the command line.
    pub fn is_empty(&self) -> bool {
        self.limits.is_empty()
    }

    /// What is asked: each scenario's own terms, and over them those of the command line.
    pub fn gated(
        &self,
        gates: &[(String, GateSpec)],
        plan: &Plan,
        (base, head): (ArmSource, ArmSource),
    ) -> Result<Gated, Failure> {
        let asked = self.asked()?;
        let mut terms = Vec::new();
        for (scenario, spec) in gates {
            let over = |name: &str| asked.iter().any(|(metric, _)| same_metric(metric, name));
            let own = spec.terms.iter().filter(|text| !over(&text.metric));
            let own = own.map(|text| (text.metric.clone(), text.text.clone(), text.place.clone()));
            let given = asked
                .iter()
                .map(|(metric, text)| (metric.clone(), text.clone(), spec.place.clone()));
            let mut all: Vec<_> = own.chain(given).collect();
            if all.is_empty() {
                let usual = (usual_metric(plan, scenario), format!("{}%", 100.0 * LIMIT));
                all.push((usual.0.to_owned(), usual.1, spec.place.clone()));
            }
            for (metric, text, place) in all {
                let asked = terms::parse(&metric, &text).map_err(|error| {
                    Failure::usage(error.to_string())
                        .hint(format!("metrics to gate: {}", terms::names().join(", ")))
                })?;
                terms.push(GateTerm {
                    scenario: scenario.clone(),
                    metric: asked.metric,
                    requirement: asked.requirement,
                    text: format!("{metric} = \"{text}\""),
                    place,
                });
            }
        }
        let floors = gates.iter().filter_map(|(_, spec)| spec.tolerance);
        Ok(Gated {
            base,
            head,
            tolerance: match &self.floor {
                Some(text) => percent(text)?,
                None => floors.reduce(f64::min).unwrap_or(MARGIN),
            },
            terms,
            content_may_differ: self.content_may_differ,
        })
    }

    /// The limits of the command line.
    fn asked(&self) -> Result<Vec<(String, String)>, Failure> {
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

/// The metric that is gated where nothing is said: what results are ranked by.
fn usual_metric(plan: &Plan, scenario: &str) -> &'static str {
    let mut loads = plan.cells.iter().filter(|cell| cell.scenario == scenario);
    match loads.any(|cell| matches!(cell.load, Load::Open { .. })) {
        true => "response_p99",
        false => "throughput",
    }
}

fn same_metric(a: &str, b: &str) -> bool {
    let full = |name: &str| terms::find(name).map(|(metric, _)| metric.name.clone());
    a == b || full(a).is_some_and(|name| Some(name) == full(b))
}

fn percent(text: &str) -> Result<f64, Failure> {
    let share = terms::percent(text.trim()).filter(|share| *share < 1.0);
    share.ok_or_else(|| {
        Failure::usage(format!("`--floor {text}` is no percentage")).hint("such as --floor 2%")
    })
}
