//! Scenarios: workloads written once for every runtime, their protocol clients, and the catalogue.
//!
//! [`registry`] lists the workloads, [`worker`] runs one round of one of them. Workloads use the sans-IO clients in
//! [`protocol`], which know no socket. Only [`worker`] selects a runtime, by name; processes, files and the terminal are
//! left to the CLI. A [`scenario`] is read from TOML, the user's or one of the [`catalogue`], and [`plan`] turns scenarios
//! into the plan of a run.

pub mod catalogue;
pub mod data;
pub mod diagnostic;
pub mod import;
pub mod plan;
pub mod protocol;
mod quantity;
pub mod registry;
pub mod scenario;
pub mod secret_names;
pub mod suite;
pub mod worker;
pub mod workloads;
