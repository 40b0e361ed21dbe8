//! The kernel's event counters for this process: instructions and system calls, if permitted.
//!
//! Hardware counters are absent in most virtual machines, and others need a permission (`perf_event_paranoid`); each is
//! probed by opening it, and is `None` if that fails. Callers decide what a count means per operation. The code that
//! talks to the kernel is in `os/perf.rs`.

use super::system::EventCounter;

/// Counters of the thread that opened them and of all threads that it and they start from then on.
///
/// Open them before the runtime starts its threads, on the thread that starts it: existing threads are not counted. A
/// thread that must not be counted (a pacer that spins) has to be started earlier.
#[derive(Debug)]
pub struct Counters {
    instructions: Option<EventCounter>,
    syscalls: Option<EventCounter>,
}

/// Counts; `None` if the kernel does not permit them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Instructions, in user mode and the kernel, or in user mode alone if no more is permitted. If the counter had to
    /// share its hardware slot, the count is extrapolated to the whole time.
    pub instructions: Option<u64>,
    pub syscalls: Option<u64>,
}

impl Counters {
    /// Opens all permitted counters, without starting them.
    ///
    /// As long as they are open, even stopped, each system call of every process takes about 100 ns longer, a switch
    /// between two of the counted threads 200 ns, and starting a thread 3 µs (measured on a virtual machine).
    pub fn open() -> Self {
        Self {
            instructions: EventCounter::instructions(),
            syscalls: EventCounter::syscalls(),
        }
    }

    pub fn start(&mut self) {
        for counter in [&mut self.instructions, &mut self.syscalls] {
            counter.take_if(|counter| counter.start().is_err());
        }
    }

    /// The counts since the start. Counting ends: a second call returns `None` for all.
    ///
    /// The counters are closed, since merely stopping them would leave their cost in place. Closing waits for all CPUs,
    /// some tens of milliseconds: call it outside any measured phase.
    pub fn stop(&mut self) -> Counted {
        let count = |counter: &mut Option<EventCounter>| counter.take()?.count();
        Counted {
            instructions: count(&mut self.instructions),
            syscalls: count(&mut self.syscalls),
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    fn many_system_calls() {
        for _ in 0..1000 {
            std::hint::black_box(nix::unistd::getppid());
        }
    }

    /// If the kernel does not permit counting, the answer must be `None`.
    #[test]
    fn threads_started_later_are_counted_until_the_counters_stop() {
        let mut counters = Counters::open();
        let may_count = (counters.instructions.is_some(), counters.syscalls.is_some());
        counters.start();
        std::thread::spawn(many_system_calls)
            .join()
            .expect("the thread ends");
        let counted = counters.stop();
        let (instructions, syscalls) = (counted.instructions, counted.syscalls);
        assert_eq!((instructions.is_some(), syscalls.is_some()), may_count);
        assert!(
            syscalls.is_none_or(|count| (1000..5000).contains(&count)),
            "{counted:?}"
        );
        assert!(instructions.is_none_or(|count| count > 1000), "{counted:?}");
        assert_eq!(counters.stop(), Counted::default());
    }

    #[test]
    fn work_before_the_start_does_not_count() {
        let mut counters = Counters::open();
        std::thread::spawn(many_system_calls)
            .join()
            .expect("the thread ends");
        counters.start();
        let counted = counters.stop();
        assert!(
            counted.syscalls.is_none_or(|count| count < 1000),
            "{counted:?}"
        );
    }
}
