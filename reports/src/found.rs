//! What a search found, as the rows that every output shows: per scenario and load, the runtimes ranked by rate.
//!
//! The search itself, and when it ends, is `search`'s business; this reads what the record says came of it. The cells of
//! a search are its steps, so that outputs show this instead of them. Next: `charts/load_latency` for the curve.

use std::str::FromStr as _;

use photofinish_record::load::Load;
use photofinish_record::{Record, SearchResult, SearchRound};

use crate::search::Objective;
use crate::statistics;
use crate::summary::{CellSummary, Status, Summary};
use crate::{describe, units};

/// What rows mean.
pub const LEGEND: &str = "Search: the highest rate at which two rounds agreed that the objective is met, and the lowest \
    at which two agreed that it is not. ≥ before a rate: the search came to no end.";

/// What was found in one scenario with one number of sessions.
#[derive(Clone, Debug)]
pub struct Found<'a> {
    /// Name of the scenario.
    pub scenario: &'a str,
    /// The objective as it was asked for.
    pub objective: &'a str,
    /// The objective's time in words: `response p99`.
    pub time: String,
    /// Sessions asked for; `None` where the record does not tell.
    pub sessions: Option<u32>,
    /// The runtimes, that with the highest rate first.
    pub rows: Vec<Row<'a>>,
}

/// What was found for one runtime.
#[derive(Clone, Debug)]
pub struct Row<'a> {
    /// The search as the record has it.
    pub result: &'a SearchResult,
    /// The objective's time at the highest rate that met it, the median over its rounds, in ns.
    pub value_ns: Option<f64>,
    /// Whether a round had too few operations for that percentile.
    pub advisory: bool,
}

/// What a record's search found, in the plan's order; nothing where there was none.
pub fn found<'a>(record: &'a Record, summary: &Summary) -> Vec<Found<'a>> {
    let Some(search) = &record.search else {
        return Vec::new();
    };
    let metric = metric(&search.objective);
    let mut all: Vec<Found<'a>> = Vec::new();
    for (index, result) in search.results.iter().enumerate() {
        let sessions = sessions(record, index);
        let row = Row::of(result, summary, metric.as_deref());
        let same = |known: &&mut Found<'_>| {
            known.scenario == result.scenario && known.sessions == sessions
        };
        match all.iter_mut().find(same) {
            Some(known) => known.rows.push(row),
            None => all.push(Found {
                scenario: &result.scenario,
                objective: &search.objective,
                time: metric.as_deref().map_or("value".to_owned(), words),
                sessions,
                rows: vec![row],
            }),
        }
    }
    for found in &mut all {
        let rate = |row: &Row<'_>| row.result.highest_hz.unwrap_or(0.0);
        found.rows.sort_by(|a, b| rate(b).total_cmp(&rate(a)));
    }
    all
}

/// A rate in Hz that every runtime of a search met the objective at; `None` where one of them met none.
pub fn met_by_all(record: &Record) -> Option<f64> {
    let results = &record.search.as_ref()?.results;
    let highest: Option<Vec<f64>> = results.iter().map(|result| result.highest_hz).collect();
    highest?.into_iter().reduce(f64::min)
}

/// The metric that an objective is about: `response_p99_ns`; `None` of a text that is no objective.
pub fn metric(objective: &str) -> Option<String> {
    let (name, _) = objective.split_once('<')?;
    Objective::from_str(objective).ok()?;
    Some(format!("{}_ns", name.trim().trim_end_matches("_ns")))
}

/// `response p99`.
fn words(metric: &str) -> String {
    metric.trim_end_matches("_ns").replace('_', " ")
}

/// The sessions asked for by the search of this index: the searches are those of the plan's closed loads, in order.
fn sessions(record: &Record, index: usize) -> Option<u32> {
    let mut asked = record.plan.cells.iter().filter_map(|cell| match cell.load {
        Load::Closed { concurrency } if cell.unsupported.is_none() => Some(concurrency.get()),
        _ => None,
    });
    asked.nth(index)
}

