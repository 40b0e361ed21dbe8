//! Checks of a worker as a process: its CPUs, its CPU time, and its end.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{Signal, kill};
use nix::sys::time::TimeValLike as _;
use nix::unistd::Pid;

use super::bench::{Bench, ENDING, lasting, line, measured, result};
use super::{Outcome, equal};

pub(super) fn affinity(bench: &Bench<'_>) -> Result<(), Outcome> {
    let plan = bench.plan("http-get", &lasting(ENDING));
    let expected = plan["cpus"][0].to_string();
    let worker = bench.at_work()?;
    let tasks = fs::read_dir(format!("/proc/{}/task", worker.id()))
        .map_err(|error| format!("its threads cannot be listed: {error}"))?;
    for task in tasks.flatten() {
        let Ok(status) = fs::read_to_string(task.path().join("status")) else {
            continue; // It has ended.
        };
        let mut lines = status.lines();
        let allowed = lines.find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        equal(
            "the CPUs of a thread",
            expected.as_str(),
            allowed.unwrap_or_default().trim(),
        )?;
    }
    Ok(())
}

/// CPU times of one round, in ns.
#[derive(Clone, Copy, Debug)]
struct CpuTime {
    claimed: u64,
    /// Of the whole process, by the system.
    counted: u64,
}

/// Pairs of rounds after which a difference is that of the worker: starting an interpreter takes longer when others use the machine.
const MOST_PAIRS: u32 = 3;

/// Two rounds that differ in their length alone: the difference of what they claim is that of what the system counted, within 5 %
/// or 50 ms. Start-up and set-up are in both.
pub(super) fn cpu_time(bench: &Bench<'_>) -> Result<(), Outcome> {
    for _ in 1..MOST_PAIRS {
        match cpu_time_of_pair(bench) {
            Err(Outcome::Failed(_)) => {}
            other => return other,
        }
    }
    cpu_time_of_pair(bench)
}

fn cpu_time_of_pair(bench: &Bench<'_>) -> Result<(), Outcome> {
    const SLACK_NS: u64 = 50_000_000;
    let short = cpu_time_of(bench, Duration::from_millis(50))?;
    let long = cpu_time_of(bench, Duration::from_millis(650))?;
    let counted = long.counted.saturating_sub(short.counted);
    let claimed = long.claimed.saturating_sub(short.claimed);
    if counted.abs_diff(claimed) > SLACK_NS.max(counted / 20) {
        let ms = |ns: u64| ns / 1_000_000;
        return Err(format!(
            "for 600 ms more of work the system counted {} ms more, and it claims {} ms",
            ms(counted),
            ms(claimed)
        )
        .into());
    }
    Ok(())
}

fn cpu_time_of(bench: &Bench<'_>, length: Duration) -> Result<CpuTime, Outcome> {
    let before = counted_of_children()?;
    let mut worker = bench.start(&bench.plan("null", &lasting(length)))?;
    let (measurement, _) = measured(result(&line(&mut worker)?)?)?;
    if !worker.end_within(super::bench::REPLYING) {
        return Err("it did not exit".to_owned().into());
    }
    let cost = measurement.cost;
    let Some((user, system)) = cost.cpu_user_ns.zip(cost.cpu_system_ns) else {
        return Err(Outcome::Skipped("it tells no CPU time".to_owned()));
    };
    Ok(CpuTime {
        claimed: user + system,
        counted: counted_of_children()?.saturating_sub(before),
    })
}

/// CPU time of all children that have ended, in ns.
fn counted_of_children() -> Result<u64, String> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)
        .map_err(|error| format!("the system tells no CPU time: {error}"))?;
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(u64::try_from(micros).unwrap_or(0) * 1_000)
}

pub(super) fn ends_on_sigterm(bench: &Bench<'_>) -> Result<(), Outcome> {
    let mut worker = bench.at_work()?;
    let process = i32::try_from(worker.id()).map_err(|error| error.to_string())?;
    kill(Pid::from_raw(process), Signal::SIGTERM).map_err(|error| error.to_string())?;
    let sent = Instant::now();
    if worker.end_within(ENDING) {
        return Ok(());
    }
    Err(format!("it was still there {:?} after SIGTERM", sent.elapsed()).into())
}

/// The parent of a process is the thread that started it.
pub(super) fn ends_with_its_parent(bench: &Bench<'_>) -> Result<(), Outcome> {
    if !cfg!(target_os = "linux") {
        return Err(Outcome::Skipped(
            "this system does not tell processes".to_owned(),
        ));
    }
    let started: Result<_, String> = thread::scope(|scope| {
        scope
            .spawn(|| bench.at_work())
            .join()
            .unwrap_or_else(|_| Err("the thread that started it panicked".to_owned()))
    });
    let mut worker = started?;
    if worker.end_within(ENDING) {
        return Ok(());
    }
    Err(format!("it was still there {ENDING:?} after the end of its parent").into())
}
