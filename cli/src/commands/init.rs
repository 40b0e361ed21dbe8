//! `photofinish init`: writes a commented scenario to start from.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::PathBuf;

use clap::Args;
use photofinish_scenarios::catalogue::TEMPLATE;

use crate::exit::{Exit, Failure};
use crate::output;

/// Write a commented scenario file to start from
#[derive(Args)]
pub struct Init {
    /// The new file; its name ends in .toml
    #[arg(value_name = "FILE.toml")]
    file: PathBuf,
}

impl Init {
    pub fn execute(self) -> Result<Exit, Failure> {
        let file = self.file.display();
        if self.file.extension().is_none_or(|ending| ending != "toml") {
            return Err(Failure::usage(format!("{file} does not end in .toml"))
                .hint("`run` recognises scenario files by this extension"));
        }
        let written = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&self.file)
            .and_then(|mut opened| opened.write_all(TEMPLATE.as_bytes()));
        match written {
            Ok(()) => {
                output::say(&format!(
                    "Wrote {file}. Next:\n  photofinish plan {file}\n  photofinish run {file}"
                ))?;
                Ok(Exit::Done)
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                Err(Failure::usage(format!("{file} already exists"))
                    .hint("nothing was written; choose another name"))
            }
            Err(error) => {
                let hint = match (error.kind(), self.file.parent()) {
                    (ErrorKind::NotFound, Some(parent)) => {
                        format!("create its directory first: mkdir -p {}", parent.display())
                    }
                    _ => "choose a writable directory".to_owned(),
                };
                let failure = Failure::could_not_run(format!("cannot write {file}"));
                Err(failure.caused_by(error).hint(hint))
            }
        }
    }
}
