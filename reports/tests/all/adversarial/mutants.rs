//! Records as others may have edited or damaged them: validated when read, and a thousand mutants of which none panics.

use std::time::{Duration, Instant};

use photofinish_record::Record;
use photofinish_reports::everything::{everything, renderings};
use serde_json::{Value, json};

use super::{gate, nothing_due, ordinary};
use crate::fixtures::{self, Random, Sweep};

/// What `change` makes of a record's JSON when it is read.
fn read(record: &Record, change: impl FnOnce(&mut Value)) -> Result<Record, String> {
    let mut value = serde_json::to_value(record).expect("a record");
    change(&mut value);
    let bytes = serde_json::to_vec(&value).expect("JSON");
    Record::read(&bytes).map_err(|error| error.to_string())
}

#[test]
fn records_are_validated_when_read() {
    let record = gate(10, 0.0);
    read(&record, |_| {}).expect("unchanged");
    let throughput = "/rounds/0/outcome/worker/throughput_ops_s";
    for (pointer, value, expected) in [
        ("/rounds/0/block", json!(u64::MAX), "beyond any measurement"),
        (
            "/rounds/0/block",
            json!(1_000_000_000),
            "a round is of block 1000000000, and there are 10",
        ),
        (
            "/rounds/0/cell",
            json!(2),
            "a round is of cell 2, and there are 2",
        ),
        (
            "/plan/blocks/0/0",
            json!(9),
            "a block has cell 9, and there are 2",
        ),
        (
            "/plan/cells/0/scenario",
            json!("x"),
            "the scenario `x`, which is not in the plan",
        ),
        (
            throughput,
            json!(5e-324),
            "5e-324 is beyond any measurement",
        ),
        (
            throughput,
            json!(-1e300),
            "-1e300 is beyond any measurement",
        ),
        (
            "/rounds/0/outcome/worker/ops",
            json!(1_u64 << 60),
            "beyond any measurement",
        ),
        (
            "/schema",
            json!("photofinish-record/0"),
            "its schema is `photofinish-record/0`",
        ),
    ] {
        let change = |document: &mut Value| {
            *document.pointer_mut(pointer).expect(pointer) = value.clone();
        };
        let error = read(&record, change).expect_err(pointer);
        assert!(error.contains(expected), "{pointer}: {error}");
        assert!(!error.contains('\n'), "one sentence: {error}");
    }
    read(&record, |document| document["seed"] = json!(u64::MAX)).expect("any seed");
    for fixture in fixtures::all() {
        let mut record = fixture.1.clone();
        record.plan.blocks.resize(40, Vec::new());
        read(&record, |_| {}).expect(fixture.0);
    }
}

#[test]
fn every_histogram_has_a_finite_curve() {
    // One value, 2^63 − 1 times: HdrHistogram V2, its one count in nine bytes of ZigZag LEB128.
    let mut counts = vec![0x1c, 0x84, 0x93, 0x13];
    let payload: &[u8] = &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
    counts.extend(u32::try_from(payload.len()).expect("nine").to_be_bytes());
    counts.extend([0, 0, 0, 0, 0, 0, 0, 3]);
    counts.extend(1_u64.to_be_bytes());
    counts.extend(60_000_000_000_u64.to_be_bytes());
    counts.extend(1.0_f64.to_be_bytes());
    counts.extend(payload);
    let text = base64(&counts);
    let record = read(&ordinary(2), |document| {
        for round in document["rounds"].as_array_mut().expect("rounds") {
            round["outcome"]["worker"]["service"] = json!(text);
        }
    });
    let record = record.expect("a valid histogram");
    assert!(renderings(&record, false).len() > 20);
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = (0..3).fold(0_usize, |bits, index| {
            bits << 8 | usize::from(*chunk.get(index).unwrap_or(&0))
        });
        for digit in 0..4 {
            let letter = ALPHABET[bits >> (18 - 6 * digit) & 63];
            text.push(if digit <= chunk.len() {
                char::from(letter)
            } else {
                '='
            });
        }
    }
    text
}

