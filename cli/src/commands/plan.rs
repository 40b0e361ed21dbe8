//! `photofinish plan`: shows the plan of a `run`. Runs nothing, starts nothing, connects to nothing.

use std::num::NonZeroU32;

use clap::{Args, ValueEnum};
use photofinish_record::nanoseconds;
use photofinish_scenarios::plan::{estimate, plan_hash};
use serde_json::json;

use crate::exit::{Exit, Failure};
use crate::output;
use crate::request::Request;
use crate::run::preview;
use crate::run::shards::parse_count;
use crate::run::shares;

/// `photofinish plan -h`, for a screen of 24 lines.
pub const BRIEF: &str = "\
Show the plan of a run (cells, order, duration) without running it

Usage: photofinish plan [SCENARIO|FILE.toml]... [OPTIONS]

Options   --order             the order of all rounds
          --shards N          the share of each of N shards
          --format json       the plan as in the record
          and those of a run: --runtimes A,B, --concurrency N,N, --rounds N,
          --duration TIME, --set KEY=VALUE, --target NAME=URL and others

`photofinish plan --help` shows every option, with examples.
";

/// Show the plan of a run (cells, order, duration) without running it
#[derive(Args)]
#[command(after_help = "\
Examples:
  photofinish plan
  photofinish plan http-get --concurrency 1,16,256 --rounds 10
  photofinish plan --order")]
pub struct Plan {
    #[command(flatten)]
    request: Request,

    /// Print the order of all rounds, not only the beginning of the first block
    #[arg(long, conflicts_with = "format", help_heading = None)]
    order: bool,

    /// Print the share of each of N shards
    #[arg(long, value_name = "N", value_parser = parse_count, allow_hyphen_values = true, conflicts_with_all = ["format", "order"], help_heading = None)]
    shards: Option<NonZeroU32>,

    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Table, help_heading = None)]
    format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// Human-readable table
    Table,
    /// One JSON document: the plan, as in the record
    Json,
}

impl Plan {
    pub fn execute(self) -> Result<Exit, Failure> {
        let mut prepared = self.request.prepare()?;
        prepared.redact()?;
        match self.format {
            Format::Table => {
                let order = match (self.shards, self.order) {
                    (Some(shards), _) => shares::of_shards(&prepared.plan, prepared.seed, shards)?,
                    (None, true) => preview::whole_order(&prepared.plan),
                    (None, false) => preview::order(&prepared.plan),
                };
                let width = output::width();
                let warnings = preview::warnings(&prepared, width);
                let summary = preview::summary(&prepared, width);
                output::say(&format!("{summary}{warnings}\n{order}"))?;
            }
            Format::Json => output::emit_json(&json!({
                "schema": "photofinish-plan/1",
                "seed": prepared.seed,
                "plan_hash": plan_hash(&prepared.plan, prepared.seed),
                "estimate_ns": nanoseconds(estimate(&prepared.plan)),
                "defaults": prepared.defaults,
                "warnings": prepared.warnings,
                "plan": prepared.plan,
            }))?,
        }
        Ok(Exit::Done)
    }
}
