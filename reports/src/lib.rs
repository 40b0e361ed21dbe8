//! Reports: pure functions from a record to output for people and programs.
//!
//! No clock, no socket, no runtime, no file: functions take a [`Record`](photofinish_record::Record) and return text or
//! bytes, which the CLI writes. First come the reading of rounds ([`rounds`], [`metrics`]) and the rule by which
//! numbers decide ([`rule`], [`statistics`]), then the documents and their words, then [`report`], which computes
//! everything once, and finally its renderings.

pub mod conditions;
pub mod metrics;
pub mod rounds;
pub mod rule;
pub mod statistics;

pub mod gate;
pub mod search;
pub mod summary;
pub mod thresholds;

pub mod describe;
pub mod names;
pub mod runtimes;
pub mod units;
pub mod warmup;

mod comparison;
pub mod embedded;
mod floor;
mod validity;

pub mod matrix;

pub mod async_pays;
pub mod compare;
pub mod observed;
pub mod report;
pub mod resolution;
pub mod search_table;
mod shards;
mod stacks;
mod system_calls;

pub mod charts;
pub mod diagnosis;
pub mod everything;
pub mod findings;
pub mod formats;
pub mod page;
pub mod selftest;
pub mod terminal;

pub use charts::{Chart, Painter, charts, scale_out};
pub use everything::everything;
pub use page::{comparison_page, page};
