//! The mock servers as their clients see them: over real sockets, and through the lines on stdin and stdout.
//!
//! One file per server, one for the lifecycle that all share; `driver.rs` starts servers, `client.rs` is a small
//! HTTP client that counts every byte. Signals and the death of a parent need a process and are tested with the CLI.

mod client;
mod client_load;
mod driver;

mod http;
mod lifecycle;
mod site;
mod tls;
mod wiremock;
mod ws;
