//! Event counters of the Linux kernel (`perf_event_open`): a counter that is open counts, one that cannot be opened is
//! `None`.
//!
//! Only opening, starting and reading live here; `os/counters.rs` decides which counters there are and when they count.
//! The tracepoint's number is read from tracefs, which is mounted on most machines but often readable by root alone;
//! nothing is mounted here.

use std::fs::read_to_string;
use std::io;
use std::time::Duration;

use perf_event::events::{Hardware, Tracepoint};
use perf_event::{Builder, Counter, CounterData};

/// Files that may hold the id of the tracepoint at the entry of every system call.
const SYSCALL_ENTRY: [&str; 2] = [
    "/sys/kernel/tracing/events/raw_syscalls/sys_enter/id",
    "/sys/kernel/debug/tracing/events/raw_syscalls/sys_enter/id",
];

/// A counter over the thread that opened it and the threads started by it later.
#[derive(Debug)]
pub(crate) struct EventCounter(Counter);

impl EventCounter {
    /// Opens an instruction counter, not started yet: including the kernel's instructions if that is permitted.
    pub(crate) fn instructions() -> Option<Self> {
        let open = |with_kernel: bool| {
            Builder::new(Hardware::INSTRUCTIONS)
                .exclude_kernel(!with_kernel)
                .inherit(true)
                .build()
        };
        open(true).or_else(|_| open(false)).ok().map(Self)
    }

    /// Opens a system call counter, not started yet.
    pub(crate) fn syscalls() -> Option<Self> {
        let number = |path: &&str| read_to_string(path).ok()?.trim().parse().ok();
        let tracepoint = Tracepoint::with_id(SYSCALL_ENTRY.iter().find_map(number)?);
        // The tracepoint is in the kernel: with the kernel excluded nothing would ever be counted, and 0 would be a
        // lie.
        let opened = Builder::new(tracepoint)
            .include_kernel()
            .inherit(true)
            .build();
        opened.ok().map(Self)
    }

    pub(crate) fn start(&mut self) -> io::Result<()> {
        self.0.enable()
    }

    /// The count so far, over all threads.
    pub(crate) fn count(&mut self) -> Option<u64> {
        self.0.read_full().ok().as_ref().and_then(whole)
    }
}

/// The count, scaled up for the time in which the counter had no hardware slot; `None` if it never had one.
fn whole(data: &CounterData) -> Option<u64> {
    let (enabled, running) = (data.time_enabled()?, data.time_running()?);
    scaled(data.count(), enabled, running)
}

fn scaled(count: u64, enabled: Duration, running: Duration) -> Option<u64> {
    if enabled == running {
        return Some(count);
    }
    let scale = enabled.as_secs_f64() / running.as_secs_f64();
    (!running.is_zero()).then_some((count as f64 * scale) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_multiplexed_counter_is_scaled_and_one_never_scheduled_is_unknown() {
        let check = |running_ms, expected| {
            let running = Duration::from_millis(running_ms);
            assert_eq!(scaled(600, Duration::from_millis(30), running), expected);
        };
        check(30, Some(600));
        check(20, Some(900));
        check(0, None);
    }
}
