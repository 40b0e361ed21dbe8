//! Running a plan: its blocks and rounds, and what is recorded beside them.
//!
//! `measuring` leads from a checked request to a complete run directory. `blocks` runs blocks in the order that a
//! `course` gives, `round` one round. `conditions` and `identity` say whether a round was disturbed or wrong.

mod blocks;
pub mod course;
pub mod dependencies;
pub mod fitness;
pub mod measuring;
pub mod preview;
pub mod progress;
pub mod sameness;
pub mod selftest;
pub mod warnings;

mod conditions;
mod identity;
mod round;
