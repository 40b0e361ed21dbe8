//! Running a plan: blocks, the rounds of a block, and what is recorded beside them.
//!
//! `measuring` goes from a checked request to a complete run directory, `orchestrate` runs blocks in the order that a
//! `course` gives, `round` is one round, `conditions` and `identity` judge it.

pub mod course;
pub mod dependencies;
pub mod fitness;
pub mod measuring;
pub mod orchestrate;
pub mod preview;
pub mod progress;
pub mod sameness;
pub mod selftest;
pub mod twin;
pub mod warnings;

mod conditions;
mod identity;
mod round;
