//! Many parts that wait at the same time, and the memory of each: shared by `idle-tasks` and `idle-connections`.
//!
//! Each part announces itself over a channel and then waits at a gate: a semaphore whose one permit is taken. The
//! channel closes once every part has announced itself or failed. When the permit is returned, the parts pass one by
//! one, so that their cleanup does not pile up.
//!
//! The memory is the resident set, read while all wait. It misleads in three ways, which [`Footprint`] avoids. A
//! process needs some memory only once (threads of a pool, arenas of the allocator, code): a first crowd pays for it,
//! and a second one, added to the first, is measured. Freed memory is reused: so it is measured before the clock
//! starts, in a process that has never held that much. Parts that have just announced themselves may not be waiting
//! yet: so there is a short pause first. Of a thread's stack, only touched pages are resident; the kernel's own memory
//! for threads and sockets is not included.

use std::future::Future;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use photofinish_harness::observed::Observed;
use photofinish_harness::os;
use photofinish_harness::runtime::{Elapsed, Receiver as _, Runtime, Semaphore, Sender as _};
use photofinish_harness::workload::Failure;

use super::parts::joined;
use super::tallies::{Peak, exactly};

/// An announced part is a few instructions away from waiting, unless its thread loses its CPU in between.
const UNTIL_ALL_WAIT: Duration = Duration::from_millis(10);

/// Some parts did not check in on time.
pub(super) const NOT_GATHERED: &str = "crowd";

/// The work of one part of a crowd before and after it waits.
pub(super) trait Part: Clone + Send + Sync + 'static {
    /// Resources held while it waits.
    type Resource: Send;

    /// Runs before it waits.
    fn begin(&self) -> impl Future<Output = Result<Self::Resource, Failure>> + Send;

    /// Runs after the gate has opened, one part at a time.
    fn end(&self, resource: Self::Resource) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// Parts that wait until the crowd is dispersed.
pub(super) struct Crowd<R: Runtime> {
    tasks: Vec<R::Task<Result<(), Failure>>>,
    closed_gate: <R::Semaphore as Semaphore>::Permit,
}

impl<R: Runtime> Crowd<R> {
    /// Starts `count` parts and returns once all of them wait, or have failed. With a `limit`, fails if none of those
    /// left announces itself for that long.
    pub(super) async fn gather(
        runtime: &R,
        count: NonZeroU32,
        part: &impl Part,
        limit: Option<Duration>,
    ) -> Result<Self, Failure> {
        let gate = runtime.semaphore(NonZeroU32::MIN);
        let closed_gate = gate.acquire().await;
        // Room for all, so that no announcement waits.
        let (announce, announced) = runtime.channel(count);
        let start = |_| runtime.spawn(wait_at::<R>(gate.clone(), announce.clone(), part.clone()));
        let tasks = (0..count.get()).map(start).collect();
        drop(announce);
        let mut waiting = 0;
        loop {
            let announcement = match limit {
                Some(limit) => runtime.timeout(limit, announced.receive()).await,
                None => Ok(announced.receive().await),
            };
            match announcement {
                Ok(Some(())) => waiting += 1,
                Ok(None) => return Ok(Self { tasks, closed_gate }),
                Err(Elapsed) => {
                    let left = count.get() - waiting;
                    let detail = format!("and {left} were not accepted");
                    return Err(Failure::new(NOT_GATHERED, detail));
                }
            }
        }
    }

    /// Opens the gate, and waits until all parts have ended; returns the first failure.
    pub(super) async fn disperse(self) -> Result<(), Failure> {
        drop(self.closed_gate);
        joined(self.tasks).await.map(drop)
    }
}

async fn wait_at<R: Runtime>(
    gate: R::Semaphore,
    announce: R::Sender<()>,
    part: impl Part,
) -> Result<(), Failure> {
    let resource = part.begin().await?;
    // Fails only if the crowd was abandoned, in which case the gate is open.
    let _ = announce.send(()).await;
    drop(announce);
    let _permit = gate.acquire().await;
    // Boxed separately, and only now: a task is as large as the largest future it ever holds.
    Box::pin(part.end(resource)).await
}

/// Gathers a crowd, and disperses it once all wait; its parts count `waiting`, from before they announce themselves
/// until the gate opens.
pub(super) async fn come_and_go<R: Runtime>(
    runtime: &R,
    count: NonZeroU32,
    part: &impl Part,
    waiting: &Peak,
) -> Result<(), Failure> {
    let crowd = Crowd::gather(runtime, count, part, None).await?;
    let gathered = waiting.now();
    crowd.disperse().await?;
    exactly(i64::from(count.get()), gathered, "parts waiting at once")?;
    exactly(0, waiting.now(), "parts waiting after all were joined")
}

/// The memory of one part, measured before the clock starts; `None` if the system does not report it.
#[derive(Clone, Copy, Debug)]
pub struct Footprint {
    bytes_per_part: Option<f64>,
}

impl Footprint {
    /// Gathers a crowd and then a second one, each with a `limit` as in [`Crowd::gather`], and measures the growth of the process for the second.
    pub(super) async fn measure<R: Runtime>(
        runtime: &R,
        count: NonZeroU32,
        part: &impl Part,
        limit: Option<Duration>,
    ) -> Result<Self, Failure> {
        let first = Crowd::gather(runtime, count, part, limit).await?;
        let before = resident_bytes(runtime).await;
        let second = Crowd::gather(runtime, count, part, limit).await?;
        let after = resident_bytes(runtime).await;
        let dispersed = second.disperse().await;
        first.disperse().await.and(dispersed)?;
        let grown_bytes = before
            .zip(after)
            .map(|(before, after)| after as f64 - before as f64);
        Ok(Self {
            bytes_per_part: grown_bytes.map(|bytes| bytes / f64::from(count.get())),
        })
    }

