//! `photofinish schema`: the JSON Schemas of the program's inputs and outputs.
//!
//! They are derived from the types; a test keeps the copies in `docs/schemas` current. One line per schema in [`SCHEMAS`].

use clap::builder::PossibleValuesParser;
use clap::{Args, CommandFactory as _};
use photofinish_record::Record;
use photofinish_record::protocol::{WorkerDescription, WorkerPlan, WorkerReply};
use schemars::schema_for;
use serde_json::Value;

use super::Arguments;
use crate::config;
use crate::exit::{Exit, Failure};
use crate::output;

type NamedSchema = (&'static str, fn() -> Value);

const SCHEMAS: [NamedSchema; 11] = [
    ("scenario", || {
        photofinish_scenarios::scenario::schema().to_value()
    }),
    ("config", || config::schema(&Arguments::command())),
    ("record", || schema_for!(Record).to_value()),
    ("summary", photofinish_reports::summary::schema),
    ("gate", photofinish_reports::gate::schema),
    ("comparison", photofinish_reports::compare::schema),
    ("diagnosis", photofinish_reports::diagnosis::schema),
    ("selftest", photofinish_reports::selftest::schema),
    ("worker-plan", || schema_for!(WorkerPlan).to_value()),
    ("worker-description", || {
        schema_for!(WorkerDescription).to_value()
    }),
    ("worker-reply", || schema_for!(WorkerReply).to_value()),
];

/// Print a JSON Schema
///
/// scenario: a scenario file. config: photofinish.toml. record: the record.json of a run. summary: the output of
/// `run --format json`. gate: of `gate --format json`. comparison: of `compare --format json`. diagnosis: of
/// `doctor --json`. selftest: of `selftest --json`. worker-description: a worker's answer to `describe`. worker-plan and
/// worker-reply: input and output of a worker process.
#[derive(Args)]
pub struct Schema {
    /// Name of the schema
    #[arg(value_parser = PossibleValuesParser::new(SCHEMAS.map(|(name, _)| name)))]
    name: String,
}

impl Schema {
    pub fn execute(self) -> Result<Exit, Failure> {
        let named = SCHEMAS.iter().find(|(name, _)| *name == self.name);
        let (_, schema) = named.expect("the parser knows the names");
        output::emit_json(&schema())?;
        Ok(Exit::Done)
    }
}
