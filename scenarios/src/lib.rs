//! The scenarios: workloads written once for every runtime, the protocol clients they use, and the catalogue.
//!
//! [`registry`] lists the workloads, [`worker`] runs one round of one of them. Workloads speak through the sans-IO clients
//! in [`protocol`], which know no socket. Runtimes are met in one place only ([`worker`], by name); processes, files and
//! the terminal are the business of the CLI.

pub mod protocol;
pub mod registry;
pub mod worker;
pub mod workloads;
