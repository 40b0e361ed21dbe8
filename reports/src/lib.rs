//! Reports: pure functions from a record to what people and programs read.
//!
//! No clock, no socket, no runtime, no file: every function takes a [`Record`](photofinish_harness::record::Record) and
//! returns text or bytes; the CLI writes them. Numbers first ([`statistics`], [`summary`], [`checks`]), then the words
//! and units they are told in, then the ways to show them. Judging a difference is not done here.

pub mod checks;
pub mod resolution;
pub mod search;
pub mod statistics;
pub mod summary;
pub mod validity;

pub mod describe;
pub mod names;
pub mod runtimes;
pub mod units;

pub mod charts;
pub mod diagnosis;
pub mod formats;
pub mod page;
pub mod terminal;

pub use charts::{Chart, charts, png};
pub use page::page;
