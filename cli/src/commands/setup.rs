//! `photofinish setup`: installs what lanes need beyond a bare interpreter. The only command that downloads anything.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::exit::{Exit, Failure};
use crate::lanes::python::{Installation, Installer};
use crate::output;

/// Install the packages of the lanes in other languages
///
/// The only command that downloads anything by itself. It makes an environment of its own in ~/.local/share/photofinish
/// (XDG_DATA_HOME, or PHOTOFINISH_DATA), from pinned packages whose hashes are part of this program, and changes nothing else.
/// A second time it does nothing.
#[derive(Args)]
#[command(after_help = "\
Examples:
  photofinish setup python
  photofinish setup python --with uv
  photofinish run db-select --runtimes tokio,python")]
pub struct Setup {
    #[command(subcommand)]
    stack: Stack,
}

#[derive(Subcommand)]
enum Stack {
    /// Install aiohttp, aiofiles, asyncpg, psycopg, uvloop and websockets
    Python(Python),
}

#[derive(Args)]
struct Python {
    /// Interpreter to build on [default: PHOTOFINISH_PYTHON, that of the active virtual environment, or python3]
    #[arg(long, value_name = "PATH")]
    python: Option<PathBuf>,

    /// Program that installs the packages
    #[arg(long, value_enum, default_value = "pip", value_name = "PROGRAM")]
    with: Installer,
}

impl Setup {
    pub fn execute(self) -> Result<Exit, Failure> {
        let Stack::Python(Python { python, with }) = self.stack;
        let installation = Installation::new(python, with)?;
        let directory = installation.directory.display().to_string();
        if installation.is_made() {
            output::say(&format!("{directory} is up to date"))?;
            return Ok(Exit::Done);
        }
        let packages = Installation::packages();
        output::inform(&format!(
            "downloading {packages} packages from a package index into {directory}"
        ));
        installation.make()?;
        output::say(&format!(
            "{directory} is ready: `photofinish lanes` lists the lanes that use it"
        ))?;
        Ok(Exit::Done)
    }
}
