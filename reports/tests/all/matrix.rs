//! The verdict matrix and the findings: every word true to the verdicts, of every fixture and adversarial record.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::time::Duration;

use photofinish_record::load::Stop;
use photofinish_record::{ForeignWorker, Record, RuntimeFamily, RuntimeTraits};
use photofinish_reports::findings::findings;
use photofinish_reports::report::Report;
use photofinish_reports::rule::Verdict;
use photofinish_reports::summary::{CellSummary, Comparison};
use photofinish_reports::terminal::{self, Style};

use crate::adversarial;
use crate::fixtures::{self, Sweep, each_measured};

const WIDE: Style = Style {
    width: 240,
    colour: false,
};

fn records() -> Vec<(&'static str, Record)> {
    let mut all = adversarial::records();
    all.extend(fixtures::all().iter().cloned());
    all
}

/// Every comparison of the matrix.
fn comparisons<'r>(report: &'r Report<'_>) -> Vec<(&'r CellSummary, &'r Comparison)> {
    let fields = report.matrix.rows.iter().flat_map(|row| {
        let fields = row.fields.iter().flatten();
        fields.map(move |field| (row, &report.summary.cells[field.cell]))
    });
    let compared = fields.filter_map(|(row, cell)| Some((cell, row.comparison(cell)?)));
    compared.collect()
}

#[test]
fn the_matrix_has_every_cell_in_its_place() {
    for (name, record) in records() {
        let report = Report::of(&record);
        let matrix = &report.matrix;
        let mut cells: Vec<usize> = Vec::new();
        for row in &matrix.rows {
            assert_eq!(row.fields.len(), matrix.runtimes.len(), "{name}");
            for (field, runtime) in row.fields.iter().zip(&matrix.runtimes) {
                let Some(field) = field else { continue };
                let cell = &report.summary.cells[field.cell];
                assert_eq!((&cell.runtime, &cell.scenario), (runtime, &row.scenario));
                assert_eq!((cell.load, cell.arm), (row.load, row.arm), "{name}");
                assert!(field.disturbed <= report.rounds.of_cell(field.cell).len());
                cells.push(field.cell);
            }
        }
        cells.sort_unstable();
        let all: Vec<usize> = (0..report.summary.cells.len()).collect();
        assert_eq!(cells, all, "{name}");
    }
}

#[test]
fn a_finding_claims_no_more_than_the_verdicts() {
    let mut told = 0;
    for (name, record) in records() {
        let report = Report::of(&record);
        let compared = comparisons(&report);
        let any = |verdict| compared.iter().any(|(_, it)| it.verdict == Some(verdict));
        let sentences = findings(&report);
        assert!(sentences.len() <= 3, "{name}: {sentences:?}");
        assert!(sentences.is_empty() || !compared.is_empty(), "{name}");
        for sentence in &sentences {
            told += 1;
            let claims_faster = sentence.contains(" serves ")
                || sentence.contains(" faster than ") && !sentence.contains("no runtime");
            assert!(!claims_faster || any(Verdict::Faster), "{name}: {sentence}");
            let claims_slower = sentence.contains(" slower (");
            assert!(!claims_slower || any(Verdict::Slower), "{name}: {sentence}");
            let decided = any(Verdict::Faster) || any(Verdict::Slower) || any(Verdict::Tie);
            let undecided =
                sentence.starts_with("No difference") || sentence.starts_with("No verdict");
            assert!(!undecided || !decided, "{name}: {sentence}");
        }
    }
    assert!(told > 20, "{told}");
}

/// A floor is a measure, not a choice: it is the fastest here, and the best runtime is another, with its distance told.
#[test]
fn a_floor_is_never_the_best_and_each_runtime_has_its_distance_from_it() {
    let sweep = Sweep {
        concurrency: &[16],
        rounds: 10,
        operation_ns: 1e6,
        ops: 20_000,
    };
    let mut record = fixtures::of(sweep, &["epoll", "sync", "tokio"]);
    record.plan.reference = Some("sync".to_owned());
    let floor = RuntimeTraits {
        family: RuntimeFamily::Floor,
        queues_before_service: false,
        note: Some("floor".to_owned()),
        position: 7,
        system_calls: None,
        worker: None,
    };
    record.plan.runtimes.insert("epoll".to_owned(), floor);
    each_measured(&mut record, |cell, block, measured| {
        let rate = [4_000.0, 1_000.0, 3_000.0][cell];
        measured.worker.throughput_ops_s = rate * (1.0 + 0.001 * block as f64);
        measured.worker.overhead = None;
        measured.worker.cost.cpu_user_ns = Some([2, 8, 3][cell] * measured.worker.ops);
        measured.worker.cost.cpu_system_ns = Some(0);
    });
    let report = Report::of(&record);
    let best = report.matrix.rows[0].best.as_ref().expect("a best runtime");
    assert_eq!(best.runtime, "tokio");
    assert_eq!(best.rivals, [], "the floor is no rival");
    let said = findings(&report);
    assert!(
        said[0].contains("tokio has 3.00 times the rate"),
        "{said:?}"
    );
    assert!(!said.concat().contains("epoll"), "{said:?}");
    let told = "Relative to the floor epoll, throughput: tokio 0.750× (0.750×–0.750×), sync 0.250× (0.250×–0.250×); CPU time per \
        operation: tokio 1.50× (1.50×–1.50×), sync 4.00× (4.00×–4.00×).";
    let terminal = terminal::render(&report, WIDE);
    assert!(in_one_line(&terminal).contains(told), "{terminal}");
    let last = terminal.trim_end().lines().last().expect("the finding");
    assert!(last.contains("tokio has 3.00 times the rate"), "{last}");
    let page = crate::page(&record);
    assert!(
        page.contains(told.split(" (").next().expect("a part")),
        "{page}"
    );
}

