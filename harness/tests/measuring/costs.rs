//! The kernel's event counters in a round: numbers where permitted, `None` elsewhere.

use photofinish_harness::os::Counters;
use photofinish_harness::runtime::Descriptor;

use crate::scripted::{RoundSpec, Script, measure, ops};
use crate::suite::{Check, listed};

pub(crate) const CHECKS: &[Check] =
    listed![system_calls_and_instructions_are_counted_where_the_kernel_tells,];

fn system_calls_and_instructions_are_counted_where_the_kernel_tells(runtime: &'static Descriptor) {
    let mut counters = Counters::open();
    counters.start();
    let counts = counters.stop();

    // Sleeping alone takes a runtime one call at least.
    let measurement = measure(
        runtime,
        RoundSpec {
            script: Script::SleepUs(100),
            concurrency: 1,
            warmup_ops: 100,
            stop: ops(20),
        },
    );
    let cost = measurement.cost;
    assert_eq!(cost.syscalls_per_op.is_some(), counts.syscalls.is_some());
    assert_eq!(
        cost.instructions_per_op.is_some(),
        counts.instructions.is_some()
    );
    assert!(
        cost.syscalls_per_op
            .is_none_or(|calls| (1.0..1000.0).contains(&calls)),
        "{:?} system calls",
        cost.syscalls_per_op
    );
    assert!(cost.instructions_per_op.is_none_or(|count| count > 1.0));
}
