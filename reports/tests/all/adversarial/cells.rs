//! Cells whose numbers are few, huge, failed or missing.

use photofinish_reports::formats;
use photofinish_reports::report::Report;
use photofinish_reports::resolution::Resolution;
use photofinish_reports::summary::Summary;

use super::{
    RUNTIMES, few_operations, flat, longer_than_a_minute, nothing_due, one_bad_round, ordinary, run,
};
use crate::fixtures::{self, each_measured, fail};

#[test]
fn one_bad_round_leaves_an_interval_and_what_a_verdict_would_need() {
    let record = one_bad_round();
    let text = run(&record, 120);
    // Eight pairs at 99 % have the range of all pairs as their interval, and one of them is off by a hundred.
    assert!(
        text.contains("interval") && !text.contains("spread"),
        "{text}"
    );
    let threads = text
        .lines()
        .find(|line| line.starts_with("  threads "))
        .expect("a row");
    assert!(
        threads.contains("×–") && threads.contains("inconclusive"),
        "{threads}"
    );
    assert!(
        flat(&text).contains("Intervals this wide can only decide ratios of"),
        "{text}"
    );
    let page = crate::page(&record);
    assert!(page.contains("<small>needs "), "an undecided row says it");
    let decided = crate::page(&ordinary(10));
    assert!(!decided.contains("<small>needs ") && !decided.contains("could have been"));
}

#[test]
fn verdicts_are_words_beside_ratios_and_left_out_without_verdicts() {
    let words = |rounds| {
        let page = crate::page(&ordinary(rounds));
        page.matches("<small class=\"word\"").count()
    };
    assert_eq!(words(2), 0);
    assert!(words(10) > 0);
}

#[test]
fn rounds_without_due_operations_are_not_wrong() {
    let record = nothing_due();
    let text = flat(&run(&record, 100));
    assert!(
        text.contains("no operation was due in 10 of 10 rounds"),
        "{text}"
    );
    assert!(!text.contains("invalid"), "{text}");
    for cell in Summary::of(&record).cells {
        assert_eq!(cell.reason, None);
    }
}

#[test]
fn times_beyond_a_minute_are_marked_as_lower_bounds_everywhere() {
    let record = longer_than_a_minute();
    let summary = Summary::of(&record);
    let longest = summary.cells[3]
        .metric("service_p999_ns")
        .expect("measured");
    assert!(longest.lower_bound && longest.advisory.is_some());
    let text = run(&record, 120);
    assert!(text.contains("≥ 60s"), "{text}");
    assert!(!text.contains("~60"), "{text}");
    assert!(crate::page(&record).contains("≥ 60s"));
    let text = flat(&text);
    let little = "mean service × throughput is 0.968 where 1.000 sessions were in flight";
    assert!(text.contains(little), "{text}");
    assert_eq!(text.matches("sessions were in flight").count(), 1, "{text}");
}

#[test]
fn ten_operations_give_no_percentile() {
    let text = run(&few_operations(), 120);
    let sync = text
        .lines()
        .find(|line| line.starts_with("  sync "))
        .expect("a row");
    assert_eq!(
        sync.matches(" –").count(),
        2,
        "p99 and p99.9 of two: {sync}"
    );
    let tokio = text
        .lines()
        .find(|line| line.starts_with("  tokio "))
        .expect("a row");
    assert_eq!(tokio.matches(" –").count(), 1, "p99.9 of ten: {tokio}");
    assert!(tokio.contains('~'), "p99 of ten is a hint: {tokio}");
    assert!(text.contains("– too few operations"), "{text}");
}

