//! Runs a test's check under every runtime with the required capabilities.
//!
//! A runtime's type is known only inside a visitor, so such a check cannot be a plain closure: `under_every_runtime!`
//! writes the visitor around one. Whole workloads are tested by running the catalogue.

use std::num::NonZeroU32;

use photofinish_harness::runtime::{Capability, RuntimeConfig};
use photofinish_harness::runtimes::{DESCRIPTORS, Visitor, with_any_runtime};

/// Runs the block of `|runtime| { … }` under every runtime with the capabilities before it. The block cannot use
/// variables of the surrounding test.
macro_rules! under_every_runtime {
    ($needs:expr, |$runtime:ident| $check:block) => {{
        #[derive(Clone, Copy)]
        struct Check;
        impl photofinish_harness::runtimes::Visitor for Check {
            type Output = ();
            fn visit<R: photofinish_harness::runtime::Runtime>(self, $runtime: R) {
                $check
            }
        }
        $crate::workloads::every_runtime::visit($needs, Check);
    }};
}

pub(super) use under_every_runtime;

/// Visits every runtime that has the capabilities that the check `needs`, by the types for which most workloads are compiled.
pub(super) fn visit<V: Visitor + Copy>(needs: &[Capability], check: V) {
    let able = DESCRIPTORS
        .iter()
        .filter(|runtime| runtime.refusal(needs).is_none());
    for descriptor in able {
        let worker_threads = const { NonZeroU32::new(2).expect("not zero") };
        let config = RuntimeConfig { worker_threads };
        // A runtime that the machine cannot start is covered by the harness's own tests.
        let _ = with_any_runtime(descriptor.name, config, check);
    }
}
