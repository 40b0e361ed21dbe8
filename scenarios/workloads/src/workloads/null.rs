//! `null`: nothing: the cost of the measuring loop itself under a runtime.

use std::time::Duration;

use photofinish_harness::runtime::Runtime;
use photofinish_harness::workload::{About, Env, Failure, ParamError, Workload};
use photofinish_harness::{no_session, nothing_shared};

use super::params::NoParams;

#[derive(Debug)]
pub struct Null;

impl Workload for Null {
    const ABOUT: About = About {
        name: "null",
        class: "overhead",
        operation: "nothing: the cost of measuring",
        targets: &[],
        needs: &[],
    };
    type Params = NoParams;
    nothing_shared!();
    no_session!();

    fn new(_: NoParams, _: Duration) -> Result<Self, ParamError> {
        Ok(Self)
    }

    async fn operate<R: Runtime>(&self, _: &Env<R>, _: &mut (), op: u64) -> Result<(), Failure> {
        std::hint::black_box(op);
        Ok(())
    }
}
