//! The harness: execution models, the measuring loop, and what it reads from the machine.
//!
//! Three traits carry it: [`runtime::Runtime`] (an execution model), [`workload::Workload`] (one kind of operation,
//! written once for all of them) and [`runtime::Session`] (something that is stepped). [`measure::run_round`] brings a
//! workload and a runtime together for one round, as specified by a [`WorkerPlan`]. No protocol, no chart and no
//! scenario's name lives here. Read `runtime` first, then `workload`, then `measure`.
//!
//! [`WorkerPlan`]: photofinish_record::protocol::WorkerPlan

pub mod runtime;
pub mod runtimes;

pub mod workload;

pub mod measure;

mod arrivals;
mod intervals;
mod pacer;

pub mod allocations;
pub mod buffer;
pub mod meeting;
pub mod memo;
pub mod observed;
pub mod parts;
pub mod recording;
pub mod traffic;

pub mod fitness;
pub mod os;
