//! One record of the records of a run's shards.
//!
//! A round was measured by all shards together, so that its numbers are those of one machine with all their sessions: counts
//! and histograms are added, a quantile is read after the addition and never averaged, throughput is operations over the
//! common window and never a sum of rates, and a ratio is that of two sums. What cannot be added (facts, contents) has to be
//! equal. Sentences get the shard's number. Merging is associative and commutative: any order and any grouping of shards
//! gives the same record, and a run of one shard is its own.
//!
//! Records are added one at a time, so that memory does not grow with their number. Here are numbers only; `reports` judges
//! the spread of the shards and what is missing.

use std::cmp::Ordering;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::mem;

use crate::intervals::{Interval, Intervals};
use crate::merge::sentence::ShardSentence;
use crate::shard::{CommonStart, ShardMember, ShardRound, ShardSet};
use crate::{
    Completion, Conditions, Cost, Failures, Finding, LoopOverhead, Measured, Measurement, OpenLoad,
    Outcome, Part, Plan, Record, Round, Traffic,
};

/// Maximum number of sentences of one kind that a merged round keeps.
const MOST_SENTENCES: usize = 100;

/// A fact that is not the same for all shards.
const MIXED: &str = "differs between shards";

/// Records that are not shards of one run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    #[error("it is a record of one machine, not of a shard")]
    NotAShard,
    #[error("it is of another run, with another {what}")]
    OtherRun { what: &'static str },
    #[error("shard {index} is in two records: of the runs {} and {}", .runs[0], .runs[1])]
    Duplicate { index: u32, runs: [String; 2] },
    #[error("there are no records of shards")]
    Nothing,
}

/// Adds records of shards, in any order.
#[derive(Debug, Default)]
pub struct Merger {
    sum: Option<Record>,
}

impl Merger {
    pub fn add(&mut self, record: Record) -> Result<(), MergeError> {
        let record = prepared(record)?;
        if let Some(sum) = &self.sum {
            check(sum, &record)?;
        }
        self.sum = Some(match self.sum.take() {
            Some(sum) => sum_of(sum, record),
            None => record,
        });
        Ok(())
    }

    /// The record of all that were added.
    pub fn finish(self) -> Result<Record, MergeError> {
        self.sum.ok_or(MergeError::Nothing)
    }
}

fn set(record: &Record) -> &ShardSet {
    let shards = record.shards.as_ref();
    shards.expect("checked when the record was added")
}

/// The record of a shard in the form of a merged one.
fn prepared(mut record: Record) -> Result<Record, MergeError> {
    let shards = record.shards.as_mut().ok_or(MergeError::NotAShard)?;
    let index = match shards.members.as_slice() {
        [own] if !shards.merged && shards.count.get() > 1 => own.index,
        [] => return Err(MergeError::NotAShard),
        _ => return Ok(record),
    };
    shards.merged = true;
    let name = |text: &mut String| *text = ShardSentence::of(index, text).to_string();
    record.warnings.iter_mut().for_each(name);
    record
        .fitness
        .iter_mut()
        .for_each(|one| name(&mut one.evidence));
    if let Completion::Failed { reason } = &mut record.completion {
        name(reason);
    }
    for round in &mut record.rounds {
        round.conditions.disturbance.iter_mut().for_each(name);
        match &mut round.outcome {
            Outcome::Failed { reason } => name(reason),
            Outcome::Unsupported { .. } => {}
            Outcome::Ok(measured) => {
                let worker = &mut measured.worker;
                let texts = [&mut worker.violations, &mut worker.warnings];
                texts.into_iter().flatten().for_each(name);
                measured.mismatches.iter_mut().for_each(name);
                measured.shards = vec![part(index, worker)];
            }
        }
    }
    Ok(record)
}

