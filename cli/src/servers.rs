//! The meeting point with the embedded servers: names for lists, a check of behaviours, and a server's own process.
//!
//! The only module that knows the `servers` crate. Everybody else meets a server as a process with a ready line
//! (`process::server`).

use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;

use photofinish_scenarios::scenario::ServerProblem;
use photofinish_servers::{SERVERS, ServeError, ServeOptions, find, serve};
use serde_json::Value;

use crate::exit::Failure;

/// A server, for lists.
pub struct Listed {
    /// Its name.
    pub name: &'static str,
    /// One line for people.
    pub summary: &'static str,
    /// The JSON Schema of its behaviour.
    pub behaviour_schema: Value,
}

/// Every server, in the order of lists.
pub fn listed() -> impl Iterator<Item = Listed> {
    SERVERS.iter().map(|kind| Listed {
        name: kind.name,
        summary: kind.summary,
        behaviour_schema: (kind.behaviour_schema)().to_value(),
    })
}

/// The names of all servers.
pub fn names() -> Vec<&'static str> {
    listed().map(|server| server.name).collect()
}

/// Says whether the server `name` could serve `behaviour`, for the check of scenario files.
pub fn check(name: &str, behaviour: &Value) -> Result<(), ServerProblem> {
    let kind = find(name).ok_or_else(|| ServerProblem {
        path: vec!["kind".to_owned()],
        message: format!("there is no server `{name}`"),
        expected: names().into_iter().map(str::to_owned).collect(),
    })?;
    (kind.check_behaviour)(behaviour).map_err(|error| ServerProblem {
        path: error.path,
        message: error.message,
        expected: error.expected,
    })
}

/// How a server is to be run.
pub struct Options {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Its script; null asks for every default.
    pub behaviour: Value,
    /// Threads that serve; by default one per CPU given, as far as the server can use them.
    pub threads: Option<NonZeroUsize>,
    /// The CPUs it may use; `None` leaves that as it is.
    pub cpus: Option<Vec<usize>>,
    /// Whether stdin is a control channel and its end the server's.
    pub with_parent: bool,
}

/// Runs the server `name` in this process until it is told to stop.
pub fn run(name: &str, options: Options) -> Result<(), Failure> {
    let threads = options
        .threads
        .unwrap_or_else(|| sensible_threads(name, options.cpus.as_deref()));
    let options = ServeOptions {
        listen: options.listen,
        behaviour: options.behaviour,
        threads,
        cpus: options.cpus,
        with_parent: options.with_parent,
    };
    serve(name, options, io::stdin(), io::stdout()).map_err(failure)
}

fn sensible_threads(name: &str, cpus: Option<&[usize]>) -> NonZeroUsize {
    let wished = cpus
        .and_then(|cpus| NonZeroUsize::new(cpus.len()))
        .unwrap_or(NonZeroUsize::MIN);
    let most = find(name)
        .and_then(|kind| kind.most_threads)
        .unwrap_or(NonZeroUsize::MAX);
    wished.min(most)
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
