//! The harness: execution models, the measuring loop, and the record.
//!
//! Three traits carry it: [`runtime::Runtime`] (what an execution model must offer), [`workload::Workload`] (what one
//! operation does, written once for all of them) and [`runtime::Session`] (what is stepped). [`measure::run_round`]
//! brings a workload and a runtime together for one round, as a [`protocol::WorkerPlan`] asks. No protocol, no chart and
//! no scenario's name lives here. Read `runtime` first, then `workload`, then `measure`.

pub mod runtime;
pub mod runtimes;

pub mod workload;

pub mod measure;

mod arrivals;
mod pacer;

pub mod allocations;
pub mod buffer;
pub mod observed;
pub mod recording;
pub mod traffic;

pub mod fitness;
pub mod os;
