//! The thresholds of a run: those of its scenarios, replaced by those of the command line.
//!
//! This module only selects the texts; `reports::thresholds` parses and judges them. A threshold that applies to
//! no cell is an error before anything runs.

use clap::Args;
use photofinish_record::{Cell, Plan, SourceLocation, Threshold};
use photofinish_reports::conditions;
use photofinish_reports::metrics::{part_and_metric, short_name};
use photofinish_reports::thresholds;
use photofinish_scenarios::scenario::{Scenario, ThresholdText, as_key};

use crate::exit::Failure;

#[derive(Args)]
#[command(next_help_heading = "What must hold")]
pub struct ExpectArguments {
    /// Threshold that every runtime and load must meet, such as "response_p99 < 50ms", "throughput > 900/s",
    /// "errors < 1%" or "request.NAME.service_p99 < 80ms"; replaces the scenario's on the same metric; repeatable
    #[arg(long, value_name = "THRESHOLD", conflicts_with = "find_max")]
    expect: Vec<String>,

    /// End the run once a threshold is missed in more than half of the planned rounds
    #[arg(long, conflicts_with = "find_max")]
    pub fail_fast: bool,
}

/// A threshold of the command line.
struct Line {
    part: Option<String>,
    metric: String,
    text: String,
    /// As it was typed.
    line: String,
}

impl ExpectArguments {
    /// One use of the option.
    pub fn given(&self) -> Option<&'static str> {
        if self.expect.is_empty() {
            self.fail_fast.then_some("--fail-fast")
        } else {
            Some("--expect")
        }
    }

    /// Adds the thresholds to a plan: each scenario's own, and those of the command line where they apply.
    pub fn enter(&self, plan: &mut Plan, scenarios: &[Scenario]) -> Result<(), Failure> {
        let lines = self.expect.iter().map(|line| Line::read(line));
        let lines = lines.collect::<Result<Vec<_>, _>>()?;
        for scenario in scenarios {
            let replaced = |own: &&ThresholdText| {
                let same = |line: &Line| {
                    line.part == own.part && conditions::same_metric(&line.metric, &own.metric)
                };
                !lines.iter().any(same)
            };
            for own in scenario.thresholds.iter().filter(replaced) {
                let threshold = own_threshold(scenario, own)?;
                if !exists(plan, &threshold) {
                    return Err(no_such_time(&threshold));
                }
                plan.thresholds.push(threshold);
            }
        }
        for line in &lines {
            let before = plan.thresholds.len();
            let mut inapplicable = None;
            for scenario in scenarios.iter().filter(|scenario| line.is_for(scenario)) {
                let threshold = line.threshold(&scenario.name)?;
                if exists(plan, &threshold) {
                    plan.thresholds.push(threshold);
                } else {
                    inapplicable = Some(threshold);
                }
            }
            if plan.thresholds.len() == before {
                return Err(inapplicable.map_or_else(
                    || line.no_such_part(scenarios),
                    |threshold| no_such_time(&threshold),
                ));
            }
        }
        lift_budgets(plan, scenarios);
        if self.fail_fast && plan.thresholds.is_empty() {
            return Err(Failure::usage("--fail-fast needs a threshold")
                .hint("add one: --expect 'service_p99 < 50ms', or the scenario's [expect] table"));
        }
        Ok(())
    }
}

/// A threshold on errors takes the place of the default budget, which would make any failed operation a wrong
/// measurement; a budget that the scenario sets stays.
fn lift_budgets(plan: &mut Plan, scenarios: &[Scenario]) {
    for (planned, scenario) in plan.scenarios.iter_mut().zip(scenarios) {
        let limits_errors = |threshold: &&Threshold| {
            threshold.scenario == planned.name
                && threshold.part.is_none()
                && threshold.metric == conditions::ERRORS
        };
        if scenario.error_budget.is_none() && plan.thresholds.iter().any(|it| limits_errors(&it)) {
            planned.error_budget = 1.0;
        }
    }
}

fn own_threshold(scenario: &Scenario, own: &ThresholdText) -> Result<Threshold, Failure> {
    let name = own.part.as_ref().map_or_else(
        || own.metric.clone(),
        |part| format!("request.{}.{}", as_key(part), own.metric),
    );
    let text = format!("{name} = \"{}\"", own.text);
    threshold(
        &scenario.name,
        (&own.part, &own.metric, &own.text),
        text,
        own.place.clone(),
    )
}

fn threshold(
    scenario: &str,
    (part, metric, limit): (&Option<String>, &str, &str),
    text: String,
    place: Option<SourceLocation>,
) -> Result<Threshold, Failure> {
    let (metric, requirement) =
        thresholds::parse(metric, limit, part.is_some()).map_err(|error| {
            Failure::usage(error.to_string()).hint(format!(
                "metrics: {}, and percentiles such as service_p99.5",
                thresholds::names(part.is_some()).join(", ")
            ))
        })?;
    Ok(Threshold {
        scenario: scenario.to_owned(),
        part: part.clone(),
        metric,
        requirement,
        text,
        place,
    })
}

/// True if a cell of its scenario has a load under which its metric exists.
fn exists(plan: &Plan, threshold: &Threshold) -> bool {
    let of_scenario = |cell: &&Cell| cell.scenario == threshold.scenario;
    let mut cells = plan.cells.iter().filter(of_scenario);
    cells.any(|cell| thresholds::applies(&threshold.metric, cell.load))
}

fn no_such_time(threshold: &Threshold) -> Failure {
    let Threshold { scenario, text, .. } = threshold;
    let metric = short_name(&threshold.metric);
    Failure::usage(format!(
        "the threshold `{text}` can never be judged: {metric} exists only under an open load, and that of `{scenario}` is closed"
    ))
    .hint("add a rate, such as --rate 1000, or limit the service time, such as --expect 'service_p99 < 50ms'")
}

impl Line {
    /// Parses `[request.NAME.]METRIC < LIMIT`, or `>`.
    fn read(line: &str) -> Result<Self, Failure> {
        let (name, text) = conditions::split(line).ok_or_else(|| {
            Failure::usage(format!(
                "`--expect {line}`: expected a metric, `<` or `>`, and a limit"
            ))
            .hint("such as --expect 'response_p99 < 50ms' or --expect 'throughput > 900/s'")
        })?;
        let (part, metric) = part_and_metric(name);
        Ok(Self {
            part: part.map(str::to_owned),
            metric: metric.to_owned(),
            text: text.to_owned(),
            line: line.split_whitespace().collect::<Vec<_>>().join(" "),
        })
    }

    fn is_for(&self, scenario: &Scenario) -> bool {
        let part = self.part.as_ref();
        part.is_none_or(|part| scenario.parts.contains(part))
    }

    fn threshold(&self, scenario: &str) -> Result<Threshold, Failure> {
        let named = (&self.part, &*self.metric, &*self.text);
        threshold(scenario, named, self.line.clone(), None)
    }

    fn no_such_part(&self, scenarios: &[Scenario]) -> Failure {
        let part = self.part.as_deref().unwrap_or_default();
        let known: Vec<&str> = scenarios
            .iter()
            .flat_map(|scenario| &scenario.parts)
            .map(String::as_str)
            .collect();
        Failure::usage(format!("`--expect {}`: unknown part `{part}`", self.line)).hint(
            if known.is_empty() {
                "no operation of these scenarios has named parts".to_owned()
            } else {
                format!("parts: {}", known.join(", "))
            },
        )
    }
}
