//! The results of a search as the rows that every output shows: for each scenario and load, the runtimes ranked by
//! rate.
//!
//! The search itself is in `search`; this module reads its results from the record. The cells of a search are its
//! steps, so outputs show these tables instead of them. Next: `charts/load_latency.rs` for the curve.

use std::str::FromStr as _;

use photofinish_record::load::Load;
use photofinish_record::{Record, Search, SearchResult, SearchRound};

use crate::search::Objective;
use crate::statistics;
use crate::summary::{CellSummary, Status, Summary};
use crate::{describe, units};

/// The legend of the rows.
pub fn legend(search: &Search) -> String {
    format!(
        "Search: the highest rate at which two rounds agreed that the objective is met, and the lowest at which two agreed \
         that it is not, at most {} apart. ≥ before a rate: the search did not finish. No verdict compares the rates of two \
         runtimes.",
        units::percent(search.precision)
    )
}

/// The results of a search in one scenario with one number of sessions.
#[derive(Clone, Debug)]
pub struct SearchTable<'a> {
    pub scenario: &'a str,
    /// The objective as it was written.
    pub objective: &'a str,
    /// The objective's time in words: `response p99`.
    time: String,
    /// Requested sessions; `None` if the record does not have them.
    pub sessions: Option<u32>,
    /// The runtimes, highest rate first.
    pub rows: Vec<SearchRow<'a>>,
}

/// The result of a search for one runtime.
#[derive(Clone, Debug)]
pub struct SearchRow<'a> {
    pub result: &'a SearchResult,
    /// The objective's time at the highest rate that met it: the median over its rounds, in ns.
    value_ns: Option<f64>,
    /// The mark before it, such as that of too few operations for the percentile.
    mark: &'static str,
}

/// The results of a record's search, in the plan's order; empty without a search.
pub fn search_tables<'a>(record: &'a Record, summary: &Summary) -> Vec<SearchTable<'a>> {
    let Some(search) = &record.search else {
        return Vec::new();
    };
    let metric = metric(&search.objective);
    let words = |metric: &str| metric.trim_end_matches("_ns").replace('_', " ");
    let mut tables: Vec<SearchTable<'a>> = Vec::new();
    for (index, result) in search.results.iter().enumerate() {
        let sessions = sessions(record, index);
        let row = SearchRow::of(result, summary, metric.as_deref());
        match tables
            .iter_mut()
            .find(|table| table.scenario == result.scenario && table.sessions == sessions)
        {
            Some(table) => table.rows.push(row),
            None => tables.push(SearchTable {
                scenario: &result.scenario,
                objective: &search.objective,
                time: metric.as_deref().map_or("value".to_owned(), words),
                sessions,
                rows: vec![row],
            }),
        }
    }
    for table in &mut tables {
        let rate = |row: &SearchRow<'_>| row.result.highest_hz.unwrap_or(0.0);
        table.rows.sort_by(|a, b| rate(b).total_cmp(&rate(a)));
    }
    tables
}

/// A rate in Hz at which every runtime of a search met the objective; `None` if one of them met it at no rate.
pub fn met_by_all(record: &Record) -> Option<f64> {
    let results = &record.search.as_ref()?.results;
    let highest: Option<Vec<f64>> = results.iter().map(|result| result.highest_hz).collect();
    highest?.into_iter().reduce(f64::min)
}

/// The metric of an objective: `response_p99_ns`; `None` if the text is not an objective.
pub fn metric(objective: &str) -> Option<String> {
    Some(Objective::from_str(objective).ok()?.metric())
}

/// The requested sessions of the search at this index; searches are in the order of the plan's closed loads.
fn sessions(record: &Record, index: usize) -> Option<u32> {
    let mut requested = record.plan.cells.iter().filter_map(|cell| match cell.load {
        Load::Closed { concurrency } if cell.unsupported.is_none() => Some(concurrency.get()),
        _ => None,
    });
    requested.nth(index)
}

impl SearchTable<'_> {
    /// Headings of [`SearchRow::cells`].
    pub fn headings(&self) -> [&str; 5] {
        ["highest rate", "not met at", &self.time, "rates", "rounds"]
    }

    /// `highest rate with response_p99 < 10ms, 16 sessions`.
    pub fn title(&self) -> String {
        let sessions = self
            .sessions
            .map(|sessions| format!(", {}", describe::plural(sessions as usize, "session")));
        format!(
            "highest rate with {}{}",
            self.objective,
            sessions.unwrap_or_default()
        )
    }

    /// Searches that ended without an answer, with the reasons.
    pub fn unfinished(&self) -> impl Iterator<Item = String> {
        self.rows.iter().filter_map(|row| {
            let reason = row.result.unfinished.as_deref()?;
            Some(format!("{}: unfinished: {reason}", row.result.runtime))
        })
    }

    /// The cells of its steps, except those that were planned and never ran: their searches are unfinished.
    pub fn cells<'s>(&self, summary: &'s Summary) -> Vec<&'s CellSummary> {
        let cells = summary.cells.iter().filter(|cell| {
            let sessions = cell.load.concurrency().get();
            let ran = cell.status != Status::Failed || cell.rounds_failed > 0;
            cell.scenario == self.scenario && ran && self.sessions.is_none_or(|own| own == sessions)
        });
        cells.collect()
    }
}

impl<'a> SearchRow<'a> {
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
        let metric = cell.zip(metric).and_then(|(cell, name)| cell.metric(name));
        Self {
            result,
            value_ns: statistics::median(&values),
            mark: metric.map_or("", describe::mark),
        }
    }

    /// The highest rate that met the objective: `16.0k/s`, `≥ 16.0k/s` if the search did not finish.
    fn highest(&self) -> String {
        let rate = rate(self.result.highest_hz, self.result.lowest_failing_hz);
        match (self.result.highest_hz, &self.result.unfinished) {
            (Some(_), Some(_)) => format!("≥ {rate}"),
            _ => rate,
        }
    }

    /// The texts of its columns, after the runtime's name.
    pub fn cells(&self) -> [String; 5] {
        let value = |value_ns| format!("{}{}", self.mark, units::duration(value_ns));
        let rounds: usize = self.result.steps.iter().map(|step| step.rounds.len()).sum();
        [
            self.highest(),
            rate(self.result.lowest_failing_hz, self.result.highest_hz),
            self.value_ns.map_or("n/a".to_owned(), value),
            self.result.steps.len().to_string(),
            rounds.to_string(),
        ]
    }
}

/// A rate, `none` if only the other end of the search was found, `n/a` if neither was.
fn rate(hz: Option<f64>, other_hz: Option<f64>) -> String {
    match (hz, other_hz) {
        (Some(hz), _) => units::per_second(hz),
        (None, Some(_)) => "none".to_owned(),
        (None, None) => "n/a".to_owned(),
    }
}
