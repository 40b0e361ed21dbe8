//! SIGINT, SIGTERM and SIGHUP: the first signal requests an orderly end, a second one ends the program at once.
//!
//! `timeout`, a closing terminal and several supervisors send two signals at a time (to the process and to its group),
//! which is one request: a second signal counts only [`SAME_REQUEST`] after the first.
//!
//! A thread waits for the signals, raises a flag and wakes the code that waits for a child; the orchestrator ends the
//! run. After the second signal nothing is cleaned up: children end by themselves with their parent.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use photofinish_harness::os::RAISE_THREAD_LIMIT;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::exit::{Exit, Failure, OrFail};

/// Time after the first signal within which others belong to the same request. A person cannot press Ctrl-C again that
/// fast on purpose.
const SAME_REQUEST: Duration = Duration::from_millis(500);

/// Called on the signals' thread at the first signal.
pub type Listener = dyn Fn() + Send + Sync;

/// The request to end the run. Clones share it.
#[derive(Clone, Default)]
pub struct Interrupt {
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// Time of the first signal.
    requested: OnceLock<Instant>,
    /// Weak references, so that listeners of ended children are dropped.
    listeners: Mutex<Vec<Weak<Listener>>>,
}

impl Interrupt {
    /// Handles SIGINT, SIGTERM and SIGHUP from now on.
    pub fn on_signals() -> Result<Self, Failure> {
        let failed = "cannot listen for signals";
        let interrupt = Self::default();
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).or_fail(failed)?;
        let for_thread = interrupt.clone();
        thread::Builder::new()
            .name("signals".into())
            .spawn(move || {
                for _ in signals.forever() {
                    if for_thread.raise(Instant::now()) {
                        std::process::exit(Exit::Interrupted as i32);
                    }
                }
            })
            .or_fail(failed)
            .map_err(|failure| failure.hint(RAISE_THREAD_LIMIT))?;
        Ok(interrupt)
    }

    /// True after the first signal.
    pub fn requested(&self) -> bool {
        self.state.requested.get().is_some()
    }

    /// Calls `listener` at the first signal, if it still exists then.
    pub fn subscribe(&self, listener: &Arc<Listener>) {
        let mut listeners = self.listeners();
        listeners.retain(|listener| listener.strong_count() > 0);
        listeners.push(Arc::downgrade(listener));
    }

    fn listeners(&self) -> MutexGuard<'_, Vec<Weak<Listener>>> {
        let listeners = self.state.listeners.lock();
        listeners.unwrap_or_else(PoisonError::into_inner)
    }

    /// Requests the end. True if an earlier request makes this a demand to exit at once.
    fn raise(&self, now: Instant) -> bool {
        if self.state.requested.set(now).is_err() {
            let first = self.state.requested.get().copied().unwrap_or(now);
            return now.saturating_duration_since(first) >= SAME_REQUEST;
        }
        for listener in self.listeners().iter().filter_map(Weak::upgrade) {
            listener();
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn the_first_signal_sets_the_flag_and_wakes_listeners() {
        let interrupt = Interrupt::default();
        let (sender, woken) = mpsc::channel();
        let kept: Arc<Listener> = {
            let sender = sender.clone();
            Arc::new(move || sender.send("kept").expect("the test is listening"))
        };
        let dropped: Arc<Listener> =
            Arc::new(move || sender.send("dropped").expect("the test is listening"));
        interrupt.subscribe(&kept);
        interrupt.subscribe(&dropped);
        drop(dropped);
        assert!(!interrupt.requested());
        assert!(!interrupt.raise(Instant::now()));
        assert!(interrupt.requested());
        assert_eq!(woken.try_iter().collect::<Vec<_>>(), ["kept"]);
    }

    #[test]
    fn only_a_signal_half_a_second_after_the_first_demands_the_end() {
        let interrupt = Interrupt::default();
        let first = Instant::now();
        let after = |milliseconds| interrupt.raise(first + Duration::from_millis(milliseconds));
        assert_eq!([0, 0, 1, 499].map(after), [false; 4]);
        assert!(after(500));
    }
}
