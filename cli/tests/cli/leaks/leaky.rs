//! A workload that leaves something behind with each operation, on purpose: what the counts must see.

use std::net::TcpListener;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use photofinish_harness::runtime::{Capability, Runtime, Task as _};
use photofinish_harness::workload::{About, Env, Failure, ParamError, Workload};
use photofinish_harness::{no_session, nothing_shared};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Longer than anything here lasts: nobody waits for it.
const LONG: Duration = Duration::from_secs(3600);

pub struct Leaky {
    what: What,
}

#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Params {
    what: What,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum What {
    #[default]
    Socket,
    Thread,
    Child,
    /// Whose handle is dropped.
    Part,
    /// Whose caller is cancelled.
    Offloaded,
}

impl Workload for Leaky {
    const ABOUT: About = About {
        name: "leaky",
        class: "own",
        operation: "leaves something behind",
        targets: &[],
        needs: &[],
    };
    type Params = Params;
    nothing_shared!();
    no_session!();

    fn new(params: Params, _: Duration) -> Result<Self, ParamError> {
        Ok(Self { what: params.what })
    }

    /// Where all is done on the spot, or by few threads, the operation itself would never end.
    fn needs(&self) -> &'static [Capability] {
        match self.what {
            What::Socket | What::Thread | What::Child => &[],
            What::Part => &[Capability::ManyAtOnce],
            What::Offloaded => &[Capability::ManyAtOnce, Capability::Cancellation],
        }
    }

    async fn operate<R: Runtime>(&self, env: &Env<R>, _: &mut (), _: u64) -> Result<(), Failure> {
        match self.what {
            What::Socket => std::mem::forget(TcpListener::bind("127.0.0.1:0")?),
            What::Thread => drop(std::thread::spawn(|| std::thread::sleep(LONG))),
            What::Child => drop(Command::new("true").spawn()?),
            What::Part => {
                let runtime = env.runtime.clone();
                drop(env.runtime.spawn(async move {
                    runtime.sleep_until(Instant::now() + LONG).await;
                }));
            }
            What::Offloaded => give_up_offloaded(&env.runtime).await,
        }
        Ok(())
    }
}

/// Cancels who waits for blocking work, once that has begun and nothing can stop it.
async fn give_up_offloaded<R: Runtime>(runtime: &R) {
    let begun = Arc::new(AtomicBool::new(false));
    let begins = Arc::clone(&begun);
    let offloading = runtime.clone();
    let waits = runtime.spawn(async move {
        let work = move || {
            begins.store(true, Ordering::Release);
            std::thread::sleep(LONG);
        };
        offloading.offload(work).await
    });
    while !begun.load(Ordering::Acquire) {
        runtime
            .sleep_until(Instant::now() + Duration::from_millis(1))
            .await;
    }
    waits.cancel().await;
}