fn part(index: u32, worker: &Measurement) -> ShardRound {
    let times = worker
        .open
        .as_ref()
        .map_or(&worker.service, |open| &open.response);
    let cost = &worker.cost;
    ShardRound {
        index,
        sessions: worker.sessions,
        ops: worker.ops,
        failed: worker.failed_ops(),
        throughput_ops_s: worker.throughput_ops_s,
        warmup_ops: worker.warmup_ops,
        instructions_per_op: cost.instructions_per_op,
        syscalls_per_op: cost.syscalls_per_op,
        p99_ns: times.quantile_ns(0.99),
        cpu_ns: both(cost.cpu_user_ns, cost.cpu_system_ns),
        peak_rss_bytes: cost.peak_rss_bytes,
        after_ns: worker.common_start.map_or(0, |start| start.after_ns),
        elapsed_ns: worker.elapsed_ns,
        rate_held: worker.open.as_ref().map(|open| open.rate_held),
        loop_p50_ns: worker.overhead.map(|overhead| overhead.service_p50_ns),
    }
}

/// Checks that two records are of one run, and share no shard.
fn check(one: &Record, other: &Record) -> Result<(), MergeError> {
    let (own, new) = (set(one), set(other));
    let other_run = |what| Err(MergeError::OtherRun { what });
    if own.count != new.count {
        return other_run("number of shards");
    }
    if one.seed != other.seed {
        return other_run("seed");
    }
    let (plan, other_plan) = (&one.plan, &other.plan);
    let same_plan = plan.cells == other_plan.cells && plan.blocks == other_plan.blocks;
    if own.identity != new.identity || !same_plan {
        return other_run("plan or program");
    }
    for member in &new.members {
        let same = |known: &&ShardMember| known.index == member.index;
        if let Some(known) = own.members.iter().find(same) {
            return Err(MergeError::Duplicate {
                index: member.index,
                runs: [known.run.clone(), member.run.clone()],
            });
        }
    }
    Ok(())
}

/// The sum of two prepared records. Everything that is not a sum is from the one with the first shard.
fn sum_of(one: Record, other: Record) -> Record {
    let first = |record: &Record| set(record).members[0].index;
    let (mut sum, mut other) = match first(&one).cmp(&first(&other)) {
        Ordering::Greater => (other, one),
        _ => (one, other),
    };
    sum.shards = Some(sum_of_sets(set(&sum), set(&other)));
    sum.started_utc = sum.started_utc.min(other.started_utc);
    sum.elapsed_ns = sum.elapsed_ns.max(other.elapsed_ns);
    sum.completion = worse(sum.completion, other.completion);
    join(&mut sum.warnings, other.warnings, usize::MAX);
    sum.fitness = findings(sum.fitness, other.fitness);
    sum.rounds = rounds(&sum.plan, sum.rounds, mem::take(&mut other.rounds));
    sum
}

fn sum_of_sets(one: &ShardSet, other: &ShardSet) -> ShardSet {
    let mut members = [one.members.as_slice(), &other.members].concat();
    members.sort_by_key(|member| member.index);
    ShardSet {
        merged: true,
        members,
        ..one.clone()
    }
}

fn worse(one: Completion, other: Completion) -> Completion {
    match (one, other) {
        (Completion::Failed { reason }, Completion::Failed { reason: other }) => {
            Completion::Failed {
                reason: reason.min(other),
            }
        }
        (failed @ Completion::Failed { .. }, _) | (_, failed @ Completion::Failed { .. }) => failed,
        (Completion::Interrupted, _) | (_, Completion::Interrupted) => Completion::Interrupted,
        (Completion::Complete, Completion::Complete) => Completion::Complete,
    }
}

/// Adds sentences, each once with all of its shards, in order and at most `most` of them.
fn join(all: &mut Vec<String>, others: Vec<String>, most: usize) {
    let mut sentences: BTreeMap<String, BTreeSet<u32>> = BTreeMap::new();
    for text in mem::take(all).into_iter().chain(others) {
        let ShardSentence { shards, text } = ShardSentence::read(&text);
        sentences.entry(text.to_owned()).or_default().extend(shards);
    }
    let sentences = sentences.into_iter().take(most);
    all.extend(sentences.map(|(text, shards)| {
        ShardSentence {
            shards,
            text: &text,
        }
        .to_string()
    }));
}

