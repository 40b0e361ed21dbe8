//! Ctrl-C and its relatives: the first asks for an orderly end, the second ends the program at once.
//!
//! A thread waits for the signals, raises a flag and wakes whoever waits for a child. What an orderly end is, the
//! orchestrator decides. After the second signal nothing is tidied up here: children end by themselves with their
//! parent.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::exit::Exit;

/// Called, on the signals' thread, when an end is asked for.
pub type Listener = dyn Fn() + Send + Sync;

/// Whether an end was asked for. Clones share it.
#[derive(Clone, Default)]
pub struct Interrupt {
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    requested: AtomicBool,
    /// Weak, so that a child that is gone is not woken for ever.
    listeners: Mutex<Vec<Weak<Listener>>>,
}

impl Interrupt {
    /// Takes over SIGINT, SIGTERM and SIGHUP from now on.
    pub fn on_signals() -> io::Result<Self> {
        let interrupt = Self::default();
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
        let for_thread = interrupt.clone();
        thread::Builder::new()
            .name("signals".into())
            .spawn(move || {
                for _ in signals.forever() {
                    for_thread.happened();
                }
            })?;
        Ok(interrupt)
    }

    /// Whether an end was asked for.
    pub fn requested(&self) -> bool {
        self.state.requested.load(Ordering::SeqCst)
    }

    /// Has `listener` called when an end is asked for, as long as somebody holds it.
    pub fn subscribe(&self, listener: &Arc<Listener>) {
        let mut listeners = self
            .state
            .listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        listeners.retain(|listener| listener.strong_count() > 0);
        listeners.push(Arc::downgrade(listener));
    }

    fn happened(&self) {
        if self.state.requested.swap(true, Ordering::SeqCst) {
            std::process::exit(i32::from(Exit::Interrupted.code()));
        }
        let listeners = self
            .state
            .listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for listener in listeners.iter().filter_map(Weak::upgrade) {
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
        interrupt.happened();
        assert!(interrupt.requested());
        assert_eq!(woken.try_iter().collect::<Vec<_>>(), ["kept"]);
    }
}
