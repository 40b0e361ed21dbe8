//! The protocol clients, the reading and planning of scenarios, and workloads on servers, disks and runtimes that misbehave.
//!
//! Everything goes through the public interface. Tests that need PostgreSQL print `SKIPPED` without it and fail in CI.

mod broken_promises;
mod careless_sites;
mod data;
mod http2;
mod lying_disk;
mod lying_server;
mod own_requests;
mod protocol_http_framing;
mod protocol_http_oracle;
mod protocol_http_requests;
mod protocol_http_splits;
mod protocol_postgres_cycles;
mod protocol_postgres_login;
mod protocol_postgres_pipelines;
mod protocol_postgres_server;
mod protocol_tls;
mod protocol_websocket_splits;
mod real_servers;
mod scenario_files;
mod scenario_plan;
mod sqlite;
mod support;
mod tls_servers;
