//! The diagnosis of a machine by `doctor`, as JSON and as text.
//!
//! Findings come with their levels, and the measurement of sameness as a [`Resolution`]; here they are sorted, worst
//! first, and rendered as text. The CLI decides on exit codes.

use photofinish_record::machine::Machine;
use photofinish_record::{Finding, FindingLevel, is_fit};
use serde::{Deserialize, Serialize};

use crate::resolution::{HEADINGS, Resolution};
use crate::terminal::{Indents, Style, Text, Tone};
use crate::{describe, units};

/// Name and version of the diagnosis's format.
pub const DIAGNOSIS_SCHEMA: &str = "photofinish-diagnosis/1";

/// The levels in report order.
pub const LEVELS: [FindingLevel; 4] = [
    FindingLevel::Bad,
    FindingLevel::Caution,
    FindingLevel::Unknown,
    FindingLevel::Good,
];

/// The diagnosis of a machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Diagnosis {
    /// Always [`DIAGNOSIS_SCHEMA`].
    pub schema: String,
    pub machine: Machine,
    /// True if a measurement here is worth making: no finding is bad.
    pub fit: bool,
    pub findings: Vec<Finding>,
    /// The smallest difference that can be resolved here; `null` where it was not measured.
    pub resolution: Option<Resolution>,
}

impl Diagnosis {
    /// Combines findings with the measured resolution, which becomes a finding too.
    pub fn of(
        machine: Machine,
        mut findings: Vec<Finding>,
        resolution: Option<Resolution>,
    ) -> Self {
        findings.extend(resolution.as_ref().map(Resolution::finding));
        Self {
            schema: DIAGNOSIS_SCHEMA.to_owned(),
            machine,
            fit: is_fit(&findings),
            findings,
            resolution,
        }
    }

    /// Renders it as text, the verdict first; good findings are only counted unless `all` are wanted.
    pub fn render(&self, style: Style, all: bool) -> String {
        let mut text = Text::new(style);
        let tone = if self.fit { Tone::Good } else { Tone::Bad };
        text.paragraph(tone, &in_short(&self.findings));
        text.paragraph(Tone::Faint, &describe::machine(&self.machine));
        let is_shown = |level: &FindingLevel| all || *level != FindingLevel::Good;
        for level in LEVELS.into_iter().filter(is_shown) {
            group(&mut text, level, &at(&self.findings, level));
        }
        if let Some(resolution) = &self.resolution {
            measured(&mut text, resolution);
        }
        if !all && !at(&self.findings, FindingLevel::Good).is_empty() {
            text.blank();
            text.paragraph(
                Tone::Faint,
                "`photofinish doctor --all` shows the good findings too.",
            );
        }
        text.finish()
    }
}

/// The findings of one level, in their order.
pub(crate) fn at(findings: &[Finding], level: FindingLevel) -> Vec<&Finding> {
    let of_level = |finding: &&Finding| finding.level == level;
    findings.iter().filter(of_level).collect()
}

pub(crate) fn heading(level: FindingLevel) -> &'static str {
    match level {
        FindingLevel::Bad => "Bad: numbers would mislead",
        FindingLevel::Caution => "Caution: numbers are noisier or lower than they could be",
        FindingLevel::Unknown => "Unknown: cannot be determined here",
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
    match describe::checks(findings, FindingLevel::Bad).as_str() {
        "" => format!("Fit for measuring: nothing is bad ({rest})."),
        checks => format!("Unfit for measuring: {checks} ({rest})."),
    }
}

/// The column at which sentences start, after the names of the checks.
const SENTENCES: usize = 18;

fn group(text: &mut Text, level: FindingLevel, findings: &[&Finding]) {
    if findings.is_empty() {
        return;
    }
    let tone = match level {
        FindingLevel::Bad => Tone::Bad,
        FindingLevel::Caution => Tone::Warning,
        FindingLevel::Unknown | FindingLevel::Good => Tone::Faint,
    };
    text.blank();
    text.paragraph(tone, heading(level));
    for finding in findings {
        let name_width = SENTENCES - 2;
        let evidence = format!("  {:name_width$}{}", finding.check, finding.evidence);
        let (first, rest) = (0, SENTENCES);
        text.wrapped(Tone::Plain, &evidence, Indents { first, rest });
        if let Some(remedy) = &finding.remedy {
            let (first, rest) = (SENTENCES, SENTENCES + 2);
            text.wrapped(Tone::Faint, &format!("> {remedy}"), Indents { first, rest });
        }
    }
}

fn measured(text: &mut Text, resolution: &Resolution) {
    text.blank();
    let heading = format!(
        "A/A comparison: {} under {}, {}, {} of rounds of {}",
        resolution.scenario,
        resolution.runtime,
        resolution.load,
        describe::plural(resolution.rounds, "pair"),
        describe::stop(resolution.stop),
    );
    text.paragraph(Tone::Strong, &heading);
    for (name, heading) in HEADINGS {
        if let Some(metric) = resolution.metrics.get(name) {
            let smallest = match metric.smallest_difference {
                Some(share) => format!("detects differences above {}", units::percent(share)),
                None => "too few rounds to detect any difference".to_owned(),
            };
            let row = format!(
                "{heading:<7}one was {:.3} to {:.3} times the other; {smallest}",
                metric.low, metric.high
            );
            text.paragraph_in(Tone::Plain, &row);
        }
    }
}
