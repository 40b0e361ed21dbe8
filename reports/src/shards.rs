//! The shards of a merged run side by side: shares, percentiles, CPU, clocks, and what stands out.
//!
//! All shards measured each round together, so their spread is a diagnosis and no confidence interval. What makes a round
//! wrong (missing shards, windows that do not overlap) is in `validity`; what makes it doubtful becomes a warning. The
//! sentences are in `describe`.

use photofinish_record::Measured;
use photofinish_record::load::{Load, Stop};
use photofinish_record::shard::{ShardMember, ShardRound, ShardSet};

use crate::describe;
use crate::metrics::EXHAUSTED;
use crate::rounds::Rounds;
use crate::statistics::median;
use crate::units;

/// Headings of the table's columns.
pub(crate) const HEADINGS: [&str; 10] = [
    "shard",
    "machine",
    "CPUs",
    "ops",
    "share",
    "ops/s",
    "p99 to median",
    "CPU used",
    "clock",
    "notes",
];

/// Least part of a round that all shards have to run together.
const LEAST_OVERLAP: f64 = 0.95;

/// A shard whose 99th percentile is this many times that of the median shard stands out.
const SLOW: f64 = 1.5;

/// A shard whose operations per session differ by more than this share from those of the median shard stands out.
const UNEVEN: f64 = 0.1;

/// The greatest difference of two clocks that does not matter, in µs: that of a start.
const CLOCKS_US: i64 = 50_000;

/// The reason that a round is not that of all shards; `None` if it is, or if the whole record is partial.
pub(crate) fn absent(round: &Measured, shards: &ShardSet) -> Option<String> {
    if !shards.merged || !shards.missing().is_empty() {
        return None;
    }
    let there = |index: &u32| round.shards.iter().any(|shard| shard.index == *index);
    let absent: Vec<u32> = (0..shards.count.get())
        .filter(|index| !there(index))
        .collect();
    (!absent.is_empty()).then(|| describe::absent_shards(&absent))
}

/// The reason that a round's shards did not load the server together; `None` if they did. Shards run for the same time, so that
/// they are together but for the difference of their starts; how long the last operations take does not matter.
pub(crate) fn apart(round: &Measured, stop: Stop) -> Option<String> {
    // Shards that run a number of operations end when they are done.
    let Stop::DurationNs(duration_ns) = stop else {
        return None;
    };
    let first = round.shards.iter().map(|shard| shard.after_ns).min()?;
    let last = round.shards.iter().map(|shard| shard.after_ns).max()?;
    let overlap = 1.0 - (last - first) as f64 / duration_ns.get() as f64;
    (overlap < LEAST_OVERLAP).then(|| describe::shards_apart(overlap.max(0.0)))
}

/// The median over rounds of a shard's numbers, beside those of all shards.
struct Spread {
    index: u32,
    /// Its operations per session, relative to those of the median shard.
    ops: f64,
    /// Its 99th percentile, relative to that of the median shard; `None` without successes.
    p99: Option<f64>,
    /// Share of its CPUs' time that its worker used; `None` if unknown.
    cpu: Option<f64>,
}

fn spreads(rounds: &[&Measured], members: &[ShardMember]) -> Vec<Spread> {
    let spread = |member: &ShardMember| {
        let own = |round: &&Measured| {
            let own = round
                .shards
                .iter()
                .find(|shard| shard.index == member.index)?;
            Some(Relative::of(*own, round, member))
        };
        let all: Vec<Relative> = rounds.iter().filter_map(own).collect();
        let of = |value: fn(&Relative) -> Option<f64>| {
            let values: Vec<f64> = all.iter().filter_map(value).collect();
            median(&values)
        };
        Some(Spread {
            index: member.index,
            ops: of(|one| Some(one.ops))?,
            p99: of(|one| one.p99),
            cpu: of(|one| one.cpu),
        })
    };
    members.iter().filter_map(spread).collect()
}

/// A shard in one round.
struct Relative {
    ops: f64,
    p99: Option<f64>,
    cpu: Option<f64>,
}

impl Relative {
    fn of(own: ShardRound, round: &Measured, member: &ShardMember) -> Self {
        let per_session = |of: &ShardRound| of.ops as f64 / f64::from(of.sessions.max(1));
        let each: Vec<f64> = round.shards.iter().map(per_session).collect();
        let p99s = round.shards.iter().filter_map(|shard| shard.p99_ns);
        let p99s: Vec<f64> = p99s.map(|p99_ns| p99_ns as f64).collect();
        let time_ns = own.elapsed_ns as f64 * f64::from(member.worker_cpus.max(1));
        Self {
            ops: per_session(&own) / median(&each).unwrap_or_default().max(f64::MIN_POSITIVE),
            p99: own
                .p99_ns
                .zip(median(&p99s))
                .map(|(p99_ns, median)| p99_ns as f64 / median),
            cpu: own.cpu_ns.map(|cpu_ns| cpu_ns as f64 / time_ns.max(1.0)),
        }
    }
}