fn python_lane(name: &str, position: usize) -> RuntimeTraits {
    let worker = ForeignWorker {
        stack: "Python".to_owned(),
        command: vec!["python3".to_owned(), format!("{name}.py")],
        sha256: None,
        min_warmup_ns: None,
        versions: BTreeMap::new(),
    };
    RuntimeTraits {
        family: RuntimeFamily::Async,
        queues_before_service: false,
        note: None,
        position,
        system_calls: None,
        worker: Some(worker),
    }
}

/// A text without its line breaks.
fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The floors of a language are compared with its own lanes alone, and one lane beside it has no rival.
#[test]
fn each_language_has_its_own_floors() {
    let sweep = Sweep {
        concurrency: &[16],
        rounds: 10,
        operation_ns: 1e6,
        ops: 20_000,
    };
    let names = ["tokio", "epoll", "uring", "go", "go-floor"];
    let mut record = fixtures::of(sweep, &names);
    for (position, name) in names.into_iter().enumerate().skip(1) {
        let is_floor = name != "go";
        let worker = ForeignWorker {
            stack: "Go".to_owned(),
            command: vec!["photofinish-go".to_owned()],
            sha256: None,
            min_warmup_ns: None,
            versions: BTreeMap::new(),
        };
        let traits = RuntimeTraits {
            family: if is_floor {
                RuntimeFamily::Floor
            } else {
                RuntimeFamily::Async
            },
            queues_before_service: false,
            note: is_floor.then(|| "floor".to_owned()),
            position,
            system_calls: None,
            worker: name.starts_with("go").then_some(worker),
        };
        record.plan.runtimes.insert(name.to_owned(), traits);
    }
    each_measured(&mut record, |cell, block, measured| {
        let rate = [4_000.0, 5_000.0, 8_000.0, 1_000.0, 2_000.0][cell];
        measured.worker.throughput_ops_s = rate * (1.0 + 0.001 * block as f64);
        measured.worker.overhead = None;
    });
    let report = Report::of(&record);
    let best = report.matrix.rows.iter().map(|row| row.best.as_ref());
    assert_eq!(best.flatten().count(), 0, "there is nothing to choose from");
    let terminal = terminal::render(&report, WIDE);
    let text = in_one_line(&terminal);
    assert!(
        text.contains("Relative to the floor epoll, throughput: tokio 0.800×"),
        "{terminal}"
    );
    assert!(
        text.contains("Relative to the floor uring, throughput: tokio 0.500×"),
        "{terminal}"
    );
    assert!(
        text.contains("Relative to the floor go-floor, throughput: go 0.500×"),
        "{terminal}"
    );
    assert!(!text.contains("against tokio: ."), "{terminal}");
}

/// Runtimes in another language have their own group, reference and best; languages meet in one table without verdicts.
#[test]
fn stacks_are_ranked_apart_and_set_side_by_side() {
    let sweep = Sweep {
        concurrency: &[16],
        rounds: 10,
        operation_ns: 1e6,
        ops: 20_000,
    };
    let names = ["sync", "tokio", "python-sync", "asyncio"];
    let mut record = fixtures::of(sweep, &names);
    for (position, name) in names.into_iter().enumerate().skip(2) {
        let lane = python_lane(name, position);
        record.plan.runtimes.insert(name.to_owned(), lane);
    }
    each_measured(&mut record, |cell, block, measured| {
        let rate = [4_000.0, 8_000.0, 500.0, 1_500.0][cell];
        measured.worker.throughput_ops_s = rate * (1.0 + 0.001 * block as f64);
        measured.worker.overhead = None;
    });
    let report = Report::of(&record);
    let rows: Vec<_> = report
        .matrix
        .rows
        .iter()
        .map(|row| {
            let best = row.best.as_ref().map(|best| best.runtime.as_str());
            (row.stack.as_deref(), row.reference.as_deref(), best)
        })
        .collect();
    let expected = [
        (None, Some("sync"), Some("tokio")),
        (Some("Python"), Some("python-sync"), Some("asyncio")),
    ];
    assert_eq!(rows, expected);
    let terminal = terminal::render(&report, WIDE);
    let table = terminal
        .split("Stack against stack")
        .nth(1)
        .expect("the table");
    let of = |stack: &str| {
        table
            .lines()
            .find(|line| line.contains(stack))
            .expect("a row")
            .to_owned()
    };
    assert!(
        of("Rust").contains("tokio") && of("Rust").contains("8.0"),
        "{table}"
    );
    assert!(
        of("Python").contains("asyncio") && of("Python").contains("1.51k"),
        "{table}"
    );
    let page = crate::page(&record);
    assert!(
        page.contains("id=\"http-get:c16\"") && page.contains("id=\"http-get:c16.python\""),
        "{page}"
    );
    assert!(page.contains("id=\"stacks\""));
}

