//! The diagnosis: the smallest difference from pairs of rounds, and findings in the order in which they matter.

use photofinish_record::{Finding, FindingLevel, Outcome, Record};
use photofinish_reports::diagnosis::Diagnosis;
use photofinish_reports::resolution::{Resolution, Resolvable};
use photofinish_reports::terminal::Style;

use crate::fixtures::{self, Sweep};
use crate::page;

/// Two arms of `http-get`, in blocks with these throughputs.
fn twice(pairs: &[(f64, f64)]) -> Record {
    let sweep = Sweep {
        concurrency: &[8],
        rounds: pairs.len(),
        operation_ns: 400_000.0,
        ops: 12_000,
    };
    let mut record = fixtures::of(sweep, &["threads", "threads"]);
    let mut service = None;
    for round in &mut record.rounds {
        let (a, b) = pairs[round.block];
        let Outcome::Ok(measured) = &mut round.outcome else {
            panic!("{round:?}");
        };
        measured.worker.throughput_ops_s = [a, b][round.cell];
        let first = service.get_or_insert_with(|| measured.worker.service.clone());
        measured.worker.service = first.clone();
    }
    record
}

fn throughput(record: &Record) -> Resolvable {
    let resolution = Resolution::of(&record.plan, &record.rounds).expect("pairs");
    resolution.metrics["throughput_ops_s"]
}

#[track_caller]
fn close(actual: f64, expected: f64) {
    assert!(
        (actual - expected).abs() < 1e-9,
        "{actual} is not {expected}"
    );
}

#[test]
fn arms_without_noise_resolve_the_margin() {
    let metric = throughput(&twice(&[(1000.0, 1000.0); 12]));
    close(metric.ratio, 1.0);
    close(metric.smallest_difference.expect("enough rounds"), 0.02);
}

#[test]
fn the_smallest_difference_is_the_margin_plus_half_the_interval() {
    // Ratios of 1.1 and its inverse, as often: with 8 pairs the interval at 99 % reaches from the least to the greatest.
    let record = twice(&[(1100.0, 1000.0), (1000.0, 1100.0)].repeat(4));
    let metric = throughput(&record);
    close(metric.low, 1.0 / 1.1);
    close(metric.high, 1.1);
    let smallest = metric.smallest_difference.expect("enough rounds");
    close(smallest, 1.1 * 1.02 - 1.0);
}

#[test]
fn too_few_rounds_detect_no_difference() {
    let smallest = |rounds| {
        let record = twice(&vec![(1000.0, 1010.0); rounds]);
        throughput(&record).smallest_difference
    };
    assert_eq!(smallest(7), None);
    assert!(smallest(8).is_some());
}

#[test]
fn only_the_last_attempt_of_a_redone_block_counts() {
    let mut record = twice(&[(500.0, 1000.0); 12]);
    close(throughput(&record).ratio, 0.5);
    let mut again = twice(&[(1000.0, 1000.0); 12]).rounds;
    for round in &mut again {
        round.attempt = 1;
    }
    // Of the first block's second attempt one round is missing, so that block has no pair.
    again.remove(0);
    record.rounds.extend(again);
    let redone = Resolution::of(&record.plan, &record.rounds).expect("pairs");
    assert_eq!(redone.rounds, 11);
    close(redone.metrics["throughput_ops_s"].low, 1.0);
}

#[test]
fn a_block_with_one_arm_is_not_a_pair() {
    let mut record = twice(&[(1000.0, 1000.0); 8]);
    record.rounds.pop();
    let resolution = Resolution::of(&record.plan, &record.rounds).expect("pairs");
    assert_eq!(resolution.rounds, 7);
    record.rounds.retain(|round| round.cell == 1);
    assert_eq!(Resolution::of(&record.plan, &record.rounds), None);
}

fn finding(check: &str, level: FindingLevel, remedy: Option<&str>) -> Finding {
    Finding {
        check: check.to_owned(),
        level,
        evidence: format!(
            "what was seen of {check}, with <b>42</b> numbers and words enough for two lines"
        ),
        remedy: remedy.map(str::to_owned),
    }
}

