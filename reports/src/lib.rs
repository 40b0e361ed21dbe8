//! Reports: pure functions from a record to what people and programs read.
//!
//! No clock, no socket, no runtime, no file: every function takes a [`Record`](photofinish_record::Record) and
//! returns text or bytes; the CLI writes them. Which rounds count and what is read from them ([`rounds`], [`metrics`]),
//! what they say together ([`statistics`], [`verdict`], [`summary`], [`checks`]), then the words and units that it is
//! told in, then the ways to show it.

pub mod metrics;
pub mod rounds;

pub mod async_pays;
pub mod checks;
pub mod compare;
pub mod found;
pub mod gate;
pub mod resolution;
pub mod search;
pub mod selftest;
pub mod statistics;
pub mod summary;
pub mod validity;
pub mod verdict;

pub mod describe;
pub mod names;
pub mod observed;
pub mod runtimes;
pub mod units;

pub mod charts;
pub mod diagnosis;
pub mod formats;
pub mod page;
pub mod terminal;

pub use charts::{Chart, charts, png};
pub use page::page;
