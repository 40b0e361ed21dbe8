//! What stays of a run: its directory and record, baselines, artifacts, and how a reader gets to them.
//!
//! Passwords never get here: `redaction` takes them out.

pub mod artifacts;
pub mod baselines;
pub mod next_steps;
pub mod redaction;
pub mod run_directory;
pub mod run_id;
