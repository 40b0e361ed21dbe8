//! A plan in words: the servers behind a scenario, the length of a phase, a cell, a load point.
//!
//! A load point has two forms, one for readers and one for file names.

use photofinish_record::load::{Arrivals, Load, Stop};
use photofinish_record::{Arm, Cell, DefaultOption, Plan, PlannedScenario, PlannedServer};

use super::{list, plural};
use crate::names::slug;
use crate::units;
use crate::warmup::{ColdLane, demanding_lane};

/// Number of scenarios named in a heading; more are counted.
const MOST_NAMES: usize = 6;

/// The name of what ran: the suite's title; without a suite, these scenarios.
pub fn subject(plan: &Plan, scenarios: &[&str]) -> String {
    let suite = plan.title.as_ref().or(plan.suite.as_ref());
    match (suite, scenarios.len()) {
        (Some(title), _) => title.clone(),
        (None, 0) => "nothing measured".to_owned(),
        (None, 1..=MOST_NAMES) => scenarios.join(", "),
        (None, many) => format!("{many} scenarios"),
    }
}

/// The servers behind the targets: `mock http server`, `nginx/1.22.1 at http://127.0.0.1:80/`; `no server`.
pub fn servers(scenario: &PlannedScenario) -> String {
    if scenario.servers.is_empty() {
        return "no server".to_owned();
    }
    super::list(scenario.servers.values().map(server), " and ")
}

fn server(server: &PlannedServer) -> String {
    match server {
        PlannedServer::Mock { server, tls, .. } => {
            let over = if tls.is_some() { " over TLS" } else { "" };
            format!("mock {server} server{over}")
        }
        PlannedServer::Arm { url, .. } => format!("own server at {url}"),
        PlannedServer::External {
            url, software, tls, ..
        } => {
            // Other URLs show it themselves.
            let is_hidden = tls.is_some() && url.starts_with("postgres");
            let over = if is_hidden { " over TLS" } else { "" };
            format!("{} at {url}{over}", software.as_deref().unwrap_or("server"))
        }
    }
}

/// The length of a phase: `2s`, `5 operations`.
pub fn stop(stop: Stop) -> String {
    match stop {
        Stop::DurationNs(duration_ns) => units::tick(&units::duration(duration_ns.get() as f64)),
        Stop::Ops(ops) if ops.get() == 1 => "1 operation".to_owned(),
        Stop::Ops(ops) => format!("{ops} operations"),
    }
}

/// The warm-up of a scenario: `300ms`; `3s (for node)` if a lane asks for as much.
pub fn warmup(plan: &Plan, scenario: &PlannedScenario) -> String {
    let length = stop(scenario.warmup);
    match demanding_lane(plan, scenario) {
        Some(lane) => format!("{length} (for {lane})"),
        None => length,
    }
}

/// A lane that is measured after too short a warm-up.
pub fn cold_lane(lane: &ColdLane) -> String {
    let length = |ns: u64| units::tick(&units::duration(ns as f64));
    format!(
        "{}: a warm-up of {}, where it asks for {}: its code may get faster while it is measured",
        lane.name,
        length(lane.given_ns),
        length(lane.minimum_ns)
    )
}

/// `5 rounds of 2s`.
pub fn rounds(rounds: usize, scenario: Option<&PlannedScenario>) -> String {
    let count = plural(rounds, "round");
    scenario.map_or(count.clone(), |scenario| {
        format!("{count} of {}", stop(scenario.stop))
    })
}

/// A cell: `http-get / tokio (closed, 16 in flight, head)`.
pub fn cell(cell: &Cell) -> String {
    let point = point(cell.load, cell.arm, None);
    format!("{} / {} ({point})", cell.scenario, cell.runtime)
}

/// A load point, with its side if there are two, and with the stack of runtimes in another language: `closed, 16 sessions`,
/// `closed, 16 sessions, head`, `closed, 16 sessions, Python`.
pub fn point(load: Load, arm: Option<Arm>, stack: Option<&str>) -> String {
    let parts = [arm.map(Arm::name), stack];
    let parts = parts.into_iter().flatten().map(|part| format!(", {part}"));
    parts.fold(load.to_string(), |point, part| point + &part)
}

/// A load point as part of a file name: `c64`, `c64.head`, `c64.python`.
pub fn point_slug(load: Load, arm: Option<Arm>, stack: Option<&str>) -> String {
    let parts = [arm.map(|arm| arm.name().to_owned()), stack.map(slug)];
    let parts = parts.into_iter().flatten().map(|part| format!(".{part}"));
    parts.fold(load_slug(load), |point, part| point + &part)
}

/// A load as part of a file name: `c64`.
fn load_slug(load: Load) -> String {
    match load {
        Load::Closed { concurrency } => format!("c{concurrency}"),
        Load::Open {
            arrivals,
            rate_hz,
            concurrency,
        } => {
            let spread = match arrivals {
                Arrivals::Constant => "r",
                Arrivals::Poisson => "p",
                Arrivals::Bursts => "b",
            };
            format!("{spread}{rate_hz}.c{concurrency}")
        }
    }
}

/// Options from files and the environment, by source: `--rounds=20 from photofinish.toml`; `None` if there are none.
pub fn defaults(defaults: &[DefaultOption]) -> Option<String> {
    let by_source = defaults.chunk_by(|one, other| one.source == other.source);
    let texts = by_source.map(|options| {
        let texts = options.iter().map(|it| it.option.clone());
        format!("{} from {}", list(texts, " "), options[0].source)
    });
    (!defaults.is_empty()).then(|| list(texts, "; "))
}
