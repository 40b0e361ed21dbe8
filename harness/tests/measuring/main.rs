//! The measuring loop under every runtime: which operations it runs, what it counts, and what it costs in memory.
//!
//! The workload is scripted and defined here, so that what must come out is known in advance; `suite` gives each check a
//! process of its own. Times are only compared where the order is certain. What a loop costs in time is a benchmark
//! (`benches/loop_cost.rs`).

#[path = "../suite/mod.rs"]
mod suite;

mod scripted;

mod numbers;

mod outcomes;

mod times;

mod memory;

mod costs;

mod open;

mod parts;

mod shards;

fn main() -> std::process::ExitCode {
    let checks = &[
        numbers::CHECKS,
        outcomes::CHECKS,
        times::CHECKS,
        memory::CHECKS,
        costs::CHECKS,
        open::CHECKS,
        parts::CHECKS,
        shards::CHECKS,
    ];
    suite::run(checks, &[suite::Dispatch::Static])
}
