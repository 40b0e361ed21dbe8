//! Large runs: the size of their pages, which is bytes per round and not a matter of the machine.
//!
//! `PHOTOFINISH_LARGE=40,10,20` (scenarios, runtimes, rounds of each) also leaves such a record in the target folder, under
//! `tmp/pages/large.json`, whose rendering can be timed (`bench/large_page.py`).

use photofinish_record::{PlannedScenario, Record};

use crate::page::write;
use crate::{fixtures, page};

/// Maximum size of a page without its record, per round: 4.9 MB over 8,000 rounds, and 0.1 MB for the other comparisons.
const MOST_BYTES_PER_ROUND: usize = 612;

struct Size {
    scenarios: usize,
    runtimes: usize,
    rounds: usize,
}

/// A record of many scenarios, runtimes and rounds.
fn large(size: &Size) -> Record {
    let mut record = fixtures::steady(&[], 0);
    record.plan.scenarios.clear();
    let model = fixtures::tour().plan.scenarios.remove(0);
    let named = |index: usize| match fixtures::RUNTIMES.get(index) {
        Some(name) => (*name).to_owned(),
        None => format!("runtime-{index}"),
    };
    let runtimes: Vec<String> = (0..size.runtimes).map(named).collect();
    let runtimes: Vec<&str> = runtimes.iter().map(String::as_str).collect();
    for index in 0..size.scenarios {
        let scenario = PlannedScenario {
            name: format!("scenario-{index}"),
            ..model.clone()
        };
        let sweep = fixtures::Sweep {
            concurrency: &[16],
            rounds: size.rounds,
            operation_ns: 100_000.0 * (index + 1) as f64,
            ops: 2_000,
        };
        fixtures::add(&mut record, scenario, &runtimes, sweep);
    }
    record
}

#[test]
fn a_record_too_large_for_its_page_is_named_instead() {
    let mut record = fixtures::single();
    let without = "too large a record for this page";
    let html = page(&record);
    assert!(!html.contains(without) && html.contains("id=\"record\""));
    let mut random = fixtures::Random(1);
    let noise = (0..5_000_000).map(|_| char::from(b'!' + (90.0 * random.uniform()) as u8));
    record.plan.scenarios[0].params = noise.collect::<String>().into();
    let html = page(&record);
    assert!(html.contains(without) && html.contains("<a href=\"record.json\">"));
    assert!(!html.contains("id=\"record\""));
}

#[test]
fn the_page_of_a_large_run_stays_small() {
    if let Ok(wanted) = std::env::var("PHOTOFINISH_LARGE") {
        let mut numbers = wanted.split(',').filter_map(|number| number.parse().ok());
        let mut next = || numbers.next().expect("three numbers, such as 40,10,20");
        let size = Size {
            scenarios: next(),
            runtimes: next(),
            rounds: next(),
        };
        let json = serde_json::to_string(&large(&size)).expect("a record");
        let path = write("large", "").with_extension("json");
        std::fs::write(path, json).expect("the target folder is writable");
    }
    let size = Size {
        scenarios: 3,
        runtimes: 10,
        rounds: 20,
    };
    let html = page(&large(&size));
    write("large", &html);
    // Neither the style sheet nor the script grows with the run.
    let (_, shown) = html.split_once("</style>").expect("a style sheet");
    let shown = shown.split("<script").next().unwrap_or_default();
    let rounds = size.scenarios * size.runtimes * size.rounds;
    let bytes = shown.len() / rounds;
    assert!(
        bytes < MOST_BYTES_PER_ROUND,
        "{bytes} bytes per round, expected less than {MOST_BYTES_PER_ROUND}"
    );
}
