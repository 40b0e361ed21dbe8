//! A gate in words: the requirement of each check, the finding, and its certainty.

use photofinish_record::Requirement;

use super::plural;
use crate::conditions;
use crate::gate::{Check, GateReport, GateVerdict};
use crate::metrics::{Better, SampleCount, short_name};
use crate::rule::Decision;
use crate::units;

/// A share as a signed percentage: `+4.1%`, `-12%`, `0%`.
fn signed_percent(share: f64) -> String {
    let text = units::percent(share.abs());
    match text.as_str() {
        "0%" => text,
        text if share < 0.0 => format!("-{text}"),
        text => format!("+{text}"),
    }
}

/// A check's cell and metric: `http-get / tokio (closed, 16 in flight): throughput`.
pub fn check_name(check: &Check) -> String {
    format!(
        "{} / {} ({}): {}",
        check.scenario,
        check.runtime,
        check.load,
        short_name(&check.metric)
    )
}

/// A check within its scenario: `tokio · closed, 16 in flight · throughput`.
pub fn check_subject(check: &Check) -> String {
    let metric = short_name(&check.metric);
    format!("{} · {} · {metric}", check.runtime, check.load)
}

/// A check in one line: its name and the finding.
pub fn whole_check(check: &Check) -> String {
    format!("{} {}", check_name(check), gate_finding(check))
}

/// The finding of a check with its bounds and the requirement: `is 1.15× the base (+12% to +18%), expected < +10%`; of
/// throughput, `is 0.870× the base: +15% time per operation (+12% to +18%), expected < +10%`.
pub fn gate_finding(check: &Check) -> String {
    let estimate = match (check.slowdown, check.value) {
        (Some(slowdown), _) => match (head_to_base(check), is_rate(check)) {
            (Some(ratio), false) => format!("{ratio} the base"),
            (Some(ratio), true) => format!("{ratio} the base: {}", slowdown_text(check)),
            (None, _) => format!("{} slower", signed_percent(slowdown.estimate)),
        },
        (None, Some(value)) => gate_value(check, value.estimate),
        (None, None) => return "is not known".to_owned(),
    };
    let bounds = match gate_bounds(check) {
        bounds if bounds.is_empty() => bounds,
        bounds => format!(" ({bounds})"),
    };
    format!("is {estimate}{bounds}, expected {}", requirement(check))
}

/// The head's metric as a multiple of the base's, from pairs: 0.5× of a throughput is twice the time per operation.
fn head_to_base(check: &Check) -> Option<String> {
    let slowdown = 1.0 + check.slowdown?.estimate;
    let ratio = if is_rate(check) {
        slowdown.recip()
    } else {
        slowdown
    };
    ratio.is_finite().then(|| units::ratio(ratio))
}

/// True if more is better: the slowdown is then one of the time per operation.
fn is_rate(check: &Check) -> bool {
    conditions::find(&check.metric).is_some_and(|(_, better)| better == Better::Higher)
}

/// A slowdown with its quantity: `+15%`, `+15% time per operation`.
fn slowdown_text(check: &Check) -> String {
    let percent = check
        .slowdown
        .map(|slowdown| signed_percent(slowdown.estimate));
    let percent = percent.unwrap_or_default();
    match is_rate(check) {
        true => format!("{percent} time per operation"),
        false => percent,
    }
}

/// The requirement of a check: `< +10%`, `< 20.0ms`, `no errors`.
pub fn requirement(check: &Check) -> String {
    match check.requirement {
        Requirement::Errors { most } if most <= 0.0 => "no errors".to_owned(),
        requirement => requirement_of(requirement, &check.metric, &check.unit),
    }
}

/// A requirement of a metric: `< +10%`, `< 20.0ms`, `> 900`, `<= 0.1%`.
pub(super) fn requirement_of(requirement: Requirement, metric: &str, unit: &str) -> String {
    match requirement {
        Requirement::Slowdown { limit } => format!("< {}", signed_percent(limit)),
        Requirement::Below { value } => format!("< {}", share_or_value(metric, value, unit)),
        Requirement::Above { value } => format!("> {}", share_or_value(metric, value, unit)),
        Requirement::Errors { most } => format!("<= {}", units::percent(most)),
    }
}

