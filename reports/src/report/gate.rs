//! The decision of a gate, recomputed from the raw rounds of a record.
//!
//! The arms of one record were measured side by side; those of two records were not, so their numbers are advice. Each
//! pair of cells is checked against the terms in `checks`; `verdict` decides over all checks. A live gate, after each
//! planned look, calls the same functions as an offline gate does for a whole record.

mod checks;
mod verdict;

use photofinish_record::{Arm, Cell, Completion, Gate, Plan, Record, Round};

use super::all_warnings;
use crate::compare::matching;
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
    let mut warnings = all_warnings(record, &head);
    warnings.extend(verdict::swapped(record, stored, &checks));
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
#[derive(Clone, Copy)]
struct Pair<'r> {
    /// `None` if the base has no such cell.
    base: Option<Side<'r>>,
    head: Side<'r>,
    /// True if rounds of the same block were measured side by side.
    paired: bool,
}

impl<'r> Arms<'r> {
    /// Both arms of one record, or a head and the rounds of a record that was measured earlier.
    fn of(head: &'r Rounds<'r>, stored: Option<&'r Rounds<'r>>) -> Self {
        let plan = head.plan;
        let partner = |cell: usize| match stored {
            Some(base) => matching(base.plan, plan, cell).ok(),
            None => plan
                .cells
                .iter()
                .position(|base| base.arm == Some(Arm::Base) && same_cell(base, &plan.cells[cell])),
        };
        let base = stored.unwrap_or(head);
        let pairs = own_cells(plan)
            .filter(|cell| stored.is_some() || plan.cells[*cell].arm == Some(Arm::Head))
            .map(|cell| Pair {
                base: partner(cell).map(|cell| Side { rounds: base, cell }),
                head: Side { rounds: head, cell },
                paired: stored.is_none(),
            })
            .collect();
        Self { head, pairs }
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
            checks.extend(pairs.map(|pair| checks::check(term, &rule, *pair)));
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
            let sides = [(Arm::Base, pair.base), (Arm::Head, Some(pair.head))];
            for (arm, side) in sides {
                problems.extend(side.and_then(|side| invalid(arm, side)));
            }
            let base = pair.base.filter(|_| !gate.content_may_differ);
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
    let [of_base, of_head] = [base, head].map(|side| side.rounds.contents(side.cell));
    let (question, answers) = of_head.iter().find(|(question, answers)| {
        let base_answers = of_base.get(*question);
        base_answers.is_some_and(|base_answers| base_answers != *answers)
    })?;
    let [base, head] = [&of_base[question], answers]
        .map(|answers| Vec::from_iter(answers.iter().copied()).join(" or "));
    Some(format!(
        "the arms answer differently: {question} is {base} of the base and {head} of the head"
    ))
}
