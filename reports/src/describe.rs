//! Descriptions: the phrases and sentences shared by tables, charts, the page and the JSON documents.
//!
//! Only words: each output does its own layout, `rule` and `report` make decisions, and `units` prints numbers. Each
//! subject has a file in the directory of this module; this one has counts, times, and sentences about the whole run.

mod cells;
mod gate;
mod legends;
mod machine;
mod matrix;
mod parts;
mod plan;
mod shards;
mod table;
mod thresholds;
mod tool;
mod verdicts;

pub use cells::{Absent, absent, arrivals, errors, fewer_sessions, handshakes, is_alike, status};
pub use gate::{
    CHECK_COLUMNS, CheckColumn, check_name, check_subject, gate_finding, gate_heading, gate_rule,
    requirement, slowdown_legend, too_few_samples, undecided, whole_check,
};
pub use legends::{
    ADVISORY, UNFINISHED, interval_confidence, interval_legend, load_legends, mark_legends,
    verdict_legend,
};
pub use machine::{cpus, machine, placement, processor, tool_version};
pub use matrix::{
    certainty, checks, counted_certainty, disturbed_rounds, fitness, matrix_caption, matrix_legend,
    metric_with_direction, operations, worst_level,
};
pub use parts::{PART_COLUMNS, PARTS, PartCell, PartColumn, part_rows};
pub use plan::{
    cell, cold_lane, defaults, point, point_slug, rounds, servers, stop, subject, warmup,
};
pub(crate) use shards::{
    SHARDS, UNEQUAL_MODELS, absent_shards, clock, clocks_apart, generator_bound, partial,
    shards_apart, unequal_cpus, uneven_shard,
};
pub use table::{
    COSTS, Column, ExtraColumn, SYSTEM_CALL_COLUMNS, SYSTEM_CALLS, columns, extra_columns,
    is_meaningless, mark, page_columns, result, value,
};
pub use thresholds::{
    THRESHOLD_COLUMNS, ThresholdColumn, threshold_finding, threshold_metric, threshold_requirement,
    threshold_subject, thresholds_not_met,
};
pub use tool::tool;
pub use verdicts::{
    STACKS, caveat, change_counts, change_legend, distances, glyph, headline, needed, ratio,
    ratio_interval, verdict, verdict_counts, verdict_of, verdict_word, verdicts,
};

use gate::{requirement_of, share_or_value};
use photofinish_record::{Completion, UtcTime};

/// A human-readable time of day: `2026-11-20 18:27:43 UTC`; anything but RFC 3339 is left unchanged.
pub fn time(rfc3339: &str) -> String {
    match rfc3339.parse().map(UtcTime::date_and_time) {
        Ok((date, time)) => format!("{date} {time} UTC"),
        Err(_) => rfc3339.to_owned(),
    }
}

/// The length of a run: `48 s`, `5 min 38 s`.
pub fn elapsed(elapsed_ns: u64) -> String {
    let seconds = (elapsed_ns as f64 / 1e9).round() as u64;
    match (seconds / 60, seconds % 60) {
        (0, seconds) => format!("{seconds} s"),
        (minutes, seconds) => format!("{minutes} min {seconds} s"),
    }
}

/// The items of a list in one line.
pub(crate) fn list(items: impl Iterator<Item = String>, separator: &str) -> String {
    items.collect::<Vec<_>>().join(separator)
}

/// `1 round`, `5 rounds`.
pub fn plural(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// `1 round was`, `5 rounds were`.
pub fn were(count: usize, noun: &str) -> String {
    let verb = if count == 1 { "was" } else { "were" };
    format!("{} {verb}", plural(count, noun))
}

/// A list whose first item is shown and whose others are counted: `a timeout (and 2 more)`.
pub fn first_and_more(first: &str, others: usize) -> String {
    match others {
        0 => first.to_owned(),
        others => format!("{first} (and {others} more)"),
    }
}

/// The printed range of some values: `2.1%`, `1.4% to 3%`; `None` if there are none.
fn range(values: impl Iterator<Item = f64> + Clone, print: fn(f64) -> String) -> Option<String> {
    let least = print(values.clone().reduce(f64::min)?);
    let most = print(values.reduce(f64::max)?);
    Some(if least == most {
        least
    } else {
        format!("{least} to {most}")
    })
}

/// The reason a run is incomplete; `None` if it is complete.
pub fn incomplete(completion: &Completion) -> Option<String> {
    match completion {
        Completion::Complete => None,
        Completion::Interrupted => {
            Some("The run was interrupted; partial results follow.".to_owned())
        }
        Completion::Failed { reason } => {
            Some(format!("The run failed: {reason}. Partial results follow."))
        }
    }
}
