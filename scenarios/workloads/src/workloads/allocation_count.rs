//! Counts the allocations of a workload's operations in its tests.
//!
//! Under `sync`, whose sessions run on the thread that counts; the code of an operation is the same under every runtime.

use std::num::NonZeroU32;
use std::time::Duration;

use allocation_counter::measure;
use photofinish_harness::observed::Observed;
use photofinish_harness::parts::Parts;
use photofinish_harness::runtime::{Runtime, RuntimeConfig};
use photofinish_harness::runtimes::{Visitor, with_runtime};
use photofinish_harness::traffic::TrafficCounter;
use photofinish_harness::workload::{Env, RoundEnv, Workload};
use photofinish_record::load::Stop;
use photofinish_record::protocol::TargetAddress;
use photofinish_record::{TlsSettings, Verification};
use serde_json::Value;

/// Operations during which buffers grow.
const WARM_UP: u64 = 300;

/// Allocations of one operation and of a hundred of workload `W`, whose server for `target` is at `url`.
pub(super) fn allocations<W: Workload>(params: Value, target: &str, url: &str) -> [u64; 2] {
    let params = serde_json::from_value(params).expect("parameters");
    let workload = W::new(params, Duration::from_millis(1)).expect("valid parameters");
    // Test certificates are self-signed.
    let tls = TlsSettings {
        verification: Verification::Nothing,
        ..TlsSettings::default()
    };
    let address = TargetAddress {
        url: url.to_owned(),
        address: None,
        mock: false,
        tls: url.starts_with("https:").then_some(tls),
    };
    let count = Count {
        workload,
        target: target.to_owned(),
        address,
    };
    let config = RuntimeConfig {
        worker_threads: NonZeroU32::MIN,
    };
    with_runtime("sync", config, count).expect("sync starts")
}

struct Count<W> {
    workload: W,
    target: String,
    address: TargetAddress,
}

impl<W: Workload> Visitor for Count<W> {
    type Output = [u64; 2];

    fn visit<R: Runtime>(self, runtime: R) -> [u64; 2] {
        let workload = self.workload;
        let env: Env<R> = Env::from(RoundEnv {
            runtime: runtime.clone(),
            seed: 1,
            concurrency: 1,
            targets: [(self.target.clone(), self.address)].into(),
            work_dir: Default::default(),
            directory: Default::default(),
            run: "a-run".to_owned(),
            round: 1,
            warmup: Stop::after(Duration::from_secs(1)),
            traffic: [(self.target, TrafficCounter::default())].into(),
            memo: Default::default(),
            observed: Observed::default(),
            parts: Parts::new(workload.parts(), NonZeroU32::MIN).expect("parts"),
        });
        runtime.block_on(async {
            let shared = workload.prepare(&env).await.expect("prepared");
            let env = env.share(shared);
            let mut session = workload.open(&env, 0).await.expect("open");
            let mut op = 0;
            let mut operations = |count: u64| {
                let allocations = measure(|| {
                    for _ in 0..count {
                        let operation = workload.operate(&env, &mut session, op);
                        runtime.block_on(operation).expect("a success");
                        op += 1;
                    }
                });
                allocations.count_total
            };
            operations(WARM_UP);
            [operations(1), operations(100)]
        })
    }
}