/// Adds findings, each once with all of its shards.
fn findings(all: Vec<Finding>, others: Vec<Finding>) -> Vec<Finding> {
    let mut sum: Vec<Finding> = Vec::new();
    for mut finding in all.into_iter().chain(others) {
        let text = |of: &Finding| ShardSentence::read(&of.evidence).text.to_owned();
        let same = |known: &&mut Finding| {
            (&known.check, known.level) == (&finding.check, finding.level)
                && text(known) == text(&finding)
        };
        match sum.iter_mut().find(same) {
            Some(known) => {
                let mut both = vec![mem::take(&mut known.evidence)];
                join(&mut both, vec![mem::take(&mut finding.evidence)], 1);
                known.evidence = both.swap_remove(0);
            }
            None => sum.push(finding),
        }
    }
    let order = |of: &Finding| {
        let ShardSentence { shards, text } = ShardSentence::read(&of.evidence);
        (of.check.clone(), text.to_owned(), shards)
    };
    sum.sort_by_cached_key(order);
    sum
}

fn rounds(plan: &Plan, one: Vec<Round>, other: Vec<Round>) -> Vec<Round> {
    let mut all: BTreeMap<_, Round> = BTreeMap::new();
    for round in one.into_iter().chain(other) {
        let order = &plan.blocks[round.block];
        let position = order.iter().position(|cell| *cell == round.cell);
        let key = (round.block, round.attempt, position, round.cell);
        match all.entry(key) {
            Entry::Vacant(entry) => {
                entry.insert(round);
            }
            Entry::Occupied(mut entry) => add_round(entry.get_mut(), round),
        }
    }
    all.into_values().collect()
}

fn add_round(sum: &mut Round, other: Round) {
    sum.offset_ns = sum.offset_ns.min(other.offset_ns);
    add_conditions(&mut sum.conditions, other.conditions);
    let unmeasured = Outcome::Failed {
        reason: String::new(),
    };
    let outcome = mem::replace(&mut sum.outcome, unmeasured);
    sum.outcome = match (outcome, other.outcome) {
        (Outcome::Ok(mut one), Outcome::Ok(other)) => {
            add_measured(&mut one, *other);
            Outcome::Ok(one)
        }
        (Outcome::Failed { reason }, Outcome::Failed { reason: other }) => Outcome::Failed {
            reason: reason.min(other),
        },
        (failed @ Outcome::Failed { .. }, _) | (_, failed @ Outcome::Failed { .. }) => failed,
        (Outcome::Unsupported { reason }, Outcome::Unsupported { reason: other }) => {
            Outcome::Unsupported {
                reason: reason.min(other),
            }
        }
        (unsupported @ Outcome::Unsupported { .. }, _)
        | (_, unsupported @ Outcome::Unsupported { .. }) => unsupported,
    };
}

fn add_conditions(sum: &mut Conditions, other: Conditions) {
    sum.elapsed_ns = sum.elapsed_ns.max(other.elapsed_ns);
    sum.steal_ns = both(sum.steal_ns, other.steal_ns);
    sum.foreign_cpu_ns = both(sum.foreign_cpu_ns, other.foreign_cpu_ns);
    sum.throttled_ns = both(sum.throttled_ns, other.throttled_ns);
    sum.listen_overflows = both(sum.listen_overflows, other.listen_overflows);
    let sentences = |text: Option<String>| text.iter().flat_map(|text| split(text)).collect();
    let mut all: Vec<String> = sentences(sum.disturbance.take());
    join(&mut all, sentences(other.disturbance), MOST_SENTENCES);
    sum.disturbance = (!all.is_empty()).then(|| all.join("; "));
}

