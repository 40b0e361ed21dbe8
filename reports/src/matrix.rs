//! The verdict matrix: a row for each scenario and load, a column for each runtime.
//!
//! It is the first thing shown of a run, on the page and in the terminal. No number is computed here but the comparisons
//! of a row's best runtime with the others: the reference is fixed before the run, the best one is picked after it, and
//! being the highest of seven medians proves nothing.

use photofinish_record::load::Load;
use photofinish_record::{Arm, Measured};

use crate::comparison::{CellPair, compare};
use crate::metrics::{Metric, named};
use crate::rounds::Rounds;
use crate::rule::Verdict;
use crate::summary::{CellSummary, Comparison, Group, Status, Summary};
use crate::{describe, units};

/// Runtimes by scenario and load.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Matrix {
    /// The columns, in the order of their first appearance in the plan.
    pub runtimes: Vec<String>,
    pub rows: Vec<Row>,
}

/// One scenario under one load.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub scenario: String,
    pub load: Load,
    /// The side of a gate.
    pub arm: Option<Arm>,
    /// Language and libraries of its runtimes; `None` of those in this program.
    pub stack: Option<String>,
    /// The headline metric, by which the row is judged.
    pub metric: &'static str,
    /// The same in words: `response p99`.
    pub by: &'static str,
    /// The runtime that the others are compared with; `None` if nothing is compared.
    pub reference: Option<String>,
    /// The best runtime by its median; `None` if there are not two with numbers.
    pub best: Option<Best>,
    /// In the order of the columns; `None` for a runtime that the plan does not have here.
    pub fields: Vec<Option<Field>>,
}

/// A runtime under the load of a row.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// Its index among the cells of the summary.
    pub cell: usize,
    pub is_reference: bool,
    /// Rounds that count although they were disturbed.
    pub disturbed: usize,
    /// Successful operations, over all rounds.
    pub operations: u64,
    /// Failed operations, over all rounds.
    pub failed: u64,
    /// Indices of the summary's warnings that concern it.
    pub warnings: Vec<usize>,
}

/// The runtime with the best median of several.
#[derive(Clone, Debug, PartialEq)]
pub struct Best {
    pub runtime: String,
    /// The others that it is not certainly better than, with the verdict on it against each.
    pub rivals: Vec<(String, Option<Verdict>)>,
}

impl Matrix {
    /// `concerned` has, for each warning of the summary, the cells that it is about.
    pub(crate) fn of(rounds: &Rounds<'_>, summary: &Summary, concerned: &[Vec<usize>]) -> Self {
        let mut runtimes: Vec<String> = Vec::new();
        for cell in &summary.cells {
            if !runtimes.contains(&cell.runtime) {
                runtimes.push(cell.runtime.clone());
            }
        }
        let groups = summary.groups();
        let rows = groups.iter().map(|group| {
            let field = |runtime: &String| {
                let mut cells = group.cells.iter();
                let cell = cells.find(|cell| cell.runtime == *runtime)?;
                field(rounds, group, cell, concerned)
            };
            Row {
                scenario: group.scenario.to_owned(),
                load: group.load,
                arm: group.arm,
                stack: group.stack.map(str::to_owned),
                metric: group.headline(),
                by: describe::headline(group),
                reference: group.reference().map(str::to_owned),
                best: best(rounds, &group.choices(), group.headline()),
                fields: runtimes.iter().map(field).collect(),
            }
        });
        Self {
            rows: rows.collect(),
            runtimes,
        }
    }

    /// The field of a cell, by the cell's index in the summary.
    pub fn field(&self, cell: usize) -> Option<&Field> {
        let mut fields = self.rows.iter().flat_map(|row| row.fields.iter().flatten());
        fields.find(|field| field.cell == cell)
    }

    /// True if any runtime is compared with another.
    pub fn compares(&self) -> bool {
        self.rows.iter().any(|row| row.reference.is_some())
    }
}

fn field(
    rounds: &Rounds<'_>,
    group: &Group<'_>,
    cell: &CellSummary,
    concerned: &[Vec<usize>],
) -> Option<Field> {
    let index = rounds.index_of(cell)?;
    let count = |of: fn(&Measured) -> u64| {
        let counts = rounds.measured(index).map(of);
        counts.fold(0, u64::saturating_add)
    };
    let about_it = |(_, cells): &(usize, &Vec<usize>)| cells.contains(&index);
    let warnings = concerned.iter().enumerate().filter(about_it);
    let disturbed = rounds.of_cell(index).iter();
    Some(Field {
        cell: index,
        is_reference: group.reference() == Some(&cell.runtime),
        disturbed: disturbed
            .filter(|round| round.conditions.disturbance.is_some())
            .count(),
        operations: count(|round| round.worker.ops),
        failed: count(|round| round.worker.failed_ops()),
        warnings: warnings.map(|(warning, _)| warning).collect(),
    })
}

