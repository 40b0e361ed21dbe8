//! Words around the verdict matrix: its caption, the certainty of a best runtime, and the machine in one line.

use photofinish_record::{Finding, FindingLevel};

use super::plural;
use crate::metrics::THROUGHPUT;
use crate::units;

/// The metric of a row with its direction: `throughput, more is better`.
pub fn metric_with_direction(metric: &str, by: &str) -> String {
    if metric == THROUGHPUT {
        format!("{by}, more is better")
    } else {
        format!("{by}, less is better")
    }
}

/// Captions the matrix: `Throughput, more is better; sync is 1×`; without a reference the metric alone.
pub fn matrix_caption(metric: &str, reference: Option<&str>) -> String {
    let mut characters = metric.chars();
    let first = characters.next().map(|first| first.to_ascii_uppercase());
    let metric: String = first.into_iter().chain(characters).collect();
    match reference {
        Some(reference) => format!("{metric}; {reference} is 1×"),
        None => metric,
    }
}

/// The certainty that a best runtime is faster than the `others`, of which it ties with some and cannot be told from some.
pub fn certainty(tied: &[&str], open: &[&str], others: usize) -> String {
    let names = |names: &[&str]| names.join(", ");
    certainty_of([&names(tied), &names(open)], open.len(), others)
}

/// The same with the others counted, where there is no room for their names.
pub fn counted_certainty(tied: usize, open: usize, others: usize) -> String {
    let counted = |count: usize| match count {
        0 => String::new(),
        count => plural(count, "other"),
    };
    certainty_of([&counted(tied), &counted(open)], open, others)
}

fn certainty_of([tied, open]: [&str; 2], count: usize, others: usize) -> String {
    match (tied, open) {
        _ if count >= others && others > 1 => "not certain against any other".to_owned(),
        ("", "") => "certain".to_owned(),
        (tied, "") => format!("ties with {tied}"),
        ("", open) => format!("not certain against {open}"),
        (tied, open) => format!("ties with {tied}; not certain against {open}"),
    }
}

/// The worst level among the findings; `None` if the machine was not examined.
pub fn worst_level(findings: &[Finding]) -> Option<FindingLevel> {
    let any = |level| findings.iter().any(|finding| finding.level == level);
    let levels = [FindingLevel::Bad, FindingLevel::Caution];
    let worst = levels.into_iter().find(|level| any(*level));
    (!findings.is_empty()).then(|| worst.unwrap_or(FindingLevel::Good))
}

/// The checks that found this level, each once: the shards of a merged run each have their findings.
pub fn checks(findings: &[Finding], level: FindingLevel) -> String {
    let mut checks: Vec<&str> = Vec::new();
    for finding in findings.iter().filter(|finding| finding.level == level) {
        if !checks.contains(&finding.check.as_str()) {
            checks.push(&finding.check);
        }
    }
    let words = |check: &str| match check {
        // The one profile that is bad.
        "build-profile" => "debug build".to_owned(),
        check => check.replace('-', " "),
    };
    checks.into_iter().map(words).collect::<Vec<_>>().join(", ")
}

/// The machine's fitness in a few words, with the checks that were worse than good.
pub fn fitness(findings: &[Finding]) -> String {
    let of = |level| checks(findings, level);
    match worst_level(findings) {
        None => "Fitness of the machine not recorded".to_owned(),
        Some(FindingLevel::Bad) => {
            format!("Machine unfit for measuring: {}", of(FindingLevel::Bad))
        }
        Some(FindingLevel::Caution) => {
            format!("Machine fit, with caution: {}", of(FindingLevel::Caution))
        }
        Some(_) => "Machine fit for measuring".to_owned(),
    }
}

/// `82 of 128 rounds disturbed`; `None` if none was.
pub fn disturbed_rounds(disturbed: usize, all: usize) -> Option<String> {
    (disturbed > 0).then(|| format!("{disturbed} of {} disturbed", plural(all, "round")))
}

/// The operations of a cell: `12.3k`, and the failed ones.
pub fn operations(operations: u64, failed: u64) -> (String, Option<String>) {
    let failed = (failed > 0).then(|| format!("{} failed", units::count(failed as f64)));
    (units::count(operations as f64), failed)
}

/// The legend of the matrix: the meaning of its verdicts, if it has any, of its intervals, and of its marks.
pub fn matrix_legend(verdicts: Option<&str>, confidence: Option<&str>, marks: bool) -> String {
    let intervals =
        confidence.map(|confidence| format!("Intervals have a confidence of {confidence}."));
    let shades = match verdicts {
        Some(_) => "A deeper shade is a larger factor: from 1.1, 1.5 and 3.",
        None => "Without verdicts all ratios are grey.",
    };
    let marks = marks.then_some("⚠ leads to a warning about the cell.");
    let parts = [verdicts, intervals.as_deref(), Some(shades), marks];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_of_several_shards_are_named_once_in_words() {
        let finding = |check: &str, level| Finding {
            check: check.to_owned(),
            level,
            evidence: String::new(),
            remedy: None,
        };
        let findings = [
            finding("other-work", FindingLevel::Bad),
            finding("build-profile", FindingLevel::Bad),
            finding("other-work", FindingLevel::Bad),
            finding("steal", FindingLevel::Caution),
        ];
        let expected = "Machine unfit for measuring: other work, debug build";
        assert_eq!(fitness(&findings), expected);
        assert_eq!(checks(&findings, FindingLevel::Good), "");
    }

    #[test]
    fn a_best_runtime_is_certain_only_against_no_rival() {
        assert_eq!(certainty(&[], &[], 4), "certain");
        assert_eq!(certainty(&["smol"], &[], 4), "ties with smol");
        assert_eq!(
            certainty(&["smol"], &["tokio", "pool"], 4),
            "ties with smol; not certain against tokio, pool"
        );
        assert_eq!(
            certainty(&[], &["tokio", "pool"], 2),
            "not certain against any other"
        );
        assert_eq!(counted_certainty(0, 3, 6), "not certain against 3 others");
        assert_eq!(counted_certainty(1, 0, 6), "ties with 1 other");
    }

    #[test]
    fn a_caption_names_metric_direction_and_reference() {
        let metric = metric_with_direction(THROUGHPUT, "throughput");
        assert_eq!(
            matrix_caption(&metric, Some("sync")),
            "Throughput, more is better; sync is 1×"
        );
        let metric = metric_with_direction("response_p99_ns", "response p99");
        assert_eq!(
            matrix_caption(&metric, None),
            "Response p99, less is better"
        );
    }
}
