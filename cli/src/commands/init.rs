//! `photofinish init`: a commented scenario to start from.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::PathBuf;

use clap::Args;
use photofinish_scenarios::catalogue::TEMPLATE;

use crate::exit::{Exit, Failure};
use crate::output;

/// Writes a commented scenario to start from
#[derive(Args)]
pub struct Init {
    /// Where to; ends in .toml, and must not be there yet
    #[arg(value_name = "FILE.toml")]
    file: PathBuf,
}

impl Init {
    /// Writes it.
    pub fn execute(self) -> Result<Exit, Failure> {
        let place = self.file.display();
        if self.file.extension().is_none_or(|ending| ending != "toml") {
            return Err(Failure::usage(format!("{place} does not end in .toml"))
                .hint("scenario files do, which is how `run` tells them from names"));
        }
        let made = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&self.file)
            .and_then(|mut file| file.write_all(TEMPLATE.as_bytes()));
        match made {
            Ok(()) => {
                output::say(&format!(
                    "Wrote {place}. Next:\n  photofinish plan {place}\n  photofinish run {place}"
                ))?;
                Ok(Exit::Done)
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                Err(Failure::usage(format!("{place} is there already"))
                    .hint("nothing was written; name a file that is not"))
            }
            Err(error) => {
                Err(Failure::could_not_run(format!("cannot write {place}")).caused_by(error))
            }
        }
    }
}
