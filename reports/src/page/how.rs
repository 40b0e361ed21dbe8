//! The procedure: everything needed to repeat a run, or to doubt it.
//!
//! For each scenario its parameters and details of each runtime; for the whole run the command, the plan, the machine
//! and the exact versions. Anything that distorts numbers is a warning, or in `fitness`.

use maud::{Markup, html};
use photofinish_record::{PlannedScenario, Record};

use super::tables::Table;
use crate::report::Report;
use crate::summary::{CellSummary, Group};
use crate::{describe, units};

const HEADINGS: [&str; 8] = [
    "runtime",
    "load",
    "rounds",
    "sessions",
    "worker threads",
    "threads alive",
    "context switches/op",
    "particulars",
];

pub(super) fn scenario(
    report: &Report<'_>,
    scenario: &PlannedScenario,
    groups: &[Group<'_>],
) -> Markup {
    let params = serde_json::to_string_pretty(&scenario.params).unwrap_or_default();
    let servers = serde_json::to_string_pretty(&scenario.servers).unwrap_or_default();
    // For a search, the closed rounds are enough: its steps differ only in the rate.
    let shown = |cell: &&&CellSummary| {
        cell.rounds > 0 && (report.searches.is_empty() || cell.load.rate_hz().is_none())
    };
    let cells = groups.iter().flat_map(|group| &group.cells).filter(shown);
    let body = html! { tbody { @for cell in cells { (particulars(report, cell)) } } };
    html! {
        details {
            summary { "How " (scenario.name) " was run" }
            dl {
                dt { "workload" } dd { (scenario.workload) }
                dt { "parameters" } dd { pre { (params) } }
                @if !scenario.servers.is_empty() { dt { "servers" } dd { pre { (servers) } } }
                dt { "unit of delay" } dd { (units::duration(scenario.unit_ns as f64)) }
                dt { "warm-up" } dd { (describe::warmup(&report.record.plan, scenario)) }
                dt { "measured" } dd { (describe::stop(scenario.stop)) }
                dt { "failures allowed" } dd { (units::tick(&units::count(100.0 * scenario.error_budget))) "%" }
            }
            (Table::new("Runtimes as run", HEADINGS, body).about(&scenario.name).render())
        }
    }
}

fn particulars(report: &Report<'_>, cell: &CellSummary) -> Markup {
    let known = |number: Option<u32>| number.map_or("n/a".to_owned(), |number| number.to_string());
    html! {
        tr {
            th scope="row" { (cell.runtime) }
            td { (describe::point(cell.load, cell.arm, None)) }
            td { (cell.rounds) @if cell.rounds_failed > 0 { " (" (cell.rounds_failed) " failed)" } }
            td { (known(cell.sessions)) }
            td { (known(cell.worker_threads)) }
            td { (describe::value(cell.metric("threads"))) }
            td { (describe::value(cell.metric("context_switches_per_op"))) }
            td { (facts(report, cell)) }
        }
    }
}

fn facts(report: &Report<'_>, cell: &CellSummary) -> String {
    let index = report.rounds.index_of(cell);
    let round = index.and_then(|index| report.rounds.measured(index).next());
    let facts = round
        .into_iter()
        .flat_map(|round| &round.worker.runtime_facts);
    describe::list(facts.map(|(name, value)| format!("{name} {value}")), ", ")
}

pub(super) fn run(record: &Record) -> Markup {
    let machine = &record.machine;
    let known = |fact: &Option<String>| fact.clone().unwrap_or("n/a".to_owned());
    html! {
        section id="run" aria-labelledby="run:heading" {
            h2 id="run:heading" { "The run" }
            dl {
                dt { "command" } dd { code { (record.command_line.join(" ")) } }
                @if let Some(defaults) = describe::defaults(&record.defaults) {
                    dt { "defaults" } dd { code { (defaults) } }
                }
                dt { "run" } dd { (record.id) }
                dt { "in its directory" } dd {
                    a href="record.json" { "record.json" } ", " a href="rounds.hlog" { "rounds.hlog" } ", charts as PNG in "
                    code { "charts/" }
                }
                dt { "seed" } dd { (record.seed) }
                dt { "plan hash" } dd { code { (record.plan_hash) } }
                dt { "tool" } dd { (record.tool.name) " " (record.tool.version) ", " (record.tool.profile) " build" }
                dt { "placement" } dd { (describe::placement(&record.plan)) }
                dt { "operating system" } dd { (machine.os) ", " (machine.arch) }
                dt { "processor" } dd {
                    (known(&machine.cpu_model)) "; " (describe::plural(machine.cpus_online as usize, "CPU")) " online, "
                    (describe::cpus(&machine.cpus_allowed)) " allowed"
                }
                dt { "memory" } dd { (machine.memory_bytes.map_or("n/a".to_owned(), |bytes| units::bytes(bytes as f64))) }
                dt { "hypervisor" } dd { (known(&machine.hypervisor)) }
                dt { "frequency governor" } dd { (known(&machine.governor)) }
                dt { "clock source" } dd { (known(&machine.clock_source)) }
                dt { "load average" } dd { (known(&machine.load_average_1m)) }
                dt { "open files" } dd { (machine.open_files_limit.map_or("n/a".to_owned(), |limit| limit.to_string())) }
                dt { "boot" } dd { (known(&machine.boot_id)) }
            }
            @if !record.dependencies.is_empty() {
                details {
                    summary { "Exact versions of " (record.dependencies.len()) " dependencies" }
                    ul.versions { @for (name, version) in &record.dependencies { li { (name) " " (version) } } }
                }
            }
        }
    }
}