/// The disturbances of several shards.
fn split(text: &str) -> Vec<String> {
    let mut parts = text.split("; shard");
    let first = parts.next().map(str::to_owned);
    let others = parts.map(|part| format!("shard{part}"));
    first.into_iter().chain(others).collect()
}

fn add_measured(sum: &mut Measured, other: Measured) {
    sum.shards.extend(other.shards);
    sum.shards.sort_by_key(|shard| shard.index);
    join(&mut sum.mismatches, other.mismatches, MOST_SENTENCES);
    let (one, two) = (&sum.worker, &other.worker);
    let differing = one.contents.iter().filter(|(request, content)| {
        two.contents
            .get(*request)
            .is_some_and(|other| other != *content)
    });
    let differing: Vec<String> = differing
        .map(|(request, _)| format!("shards got different contents for {request}"))
        .collect();
    join(&mut sum.mismatches, differing, MOST_SENTENCES);
    for (target, counts) in other.servers {
        sum.servers.entry(target).or_insert(counts);
    }
    add(&mut sum.worker, other.worker);
    add_ratios(&mut sum.worker, &sum.shards);
}

/// The numbers that are ratios of sums, from all shards in their order: sums of floats depend on it.
fn add_ratios(sum: &mut Measurement, shards: &[ShardRound]) {
    let ops = |shard: &ShardRound| shard.throughput_ops_s * (shard.elapsed_ns as f64 / 1e9);
    let all: f64 = shards.iter().map(ops).sum();
    sum.throughput_ops_s = match sum.elapsed_ns {
        0 => 0.0,
        elapsed_ns => all / (elapsed_ns as f64 / 1e9),
    };
    // Counted in the warm-up, and so weighted by its operations.
    let weights: f64 = shards.iter().map(|shard| shard.warmup_ops as f64).sum();
    let per_op = |of: fn(&ShardRound) -> Option<f64>| {
        let all: Option<Vec<f64>> = shards
            .iter()
            .map(|shard| Some(of(shard)? * shard.warmup_ops as f64))
            .collect();
        all.filter(|_| weights > 0.0)
            .map(|all| all.iter().sum::<f64>() / weights)
    };
    sum.cost.instructions_per_op = per_op(|shard| shard.instructions_per_op);
    sum.cost.syscalls_per_op = per_op(|shard| shard.syscalls_per_op);
}

/// Adds the numbers of another shard.
fn add(sum: &mut Measurement, other: Measurement) {
    let (start, elapsed_ns) = window(sum, &other);
    sum.cost = cost(sum, &other);
    sum.elapsed_ns = elapsed_ns;
    sum.common_start = start;
    sum.sessions = sum.sessions.saturating_add(other.sessions);
    sum.worker_threads = sum.worker_threads.saturating_add(other.worker_threads);
    add_facts(&mut sum.runtime_facts, other.runtime_facts);
    sum.ops = sum.ops.saturating_add(other.ops);
    sum.warmup_ops = sum.warmup_ops.saturating_add(other.warmup_ops);
    add_counts(&mut sum.warmup_errors, other.warmup_errors);
    sum.session_ns = sum.session_ns.saturating_add(other.session_ns);
    sum.sessions_without_success = sum
        .sessions_without_success
        .saturating_add(other.sessions_without_success);
    sum.service.merge(&other.service);
    sum.intervals = intervals(sum.intervals.take(), other.intervals);
    sum.open = open(sum.open.take(), other.open);
    sum.overhead = slower(sum.overhead, other.overhead);
    for (name, times) in other.observed {
        sum.observed.entry(name).or_default().merge(&times);
    }
    // Their sum, maximum or mean may mean nothing.
    sum.gauges
        .retain(|name, value| other.gauges.get(name) == Some(value));
    sum.contents.extend(other.contents);
    for (kind, failures) in other.errors {
        match sum.errors.entry(kind) {
            Entry::Vacant(entry) => {
                entry.insert(failures);
            }
            Entry::Occupied(mut entry) => add_failures(entry.get_mut(), failures),
        }
    }
    add_parts(&mut sum.parts, other.parts);
    for (target, traffic) in other.traffic {
        match sum.traffic.entry(target) {
            Entry::Vacant(entry) => {
                entry.insert(traffic);
            }
            Entry::Occupied(mut entry) => add_traffic(entry.get_mut(), &traffic),
        }
    }
    join(&mut sum.violations, other.violations, MOST_SENTENCES);
    join(&mut sum.warnings, other.warnings, MOST_SENTENCES);
}

