//! The conformance suite: what every runtime of the list must do, whatever it is made of.
//!
//! One file per family of promises of the `Runtime` trait; each check is one promise, its name says which, and `suite`
//! runs it for every runtime in a process of its own. Speed is not promised and not tested here: times are lower bounds,
//! or bounds generous enough for a busy machine.

#[path = "../suite/mod.rs"]
mod suite;

mod peer;

mod spawning;

mod time;

mod timeout;

mod tcp;

mod tcp_options;

mod unix;

mod files;

mod offload;

mod channel;

mod semaphore;

mod sessions;

mod leaks;

fn main() -> std::process::ExitCode {
    let checks = &[
        spawning::CHECKS,
        time::CHECKS,
        timeout::CHECKS,
        tcp::CHECKS,
        tcp_options::CHECKS,
        unix::CHECKS,
        files::CHECKS,
        offload::CHECKS,
        channel::CHECKS,
        semaphore::CHECKS,
        sessions::CHECKS,
        leaks::CHECKS,
    ];
    suite::run(checks, &[suite::Dispatch::Static, suite::Dispatch::Dynamic])
}
