//! Descriptions: parts of a plan in the few words that tables, charts and the page share.
//!
//! Sentences and phrases only; layout is the business of each output, and numbers go through `units`. What is said of open
//! loads alone, and of the measuring loop, is in `open` and `floor` below this.

mod floor;
mod gate;
mod open;

pub use floor::floor;
pub use gate::{gate_bounds, gate_finding, gate_heading, gate_value, requirement, signed_percent};
pub use open::{achieved, arrivals, pacing, rate_not_held};

use photofinish_harness::load::{Arrivals, Load, Stop};
use photofinish_harness::machine::Machine;
use photofinish_harness::record::{
    Arm, Completion, Placement, PlacementKind, PlannedScenario, PlannedServer,
};

use crate::metrics::{ACHIEVED, OFFERED, RESPONSE_P50, RESPONSE_P99, THROUGHPUT};
use crate::summary::{CellSummary, ErrorKind, Group, MetricSummary, Status, Summary};
use crate::units;
use crate::verdict::{Comparison, Verdict};

/// Said once wherever closed load is shown.
pub const CLOSED_LOAD: &str = "Closed load: a session's next operation waits for its last, so these are service times; \
    queueing is hidden (coordinated omission).";

/// Said once wherever open load is shown.
pub const OPEN_LOAD: &str = "Open load: response time runs from when an operation was due (p50, p99 and p99.9 are \
    response times), service time from its start; lag is what lies between.";

/// What `≥` before a number says.
pub const LOWER_BOUND: &str =
    "≥ a lower bound: operations that had not ended count as long as they had waited.";

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
        PlannedServer::Arm { url } => format!("the arm's own server at {url}"),
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

/// `1 round was`, `5 rounds were`.
pub fn were(count: usize, noun: &str) -> String {
    let verb = if count == 1 { "was" } else { "were" };
    format!("{} {verb}", plural(count, noun))
}

/// `is 1`, `are 5`.
pub fn are(count: usize) -> String {
    let verb = if count == 1 { "is" } else { "are" };
    format!("{verb} {count}")
}

/// A load as part of a file's name: `c64`.
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
            };
            format!("{spread}{rate_hz}.c{concurrency}")
        }
    }
}

/// A load point, with its side where there are two: `closed, 16 sessions`, `closed, 16 sessions, head`.
pub fn point(load: Load, arm: Option<Arm>) -> String {
    match arm {
        Some(arm) => format!("{load}, {}", arm.name()),
        None => load.to_string(),
    }
}

