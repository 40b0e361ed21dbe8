//! `photofinish list`: what there is to choose from.
//!
//! Everything comes from the lists of the other crates; a scenario, runtime or server that joins its list shows up
//! here.

use std::fmt::Write;

use clap::Args;
use photofinish_harness::runtimes::DESCRIPTORS;
use photofinish_scenarios::catalogue::catalogue;
use photofinish_scenarios::plan::{ListedScenario, listed_scenario};
use photofinish_scenarios::registry::workloads;
use photofinish_scenarios::scenario::Scenario;
use serde::Serialize;

use crate::exit::{Exit, Failure};
use crate::{output, servers};

/// Lists scenarios, workloads, runtimes and servers
#[derive(Args)]
pub struct List {
    /// Prints JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Listing {
    scenarios: Vec<ListedScenario>,
    workloads: Vec<Workload>,
    runtimes: Vec<Runtime>,
    servers: Vec<Server>,
}

#[derive(Serialize)]
struct Workload {
    name: &'static str,
    class: &'static str,
    operation: &'static str,
    targets: &'static [&'static str],
}

#[derive(Serialize)]
struct Runtime {
    name: &'static str,
    summary: &'static str,
    standing: Option<&'static str>,
    is_async: bool,
}

#[derive(Serialize)]
struct Server {
    name: &'static str,
    summary: &'static str,
}

impl List {
    /// Prints it.
    pub fn execute(self) -> Result<Exit, Failure> {
        let listing = Listing::of_everything()?;
        match self.json {
            true => output::emit_json(&listing)?,
            false => output::say(&listing.for_people())?,
        }
        Ok(Exit::Done)
    }
}

impl Listing {
    fn of_everything() -> Result<Self, Failure> {
        Ok(Self {
            scenarios: scenarios()?,
            workloads: workloads()
                .map(|entry| {
                    let about = entry.about;
                    let (name, class) = (about.name, about.class);
                    Workload {
                        name,
                        class,
                        operation: about.operation,
                        targets: about.targets,
                    }
                })
                .collect(),
            runtimes: DESCRIPTORS
                .iter()
                .map(|runtime| {
                    let (name, summary) = (runtime.name, runtime.summary);
                    Runtime {
                        name,
                        summary,
                        standing: runtime.standing,
                        is_async: runtime.is_async,
                    }
                })
                .collect(),
            servers: servers::listed()
                .map(|server| Server {
                    name: server.name,
                    summary: server.summary,
                })
                .collect(),
        })
    }

    fn for_people(&self) -> String {
        let mut text = String::new();
        let scenarios = self
            .scenarios
            .iter()
            .map(|scenario| (scenario.name.as_str(), scenario.title.clone()));
        section(&mut text, "Scenarios", scenarios);
        let workloads = self
            .workloads
            .iter()
            .map(|workload| (workload.name, workload.operation.to_owned()));
        section(&mut text, "Workloads", workloads);
        let runtimes = self
            .runtimes
            .iter()
            .map(|runtime| (runtime.name, runtime.described()));
        section(&mut text, "Runtimes", runtimes);
        let servers = self
            .servers
            .iter()
            .map(|server| (server.name, server.summary.to_owned()));
        section(&mut text, "Servers", servers);
        text
    }
}

impl Runtime {
    fn described(&self) -> String {
        match self.standing {
            Some(standing) => format!("{} ({standing})", self.summary),
            None => self.summary.to_owned(),
        }
    }
}

fn scenarios() -> Result<Vec<ListedScenario>, Failure> {
    let listed = catalogue().iter().map(|entry| {
        let scenario = Scenario::parse(entry.source(), &[], &servers::check);
        scenario.map(|scenario| listed_scenario(&scenario))
    });
    listed
        .collect::<Result<_, _>>()
        .map_err(|wrong| Failure::could_not_run(wrong.to_string()))
}

fn section<'a>(text: &mut String, heading: &str, entries: impl Iterator<Item = (&'a str, String)>) {
    let entries: Vec<_> = entries.collect();
    let width = entries
        .iter()
        .map(|(name, _)| name.len())
        .max()
        .unwrap_or(0);
    let _ = writeln!(text, "{heading}");
    for (name, summary) in entries {
        for (index, line) in output::wrapped(&summary, output::width() - width - 4).enumerate() {
            let name = if index == 0 { name } else { "" };
            let _ = writeln!(text, "  {name:width$}  {line}");
        }
    }
    text.push('\n');
}
