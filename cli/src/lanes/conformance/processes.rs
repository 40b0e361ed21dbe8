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

/// How far a claim may be from what the system counted, at least.
const CPU_SLACK_NS: u64 = 50_000_000;

/// Lengths by which the rounds of a pair differ. After a difference, or where others use the machine and leave the worker too
/// little to tell by, a longer pair decides.
const LONGER: [Duration; 4] = [
    Duration::from_millis(600),
    Duration::from_millis(600),
    Duration::from_millis(1_500),
    Duration::from_secs(5),
];

/// Two rounds that differ in their length alone: the difference of what they claim is that of what the system counted, within 5 %
/// or 50 ms. Start-up and set-up are in both.
pub(super) fn cpu_time(bench: &Bench<'_>) -> Result<(), Outcome> {
    let mut result = Ok(());
    for longer in LONGER {
        result = match cpu_time_of_pair(bench, longer) {
            Ok(counted_ns) if counted_ns >= 4 * CPU_SLACK_NS => return Ok(()),
            Ok(counted_ns) => Err(Outcome::Skipped(format!(
                "the machine was too busy: of {longer:?} more, the worker ran {} ms",
                counted_ns / 1_000_000
            ))),
            Err(failed @ Outcome::Failed(_)) => Err(failed),
            Err(other) => return Err(other),
        };
    }
    result
}

/// The CPU time that the system counted for the longer round beyond that of the other, in ns.
fn cpu_time_of_pair(bench: &Bench<'_>, longer: Duration) -> Result<u64, Outcome> {
    let length = Duration::from_millis(50);
    let short = cpu_time_of(bench, length)?;
    let long = cpu_time_of(bench, length + longer)?;
    let counted = long.counted.saturating_sub(short.counted);
    let claimed = long.claimed.saturating_sub(short.claimed);
    if counted.abs_diff(claimed) > CPU_SLACK_NS.max(counted / 20) {
        let ms = |ns: u64| ns / 1_000_000;
        return Err(format!(
            "for {longer:?} more of work the system counted {} ms more, and it claims {} ms",
            ms(counted),
            ms(claimed)
        )
        .into());
    }
    Ok(counted)
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