/// Every place in a document, as a pointer.
fn pointers(value: &Value, prefix: &str, all: &mut Vec<String>) {
    all.push(prefix.to_owned());
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                pointers(item, &format!("{prefix}/{index}"), all);
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                let name = name.replace('~', "~0").replace('/', "~1");
                pointers(member, &format!("{prefix}/{name}"), all);
            }
        }
        _ => {}
    }
}

/// Another value in the place of this one.
fn mutated(value: &Value, random: &mut Random) -> Value {
    let pick = |count: usize, random: &mut Random| (random.uniform() * count as f64) as usize;
    let numbers = [
        json!(0),
        json!(1),
        json!(-1),
        json!(7),
        json!(1_u64 << 53),
        json!(u64::MAX),
        json!(5e-324),
        json!(1e-99),
        json!(0.5),
        json!(1e99),
        json!(1e308),
    ];
    let strings = [
        "",
        "\u{1b}[2J",
        "=1+1",
        "<b>",
        "`",
        "closed",
        "2026",
        "x/../y",
        "HISTF",
    ];
    match value {
        Value::Number(_) => numbers[pick(numbers.len(), random)].clone(),
        Value::String(_) => match pick(strings.len() + 1, random) {
            index if index < strings.len() => json!(strings[index]),
            _ => json!("é\u{202e}".repeat(2_500)),
        },
        Value::Bool(flag) => json!(!flag),
        Value::Null => numbers[pick(numbers.len(), random)].clone(),
        Value::Array(items) => {
            let mut items = items.clone();
            match pick(3, random) {
                0 => items.clear(),
                1 => items.reverse(),
                _ => items.extend_from_within(..),
            }
            Value::Array(items)
        }
        Value::Object(members) => {
            let mut members = members.clone();
            let names: Vec<String> = members.keys().cloned().collect();
            if !names.is_empty() {
                members.remove(&names[pick(names.len(), random)]);
            }
            Value::Object(members)
        }
    }
}

#[test]
fn a_thousand_mutated_records_are_refused_or_rendered_completely() {
    let small = |runtimes: &[&str]| {
        let sweep = Sweep {
            concurrency: &[4],
            rounds: 2,
            operation_ns: 420_000.0,
            ops: 30,
        };
        fixtures::of(sweep, runtimes)
    };
    let mut gate = gate(2, 0.5);
    gate.plan.looks = vec![2];
    let mut open = nothing_due();
    open.plan.blocks.truncate(2);
    open.rounds.retain(|round| round.block < 2);
    let documents = [
        small(&["sync", "tokio"]),
        gate,
        open,
        fixtures::search_cut_short(),
    ];
    let documents = documents.map(|mut record| {
        record.dependencies.clear();
        record.plan.blocks.resize(3, Vec::new());
        serde_json::to_value(record).expect("a record")
    });
    let places = documents.each_ref().map(|document| {
        let mut all = Vec::new();
        pointers(document, "", &mut all);
        all
    });
    let (mut random, mut loaded) = (Random(20_261_127), 0);
    let start = Instant::now();
    for mutant in 0..1_000 {
        let which = mutant % documents.len();
        let mut document = documents[which].clone();
        let mut changes = Vec::new();
        for _ in 0..1 + mutant / 400 {
            let place = &places[which][(random.uniform() * places[which].len() as f64) as usize];
            if let Some(value) = document.pointer_mut(place) {
                *value = mutated(value, &mut random);
                changes.push(place.clone());
            }
        }
        let bytes = serde_json::to_vec(&document).expect("JSON");
        let before = Instant::now();
        if let Ok(files) = everything(&bytes, false) {
            loaded += 1;
            let size: usize = files.iter().map(|file| file.bytes.len()).sum();
            assert!(size < 50_000_000, "{changes:?}: {size} bytes");
        }
        assert!(before.elapsed() < Duration::from_secs(60), "{changes:?}");
    }
    assert!(loaded >= 200, "only {loaded} mutants could be read");
    assert!(start.elapsed() < Duration::from_secs(1_200));
}
