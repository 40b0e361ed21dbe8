//! The charts: each is drawn of every fixture, stays inside its frame, and becomes a picture.
//!
//! The pictures stay in the target folder, under `tmp/charts`, to be looked at.

use std::path::Path;

use photofinish_record::{Outcome, Record};
use photofinish_reports::charts::{CHARTS, Chart, Painter};

use crate::{charts, fixtures};

#[test]
fn every_chart_of_every_record_is_one_svg_that_refers_to_nothing_outside() {
    for (name, record) in fixtures::all() {
        let charts = charts(record);
        let mut stems: Vec<&str> = charts
            .iter()
            .map(|chart| chart.file_stem.as_str())
            .collect();
        stems.sort_unstable();
        stems.dedup();
        assert_eq!(stems.len(), charts.len(), "{name}: file names are unique");
        for Chart { svg, file_stem, .. } in &charts {
            assert!(
                svg.starts_with("<svg ") && svg.ends_with("</svg>\n"),
                "{name}: {file_stem}"
            );
            assert_eq!(
                svg.matches("http").count(),
                svg.matches("http-").count() + 1,
                "{name}: {file_stem}: only its namespace"
            );
            assert!(
                !svg.contains("<script") && !svg.contains("NaN") && !svg.contains("inf,"),
                "{name}: {file_stem}"
            );
        }
    }
}

#[test]
fn closed_open_and_search_records_have_every_kind_of_chart() {
    let mut asked = fixtures::tour();
    asked.plan.suite = Some("where-async-pays".to_owned());
    let parts = fixtures::with_parts(1);
    let gate = fixtures::gate_of_two_loads();
    let records = [
        fixtures::sweep(),
        fixtures::open_loads(),
        asked,
        parts,
        gate,
        fixtures::merged(0..4),
    ];
    let all: Vec<Chart> = records.iter().flat_map(charts).collect();
    for kind in CHARTS {
        assert!(
            all.iter().any(|chart| chart.file_stem.ends_with(kind.name)),
            "{}",
            kind.name
        );
    }
    assert!(charts(&fixtures::empty()).is_empty());
}

#[test]
fn every_chart_becomes_a_picture_of_twice_its_size() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("charts");
    std::fs::create_dir_all(&folder).expect("the target folder is writable");
    for (name, record) in fixtures::all() {
        // One load of a sweep looks like any other.
        for chart in charts(record).iter().rev().take(5) {
            let png = Painter::default().png(chart);
            let width = if chart.is_card { 1_200 } else { 1_120 };
            assert_eq!(png_width(&png), width, "{name}: {}", chart.file_stem);
            let path = folder.join(format!("{name}.{}.png", chart.file_stem));
            std::fs::write(path, png).expect("the target folder is writable");
        }
    }
}

/// Goal: a card sums a run up and is certain of no more than the run. Method: verdicts of each kind, and runs without.
#[test]
fn a_card_has_the_best_runtime_of_each_row_with_what_is_certain() {
    let mut record = fixtures::steady(&["sync", "threads", "tokio"], 10);
    fixtures::each_measured(&mut record, |cell, _, measured| {
        measured.worker.throughput_ops_s *= [1.0, 0.5, 4.0][cell];
    });
    let cards = |record: &Record| {
        let charts = charts(record).into_iter();
        charts.filter(|chart| chart.is_card).collect::<Vec<Chart>>()
    };
    let card = &cards(&record)[0];
    assert_eq!(card.file_stem, "run.card");
    let png = Painter::default().png(card);
    assert_eq!(png_width(&png), 1_200);
    assert_eq!(
        u32::from_be_bytes(png[20..24].try_into().expect("four bytes")),
        630
    );
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("charts");
    std::fs::create_dir_all(&folder).expect("the target folder is writable");
    std::fs::write(folder.join("card.png"), png).expect("the target folder is writable");
    for said in [
        ">http-get<",
        ">tokio<",
        ">certain<",
        ">▲ ",
        ">faster<",
        "16 sessions, throughput vs sync",
        "EPYC",
    ] {
        assert!(card.svg.contains(said), "{said}: {}", card.svg);
    }
    assert!(!crate::page(&record).contains("In short:"));
    let few = fixtures::steady(&["sync", "tokio"], 2);
    let few = &cards(&few)[0].svg;
    assert!(
        few.contains(">no verdict<") || few.contains(">the reference<"),
        "{few}"
    );
    assert!(few.contains("not certain against"), "{few}");
    for other in [
        fixtures::search(),
        fixtures::single(),
        fixtures::gate_of_two_loads(),
    ] {
        assert!(cards(&other).is_empty());
    }
}