/// A value of a metric: `12.5ms`, `61.2k`, `0.3%` of a share of operations.
pub(super) fn share_or_value(metric: &str, value: f64, unit: &str) -> String {
    if conditions::is_share(metric) {
        units::percent(value)
    } else {
        units::with_unit(value, unit)
    }
}

/// A value of the check's metric: `12.5ms`, `61.2k`, `0.3%`.
fn gate_value(check: &Check, value: f64) -> String {
    share_or_value(&check.metric, value, &check.unit)
}

/// A column of the table of checks.
#[derive(Clone, Copy, Debug)]
pub struct CheckColumn {
    pub heading: &'static str,
    /// Order in which columns are dropped if there is no room for all: 0 is dropped last.
    pub rank: u8,
    pub text: fn(&Check) -> String,
}

/// The columns of the table of checks, after the checks' names. Unknown values are blank.
pub const CHECK_COLUMNS: [CheckColumn; 7] = {
    const fn column(heading: &'static str, rank: u8, text: fn(&Check) -> String) -> CheckColumn {
        CheckColumn {
            heading,
            rank,
            text,
        }
    }
    [
        column("base", 3, |check| value_or_blank(check, check.base)),
        column("head", 2, |check| value_or_blank(check, check.head)),
        column("ratio", 5, |check| head_to_base(check).unwrap_or_default()),
        column("slowdown", 1, |check| match check.slowdown {
            Some(slowdown) => signed_percent(slowdown.estimate),
            None => String::new(),
        }),
        column("bounds", 6, gate_bounds),
        column("must be", 4, requirement),
        column("verdict", 0, |check| check.verdict.name().to_owned()),
    ]
};

fn value_or_blank(check: &Check, value: Option<f64>) -> String {
    value.map_or_else(String::new, |value| gate_value(check, value))
}

/// The bounds of a finding: `+12% to +18%`.
fn gate_bounds(check: &Check) -> String {
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

/// The legend of the pictures of slowdowns.
pub fn slowdown_legend(tolerance: f64) -> String {
    format!(
        "Slower is to the right. The grey band is the tolerance of {}, the dashed line the limit: a check fails if its whole \
         interval is beyond the band, and passes if all of it is before the line.",
        units::percent(tolerance)
    )
}

/// The procedure and the meaning of the verdicts.
pub fn gate_rule(report: &GateReport) -> String {
    let (block, procedure) = if report.paired {
        ("pair", "base and head side by side in random order")
    } else {
        ("block", "the head now, the base from its record")
    };
    format!(
        "{}, {procedure}; look {} of {}. A check fails when the lower bound is beyond {}, and passes when the upper bound \
         meets the requirement. base and head are medians; ratio and slowdown (of the time per operation, or of the time) are \
         of {block}s, so the two may differ.",
        plural(report.blocks, block),
        report.look.number,
        report.look.planned,
        units::percent(report.tolerance),
    )
}

/// The reason that a percentile cannot support a decision.
pub fn too_few_samples(samples: SampleCount) -> String {
    format!(
        "needs {} operations in a round; the smallest round had {}",
        samples.needed, samples.present
    )
}

/// The reason that the numbers leave a check undecided.
pub fn undecided(check: &Check, decision: &Decision, looks: &[u32]) -> String {
    match (decision.bounds, decision.look) {
        (None, _) => "unavailable: no round recorded it".to_owned(),
        (Some(_), 0) => format!(
            "{} so far, and the first planned look is after {}",
            plural(decision.samples, "round"),
            looks.first().copied().unwrap_or(0)
        ),
        (Some(_), look) if look == looks.len() => match check.slowdown {
            Some(slowdown) => format!(
                "after all {} the slowdown still lies between {} and {}: lengthen the rounds, or use a quieter machine",
                decision.samples,
                signed_percent(slowdown.low),
                signed_percent(slowdown.high)
            ),
            None => "its bounds still lie on both sides of the objective".to_owned(),
        },
        (Some(_), look) => format!(
            "undecided at look {look} of {}, when the gate ended",
            looks.len()
        ),
    }
}
