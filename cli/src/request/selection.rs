//! The scenarios of a request: from a suite, the catalogue or the user's files, with the overrides of `--set`.
//!
//! Only reads and checks; errors point at line and column. `planning` makes the plan.

use std::fs;
use std::io::ErrorKind;
use std::num::NonZeroU32;
use std::path::Path;

use photofinish_reports::conditions::ConditionError;
use photofinish_reports::gate::terms;
use photofinish_reports::thresholds;
use photofinish_scenarios::catalogue::{ScenarioRef, locate};
use photofinish_scenarios::diagnostic::{Diagnostics, Source};
use photofinish_scenarios::scenario::{Checks, GateProblem, Override, Scenario};
use photofinish_scenarios::suite::{self, Suite};

use crate::exit::Failure;
use crate::{output, servers, targets};

/// The scenarios of a request, with the title and rounds of their suite.
pub(super) struct Selection {
    pub(super) title: Option<String>,
    pub(super) rounds: Option<NonZeroU32>,
    pub(super) scenarios: Vec<Scenario>,
}

/// The scenarios of these names; without names, those of the suite, or of the tour.
pub(super) fn select(
    names: &[String],
    suite: Option<&str>,
    overrides: &[String],
) -> Result<Selection, Failure> {
    let overrides = overrides.iter().map(|argument| Override::parse(argument));
    let overrides = overrides.collect::<Result<Vec<_>, _>>()?;
    if names.is_empty() {
        let suite = suite.and_then(suite::suite).unwrap_or_else(suite::tour);
        of_suite(&suite, &overrides)
    } else {
        named(names, &overrides)
    }
}

/// The scenarios of a suite. The user's overrides replace those of the suite in each scenario that has the key.
fn of_suite(suite: &Suite, overrides: &[Override]) -> Result<Selection, Failure> {
    let mut scenarios = Vec::new();
    let mut fits_somewhere = vec![false; overrides.len()];
    for entry in &suite.scenarios {
        let mut all = entry.overrides.clone();
        for (own, fits) in overrides.iter().zip(&mut fits_somewhere) {
            if in_scenario(&entry.name, std::slice::from_ref(own)).is_ok() {
                all.push(own.clone());
                *fits = true;
            }
        }
        scenarios.push(in_scenario(&entry.name, &all)?);
    }
    let misfit = fits_somewhere.iter().position(|fits| !fits);
    if let (Some(index), Some(first)) = (misfit, suite.scenarios.first()) {
        in_scenario(&first.name, &overrides[index..=index])?;
    }
    Ok(Selection {
        title: Some(suite.title.clone()),
        rounds: suite.rounds,
        scenarios,
    })
}

/// Checks of the parts of a scenario that servers and `reports` define.
pub const CHECKS: Checks<'static> = Checks {
    server: &servers::check,
    default_server: &targets::default_server,
    gate: &check_gate,
    threshold: &check_threshold,
};

fn check_gate(metric: &str, text: &str) -> Result<(), GateProblem> {
    terms::parse(metric, text).map(drop).map_err(problem)
}

fn check_threshold(metric: &str, text: &str, of_part: bool) -> Result<(), GateProblem> {
    let parsed = thresholds::parse(metric, text, of_part);
    parsed.map(drop).map_err(problem)
}

fn problem(error: ConditionError) -> GateProblem {
    match error {
        ConditionError::UnknownMetric { known, .. } => GateProblem::UnknownMetric { known },
        error => GateProblem::Text {
            message: error.to_string(),
        },
    }
}

/// A scenario of the catalogue with these overrides.
fn in_scenario(name: &str, overrides: &[Override]) -> Result<Scenario, Failure> {
    Ok(Scenario::parse(source(name)?, overrides, CHECKS)?)
}

fn named(names: &[String], overrides: &[Override]) -> Result<Selection, Failure> {
    let sources = names
        .iter()
        .map(|name| source(name))
        .collect::<Result<_, _>>()?;
    Ok(Selection {
        title: None,
        rounds: None,
        scenarios: Scenario::parse_all(sources, overrides, CHECKS)?,
    })
}

fn source(name: &str) -> Result<Source, Failure> {
    match locate(name) {
        Ok(ScenarioRef::Catalogue(entry)) => Ok(entry.source()),
        Ok(ScenarioRef::File(path)) => read(&path),
        Err(unknown) => Err(Failure::usage(unknown.to_string()).hint(unknown.hint())),
    }
}

fn read(path: &Path) -> Result<Source, Failure> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Source::of_file(path, text)),
        Err(error) => {
            let hint = match error.kind() {
                ErrorKind::InvalidData => "save it as UTF-8",
                ErrorKind::PermissionDenied => "allow yourself to read it: chmod u+r",
                ErrorKind::IsADirectory => "name a file in it",
                _ => {
                    "`photofinish list` shows the built-in scenarios; a file of your own must be given by its path"
                }
            };
            let failure = Failure::usage(format!("cannot read the scenario {}", path.display()));
            Err(failure.caused_by(error).hint(hint))
        }
    }
}

impl From<Diagnostics> for Failure {
    fn from(wrong: Diagnostics) -> Self {
        Self::rendered(wrong.render(output::stderr_has_colour()))
    }
}