#[test]
fn open_load_charts_show_response_time_and_no_throughput() {
    let charts = charts(&fixtures::open_loads());
    let ends = |kind: &str| {
        let of_kind = charts
            .iter()
            .filter(|chart| chart.file_stem.ends_with(kind));
        of_kind.map(|chart| chart.svg.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(ends(".throughput").len(), 0);
    let curves = ends("c64.latency");
    assert_eq!(curves.len(), 2);
    assert!(curves.iter().all(|svg| svg.contains("response time")));
    // Half of what `sync` could not begin with had waited this long, while its service time stayed below 1 ms.
    assert!(curves[1].contains("sync median 6"), "{}", curves[1]);
    let beside = ends("c64.response");
    assert!(beside[1].contains("response ≥ 625ms"), "{}", beside[1]);
    let by_rate = ends("http-get.load-latency");
    assert!(
        by_rate[0].contains("sync held 1.00k/s, threads held 6.00k/s"),
        "{}",
        by_rate[0]
    );
}

#[test]
fn late_timers_and_the_measuring_loop_are_drawn() {
    let mut record = fixtures::open_loads();
    let all = charts(&record);
    let timers = all.iter().find(|it| it.file_stem.ends_with(".timer-error"));
    let svg = &timers.expect("the probe was late").svg;
    assert!(
        svg.contains("how late a task due each ms runs, p99"),
        "{svg}"
    );
    let latency = |record: &Record| {
        let all = charts(record);
        let found = all.iter().find(|it| it.file_stem.ends_with(".latency"));
        found.expect("a latency chart").svg.clone()
    };
    // 111 ns an operation, against times of a millisecond and more.
    let far = latency(&record);
    assert!(
        far.contains("no longer; the measuring loop takes 111ns"),
        "{far}"
    );
    for round in &mut record.rounds {
        let Outcome::Ok(measured) = &mut round.outcome else {
            continue;
        };
        if let Some(overhead) = &mut measured.worker.overhead {
            overhead.throughput_ops_s = 5e3;
        }
    }
    let near = latency(&record);
    assert!(near.contains(">measuring loop 200µs<"), "{near}");
    assert!(
        !charts(&fixtures::tour())
            .iter()
            .any(|it| it.file_stem.ends_with("timer-error"))
    );
}

/// Method: the head takes 1.25 times as long under both loads.
#[test]
fn a_gate_of_several_loads_has_one_chart_of_them_all() {
    let record = fixtures::gate_of_two_loads();
    let svg = of_kind(&record, "http-get.gate");
    for expected in [
        "1 in flight",
        "16 in flight",
        "1.25×",
        "regression",
        "throughput",
    ] {
        assert!(svg.contains(expected), "{expected}: {svg}");
    }
    // A single load is a line of the table.
    let mut single = record;
    single.plan.cells.truncate(2);
    single
        .plan
        .blocks
        .iter_mut()
        .for_each(|block| block.retain(|cell| *cell < 2));
    single.rounds.retain(|round| round.cell < 2);
    let charts = charts(&single);
    let kinds = charts
        .iter()
        .filter(|chart| chart.file_stem.ends_with(".gate"));
    assert_eq!(kinds.count(), 0);
}

#[test]
fn a_search_draws_only_its_curve_with_the_objective() {
    let charts = charts(&fixtures::search());
    let stems: Vec<&str> = charts
        .iter()
        .map(|chart| chart.file_stem.as_str())
        .collect();
    assert_eq!(stems, ["http-get.load-latency"]);
    assert!(charts[0].svg.contains("line: response_p99 &lt; 50ms"));
}

#[test]
fn a_round_that_stands_apart_is_named_by_its_block() {
    let mut record = fixtures::tour();
    let before = of_kind(&record, "http-get.c64.rounds");
    assert!(!before.contains("stands apart"), "{before}");
    let tokio = record
        .plan
        .cells
        .iter()
        .position(|cell| cell.scenario == "http-get" && cell.runtime == "tokio");
    let bad = record
        .rounds
        .iter_mut()
        .find(|round| Some(round.cell) == tokio && round.block == 4);
    let Outcome::Ok(measured) = &mut bad.expect("ten blocks").outcome else {
        panic!("it was measured");
    };
    measured.worker.throughput_ops_s = 199.0;
    let svg = of_kind(&record, "http-get.c64.rounds");
    assert!(svg.contains(">Every round: block 5 stands apart<"), "{svg}");
    assert!(svg.contains(", but 199 in block 5"), "{svg}");
    // One dot of each of the seven runtimes in ten blocks, and the smaller ones of doubtful rounds.
    assert!(svg.matches("h0").count() >= 70, "{svg}");
}

#[test]
fn all_charts_of_a_load_have_one_order_of_runtimes() {
    let record = fixtures::tour();
    for kind in ["throughput", "rounds", "speedup", "cpu", "memory"] {
        let svg = of_kind(&record, &format!("http-get.c64.{kind}"));
        let places = fixtures::RUNTIMES.map(|runtime| svg.find(&format!(">{runtime}")));
        assert!(places.iter().all(Option::is_some), "{kind}: {places:?}");
        assert!(places.is_sorted(), "{kind}: {places:?}");
    }
}

#[test]
fn a_file_of_its_own_names_its_sources_and_the_page_does_not_repeat_them() {
    let record = fixtures::tour();
    let charts = charts(&record);
    let chart = charts.iter().find(|chart| !chart.is_card).expect("a chart");
    let sources = format!("photofinish {}", record.tool.version);
    assert!(chart.svg_file().contains(&sources), "{}", chart.svg_file());
    assert!(chart.svg_file().contains(" UTC · "), "{}", chart.svg_file());
    assert!(!chart.svg.contains(&sources), "{}", chart.svg);
}

fn of_kind(record: &Record, stem: &str) -> String {
    let charts = charts(record);
    let mut found = charts.iter().filter(|chart| chart.file_stem == stem);
    found.next().expect(stem).svg.clone()
}

/// The width in a PNG's first chunk.
fn png_width(png: &[u8]) -> u32 {
    assert_eq!(&png[1..4], b"PNG");
    u32::from_be_bytes(png[16..20].try_into().expect("four bytes"))
}