fn add_facts(sum: &mut BTreeMap<String, String>, other: BTreeMap<String, String>) {
    for (fact, value) in &mut *sum {
        if other.get(fact) != Some(value) {
            *value = MIXED.to_owned();
        }
    }
    for fact in other.into_keys() {
        sum.entry(fact).or_insert_with(|| MIXED.to_owned());
    }
}

/// From the first start of both to the last end: the start, and the length in ns.
fn window(one: &Measurement, other: &Measurement) -> (Option<CommonStart>, u64) {
    let (Some(start), Some(other_start)) = (one.common_start, other.common_start) else {
        return (None, one.elapsed_ns.max(other.elapsed_ns));
    };
    let after_ns = start.after_ns.min(other_start.after_ns);
    let end = |of: &Measurement, start: CommonStart| start.after_ns.saturating_add(of.elapsed_ns);
    let end_ns = end(one, start).max(end(other, other_start));
    let unix_us = start.unix_us.min(other_start.unix_us);
    (Some(CommonStart { unix_us, after_ns }), end_ns - after_ns)
}

fn both(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    Some(one?.saturating_add(other?))
}

fn add_counts(sum: &mut BTreeMap<String, u64>, other: BTreeMap<String, u64>) {
    for (kind, count) in other {
        let sum = sum.entry(kind).or_default();
        *sum = sum.saturating_add(count);
    }
}

/// Of both, if they have intervals of lengths that can be made equal.
fn intervals(one: Option<Intervals>, other: Option<Intervals>) -> Option<Intervals> {
    let (mut one, mut other) = (one?, other?);
    while one.length_ns != other.length_ns {
        let shorter = if one.length_ns < other.length_ns {
            &mut one
        } else {
            &mut other
        };
        if shorter.length_ns == 0 || shorter.intervals.is_empty() {
            return None;
        }
        coarsen(shorter);
    }
    let length = one.intervals.len().max(other.intervals.len());
    one.intervals.resize(length, Interval::default());
    for (sum, other) in one.intervals.iter_mut().zip(other.intervals) {
        add_interval(sum, other);
    }
    Some(one)
}

/// Makes one interval of each two.
fn coarsen(all: &mut Intervals) {
    all.length_ns = all.length_ns.saturating_mul(2);
    let mut pairs = Vec::with_capacity(all.intervals.len().div_ceil(2));
    for (index, interval) in mem::take(&mut all.intervals).into_iter().enumerate() {
        match pairs.last_mut() {
            Some(first) if index % 2 == 1 => add_interval(first, interval),
            _ => pairs.push(interval),
        }
    }
    all.intervals = pairs;
}

fn add_interval(sum: &mut Interval, other: Interval) {
    sum.failed = sum.failed.saturating_add(other.failed);
    let mut buckets: BTreeMap<usize, u64> = mem::take(&mut sum.buckets).into_iter().collect();
    for (bucket, count) in other.buckets {
        let sum = buckets.entry(bucket).or_default();
        *sum = sum.saturating_add(count);
    }
    sum.buckets = buckets.into_iter().collect();
}

