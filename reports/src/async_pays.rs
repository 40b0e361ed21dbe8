//! Answers where asynchronous code pays: its best runtime against sequential code and against threads, by scenario.
//!
//! Each closed load under which all three families were measured is a row: the throughput of the best async runtime as
//! a ratio to the others (pairs within blocks, with a verdict), and its cost in CPU and memory as ratios to threads.
//! "Best" is chosen from the same rounds that the ratio is computed from, which flatters it a little if several
//! runtimes are nearly equal. The deciding factor is whether the work waits, and for what, so rows are sorted by class.

use photofinish_record::RuntimeFamily;
use photofinish_record::load::Load;

use crate::comparison::{CellPair, compare};
use crate::metrics::{THROUGHPUT, named};
use crate::rounds::Rounds;
use crate::rule::Verdict;
use crate::summary::{CellSummary, Comparison, Group, Status, Summary};
use crate::{describe, runtimes, units};

/// The question, as a heading.
pub const QUESTION: &str = "Where does asynchronous code pay?";

/// Explains the columns.
pub const LEGEND: &str = "The async runtime with the highest throughput against sync and against threads: operations \
    per second as a ratio with its verdict, CPU time per operation and peak memory as ratios to threads (below 1: async \
    needs less).";

/// The suite that asks the question.
pub const SUITE: &str = "where-async-pays";

/// The answer to [`QUESTION`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// The runtimes that the best async one is compared with: sequential code, then a thread per session.
    pub references: [String; 2],
    /// Rows grouped by class, in the plan's order; empty unless the suite asks the question and a load has all three
    /// families.
    pub rows: Vec<Row>,
}

/// One scenario under one load.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub class: String,
    pub scenario: String,
    /// Number of concurrent sessions.
    pub concurrency: u32,
    /// The async runtime with the highest throughput.
    pub best: String,
    pub vs_sequential: Ratios,
    pub vs_threads: Ratios,
}

/// The best async runtime's numbers relative to those of another runtime.
#[derive(Clone, Debug, PartialEq)]
pub struct Ratios {
    /// Throughput, from pairs within blocks; above 1, async is faster.
    pub speed: Option<Comparison>,
    /// Ratio of the medians of CPU time per operation; below 1, async needs less.
    pub cpu: Option<f64>,
    /// Ratio of the medians of peak memory; below 1, async needs less.
    pub memory: Option<f64>,
}

impl Answer {
    /// The answer of a run of the suite [`SUITE`].
    pub fn of(rounds: &Rounds<'_>, summary: &Summary) -> Self {
        if rounds.plan.suite.as_deref() != Some(SUITE) {
            return Self::default();
        }
        let mut answer = Self::default();
        let mut classes: Vec<&str> = Vec::new();
        let groups = summary.groups();
        for group in &groups {
            if let Some((row, references)) = row(rounds, group) {
                let class = group.cells[0].class.as_str();
                if !classes.contains(&class) {
                    classes.push(class);
                }
                let several = !answer.rows.is_empty() && answer.references != references;
                answer.rows.push(row);
                // Each stack has its own.
                answer.references = if several {
                    ["sequential", "threads"].map(str::to_owned)
                } else {
                    references
                };
            }
        }
        let position = |row: &Row| classes.iter().position(|class| *class == row.class);
        answer.rows.sort_by_key(position);
        answer
    }

    /// Headings of [`Row::cells`].
    pub fn headings(&self) -> [String; 6] {
        let [sequential, threads] = &self.references;
        [
            "in flight".to_owned(),
            "best async".to_owned(),
            format!("vs {sequential}"),
            format!("vs {threads}"),
            "CPU".to_owned(),
            "memory".to_owned(),
        ]
    }
}

fn row(rounds: &Rounds<'_>, group: &Group<'_>) -> Option<(Row, [String; 2])> {
    let Load::Closed { concurrency } = group.load else {
        return None;
    };
    let of_family = |family: RuntimeFamily| {
        let cells = group.cells.iter().copied();
        cells.filter(move |cell| {
            cell.status == Status::Ok
                && runtimes::family(rounds.plan, &cell.runtime) == Some(family)
        })
    };
    let throughput =
        |cell: &CellSummary| cell.metric(THROUGHPUT).map_or(0.0, |metric| metric.median);
    let sequential = of_family(RuntimeFamily::Sequential).next()?;
    let threads = of_family(RuntimeFamily::Threads).next()?;
    let best =
        of_family(RuntimeFamily::Async).max_by(|a, b| throughput(a).total_cmp(&throughput(b)))?;
    let row = Row {
        class: best.class.clone(),
        scenario: best.scenario.clone(),
        concurrency: concurrency.get(),
        best: best.runtime.clone(),
        vs_sequential: Ratios::of(rounds, best, sequential),
        vs_threads: Ratios::of(rounds, best, threads),
    };
    Some((row, [sequential, threads].map(|cell| cell.runtime.clone())))
}

impl Row {
    /// Texts under [`Answer::headings`].
    pub fn cells(&self) -> [String; 6] {
        [
            self.concurrency.to_string(),
            self.best.clone(),
            speed(self.vs_sequential.speed.as_ref()),
            speed(self.vs_threads.speed.as_ref()),
            ratio(self.vs_threads.cpu),
            ratio(self.vs_threads.memory),
        ]
    }
}

impl Ratios {
    fn of(rounds: &Rounds<'_>, best: &CellSummary, other: &CellSummary) -> Self {
        let speed = || {
            let pair = CellPair {
                cell: rounds.index_of(best)?,
                reference: rounds.index_of(other)?,
            };
            compare(rounds, named(THROUGHPUT)?, pair)
        };
        Self {
            speed: speed(),
            cpu: share(best, other, "cpu_ns_per_op"),
            memory: share(best, other, "peak_rss_bytes"),
        }
    }
}

/// `4.97× faster`, `1.01× tie`; without a verdict the ratio alone.
fn speed(comparison: Option<&Comparison>) -> String {
    let Some(comparison) = comparison else {
        return "n/a".to_owned();
    };
    let ratio = units::ratio(comparison.ratio.value);
    match comparison.verdict {
        Some(Verdict::Inconclusive) => format!("{ratio} ?"),
        Some(verdict) => format!("{ratio} {}", describe::verdict_word(verdict)),
        None => ratio,
    }
}

fn ratio(share: Option<f64>) -> String {
    share.map_or("n/a".to_owned(), units::ratio)
}

/// The ratio of the medians; `None` if either is unknown or 0.
fn share(cell: &CellSummary, of: &CellSummary, metric: &str) -> Option<f64> {
    let value = |cell: &CellSummary| cell.metric(metric).map(|metric| metric.median);
    let (own, other) = (value(cell)?, value(of)?);
    (own > 0.0 && other > 0.0).then(|| own / other)
}
