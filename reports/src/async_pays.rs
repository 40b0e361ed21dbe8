//! Where does asynchronous code pay? Its best runtime against `sync` and against `threads`, scenario by scenario.
//!
//! Rows come of every scenario and closed load under which all three kinds were measured: how much faster the best async
//! runtime is than sequential code and than threads (pairs within blocks, with a verdict), and what it costs in CPU and
//! memory beside threads. "Best" is chosen by the same rounds that the ratio is made of, which flatters it by a little
//! where several are nearly equal. Whether the work waits, and for what, is what decides: so rows go by class.

use photofinish_harness::runtimes::descriptor;
use photofinish_record::Record;
use photofinish_record::load::Load;

use crate::metrics::{METRICS, Metric, THROUGHPUT};
use crate::summary::{CellSummary, Group, Status, Summary};
use crate::verdict::{Comparison, Pair, Verdict, compare};
use crate::{describe, units};

/// The question, as a heading.
pub const QUESTION: &str = "Where does asynchronous code pay?";

/// What the columns say.
pub const LEGEND: &str = "The async runtime with the highest throughput against sync and against threads: operations \
    per second as a ratio with its verdict, CPU time per operation and peak memory as ratios to threads (below 1: async \
    needs less).";

/// What the columns are called, after the scenario's.
pub const HEADINGS: [&str; 6] = [
    "in flight",
    "best async",
    "vs sync",
    "vs threads",
    "CPU",
    "memory",
];

/// One scenario under one load.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The scenario's class.
    pub class: String,
    /// Name of the scenario.
    pub scenario: String,
    /// Sessions in flight.
    pub concurrency: u32,
    /// The async runtime with the highest throughput.
    pub best: String,
    /// The best against sequential code.
    pub sync: Against,
    /// The best against a thread for each session.
    pub threads: Against,
}

/// The best async runtime against another one, as ratios: async's number over the other's.
#[derive(Clone, Debug, PartialEq)]
pub struct Against {
    /// Throughput, from pairs within blocks; above 1, async is faster.
    pub speed: Option<Comparison>,
    /// CPU time per operation, of the medians; below 1, async needs less.
    pub cpu: Option<f64>,
    /// Peak memory, of the medians; below 1, async needs less.
    pub memory: Option<f64>,
}

/// The runtimes that the best async one is held against.
pub(crate) const SYNC: &str = "sync";
pub(crate) const THREADS: &str = "threads";

/// The suite that asks the question.
pub const SUITE: &str = "where-async-pays";

/// The rows, classes together, in the plan's order; empty where that was not asked, or no load has all three kinds.
pub fn rows(record: &Record, summary: &Summary) -> Vec<Row> {
    if record.plan.suite.as_deref() != Some(SUITE) {
        return Vec::new();
    }
    let groups = summary.groups();
    let mut rows: Vec<Row> = groups
        .iter()
        .filter_map(|group| row(record, group))
        .collect();
    let mut classes: Vec<String> = Vec::new();
    for row in &rows {
        if !classes.contains(&row.class) {
            classes.push(row.class.clone());
        }
    }
    rows.sort_by_key(|row| classes.iter().position(|class| *class == row.class));
    rows
}

fn row(record: &Record, group: &Group<'_>) -> Option<Row> {
    let Load::Closed { concurrency } = group.load else {
        return None;
    };
    let measured = |name: &str| {
        let same = |cell: &&&CellSummary| cell.runtime == name && cell.status == Status::Ok;
        group.cells.iter().find(same).copied()
    };
    let (sync, threads) = (measured(SYNC)?, measured(THREADS)?);
    let best = best_async(group)?;
    Some(Row {
        class: best.class.clone(),
        scenario: best.scenario.clone(),
        concurrency: concurrency.get(),
        best: best.runtime.clone(),
        sync: Against::of(record, best, sync),
        threads: Against::of(record, best, threads),
    })
}

impl Row {
    /// What stands under [`HEADINGS`].
    pub fn cells(&self) -> [String; 6] {
        [
            self.concurrency.to_string(),
            self.best.clone(),
            told(self.sync.speed.as_ref()),
            told(self.threads.speed.as_ref()),
            ratio(self.threads.cpu),
            ratio(self.threads.memory),
        ]
    }
}

impl Against {
    fn of(record: &Record, best: &CellSummary, other: &CellSummary) -> Self {
        let speed = || {
            let pair = Pair {
                cell: index_of(record, best)?,
                against: index_of(record, other)?,
            };
            compare(record, named(THROUGHPUT)?, pair)
        };
        Self {
            speed: speed(),
            cpu: share(best, other, "cpu_ns_per_op"),
            memory: share(best, other, "peak_rss_bytes"),
        }
    }
}

fn best_async<'a>(group: &Group<'a>) -> Option<&'a CellSummary> {
    let is_async = |cell: &&CellSummary| {
        cell.status == Status::Ok
            && descriptor(&cell.runtime)
                .is_some_and(|known| known.family == photofinish_record::RuntimeFamily::Async)
    };
    let throughput =
        |cell: &CellSummary| cell.metric(THROUGHPUT).map_or(0.0, |metric| metric.median);
    let candidates = group.cells.iter().copied().filter(is_async);
    candidates.max_by(|a, b| throughput(a).total_cmp(&throughput(b)))
}

fn index_of(record: &Record, cell: &CellSummary) -> Option<usize> {
    record.plan.cells.iter().position(|planned| {
        planned.scenario == cell.scenario
            && planned.runtime == cell.runtime
            && planned.load == cell.load
            && planned.arm == cell.arm
    })
}

fn named(metric: &str) -> Option<&'static Metric> {
    METRICS.iter().find(|known| known.name == metric)
}

/// `4.97× faster`, `1.01× tie`; without a verdict the ratio alone.
fn told(comparison: Option<&Comparison>) -> String {
    let Some(comparison) = comparison else {
        return "n/a".to_owned();
    };
    let ratio = units::ratio(comparison.median);
    match comparison.verdict {
        Some(Verdict::Inconclusive) => format!("{ratio} ?"),
        Some(verdict) => format!("{ratio} {}", describe::verdict_word(verdict)),
        None => ratio,
    }
}

fn ratio(share: Option<f64>) -> String {
    share.map_or("n/a".to_owned(), units::ratio)
}

/// The ratio of the medians; `None` where either is unknown or is nothing.
fn share(cell: &CellSummary, of: &CellSummary, metric: &str) -> Option<f64> {
    let value = |cell: &CellSummary| cell.metric(metric).map(|metric| metric.median);
    let (own, other) = (value(cell)?, value(of)?);
    (own > 0.0 && other > 0.0).then(|| own / other)
}