impl Row {
    /// Its runtimes with numbers, other than the best one.
    pub(crate) fn others(&self) -> usize {
        self.fields.iter().flatten().count().saturating_sub(1)
    }

    /// The certainty of its best runtime in words.
    pub(crate) fn certainty(&self, best: &Best) -> String {
        let [tied, open] = best.tied_and_open();
        describe::certainty(&tied, &open, self.others())
    }
}

impl Best {
    /// The runtimes that it ties with, and those that it cannot be told from.
    pub fn tied_and_open(&self) -> [Vec<&str>; 2] {
        [true, false].map(|tied| {
            let rivals = self.rivals.iter();
            let rivals = rivals.filter(|(_, verdict)| (*verdict == Some(Verdict::Tie)) == tied);
            rivals.map(|(name, _)| name.as_str()).collect()
        })
    }
}

/// The first of the ranked cells against each of the others; `None` if there are not two.
pub(crate) fn best(rounds: &Rounds<'_>, ranked: &[&CellSummary], metric: &str) -> Option<Best> {
    let (first, others) = ranked.split_first()?;
    let metric: &Metric = named(metric)?;
    let cell = rounds.index_of(first)?;
    let verdict = |other: &CellSummary| {
        let reference = rounds.index_of(other)?;
        compare(rounds, metric, CellPair { cell, reference })?.verdict
    };
    let rivals = others
        .iter()
        .map(|other| (other.runtime.clone(), verdict(other)))
        .filter(|(_, verdict)| *verdict != Some(Verdict::Faster));
    (!others.is_empty()).then(|| Best {
        runtime: first.runtime.clone(),
        rivals: rivals.collect(),
    })
}

impl Row {
    /// The comparison of a cell of this row with the reference.
    pub fn comparison<'a>(&self, cell: &'a CellSummary) -> Option<&'a Comparison> {
        let comparison = cell.comparisons.get(self.metric);
        comparison.filter(|_| cell.status == Status::Ok)
    }

    /// The comparisons of this row with another reference, by another metric, in the order of the columns; `None` if nothing is.
    pub(crate) fn against(
        &self,
        rounds: &Rounds<'_>,
        summary: &Summary,
        metric: &str,
        reference: &str,
    ) -> Option<Vec<Option<Comparison>>> {
        let metric = named(metric)?;
        let with_numbers = |field: &Option<Field>| {
            let cell = field.as_ref()?.cell;
            let summary = summary.cells.get(cell)?;
            (summary.status == Status::Ok).then_some((cell, summary.runtime.as_str()))
        };
        let cells: Vec<Option<(usize, &str)>> = self.fields.iter().map(with_numbers).collect();
        let mut known = cells.iter().flatten();
        let (reference, _) = *known.find(|(_, runtime)| *runtime == reference)?;
        let compared = cells.iter().map(|cell| {
            let (cell, _) = (*cell).filter(|(cell, _)| *cell != reference)?;
            compare(rounds, metric, CellPair { cell, reference })
        });
        let compared: Vec<Option<Comparison>> = compared.collect();
        compared.iter().any(Option::is_some).then_some(compared)
    }

    /// The cells of this row, floors aside, with their comparisons, in the order of the columns.
    pub(crate) fn comparisons<'a>(
        &self,
        summary: &'a Summary,
    ) -> Vec<(&'a CellSummary, &'a Comparison)> {
        let cells = self.fields.iter().flatten();
        cells
            .filter_map(|field| {
                let cell = summary.cells.get(field.cell)?;
                let cell = (!cell.is_floor).then_some(cell)?;
                Some((cell, self.comparison(cell)?))
            })
            .collect()
    }

    /// The load in a few words: `16 sessions`, `2.00k/s`; with its side in a gate, and with its stack.
    pub fn point(&self) -> String {
        let load = match self.load {
            Load::Closed { concurrency } => describe::plural(concurrency.get() as usize, "session"),
            Load::Open { rate_hz, .. } => units::per_second(rate_hz.into()),
        };
        let parts = [self.arm.map(Arm::name), self.stack.as_deref()];
        let parts = parts.into_iter().flatten().map(|part| format!(", {part}"));
        parts.fold(load, |point, part| point + &part)
    }
}
