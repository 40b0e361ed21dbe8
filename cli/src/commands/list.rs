//! `photofinish list`: the available scenarios, workloads, runtimes and servers.
//!
//! Everything comes from the lists of the other crates; a scenario, runtime or server that joins its list shows up
//! here.

mod behaviours;

use std::collections::BTreeMap;
use std::fmt::Write;

use clap::Args;
use photofinish_harness::runtimes::{DESCRIPTORS, descriptor};
use photofinish_record::RuntimeFamily;
use photofinish_scenarios::catalogue::catalogue;
use photofinish_scenarios::scenario::Scenario;
use photofinish_workloads::registry::{workload, workloads};
use serde::Serialize;

use self::behaviours::{Behaviour, behaviours};
use crate::exit::{Exit, Failure};
use crate::request::CHECKS;
use crate::{output, servers};

/// Scenario classes, in display order.
const CLASSES: [&str; 11] = [
    "http",
    "web",
    "files",
    "database",
    "realtime",
    "queues",
    "tasks",
    "cpu",
    "processes",
    "servers",
    "overhead",
];

/// List scenarios, workloads, runtimes and servers
///
/// Without a filter only the names of the scenarios, by class.
#[derive(Args)]
#[command(after_help = "\
Examples:
  photofinish list
  photofinish list http
  photofinish list tokio")]
pub struct List {
    /// Show what has this text in its name, class or title, with one line each
    #[arg(conflicts_with_all = ["json", "markdown"])]
    filter: Option<String>,

    /// Show everything with one line each
    #[arg(long, conflicts_with_all = ["filter", "json", "markdown"])]
    all: bool,

    /// Print JSON
    #[arg(long)]
    json: bool,

    /// Print the catalogue as Markdown
    #[arg(long, conflicts_with = "json", hide = true)]
    markdown: bool,
}

#[derive(Serialize)]
struct Listing {
    scenarios: Vec<ListedScenario>,
    workloads: Vec<Workload>,
    runtimes: Vec<Runtime>,
    servers: Vec<Server>,
}

#[derive(Serialize)]
struct ListedScenario {
    name: String,
    title: String,
    class: &'static str,
    workload: &'static str,
    runtimes: Vec<ListedRuntime>,
}

/// A runtime, as listed for one scenario.
#[derive(Serialize)]
struct ListedRuntime {
    name: &'static str,
    /// The reason it cannot run this scenario honestly; `None` if it can.
    unsupported: Option<&'static str>,
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
    #[serde(rename = "standing")]
    note: Option<&'static str>,
    is_async: bool,
}

#[derive(Serialize)]
struct Server {
    name: &'static str,
    summary: &'static str,
    behaviours: Vec<Behaviour>,
    /// The scenarios that use it.
    scenarios: Vec<String>,
}

impl List {
    pub fn execute(self) -> Result<Exit, Failure> {
        let listing = Listing::of_everything()?;
        match (self.json, self.markdown) {
            (true, _) => output::emit_json(&listing)?,
            (_, true) => output::say(listing.markdown().trim_end())?,
            _ => self.tell(listing)?,
        }
        Ok(Exit::Done)
    }
}

impl List {
    fn tell(&self, mut listing: Listing) -> Result<(), Failure> {
        let Some(filter) = &self.filter else {
            return output::say(&match self.all {
                true => listing.for_people(),
                false => listing.overview(),
            });
        };
        listing.retain(filter);
        let text = listing.for_people();
        if text.is_empty() {
            return Err(Failure::usage(format!(
                "nothing has `{filter}` in its name, class or title"
            ))
            .hint("`photofinish list` shows all names"));
        }
        output::say(&text)
    }
}

impl Listing {
    /// Keeps what has `filter` in its name, class or title, in any case.
    fn retain(&mut self, filter: &str) {
        let filter = filter.to_lowercase();
        let has = |texts: &[&str]| {
            let mut texts = texts.iter();
            texts.any(|text| text.to_lowercase().contains(&filter))
        };
        self.scenarios
            .retain(|it| has(&[&it.name, it.class, it.workload, &it.title]));
        self.workloads
            .retain(|it| has(&[it.name, it.class, it.operation]));
        self.runtimes.retain(|it| has(&[it.name, it.summary]));
        self.servers.retain(|it| has(&[it.name, it.summary]));
    }

    fn of_everything() -> Result<Self, Failure> {
        let scenarios = scenarios()?;
        Ok(Self {
            scenarios: scenarios.iter().map(ListedScenario::of).collect(),
            workloads: sorted_workloads(),
            runtimes: DESCRIPTORS
                .iter()
                .map(|runtime| Runtime {
                    name: runtime.name,
                    summary: runtime.summary,
                    note: runtime.note,
                    is_async: runtime.family == RuntimeFamily::Async,
                })
                .collect(),
            servers: servers::SERVERS
                .iter()
                .map(|server| Server {
                    name: server.name,
                    summary: server.summary,
                    behaviours: behaviours(&(server.behaviour_schema)().to_value()),
                    scenarios: scenarios
                        .iter()
                        .filter(|scenario| uses(scenario, server.name))
                        .map(|scenario| scenario.name.clone())
                        .collect(),
                })
                .collect(),
        })
    }