/// A load point as part of a file's name: `c64`, `c64.head`.
pub fn point_slug(load: Load, arm: Option<Arm>) -> String {
    match arm {
        Some(arm) => format!("{}.{}", load_slug(load), arm.name()),
        None => load_slug(load),
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

/// The runtime that is first by the headline's metric, as a sentence; `None` where none has numbers.
pub fn first(group: &Group<'_>) -> Option<String> {
    let first = *group.ranked().first()?;
    let value = value(first.metric(group.headline()));
    Some(match group.load {
        Load::Closed { .. } => format!("{} at {value} operations per second.", first.runtime),
        Load::Open { .. } => {
            let by = headline(group);
            format!("{}, whose {by} is {value}.", first.runtime)
        }
    })
}

/// The headline's metric in words.
pub fn headline(group: &Group<'_>) -> &'static str {
    match group.headline() {
        THROUGHPUT => "throughput",
        RESPONSE_P99 => "response p99",
        RESPONSE_P50 => "response p50",
        other => other,
    }
}

/// Who is faster than the reference, who is not, and from where on this run could have told; `None` where there was
/// nothing to compare.
pub fn verdicts(group: &Group<'_>) -> Option<String> {
    let baseline = group.baseline()?;
    let said = said_alike(group);
    if let ([(said, _)], false) = (said.as_slice(), group.has_verdicts()) {
        return Some(format!("No verdict against {baseline}: {}.", said.reason()));
    }
    let phrases: Vec<String> = said
        .iter()
        .map(|(said, runtimes)| said.of(runtimes))
        .collect();
    let callable = callable(group).map(|text| format!(" {text}"));
    Some(format!(
        "By {} against {baseline}: {}.{}",
        headline(group),
        phrases.join("; "),
        callable.unwrap_or_default()
    ))
}

/// What is said of a runtime against the reference.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Said<'a> {
    verdict: Option<Verdict>,
    reason: Option<&'a str>,
}

impl Said<'_> {
    fn reason(&self) -> &str {
        self.reason.unwrap_or("the record does not say why")
    }

    fn of(&self, runtimes: &[&str]) -> String {
        let names = runtimes.join(", ");
        let reason = self.reason.map(|reason| format!(" ({reason})"));
        let reason = reason.unwrap_or_default();
        match self.verdict {
            Some(Verdict::Tie) => format!("{names} a tie{reason}"),
            Some(verdict) => format!("{names} {}{reason}", verdict_word(verdict)),
            None => format!("{names} without a verdict{reason}"),
        }
    }
}

/// Runtimes of which the same is said, the best first.
fn said_alike<'a>(group: &Group<'a>) -> Vec<(Said<'a>, Vec<&'a str>)> {
    let mut alike: Vec<(Said<'a>, Vec<&'a str>)> = Vec::new();
    let order = |said: &Said<'_>| match said.verdict {
        Some(Verdict::Faster) => 0,
        Some(Verdict::Tie) => 1,
        Some(Verdict::Slower) => 2,
        Some(Verdict::Inconclusive) => 3,
        None => 4,
    };
    for (cell, comparison) in group.comparisons() {
        let said = Said {
            verdict: comparison.verdict,
            reason: comparison.reason.as_deref(),
        };
        match alike.iter_mut().find(|(known, _)| *known == said) {
            Some((_, runtimes)) => runtimes.push(&cell.runtime),
            None => alike.push((said, vec![&cell.runtime])),
        }
    }
    alike.sort_by_key(|(said, _)| order(said));
    alike
}

/// From which difference on this run could have told, over all comparisons of the group.
fn callable(group: &Group<'_>) -> Option<String> {
    let shares: Vec<f64> = group
        .comparisons()
        .filter_map(|(_, comparison)| comparison.smallest_callable)
        .collect();
    let least = units::percent(shares.iter().copied().reduce(f64::min)?);
    let most = units::percent(shares.iter().copied().reduce(f64::max)?);
    Some(match least == most {
        true => format!("The smallest difference that could have been called: {least}."),
        false => {
            format!("The smallest differences that could have been called: {least} to {most}.")
        }
    })
}

/// A verdict in the word that people read.
pub fn verdict_word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Faster => "faster",
        Verdict::Slower => "slower",
        Verdict::Tie => "tie",
        Verdict::Inconclusive => "inconclusive",
    }
}

/// The verdict of a comparison for a table; nothing where there is none.
pub fn verdict(comparison: &Comparison) -> &'static str {
    comparison.verdict.map_or("", verdict_word)
}

/// The verdict on a cell by the headline's metric; nothing of the reference itself, and where there is none.
pub fn verdict_of(cell: &CellSummary, group: &Group<'_>) -> String {
    let comparison = cell.comparisons.get(group.headline());
    comparison.map_or("", verdict).to_owned()
}

/// What the verdicts mean, with the rule they were made by; `None` where there is none.
pub fn verdict_legend(summary: &Summary) -> Option<String> {
    let given = |cell: &CellSummary| {
        cell.comparisons
            .values()
            .any(|comparison| comparison.verdict.is_some())
    };
    let floor = units::percent(summary.rule.floor);
    let look = summary.look.map(|look| {
        format!(
            " This is look {} of {}, which share the error rate.",
            look.number, look.planned
        )
    });
    let there = summary.search.is_none() && summary.cells.iter().any(given);
    there.then(|| {
        format!(
            "faster, slower: the whole interval lies beyond a difference of {floor}; tie: all of it within; \
             inconclusive: neither, so this run cannot tell.{}",
            look.unwrap_or_default()
        )
    })
}

