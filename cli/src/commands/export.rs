//! `photofinish export`: a run in another format, for other programs.
//!
//! The formats are those of `reports::formats::FORMATS`.

use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::PossibleValuesParser;
use photofinish_reports::formats::{self, File};
use photofinish_reports::report::Report;

use crate::exit::{Exit, Failure, OrFail};
use crate::output;
use crate::store::files::write_user_files;
use crate::store::run_directory;

/// Convert a run to another format
#[derive(Args)]
#[command(after_help = "\
Examples:
  photofinish export photofinish-runs/latest --format csv
  photofinish export photofinish-runs/latest --format hgrm --out curves")]
pub struct Export {
    /// A run directory, a record.json or a report.html
    run: PathBuf,

    /// Output format
    #[arg(long, value_parser = names())]
    format: String,

    /// Output directory [default: stdout for a single file, the current directory for several]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

fn names() -> PossibleValuesParser {
    let named = formats::of_runs()
        .map(|format| clap::builder::PossibleValue::new(format.name).help(format.summary));
    PossibleValuesParser::new(named)
}

impl Export {
    pub fn execute(self) -> Result<Exit, Failure> {
        let record = run_directory::load(&self.run)?;
        let files = formats::export(&self.format, &Report::of(&record))
            .or_fail(format!("cannot export as {}", self.format))?;
        match (files.as_slice(), self.out) {
            ([only], None) => output::emit(&only.bytes)?,
            (_, out) => write(files, &out.unwrap_or_else(|| PathBuf::from(".")))?,
        }
        Ok(Exit::Done)
    }
}

fn write(files: Vec<File>, directory: &Path) -> Result<(), Failure> {
    let paths = write_user_files(directory, files)?;
    let paths: Vec<_> = paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    output::say(&paths.join("\n"))
}