    /// Reports it under `name`, which ends with the unit.
    pub(super) fn observe(&self, observed: &Observed, name: &'static str) {
        if let Some(bytes_per_part) = self.bytes_per_part {
            observed.number(name, bytes_per_part);
        }
    }
}

async fn resident_bytes(runtime: &impl Runtime) -> Option<u64> {
    runtime.sleep_until(Instant::now() + UNTIL_ALL_WAIT).await;
    os::resident_bytes()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use photofinish_harness::runtime::Capability;

    use super::super::every_runtime::under_every_runtime;
    use super::*;

    const COUNT: NonZeroU32 = NonZeroU32::new(200).unwrap();

    /// Counts parts that wait and that end; fails or panics before it waits on request.
    #[derive(Clone, Default)]
    struct Counted {
        counts: Arc<Counts>,
    }

    #[derive(Default)]
    struct Counts {
        begun: AtomicU32,
        ending: AtomicU32,
        ended: AtomicU32,
        failing: Option<u32>,
        panicking: Option<u32>,
    }

    impl Counted {
        fn begun_and_ended(&self) -> [u32; 2] {
            let Counts { begun, ended, .. } = &*self.counts;
            [begun, ended].map(|count| count.load(Ordering::SeqCst))
        }
    }

    impl Part for Counted {
        type Resource = ();

        async fn begin(&self) -> Result<(), Failure> {
            let number = Some(self.counts.begun.fetch_add(1, Ordering::SeqCst));
            assert_ne!(number, self.counts.panicking, "as asked");
            if number == self.counts.failing {
                return Err(Failure::new(Failure::REFUSED, "as asked"));
            }
            Ok(())
        }

        async fn end(&self, (): ()) -> Result<(), Failure> {
            let others = self.counts.ending.fetch_add(1, Ordering::SeqCst);
            assert_eq!(others, 0, "parts end one after another");
            self.counts.ended.fetch_add(1, Ordering::SeqCst);
            self.counts.ending.fetch_sub(1, Ordering::SeqCst);
            Ok(())
        }
    }

    #[test]
    fn a_crowd_waits_together_and_ends_one_by_one() {
        under_every_runtime!(&[Capability::ManyAtOnce], |runtime| {
            let part = Counted::default();
            let crowd = runtime
                .block_on(Crowd::gather(&runtime, COUNT, &part, None))
                .expect("gathered");
            assert_eq!(part.begun_and_ended(), [COUNT.get(), 0]);
            let dispersed = runtime.block_on(crowd.disperse());
            assert_eq!(dispersed, Ok(()));
            assert_eq!(part.begun_and_ended(), [COUNT.get(), COUNT.get()]);
        });
    }

    #[test]
    fn a_failed_or_panicked_task_is_reported_and_delays_no_other() {
        under_every_runtime!(&[Capability::ManyAtOnce], |runtime| {
            let check = |counts: Counts, kind| {
                let part = Counted {
                    counts: Arc::new(counts),
                };
                let crowd = runtime
                    .block_on(Crowd::gather(&runtime, COUNT, &part, None))
                    .expect("gathered");
                let dispersed = runtime.block_on(crowd.disperse());
                assert_eq!(dispersed.map_err(|failure| failure.kind), Err(kind));
                assert_eq!(part.begun_and_ended(), [COUNT.get(), COUNT.get() - 1]);
            };
            let failing = Counts {
                failing: Some(7),
                ..Counts::default()
            };
            check(failing, Failure::REFUSED);
            let panicking = Counts {
                panicking: Some(7),
                ..Counts::default()
            };
            check(panicking, Failure::PANIC);
        });
    }

    /// Holds memory whose pages have all been touched.
    #[derive(Clone, Copy)]
    struct Heavy;

    const HELD_BYTES: usize = 128 * 1024;

    impl Part for Heavy {
        type Resource = Vec<u8>;

        async fn begin(&self) -> Result<Vec<u8>, Failure> {
            Ok(std::hint::black_box(vec![1; HELD_BYTES]))
        }

        async fn end(&self, _: Vec<u8>) -> Result<(), Failure> {
            Ok(())
        }
    }

    /// Set if the check below has its process to itself.
    #[cfg(target_os = "linux")]
    const ALONE: &str = "PHOTOFINISH_FOOTPRINT_ALONE";

    /// Runs in a separate process, which it starts itself: other tests allocate and free memory too.
    #[cfg(target_os = "linux")]
    #[test]
    fn the_memory_that_parts_hold_is_their_footprint() {
        if std::env::var_os(ALONE).is_some() {
            return footprint_of_what_is_held();
        }
        let name = "workloads::crowd::tests::the_memory_that_parts_hold_is_their_footprint";
        let this = std::env::current_exe().expect("this program");
        let ran = std::process::Command::new(this)
            .args(["--exact", name])
            .env(ALONE, "1")
            .output()
            .expect("it starts");
        let message = String::from_utf8_lossy(&ran.stdout);
        assert!(
            ran.status.success() && message.contains("1 passed"),
            "{message}"
        );
    }

    #[cfg(target_os = "linux")]
    fn footprint_of_what_is_held() {
        under_every_runtime!(&[Capability::ManyAtOnce], |runtime| {
            let footprint = runtime.block_on(Footprint::measure(&runtime, COUNT, &Heavy, None));
            let measured = footprint.expect("measured").bytes_per_part.expect("Linux");
            // Wide bounds: allocators round up, and retain some memory.
            let expected = HELD_BYTES as f64;
            assert!(
                (0.5 * expected..2.0 * expected).contains(&measured),
                "{measured}"
            );
        });
    }
}