/// A column of the table of results.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its heading.
    pub heading: &'static str,
    /// The metric in it.
    pub metric: &'static str,
    /// How much it is worth where there is no room for all: 0 is given up last.
    pub rank: u8,
}

/// The columns of the table of results under `load`.
pub fn columns(load: Load) -> &'static [Column] {
    const fn column(heading: &'static str, metric: &'static str, rank: u8) -> Column {
        Column {
            heading,
            metric,
            rank,
        }
    }
    const CLOSED: &[Column] = &[
        column("ops/s", THROUGHPUT, 0),
        column("p50", "service_p50_ns", 2),
        column("p99", "service_p99_ns", 3),
        column("p99.9", "service_p999_ns", 6),
        column("CPU/op", "cpu_ns_per_op", 4),
        column("memory", "peak_rss_bytes", 5),
    ];
    const OPEN: &[Column] = &[
        column("offered/s", OFFERED, 8),
        column("ops/s", ACHIEVED, 1),
        column("p50", RESPONSE_P50, 2),
        column("p99", RESPONSE_P99, 0),
        column("p99.9", "response_p999_ns", 4),
        column("service p99", "service_p99_ns", 3),
        column("lag p99", "lag_p99_ns", 5),
        column("CPU/op", "cpu_ns_per_op", 6),
        column("memory", "peak_rss_bytes", 7),
    ];
    match load {
        Load::Closed { .. } => CLOSED,
        Load::Open { .. } => OPEN,
    }
}

/// The columns of the table of results on a page: under open load without those that the table of costs has, and without
/// the offered rate, which stands below the achieved one.
pub fn page_columns(load: Load) -> impl Iterator<Item = &'static Column> {
    let of_costs = |column: &&Column| COSTS.iter().any(|(_, metric)| *metric == column.metric);
    let offered = |column: &&Column| column.metric == OFFERED;
    let open = load.rate_hz().is_some();
    let columns = columns(load).iter();
    columns.filter(move |column| !open || !(of_costs(column) || offered(column)))
}

/// The columns of the table of costs.
pub const COSTS: &[(&str, &str)] = &[
    ("user CPU", "cpu_user_ns_per_op"),
    ("system CPU", "cpu_system_ns_per_op"),
    ("voluntary switches", "voluntary_switches_per_op"),
    ("involuntary switches", "involuntary_switches_per_op"),
    ("page faults", "page_faults_per_op"),
    ("instructions", "instructions_per_op"),
    ("system calls", "syscalls_per_op"),
    ("peak memory", "peak_rss_bytes"),
    ("floor of the loop", "floor_ns_per_op"),
];

/// What a cell shows in a column of the table of results; a rate that was not held is never shown without saying so.
pub fn result(cell: &CellSummary, column: &Column) -> String {
    match column.metric {
        ACHIEVED => achieved(cell),
        metric => value(cell.metric(metric)),
    }
}

/// A metric's median for a table, `≥` before a lower bound and `~` before what else is advisory; `n/a` where it could not be known.
pub fn value(metric: Option<&MetricSummary>) -> String {
    metric.map_or("n/a".to_owned(), |metric| {
        let mark = match (&metric.advisory, metric.lower_bound) {
            (_, true) => "≥",
            (Some(_), false) => "~",
            (None, false) => "",
        };
        format!("{mark}{}", units::with_unit(metric.median, &metric.unit))
    })
}

/// The ratio to the reference by the headline's metric; `1×` of the reference itself.
pub fn ratio(cell: &CellSummary, group: &Group<'_>) -> String {
    match cell.comparisons.get(group.headline()) {
        Some(comparison) => units::ratio(comparison.median),
        None if group.baseline() == Some(&cell.runtime) => "1×".to_owned(),
        None => "n/a".to_owned(),
    }
}

