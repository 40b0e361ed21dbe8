//! The files of a run: its directory and record, baselines and artifacts. `redaction` keeps passwords out of them.

pub mod artifacts;
pub mod baselines;
pub mod files;
pub mod next_steps;
pub mod outputs;
pub mod past_runs;
pub mod redaction;
pub mod retention;
pub mod run_directory;
pub mod run_id;
