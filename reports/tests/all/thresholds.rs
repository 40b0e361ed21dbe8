//! Thresholds of a run: met, missed or cannot tell, on rounds whose distributions are given here.

use photofinish_record::latency::Latencies;
use photofinish_record::{
    Completion, Outcome, Part, Record, Requirement, SourceLocation, Threshold,
};
use photofinish_reports::formats;
use photofinish_reports::metrics::part_and_metric;
use photofinish_reports::report::Report;
use photofinish_reports::terminal::{self, Style};
use photofinish_reports::thresholds::{
    ThresholdCheck, ThresholdVerdict, is_missed_for_good, names, parse,
};

use crate::fixtures::{self, each_measured, fail};

use ThresholdVerdict::{CannotTell, Met, Missed};

/// One runtime, whose rounds hold 20,000 operations each: 90 % of 1 ms, 9 % of 2 ms and 1 % of `tail_ms` of the round.
fn record(tails_ms: &[u64]) -> Record {
    let mut record = fixtures::steady(&["tokio"], tails_ms.len());
    each_measured(&mut record, |_, block, measured| {
        let ms = |count: u64, time_ms: u64| (0..count).map(move |_| time_ms * 1_000_000);
        let times = ms(18_000, 1)
            .chain(ms(1_790, 2))
            .chain(ms(210, tails_ms[block]));
        measured.worker.service = times.collect::<Latencies>();
        measured.worker.ops = 20_000;
        measured.worker.throughput_ops_s = 900.0;
    });
    record
}

fn limited(mut record: Record, limits: &[(&str, &str)]) -> Record {
    let threshold = |(index, (metric, text)): (usize, &(&str, &str))| {
        let (name, requirement) = parse(metric, text, false).expect("a threshold");
        Threshold {
            scenario: record.plan.scenarios[0].name.clone(),
            part: None,
            metric: name,
            requirement,
            text: format!("{metric} = \"{text}\""),
            place: Some(SourceLocation {
                file: "./mine.toml".to_owned(),
                line: index as u32 + 1,
            }),
        }
    };
    record.plan.thresholds = limits.iter().enumerate().map(threshold).collect();
    record
}

fn checks(record: &Record) -> Vec<ThresholdCheck> {
    Report::of(record).summary.thresholds
}

#[track_caller]
fn judged(record: Record, metric: &str, text: &str, verdict: ThresholdVerdict, reason: &str) {
    let checks = checks(&limited(record, &[(metric, text)]));
    let check = checks.first().expect("a check of the one cell");
    assert_eq!(check.verdict, verdict, "{check:#?}");
    let message = check.reason.as_deref().unwrap_or_default();
    assert!(message.contains(reason), "`{reason}` is not in `{message}`");
    assert_eq!(message.is_empty(), verdict != CannotTell, "{check:#?}");
}

/// Goal: the verdict is the one on the median over rounds. Method: known distributions, limits on both sides of their
/// percentiles.
#[test]
fn the_median_over_rounds_decides() {
    let of = |metric: &str, text: &str, verdict| {
        judged(record(&[10, 20, 30, 40, 50]), metric, text, verdict, "")
    };
    of("service_p50", "< 1.1ms", Met);
    of("service_p50", "< 0.9ms", Missed);
    of("service_p95", "< 2.1ms", Met);
    of("service_p95", "< 1.9ms", Missed);
    // The p99 of the rounds is 10 to 50 ms, and their median 30 ms; that of all operations together would be 20 ms.
    of("service_p99", "< 31ms", Met);
    of("service_p99", "< 29ms", Missed);
    of("service_max", "< 29ms", Missed);
    of("throughput", "> 899/s", Met);
    of("throughput", "> 900/s", Missed);
    of("errors", "0", Met);
    of("reconnects", "0", Met);
}

#[test]
fn a_check_has_a_value_its_rounds_and_an_interval_from_five_rounds_on() {
    let limits = [("service_p99", "< 25ms")];
    let five = checks(&limited(record(&[10, 20, 30, 40, 50]), &limits));
    assert_eq!(
        (five[0].rounds_met, five[0].rounds_missed, five[0].rounds),
        (2, 3, 5)
    );
    let value = five[0].value.expect("measured");
    assert!((29.9e6..30.1e6).contains(&value), "{value}");
    let interval = five[0].interval.expect("five rounds");
    assert!((9.9e6..10.1e6).contains(&interval.low), "{interval:?}");
    assert!((49.9e6..50.1e6).contains(&interval.high), "{interval:?}");
    assert_eq!(interval.confidence, 0.9375);
    let four = checks(&limited(record(&[10, 20, 30, 40]), &limits));
    assert_eq!(four[0].interval, None);
}

