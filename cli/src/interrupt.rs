//! SIGINT, SIGTERM and SIGHUP: the first signal requests an orderly end, the second ends the program at once.
//!
//! A thread waits for the signals, raises a flag and wakes the code that waits for a child; the orchestrator ends the
//! run. After the second signal nothing is cleaned up: children end by themselves with their parent.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::exit::{Exit, Failure, OrFail};

/// Called on the signals' thread at the first signal.
pub type Listener = dyn Fn() + Send + Sync;

/// The request to end the run. Clones share it.
#[derive(Clone, Default)]
pub struct Interrupt {
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    requested: AtomicBool,
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
            .spawn(move || signals.forever().for_each(|_| for_thread.raise()))
            .or_fail(failed)?;
        Ok(interrupt)
    }

    /// True after the first signal.
    pub fn requested(&self) -> bool {
        self.state.requested.load(Ordering::SeqCst)
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

    fn raise(&self) {
        if self.state.requested.swap(true, Ordering::SeqCst) {
            std::process::exit(Exit::Interrupted as i32);
        }
        for listener in self.listeners().iter().filter_map(Weak::upgrade) {
            listener();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn the_first_signal_raises_the_flag_and_wakes_those_still_listening() {
        let interrupt = Interrupt::default();
        let (sender, woken) = mpsc::channel();
        let kept: Arc<Listener> = {
            let sender = sender.clone();
            Arc::new(move || sender.send("kept").expect("the test listens"))
        };
        let dropped: Arc<Listener> =
            Arc::new(move || sender.send("dropped").expect("the test listens"));
        interrupt.subscribe(&kept);
        interrupt.subscribe(&dropped);
        drop(dropped);
        assert!(!interrupt.requested());
        interrupt.raise();
        assert!(interrupt.requested());
        assert_eq!(woken.try_iter().collect::<Vec<_>>(), ["kept"]);
    }
}
