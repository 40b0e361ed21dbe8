//! What the kernel's event counters say about this process: instructions and system calls, where it may ask.
//!
//! Hardware counters are absent in most virtual machines, and others need a permission (`perf_event_paranoid`); each is
//! probed by opening it, and `None` where that fails. What a count means per operation is for those who call. What talks
//! to the kernel is in `os/perf.rs`.

use super::system::EventCounter;

/// Counters of the thread that opened them and of all threads that it and they start from then on.
///
/// Open them before the runtime starts its threads, on the thread that starts it: threads that are there already are
/// not counted. A thread that must not count (a pacer that spins) is to be started before.
#[derive(Debug)]
pub struct Counters {
    instructions: Option<EventCounter>,
    syscalls: Option<EventCounter>,
}

impl Counters {
    /// Opens what can be opened. From now on until [`Counters::take_syscalls`] every system call on the machine takes
    /// a little longer.
    pub fn open() -> Self {
        Self {
            instructions: EventCounter::instructions(),
            syscalls: EventCounter::syscalls(),
        }
    }

    /// Instructions since the counters were opened: in user mode and the kernel, or in user mode alone where no more is
    /// permitted.
    ///
    /// Of a counter that had to share its place in the hardware, what it would have counted alone.
    pub fn instructions(&mut self) -> Option<u64> {
        self.instructions.as_mut()?.count()
    }

    /// Counts system calls from now on, from 0.
    pub fn enable_syscalls(&mut self) {
        if let Some(counter) = &mut self.syscalls
            && counter.start().is_err()
        {
            self.syscalls = None;
        }
    }

    /// System calls since [`Counters::enable_syscalls`]; they are counted no more, and the second answer is `None`.
    ///
    /// The counter is closed, not just stopped: as long as one is open, each system call of every process takes a detour
    /// through it. Closing waits for all CPUs, some tens of milliseconds: call it outside any measured phase.
    pub fn take_syscalls(&mut self) -> Option<u64> {
        self.syscalls.take()?.count()
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// Runs on a thread of its own, so that no other test's thread is counted.
    fn counted(work: impl FnOnce(&mut Counters) + Send) {
        std::thread::scope(|scope| {
            let mut counters = Counters::open();
            scope
                .spawn(move || work(&mut counters))
                .join()
                .expect("the test's thread panicked");
        });
    }

    fn many_system_calls() {
        for _ in 0..1000 {
            std::hint::black_box(nix::unistd::getppid());
        }
    }

    /// Where the kernel does not let itself be asked, there is nothing to check but that the answer is `None`.
    #[test]
    fn system_calls_of_threads_started_later_are_counted_until_they_are_taken() {
        let mut counters = Counters::open();
        let may_count = counters.syscalls.is_some();
        counters.enable_syscalls();
        std::thread::spawn(many_system_calls)
            .join()
            .expect("the thread ends");
        let counted = counters.take_syscalls();
        assert_eq!(counted.is_some(), may_count);
        assert!(
            counted.is_none_or(|count| (1000..5000).contains(&count)),
            "{counted:?}"
        );
        assert_eq!(counters.take_syscalls(), None);
    }

    #[test]
    fn system_calls_before_counting_is_enabled_do_not_count() {
        counted(|counters| {
            many_system_calls();
            counters.enable_syscalls();
            let counted = counters.take_syscalls();
            assert!(counted.is_none_or(|count| count < 1000), "{counted:?}");
        });
    }

    #[test]
    fn instructions_only_grow() {
        let mut counters = Counters::open();
        let before = counters.instructions();
        std::thread::spawn(many_system_calls)
            .join()
            .expect("the thread ends");
        let after = counters.instructions();
        assert_eq!(before.is_some(), after.is_some());
        assert!(after.is_none() || after > before, "{before:?}, {after:?}");
    }
}
