//! `photofinish schema`: the JSON Schemas of what the program reads and writes.
//!
//! The types are the schemas; the copies in `docs/schemas` are kept current by a test. One line per schema in
//! [`SCHEMAS`].

use clap::Args;
use clap::builder::PossibleValuesParser;
use photofinish_record::Record;
use photofinish_record::protocol::{WorkerPlan, WorkerReply};
use schemars::schema_for;
use serde_json::Value;

use crate::exit::{Exit, Failure};
use crate::output;

/// A schema by name.
type Named = (&'static str, fn() -> Value);

/// Every schema.
const SCHEMAS: [Named; 9] = [
    ("scenario", || {
        photofinish_scenarios::scenario::schema().to_value()
    }),
    ("record", || schema_for!(Record).to_value()),
    ("summary", photofinish_reports::summary::schema),
    ("gate", photofinish_reports::gate::schema),
    ("comparison", photofinish_reports::compare::schema),
    ("diagnosis", photofinish_reports::diagnosis::schema),
    ("selftest", photofinish_reports::selftest::schema),
    ("worker-plan", || schema_for!(WorkerPlan).to_value()),
    ("worker-reply", || schema_for!(WorkerReply).to_value()),
];

/// Prints a JSON Schema
///
/// scenario: a scenario file. record: the record.json of a run. summary: what `run --format json` prints.
/// gate: what `gate --format json` prints. comparison: what `compare --format json` prints. diagnosis: what `doctor --json` prints. selftest: what `selftest --json` prints. worker-plan and worker-reply: what goes into a worker process and what comes out of it.
#[derive(Args)]
pub struct Schema {
    /// Which one
    #[arg(value_parser = PossibleValuesParser::new(SCHEMAS.map(|(name, _)| name)))]
    name: String,
}

impl Schema {
    /// Prints it.
    pub fn execute(self) -> Result<Exit, Failure> {
        let named = SCHEMAS.iter().find(|(name, _)| *name == self.name);
        let (_, schema) = named.expect("the parser knows the names");
        output::emit_json(&schema())?;
        Ok(Exit::Done)
    }
}
