//! Workloads: written once for every runtime, with the protocol clients they speak through.
//!
//! [`registry`] lists the workloads, [`worker`] runs one round of one of them. Workloads use the sans-IO clients in
//! [`protocol`], which know no socket. Only [`worker`] selects a runtime, by name; processes and the terminal are left to
//! the CLI, and scenario files to `photofinish-scenarios`.

pub mod data;
pub mod names;
pub mod protocol;
pub mod quantity;
pub mod registry;
pub mod secret_names;
pub mod worker;
pub mod workloads;
