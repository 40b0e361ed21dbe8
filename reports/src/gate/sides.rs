//! The two sides of a gate, cell by cell: from rounds to checks, and from checks to a verdict.
//!
//! What was measured wrongly comes first, then what was cut short, then a machine that was busy: only then do numbers
//! speak. When a number decides anything is said in `rule`; the report's own shape is in `gate`.

use std::collections::{BTreeMap, BTreeSet};

use photofinish_harness::record::{Arm, Completion, Gate, GateTerm, Measured, Record, Requirement};

use super::rule::{Bounds, Decided, Decision, GateRule, Samples};
use super::{
    Check, CheckVerdict, GATE_SCHEMA, GateReport, GateVerdict, Interval, describe_check,
    name_of_check, terms,
};
use crate::describe;
use crate::metrics::Metric;
use crate::rounds::{blocks, failures, measured};
use crate::statistics;
use crate::summary::{CellSummary, Status, Summary};
use crate::verdict::Look;

/// The share of blocks that may stay disturbed after all redoing; beyond it the machine was too busy to tell.
const DISTURBED_SHARE: f64 = 0.25;

/// One cell as it stands on one side.
#[derive(Clone, Copy)]
struct Side<'a> {
    record: &'a Record,
    cell: usize,
}

/// The two sides of a gate.
pub(super) struct Sides<'a> {
    base: &'a Record,
    head: &'a Record,
    /// Cells of the head, with those of the base where there is one.
    cells: Vec<(usize, Option<usize>)>,
    paired: bool,
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

    /// Every check, and the verdict over all of them.
    pub(super) fn report(&self, gate: &Gate) -> GateReport {
        let rule = GateRule {
            floor: gate.floor,
            looks: self.head.plan.looks.clone(),
        };
        let mut checks: Vec<Check> = Vec::new();
        for term in &gate.terms {
            checks.extend(self.checks_of(term, &rule));
        }
        let worst = |check: &Check| {
            let slowdown = check.slowdown.map_or(0.0, |slowdown| slowdown.estimate);
            (check.verdict, -slowdown)
        };
        checks.sort_by(|a, b| {
            let (a, b) = (worst(a), worst(b));
            a.0.cmp(&b.0).then(a.1.total_cmp(&b.1))
        });
        let problems = self.problems(gate);
        let blocks = blocks(self.head);
        let look = Look {
            number: rule
                .looks
                .iter()
                .filter(|look| **look as usize <= blocks)
                .count(),
            planned: rule.looks.len(),
        };
        let (verdict, reason) = self.verdict(&checks, &problems, look);
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
            advisory: self.advisory(),
            blocks,
            look,
            floor: gate.floor,
            warnings: self.warnings(&checks),
            checks,
            problems,
        }
    }

    /// The checks of a term: one in each cell of its scenario.
    fn checks_of(&self, term: &GateTerm, rule: &GateRule) -> Vec<Check> {
        let own = self.cells.iter().filter(|(head, _)| {
            let cell = &self.head.plan.cells[*head];
            cell.scenario == term.scenario && cell.unsupported.is_none()
        });
        own.map(|(head, base)| self.check(term, rule, *head, *base))
            .collect()
    }

    fn check(&self, term: &GateTerm, rule: &GateRule, head: usize, base: Option<usize>) -> Check {
        let cell = &self.head.plan.cells[head];
        let metric = terms::find(&term.metric);
        let head_side = Side {
            record: self.head,
            cell: head,
        };
        let base_side = base.map(|cell| Side {
            record: self.base,
            cell,
        });
        let blank = Check {
            scenario: cell.scenario.clone(),
            runtime: cell.runtime.clone(),
            load: cell.load,
            metric: term.metric.clone(),
            unit: metric.map_or(String::new(), |(metric, _)| metric.unit.to_owned()),
            requirement: term.requirement,
            text: term.text.clone(),
            place: term.place.clone(),
            verdict: CheckVerdict::Inconclusive,
            reason: None,
            base: metric.and_then(|(metric, _)| base_side?.median(metric)),
            head: metric.and_then(|(metric, _)| head_side.median(metric)),
            slowdown: None,
            value: None,
            samples: 0,
        };
        match (term.requirement, metric) {
            (Requirement::Errors { most }, _) => head_side.errors(most, blank),
            (_, None) => undecided(blank, format!("there is no metric `{}`", term.metric)),
            (Requirement::Slowdown { limit }, Some((metric, better))) => {
                let Some(base_side) = base_side else {
                    let reason = "the base has no such cell to compare it with";
                    return undecided(blank, reason.to_owned());
                };
                let samples = self.samples(metric, base_side, head_side);
                let decided = rule.slowdown(&samples, better, limit);
                let check = Check {
                    slowdown: decided.bounds.map(as_slowdown),
                    ..blank
                };
                let sides = [Some(base_side), Some(head_side)];
                concluded(check, decided, rule, metric, sides)
            }
            (
                Requirement::Below { value } | Requirement::Above { value },
                Some((metric, better)),
            ) => {
                let decided = rule.objective(&head_side.by_block(metric), value, better);
                let check = Check {
                    value: decided.bounds.map(as_value),
                    ..blank
                };
                concluded(check, decided, rule, metric, [None, Some(head_side)])
            }
        }
    }

    fn samples(&self, metric: &Metric, base: Side<'_>, head: Side<'_>) -> Samples {
        if !self.paired {
            return Samples::Apart {
                base: base.by_block(metric).into_iter().flatten().collect(),
                head: head.by_block(metric),
            };
        }
        let (base, head) = (base.by_block(metric), head.by_block(metric));
        let pairs = base.into_iter().zip(head);
        Samples::Paired(pairs.map(|(base, head)| Some((base?, head?))).collect())
    }

    /// What was measured wrongly on either side.
    fn problems(&self, gate: &Gate) -> Vec<String> {
        let mut problems = Vec::new();
        for (head, base) in &self.cells {
            let sides = [(Arm::Base, *base), (Arm::Head, Some(*head))];
            for (arm, cell) in sides {
                let Some(cell) = cell else { continue };
                let summary = &self.summaries[arm as usize].cells[cell];
                problems.extend(self.invalid(arm, summary));
            }
            if let Some(base) = base
                && !gate.content_may_differ
            {
                problems.extend(self.different_content(*base, *head));
            }
        }
        problems
    }

    fn invalid(&self, arm: Arm, cell: &CellSummary) -> Option<String> {
        let reason = cell.reason.as_deref()?;
        (cell.status == Status::Invalid).then(|| {
            format!(
                "the {} was measured, but wrong: {}: {reason}",
                arm.name(),
                name(cell)
            )
        })
    }

    fn different_content(&self, base: usize, head: usize) -> Option<String> {
        let (of_base, of_head) = (contents(self.base, base), contents(self.head, head));
        let (question, ours) = of_head.iter().find(|(question, answers)| {
            of_base
                .get(*question)
                .is_some_and(|theirs| theirs != *answers)
        })?;
        let list = |answers: &BTreeSet<&str>| Vec::from_iter(answers.iter().copied()).join(" or ");
        Some(format!(
            "the arms answer differently: {question} is {} of the base and {} of the head",
            list(&of_base[question]),
            list(ours)
        ))
    }

    fn verdict(&self, checks: &[Check], problems: &[String], look: Look) -> (GateVerdict, String) {
        let with = |verdict| checks.iter().filter(move |check| check.verdict == verdict);
        let count = |verdict| with(verdict).count();
        if let Some(problem) = problems.first() {
            return (GateVerdict::Wrong, problem.clone());
        }
        if checks.is_empty() {
            let reason = "the gate is empty: there is nothing that could fail";
            return (GateVerdict::Inconclusive, reason.to_owned());
        }
        if let Some(reason) = self.cut_short(look) {
            return (GateVerdict::Inconclusive, reason);
        }
        if let Some(reason) = self.unfit() {
            return (GateVerdict::Unfit, reason);
        }
        if let Some(worst) = with(CheckVerdict::Regression).next() {
            let broken = count(CheckVerdict::Regression);
            let others = match broken {
                1 => String::new(),
                broken => format!(" (and {} more)", broken - 1),
            };
            return (GateVerdict::Regression, describe_check(worst) + &others);
        }
        if let Some(open) = with(CheckVerdict::Inconclusive).next() {
            let reason = open.reason.clone().unwrap_or_default();
            let of = count(CheckVerdict::Inconclusive);
            let reason = format!(
                "{} of {} undecided: {}: {reason}",
                of,
                describe::plural(checks.len(), "check"),
                name_of_check(open)
            );
            return (GateVerdict::Inconclusive, reason);
        }
        let reason = match checks.len() {
            1 => "the check holds".to_owned(),
            all => format!("all {all} checks hold"),
        };
        (GateVerdict::Pass, reason)
    }

    /// Why nothing can be said although the record has numbers: it does not reach the first look.
    fn cut_short(&self, look: Look) -> Option<String> {
        let ended = match &self.head.completion {
            Completion::Complete => None,
            Completion::Interrupted => Some("the run was interrupted".to_owned()),
            Completion::Failed { reason } => Some(format!("the run failed: {reason}")),
        };
        let first = self.head.plan.looks.first().copied().unwrap_or(0);
        let done = blocks(self.head);
        match (ended, look.number) {
            (Some(ended), _) => Some(ended),
            (None, 0) => Some(format!(
                "it was looked at after {} only, and the first planned look is after {first}",
                describe::plural(done, "block")
            )),
            (None, _) => None,
        }
    }

    fn unfit(&self) -> Option<String> {
        let mut disturbed: BTreeMap<usize, &str> = BTreeMap::new();
        for round in crate::rounds::counted(self.head) {
            if let Some(reason) = &round.conditions.disturbance {
                disturbed.entry(round.block).or_insert(reason);
            }
        }
        let all = blocks(self.head);
        let (_, first) = disturbed.first_key_value()?;
        (disturbed.len() as f64 > DISTURBED_SHARE * all as f64).then(|| {
            format!(
                "the machine was too busy to tell: {} of {} stayed disturbed after redoing: {first}",
                disturbed.len(),
                describe::plural(all, "block")
            )
        })
    }

    /// Numbers of another time: what they are worth.
    fn advisory(&self) -> Option<String> {
        if self.paired {
            return None;
        }
        let (base, head) = (&self.base.machine, &self.head.machine);
        let told = |what: &str| {
            format!(
                "the base was measured on {what}: machines differ by more than what is looked for, so this is advice; \
                 measure both arms now for a gate"
            )
        };
        let another_machine = base.cpu_model != head.cpu_model
            || base.cpus_online != head.cpus_online
            || base.memory_bytes != head.memory_bytes
            || base.arch != head.arch;
        match (
            another_machine,
            base.boot_id == head.boot_id && head.boot_id.is_some(),
        ) {
            (true, _) => Some(told("another machine")),
            (false, false) => Some(told("another boot of the machine, or another one like it")),
            (false, true) => None,
        }
    }

    fn warnings(&self, checks: &[Check]) -> Vec<String> {
        let mut warnings: Vec<String> = self.summaries[1].warnings.clone();
        if !self.paired {
            let earlier = self.base.started_utc <= self.head.started_utc;
            if !earlier {
                warnings
                    .push("the base was measured after the head: are the two swapped?".to_owned());
            }
        }
        let faster = checks.iter().find(|check| {
            let far = match check.requirement {
                Requirement::Slowdown { limit } => 1.0 / (1.0 + limit) - 1.0,
                _ => return false,
            };
            check.slowdown.is_some_and(|slowdown| slowdown.high < far)
        });
        if let Some(check) = faster {
            warnings.push(format!(
                "the head is better than the base by more than the limit ({}): an improvement, or the arms are swapped",
                describe_check(check)
            ));
        }
        warnings
    }
}

