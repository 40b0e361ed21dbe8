//! Scenarios: files that say what to run, and the plan of a run.
//!
//! A [`scenario`] is read from TOML, the user's or one of the [`catalogue`]; [`import`] turns other tools' files into one,
//! and [`suite`] lists several. [`plan`] turns scenarios into the plan of a run. The workloads they name are in
//! `photofinish-workloads`; nothing here runs one.

pub mod catalogue;
pub mod diagnostic;
pub mod import;
pub mod plan;
pub mod scenario;
pub mod suite;
