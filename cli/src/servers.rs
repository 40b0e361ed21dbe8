//! The embedded servers: their names, the validation of behaviours, and running one in this process.
//!
//! The only module that uses the `servers` crate. For all others a server is a process with a ready line
//! (`process::server`).

use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;

use photofinish_scenarios::scenario::ServerProblem;
use photofinish_servers::{SERVERS, ServeError, ServeOptions, find, serve};
use serde_json::Value;

use crate::exit::Failure;

pub struct ServerKind {
    pub name: &'static str,
    pub summary: &'static str,
    /// The JSON Schema of its behaviour.
    pub behaviour_schema: Value,
}

/// All servers, in display order.
pub fn kinds() -> impl Iterator<Item = ServerKind> {
    SERVERS.iter().map(|kind| ServerKind {
        name: kind.name,
        summary: kind.summary,
        behaviour_schema: (kind.behaviour_schema)().to_value(),
    })
}

/// Checks the behaviour of server `name` in a scenario file.
pub fn check(name: &str, behaviour: &Value) -> Result<(), ServerProblem> {
    let kind = find(name).ok_or_else(|| ServerProblem {
        path: vec!["kind".to_owned()],
        message: format!("there is no server `{name}`"),
        expected: SERVERS.iter().map(|kind| kind.name.to_owned()).collect(),
    })?;
    (kind.check_behaviour)(behaviour).map_err(|error| ServerProblem {
        path: error.path,
        message: error.message,
        expected: error.expected,
    })
}

pub struct Options {
    pub listen: SocketAddr,
    /// Null for the default behaviour.
    pub behaviour: Value,
    /// By default one per CPU in `cpus`, up to the server's maximum.
    pub threads: Option<NonZeroUsize>,
    /// The CPUs to pin it to, if any.
    pub cpus: Option<Vec<usize>>,
    /// True if stdin is a control channel; the server then exits when stdin closes.
    pub with_parent: bool,
}

/// Runs the server `name` in this process until it is stopped.
pub fn run(name: &str, options: Options) -> Result<(), Failure> {
    let threads = options
        .threads
        .unwrap_or_else(|| default_threads(name, options.cpus.as_deref()));
    let options = ServeOptions {
        listen: options.listen,
        behaviour: options.behaviour,
        threads,
        cpus: options.cpus,
        with_parent: options.with_parent,
    };
    serve(name, options, io::stdin(), io::stdout()).map_err(failure)
}

fn default_threads(name: &str, cpus: Option<&[usize]>) -> NonZeroUsize {
    let cpus = cpus.and_then(|cpus| NonZeroUsize::new(cpus.len()));
    let threads = cpus.unwrap_or(NonZeroUsize::MIN);
    let max = find(name).and_then(|kind| kind.most_threads);
    max.map_or(threads, |max| threads.min(max))
}

fn failure(error: ServeError) -> Failure {
    let hint = error.hint();
    let message = error.to_string();
    let failure = match error {
        ServeError::UnknownServer { .. }
        | ServeError::Behaviour(_)
        | ServeError::TooManyThreads { .. } => {
            return Failure::usage(message).maybe_hint(hint);
        }
        _ => Failure::could_not_run(message),
    };
    match std::error::Error::source(&error).map(ToString::to_string) {
        Some(cause) => failure.caused_by(cause).maybe_hint(hint),
        None => failure.maybe_hint(hint),
    }
}
