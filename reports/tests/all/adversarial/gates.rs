//! Gates and comparisons: words of verdicts, blocks measured again, limits on parts.

use std::collections::BTreeMap;

use photofinish_record::{GateTerm, Part, Record};
use photofinish_reports::compare::RecordComparison;
use photofinish_reports::describe;
use photofinish_reports::formats;
use photofinish_reports::gate::{CheckVerdict, GateReport, GateVerdict, terms};
use photofinish_reports::report::Report;
use photofinish_reports::terminal::{self, Style};

use super::{all_failed, disturbed_gate, flat, gate, ordinary, run};
use crate::fixtures::{each_measured, fail};

#[test]
fn a_gate_words_a_throughput_slowdown_unambiguously() {
    let record = gate(10, 1.34);
    let gate = GateReport::of(&record).expect("a gate");
    let style = Style {
        width: 120,
        colour: false,
    };
    let text = terminal::gate(&gate, style);
    assert!(text.contains("0.427×") && text.contains("+134%"), "{text}");
    let found = gate.checks.iter().map(describe::gate_finding);
    let found: Vec<String> = found.collect();
    assert!(found[0].starts_with("is 2.34× the base ("), "{found:?}");
    assert!(
        found[1].starts_with("is 0.427× the base: +134% time per operation ("),
        "{found:?}"
    );
    assert!(!text.contains("worse by"), "{text}");
}

#[test]
fn a_disturbed_gate_says_how_many_blocks_were_redone() {
    let reason = |redone| {
        let gate = GateReport::of(&disturbed_gate(redone)).expect("a gate");
        gate.reason
    };
    assert!(
        reason(5).contains("10 of 10 blocks were disturbed (5 redone, in vain)"),
        "{}",
        reason(5)
    );
    assert!(
        reason(0).contains("10 of 10 blocks were disturbed (none redone)"),
        "{}",
        reason(0)
    );
    assert!(!flat(&run(&disturbed_gate(0), 100)).contains("redone"));
}

/// Goal: a limit on a part is judged by the part. Method: one of two parts takes twice as long, the whole operation does not.
#[test]
fn a_gate_limits_the_times_of_a_part() {
    let mut record = gate(16, 0.0);
    each_measured(&mut record, |cell, _, measured| {
        let part = |name: &str, time_ns: u64| Part {
            name: name.to_owned(),
            succeeded: 20_000,
            service: (0..20_000).map(|_| time_ns).collect(),
            ..Part::default()
        };
        let times = [1_000_000, 1_000_000 * (1 + cell as u64)];
        measured.worker.elapsed_ns = 1_000_000_000;
        measured.worker.parts = vec![part("log in", times[0]), part("a.b", times[1])];
    });
    let gate = record.plan.gate.as_mut().expect("a gate");
    let like = gate.terms[0].clone();
    let names = [
        "log in.service_p50",
        "a.b.service_p50",
        "a.b.service_p99.5",
        "log in.throughput",
    ];
    let terms = names.map(|name| {
        let term = terms::parse(&format!("request.{name}"), "10%").expect("a term");
        GateTerm {
            metric: term.metric,
            ..like.clone()
        }
    });
    gate.terms = terms.to_vec();
    let gate = GateReport::of(&record).expect("a gate");
    let checks = gate
        .checks
        .iter()
        .map(|check| (check.metric.as_str(), check.verdict));
    let [pass, regression] = [CheckVerdict::Pass, CheckVerdict::Regression];
    let expected = [
        ("request.a.b.service_p50_ns", regression),
        ("request.a.b.service_p99.5_ns", regression),
        ("request.log in.service_p50_ns", pass),
        ("request.log in.throughput_ops_s", pass),
    ];
    assert_eq!(BTreeMap::from_iter(checks), BTreeMap::from(expected));
    let style = Style {
        width: 120,
        colour: false,
    };
    let text = terminal::gate(&gate, style);
    assert!(text.contains("request.a.b.service_p99.5"), "{text}");
    assert!(terms::parse("request.log in.response_p99", "10%").is_err());
}