#[test]
fn each_cell_is_judged_alone_and_an_unsupported_one_is_left_out() {
    let mut record = fixtures::steady(&["sync", "threads", "tokio"], 3);
    record.plan.cells[0].unsupported = Some("one thread cannot".to_owned());
    record.rounds.retain(|round| round.cell != 0);
    each_measured(&mut record, |cell, _, measured| {
        measured.worker.throughput_ops_s = 1_000.0 * cell as f64;
    });
    let limits = [("throughput", "> 1500/s")];
    let verdicts = checks(&limited(record.clone(), &limits));
    let verdicts: Vec<_> = verdicts
        .iter()
        .map(|check| (&*check.runtime, check.verdict))
        .collect();
    assert_eq!(verdicts, [("threads", Missed), ("tokio", Met)]);
    // If no runtime can run the cell, nothing is met.
    for cell in &mut record.plan.cells {
        cell.unsupported = Some("not here".to_owned());
    }
    record.rounds.clear();
    let verdicts = checks(&limited(record, &limits));
    assert!(
        verdicts.len() == 3 && verdicts.iter().all(|check| check.verdict == CannotTell),
        "{verdicts:#?}"
    );
}

/// Every case in which k6 and others have passed or failed without any data.
#[test]
fn numbers_that_do_not_carry_a_verdict_give_none() {
    let all_failed = || {
        let mut record = record(&[10; 5]);
        record.plan.scenarios[0].error_budget = 1.0;
        each_measured(&mut record, |_, _, measured| {
            measured.worker.ops = 0;
            measured.worker.throughput_ops_s = 0.0;
            measured.worker.service = Latencies::default();
            fail(&mut measured.worker, "timeout", 100);
        });
        record
    };
    judged(
        all_failed(),
        "service_p99",
        "< 50ms",
        CannotTell,
        "no operation succeeded",
    );
    judged(
        all_failed(),
        "cpu_per_op",
        "< 1s",
        CannotTell,
        "no operation succeeded",
    );
    judged(
        all_failed(),
        "reconnects",
        "< 1%",
        CannotTell,
        "no operation succeeded",
    );
    // Both are known nevertheless.
    judged(all_failed(), "errors", "< 50%", Missed, "");
    judged(all_failed(), "throughput", "> 1/s", Missed, "");

    let mut one_empty = record(&[10; 5]);
    one_empty.plan.scenarios[0].error_budget = 1.0;
    each_measured(&mut one_empty, |_, block, measured| {
        if block == 0 {
            measured.worker.ops = 0;
            fail(&mut measured.worker, "timeout", 100);
        }
    });
    judged(
        one_empty.clone(),
        "service_p99",
        "< 50ms",
        CannotTell,
        "1 of 5 rounds had no successful",
    );
    judged(one_empty, "service_p99", "< 5ms", Missed, "");

    let few = || {
        let mut record = record(&[10; 5]);
        each_measured(&mut record, |_, _, measured| {
            measured.worker.ops = 100;
            measured.worker.service = (0..100).map(|_| 1_000_000).collect();
        });
        record
    };
    judged(
        few(),
        "service_p99",
        "< 50ms",
        CannotTell,
        "needs 10000 operations in a round",
    );
    judged(
        few(),
        "service_p99",
        "< 0.5ms",
        CannotTell,
        "needs 10000 operations in a round",
    );
    judged(few(), "service_p50", "< 50ms", Met, "");

    judged(
        record(&[10; 5]),
        "retries",
        "0",
        CannotTell,
        "no round recorded it",
    );

    let mut wrong = record(&[10; 5]);
    each_measured(&mut wrong, |_, _, measured| {
        measured.mismatches.push("http: 1 request more".to_owned());
    });
    judged(
        wrong,
        "service_p99",
        "< 50ms",
        CannotTell,
        "the measurement is wrong: http: 1 request more",
    );

    let mut dead = record(&[10; 5]);
    for round in &mut dead.rounds {
        round.outcome = Outcome::Failed {
            reason: "the server died".to_owned(),
        };
    }
    judged(dead, "errors", "0", CannotTell, "the server died");
}

