//! Rounds: which of a record's rounds count, and what is read from them as they are.
//!
//! A disturbed block is redone whole, and of each block only the rounds of its last whole attempt count: in numbers,
//! charts, checks and exports alike. Everything in this crate that walks over rounds goes through here, so that none forgets it.
//! Numbers over rounds are the business of `summary`.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use photofinish_record::latency::Latencies;
use photofinish_record::{Measured, Measurement, Outcome, PlannedScenario, Record, Round};

/// The rounds that count, in the order in which they ran.
pub fn counted(record: &Record) -> impl Iterator<Item = &Round> {
    let counting = counting_attempts(record);
    record
        .rounds
        .iter()
        .filter(move |round| counting.get(&round.block) == Some(&round.attempt))
}

/// Blocks of which there are rounds.
pub(crate) fn blocks(record: &Record) -> usize {
    counting_attempts(record).len()
}

/// The number of each block's attempt that counts: the last of those with the most rounds, so that a redo that was cut
/// short takes nothing away from what it was to replace.
fn counting_attempts(record: &Record) -> BTreeMap<usize, u32> {
    let mut rounds: BTreeMap<(usize, u32), usize> = BTreeMap::new();
    for round in &record.rounds {
        *rounds.entry((round.block, round.attempt)).or_default() += 1;
    }
    let mut counting: BTreeMap<usize, (usize, u32)> = BTreeMap::new();
    for ((block, attempt), rounds) in rounds {
        let most = counting.entry(block).or_default();
        *most = (rounds, attempt).max(*most);
    }
    let attempt = |(block, (_, attempt))| (block, attempt);
    counting.into_iter().map(attempt).collect()
}

/// The rounds of a cell that count, in the order in which they ran.
pub(crate) fn of_cell(record: &Record, cell: usize) -> impl Iterator<Item = &Round> {
    counted(record).filter(move |round| round.cell == cell)
}

/// The measured rounds of a cell with their blocks, in the order in which they ran.
pub(crate) fn measured(record: &Record, cell: usize) -> impl Iterator<Item = (usize, &Measured)> {
    of_cell(record, cell).filter_map(|round| match &round.outcome {
        Outcome::Ok(measured) => Some((round.block, &**measured)),
        _ => None,
    })
}

/// What was redone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Redone {
    /// Blocks that were redone, each counted once.
    pub(crate) blocks: usize,
    /// Why, in one sentence each and without repetition, in the order in which it was found.
    pub(crate) reasons: Vec<String>,
}

/// The blocks that were redone, and why.
pub(crate) fn redone(record: &Record) -> Redone {
    let counting = counting_attempts(record);
    let discarded = record
        .rounds
        .iter()
        .filter(|round| counting.get(&round.block) != Some(&round.attempt));
    let (mut blocks, mut reasons) = (BTreeSet::new(), Vec::new());
    for round in discarded {
        blocks.insert(round.block);
        reasons.extend(round.conditions.disturbance.clone());
    }
    Redone {
        blocks: blocks.len(),
        reasons: without_repetition(reasons),
    }
}

fn without_repetition(sentences: Vec<String>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    sentences
        .into_iter()
        .filter(|sentence| seen.insert(sentence.clone()))
        .collect()
}

/// The scenario of that name in the plan.
pub(crate) fn scenario<'a>(record: &'a Record, name: &str) -> Option<&'a PlannedScenario> {
    record
        .plan
        .scenarios
        .iter()
        .find(|scenario| scenario.name == name)
}

/// Failed operations of a round, of all kinds.
pub(crate) fn failures(round: &Measurement) -> u64 {
    round.errors.values().map(|failures| failures.count).sum()
}

/// The service times of all rounds of a cell in one histogram: for display only, never for inference.
pub(crate) fn merged_service(record: &Record, cell: usize) -> Latencies {
    merged(record, cell, |round| Some(Cow::Borrowed(&round.service)))
}

/// One kind of times of all rounds of a cell in one histogram: for display only, never for inference.
pub(crate) fn merged(
    record: &Record,
    cell: usize,
    times: impl for<'a> Fn(&'a Measurement) -> Option<Cow<'a, Latencies>>,
) -> Latencies {
    let mut merged = Latencies::new();
    measured(record, cell)
        .filter_map(|(_, round)| times(&round.worker))
        .for_each(|times| merged.merge(&times));
    merged
}
