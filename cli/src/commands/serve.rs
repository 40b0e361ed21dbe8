//! `photofinish serve`: an embedded server on its own, in this process.
//!
//! Used by other tools that need a server to load, and by the orchestrator, which starts it with `--with-parent`. The
//! servers are in the `servers` crate.

use std::fs;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::Value;

use crate::exit::{Exit, Failure, OrFail};
use crate::process::server::STDIN;
use crate::request::parse_positive;
use crate::request::placement::CpuList;
use crate::servers;

/// Run an embedded server on its own
///
/// The server prints one line of JSON with its address once it listens, and runs until Ctrl-C. Its behaviour is the
/// [server.NAME] table of a scenario file, as JSON.
#[derive(Args)]
#[command(after_help = "\
Examples:
  photofinish serve http --listen 127.0.0.1:8080
  photofinish serve postgres --listen 127.0.0.1:5433
  photofinish serve http --behaviour '{\"delay\": \"5ms\"}'")]
pub struct Serve {
    /// The server; `photofinish list` shows them
    server: String,

    /// Address to listen on; port 0 takes any free port
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:0", value_parser = parse_address)]
    listen: SocketAddr,

    /// Allow --listen on addresses that other machines can reach
    #[arg(long)]
    allow_remote: bool,

    /// Behaviour, as JSON; - reads it from the first line of stdin
    #[arg(long, value_name = "JSON", conflicts_with = "behaviour_file")]
    behaviour: Option<String>,

    /// File with the behaviour, as JSON
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    behaviour_file: Option<PathBuf>,

    /// Number of threads [default: one per CPU in --cpus, else 1]
    #[arg(
        long,
        value_name = "N",
        value_parser = parse_positive::<NonZeroUsize>,
        allow_hyphen_values = true
    )]
    threads: Option<NonZeroUsize>,

    /// Speak TLS, with a certificate generated at startup and printed in the ready line
    #[arg(long)]
    tls: bool,

    /// CPUs to use, such as 0,2-3
    #[arg(long, value_name = "LIST", hide_short_help = true)]
    cpus: Option<CpuList>,

    /// Takes commands on stdin, and ends with it
    #[arg(long, hide = true)]
    with_parent: bool,
}

impl Serve {
    pub fn execute(self) -> Result<Exit, Failure> {
        let cpus = self.cpus.map(|cpus| cpus.0);
        let default_threads = || servers::default_threads(&self.server, cpus.as_deref());
        let options = servers::ServeOptions {
            listen: require_allowed(self.listen, self.allow_remote)?,
            behaviour: behaviour(self.behaviour.as_deref(), self.behaviour_file.as_deref())?,
            threads: self.threads.unwrap_or_else(default_threads),
            tls: self.tls,
            cpus,
            with_parent: self.with_parent,
        };
        servers::run(&self.server, options)?;
        Ok(Exit::Done)
    }
}

pub(super) fn parse_address(text: &str) -> Result<SocketAddr, String> {
    let mut addresses = text.to_socket_addrs().into_iter().flatten();
    addresses
        .next()
        .ok_or_else(|| "expected an address and a port, such as 127.0.0.1:8080".to_owned())
}

/// Addresses that other machines can reach need permission: the servers require no password unless their behaviour
/// says so.
fn require_allowed(address: SocketAddr, allow_remote: bool) -> Result<SocketAddr, Failure> {
    if allow_remote || address.ip().is_loopback() {
        return Ok(address);
    }
    Err(Failure::usage(format!("other machines can reach {}", address.ip())).hint(
        "listen on 127.0.0.1, or add --allow-remote to let them: a mock server serves anyone who connects",
    ))
}

fn behaviour(text: Option<&str>, file: Option<&Path>) -> Result<Value, Failure> {
    let (text, source) = match (text, file) {
        (None, None) => return Ok(Value::Null),
        (Some(STDIN), _) => (read_line()?, "the first line of stdin".to_owned()),
        (Some(text), _) => (text.to_owned(), "--behaviour".to_owned()),
        (None, Some(file)) => (read(file)?, file.display().to_string()),
    };
    let hint = "such as --behaviour '{\"delay\": \"5ms\"}'";
    let behaviour: Value = serde_json::from_str(&text).map_err(|error| {
        Failure::usage(format!("{source} is not JSON"))
            .caused_by(error)
            .hint(hint)
    })?;
    if !behaviour.is_object() {
        return Err(Failure::usage(format!("{source} is not a JSON object")).hint(hint));
    }
    Ok(behaviour)
}

fn read_line() -> Result<String, Failure> {
    let mut line = String::new();
    let read = io::stdin().read_line(&mut line);
    read.or_fail("cannot read the behaviour from stdin")?;
    Ok(line)
}

fn read(file: &Path) -> Result<String, Failure> {
    fs::read_to_string(file)
        .map_err(|error| Failure::usage(format!("cannot read {}", file.display())).caused_by(error))
}
