//! The embedded servers: their names, the validation of behaviours, and running one in this process.
//!
//! The only module that uses the `servers` crate. For all others a server is a process with a ready line
//! (`process::server`).

use std::io;
use std::num::NonZeroUsize;

use photofinish_scenarios::scenario::ServerProblem;
use photofinish_servers::{BehaviourError, ServeError, find, serve};
use photofinish_workloads::names::did_you_mean;
use serde_json::Value;

use crate::exit::Failure;

pub use photofinish_servers::{SERVERS, ServeOptions};

/// Checks the behaviour of server `name` in a scenario file.
pub fn check(name: &str, behaviour: &Value) -> Result<(), ServerProblem> {
    let kind = find(name).ok_or_else(|| ServerProblem {
        path: vec!["kind".to_owned()],
        message: format!("unknown server `{name}`"),
        expected: SERVERS.iter().map(|kind| kind.name.to_owned()).collect(),
    })?;
    (kind.check_behaviour)(behaviour).map_err(|error| ServerProblem {
        path: error.path,
        message: error.message,
        expected: error.expected,
    })
}

/// Runs the server `name` in this process until it is stopped.
pub fn run(name: &str, options: ServeOptions) -> Result<(), Failure> {
    serve(name, options, io::stdin(), io::stdout()).map_err(failure)
}

/// One thread per CPU that the server `name` is pinned to, up to its maximum.
pub fn default_threads(name: &str, cpus: Option<&[usize]>) -> NonZeroUsize {
    let cpus = cpus.and_then(|cpus| NonZeroUsize::new(cpus.len()));
    let threads = cpus.unwrap_or(NonZeroUsize::MIN);
    let max = find(name).and_then(|kind| kind.most_threads);
    max.map_or(threads, |max| threads.min(max))
}

/// True if the server `name` can speak TLS.
pub fn speaks_tls(name: &str) -> bool {
    find(name).is_some_and(|kind| kind.alpn.is_some())
}

fn key_hint(wrong: &BehaviourError) -> Option<String> {
    let expected = wrong.expected.iter().map(String::as_str);
    let meant = did_you_mean(wrong.path.last()?, expected)?;
    Some(format!("did you mean `{meant}`?"))
}

/// The keys to choose from.
fn keys_hint(wrong: &BehaviourError) -> Option<String> {
    let keys = wrong.expected.join(", ");
    (!keys.is_empty()).then(|| format!("expected one of {keys}"))
}

fn failure(error: ServeError) -> Failure {
    let hint = match &error {
        ServeError::Behaviour(wrong) => key_hint(wrong).or_else(|| keys_hint(wrong)),
        error => error.hint(),
    };
    let message = error.to_string();
    let failure = match error {
        ServeError::UnknownServer { .. }
        | ServeError::Behaviour(_)
        | ServeError::TooManyThreads { .. }
        | ServeError::NoTls { .. } => {
            return Failure::usage(message).maybe_hint(hint);
        }
        _ => Failure::could_not_run(message),
    };
    let failure = failure.maybe_hint(hint);
    match std::error::Error::source(&error) {
        Some(cause) => failure.caused_by(cause.to_string()),
        None => failure,
    }
}
