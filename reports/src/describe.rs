//! Descriptions: parts of a plan in the few words that tables, charts and the page share.
//!
//! Sentences and phrases only; layout is the business of each output, and numbers go through `units`.

use photofinish_harness::load::{Arrivals, Load, Stop};
use photofinish_harness::machine::Machine;
use photofinish_harness::record::{
    Completion, Placement, PlacementKind, PlannedScenario, PlannedServer,
};

use crate::summary::{CellSummary, ErrorKind, Group, Lead, MetricSummary, Ratio, Status, Summary};
use crate::units;

/// Said once wherever closed load is shown.
pub const CLOSED_LOAD: &str = "Closed load: a session's next operation waits for its last, so these are service times; \
    queueing is hidden (coordinated omission).";

/// What `~` before a number says.
pub const ADVISORY: &str =
    "~ too few operations in a round for this percentile: a hint, not a result.";

/// What stands behind each target: `mock http server`, `nginx/1.22.1 at http://127.0.0.1:80/`; `no server`.
pub fn servers(scenario: &PlannedScenario) -> String {
    let described: Vec<String> = scenario.servers.values().map(server).collect();
    match described.as_slice() {
        [] => "no server".to_owned(),
        servers => servers.join(" and "),
    }
}

fn server(server: &PlannedServer) -> String {
    match server {
        PlannedServer::Mock { server, .. } => format!("mock {server} server"),
        PlannedServer::External {
            url,
            software: Some(software),
        } => format!("{software} at {url}"),
        PlannedServer::External {
            url,
            software: None,
        } => format!("server at {url}"),
    }
}

/// When a phase ends: `2s`, `5 operations`.
pub fn stop(stop: Stop) -> String {
    match stop {
        Stop::DurationNs(duration_ns) => units::tick(&units::duration(duration_ns.get() as f64)),
        Stop::Ops(ops) if ops.get() == 1 => "1 operation".to_owned(),
        Stop::Ops(ops) => format!("{ops} operations"),
    }
}

/// `5 rounds of 2s`.
pub fn rounds(rounds: usize, scenario: Option<&PlannedScenario>) -> String {
    let count = plural(rounds, "round");
    scenario.map_or(count.clone(), |scenario| {
        format!("{count} of {}", stop(scenario.stop))
    })
}

/// A time of day for people: `2026-11-20 18:27:43 UTC`; what is not RFC 3339 stays as it is.
pub fn time(rfc3339: &str) -> String {
    let time: Result<jiff::Timestamp, _> = rfc3339.parse();
    time.map_or_else(
        |_| rfc3339.to_owned(),
        |time| time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
    )
}

/// How long a run took: `48 s`, `5 min 38 s`.
pub fn elapsed(elapsed_ns: u64) -> String {
    let seconds = (elapsed_ns as f64 / 1e9).round() as u64;
    match (seconds / 60, seconds % 60) {
        (0, seconds) => format!("{seconds} s"),
        (minutes, seconds) => format!("{minutes} min {seconds} s"),
    }
}

/// `1 round`, `5 rounds`.
pub fn plural(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// A load as part of a file's name: `c64`.
pub fn load_slug(load: Load) -> String {
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
            };
            format!("{spread}{rate_hz}.c{concurrency}")
        }
    }
}

/// Which CPUs server and worker ran on.
pub fn placement(placement: &Placement) -> String {
    let (server, worker) = (cpus(&placement.server_cpus), cpus(&placement.worker_cpus));
    match placement.kind {
        PlacementKind::Split => format!("split: server on {server}, worker on {worker}"),
        PlacementKind::Same => format!("same: server and worker on {worker}"),
        PlacementKind::Shared => format!("shared: server and worker both on {worker}"),
    }
}

/// `CPU 1`, `CPUs 0-3,6`.
pub fn cpus(numbers: &[usize]) -> String {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for number in numbers {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == *number => *last = *number,
            _ => ranges.push((*number, *number)),
        }
    }
    let range = |(first, last): &(usize, usize)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    };
    match numbers {
        [] => "any CPU".to_owned(),
        [one] => format!("CPU {one}"),
        _ => format!(
            "CPUs {}",
            ranges.iter().map(range).collect::<Vec<_>>().join(",")
        ),
    }
}

/// The machine in one line: `Linux 6.1.0, x86_64, 2 CPUs (Xeon), 4.00GiB`.
pub fn machine(machine: &Machine) -> String {
    let model = machine
        .cpu_model
        .as_ref()
        .map(|model| format!(" ({model})"))
        .unwrap_or_default();
    let memory = machine
        .memory_bytes
        .map(|bytes| format!(", {}", units::bytes(bytes as f64)))
        .unwrap_or_default();
    let cpus = plural(machine.cpus_online as usize, "CPU");
    format!("{}, {}, {cpus}{model}{memory}", machine.os, machine.arch)
}

/// Why the run did not come to its end; `None` where it did.
pub fn incomplete(completion: &Completion) -> Option<String> {
    match completion {
        Completion::Complete => None,
        Completion::Interrupted => {
            Some("The run was interrupted; what was measured until then follows.".to_owned())
        }
        Completion::Failed { reason } => Some(format!(
            "The run could not go on: {reason}. What was measured until then follows."
        )),
    }
}

