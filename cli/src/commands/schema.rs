//! `photofinish schema`: the JSON Schemas of the program's inputs and outputs.
//!
//! One line per schema in [`SCHEMAS`]. A test derives the copies in `docs/schemas` from the types.

use clap::builder::PossibleValuesParser;
use clap::{Args, CommandFactory as _};
use photofinish_scenarios::scenario;
use serde_json::Value;

use super::Arguments;
use crate::config;
use crate::exit::{Exit, Failure};
use crate::output;

#[derive(Clone, Copy)]
enum Source {
    /// Derived now: depends on the workloads and options of this program.
    Derived(fn() -> Value),
    /// The committed copy: deriving it would need code for every type of a record.
    Copy(&'static str),
}

macro_rules! copy {
    ($name:literal) => {
        Source::Copy(include_str!(concat!(
            "../../../docs/schemas/",
            $name,
            ".schema.json"
        )))
    };
}

const SCHEMAS: [(&str, Source); 11] = [
    (
        "scenario",
        Source::Derived(|| scenario::schema().to_value()),
    ),
    (
        "config",
        Source::Derived(|| config::schema(&Arguments::command())),
    ),
    ("record", copy!("record")),
    ("summary", copy!("summary")),
    ("gate", copy!("gate")),
    ("comparison", copy!("comparison")),
    ("diagnosis", copy!("diagnosis")),
    ("selftest", copy!("selftest")),
    ("worker-plan", copy!("worker-plan")),
    ("worker-description", copy!("worker-description")),
    ("worker-reply", copy!("worker-reply")),
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
        let (_, source) = named.expect("the parser knows the names");
        match source {
            Source::Derived(derive) => output::emit_json(&derive())?,
            Source::Copy(text) => output::emit(text.as_bytes())?,
        }
        Ok(Exit::Done)
    }
}
