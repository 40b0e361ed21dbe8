//! Sentences on the shards of a run.

use photofinish_record::shard::{ClockOffset, ShardSet};

use super::list;
use crate::units;

/// The note under the table of shards.
pub(crate) const SHARDS: &str = "Operations and their rate are those of all rounds; p99 and CPU are medians over rounds; the clock is the \
     store's, against the shard's. The shards measured each round together, so their spread is no interval of the result.";

pub(crate) const UNEQUAL_MODELS: &str = "the shards run on different models of CPU";

/// The reason that a record of shards has no verdict; `None` if all shards are there.
pub(crate) fn partial(shards: &ShardSet) -> Option<String> {
    let missing = shards.missing();
    let count = shards.count;
    let named = match missing.as_slice() {
        [] => return None,
        _ if !shards.merged => {
            let own = shards.members.first().map_or(0, |member| member.index);
            return Some(format!(
                "partial: this is shard {own} of {count}; `photofinish merge` makes one record of all"
            ));
        }
        [one] => format!("shard {one} of {count} is"),
        several => format!("shards {} of {count} are", numbers(several)),
    };
    Some(format!("partial: {named} missing"))
}

/// `1, 2, 3`; more than ten are counted.
fn numbers(indices: &[u32]) -> String {
    const MOST: usize = 10;
    let named = list(indices.iter().take(MOST).map(u32::to_string), ", ");
    match indices.len().saturating_sub(MOST) {
        0 => named,
        others => format!("{named} and {others} more"),
    }
}

/// Shards without a part in a round.
pub(crate) fn absent_shards(indices: &[u32]) -> String {
    let shards = if indices.len() == 1 {
        "shard"
    } else {
        "shards"
    };
    format!(
        "partial: {shards} {} did not measure this round",
        numbers(indices)
    )
}

pub(crate) fn shards_apart(overlap: f64) -> String {
    format!(
        "its shards loaded the server together for {} of the time only: their clocks differ, or one was held up",
        units::percent(overlap)
    )
}

/// A shard with other operations per session or a longer 99th percentile than the others.
pub(crate) fn uneven_shard(index: u32, ops: Option<f64>, p99: Option<f64>) -> String {
    let ops = ops.map(|ratio| format!("{} the operations per session", units::ratio(ratio)));
    let p99 = p99.map(|ratio| format!("{} the 99th percentile", units::ratio(ratio)));
    let both = list(ops.into_iter().chain(p99), " and ");
    format!("shard {index} had {both} of the median shard")
}

/// Shards that had no CPU time left.
pub(crate) fn generator_bound(indices: &[u32]) -> String {
    let shards = if indices.len() == 1 {
        "shard"
    } else {
        "shards"
    };
    format!(
        "generator-bound: {shards} {} used all of the CPU time, so a faster server would not show; add shards or CPUs",
        numbers(indices)
    )
}

pub(crate) fn unequal_cpus(least: u32, most: u32) -> String {
    format!(
        "the shards have {least} to {most} CPUs for their workers, so the largest does most of the work"
    )
}

/// How far the store's clock is ahead of a shard's: `40.0ms to 45.0ms`; negative where it is behind.
pub(crate) fn clock(offset: ClockOffset) -> String {
    let shown = |us: i64| {
        let sign = if us < 0 { "-" } else { "" };
        format!("{sign}{}", units::duration(us.unsigned_abs() as f64 * 1e3))
    };
    format!("{} to {}", shown(offset.least_us), shown(offset.most_us))
}

pub(crate) fn clocks_apart(us: i64) -> String {
    format!(
        "the shards' clocks differ by at least {}, and so do their starts: synchronise them",
        units::duration(us as f64 * 1e3)
    )
}
