//! The decision of a gate, recomputed from the raw rounds of a record.
//!
//! The arms of one record were measured side by side; those of two records were not, so their numbers are advice. Each
//! pair of cells is checked against the terms in `checks`; `verdict` decides over all checks. A live gate, after each
//! planned look, calls the same functions as an offline gate does for a whole record.

mod checks;
mod verdict;

use std::collections::BTreeSet;

use photofinish_record::{Arm, Cell, Completion, Gate, Plan, Record, Round};

use super::all_warnings;
use crate::compare::{Difference, matching, round_lengths};
use crate::gate::{Check, GATE_SCHEMA, GateReport, NotAGate, is_decided};
use crate::rounds::{Rounds, own_cells, same_cell};
use crate::rule::Rule;
use crate::summary::Status;
use crate::validity::validate;

impl GateReport {
    /// Compares the two arms of a record.
    pub fn of(record: &Record) -> Result<Self, NotAGate> {
        report(record, None)
    }

    /// Compares the head of `record` with rounds of `base`, which were measured earlier.
    pub fn against(base: &Record, record: &Record) -> Result<Self, NotAGate> {
        report(record, Some(base))
    }
}

/// True if more rounds could not change the verdict of the gate in `plan`; `base` holds the stored rounds of a gate
/// against a record.
pub fn gate_is_decided(plan: &Plan, rounds: &[Round], base: Option<&Record>) -> bool {
    let head = Rounds::new(plan, rounds);
    let base = base.map(Rounds::of);
    plan.gate.as_ref().is_some_and(|gate| {
        let arms = Arms::of(&head, base.as_ref());
        is_decided(&arms.problems(gate), &arms.checks(gate))
    })
}

/// The first cell that only one side of a gate against `base` has; with such a cell, the gate cannot pass.
pub fn unmatched_cell(plan: &Plan, base: &Record) -> Option<String> {
    let (head, base) = (Rounds::new(plan, &[]), Rounds::of(base));
    let arms = Arms::of(&head, Some(&base));
    let refused = |pair: &Pair<'_>| {
        let reason = pair.base.as_ref().err()?;
        Some(format!("{} {reason}", pair.head.planned()))
    };
    let lost = |side: &Side<'_>| format!("it has {}, which this gate lacks", side.planned());
    let mut refused = arms.pairs.iter().filter_map(refused);
    refused.next().or_else(|| arms.lost.first().map(lost))
}

/// Blocks after which disjoint sets of answers are a real difference between the arms, not chance.
const DISAGREEING_BLOCKS: usize = 3;

/// True if the arms answer so differently that the gate can only end with [`GateVerdict::Wrong`]
/// (crate::gate::GateVerdict::Wrong).
pub fn arms_disagree(plan: &Plan, rounds: &[Round], base: Option<&Record>) -> bool {
    let head = Rounds::new(plan, rounds);
    let base = base.map(Rounds::of);
    let is_allowed = plan
        .gate
        .as_ref()
        .is_none_or(|gate| gate.content_may_differ);
    if is_allowed || head.blocks() < DISAGREEING_BLOCKS {
        return false;
    }
    let pairs = Arms::of(&head, base.as_ref()).pairs;
    pairs.into_iter().any(|pair| {
        pair.base
            .is_ok_and(|base| disputed(base, pair.head, BTreeSet::is_disjoint).is_some())
    })
}

fn report(record: &Record, stored: Option<&Record>) -> Result<GateReport, NotAGate> {
    let gate = record.plan.gate.as_ref().ok_or_else(|| NotAGate {
        id: record.id.clone(),
    })?;
    let head = Rounds::of(record);
    let base = stored.map(Rounds::of);
    let arms = Arms::of(&head, base.as_ref());
    let (checks, problems) = (arms.checks(gate), arms.problems(gate));
    let look = arms.rule(gate).look(head.blocks());
    let (verdict, reason) = verdict::verdict(record, &head, &checks, &problems, look);
    let warnings = all_warnings(record, &head).into_iter();
    let mut warnings: Vec<String> = warnings.map(|warning| warning.text).collect();
    warnings.extend(verdict::swapped(record, stored, &checks));
    if !arms.not_gated.is_empty() {
        let names = arms.not_gated.join(", ");
        warnings.push(format!(
            "the base also has {names}, which this gate does not measure"
        ));
    }
    let lengths = stored
        .into_iter()
        .flat_map(|base| round_lengths(&base.plan, &record.plan));
    warnings.extend(lengths.map(|difference| {
        let Difference { what, base, head } = difference;
        format!("the {what} is {base} in the base and {head} in the head")
    }));
    Ok(GateReport {
        schema: GATE_SCHEMA.to_owned(),
        id: record.id.clone(),
        started_utc: record.started_utc.clone(),
        machine: record.machine.clone(),
        verdict,
        reason,
        base: gate.base.clone(),
        head: gate.head.clone(),
        paired: stored.is_none(),
        advisory: stored.and_then(|base| verdict::advisory(&base.machine, &record.machine)),
        blocks: head.blocks(),
        look,
        tolerance: gate.tolerance,
        checks,
        problems,
        warnings,
    })
}

/// Both arms of a gate.
struct Arms<'r> {
    head: &'r Rounds<'r>,
    /// The cells of the head, each with the base's.
    pairs: Vec<Pair<'r>>,
    /// Cells of the base that the head lacks, in scenarios that it has.
    lost: Vec<Side<'r>>,
    /// Scenarios of the base that the head lacks.
    not_gated: Vec<&'r str>,
}

/// A cell on one side of a gate.
#[derive(Clone, Copy)]
struct Side<'r> {
    rounds: &'r Rounds<'r>,
    cell: usize,
}

