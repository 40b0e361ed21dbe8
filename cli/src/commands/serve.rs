//! `photofinish serve`: an embedded server on its own, in this process.
//!
//! For people, to point other tools at; and for the orchestrator, which starts it with `--with-parent`. What a server
//! does is told in the `servers` crate.

use std::fs;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::Value;

use crate::exit::{Exit, Failure};
use crate::request::placement::CpuList;
use crate::servers;

/// Runs an embedded server on its own
///
/// Prints one line of JSON once it listens, with its address, and runs until Ctrl-C. Each server understands a
/// behaviour of its own: the [server.NAME] table of a scenario file, as JSON.
#[derive(Args)]
#[command(after_help = "\
Examples:
  photofinish serve http --listen 127.0.0.1:8080
  photofinish serve postgres --listen 127.0.0.1:5433
  photofinish serve http --behaviour '{\"delay\": \"5ms\"}'")]
pub struct Serve {
    /// Which server, as in `photofinish list`
    server: String,

    /// Where to listen; port 0 takes any free port
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:0")]
    listen: SocketAddr,

    /// How it behaves, as JSON
    #[arg(long, value_name = "JSON", conflicts_with = "behaviour_file")]
    behaviour: Option<String>,

    /// How it behaves, as a file of JSON
    #[arg(long, value_name = "FILE")]
    behaviour_file: Option<PathBuf>,

    /// Threads that serve [default: one per CPU in --cpus, else 1]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,

    /// CPUs it may use, such as 0,2-3
    #[arg(long, value_name = "LIST")]
    cpus: Option<CpuList>,

    /// Takes commands on stdin, and ends with it
    #[arg(long, hide = true)]
    with_parent: bool,
}

impl Serve {
    /// Serves until told to stop.
    pub fn execute(self) -> Result<Exit, Failure> {
        let options = servers::Options {
            listen: self.listen,
            behaviour: behaviour(self.behaviour.as_deref(), self.behaviour_file.as_deref())?,
            threads: self.threads,
            cpus: self.cpus.map(|cpus| cpus.0),
            with_parent: self.with_parent,
        };
        servers::run(&self.server, options)?;
        Ok(Exit::Done)
    }
}

fn behaviour(text: Option<&str>, file: Option<&Path>) -> Result<Value, Failure> {
    let (text, from) = match (text, file) {
        (None, None) => return Ok(Value::Null),
        (Some(text), _) => (text.to_owned(), "--behaviour".to_owned()),
        (None, Some(file)) => (read(file)?, file.display().to_string()),
    };
    serde_json::from_str(&text)
        .map_err(|error| Failure::usage(format!("{from} is not JSON")).caused_by(error))
}

fn read(file: &Path) -> Result<String, Failure> {
    fs::read_to_string(file)
        .map_err(|error| Failure::usage(format!("cannot read {}", file.display())).caused_by(error))
}
