//! The server `http`: fast small responses, and delays, statuses and faults drawn from a seed.
//!
//! hyper does the framing of HTTP/1.1 and HTTP/2 (`http/http2.rs`). This file ties the parts together: the behaviour (`http/behaviour.rs`), requests
//! (`http/routes.rs`), answers (`http/answers.rs`, `http/payload.rs`, `http/api.rs`) and the ways in which a fault ends a connection
//! (`http/misbehave.rs`). `connections.rs`, shared by all servers, accepts connections and counts bytes.

mod answers;
mod api;
mod behaviour;
mod delay;
mod draws;
mod http2;
mod misbehave;
mod payload;
mod routes;

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt;

use crate::{
    BehaviourError, Count, CountedStream, Running, ServeError, ServerKind, Startup,
    serve_connections,
};
use answers::{HttpService, Shared};
use behaviour::{HttpBehaviour, Script};

/// The entry in the list of servers.
pub(crate) static KIND: ServerKind = ServerKind {
    name: "http",
    summary: "HTTP/1.1 and HTTP/2 for throughput: bodies of any size, echo, and seeded delays, statuses and faults",
    counted: &[
        Count::Requests,
        Count::BytesIn,
        Count::BytesOut,
        Count::Connections,
        Count::OpenConnections,
        Count::PeakInFlight,
        Count::Faults,
        Count::Abandoned,
    ],
    most_threads: None,
    alpn: Some(&["h2", "http/1.1"]),
    check_behaviour,
    behaviour_schema: || schemars::schema_for!(HttpBehaviour),
    start,
};

fn check_behaviour(behaviour: &serde_json::Value) -> Result<(), BehaviourError> {
    Script::read(behaviour).map(drop)
}

fn start(startup: Startup) -> Result<Running, ServeError> {
    let script = Script::read(&startup.behaviour)?;
    // Without `pipeline_flush`, which withholds a response while a partial request follows, and drops the 400 for a
    // malformed one.
    let protocol = http1::Builder::new();
    let shared = Arc::new(Shared {
        counts: startup.counts.clone(),
        script,
        orders: AtomicU64::new(0),
    });
    serve_connections(KIND.name, startup, move |stream| {
        serve_connection(protocol.clone(), HttpService(shared.clone()), stream)
    })
}

async fn serve_connection(protocol: http1::Builder, answers: HttpService, stream: CountedStream) {
    let mut connection = protocol.serve_connection(TokioIo::new(stream), answers.clone());
    let ended = poll_fn(|cx| connection.poll_without_shutdown(cx)).await;
    let parts = connection.into_parts();
    let mut stream = parts.io.into_inner();
    match ended {
        Ok(()) => {
            // Fails if the client is already gone.
            let _ = stream.shutdown().await;
        }
        Err(error) if error.is_parse_version_h2() => {
            http2::serve(answers, stream, parts.read_buf).await;
        }
        // An injected fault, or the client: a reset, or a malformed request that hyper answered with 400.
        Err(error) => {
            if let Some(fault) = misbehave::fault_in(&error) {
                misbehave::close_with(fault, stream).await;
            }
        }
    }
}
