//! The diagnosis: what `doctor` says of a machine, for programs and for people.
//!
//! Findings come judged, and the measurement of sameness as a [`Resolution`]; here they are put in order, the worst
//! first, and into words no wider than the terminal. What ends with which exit code, the CLI decides.

use photofinish_harness::fitness;
use photofinish_record::machine::Machine;
use photofinish_record::{Finding, FindingLevel};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::metrics::THROUGHPUT;
use crate::resolution::Resolution;
use crate::terminal::{Indents, Page, Style, Tone};
use crate::{describe, units};

/// Name and version of the diagnosis's format.
pub const DIAGNOSIS_SCHEMA: &str = "photofinish-diagnosis/1";

/// The levels in the order in which they are read.
pub const LEVELS: [FindingLevel; 4] = [
    FindingLevel::Bad,
    FindingLevel::Caution,
    FindingLevel::Unknown,
    FindingLevel::Good,
];

/// What was found out about a machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Diagnosis {
    /// Always [`DIAGNOSIS_SCHEMA`].
    pub schema: String,
    /// The machine.
    pub machine: Machine,
    /// Whether measuring here is worth it: no finding is bad.
    pub fit: bool,
    /// What each check found.
    pub findings: Vec<Finding>,
    /// The smallest difference that can be told here; `null` where it was not measured.
    pub resolution: Option<Resolution>,
}

impl Diagnosis {
    /// Puts together what was found; what was measured becomes a finding too.
    pub fn of(
        machine: Machine,
        mut findings: Vec<Finding>,
        resolution: Option<Resolution>,
    ) -> Self {
        findings.extend(resolution.as_ref().map(Resolution::finding));
        Self {
            schema: DIAGNOSIS_SCHEMA.to_owned(),
            machine,
            fit: fitness::is_fit(&findings),
            findings,
            resolution,
        }
    }

    /// As text for people.
    pub fn render(&self, style: Style) -> String {
        let mut page = Page::new(style);
        page.paragraph(Tone::Strong, &describe::machine(&self.machine));
        for level in LEVELS {
            group(&mut page, level, &at(&self.findings, level));
        }
        if let Some(resolution) = &self.resolution {
            measured(&mut page, resolution);
        }
        page.blank();
        let tone = if self.fit { Tone::Strong } else { Tone::Bad };
        page.paragraph(tone, &in_short(&self.findings));
        page.text
    }
}

/// The JSON Schema of [`Diagnosis`].
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(Diagnosis).to_value()
}

/// The findings of one level, in their order.
pub(crate) fn at(findings: &[Finding], level: FindingLevel) -> Vec<&Finding> {
    let of_level = |finding: &&Finding| finding.level == level;
    findings.iter().filter(of_level).collect()
}

/// What a level means.
pub(crate) fn heading(level: FindingLevel) -> &'static str {
    match level {
        FindingLevel::Bad => "Bad: numbers would mislead",
        FindingLevel::Caution => "Caution: numbers are noisier or lower than they could be",
        FindingLevel::Unknown => "Unknown: cannot be told from here",
        FindingLevel::Good => "Good",
    }
}

/// The findings in one sentence.
pub(crate) fn in_short(findings: &[Finding]) -> String {
    let count = |level| at(findings, level).len();
    let rest = format!(
        "{}, {} good, {} unknown",
        describe::plural(count(FindingLevel::Caution), "caution"),
        count(FindingLevel::Good),
        count(FindingLevel::Unknown)
    );
    let bad = at(findings, FindingLevel::Bad);
    let names: Vec<&str> = bad.iter().map(|finding| finding.check.as_str()).collect();
    match names.as_slice() {
        [] => format!("Fit to measure on: nothing is bad ({rest})."),
        names => format!("Unfit to measure on: {} ({rest}).", names.join(", ")),
    }
}

/// Where sentences begin, behind the names of the checks.
const SENTENCES: usize = 18;

fn group(page: &mut Page, level: FindingLevel, findings: &[&Finding]) {
    if findings.is_empty() {
        return;
    }
    let tone = match level {
        FindingLevel::Bad => Tone::Bad,
        FindingLevel::Caution => Tone::Warning,
        FindingLevel::Unknown | FindingLevel::Good => Tone::Faint,
    };
    page.blank();
    page.paragraph(tone, heading(level));
    for finding in findings {
        let name_width = SENTENCES - 2;
        let evidence = format!("  {:name_width$}{}", finding.check, finding.evidence);
        page.wrapped(
            Tone::Plain,
            &evidence,
            Indents {
                first: 0,
                rest: SENTENCES,
            },
        );
        if let Some(remedy) = &finding.remedy {
            page.wrapped(
                Tone::Faint,
                &format!("> {remedy}"),
                Indents {
                    first: SENTENCES,
                    rest: SENTENCES + 2,
                },
            );
        }
    }
}

/// What was measured, and what it says of each metric.
fn measured(page: &mut Page, resolution: &Resolution) {
    page.blank();
    page.paragraph(
        Tone::Strong,
        &format!(
            "The same thing measured twice: {} under {}, {}, {} of rounds of {}",
            resolution.scenario,
            resolution.runtime,
            resolution.load,
            describe::plural(resolution.rounds, "pair"),
            describe::stop(resolution.stop),
        ),
    );
    for (name, heading) in HEADINGS {
        let Some(metric) = resolution.metrics.get(name) else {
            continue;
        };
        let told = match metric.smallest_difference {
            Some(share) => format!("tells differences above {}", units::percent(share)),
            None => "too few rounds to tell any".to_owned(),
        };
        let row = format!(
            "{heading:<7}one was {:.3} to {:.3} times the other; {told}",
            metric.low, metric.high
        );
        page.paragraph_in(Tone::Plain, &row);
    }
}

/// The metrics by heading, in the order in which they are read.
const HEADINGS: [(&str, &str); 3] = [
    (THROUGHPUT, "ops/s"),
    ("service_p50_ns", "p50"),
    ("service_p99_ns", "p99"),
];