/// The shards of a cell that stand out, in one sentence; `None` if none does.
pub(crate) fn outliers(rounds: &Rounds<'_>, cell: usize) -> Option<String> {
    let shards = rounds.shards?;
    let measured: Vec<&Measured> = rounds.measured(cell).collect();
    let by_rate = matches!(rounds.plan.cells[cell].load, Load::Open { .. });
    let sentences = spreads(&measured, &shards.members);
    let mut sentences = sentences.iter().filter_map(|spread| {
        // Under open load the schedule decides on the operations.
        let uneven = !by_rate && (spread.ops - 1.0).abs() > UNEVEN;
        let slow = spread.p99.filter(|ratio| *ratio > SLOW);
        (uneven || slow.is_some())
            .then(|| describe::uneven_shard(spread.index, uneven.then_some(spread.ops), slow))
    });
    let first = sentences.next()?;
    Some(describe::first_and_more(&first, sentences.count()))
}

/// The shards of a cell whose generator was exhausted, in one sentence; `None` if none was.
pub(crate) fn generator_bound(rounds: &Rounds<'_>, cell: usize) -> Option<String> {
    let shards = rounds.shards?;
    let measured: Vec<&Measured> = rounds.measured(cell).collect();
    let spreads = spreads(&measured, &shards.members);
    let bound = spreads
        .iter()
        .filter(|spread| spread.cpu.is_some_and(|cpu| cpu >= EXHAUSTED));
    let bound: Vec<u32> = bound.map(|spread| spread.index).collect();
    (!bound.is_empty()).then(|| describe::generator_bound(&bound))
}

/// What makes the shards of a run unlike each other: their CPUs and their clocks.
pub(crate) fn unlike(shards: &ShardSet) -> Vec<String> {
    let members = &shards.members;
    let cpus = members.iter().map(|member| member.worker_cpus);
    let (least, most) = (cpus.clone().min(), cpus.max());
    let one_model = members
        .iter()
        .all(|member| member.cpu_model == members[0].cpu_model);
    let mut sentences = Vec::new();
    if let (Some(least), Some(most)) = (least, most)
        && least != most
    {
        sentences.push(describe::unequal_cpus(least, most));
    }
    if !one_model {
        sentences.push(describe::UNEQUAL_MODELS.to_owned());
    }
    let clocks = members.iter().filter_map(|member| member.clock);
    // Both clocks differ from the store's: the least that they can differ from each other.
    let behind = clocks.clone().map(|clock| clock.most_us).min();
    let ahead = clocks.map(|clock| clock.least_us).max();
    if let (Some(behind), Some(ahead)) = (behind, ahead)
        && ahead.saturating_sub(behind) > CLOCKS_US
    {
        sentences.push(describe::clocks_apart(ahead.saturating_sub(behind)));
    }
    sentences
}

fn unknown() -> String {
    "n/a".to_owned()
}

/// The rows of the table, in texts under [`HEADINGS`]; none for a run that was not merged.
pub(crate) fn rows(rounds: &Rounds<'_>) -> Vec<[String; 10]> {
    let Some(shards) = rounds.shards.filter(|set| set.merged) else {
        return Vec::new();
    };
    let rounds = rounds.counted().filter_map(crate::rounds::measured);
    let rounds: Vec<&Measured> = rounds.collect();
    let all: u64 = rounds
        .iter()
        .flat_map(|round| &round.shards)
        .map(|shard| shard.ops)
        .sum();
    let spreads = spreads(&rounds, &shards.members);
    let row = |member: &ShardMember| {
        let own = rounds.iter().flat_map(|round| &round.shards);
        let own = own.filter(|shard| shard.index == member.index);
        let ops: u64 = own.clone().map(|shard| shard.ops).sum();
        let measured_ns: u64 = own.clone().map(|shard| shard.elapsed_ns).sum();
        let rate_hz = (measured_ns > 0).then(|| ops as f64 * 1e9 / measured_ns as f64);
        let missed = own.filter(|shard| shard.rate_held == Some(false)).count();
        let spread = spreads.iter().find(|spread| spread.index == member.index);
        let cpu = spread.and_then(|spread| spread.cpu);
        let notes = [
            (missed > 0).then(|| format!("rate not held in {}", describe::plural(missed, "round"))),
            cpu.filter(|cpu| *cpu >= EXHAUSTED)
                .map(|_| "generator-bound".to_owned()),
        ];
        let p99 = spread.and_then(|spread| spread.p99);
        [
            member.index.to_string(),
            member.host.clone(),
            member.worker_cpus.to_string(),
            units::count(ops as f64),
            units::percent(ops as f64 / all.max(1) as f64),
            rate_hz.map_or_else(unknown, units::count),
            p99.map_or_else(unknown, units::ratio),
            cpu.map_or_else(unknown, units::percent),
            member.clock.map_or_else(unknown, describe::clock),
            notes.into_iter().flatten().collect::<Vec<_>>().join(", "),
        ]
    };
    shards.members.iter().map(row).collect()
}
