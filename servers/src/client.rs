//! The server `client`: loads another server, whose address it is given, so that a worker can be the server under test.
//!
//! Its behaviour lists the requests and the expected answers; it is the same for every runtime under load. A worker
//! connects and sends lines of JSON: `{"load": {"address": …, "connections": N}}` opens N keep-alive connections, each
//! with one request in flight at any time; `"measure"` clears the observations so far; `"end"` has every connection
//! close after the answer it is waiting for; `"report"` is answered when all have closed. `client/load.rs` handles
//! those connections, `client/answer.rs` reads an answer.
//!
//! All of it runs on the thread that accepted the worker's connection. Unlike the other servers it measures times: only
//! the client can see how long an answer took. Its counts include the connection to the worker.

mod answer;
mod load;

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

use crate::{
    BehaviourError, Count, CountedStream, Counts, Running, ServeError, ServerKind, Startup,
    read_behaviour, serve_connections,
};
use load::Load;

/// The entry in the list of servers.
pub(crate) static KIND: ServerKind = ServerKind {
    name: "client",
    summary: "the client for serve-*: loads a server over keep-alive connections and checks every response",
    counted: &[
        Count::Requests,
        Count::BytesIn,
        Count::BytesOut,
        Count::Connections,
        Count::OpenConnections,
    ],
    most_threads: None,
    alpn: None,
    check_behaviour,
    behaviour_schema: || schemars::schema_for!(ClientBehaviour),
    start,
};

/// The behaviour of the server `client`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct ClientBehaviour {
    /// Requests to send in turn, repeatedly; each connection starts at a different one.
    requests: Vec<Expectation>,
}

/// One request, and what must be answered.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct Expectation {
    /// The path, with its query.
    path: String,
    /// The expected status.
    #[serde(default = "ok")]
    status: u16,
    /// The expected body; any if omitted.
    #[serde(default)]
    body: Option<String>,
}

fn ok() -> u16 {
    200
}

impl Default for ClientBehaviour {
    fn default() -> Self {
        let root = Expectation {
            path: "/".to_owned(),
            status: ok(),
            body: None,
        };
        ClientBehaviour {
            requests: vec![root],
        }
    }
}

fn read(behaviour: &serde_json::Value) -> Result<ClientBehaviour, BehaviourError> {
    let behaviour: ClientBehaviour = read_behaviour(behaviour)?;
    if behaviour.requests.is_empty() {
        return Err(BehaviourError::at(["requests"], "there is nothing to ask"));
    }
    for (place, request) in behaviour.requests.iter().enumerate() {
        let path = &request.path;
        if !path.starts_with('/') || !path.bytes().all(|byte| byte.is_ascii_graphic()) {
            let message = format!(
                "`{path}` is not a valid path: it must start with `/` and contain no spaces"
            );
            return Err(BehaviourError::at(
                ["requests", &place.to_string(), "path"],
                message,
            ));
        }
    }
    Ok(behaviour)
}

fn check_behaviour(behaviour: &serde_json::Value) -> Result<(), BehaviourError> {
    read(behaviour).map(drop)
}

fn start(startup: Startup) -> Result<Running, ServeError> {
    let expectations: Arc<[_]> = read(&startup.behaviour)?.requests.into();
    let counts = startup.counts.clone();
    serve_connections(KIND.name, startup, move |stream| {
        serve_worker(expectations.clone(), counts.clone(), stream)
    })
}

/// A command of a worker.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Command {
    /// Starts the load.
    Load {
        address: SocketAddr,
        connections: NonZeroU32,
    },
    /// Clears the observations so far.
    Measure,
    /// Ends the load: no more requests are sent.
    End,
    /// Requests the report, sent once all connections are closed.
    Report,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Reply {
    /// All connections are open.
    Loading(NonZeroU32),
    Report(load::Report),
    Error(String),
}

/// The load's connections end with the worker's own: dropping a load closes them.
async fn serve_worker(
    expectations: Arc<[Expectation]>,
    counts: Arc<Counts>,
    stream: CountedStream,
) {
    let mut stream = BufReader::new(stream);
    let mut load = None;
    let mut line = String::new();
    // A worker whose connection broke has nothing more to say either.
    while matches!(stream.read_line(&mut line).await, Ok(1..)) {
        let reply = obey(&line, &mut load, &expectations, &counts).await;
        line.clear();
        let Some(reply) = reply else { continue };
        let mut text = serde_json::to_vec(&reply).expect("a reply is plain data");
        text.push(b'\n');
        if stream.write_all(&text).await.is_err() {
            return;
        }
    }
}

async fn obey(
    line: &str,
    load: &mut Option<Load>,
    expectations: &Arc<[Expectation]>,
    counts: &Arc<Counts>,
) -> Option<Reply> {
    let command = match serde_json::from_str(line) {
        Ok(command) => command,
        Err(error) => return Some(Reply::Error(format!("not a command: {error}"))),
    };
    if let Command::Load {
        address,
        connections,
    } = command
    {
        let opened = Load::open(address, connections, expectations, counts).await;
        return Some(match opened {
            Ok(opened) => {
                *load = Some(opened);
                Reply::Loading(connections)
            }
            Err(error) => Reply::Error(format!("{address} cannot be loaded: {error}")),
        });
    }
    let Some(load) = load else {
        return Some(Reply::Error("nothing is loaded yet".to_owned()));
    };
    match command {
        Command::Load { .. } => unreachable!("answered above"),
        Command::Measure => load.measure(),
        Command::End => load.end(),
        Command::Report => return Some(Reply::Report(load.report().await)),
    }
    None
}