#[test]
fn throughput_follows_littles_law_as_printed() {
    // Half of the sessions have quick operations and end after a second, the others take three: 864/s are printed.
    let mut record = ordinary(1);
    each_measured(&mut record, |cell, _, measured| {
        let worker = &mut measured.worker;
        if cell > 0 {
            worker.service = (0..871)
                .map(|op| if op < 863 { 9_260_000 } else { 3_000_000_000 })
                .collect();
            (worker.ops, worker.sessions) = (871, 16);
            worker.elapsed_ns = 3_000_757_245;
            worker.session_ns = 8 * 1_000_000_000 + 8 * 3_000_757_245;
            worker.throughput_ops_s = 864.0;
        }
    });
    let text = flat(&run(&record, 100));
    assert!(
        text.contains("(and 2 more cells): mean service × throughput is")
            && text.contains("where 16.0 sessions"),
        "{text}"
    );
    assert!(!flat(&run(&ordinary(10), 100)).contains("mean service"));
}

#[test]
fn charts_name_omitted_and_pooled_cells() {
    let record = few_operations();
    for chart in crate::charts(&record) {
        if chart.file_stem.ends_with(".latency") {
            assert!(chart.svg.contains("all rounds together"), "{}", chart.svg);
        }
        // A card names the best runtime of each row.
        for runtime in RUNTIMES.into_iter().filter(|_| !chart.is_card) {
            assert!(
                chart.svg.contains(runtime),
                "{runtime} in {}",
                chart.file_stem
            );
        }
    }
    let mut mixed = ordinary(8);
    each_measured(&mut mixed, |cell, _, measured| {
        if cell < 2 {
            measured.worker.service = [5_000_000, 6_000_000].into_iter().collect();
        }
    });
    let charts = crate::charts(&mixed);
    let latency = charts
        .iter()
        .find(|chart| chart.file_stem.ends_with(".latency"));
    let latency = &latency.expect("two runtimes have enough").svg;
    assert!(
        latency.contains("; not shown, for lack of numbers: sync, threads"),
        "{latency}"
    );
    assert!(latency.contains("(discontinued)"), "{latency}");
}

#[test]
fn a_search_chart_is_filled_where_its_table_says_met() {
    let record = fixtures::search();
    let charts = crate::charts(&record);
    let chart = charts
        .iter()
        .find(|chart| chart.file_stem.ends_with("load-latency"));
    let chart = &chart.expect("a curve").svg;
    assert!(chart.contains("hollow: objective not met"), "{chart}");
    for result in &record.search.as_ref().expect("a search").results {
        let met = result
            .highest_hz
            .map(photofinish_reports::units::per_second);
        let met = met.unwrap_or("no rate".to_owned());
        assert!(
            chart.contains(&format!("{} met {met}", result.runtime)),
            "{} {met}: {chart}",
            result.runtime
        );
    }
    let text = flat(&run(&record, 100));
    assert!(text.contains("at most 5% apart") && text.contains("No verdict compares the rates"));
}

#[test]
fn csv_has_the_status_of_the_cell_and_no_formula() {
    let mut record = ordinary(2);
    record.plan.cells[1].runtime = "=1+1".to_owned();
    each_measured(&mut record, |cell, block, measured| {
        if cell == 2 && block == 0 {
            fail(&mut measured.worker, "timeout", 900);
        }
    });
    let files = formats::export("csv", &Report::of(&record)).expect("a fixture");
    let csv = String::from_utf8(files[0].bytes.clone()).expect("UTF-8");
    let of_cell = |runtime: &str| csv.lines().filter(|line| line.contains(runtime)).count();
    assert_eq!(of_cell(",'=1+1,"), 2, "{csv}");
    let invalid = csv.lines().filter(|line| line.contains("async-std"));
    assert!(
        invalid.clone().all(|line| line.contains(",invalid,")),
        "{csv}"
    );
    assert_eq!(invalid.count(), 2);
}

#[test]
fn fewer_than_two_cells_have_no_resolution() {
    for cells in [0, 1] {
        let mut record = ordinary(2);
        record.plan.cells.truncate(cells);
        assert_eq!(Resolution::of(&record.plan, &record.rounds), None);
    }
}