fn open(one: Option<OpenLoad>, other: Option<OpenLoad>) -> Option<OpenLoad> {
    let (mut sum, other) = (one?, other?);
    let add = u64::saturating_add;
    sum.scheduled = add(sum.scheduled, other.scheduled);
    sum.schedule_ns = sum.schedule_ns.max(other.schedule_ns);
    sum.started_in_time = add(sum.started_in_time, other.started_in_time);
    let together = OpenLoad::is_held(sum.scheduled, sum.started_in_time);
    sum.rate_held = sum.rate_held && other.rate_held && together;
    sum.late = add(sum.late, other.late);
    sum.unfinished = add(sum.unfinished, other.unfinished);
    sum.unsent = add(sum.unsent, other.unsent);
    sum.response.merge(&other.response);
    sum.lag.merge(&other.lag);
    sum.overdue.merge(&other.overdue);
    sum.pacing_error.merge(&other.pacing_error);
    sum.pacer_cpu_ns = both(sum.pacer_cpu_ns, other.pacer_cpu_ns);
    sum.pacer_alone &= other.pacer_alone;
    Some(sum)
}

/// The loop that costs more.
fn slower(one: Option<LoopOverhead>, other: Option<LoopOverhead>) -> Option<LoopOverhead> {
    let key = |overhead: &LoopOverhead| {
        (
            overhead.service_p50_ns,
            overhead.service_p99_ns,
            overhead.ops,
        )
    };
    let (one, other) = (one?, other?);
    Some(if key(&other) > key(&one) { other } else { one })
}

fn add_failures(sum: &mut Failures, other: Failures) {
    sum.count = sum.count.saturating_add(other.count);
    if other.example < sum.example {
        sum.example = other.example;
    }
    sum.service.merge(&other.service);
}

fn add_parts(sum: &mut Vec<Part>, others: Vec<Part>) {
    for other in others {
        let Some(known) = sum.iter_mut().find(|part| part.name == other.name) else {
            sum.push(other);
            continue;
        };
        known.succeeded = known.succeeded.saturating_add(other.succeeded);
        known.failed = known.failed.saturating_add(other.failed);
        add_counts(&mut known.statuses, other.statuses);
        add_counts(&mut known.failures, other.failures);
        known.service.merge(&other.service);
    }
}

fn add_traffic(sum: &mut Traffic, other: &Traffic) {
    let Traffic {
        requests,
        bytes_out,
        bytes_in,
        reads,
        connections,
        abandoned,
        abandoned_connections,
        reconnects,
        transactions,
        full_handshakes,
        resumed_handshakes,
    } = sum;
    *bytes_out = both(*bytes_out, other.bytes_out);
    *bytes_in = both(*bytes_in, other.bytes_in);
    for (sum, other) in [
        (requests, other.requests),
        (reads, other.reads),
        (connections, other.connections),
        (abandoned, other.abandoned),
        (abandoned_connections, other.abandoned_connections),
        (reconnects, other.reconnects),
        (transactions, other.transactions),
        (full_handshakes, other.full_handshakes),
        (resumed_handshakes, other.resumed_handshakes),
    ] {
        *sum = sum.saturating_add(other);
    }
}

fn cost(one: &Measurement, other: &Measurement) -> Cost {
    let (own, new) = (&one.cost, &other.cost);
    Cost {
        cpu_user_ns: both(own.cpu_user_ns, new.cpu_user_ns),
        cpu_system_ns: both(own.cpu_system_ns, new.cpu_system_ns),
        voluntary_switches: both(own.voluntary_switches, new.voluntary_switches),
        involuntary_switches: both(own.involuntary_switches, new.involuntary_switches),
        minor_faults: both(own.minor_faults, new.minor_faults),
        major_faults: both(own.major_faults, new.major_faults),
        instructions_per_op: None,
        syscalls_per_op: None,
        peak_rss_bytes: both(own.peak_rss_bytes, new.peak_rss_bytes),
        threads: both(own.threads, new.threads),
    }
}

mod sentence;

#[cfg(test)]
mod tests;
