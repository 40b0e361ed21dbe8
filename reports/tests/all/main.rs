//! Every output over every fixture record, through the public functions alone.
//!
//! What needs a program beyond Rust says aloud that it is skipped where the program is missing, and fails in CI.

mod adversarial;
mod async_pays;
mod browser;
mod charts;
mod contrast;
mod diagnosis;
mod fixtures;
mod foreign;
mod formats;
mod gate;
mod gate_formats;
mod interchange;
mod json_schema;
mod large;
mod matrix;
mod page;
mod parts;
mod shards;
mod summary;
mod terminal;
mod thresholds;
mod validity;
mod verdict;

use photofinish_record::Record;
use photofinish_reports::Chart;
use photofinish_reports::report::Report;

fn page(record: &Record) -> String {
    photofinish_reports::page(&Report::of(record))
}

fn charts(record: &Record) -> Vec<Chart> {
    photofinish_reports::charts(&Report::of(record)).collect()
}

/// Says that a test cannot run here; in CI, where everything is installed, that is a failure.
fn skip(missing: &str) {
    assert!(std::env::var_os("CI").is_none(), "CI must have {missing}");
    eprintln!("SKIPPED: needs {missing}");
}