/// How far that ratio's interval reaches; nothing where one round has no spread.
pub fn ratio_spread(cell: &CellSummary, group: &Group<'_>) -> String {
    let spread = |ratio: &Comparison| units::spread(ratio.median, ratio.low, ratio.high);
    cell.comparisons
        .get(group.headline())
        .filter(|ratio| ratio.pairs > 1)
        .map(spread)
        .unwrap_or_default()
}

/// What the spread says, with the confidence that the rounds allow; `None` where nothing was compared.
pub fn spread_legend(summary: &Summary) -> Option<String> {
    if summary.search.is_some() {
        return None;
    }
    let groups = summary.groups();
    let mut counts: Vec<(usize, f64)> = groups
        .iter()
        .flat_map(Group::comparisons)
        .map(|(_, ratio)| (ratio.pairs, ratio.confidence))
        .collect();
    counts.sort_by_key(|(pairs, _)| *pairs);
    counts.dedup_by_key(|(pairs, _)| *pairs);
    let confidence = |(pairs, confidence): &(usize, f64)| {
        // 99.75 % is not 100 %.
        let percent = format!("{:.1}", 100.0 * confidence);
        let percent = percent.strip_suffix(".0").unwrap_or(&percent);
        format!("{percent}% over {}", plural(*pairs, "round"))
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

/// What kinds of time the tables show, for each kind of load in them.
pub fn load_legends(summary: &Summary) -> Vec<&'static str> {
    let open = |cell: &&CellSummary| matches!(cell.load, Load::Open { .. });
    let measured = || shown(summary);
    let closed = measured().any(|cell| !open(&cell));
    let opened = measured().any(|cell| open(&cell));
    [(closed, CLOSED_LOAD), (opened, OPEN_LOAD)]
        .into_iter()
        .filter_map(|(shown, sentence)| shown.then_some(sentence))
        .collect()
}

/// What marks before numbers say, of those that there are.
pub fn mark_legends(summary: &Summary) -> Vec<&'static str> {
    let metrics = || shown(summary).flat_map(|cell| cell.metrics.values());
    let advisory = metrics().any(|metric| metric.advisory.is_some() && !metric.lower_bound);
    // The table of a search marks rates with it, and says so itself.
    let lower_bound = summary.search.is_none() && metrics().any(|metric| metric.lower_bound);
    [(advisory, ADVISORY), (lower_bound, LOWER_BOUND)]
        .into_iter()
        .filter_map(|(there, sentence)| there.then_some(sentence))
        .collect()
}

/// The cells whose numbers are shown: all that have some, and of a search those of its rates.
fn shown(summary: &Summary) -> impl Iterator<Item = &CellSummary> {
    let of_search = |cell: &CellSummary| summary.search.is_none() || cell.load.rate_hz().is_some();
    let cells = summary.cells.iter();
    cells.filter(move |cell| cell.status == Status::Ok && of_search(cell))
}

/// Runtimes that have no numbers, for one and the same reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Absent {
    /// Their names.
    pub runtimes: String,
    /// What became of them.
    pub status: Status,
    /// Why, in one sentence.
    pub reason: String,
}

/// The runtimes among these cells that have no numbers, by reason, in the cells' order; each once.
pub fn absent(cells: &[&CellSummary]) -> Vec<Absent> {
    let mut absent: Vec<Absent> = Vec::new();
    for cell in cells.iter().filter(|cell| cell.status != Status::Ok) {
        let reason = cell.reason.clone().unwrap_or("no reason given".to_owned());
        match absent
            .iter_mut()
            .find(|known| known.status == cell.status && known.reason == reason)
        {
            Some(known) if known.runtimes.split(", ").any(|name| name == cell.runtime) => {}
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
