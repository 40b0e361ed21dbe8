//! A gate's checks in words: what was asked, what was found, and how sure that is.

use photofinish_record::Requirement;

use crate::gate::{Check, GateVerdict, Interval};
use crate::units;

/// A share as a signed percentage: `+4.1%`, `-12%`, `0%`.
pub fn signed_percent(share: f64) -> String {
    let text = units::percent(share.abs());
    match text.as_str() {
        "0%" => text,
        text if share < 0.0 => format!("-{text}"),
        text => format!("+{text}"),
    }
}

/// What was found, with its bounds: `is 15% slower (+12% to +18%)`.
pub fn gate_finding(check: &Check) -> String {
    match (check.slowdown, check.value) {
        (Some(slowdown), _) => {
            let worse = match slowdown.estimate >= 0.0 {
                true => "worse",
                false => "better",
            };
            format!(
                "is {} {worse} ({} to {})",
                units::percent(slowdown.estimate.abs()),
                signed_percent(slowdown.low),
                signed_percent(slowdown.high)
            )
        }
        (None, Some(value)) => format!(
            "is {} where {} was asked for",
            interval(check, value),
            requirement(check)
        ),
        (None, None) => "is not known".to_owned(),
    }
}

/// What was asked: `< +10%`, `< 20.0ms`, `no errors`.
pub fn requirement(check: &Check) -> String {
    match check.requirement {
        Requirement::Slowdown { limit } => format!("< {}", signed_percent(limit)),
        Requirement::Below { value } => format!("< {}", units::with_unit(value, &check.unit)),
        Requirement::Above { value } => format!("> {}", units::with_unit(value, &check.unit)),
        Requirement::Errors { most } if most <= 0.0 => "no errors".to_owned(),
        Requirement::Errors { most } => format!("<= {}", units::percent(most)),
    }
}

/// A value of the check's metric: `12.5ms`, `61.2k`, `0.3%`.
pub fn gate_value(check: &Check, value: f64) -> String {
    match check.requirement {
        Requirement::Errors { .. } => units::percent(value),
        _ => units::with_unit(value, &check.unit),
    }
}

fn interval(check: &Check, value: Interval) -> String {
    let of = |number| gate_value(check, number);
    match value.low == value.high {
        true => of(value.estimate),
        false => format!(
            "{} ({} to {})",
            of(value.estimate),
            of(value.low),
            of(value.high)
        ),
    }
}

/// The bounds of what was found in a cell of a table: `+12% … +18%`.
pub fn gate_bounds(check: &Check) -> String {
    match (check.slowdown, check.value) {
        (Some(slowdown), _) => format!(
            "{} to {}",
            signed_percent(slowdown.low),
            signed_percent(slowdown.high)
        ),
        (None, Some(value)) if value.low < value.high => format!(
            "{} to {}",
            gate_value(check, value.low),
            gate_value(check, value.high)
        ),
        _ => String::new(),
    }
}

/// The verdict as a heading: `PASS`, `REGRESSION`, …
pub fn gate_heading(verdict: GateVerdict) -> String {
    verdict.name().to_uppercase()
}