/// What can be said of the highest throughput without a verdict; `None` where there was nothing to compare.
pub fn lead(group: &Group<'_>) -> Option<String> {
    match group.lead() {
        Lead::Apart { first, second } => Some(format!(
            "Highest throughput: {}; its interval lies apart from that of the next, {}.",
            first.runtime, second.runtime
        )),
        Lead::Unclear { first, second } => Some(format!(
            "No clear winner: the intervals of {} and {} overlap.",
            first.runtime, second.runtime
        )),
        Lead::TooFewRounds { rounds, .. } => Some(format!(
            "No clear winner: {} cannot tell.",
            plural(rounds, "round")
        )),
        Lead::Alone { .. } | Lead::Nothing => None,
    }
}

/// A metric's median for a table, `~` before what is advisory; `n/a` where it could not be known.
pub fn value(metric: Option<&MetricSummary>) -> String {
    metric.map_or("n/a".to_owned(), |metric| {
        let mark = if metric.advisory.is_some() { "~" } else { "" };
        format!("{mark}{}", units::with_unit(metric.median, &metric.unit))
    })
}

/// The ratio to the first runtime; `1×` of that one itself.
pub fn ratio(cell: &CellSummary) -> String {
    cell.ratio
        .as_ref()
        .map_or("1×".to_owned(), |ratio| units::ratio(ratio.median))
}

/// How far the ratio's interval reaches; nothing where one round has no spread.
pub fn ratio_spread(cell: &CellSummary) -> String {
    let spread = |ratio: &Ratio| units::spread(ratio.median, ratio.low, ratio.high);
    cell.ratio
        .as_ref()
        .filter(|ratio| ratio.pairs > 1)
        .map(spread)
        .unwrap_or_default()
}

/// What the spread says, with the confidence that the rounds allow; `None` where nothing was compared.
pub fn spread_legend(summary: &Summary) -> Option<String> {
    let mut counts: Vec<(usize, f64)> = summary
        .cells
        .iter()
        .filter_map(|cell| cell.ratio.as_ref())
        .map(|ratio| (ratio.pairs, ratio.confidence))
        .collect();
    counts.sort_by_key(|(pairs, _)| *pairs);
    counts.dedup_by_key(|(pairs, _)| *pairs);
    let confidence = |(pairs, confidence): &(usize, f64)| {
        format!(
            "{:.0}% over {}",
            100.0 * confidence,
            plural(*pairs, "round")
        )
    };
    let several: Vec<String> = counts
        .iter()
        .filter(|(pairs, _)| *pairs > 1)
        .map(confidence)
        .collect();
    match (counts.is_empty(), several.is_empty()) {
        (true, _) => None,
        (false, true) => Some("One round has no spread: repeat with more rounds.".to_owned()),
        (false, false) => Some(format!(
            "spread: how far the ratio's interval reaches, with confidence {}.",
            several.join(", ")
        )),
    }
}

/// Said where a runtime ran another number of sessions than was asked for.
pub fn fewer_sessions(cell: &CellSummary) -> Option<String> {
    let sessions = cell.sessions?;
    let asked = cell.load.concurrency().get();
    (sessions != asked).then(|| {
        format!(
            "{} ran {}, not {asked}.",
            cell.runtime,
            plural(sessions as usize, "session")
        )
    })
}

/// Runtimes of a group that have no numbers, for one and the same reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Absent {
    /// Their names.
    pub runtimes: String,
    /// What became of them.
    pub status: Status,
    /// Why, in one sentence.
    pub reason: String,
}

/// The runtimes of a group that have no numbers, by reason, in the plan's order.
pub fn absent(group: &Group<'_>) -> Vec<Absent> {
    let mut absent: Vec<Absent> = Vec::new();
    for cell in group.unranked() {
        let reason = cell.reason.clone().unwrap_or("no reason given".to_owned());
        match absent
            .iter_mut()
            .find(|known| known.status == cell.status && known.reason == reason)
        {
            Some(known) => known.runtimes += &format!(", {}", cell.runtime),
            None => absent.push(Absent {
                runtimes: cell.runtime.clone(),
                status: cell.status,
                reason,
            }),
        }
    }
    absent
}

/// A status in the word that people read.
pub fn status(status: Status) -> &'static str {
    match status {
        Status::Ok => "ok",
        Status::Unsupported => "unsupported",
        Status::Invalid => "invalid",
        Status::Failed => "failed",
    }
}

/// A cell's failed operations by kind, with the first of each.
pub fn errors(cell: &CellSummary) -> String {
    let kind = |(kind, errors): (&String, &ErrorKind)| {
        format!(
            "{} × {kind} ({})",
            units::count(errors.count as f64),
            errors.example
        )
    };
    let kinds: Vec<String> = cell.errors_by_kind.iter().map(kind).collect();
    format!("{}: errors: {}", cell.runtime, kinds.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_cpus_are_ranges() {
        assert_eq!(cpus(&[]), "any CPU");
        assert_eq!(cpus(&[3]), "CPU 3");
        assert_eq!(cpus(&[0, 1, 2, 3, 6, 8, 9]), "CPUs 0-3,6,8-9");
    }
}
