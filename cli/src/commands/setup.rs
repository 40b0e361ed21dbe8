//! `photofinish setup`: makes what lanes need beyond a bare interpreter. The only command that downloads anything.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::exit::{Exit, Failure};
use crate::lanes::go::Build;
use crate::lanes::managed::Installation;
use crate::lanes::node::Packages;
use crate::lanes::python::{Environment, Installer};
use crate::output;

/// Install the packages of the lanes in other languages
///
/// The only command that downloads anything by itself. It makes a directory of its own for each language in
/// ~/.local/share/photofinish (XDG_DATA_HOME, or PHOTOFINISH_DATA), from pinned packages whose hashes are part of this program,
/// and changes nothing else. A second time it does nothing.
#[derive(Args)]
#[command(after_help = "\
Examples:
  photofinish setup python
  photofinish setup python --with uv
  photofinish setup node
  photofinish setup go
  photofinish run db-select --runtimes tokio,python,node")]
pub struct Setup {
    #[command(subcommand)]
    stack: Stack,
}

#[derive(Subcommand)]
enum Stack {
    /// Install aiohttp, aiofiles, asyncpg, psycopg, uvloop and websockets
    Python(Python),
    /// Install pg and ws
    Node(Node),
    /// Build the lane, from the standard library alone and without a network
    Go(Go),
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

#[derive(Args)]
struct Node {
    /// Interpreter that runs the packages; the npm beside it installs them [default: PHOTOFINISH_NODE, or node]
    #[arg(long, value_name = "PATH")]
    node: Option<PathBuf>,
}

#[derive(Args)]
struct Go {
    /// Command of Go that builds the lane [default: PHOTOFINISH_GO, or go]
    #[arg(long, value_name = "PATH")]
    go: Option<PathBuf>,
}

impl Stack {
    fn installation(self) -> Result<Box<dyn Installation>, Failure> {
        Ok(match self {
            Self::Python(Python { python, with }) => Box::new(Environment::new(python, with)?),
            Self::Node(Node { node }) => Box::new(Packages::new(node)?),
            Self::Go(Go { go }) => Box::new(Build::new(go)?),
        })
    }
}

impl Setup {
    pub fn execute(self) -> Result<Exit, Failure> {
        let installation = self.stack.installation()?;
        let directory = installation.directory().display().to_string();
        if installation.is_made() {
            output::say(&format!("{directory} is up to date"))?;
            return Ok(Exit::Done);
        }
        output::inform(&format!("{} into {directory}", installation.announcement()));
        installation.make()?;
        output::say(&format!(
            "{directory} is ready: `photofinish lanes` lists the lanes that use it"
        ))?;
        Ok(Exit::Done)
    }
}
