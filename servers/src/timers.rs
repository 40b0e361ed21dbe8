//! Waiting on the server's side, to the accuracy of the kernel's timers.
//!
//! Tokio's own timers tick in milliseconds and round up: a delay of 1 ms would last 2 ms, and many sessions would be
//! released in bursts at the ticks. So each server thread keeps its own queue of those who wait, and one kernel timer
//! set to the earliest of them. Where there is no such timer, tokio's serve. Delays are chosen elsewhere; read
//! `http/answers.rs` next.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::os::Alarm;

/// Returns after `delay`, never before; at once if it is zero. Has to be awaited on a current-thread tokio runtime.
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

/// Runs alongside the connections of a thread for as long as its runtime.
async fn wake_when_due(alarm: Arc<Alarm>) {
    let _forget_queue = ForgetQueue;
    while alarm.rings().await.is_ok() {
        for waker in with_queue(Queue::take_due).unwrap_or_default() {
            waker.wake();
        }
    }
}

/// A queue whose alarm nobody listens to any more must not be found by a later runtime of the same thread.
struct ForgetQueue;

impl Drop for ForgetQueue {
    fn drop(&mut self) {
        // Taken out first and dropped afterwards: dropping wakers may run code that looks for the queue.
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

    /// Sets the alarm to the earliest who waits, unless it rings in time anyway.
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
        // The kernel refuses only descriptors that are no timers.
        set.unwrap_or_else(|error| panic!("a timer could not be set: {error}"));
        self.rings_at = Some(earliest);
    }
}

/// Waits in the queue of the thread it is polled on.
struct Sleep {
    due: Instant,
    /// Its number in the queue, once it waits there.
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
        // While the thread ends there is no queue left to leave.
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
    fn those_who_wait_are_woken_in_the_order_in_which_they_are_due_and_never_early() {
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
    fn those_who_give_up_leave_the_queue() {
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
    fn a_later_runtime_of_the_same_thread_waits_too() {
        for _ in 0..3 {
            run(sleep(Duration::from_millis(1)));
        }
    }

    #[test]
    fn a_thousand_wait_on_one_timer() {
        run(async {
            let wait = |index: u64| tokio::spawn(sleep(Duration::from_micros(index * 7919 % 5000)));
            for task in (0..1000).map(wait).collect::<Vec<_>>() {
                task.await.unwrap();
            }
        });
    }
}