impl<'r> Side<'r> {
    fn planned(self) -> &'r Cell {
        &self.rounds.plan.cells[self.cell]
    }
}

/// The same cell on both sides.
struct Pair<'r> {
    /// The reason, in one sentence, if the base has no such cell.
    base: Result<Side<'r>, String>,
    head: Side<'r>,
    /// True if rounds of the same block were measured side by side.
    paired: bool,
}

impl<'r> Arms<'r> {
    /// Both arms of one record, or a head and the rounds of a record that was measured earlier.
    fn of(head: &'r Rounds<'r>, stored: Option<&'r Rounds<'r>>) -> Self {
        let plan = head.plan;
        let partner = |cell: usize| match stored {
            Some(base) => matching(base.plan, plan, cell)
                .map_err(|reason| format!("cannot be compared with the base: {reason}")),
            None => plan
                .cells
                .iter()
                .position(|base| base.arm == Some(Arm::Base) && same_cell(base, &plan.cells[cell]))
                .ok_or_else(|| "the base has no matching cell".to_owned()),
        };
        let base = stored.unwrap_or(head);
        let of_head = || {
            let cells = own_cells(plan);
            cells.filter(|cell| stored.is_some() || plan.cells[*cell].arm == Some(Arm::Head))
        };
        let pairs = of_head()
            .map(|cell| Pair {
                base: partner(cell).map(|cell| Side { rounds: base, cell }),
                head: Side { rounds: head, cell },
                paired: stored.is_none(),
            })
            .collect();
        let of_base = base.plan.cells.iter().enumerate();
        let of_base = of_base.filter(|(_, cell)| match stored {
            Some(_) => cell.arm != Some(Arm::Base),
            None => cell.arm == Some(Arm::Base),
        });
        let (mut lost, mut not_gated) = (Vec::new(), Vec::new());
        for (index, cell) in of_base.filter(|(_, cell)| cell.unsupported.is_none()) {
            if head.scenario(&cell.scenario).is_none() {
                not_gated.push(&*cell.scenario);
            } else if !of_head().any(|other| same_cell(&plan.cells[other], cell)) {
                lost.push(Side {
                    rounds: base,
                    cell: index,
                });
            }
        }
        not_gated.dedup();
        Self {
            head,
            pairs,
            lost,
            not_gated,
        }
    }

    fn rule(&self, gate: &Gate) -> Rule {
        Rule::of_gate(gate.tolerance, &self.head.plan.looks)
    }

    /// Each term in each cell of its scenario, worst first.
    fn checks(&self, gate: &Gate) -> Vec<Check> {
        let rule = self.rule(gate);
        let mut checks: Vec<Check> = Vec::new();
        for term in &gate.terms {
            let pairs = self.pairs.iter().filter(|pair| {
                let cell = pair.head.planned();
                cell.scenario == term.scenario && cell.unsupported.is_none()
            });
            checks.extend(pairs.map(|pair| checks::check(term, &rule, pair)));
            let lost = self
                .lost
                .iter()
                .filter(|side| side.planned().scenario == term.scenario);
            checks.extend(lost.map(|side| checks::lost(term, *side)));
        }
        checks.sort_by(|a, b| {
            let slowdown = |check: &Check| check.slowdown.map_or(0.0, |slowdown| slowdown.estimate);
            let by_verdict = a.verdict.cmp(&b.verdict);
            by_verdict.then(slowdown(b).total_cmp(&slowdown(a)))
        });
        checks
    }

    /// Invalid cells, and arms that answer with different content: their numbers are not compared at all.
    fn problems(&self, gate: &Gate) -> Vec<String> {
        let mut problems = Vec::new();
        for pair in &self.pairs {
            let base = pair.base.as_ref().ok().copied();
            let sides = [(Arm::Base, base), (Arm::Head, Some(pair.head))];
            for (arm, side) in sides {
                problems.extend(side.and_then(|side| invalid(arm, side)));
            }
            let base = base.filter(|_| !gate.content_may_differ);
            problems.extend(base.and_then(|base| different_content(base, pair.head)));
        }
        problems
    }
}

fn invalid(arm: Arm, side: Side<'_>) -> Option<String> {
    match validate(side.rounds, &Completion::Complete, side.cell) {
        Err((Status::Invalid, reason)) => {
            let cell = side.planned();
            Some(format!(
                "the measurement of the {} is wrong: {} / {} ({}): {reason}",
                arm.name(),
                cell.scenario,
                cell.runtime,
                cell.load
            ))
        }
        _ => None,
    }
}

fn different_content(base: Side<'_>, head: Side<'_>) -> Option<String> {
    let (question, answers) = disputed(base, head, BTreeSet::ne)?;
    let [base, head] = answers.map(|answers| Vec::from_iter(answers).join(" or "));
    Some(format!(
        "the arms answer differently: {question} is {base} of the base and {head} of the head"
    ))
}

/// The answers to a question.
type AnswerSet<'r> = BTreeSet<&'r str>;

/// The first question to which the answers of base and head differ in the sense of `differ`, with both.
fn disputed<'r>(
    base: Side<'r>,
    head: Side<'r>,
    differ: fn(&AnswerSet<'r>, &AnswerSet<'r>) -> bool,
) -> Option<(&'r str, [AnswerSet<'r>; 2])> {
    let mut of_base = base.rounds.contents(base.cell);
    head.rounds
        .contents(head.cell)
        .into_iter()
        .find_map(|(question, of_head)| {
            let of_base = of_base.remove(question)?;
            differ(&of_base, &of_head).then_some((question, [of_base, of_head]))
        })
}