impl Found<'_> {
    /// What the rows' columns are called, after the runtime's.
    pub fn headings(&self) -> [String; 5] {
        [
            "highest rate".to_owned(),
            "not met at".to_owned(),
            self.time.clone(),
            "rates".to_owned(),
            "rounds".to_owned(),
        ]
    }

    /// What was looked for: `highest rate with response_p99 < 10ms, 16 sessions`.
    pub fn question(&self) -> String {
        let sessions = self
            .sessions
            .map(|sessions| format!(", {}", describe::plural(sessions as usize, "session")));
        format!(
            "highest rate with {}{}",
            self.objective,
            sessions.unwrap_or_default()
        )
    }

    /// Who is first, as a sentence.
    pub fn first(&self) -> String {
        match self
            .rows
            .first()
            .filter(|row| row.result.highest_hz.is_some())
        {
            Some(first) => format!(
                "{} at {} with {}.",
                first.result.runtime,
                first.highest(),
                self.objective
            ),
            None => format!("no rate was found with {}.", self.objective),
        }
    }

    /// Why searches ended without an answer, in one sentence each.
    pub fn unfinished(&self) -> Vec<String> {
        let reasons = self.rows.iter().filter_map(|row| {
            let reason = row.result.unfinished.as_deref()?;
            Some(format!("{}: unfinished: {reason}", row.result.runtime))
        });
        reasons.collect()
    }

    /// The cells of its steps. One that was planned and never ran is told by its search, which is unfinished.
    pub fn cells<'s>(&self, summary: &'s Summary) -> Vec<&'s CellSummary> {
        let ran = |cell: &CellSummary| cell.status != Status::Failed || cell.rounds_failed > 0;
        let cells = summary.cells.iter();
        cells.filter(|cell| self.holds(cell) && ran(cell)).collect()
    }

    fn holds(&self, cell: &CellSummary) -> bool {
        let sessions = cell.load.concurrency().get();
        cell.scenario == self.scenario && self.sessions.is_none_or(|asked| asked == sessions)
    }
}

impl<'a> Row<'a> {
    fn of(result: &'a SearchResult, summary: &Summary, metric: Option<&str>) -> Self {
        let highest = |rate_hz: f64| result.highest_hz == Some(rate_hz);
        let step = result.steps.iter().find(|step| highest(step.rate_hz));
        let rounds: &[SearchRound] = step.map_or(&[], |step| &step.rounds);
        let values: Vec<f64> = rounds.iter().filter_map(|round| round.value).collect();
        let cell = summary.cells.iter().find(|cell| {
            let rate_hz = cell.load.rate_hz().map(|rate| rate.get());
            cell.scenario == result.scenario
                && cell.runtime == result.runtime
                && cell.status == Status::Ok
                && rate_hz.is_some_and(highest)
        });
        let numbers = cell.zip(metric).and_then(|(cell, name)| cell.metric(name));
        Self {
            result,
            value_ns: statistics::median(&values),
            advisory: numbers.is_some_and(|metric| metric.advisory.is_some()),
        }
    }

    /// The highest rate that met the objective: `16.0k/s`, `≥16.0k/s` where the search came to no end.
    pub fn highest(&self) -> String {
        let mark = if self.result.unfinished.is_some() {
            "≥"
        } else {
            ""
        };
        let rate = |hz| format!("{mark}{}", per_second(hz));
        let none = match self.result.lowest_failing_hz {
            Some(_) => "none",
            None => "n/a",
        };
        self.result.highest_hz.map_or(none.to_owned(), rate)
    }

    /// What stands in its columns, after the runtime's name.
    pub fn cells(&self) -> [String; 5] {
        let mark = if self.advisory { "~" } else { "" };
        let value = |value_ns| format!("{mark}{}", units::duration(value_ns));
        let rounds: usize = self.result.steps.iter().map(|step| step.rounds.len()).sum();
        let failing = match self.result.highest_hz {
            Some(_) => "none",
            None => "n/a",
        };
        let failing = self
            .result
            .lowest_failing_hz
            .map_or(failing.to_owned(), per_second);
        [
            self.highest(),
            failing,
            self.value_ns.map_or("n/a".to_owned(), value),
            self.result.steps.len().to_string(),
            rounds.to_string(),
        ]
    }
}

/// A rate as people read it.
pub fn per_second(hz: f64) -> String {
    format!("{}/s", units::count(hz))
}