/// Goal: a limit on a part's errors counts that part alone, and the scenario's budget is checked first. Method: 2 % of the runs
/// of one part fail, and either every operation succeeds (a retry helped) or 2 % fail.
#[test]
fn a_gate_limits_the_errors_of_a_part_within_the_budget() {
    let gated = |budget: f64, operations_fail: bool| {
        let mut record = gate(16, 0.0);
        record.plan.scenarios[0].error_budget = budget;
        each_measured(&mut record, |_, _, measured| {
            let part = |name: &str, failed: u64| Part {
                name: name.to_owned(),
                succeeded: 100 - failed,
                failed,
                ..Part::default()
            };
            measured.worker.parts = vec![part("log in", 2), part("buy", 0)];
            if operations_fail {
                let failed = measured.worker.ops / 49;
                fail(&mut measured.worker, "status", failed);
            }
        });
        let gate = record.plan.gate.as_mut().expect("a gate");
        let like = gate.terms[0].clone();
        let limits = [
            ("log in", "< 2%"),
            ("log in", "2%"),
            ("buy", "0"),
            ("gone", "0"),
        ];
        let terms = limits.map(|(part, text)| {
            let term = terms::parse(&format!("request.\"{part}\".errors"), text).expect("a term");
            GateTerm {
                metric: term.metric,
                requirement: term.requirement,
                ..like.clone()
            }
        });
        gate.terms = terms.to_vec();
        GateReport::of(&record).expect("a gate")
    };
    let [regression, inconclusive, pass] = [
        CheckVerdict::Regression,
        CheckVerdict::Inconclusive,
        CheckVerdict::Pass,
    ];
    for (budget, operations_fail, expected) in [
        (0.0, false, GateVerdict::Regression),
        (0.05, true, GateVerdict::Regression),
        (0.0, true, GateVerdict::Wrong),
    ] {
        let gate = gated(budget, operations_fail);
        assert_eq!(gate.verdict, expected, "{}", gate.reason);
        let checks = gate.checks.iter();
        let checks = checks.map(|check| (&*check.metric, check.verdict, check.reason.as_deref()));
        let expected = [
            (
                "request.log in.errors",
                regression,
                Some("32 of 1600 runs of `log in` failed"),
            ),
            (
                "request.gone.errors",
                inconclusive,
                Some("the head completed 0 runs of `gone`"),
            ),
            (
                "request.log in.errors",
                pass,
                Some("32 of 1600 runs of `log in` failed"),
            ),
            (
                "request.buy.errors",
                pass,
                Some("0 of 1600 runs of `buy` failed"),
            ),
        ];
        assert_eq!(checks.collect::<Vec<_>>(), expected);
    }
    let text = terminal::gate(
        &gated(0.05, true),
        Style {
            width: 120,
            colour: false,
        },
    );
    assert!(text.contains("request.log in.errors"), "{text}");
    assert!(text.contains("2%"), "{text}");
}

#[test]
fn a_comparison_reports_failures_and_its_confidence() {
    let compared = |base: &Record, head: &Record| {
        let style = Style {
            width: 120,
            colour: false,
        };
        flat(&terminal::comparison(
            &RecordComparison::of(base, head),
            style,
        ))
    };
    let text = compared(&ordinary(3), &ordinary(3));
    assert!(
        text.contains("confidence is 90% over 3 and 3 rounds"),
        "{text}"
    );
    assert!(!text.contains("exact 99%"), "{text}");
    let text = compared(&ordinary(1), &ordinary(1));
    assert!(
        text.contains("a single round of each has no interval"),
        "{text}"
    );
    assert!(!text.contains("×–"), "{text}");
    let text = compared(&ordinary(8), &all_failed());
    assert!(
        text.contains(
            "failed: 0 of 160k operations of the base, 4.00k of 4.00k operations of the head"
        ),
        "{text}"
    );
}

#[test]
fn bounds_are_exported_only_with_the_confidence_that_readers_expect() {
    let exported = |rounds: usize, format: &str| {
        let record = ordinary(rounds);
        let files = formats::export(format, &Report::of(&record)).expect("a fixture");
        String::from_utf8(files[0].bytes.clone()).expect("UTF-8")
    };
    for (format, bound) in [
        ("bmf", "lower_value"),
        ("openmetrics", "estimate=\"low\""),
        ("github-action-benchmark", "\"range\""),
    ] {
        assert!(!exported(1, format).contains(bound), "{format}");
        assert!(!exported(5, format).contains(bound), "{format}");
        assert!(exported(6, format).contains(bound), "{format}");
    }
    assert!(exported(1, "hgrm").contains("milliseconds"));
}