    /// Names alone, on one screen.
    fn overview(&self) -> String {
        let mut text = String::new();
        let classes = self.by_class();
        let entries = classes.map(|(class, scenarios)| {
            let names = scenarios.iter().map(|scenario| scenario.name.as_str());
            (class, names.collect::<Vec<_>>().join(", "))
        });
        section(&mut text, "Scenarios", entries);
        let runtimes = self.runtimes.iter();
        let entries = runtimes.map(|runtime| (runtime.name, runtime.described()));
        section(&mut text, "Runtimes", entries);
        let servers = self.servers.iter();
        let entries = servers.map(|server| (server.name, server.summary.to_owned()));
        section(&mut text, "Servers", entries);
        text.push_str(
            "`photofinish list http` shows what has to do with http, `--all` everything, with\ntitles.\n",
        );
        text
    }

    fn for_people(&self) -> String {
        let mut text = String::new();
        for (class, scenarios) in self.by_class() {
            let entries = scenarios
                .iter()
                .map(|scenario| (scenario.name.as_str(), scenario.title.clone()));
            section(&mut text, &format!("Scenarios: {class}"), entries);
        }
        let refusals = self.refusals();
        let entries = refusals.iter().map(|refusal| {
            let scenarios = refusal.scenarios.join(", ");
            (refusal.runtime, format!("{} ({scenarios})", refusal.reason))
        });
        section(&mut text, "Unsupported", entries);
        let workloads = self.workloads.iter();
        let entries = workloads.map(|workload| (workload.name, workload.operation.to_owned()));
        section(&mut text, "Workloads", entries);
        let runtimes = self.runtimes.iter();
        let entries = runtimes.map(|runtime| (runtime.name, runtime.described()));
        section(&mut text, "Runtimes", entries);
        let servers = self.servers.iter();
        let entries = servers.map(|server| (server.name, server.described()));
        section(&mut text, "Servers", entries);
        text
    }
}

/// A runtime, the reason for which it refuses, and the scenarios it refuses for that reason.
struct Refusal<'a> {
    runtime: &'a str,
    reason: &'a str,
    scenarios: Vec<&'a str>,
}

impl Listing {
    /// The scenarios by class, in the order of [`CLASSES`]; other classes come last.
    fn by_class(&self) -> impl Iterator<Item = (&str, Vec<&ListedScenario>)> {
        let rank = |class| CLASSES.iter().position(|known| *known == class);
        let mut classes: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for scenario in &self.scenarios {
            let rank = rank(scenario.class).unwrap_or(CLASSES.len());
            let scenarios = classes.entry((rank, scenario.class)).or_default();
            scenarios.push(scenario);
        }
        classes
            .into_iter()
            .map(|((_, class), scenarios)| (class, scenarios))
    }

    fn refusals(&self) -> Vec<Refusal<'_>> {
        let mut refusals: Vec<Refusal<'_>> = Vec::new();
        for scenario in &self.scenarios {
            for listed in &scenario.runtimes {
                let Some(reason) = listed.unsupported else {
                    continue;
                };
                let same = |refusal: &&mut Refusal<'_>| {
                    refusal.runtime == listed.name && refusal.reason == reason
                };
                match refusals.iter_mut().find(same) {
                    Some(refusal) => refusal.scenarios.push(&scenario.name),
                    None => refusals.push(Refusal {
                        runtime: listed.name,
                        reason,
                        scenarios: vec![&scenario.name],
                    }),
                }
            }
        }
        refusals
    }

    /// The catalogue as a page of documentation.
    fn markdown(&self) -> String {
        let mut text = String::from(
            "# The catalogue\n\nAll built-in scenarios, by class. Generated by `photofinish list --markdown`; a test keeps it \
             current.\n",
        );
        for (class, scenarios) in self.by_class() {
            let _ = writeln!(
                text,
                "\n## {class}\n\n| scenario | one operation | title | not under |\n|---|---|---|---|"
            );
            for scenario in scenarios {
                let operation =
                    workload(scenario.workload).map_or("", |entry| entry.about.operation);
                let refused = scenario
                    .runtimes
                    .iter()
                    .filter(|runtime| runtime.unsupported.is_some());
                let refused: Vec<&str> = refused.map(|runtime| runtime.name).collect();
                let _ = writeln!(
                    text,
                    "| `{}` | {operation} | {} | {} |",
                    scenario.name,
                    scenario.title,
                    refused.join(", ")
                );
            }
        }
        text.push_str(
            "\n## Unsupported, with reasons\n\n| runtime | reason | scenarios |\n|---|---|---|\n",
        );
        for refusal in self.refusals() {
            let _ = writeln!(
                text,
                "| `{}` | {} | {} |",
                refusal.runtime,
                refusal.reason,
                refusal.scenarios.join(", ")
            );
        }
        text.push_str(
            "\n## Servers and their settings\n\nA scenario selects a server with `kind` in `[server.NAME]`; the keys listed \
             below go into the same table.\n",
        );
        for server in &self.servers {
            server.write_markdown(&mut text);
        }
        text
    }
}

