//! The mock `postgres` as its clients meet it: over real sockets, by drivers that know nothing of this project.
//!
//! `tokio-postgres` is the oracle for types, statements, transactions, errors and passwords; `wire.rs` speaks bytes
//! where a driver would hide them; `programs.rs` runs psql, pgbench and drivers of other languages where they are
//! installed. Statements of one kind are small tables, checked line by line.

mod connect;
#[path = "../mocks/driver.rs"]
#[allow(
    dead_code,
    reason = "shared with the tests of the other servers, each of which uses a part"
)]
mod driver;

mod authentication;
mod counts;
mod errors;
mod programs;
mod statements;
mod transactions;
mod types;
mod wire;
