//! Processes that the orchestrator starts and ends.
//!
//! Workers (`worker`) and embedded servers (`server`) are this same program. Other servers run under a guard (`guard`),
//! which ends them when its stdin closes.

mod child;
pub mod guard;
pub mod server;
pub mod worker;