#[test]
fn a_part_is_judged_by_its_own_times_and_failures() {
    let mut record = record(&[10; 3]);
    each_measured(&mut record, |_, _, measured| {
        let part = |name: &str, time_ms: u64, failed: u64| Part {
            name: name.to_owned(),
            succeeded: 10_000,
            failed,
            failures: (failed > 0)
                .then(|| ("status".to_owned(), failed))
                .into_iter()
                .collect(),
            service: (0..10_000).map(|_| time_ms * 1_000_000).collect(),
            ..Part::default()
        };
        let never = Part {
            name: "never".to_owned(),
            ..Part::default()
        };
        measured.worker.parts = vec![part("read", 2, 0), part("write", 9, 100), never];
    });
    let judged = |part: &str, metric: &str, text: &str| {
        let mut record = limited(record.clone(), &[(metric, text)]);
        record.plan.thresholds[0].part = Some(part.to_owned());
        let check = checks(&record).remove(0);
        (check.verdict, check.reason.unwrap_or_default())
    };
    assert_eq!(judged("read", "service_p99", "< 3ms").0, Met);
    assert_eq!(judged("write", "service_p99", "< 3ms").0, Missed);
    assert_eq!(judged("write", "errors", "< 2%").0, Met);
    assert_eq!(judged("write", "errors", "0").0, Missed);
    assert_eq!(judged("read", "errors", "0").0, Met);
    for part in ["never", "unknown"] {
        for (metric, text) in [("service_p50", "< 3ms"), ("errors", "0")] {
            let expected = format!("`{part}` never ran with success");
            assert_eq!(judged(part, metric, text), (CannotTell, expected));
        }
    }
}

#[test]
fn response_times_of_a_rate_not_held_are_not_compared() {
    let record = |held: bool| {
        let mut record = fixtures::open_loads();
        // Without the disturbances and the lower bounds of the fixture.
        record.plan.cells.truncate(1);
        record
            .plan
            .blocks
            .iter_mut()
            .for_each(|block| block.truncate(1));
        record.rounds.retain(|round| round.cell == 0);
        each_measured(&mut record, |_, block, measured| {
            let open = measured.worker.open.as_mut().expect("an open load");
            open.rate_held = held || block > 0;
            open.overdue = Latencies::default();
            open.unfinished = 0;
            open.unsent = 0;
        });
        record
    };
    judged(record(true), "response_p50", "< 10s", Met, "");
    for metric in ["response_p50", "lag_p50", "response_p99.5"] {
        judged(
            record(false),
            metric,
            "< 10s",
            CannotTell,
            "the rate was not held in 1 round",
        );
    }
    judged(record(false), "service_p50", "< 10s", Met, "");
}

#[test]
fn disturbed_rounds_count_against_a_verdict_they_could_reverse() {
    let disturbed = |tails_ms: &[u64], blocks: &[usize]| {
        let mut record = record(tails_ms);
        for round in &mut record.rounds {
            if blocks.contains(&round.block) {
                round.conditions.disturbance = Some("other processes took 40%".to_owned());
            }
        }
        record
    };
    let p99 = |record, text, verdict, reason| judged(record, "service_p99", text, verdict, reason);
    // Three of five undisturbed rounds are on one side, so the others cannot change the verdict.
    p99(disturbed(&[10; 5], &[0, 1]), "< 20ms", Met, "");
    p99(disturbed(&[30; 5], &[0, 1]), "< 20ms", Missed, "");
    p99(
        disturbed(&[10; 5], &[0, 1, 2]),
        "< 20ms",
        CannotTell,
        "3 of 5 rounds were disturbed",
    );
    p99(
        disturbed(&[30; 5], &[0, 1, 2]),
        "< 20ms",
        CannotTell,
        "3 of 5 rounds were disturbed",
    );
    p99(
        disturbed(&[10, 10, 10, 30, 30], &[0]),
        "< 20ms",
        CannotTell,
        "1 of 5 rounds were disturbed",
    );
    judged(
        disturbed(&[10; 5], &[0, 1, 2, 3, 4]),
        "errors",
        "0",
        Met,
        "",
    );
}

#[test]
fn an_early_end_is_judged_only_where_the_rest_could_not_change_it() {
    let early = |tails_ms: &[u64], planned: usize| {
        let mut record = record(tails_ms);
        record.plan.blocks = vec![vec![0]; planned];
        record
    };
    let p99 = |record, verdict, reason| judged(record, "service_p99", "< 20ms", verdict, reason);
    p99(early(&[30; 3], 5), Missed, "");
    p99(early(&[10; 3], 5), Met, "");
    p99(
        early(&[30; 3], 6),
        CannotTell,
        "only 3 of 6 rounds gave a value",
    );
    let good = |tails_ms: &[u64], planned: usize| {
        let limited = limited(early(tails_ms, planned), &[("service_p99", "< 20ms")]);
        is_missed_for_good(&limited.plan, &limited.rounds)
    };
    assert!(good(&[30; 3], 5));
    assert!(!good(&[30; 3], 6), "the other three could all meet it");
    assert!(!good(&[10; 5], 5));
    // A run that ended at a planned look is complete.
    let mut decided = early(&[30; 3], 40);
    decided.plan.looks = vec![3, 40];
    p99(decided, Missed, "");
    let mut interrupted = early(&[30; 3], 10);
    interrupted.completion = Completion::Interrupted;
    p99(interrupted, CannotTell, "only 3 of 10 rounds");
}

