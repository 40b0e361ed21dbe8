//! Processes that the orchestrator starts and ends: a child that speaks in lines, and what is built on it.
//!
//! Workers (`worker`) and embedded servers (`server`) are this same program. Servers that are not ours live under a guard
//! (`guard`), which ends them with its stdin.

mod child;
pub mod guard;
pub mod server;
pub mod worker;
