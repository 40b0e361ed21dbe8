//! Descriptions: parts of a plan and of its results in the few words that tables, charts and the page share.
//!
//! Sentences and phrases only; layout is the business of each output, and numbers go through `units`. Each subject has a
//! file below this; here is what is said of the whole run, and how things are counted in words.

mod plan;

mod machine;

mod table;
mod verdicts;

mod cells;
mod legends;

mod floor;
mod open;

mod gate;

pub use cells::{Absent, absent, errors, fewer_sessions, status};
pub use floor::floor;
pub use gate::{gate_bounds, gate_finding, gate_heading, gate_value, requirement, signed_percent};
pub use legends::{
    ADVISORY, CLOSED_LOAD, LOWER_BOUND, OPEN_LOAD, load_legends, mark_legends, spread_legend,
    verdict_legend,
};
pub use machine::{cpus, machine, placement};
pub use open::{achieved, arrivals, pacing, rate_not_held};
pub use plan::{point, point_slug, rounds, servers, stop};
pub use table::{COSTS, Column, columns, page_columns, result, value};
pub use verdicts::{
    first, headline, ratio, ratio_spread, verdict, verdict_of, verdict_word, verdicts,
};

use photofinish_record::Completion;

/// A time of day for people: `2026-11-20 18:27:43 UTC`; what is not RFC 3339 stays as it is.
pub fn time(rfc3339: &str) -> String {
    let time: Result<jiff::Timestamp, _> = rfc3339.parse();
    time.map_or_else(
        |_| rfc3339.to_owned(),
        |time| time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
    )
}

/// How long a run took: `48 s`, `5 min 38 s`.
pub fn elapsed(elapsed_ns: u64) -> String {
    let seconds = (elapsed_ns as f64 / 1e9).round() as u64;
    match (seconds / 60, seconds % 60) {
        (0, seconds) => format!("{seconds} s"),
        (minutes, seconds) => format!("{minutes} min {seconds} s"),
    }
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

/// `is 1`, `are 5`.
pub fn are(count: usize) -> String {
    let verb = if count == 1 { "is" } else { "are" };
    format!("{verb} {count}")
}

/// Why the run did not come to its end; `None` where it did.
pub fn incomplete(completion: &Completion) -> Option<String> {
    match completion {
        Completion::Complete => None,
        Completion::Interrupted => {
            Some("The run was interrupted; what was measured until then follows.".to_owned())
        }
        Completion::Failed { reason } => Some(format!(
            "The run could not go on: {reason}. What was measured until then follows."
        )),
    }
}