impl Side<'_> {
    fn rounds(&self) -> impl Iterator<Item = (usize, &Measured)> {
        measured(self.record, self.cell)
    }

    /// The metric's value in each block measured so far, in their order.
    fn by_block(&self, metric: &Metric) -> Vec<Option<f64>> {
        let all = crate::rounds::counted(self.record)
            .map(|round| round.block + 1)
            .max()
            .unwrap_or(0);
        let mut values = vec![None; all];
        for (block, round) in self.rounds() {
            values[block] = metric.read(&round.worker);
        }
        values
    }

    fn median(&self, metric: &Metric) -> Option<f64> {
        let values = self.by_block(metric);
        statistics::median(&values.into_iter().flatten().collect::<Vec<_>>())
    }

    /// Why its values are not sound, whatever they are.
    fn too_few_samples(&self, metric: &Metric) -> Option<String> {
        let samples = self
            .rounds()
            .filter_map(|(_, round)| metric.samples(&round.worker));
        let fewest = samples.min_by_key(|samples| samples.there)?;
        (fewest.there < fewest.needed).then(|| {
            format!(
                "it needs {} operations in a round, and one had {}: lengthen the rounds",
                fewest.needed, fewest.there
            )
        })
    }

    fn is_lower_bound(&self, metric: &Metric) -> bool {
        self.rounds()
            .any(|(_, round)| metric.is_lower_bound(&round.worker))
    }

    fn errors(&self, most: f64, blank: Check) -> Check {
        let (mut failed, mut all, mut rounds) = (0, 0, 0);
        for (_, round) in self.rounds() {
            let failures = failures(&round.worker);
            failed += failures;
            all += failures + round.worker.ops;
            rounds += 1;
        }
        if all == 0 {
            return undecided(blank, "no operation of the head ended".to_owned());
        }
        let share = failed as f64 / all as f64;
        let value = Interval {
            estimate: share,
            low: share,
            high: share,
        };
        Check {
            verdict: match share <= most {
                true => CheckVerdict::Pass,
                false => CheckVerdict::Regression,
            },
            reason: Some(format!("{failed} of {all} operations failed")),
            head: Some(share),
            value: Some(value),
            samples: rounds,
            ..blank
        }
    }
}