fn findings() -> Vec<Finding> {
    vec![
        finding("open-files", FindingLevel::Good, None),
        finding("governor", FindingLevel::Unknown, None),
        finding(
            "turbo",
            FindingLevel::Caution,
            Some("echo 0 | sudo tee boost"),
        ),
        finding(
            "build",
            FindingLevel::Bad,
            Some("build with `cargo build --release`"),
        ),
    ]
}

#[test]
fn the_worst_findings_come_first_in_80_columns() {
    let record = twice(&[(1000.0, 1000.0), (1020.0, 1000.0), (1000.0, 1010.0)].repeat(4));
    let resolution = Resolution::of(&record.plan, &record.rounds);
    let diagnosis = Diagnosis::of(record.machine, findings(), resolution);
    assert!(!diagnosis.fit);
    let style = Style {
        width: 80,
        colour: false,
    };
    let brief = diagnosis.render(style, false);
    assert!(!brief.contains("open-files") && brief.contains("--all"));
    let text = diagnosis.render(style, true);
    insta::assert_snapshot!(text, @r"
    Unfit for measuring: build (1 caution, 2 good, 1 unknown).
    Linux 6.1.0 (Debian GNU/Linux 12), x86_64, 2 CPUs (AMD EPYC 7763 64-Core
      Processor), 7.77GiB

    Bad: numbers would mislead
      build           what was seen of build, with <b>42</b> numbers and words
                      enough for two lines
                      > build with `cargo build --release`

    Caution: numbers are noisier or lower than they could be
      turbo           what was seen of turbo, with <b>42</b> numbers and words
                      enough for two lines
                      > echo 0 | sudo tee boost

    Unknown: cannot be determined here
      governor        what was seen of governor, with <b>42</b> numbers and words
                      enough for two lines

    Good
      open-files      what was seen of open-files, with <b>42</b> numbers and words
                      enough for two lines
      resolution      throughput differences below 3.5% can go undetected here in 12
                      rounds

    A/A comparison: http-get under threads, closed, 8 in flight, 12 pairs of rounds
      of 2s
      ops/s  one was 0.990 to 1.020 times the other; detects differences above 3.5%
      p50    one was 1.000 to 1.000 times the other; detects differences above 2%
      p99    one was 1.000 to 1.000 times the other; detects differences above 2%
    ");
}

#[test]
fn the_measurement_is_one_of_the_findings() {
    use FindingLevel::{Bad, Caution, Good, Unknown};
    let check = |pairs: &[(f64, f64)], level: FindingLevel, expected: &str| {
        let record = twice(pairs);
        let resolution = Resolution::of(&record.plan, &record.rounds);
        let diagnosis = Diagnosis::of(record.machine, Vec::new(), resolution);
        let found = &diagnosis.findings[0];
        assert_eq!((found.check.as_str(), found.level), ("resolution", level));
        assert!(found.evidence.contains(expected), "{found:?}");
        assert_eq!(diagnosis.fit, level != Bad);
    };
    let noise = |factor: f64| [(1000.0 * factor, 1000.0), (1000.0, 1000.0 * factor)].repeat(4);
    check(&noise(1.01), Good, "below 3% can go undetected");
    check(&noise(1.15), Caution, "below 17%");
    check(&noise(1.4), Bad, "below 43%");
    // No noise, and yet a difference: the machine favours whoever has the first arm's name.
    check(
        &[(1500.0, 1000.0); 8],
        Bad,
        "1.500 to 1.500 times the throughput of the other",
    );
    let few = "4 rounds are too few to tell any difference";
    check(&[(1000.0, 1000.0); 4], Unknown, few);
}

#[test]
fn the_page_shows_escaped_findings_or_nothing() {
    let mut record = fixtures::tour();
    assert!(!page(&record).contains("id=\"fitness\""));
    record.fitness = findings();
    let html = page(&record);
    assert!(html.contains("id=\"fitness\""));
    assert!(!html.contains("<b>42</b>") && html.contains("&lt;b&gt;42&lt;/b&gt;"));
    let place = |check: &str| html.find(&format!("<dt>{check}</dt>")).expect(check);
    assert!(place("build") < place("turbo") && place("turbo") < place("open-files"));
    assert!(html.contains("Remedy: echo 0 | sudo tee boost"));
}
