//! A pool of connections with a minimum and a maximum, built on the runtime's semaphore.
//!
//! The minimum is opened with the pool; more are opened on demand, up to the maximum, and kept. A caller waits for a
//! permit, with a timeout, then takes the connection returned last, or opens one. A [`Lease`] returns both when
//! dropped, whether its work succeeded, failed or was cancelled; a connection that is not usable by then is closed.
//! Connections do not age. [`Connect`] opens and counts them.

use std::num::NonZeroU32;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use photofinish_harness::runtime::{Runtime, Semaphore};
use photofinish_harness::workload::Failure;

/// Opens, checks and closes the connections of a pool.
pub trait Connect: Send + Sync + 'static {
    /// A pooled connection, closed when dropped.
    type Connection: Send + 'static;

    /// Opens a connection.
    fn connect(&self) -> impl Future<Output = Result<Self::Connection, Failure>> + Send;

    /// True if it can be leased again.
    fn is_usable(connection: &Self::Connection) -> bool;

    /// Closes a connection gracefully.
    fn close(connection: Self::Connection) -> impl Future<Output = ()> + Send;
}

/// The size of a pool.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Connections opened with the pool.
    pub(super) minimum: NonZeroU32,
    /// Maximum number of open connections.
    pub(super) maximum: NonZeroU32,
    /// Timeout for acquiring a connection.
    pub(super) patience: Duration,
}

/// The pool; clones share it.
pub struct Pool<R: Runtime, C: Connect> {
    runtime: R,
    permits: R::Semaphore,
    patience: Duration,
    shared: Arc<Shared<C>>,
}

struct Shared<C: Connect> {
    connect: C,
    /// Open but not leased. The last one returned is the first one leased: its caches are warm.
    idle: Mutex<Vec<C::Connection>>,
}

