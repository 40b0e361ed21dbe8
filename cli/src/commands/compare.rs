//! `photofinish compare`: two records side by side, as a table, a document or a page.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use photofinish_reports::compare::RecordComparison;
use photofinish_reports::{comparison_page, terminal};

use crate::exit::{Exit, Failure};
use crate::output;
use crate::store::baselines::{Baselines, DIRECTORY};
use crate::store::files::write_user_file;

/// Compare two runs: ratios with intervals and verdicts, and other differences between them
///
/// Cells that did different work are not compared; the output gives the reason. The two runs were measured at different
/// times, so a difference may come from the machine; `photofinish gate` alternates between both sides.
#[derive(Args)]
#[command(after_help = "\
Examples:
  photofinish compare photofinish-runs/20261120T183000Z-3fa9c1 \\
      photofinish-runs/latest
  photofinish compare main photofinish-runs/latest --html compare.html")]
pub struct Compare {
    /// The run to compare with: a run directory, record.json, report.html, or the name of a baseline
    base: String,

    /// The run to compare, in the same forms
    head: String,

    /// Directory of the baselines
    #[arg(long, value_name = "DIR", default_value = DIRECTORY)]
    baselines: PathBuf,

    /// Also write the comparison as a page that opens offline
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,

    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// Human-readable table
    Table,
    /// One JSON document
    Json,
}

impl Compare {
    pub fn execute(self) -> Result<Exit, Failure> {
        let baselines = Baselines::of(&self.baselines);
        let (base, head) = (baselines.find(&self.base)?, baselines.find(&self.head)?);
        let comparison = RecordComparison::of(&base, &head);
        if let Some(file) = &self.html {
            let page = comparison_page(&comparison);
            write_user_file(file, page.as_bytes())?;
        }
        match self.format {
            Format::Json => output::emit_json(&comparison)?,
            Format::Table => {
                output::say(&terminal::comparison(&comparison, output::style()))?;
            }
        }
        match (comparison.cells.is_empty(), comparison.refused.first()) {
            (false, _) => Ok(Exit::Done),
            (true, Some(first)) => {
                let cell = format!("{} / {} ({})", first.scenario, first.runtime, first.load);
                Err(Failure::usage(format!(
                    "nothing in the two runs can be compared: {cell}: {}",
                    first.reason
                ))
                .hint("compare runs of the same scenario, runtimes, loads and placement"))
            }
            (true, None) => Err(Failure::usage("neither of the two runs has a cell")
                .hint("`photofinish runs` lists the runs with their scenarios")),
        }
    }
}
