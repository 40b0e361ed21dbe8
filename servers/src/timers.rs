//! Waiting on the server's side, to the accuracy of the kernel's timers.
//!
//! Tokio's own timers tick in milliseconds and round up: a delay of 1 ms would last 2 ms, and many sessions would be
//! released in bursts at the ticks. So each server thread keeps its own queue of waiters, and one kernel timer
//! set to the earliest of them. On systems without such a timer, tokio's are used. Delays are chosen elsewhere; read
//! `http/answers.rs` next.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::os::Alarm;

/// Waits for `delay`, never less; returns at once if it is zero. Must be awaited on a current-thread tokio runtime.
pub async fn sleep(delay: Duration) {
    if delay.is_zero() {
        return;
    }
    let due = Instant::now() + delay;
    if with_queue(|_| ()).is_some() {
        Sleep { due, number: None }.await;
    } else {
        tokio::time::sleep(delay).await;
    }
}

thread_local! {
    /// Sleepers of this thread; created with the first of them.
    static QUEUE: RefCell<Option<Queue>> = const { RefCell::new(None) };
}

/// Sleepers by due time; a number distinguishes those due at the same time.
struct Queue {
    waiting: BTreeMap<(Instant, u64), Waker>,
    next_number: u64,
    alarm: Arc<Alarm>,
    /// Time at which the alarm is set to ring, if any.
    rings_at: Option<Instant>,
}

/// Runs `act` on this thread's queue, created if needed; `None` if there cannot be one.
fn with_queue<T>(act: impl FnOnce(&mut Queue) -> T) -> Option<T> {
    QUEUE.with_borrow_mut(|queue| {
        if queue.is_none() {
            let alarm = Arc::new(Alarm::new().ok()?);
            tokio::spawn(wake_when_due(alarm.clone()));
            *queue = Some(Queue {
                waiting: BTreeMap::new(),
                next_number: 0,
                alarm,
                rings_at: None,
            });
        }
        queue.as_mut().map(act)
    })
}

/// Wakes due sleepers for as long as the thread's runtime lives.
async fn wake_when_due(alarm: Arc<Alarm>) {
    let _forget_queue = ForgetQueue;
    while alarm.rings().await.is_ok() {
        for waker in with_queue(Queue::take_due).unwrap_or_default() {
            waker.wake();
        }
    }
}

/// Drops the queue with its runtime: a later runtime on the same thread must not find one whose alarm has no listener.
struct ForgetQueue;

impl Drop for ForgetQueue {
    fn drop(&mut self) {
        // Take it out before dropping it: dropping wakers may run code that uses the queue.
        let queue = QUEUE.try_with(|queue| queue.take());
        drop(queue);
    }
}

impl Queue {
    fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    fn wait(&mut self, key: (Instant, u64), waker: Waker) {
        self.waiting.insert(key, waker);
        self.set_alarm();
    }

    fn take_due(&mut self) -> Vec<Waker> {
        let now = Instant::now();
        let later = self.waiting.split_off(&(now, u64::MAX));
        let due = std::mem::replace(&mut self.waiting, later);
        self.rings_at = None;
        self.set_alarm();
        due.into_values().collect()
    }

    /// Sets the alarm for the earliest sleeper, unless it rings in time anyway.
    fn set_alarm(&mut self) {
        let Some((&(earliest, _), _)) = self.waiting.first_key_value() else {
            return;
        };
        if self.rings_at.is_some_and(|rings_at| rings_at <= earliest) {
            return;
        }
        let set = self
            .alarm
            .ring_after(earliest.saturating_duration_since(Instant::now()));
        // The kernel refuses only descriptors that are not timers.
        set.unwrap_or_else(|error| panic!("a timer could not be set: {error}"));
        self.rings_at = Some(earliest);
    }
}

/// Waits in the queue of the thread it is polled on.
struct Sleep {
    due: Instant,
    /// Its number in the queue, once queued.
    number: Option<u64>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if Instant::now() >= self.due {
            return Poll::Ready(());
        }
        let (due, known) = (self.due, self.number);
        self.number = with_queue(|queue| {
            let number = known.unwrap_or_else(|| queue.number());
            queue.wait((due, number), cx.waker().clone());
            number
        });
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        let Some(number) = self.number else { return };
        let key = (self.due, number);
        // The queue may already be gone if the thread is ending.
        let waker = QUEUE.try_with(|queue| {
            let mut queue = queue.try_borrow_mut().ok()?;
            queue.as_mut()?.waiting.remove(&key)
        });
        drop(waker);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(future)
    }

    #[test]
    fn sleepers_are_woken_in_order_of_due_time_and_never_early() {
        let woken = Arc::new(Mutex::new(Vec::new()));
        run(async {
            let tasks: Vec<_> = [30, 10, 20, 0, 10]
                .into_iter()
                .map(|delay_ms| {
                    let woken = woken.clone();
                    tokio::spawn(async move {
                        let delay = Duration::from_millis(delay_ms);
                        let begin = Instant::now();
                        sleep(delay).await;
                        assert!(
                            begin.elapsed() >= delay,
                            "{:?} is before {delay:?}",
                            begin.elapsed()
                        );
                        woken.lock().unwrap().push(delay_ms);
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
        });
        assert_eq!(*woken.lock().unwrap(), [0, 10, 10, 20, 30]);
    }

    #[test]
    fn a_cancelled_sleeper_leaves_the_timer_queue() {
        run(async {
            let waits_long = tokio::spawn(sleep(Duration::from_secs(3600)));
            sleep(Duration::from_millis(1)).await;
            assert_eq!(with_queue(|queue| queue.waiting.len()), Some(1));
            waits_long.abort();
            assert!(waits_long.await.unwrap_err().is_cancelled());
            assert_eq!(with_queue(|queue| queue.waiting.len()), Some(0));
        });
    }

    #[test]
    fn a_later_runtime_on_the_same_thread_can_sleep() {
        for _ in 0..3 {
            run(sleep(Duration::from_millis(1)));
        }
    }

    #[test]
    fn a_thousand_sleepers_share_one_timer() {
        run(async {
            let wait = |index: u64| tokio::spawn(sleep(Duration::from_micros(index * 7919 % 5000)));
            for task in (0..1000).map(wait).collect::<Vec<_>>() {
                task.await.unwrap();
            }
        });
    }
}