fn undecided(check: Check, reason: String) -> Check {
    Check {
        verdict: CheckVerdict::Inconclusive,
        reason: Some(reason),
        ..check
    }
}

/// Takes a decision into a check, unless the values it rests on are not sound enough for it.
fn concluded(
    check: Check,
    decided: Decided,
    rule: &GateRule,
    metric: &Metric,
    sides: [Option<Side<'_>>; 2],
) -> Check {
    let check = Check {
        samples: decided.samples,
        ..check
    };
    let too_few = sides
        .iter()
        .flatten()
        .find_map(|side| side.too_few_samples(metric));
    if let Some(reason) = too_few {
        return undecided(check, reason);
    }
    let lower = |side: Option<Side<'_>>| side.is_some_and(|side| side.is_lower_bound(metric));
    let unsound = match decided.decision {
        // The truth can only be worse for the side that is a lower bound.
        Decision::Pass => lower(sides[1]),
        Decision::Fail => lower(sides[0]),
        Decision::Undecided => false,
    };
    if unsound {
        return undecided(
            check,
            "operations had not ended, so that a value is a lower bound only".to_owned(),
        );
    }
    let verdict = match decided.decision {
        Decision::Pass => CheckVerdict::Pass,
        Decision::Fail => CheckVerdict::Regression,
        Decision::Undecided => {
            let reason = open(&check, decided, rule);
            return undecided(check, reason);
        }
    };
    Check { verdict, ..check }
}

/// Why a check is undecided.
fn open(check: &Check, decided: Decided, rule: &GateRule) -> String {
    let last = rule.looks.len();
    match (decided.bounds, decided.look) {
        (None, _) => "it cannot be known here: no round has it".to_owned(),
        (Some(_), 0) => format!(
            "{} so far, and the first planned look is after {}",
            describe::plural(decided.samples, "round"),
            rule.looks.first().copied().unwrap_or(0)
        ),
        (Some(_), look) if look == last => match check.slowdown {
            Some(slowdown) => format!(
                "after all {} the slowdown still lies between {} and {}: lengthen the rounds, or quieten the machine",
                decided.samples,
                describe::signed_percent(slowdown.low),
                describe::signed_percent(slowdown.high)
            ),
            None => "its bounds still lie on both sides of the objective".to_owned(),
        },
        (Some(_), look) => format!("undecided at look {look} of {last}, when the gate ended"),
    }
}

fn as_slowdown(bounds: Bounds) -> Interval {
    Interval {
        estimate: bounds.value - 1.0,
        low: bounds.low - 1.0,
        high: bounds.high - 1.0,
    }
}

fn as_value(bounds: Bounds) -> Interval {
    Interval {
        estimate: bounds.value,
        low: bounds.low,
        high: bounds.high,
    }
}

/// What the servers of a cell answered, by question.
fn contents(record: &Record, cell: usize) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut contents: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (_, round) in measured(record, cell) {
        for (question, answer) in &round.worker.contents {
            contents.entry(question).or_default().insert(answer);
        }
    }
    contents
}

fn name(cell: &CellSummary) -> String {
    format!("{} / {} ({})", cell.scenario, cell.runtime, cell.load)
}
