//! `null`: nothing.
//!
//! Measures the measuring loop itself under a runtime: the floor below which no difference means anything.

use std::time::Duration;

use photofinish_harness::runtime::Runtime;
use photofinish_harness::workload::{About, Env, Failure, ParamError, Workload};
use photofinish_harness::{no_session, nothing_shared};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The workload.
#[derive(Debug)]
pub struct Null;

/// It has none.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {}

impl Workload for Null {
    const ABOUT: About = About {
        name: "null",
        class: "floor",
        operation: "nothing: the cost of measuring",
        targets: &[],
        needs: &[],
    };
    type Params = Params;
    nothing_shared!();
    no_session!();

    fn new(_: Params, _: Duration) -> Result<Self, ParamError> {
        Ok(Self)
    }

    async fn operate<R: Runtime>(&self, _: &Env<R>, _: &mut (), op: u64) -> Result<(), Failure> {
        std::hint::black_box(op);
        Ok(())
    }
}
