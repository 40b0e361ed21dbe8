//! For tests: a check made once and run under every runtime that can do what it needs.
//!
//! A runtime's type is known only where it is visited, so a check that meets it cannot be a plain closure:
//! `under_every_runtime!` writes the visitor around one. Checks of whole workloads are made elsewhere, by running the
//! catalogue.

use std::num::NonZeroU32;

use photofinish_harness::runtime::{Capability, RuntimeConfig};
use photofinish_harness::runtimes::{DESCRIPTORS, Visitor, with_runtime};

/// Runs the block of `|runtime| { … }` under every runtime that can do what stands before it. The block sees no variables
/// of the test around it.
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

/// Has every runtime visited that can do what the check `needs`.
pub(super) fn visit<V: Visitor + Copy>(needs: &[Capability], check: V) {
    let able = DESCRIPTORS
        .iter()
        .filter(|runtime| runtime.refusal(needs).is_none());
    for descriptor in able {
        let worker_threads = const { NonZeroU32::new(2).expect("not zero") };
        let config = RuntimeConfig { worker_threads };
        // One that the machine cannot start is the business of the harness's own tests.
        let _ = with_runtime(descriptor.name, config, check);
    }
}
