//! `photofinish init`: writes a commented scenario to start from, and the schema that its first line names for editors.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;
use photofinish_scenarios::catalogue::TEMPLATE;
use photofinish_scenarios::scenario;
use serde_json::Value;

use crate::exit::{Exit, Failure};
use crate::output;
use crate::store::files::write_file;
use crate::store::next_steps::quoted;

/// The name of the schema, as in the first line of the template.
const SCHEMA: &str = "photofinish-scenario.schema.json";

/// Write a commented scenario file to start from
///
/// Its first line names the JSON Schema, which is written next to it, so that editors with a TOML language server (taplo,
/// Even Better TOML, tombi) complete and check the file.
#[derive(Args)]
pub struct Init {
    /// The new file; its name ends in .toml
    #[arg(value_name = "FILE.toml")]
    file: PathBuf,
}

impl Init {
    /// Writes the schema next to the scenario, in place of an older one. Returns a note if that is not possible: the scenario
    /// is complete without it.
    fn write_schema(&self) -> Option<String> {
        let path = self.file.with_file_name(SCHEMA);
        let schema = scenario::schema().to_value();
        let title = |schema: &Value| schema["title"].as_str().map(str::to_owned);
        let older = fs::read_to_string(&path).ok();
        let is_ours = |text: String| {
            let older: Option<Value> = serde_json::from_str(&text).ok();
            older.is_some_and(|older| title(&older) == title(&schema))
        };
        if path.symlink_metadata().is_ok() && !older.is_some_and(is_ours) {
            let path = path.display();
            return Some(format!(
                "{path} is not a schema of this program, and stays as it is"
            ));
        }
        let text = serde_json::to_string_pretty(&schema).ok()? + "\n";
        let failure = write_file(&path, text.as_bytes()).err()?;
        Some(format!(
            "cannot write {}, so editors do not check the file: {failure}",
            path.display()
        ))
    }

    pub fn execute(self) -> Result<Exit, Failure> {
        let file = self.file.display();
        check_name(&self.file)?;
        let written = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&self.file)
            .and_then(|mut opened| opened.write_all(TEMPLATE.as_bytes()));
        match written {
            Ok(()) => {
                if let Some(note) = self.write_schema() {
                    output::advise(&note);
                }
                let argument = quoted(&self.file.to_string_lossy());
                output::say(&format!(
                    "Wrote {file}. Next:\n  photofinish plan {argument}\n  photofinish run {argument}"
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
                        let parent = quoted(&parent.to_string_lossy());
                        format!("create its directory first: mkdir -p {parent}")
                    }
                    _ => "choose a writable directory".to_owned(),
                };
                let failure = Failure::could_not_run(format!("cannot write {file}"));
                Err(failure.caused_by(error).hint(hint))
            }
        }
    }
}

/// Refuses a name that `run` would not take for that of a scenario file.
pub fn check_name(file: &Path) -> Result<(), Failure> {
    if file.extension().is_some_and(|ending| ending == "toml") {
        return Ok(());
    }
    let name = file.display();
    let message = if file.file_name().is_some_and(|name| name == ".toml") {
        format!("expected a name before `.toml`, got {name}")
    } else {
        format!("{name} does not end in .toml")
    };
    Err(Failure::usage(message).hint("`run` recognises scenario files by this extension"))
}
