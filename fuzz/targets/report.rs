//! Everything that is made of a record: table, page, charts, exports, gate and comparison, without a panic.
//!
//! Random bytes hardly ever make a record, so they are edits of those that the tests of reports are made of: each edit is
//! five bytes (which value, what to do with it). The first byte selects the record and one of the things made of it.

#![no_main]

#[path = "../../reports/tests/all/fixtures.rs"]
#[expect(dead_code, unused_imports, reason = "the tests of reports use the rest")]
mod fixtures;

use std::sync::OnceLock;

use fixtures::ALL_BY_NAME;
use libfuzzer_sys::fuzz_target;
use photofinish_record::Record;
use photofinish_reports::compare::RecordComparison;
use photofinish_reports::formats::{export, export_gate, of_gates, of_runs};
use photofinish_reports::report::Report;
use photofinish_reports::terminal::{self, Style};
use photofinish_reports::{charts, page};
use serde_json::{Value, json};

const STYLE: Style = Style {
    width: 80,
    colour: true,
};

/// A record to be edited, and the places of all its values.
struct Base {
    record: Value,
    places: Vec<String>,
}

impl Base {
    fn of(record: &Record) -> Self {
        let mut record = serde_json::to_value(record).expect("a record");
        // Small ones only: each input renders one.
        if let Some(Value::Array(rounds)) = record.get_mut("rounds") {
            rounds.truncate(6);
        }
        let mut places = Vec::new();
        list(&record, String::new(), &mut places);
        Self { record, places }
    }
}

/// Each made when an input first asks for it: all of them take seconds.
static BASES: [OnceLock<Base>; ALL_BY_NAME.len()] = [const { OnceLock::new() }; ALL_BY_NAME.len()];

fn list(value: &Value, place: String, places: &mut Vec<String>) {
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                list(item, format!("{place}/{index}"), places);
            }
        }
        Value::Object(members) => {
            for (key, member) in members {
                let key = key.replace('~', "~0").replace('/', "~1");
                list(member, format!("{place}/{key}"), places);
            }
        }
        _ => {}
    }
    places.push(place);
}

fuzz_target!(|data: &[u8]| {
    let Some((&choice, edits)) = data.split_first() else {
        return;
    };
    let index = usize::from(choice) % BASES.len();
    let base = BASES[index].get_or_init(|| Base::of(&ALL_BY_NAME[index].1()));
    let mut record = base.record.clone();
    for edit in edits.chunks_exact(5).take(16) {
        apply(edit, &base.places, &mut record);
    }
    let json = serde_json::to_vec(&record).expect("a value");
    if let Ok(record) = Record::read(&json) {
        render(&record, usize::from(choice) / BASES.len());
    }
});

/// Changes one value; nothing if an earlier edit has removed it.
fn apply(edit: &[u8], places: &[String], record: &mut Value) {
    let at = u16::from_le_bytes([edit[0], edit[1]]);
    let place = &places[usize::from(at) % places.len()];
    let (kind, argument) = (edit[2], u16::from_le_bytes([edit[3], edit[4]]));
    let other = places[usize::from(argument) % places.len()].clone();
    let moved = record.pointer(&other).cloned();
    let Some(value) = record.pointer_mut(place) else {
        return;
    };
    match (kind % 6, &mut *value) {
        (0, _) => *value = extreme(argument),
        (1, Value::Number(number)) => *value = scaled(number.as_f64().unwrap_or(0.0), argument),
        (1, Value::String(text)) => damage(text, argument),
        (2, Value::Array(items)) if !items.is_empty() => {
            let item = items[usize::from(argument) % items.len()].clone();
            items.push(item);
        }
        (3, Value::Array(items)) if !items.is_empty() => {
            items.remove(usize::from(argument) % items.len());
        }
        (4, _) => *value = Value::Null,
        (5, _) => *value = moved.unwrap_or_default(),
        _ => *value = json!(argument),
    }
}

fn extreme(argument: u16) -> Value {
    let choices = [
        json!(0),
        json!(-1),
        json!(u64::MAX),
        json!(i64::MAX),
        json!(i64::MIN),
        json!(u32::MAX),
        json!(1_u64 << 53),
        json!(5e-324),
        json!(f64::MAX),
        json!(-f64::MAX),
        json!(1e-300),
        json!(0.1),
        json!(""),
        json!("\u{1b}[2J\n::error::<script>\u{202e}"),
        json!("NaN"),
        json!("x".repeat(3_000)),
        json!([]),
        json!({}),
        json!(true),
    ];
    choices[usize::from(argument) % choices.len()].clone()
}

fn scaled(number: f64, argument: u16) -> Value {
    let power = i32::from(argument % 40) - 20;
    let scaled = number * 10_f64.powi(power);
    if scaled.fract() == 0.0 && scaled.abs() < 1e18 {
        json!(scaled as i64)
    } else {
        json!(scaled)
    }
}

/// Replaces one letter.
fn damage(text: &mut String, argument: u16) {
    let [at, letter] = argument.to_le_bytes();
    let mut letters: Vec<char> = text.chars().collect();
    if !letters.is_empty() {
        let at = usize::from(at) * letters.len() / 256;
        letters[at] = char::from(letter % 128);
    }
    *text = letters.into_iter().collect();
}

fn render(record: &Record, choice: usize) {
    let report = Report::of(record);
    match choice % 5 {
        0 => drop(terminal::render(&report, STYLE)),
        1 => drop(page(&report)),
        2 => drop(charts(&report).count()),
        3 => drop(terminal::comparison(
            &RecordComparison::of(record, record),
            STYLE,
        )),
        _ => {
            for format in of_runs() {
                let _ = export(format.name, &report);
            }
        }
    }
    if let Some(gate) = &report.gate {
        drop(terminal::gate(gate, STYLE));
        for format in of_gates() {
            let _ = export_gate(format.name, gate);
        }
    }
}
