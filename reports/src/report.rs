//! The report of a record: everything derived from it, computed once.
//!
//! Terminal, page, charts and formats render a [`Report`] and compute nothing of their own. A run in progress is judged
//! by its plan and rounds alone ([`all_decided`], [`gate_is_decided`]), so that a look copies nothing.

mod cells;
mod gate;
mod warnings;

use photofinish_record::{Completion, Plan, Record, Round};

use crate::async_pays::Answer;
use crate::gate::GateReport;
use crate::matrix::Matrix;
use crate::rounds::Rounds;
use crate::rule::{Rule, Verdict};
use crate::runtimes::{self, Look};
use crate::search_table::{SearchTable, search_tables};
use crate::summary::{SUMMARY_SCHEMA, Summary, groups};
use crate::thresholds::judge;

use warnings::Warning;

pub use gate::{arms_disagree, gate_is_decided, unmatched_cell};

/// Everything derived from a record.
#[derive(Debug)]
pub struct Report<'a> {
    pub record: &'a Record,
    pub rounds: Rounds<'a>,
    pub summary: Summary,
    /// The results of a search; the groups of the summary are then its steps.
    pub searches: Vec<SearchTable<'a>>,
    pub matrix: Matrix,
    pub async_pays: Answer,
    /// `None` if the run is not a gate.
    pub gate: Option<GateReport>,
}

impl<'a> Report<'a> {
    pub fn of(record: &'a Record) -> Self {
        let rounds = Rounds::of(record);
        let warnings = all_warnings(record, &rounds);
        let concerned: Vec<Vec<usize>> = warnings
            .iter()
            .map(|warning| warning.cells.clone())
            .collect();
        let summary = summarise(record, &rounds, warnings);
        Self {
            matrix: Matrix::of(&rounds, &summary, &concerned),
            searches: search_tables(record, &summary),
            async_pays: Answer::of(&rounds, &summary),
            gate: GateReport::of(record).ok(),
            record,
            rounds,
            summary,
        }
    }

    /// The look of a runtime in charts.
    pub(crate) fn look(&self, runtime: &str) -> Look {
        runtimes::look(&self.record.plan, runtime)
    }

    /// A runtime's name with its note: `async-std (discontinued)`.
    pub(crate) fn label(&self, runtime: &str) -> String {
        match self.note(runtime) {
            Some(note) => format!("{runtime} ({note})"),
            None => runtime.to_owned(),
        }
    }

    /// The note shown with a runtime's name: `discontinued`.
    pub(crate) fn note(&self, runtime: &str) -> Option<&str> {
        self.record.plan.runtimes.get(runtime)?.note.as_deref()
    }
}

impl Summary {
    /// Summarises a record. Never fails: inconsistencies become warnings.
    pub fn of(record: &Record) -> Self {
        let rounds = Rounds::of(record);
        summarise(record, &rounds, all_warnings(record, &rounds))
    }
}

fn summarise(record: &Record, rounds: &Rounds<'_>, warnings: Vec<Warning>) -> Summary {
    let rule = Rule::of(&record.plan);
    let look = rule.look(rounds.blocks());
    Summary {
        schema: SUMMARY_SCHEMA.to_owned(),
        id: record.id.clone(),
        started_utc: record.started_utc.clone(),
        tool: record.tool.clone(),
        seed: record.seed,
        plan_hash: record.plan_hash.clone(),
        machine: record.machine.clone(),
        completion: record.completion.clone(),
        placement: record.plan.placement.clone(),
        warnings: warnings.into_iter().map(|warning| warning.text).collect(),
        rule: (&rule).into(),
        look: (look.planned > 0).then_some(look),
        search: record.search.clone(),
        cells: cells::summaries(rounds, &record.completion),
        thresholds: judge(rounds, &record.completion),
    }
}

fn all_warnings(record: &Record, rounds: &Rounds<'_>) -> Vec<Warning> {
    let own = record.warnings.iter().map(|text| Warning {
        text: text.clone(),
        cells: Vec::new(),
    });
    own.chain(warnings::warnings(rounds)).collect()
}

/// True if every comparison by a headline metric has a verdict other than `inconclusive`, so that more blocks would not
/// change the headlines, or if there is nothing to compare. Other metrics do not matter: a noisy percentile is never
/// decided.
pub fn all_decided(plan: &Plan, rounds: &[Round]) -> bool {
    let cells = cells::summaries(&Rounds::new(plan, rounds), &Completion::Complete);
    groups(&cells).iter().all(|group| {
        let comparisons = group.cells.iter();
        comparisons
            .filter_map(|cell| cell.comparisons.get(group.headline()))
            .all(|comparison| {
                comparison
                    .verdict
                    .is_some_and(|verdict| verdict != Verdict::Inconclusive)
            })
    })
}
