//! The mock servers. The rest of the project starts each as a process that prints a ready line.
//!
//! This crate has the list of servers ([`SERVERS`]), their common lifecycle ([`serve`]: bind, pin, announce, count,
//! stop) and the servers themselves, one file each. Nothing is measured here: a server counts what it served. Only
//! `client`, which loads a worker that serves, measures times.
//!
//! A server is added by one file with a `static KIND: ServerKind` and one line in [`SERVERS`]. Read `kind.rs` next for
//! the interface of a server, `serve.rs` for the life of its process, then `http.rs`.

mod kind;
mod serve;

mod behaviour;
mod connections;
mod counts;
mod error;
mod faults;
mod os;
mod timers;
mod tls;

mod client;
mod http;
mod postgres;
mod site;
mod wiremock;
mod ws;

pub use behaviour::{BehaviourError, Duration, read_behaviour};
pub use connections::{CountedStream, serve_connections};
pub use counts::{Count, Counts, CountsSnapshot, InFlight};
pub use error::ServeError;
pub use faults::Fault;
pub use kind::{Running, ServerKind, Startup, Stop, find};
pub use serve::{PROTOCOL, Ready, ServeOptions, serve};
pub use timers::sleep;

/// Every server, in display order.
pub static SERVERS: &[&ServerKind] = &[
    &http::KIND,
    &wiremock::KIND,
    &site::KIND,
    &ws::KIND,
    &postgres::KIND,
    &client::KIND,
];