#[test]
fn a_lower_bound_can_miss_a_threshold_and_never_meet_it() {
    let slow = || {
        let mut record = record(&[10; 5]);
        each_measured(&mut record, |_, _, measured| {
            measured.worker.service = (0..20_000).map(|_| 60_000_000_000).collect();
        });
        record
    };
    judged(slow(), "service_p50", "< 50s", Missed, "");
    let mut limited = limited(slow(), &[("service_p50", "< 50s")]);
    limited.plan.thresholds[0].requirement = Requirement::Below { value: 90e9 };
    let verdicts = checks(&limited);
    assert_eq!(verdicts[0].verdict, CannotTell, "{verdicts:#?}");
}

#[test]
fn an_invalid_threshold_is_refused() {
    let check = |metric: &str, text: &str, expected_text: &str| {
        let error = parse(metric, text, false).expect_err(text).to_string();
        assert!(
            error.contains(expected_text),
            "`{expected_text}` is not in `{error}`"
        );
    };
    check(
        "response_p99",
        "5%",
        "expected an objective such as \"< 20ms\"",
    );
    check("response_p99", "> 20ms", "expected an objective");
    check("response_p99", "< 0ms", "could never be met");
    check("response_p99", "< 60s", "could never fail");
    check("throughput", "> 0", "could never fail");
    check(
        "throughput",
        "< 5",
        "expected an objective such as \"> 10k\"",
    );
    check("errors", "> 0", "expected \"0\", or a share");
    check("errors", "< 0%", "could never be met");
    check("errors", "100%", "could never fail");
    check("respons_p99", "< 20ms", "there is no metric `respons_p99`");
    let parts = names(true);
    assert!(parts.contains(&"errors".to_owned()) && !parts.contains(&"response_p99".to_owned()));
    assert!(
        parse("response_p99", "< 20ms", true).is_err(),
        "only operations are due"
    );
    assert!(parse("service_p99.5", "< 20ms", true).is_ok());
}

/// Goal: every output has every threshold in every cell. Method: one threshold of each verdict.
#[test]
fn every_output_has_one_line_per_cell_and_threshold() {
    let limits = [
        ("service_p50", "< 1.1ms"),
        ("service_p99", "< 5ms"),
        ("service_p99.9", "< 1s"),
    ];
    let record = limited(record(&[10; 5]), &limits);
    let report = Report::of(&record);
    let text = |name: &str| {
        let files = formats::export(name, &report).expect("it renders");
        String::from_utf8(files[0].bytes.clone()).expect("UTF-8")
    };
    let annotations = text("annotations");
    let lines: Vec<&str> = annotations.lines().collect();
    assert_eq!(lines.len(), 2, "{annotations}");
    assert!(
        lines[0].starts_with("::error file=mine.toml,line=2,title=missed%3A http-get::"),
        "{annotations}"
    );
    assert!(lines[0].contains("is 10.0ms, expected < 5.00ms (missed in 5 of 5 rounds)"));
    assert!(
        lines[1].starts_with("::warning file=mine.toml,line=3,title=cannot tell"),
        "{annotations}"
    );
    let junit = text("junit");
    assert!(junit.contains("failures=\"1\" errors=\"1\""), "{junit}");
    assert!(junit.contains("service_p50 &lt; 1.10ms"), "{junit}");
    let markdown = text("markdown");
    assert!(
        markdown.starts_with("## Run: 1 of 3 thresholds missed"),
        "{markdown}"
    );
    assert!(
        markdown.contains("| met |") && markdown.contains("| cannot tell |"),
        "{markdown}"
    );
    let style = Style {
        width: 80,
        colour: false,
    };
    let shown = terminal::render(&report, style);
    assert!(
        shown.lines().all(|line| line.chars().count() <= 80),
        "{shown}"
    );
    for expected_text in ["tokio service_p50", "0 of 5", "cannot tell", "missed"] {
        assert!(
            shown.contains(expected_text),
            "`{expected_text}` is not in {shown}"
        );
    }
    let page = photofinish_reports::page(&report);
    assert!(page.contains("id=\"thresholds\"") && page.contains("cannot tell"));
}

#[test]
fn a_part_name_may_contain_dots_and_a_percentile_decimals() {
    let check = |name, expected| assert_eq!(part_and_metric(name), expected, "{name}");
    check("service_p99.5", (None, "service_p99.5"));
    check("request.buy.errors", (Some("buy"), "errors"));
    let of_login = (Some("log in"), "service_p99.5");
    check("request.log in.service_p99.5", of_login);
    check("request.\"log in\".service_p99.5", of_login);
    check("transaction.a.b.service_p50", (Some("a.b"), "service_p50"));
    check("request.service_p99", (None, "request.service_p99"));
}
