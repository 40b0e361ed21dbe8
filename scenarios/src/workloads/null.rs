//! `null`: nothing.
//!
//! Measures the measuring loop itself under a runtime: the floor below which no difference means anything.

use std::time::Duration;

use photofinish_harness::runtime::Runtime;
use photofinish_harness::workload::{About, Env, Failure, ParamError, Workload};
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
    type Session<R: Runtime> = ();

    fn new(_: Params, _: Duration) -> Result<Self, ParamError> {
        Ok(Self)
    }

    async fn open<R: Runtime>(&self, _: &Env<R>, _: u32) -> Result<(), Failure> {
        Ok(())
    }

    async fn operate<R: Runtime>(&self, _: &Env<R>, _: &mut (), op: u64) -> Result<(), Failure> {
        std::hint::black_box(op);
        Ok(())
    }
}
