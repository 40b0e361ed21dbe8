//! Merged runs: what is missing has no verdict, what stands out is named, and shards that ran apart are no round.

use photofinish_record::Outcome;
use photofinish_record::load::Stop;
use photofinish_reports::report::Report;
use photofinish_reports::summary::{Status, Summary};
use photofinish_reports::terminal::{self, Style};
use photofinish_reports::units;
use photofinish_reports::{Painter, scale_out};

use crate::fixtures::{merged, shard};

fn reasons(summary: &Summary) -> Vec<&str> {
    let reasons = summary.cells.iter().map(|cell| cell.reason.as_deref());
    reasons.map(Option::unwrap_or_default).collect()
}

#[test]
fn a_merged_run_has_verdicts_and_names_the_shard_that_stands_out() {
    let record = merged(0..4);
    let summary = Summary::of(&record);
    assert!(
        summary.cells.iter().all(|cell| cell.status == Status::Ok),
        "{:?}",
        reasons(&summary)
    );
    let expected = [
        "the shards have 1 to 2 CPUs for their workers, so the largest does most of the work",
        "the shards' clocks differ by at least 115ms, and so do their starts: synchronise them",
        "shard 3 had 0.500× the operations per session of the median shard",
    ];
    for text in expected {
        let found = summary
            .warnings
            .iter()
            .any(|warning| warning.contains(text));
        assert!(found, "{text}: {:#?}", summary.warnings);
    }
    let report = Report::of(&record);
    let row = |width| {
        let style = Style {
            width,
            colour: false,
        };
        let tables = terminal::render(&report, style);
        let mut rows = tables.lines().filter(|line| line.contains("node-3"));
        rows.next().expect("a row of shards").to_owned()
    };
    assert!(row(80).contains(" 14% "), "half of a share of four");
    let rounds = shard(3).rounds;
    let (ops, ns) = rounds.iter().fold((0, 0), |(ops, ns), round| {
        let Outcome::Ok(measured) = &round.outcome else {
            panic!("not measured: {:?}", round.outcome)
        };
        let worker = &measured.worker;
        (ops + worker.ops, ns + worker.elapsed_ns)
    });
    let rate = units::count(ops as f64 * 1e9 / ns as f64);
    for text in [&*rate, "120ms to 125ms"] {
        assert!(
            row(140).contains(&format!(" {text}")),
            "{text}: {}",
            row(140)
        );
    }
    let page = photofinish_reports::page(&report);
    assert!(page.contains("id=\"shards\"") && page.contains("node-2"));
    assert!(
        photofinish_reports::charts(&report)
            .any(|chart| chart.svg.contains("shard 3 stands apart"))
    );
}

/// Goal: rates over numbers of shards, beside the line through those of the fewest. Method: runs of one, two and four shards, and
/// runs that cannot be set side by side.
#[test]
fn several_runs_make_a_chart_of_scale_out() {
    let of = |shards: u32, factor: f64| {
        let mut record = merged(0..4);
        for round in &mut record.rounds {
            if let Outcome::Ok(measured) = &mut round.outcome {
                measured.worker.throughput_ops_s *= factor;
            }
        }
        match &mut record.shards {
            Some(set) if shards > 1 => set.count = shards.try_into().expect("shards"),
            set => *set = None,
        }
        record
    };
    let records = [of(4, 3.0), of(1, 1.0), of(2, 2.0)];
    let reports: Vec<Report<'_>> = records.iter().map(Report::of).collect();
    let charts = scale_out(&reports);
    let [chart] = charts.as_slice() else {
        panic!("one scenario: {}", charts.len());
    };
    assert_eq!(chart.file_stem, "http-get.scale-out");
    let svg = &chart.svg;
    for expected in [
        "tokio: 36.4k with 1 shard, 72.9k with 2 shards, 109k with 4 shards",
        "in proportion to 1 shard",
        "threads at 2: ",
    ] {
        assert!(svg.contains(expected), "{expected}: {svg}");
    }
    assert!(!Painter::default().png(chart).is_empty());
    assert!(scale_out(&reports[..1]).is_empty(), "one number of shards");
    assert!(scale_out(&[]).is_empty());
}

#[test]
fn without_all_shards_there_is_no_verdict() {
    let partial = Summary::of(&merged([0, 2]));
    assert_eq!(
        reasons(&partial)[0],
        "partial: shards 1, 3 of 4 are missing"
    );
    let alone = Summary::of(&shard(1));
    let expected = "partial: this is shard 1 of 4; `photofinish merge` makes one record of all";
    assert_eq!(reasons(&alone)[0], expected);
    for summary in [partial, alone] {
        assert!(
            summary
                .cells
                .iter()
                .all(|cell| cell.status == Status::Invalid)
        );
        assert!(summary.cells.iter().all(|cell| cell.comparisons.is_empty()));
    }
}

#[test]
fn a_round_of_shards_that_ran_apart_or_not_at_all_is_invalid() {
    let mut late = merged(0..4);
    let Stop::DurationNs(stop_ns) = late.plan.scenarios[0].stop else {
        panic!("it ends after a time");
    };
    let stop_ns = stop_ns.get();
    let mut absent = late.clone();
    if let Outcome::Ok(measured) = &mut late.rounds[0].outcome {
        measured.shards[2].after_ns += stop_ns / 5;
    }
    if let Outcome::Ok(measured) = &mut absent.rounds[0].outcome {
        measured.shards.remove(2);
    }
    let invalid = |record, expected: &str| {
        let summary = Summary::of(record);
        let found = reasons(&summary)
            .iter()
            .any(|reason| reason.contains(expected));
        assert!(found, "{expected}: {:?}", reasons(&summary));
    };
    invalid(
        &late,
        "its shards loaded the server together for 80% of the time only",
    );
    invalid(&absent, "partial: shard 2 did not measure this round");
}
