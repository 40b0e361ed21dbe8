//! The scenarios: workloads written once for every runtime, the protocol clients they use, and the catalogue.
//!
//! [`registry`] lists the workloads, [`worker`] runs one round of one of them. Workloads speak through the sans-IO clients
//! in [`protocol`], which know no socket. Runtimes are met in one place only ([`worker`], by name); processes, files and
//! the terminal are the business of the CLI. A [`scenario`] is read from TOML, the user's own or one of the [`catalogue`], and
//! [`plan`] makes of scenarios what a run does.

pub mod catalogue;
pub mod diagnostic;
pub mod plan;
pub mod protocol;
pub mod registry;
pub mod scenario;
pub mod suite;
pub mod worker;
pub mod workloads;
