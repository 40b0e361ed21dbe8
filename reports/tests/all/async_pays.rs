//! The answer to where asynchronous code pays: only where it was asked, only from what was measured.

use photofinish_record::{Outcome, Record};
use photofinish_reports::async_pays::{QUESTION, Row};
use photofinish_reports::report::Report;
use photofinish_reports::terminal::{Style, render};

use crate::{charts, fixtures, page};

fn asked(mut record: Record) -> Record {
    record.plan.suite = Some("where-async-pays".to_owned());
    record
}

fn answers(record: &Record) -> Vec<Row> {
    Report::of(record).async_pays.rows
}

#[test]
fn each_closed_load_with_all_three_kinds_has_a_row() {
    let record = asked(fixtures::tour());
    let answers = answers(&record);
    assert!(!answers.is_empty());
    let known = ["tokio", "tokio-current-thread", "async-std", "smol"];
    for answer in &answers {
        let [in_flight, best, vs_sync, vs_threads, cpu, memory] = answer.cells();
        assert!(in_flight.parse::<u32>().is_ok());
        assert!(known.contains(&best.as_str()), "{best}");
        for ratio in [vs_sync, vs_threads, cpu, memory] {
            assert!(ratio.contains('×'), "{answer:?}");
        }
    }
    let text = render(
        &Report::of(&record),
        Style {
            width: 80,
            colour: false,
        },
    );
    assert!(text.contains(QUESTION) && text.lines().all(|line| line.chars().count() <= 80));
    assert!(page(&record).contains(QUESTION));
}

#[test]
fn the_best_async_runtime_is_the_one_with_the_highest_throughput() {
    let mut record = asked(fixtures::tour());
    let cells = record.plan.cells.clone();
    for round in &mut record.rounds {
        if let Outcome::Ok(measured) = &mut round.outcome
            && cells[round.cell].runtime == "smol"
        {
            measured.worker.throughput_ops_s *= 1_000.0;
        }
    }
    assert!(answers(&record).iter().all(|answer| answer.best == "smol"));
}

#[test]
fn charts_and_table_agree() {
    let record = asked(fixtures::tour());
    let charts = charts(&record);
    let picture = |name: &str| {
        let stem = format!("where-async-pays.{name}");
        let found = charts.iter().find(|chart| chart.file_stem == stem);
        &found.unwrap_or_else(|| panic!("{stem}")).svg
    };
    for answer in answers(&record) {
        let [_, _, vs_sync, vs_threads, cpu, memory] = answer.cells();
        let first = |message: &str| {
            message
                .split(' ')
                .next()
                .map(str::to_owned)
                .expect("a word")
        };
        let label = format!("{} · {}", answer.scenario, answer.concurrency);
        let speed = format!(
            "{label} {} of sync and {} of threads",
            first(&vs_sync),
            first(&vs_threads)
        );
        assert!(picture("speed").contains(&speed), "{speed}");
        for (name, ratio) in [("cpu", cpu), ("memory", memory)] {
            assert!(
                picture(name).contains(&format!("{ratio} of threads")),
                "{name} {ratio}"
            );
            assert!(picture(name).contains(&label));
        }
        assert!(page(&record).contains(&speed));
    }
}

#[test]
fn responses_go_only_to_their_requests() {
    assert_eq!(answers(&fixtures::tour()), []);
    let mut without_threads = asked(fixtures::tour());
    let cells = without_threads.plan.cells.clone();
    without_threads
        .rounds
        .retain(|round| cells[round.cell].runtime != "threads");
    assert_eq!(answers(&without_threads), []);
    for record in [fixtures::tour(), without_threads] {
        let mut charts = charts(&record);
        // The card sums the whole run up.
        charts.retain(|chart| !chart.file_stem.ends_with("card"));
        assert!(charts.iter().all(|chart| chart.scenario.is_some()));
    }
}