impl<C: Connect> Shared<C> {
    fn idle(&self) -> MutexGuard<'_, Vec<C::Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R: Runtime, C: Connect> Clone for Pool<R, C> {
    fn clone(&self) -> Self {
        Self {
            runtime: self.runtime.clone(),
            permits: self.permits.clone(),
            patience: self.patience,
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<R: Runtime, C: Connect> Pool<R, C> {
    /// Opens a pool with its minimum of connections.
    pub(super) async fn open(runtime: &R, connect: C, bounds: Bounds) -> Result<Self, Failure> {
        let mut idle = Vec::with_capacity(bounds.maximum.get() as usize);
        for _ in 0..bounds.minimum.get() {
            idle.push(connect.connect().await?);
        }
        Ok(Self {
            runtime: runtime.clone(),
            permits: runtime.semaphore(bounds.maximum),
            patience: bounds.patience,
            shared: Arc::new(Shared {
                connect,
                idle: Mutex::new(idle),
            }),
        })
    }

    /// Waits for a permit, then leases a connection to the caller.
    pub(super) async fn acquire(&self) -> Result<Lease<R, C>, Failure> {
        let waiting = self.permits.acquire();
        let Ok(permit) = self.runtime.timeout(self.patience, waiting).await else {
            let patience_s = self.patience.as_secs_f64();
            let message = format!("no connection became free within {patience_s} s");
            return Err(Failure::new(Failure::TIMEOUT, message));
        };
        // A separate statement, so that the lock is not held while connecting.
        let idle = self.shared.idle().pop();
        // Nothing idle: every open connection is leased, and each lease holds a permit, so there is room for one.
        let connection = match idle {
            Some(connection) => connection,
            None => self.shared.connect.connect().await?,
        };
        Ok(Lease {
            connection: Some(connection),
            shared: Arc::clone(&self.shared),
            _permit: permit,
        })
    }

    /// Closes the connections that are not leased.
    pub(super) async fn close(&self) {
        let idle = std::mem::take(&mut *self.shared.idle());
        for connection in idle {
            C::close(connection).await;
        }
    }
}

/// A leased connection; dropping the lease returns it.
pub(super) struct Lease<R: Runtime, C: Connect> {
    /// `None` only while it is being dropped.
    connection: Option<C::Connection>,
    shared: Arc<Shared<C>>,
    /// Dropped after the connection is returned: the next holder must find the connection, or room for another.
    _permit: <R::Semaphore as Semaphore>::Permit,
}

impl<R: Runtime, C: Connect> Deref for Lease<R, C> {
    type Target = C::Connection;

    fn deref(&self) -> &C::Connection {
        self.connection.as_ref().expect("there until it is dropped")
    }
}

impl<R: Runtime, C: Connect> DerefMut for Lease<R, C> {
    fn deref_mut(&mut self) -> &mut C::Connection {
        self.connection.as_mut().expect("there until it is dropped")
    }
}

impl<R: Runtime, C: Connect> Drop for Lease<R, C> {
    fn drop(&mut self) {
        let usable = self.connection.take().filter(C::is_usable);
        self.shared.idle().extend(usable);
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::sync::atomic::{AtomicBool, Ordering};

    use photofinish_harness::runtime::{Capability, Task as _};

    use super::super::census::{Census, CensusGuard, Counts};
    use super::super::every_runtime::under_every_runtime;
    use super::*;

    const BOUNDS: Bounds = Bounds {
        minimum: NonZeroU32::new(2).unwrap(),
        maximum: NonZeroU32::new(4).unwrap(),
        // Every wait here is only for another task's turn, which may come late on a busy machine.
        patience: Duration::from_secs(60),
    };

    /// Connects to nothing, and fails while it is down.
    #[derive(Clone, Default)]
    struct Fake {
        census: Census,
        is_down: Arc<AtomicBool>,
    }

    struct FakeConnection {
        is_broken: bool,
        _counted: CensusGuard,
    }

    impl Connect for Fake {
        type Connection = FakeConnection;

        async fn connect(&self) -> Result<FakeConnection, Failure> {
            if self.is_down.load(Ordering::SeqCst) {
                return Err(Failure::new(Failure::REFUSED, "as asked"));
            }
            Ok(FakeConnection {
                is_broken: false,
                _counted: self.census.enter(),
            })
        }

        fn is_usable(connection: &FakeConnection) -> bool {
            !connection.is_broken
        }

        async fn close(_: FakeConnection) {}
    }

    impl Fake {
        fn counts(&self) -> Counts {
            self.census.counts()
        }

        async fn pool<R: Runtime>(&self, runtime: &R) -> Pool<R, Self> {
            let opened = Pool::open(runtime, self.clone(), BOUNDS).await;
            self.census.watch_fewest();
            opened.unwrap_or_else(|failure| panic!("{failure}"))
        }
    }

    async fn lease_all<R: Runtime>(pool: &Pool<R, Fake>) -> Vec<Lease<R, Fake>> {
        let mut leases = Vec::new();
        for _ in 0..BOUNDS.maximum.get() {
            leases.push(pool.acquire().await.expect("a connection"));
        }
        leases
    }

    /// Acquires all permits, which checks that none is lost and that no more connections than permits are open.
    async fn has_every_permit<R: Runtime>(pool: &Pool<R, Fake>, fake: &Fake) {
        let _leases = lease_all(pool).await;
        assert_eq!(fake.counts().open(), 4);
        assert_eq!(fake.counts().most, 4);
    }

    #[test]
    fn a_pool_opens_its_minimum_at_once_and_more_on_demand() {
        under_every_runtime!(&[], |runtime| {
            runtime.block_on(async {
                let fake = Fake::default();
                let pool = fake.pool(&runtime).await;
                assert_eq!(fake.counts().open(), 2);
                for _ in 0..10 {
                    pool.acquire().await.map(drop).expect("a connection");
                }
                assert_eq!(fake.counts().opened, 2);
                has_every_permit(&pool, &fake).await;
                // Connections opened on demand are kept and reused.
                has_every_permit(&pool, &fake).await;
                let counts = fake.counts();
                assert_eq!((counts.opened, counts.closed, counts.fewest), (4, 0, 2));
                pool.close().await;
                assert_eq!(fake.counts().open(), 0);
            });
        });
    }

    #[test]
    fn a_broken_connection_frees_its_slot() {
        under_every_runtime!(&[], |runtime| {
            runtime.block_on(async {
                let fake = Fake::default();
                let pool = fake.pool(&runtime).await;
                for _ in 0..10 {
                    let mut lease = pool.acquire().await.expect("a connection");
                    lease.is_broken = true;
                }
                assert_eq!(fake.counts().closed, 10);
                has_every_permit(&pool, &fake).await;
            });
        });
    }

    #[test]
    fn a_failed_connect_uses_no_slot() {
        under_every_runtime!(&[], |runtime| {
            runtime.block_on(async {
                let fake = Fake::default();
                let pool = fake.pool(&runtime).await;
                let held = [pool.acquire().await, pool.acquire().await];
                fake.is_down.store(true, Ordering::SeqCst);
                for _ in 0..10 {
                    let refused = pool.acquire().await.err().map(|failure| failure.kind);
                    assert_eq!(refused, Some(Failure::REFUSED));
                }
                fake.is_down.store(false, Ordering::SeqCst);
                drop(held);
                has_every_permit(&pool, &fake).await;
            });
        });
    }

    #[test]
    fn a_wait_for_a_connection_times_out_with_a_reason() {
        under_every_runtime!(&[], |runtime| {
            runtime.block_on(async {
                let fake = Fake::default();
                let pool = fake.pool(&runtime).await;
                let held = lease_all(&pool).await;
                let hasty = Pool {
                    patience: Duration::from_millis(20),
                    ..pool.clone()
                };
                let failure = hasty.acquire().await.err().expect("none is left");
                assert_eq!(failure.kind, Failure::TIMEOUT);
                assert_eq!(failure.detail, "no connection became free within 0.02 s");
                drop(held);
                has_every_permit(&pool, &fake).await;
            });
        });
    }

    #[test]
    fn cancelled_and_timed_out_work_releases_what_it_held() {
        under_every_runtime!(&[Capability::Cancellation], |runtime| {
            runtime.block_on(async {
                let fake = Fake::default();
                let pool = fake.pool(&runtime).await;
                for _ in 0..10 {
                    let (started, has_started) = runtime.channel(NonZeroU32::MIN);
                    let own = pool.clone();
                    let task = runtime.spawn(async move {
                        let _lease = own.acquire().await;
                        let _ = photofinish_harness::runtime::Sender::send(&started, ()).await;
                        pending::<()>().await;
                    });
                    photofinish_harness::runtime::Receiver::receive(&has_started).await;
                    task.cancel().await;
                }
                // A caller that gives up waiting for a permit has taken none.
                let held = lease_all(&pool).await;
                let limit = Duration::from_millis(2);
                assert!(runtime.timeout(limit, pool.acquire()).await.is_err());
                drop(held);
                assert_eq!(fake.counts().closed, 0);
                has_every_permit(&pool, &fake).await;
            });
        });
    }

    #[test]
    fn a_crowd_never_exceeds_its_connection_limit() {
        under_every_runtime!(&[], |runtime| {
            runtime.block_on(async {
                let fake = Fake::default();
                let pool = fake.pool(&runtime).await;
                let work = |number: u32| {
                    let (own, runtime) = (pool.clone(), runtime.clone());
                    async move {
                        let mut lease = own.acquire().await.expect("a connection");
                        runtime
                            .sleep_until(std::time::Instant::now() + Duration::from_millis(1))
                            .await;
                        lease.is_broken = number.is_multiple_of(3);
                    }
                };
                let tasks: Vec<_> = (0..40).map(|number| runtime.spawn(work(number))).collect();
                for task in tasks {
                    task.join().await.expect("no panic");
                }
                assert!(fake.counts().most <= 4, "{:?}", fake.counts());
                has_every_permit(&pool, &fake).await;
            });
        });
    }
}
