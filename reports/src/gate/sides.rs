//! The two sides of a gate: which cells make pairs, and the report that comes of them.
//!
//! Both arms of one record stand side by side; a record against one measured before does not, and its numbers are advice.
//! Each pair is held against the terms in `checks`; what was measured wrongly is found in `problems`, the verdict over all
//! of it in `overall`. The report's own shape is in `gate.rs`.

use std::cmp::Ordering;

use photofinish_record::{Arm, Gate, GateTerm, Record};

use super::advice::{advisory, warnings};
use super::checks::check;
use super::overall::verdict;
use super::problems::problems;
use super::rule::GateRule;
use super::side::{Pair, Side};
use super::{Check, GATE_SCHEMA, GateReport};
use crate::rounds::blocks;
use crate::summary::{CellSummary, Summary};
use crate::verdict::Look;

/// The two sides of a gate.
pub(super) struct Sides<'a> {
    pub(super) base: &'a Record,
    pub(super) head: &'a Record,
    /// Cells of the head, with those of the base where there is one.
    cells: Vec<(usize, Option<usize>)>,
    /// Whether rounds of the same block were measured side by side.
    pub(super) paired: bool,
    /// Of the base, then of the head.
    summaries: [Summary; 2],
}

impl<'a> Sides<'a> {
    /// Both arms of one record.
    pub(super) fn within(record: &'a Record) -> Self {
        let cells = &record.plan.cells;
        let partner = |head: usize| {
            cells.iter().position(|base| {
                base.arm == Some(Arm::Base)
                    && base.scenario == cells[head].scenario
                    && base.runtime == cells[head].runtime
                    && base.load == cells[head].load
            })
        };
        let heads = (0..cells.len()).filter(|cell| cells[*cell].arm == Some(Arm::Head));
        let summary = Summary::of(record);
        Self {
            base: record,
            head: record,
            cells: heads.map(|head| (head, partner(head))).collect(),
            paired: true,
            summaries: [summary.clone(), summary],
        }
    }

    /// A record against one that was measured before.
    pub(super) fn across(base: &'a Record, head: &'a Record) -> Self {
        let pairs = crate::compare::pairs(base, head);
        let partner = |cell: usize| {
            let pair = pairs.iter().find(|pair| pair.head == cell);
            pair.map(|pair| pair.base)
        };
        Self {
            base,
            head,
            // Of a gate's record the head alone speaks.
            cells: crate::compare::own_cells(head)
                .map(|cell| (cell, partner(cell)))
                .collect(),
            paired: false,
            summaries: [Summary::of(base), Summary::of(head)],
        }
    }

    /// The cells of the head, each with that of the base.
    pub(super) fn pairs(&self) -> impl Iterator<Item = Pair<'a>> {
        self.cells.iter().map(|(head, base)| Pair {
            base: base.map(|cell| Side {
                record: self.base,
                cell,
            }),
            head: Side {
                record: self.head,
                cell: *head,
            },
            paired: self.paired,
        })
    }

    /// A cell of that arm in numbers.
    pub(super) fn summary(&self, arm: Arm, side: Side<'_>) -> &CellSummary {
        &self.summaries[arm as usize].cells[side.cell]
    }

    /// What the head's own summary warns of.
    pub(super) fn head_warnings(&self) -> &[String] {
        &self.summaries[Arm::Head as usize].warnings
    }

    /// Every check, and the verdict over all of them.
    pub(super) fn report(&self, gate: &Gate) -> GateReport {
        let rule = GateRule {
            floor: gate.floor,
            looks: self.head.plan.looks.clone(),
        };
        let checks = self.checks(&gate.terms, &rule);
        let problems = problems(self, gate);
        let blocks = blocks(self.head);
        let reached = |look: &&u32| **look as usize <= blocks;
        let look = Look {
            number: rule.looks.iter().filter(reached).count(),
            planned: rule.looks.len(),
        };
        let (verdict, reason) = verdict(self.head, &checks, &problems, look);
        GateReport {
            schema: GATE_SCHEMA.to_owned(),
            id: self.head.id.clone(),
            started_utc: self.head.started_utc.clone(),
            machine: self.head.machine.clone(),
            verdict,
            reason,
            base: gate.base.clone(),
            head: gate.head.clone(),
            paired: self.paired,
            advisory: advisory(self),
            blocks,
            look,
            floor: gate.floor,
            warnings: warnings(self, &checks),
            checks,
            problems,
        }
    }

    /// Each term in each cell of its scenario, the worst first.
    fn checks(&self, terms: &[GateTerm], rule: &GateRule) -> Vec<Check> {
        let mut checks: Vec<Check> = Vec::new();
        for term in terms {
            let own = self.pairs().filter(|pair| {
                let cell = pair.head.planned();
                cell.scenario == term.scenario && cell.unsupported.is_none()
            });
            checks.extend(own.map(|pair| check(term, rule, pair)));
        }
        checks.sort_by(worst_first);
        checks
    }
}

fn worst_first(a: &Check, b: &Check) -> Ordering {
    let slowdown = |check: &Check| check.slowdown.map_or(0.0, |slowdown| slowdown.estimate);
    let by_verdict = a.verdict.cmp(&b.verdict);
    by_verdict.then(slowdown(b).total_cmp(&slowdown(a)))
}