impl Server {
    /// Its summary, and the topmost keys of its behaviour.
    fn described(&self) -> String {
        let topmost = self.behaviours.iter().map(|behaviour| &behaviour.key);
        let topmost: Vec<&str> = topmost
            .filter(|key| !key.contains('.'))
            .map(|key| key.trim_end_matches("[]"))
            .collect();
        if topmost.is_empty() {
            self.summary.to_owned()
        } else {
            format!("{} (keys: {})", self.summary, topmost.join(", "))
        }
    }

    fn write_markdown(&self, text: &mut String) {
        let _ = writeln!(text, "\n### `{}`\n\n{}.", self.name, self.summary);
        if !self.scenarios.is_empty() {
            let _ = writeln!(text, "Used by {}.", self.scenarios.join(", "));
        }
        if self.behaviours.is_empty() {
            return;
        }
        text.push_str("\n| key | meaning |\n|---|---|\n");
        for behaviour in &self.behaviours {
            let summary = behaviour.summary.replace('|', "\\|");
            let _ = writeln!(text, "| `{}` | {summary} |", behaviour.key);
        }
    }
}

impl ListedScenario {
    fn of(scenario: &Scenario) -> Self {
        let every = || DESCRIPTORS.iter().map(|runtime| runtime.name.to_owned());
        let names = scenario
            .runtimes
            .clone()
            .unwrap_or_else(|| every().collect());
        let runtimes = names.iter().filter_map(|name| descriptor(name));
        Self {
            name: scenario.name.clone(),
            title: scenario.title.clone(),
            class: scenario.about.class,
            workload: scenario.about.name,
            runtimes: runtimes
                .map(|runtime| ListedRuntime {
                    name: runtime.name,
                    unsupported: runtime.refusal(scenario.needs),
                })
                .collect(),
        }
    }
}

impl Runtime {
    fn described(&self) -> String {
        match self.note {
            Some(note) => format!("{} ({note})", self.summary),
            None => self.summary.to_owned(),
        }
    }
}

fn sorted_workloads() -> Vec<Workload> {
    let mut listed: Vec<_> = workloads()
        .map(|entry| Workload {
            name: entry.about.name,
            class: entry.about.class,
            operation: entry.about.operation,
            targets: entry.about.targets,
        })
        .collect();
    listed.sort_unstable_by_key(|workload| workload.name);
    listed
}

fn uses(scenario: &Scenario, server: &str) -> bool {
    let mut servers = scenario.servers.values();
    servers.any(|used| used.kind == server)
}

fn scenarios() -> Result<Vec<Scenario>, Failure> {
    let parsed = catalogue()
        .iter()
        .map(|entry| Scenario::parse(entry.source(), &[], CHECKS));
    parsed
        .collect::<Result<_, _>>()
        .map_err(|wrong| Failure::could_not_run(wrong.to_string()))
}

fn section<'a>(text: &mut String, heading: &str, entries: impl Iterator<Item = (&'a str, String)>) {
    let entries: Vec<_> = entries.collect();
    if entries.is_empty() {
        return;
    }
    let width = entries
        .iter()
        .map(|(name, _)| name.len())
        .max()
        .unwrap_or(0);
    let heading = output::strong(heading);
    let _ = writeln!(text, "{heading}");
    for (name, summary) in entries {
        for (index, line) in output::wrapped(&summary, output::width() - width - 4).enumerate() {
            let name = if index == 0 { name } else { "" };
            let _ = writeln!(text, "  {name:width$}  {line}");
        }
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use photofinish_harness::runtime::Capability;
    use photofinish_scenarios::diagnostic::Source;
    use serde_json::json;
    use std::path::Path;

    #[test]
    fn a_listed_scenario_names_its_runtimes_and_why_one_cannot_run_it() {
        let text = "workload = 'null'\ntitle = 'Mine'\nruntimes = ['sync', 'smol']";
        let source = Source::of_file(Path::new("mine.toml"), text.to_owned());
        let mut scenario = Scenario::parse(source, &[], CHECKS).expect("sound");
        let check = |scenario: &Scenario, reason: Option<&str>| {
            let listed = serde_json::to_value(ListedScenario::of(scenario)).expect("JSON");
            let expected = json!({
                "name": "mine", "title": "Mine", "class": "overhead", "workload": "null",
                "runtimes": [
                    { "name": "sync", "unsupported": reason },
                    { "name": "smol", "unsupported": null },
                ],
            });
            assert_eq!(listed, expected);
        };
        check(&scenario, None);
        scenario.needs = &[Capability::Concurrency];
        let reason = descriptor("sync").expect("known").refusal(scenario.needs);
        assert!(reason.is_some(), "sync runs one operation after another");
        check(&scenario, reason);
    }
}