#[test]
fn findings_name_the_best_its_interval_and_those_it_cannot_be_told_from() {
    let sweep = Sweep {
        concurrency: &[16],
        rounds: 10,
        operation_ns: 1e6,
        ops: 20_000,
    };
    let mut record = fixtures::of(sweep, &["sync", "threads", "tokio", "smol"]);
    // tokio and smol are equals with noise that changes sides; threads are half as fast.
    each_measured(&mut record, |cell, block, measured| {
        let side = if block % 2 == 0 { 0.08 } else { -0.08 };
        let rate = match cell {
            0 => 1_000.0,
            1 => 2_000.0,
            2 => 4_000.0 * (1.0 + side),
            _ => 4_000.0 * (1.0 - side),
        };
        measured.worker.throughput_ops_s = rate * (1.0 + 0.001 * block as f64);
        measured.worker.overhead = None;
    });
    let said = findings(&Report::of(&record));
    let [first] = said.as_slice() else {
        panic!("{said:?}")
    };
    assert_eq!(
        first,
        "http-get with 16 sessions: smol has 3.68 to 4.32 times the rate of sync; its lead over tokio is not \
         certain."
    );
    each_measured(&mut record, |cell, block, measured| {
        let rate = [1_000.0, 500.0, 1_001.0, 250.0][cell];
        measured.worker.throughput_ops_s = rate * (1.0 + 0.001 * block as f64);
    });
    assert_eq!(
        findings(&Report::of(&record)),
        [
            "http-get with 16 sessions: no runtime is certainly faster than sync; threads and smol are slower (0.250 to \
          0.500 times its throughput)."
        ]
    );
    record.rounds.retain(|round| round.block < 2);
    assert_eq!(
        findings(&Report::of(&record)),
        ["No verdict in 3 comparisons: 8 rounds of each are needed, but there are only 2."]
    );
}

#[test]
fn a_warning_is_on_the_fields_that_it_concerns_and_on_no_other() {
    let mut record = fixtures::steady(&["sync", "tokio", "smol"], 8);
    for round in &mut record.rounds {
        if round.cell == 1 && round.block < 3 {
            round.conditions.disturbance = Some("other processes used 40% of the CPUs".to_owned());
        }
    }
    let report = Report::of(&record);
    let fields: Vec<_> = report.matrix.rows[0].fields.iter().flatten().collect();
    let disturbed: Vec<usize> = fields.iter().map(|field| field.disturbed).collect();
    assert_eq!(disturbed, [0, 3, 0]);
    let about: Vec<Vec<&str>> = fields
        .iter()
        .map(|field| {
            let warnings = field.warnings.iter();
            let texts = warnings.map(|index| report.summary.warnings[*index].as_str());
            texts.filter(|text| text.contains("disturbed")).collect()
        })
        .collect();
    assert_eq!(about.iter().map(Vec::len).collect::<Vec<_>>(), [0, 1, 0]);
}

#[test]
fn a_lane_that_was_measured_too_early_is_told_and_one_that_got_its_warm_up_is_not() {
    let mut record = fixtures::steady(&["sync", "asyncio"], 8);
    let mut lane = python_lane("asyncio", 1);
    let worker = lane.worker.as_mut().expect("a lane");
    worker.min_warmup_ns = Some(3_000_000_000);
    record.plan.runtimes.insert("asyncio".to_owned(), lane);
    let after = |record: &mut Record, warmup: Stop| {
        record.plan.scenarios[0].warmup = warmup;
        let report = Report::of(record);
        let warnings = report.summary.warnings.iter().enumerate();
        let (index, text) = warnings
            .map(|(index, text)| (index, text.clone()))
            .find(|(_, text)| text.contains("a warm-up of"))?;
        let fields = report
            .matrix
            .rows
            .iter()
            .flat_map(|row| row.fields.iter().flatten());
        let told = fields.filter(|field| field.warnings.contains(&index));
        Some((text, told.count()))
    };
    let ms = |ms| Stop::after(Duration::from_millis(ms));
    let (text, fields) = after(&mut record, ms(20)).expect("a warning");
    let expected = "asyncio: a warm-up of 20ms, where it asks for 3s: its code may get faster while it is measured";
    assert_eq!((text.as_str(), fields), (expected, 1));
    assert_eq!(after(&mut record, ms(3_000)), None);
    assert!(crate::page(&record).contains("3s (for asyncio)"));
    let by_count = Stop::Ops(NonZeroU64::MIN);
    assert_eq!(after(&mut record, by_count), None);
}
