//! Running a plan: its blocks and rounds, and everything recorded with them.
//!
//! `measuring` takes a checked request to a complete run directory. `blocks` runs blocks in the order given by a
//! `course`, `round` runs one round. `conditions` and `identity` decide whether a round was disturbed or wrong;
//! `profiling` adds rounds whose worker is sampled.

mod blocks;
pub mod course;
pub mod dependencies;
pub mod fitness;
pub mod measuring;
pub mod preview;
pub mod progress;
pub mod sameness;
pub mod selftest;

mod conditions;
pub mod identity;
mod profiling;
mod round;
pub mod shards;
pub mod shares;
mod silence;
