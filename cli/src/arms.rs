//! The arms of a gate: their sources, revisions and servers, and the terms that apply to them.
//!
//! In the plan an arm is a [`Variant`](photofinish_record::Variant) of each cell, which runs like any other cell.

mod checkout;
pub mod command;
pub mod gate_directory;
pub mod programs;
mod readiness;
pub mod revision;
pub mod server;
pub mod sources;
pub mod terms;
mod tool;
