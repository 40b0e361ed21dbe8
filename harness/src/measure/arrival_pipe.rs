//! The arrivals of an open load for a worker in another language, paced here and handed over through a FIFO.
//!
//! Timers of interpreters tick in milliseconds, and a second thread waits for the first one's lock: such a worker cannot pace
//! itself. The pacer is the one that Rust runtimes have, on a thread of the orchestrator. It never waits for the worker: what a
//! full pipe does not take is a backlog here, two positions in one schedule, and due times do not move. The records are those
//! of `PipedArrivals`; once the worker has replied, [`PacedPipe`] checks its counts and adds what only the pacer knows.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use super::arrival_record::{RECORD, encoded, monotonic_ns};
use super::{limits, phase};
use crate::os::{self, Usage};
use crate::pacer::{self, Outlet};
use photofinish_record::latency::{Latencies, LatencyRecorder};
use photofinish_record::nanoseconds;
use photofinish_record::protocol::{PipedArrivals, WorkerPlan};
use photofinish_record::schedule::{DueTimes, Schedule};
use photofinish_record::{Measurement, OpenLoad};

/// Lead time before the first arrival may be due: an interpreter starts its sessions meanwhile.
const LEAD: Duration = Duration::from_millis(100);
/// Minimum lead per session.
const LEAD_PER_SESSION: Duration = Duration::from_micros(200);

/// Pause between two attempts to open a FIFO that nobody reads yet, or to write to one that is full.
const POLL: Duration = Duration::from_millis(1);

/// The minimum: sleeps end as precisely as the kernel can.
const TIMER_SLACK_NS: u64 = 1;

/// Records encoded at once.
const MOST_ENCODED: usize = 256;

/// The FIFO of a round, whose file is removed when it is dropped.
#[derive(Debug)]
pub struct ArrivalPipe {
    path: PathBuf,
    schedule: Schedule,
    length: Duration,
    drain: Duration,
    lead: Duration,
    cpu: Option<usize>,
}

impl ArrivalPipe {
    /// Makes the FIFO for a plan with an open load, in the plan's work directory, and adds it to the plan; `None` for a closed
    /// load.
    pub fn make(plan: &mut WorkerPlan) -> io::Result<Option<Self>> {
        let Some(schedule) = phase::schedule(plan, &plan.stages, plan.stop, plan.seed) else {
            return Ok(None);
        };
        let path = plan.work_dir.join(format!("arrivals-{}", plan.round));
        fs::create_dir_all(&plan.work_dir)?;
        let _ = fs::remove_file(&path);
        mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR)?;
        let (length, drain) = (schedule.length(), limits::open_drain(plan.unit_ns));
        plan.piped = Some(PipedArrivals {
            arrivals: path.clone(),
            schedule_ns: nanoseconds(length),
            drain_ns: nanoseconds(drain),
            late_ns: OpenLoad::LATE_NS,
        });
        let sessions = plan.load.concurrency().get();
        Ok(Some(Self {
            path,
            schedule,
            length,
            drain,
            lead: LEAD_PER_SESSION.saturating_mul(sessions).max(LEAD),
            cpu: plan.pacer_cpu,
        }))
    }

    /// Starts the pacer, which waits for the worker to open the FIFO.
    pub fn start(self) -> io::Result<PipePacer> {
        let given_up = Arc::new(AtomicBool::new(false));
        let is_given_up = Arc::clone(&given_up);
        let thread = thread::Builder::new()
            .name("pacer".to_owned())
            .spawn(move || self.pace(&is_given_up))?;
        Ok(PipePacer {
            given_up,
            thread: Some(thread),
        })
    }

    fn pace(self, given_up: &AtomicBool) -> Option<PacedPipe> {
        let alone = self.cpu.is_some_and(|cpu| os::pin_process(&[cpu]).is_ok());
        os::set_timer_slack_ns(TIMER_SLACK_NS);
        let file = self.opened_by_reader(given_up)?;
        let start = Instant::now() + self.lead;
        let end = start + self.length;
        let mut outlet = PipeOutlet::new(file, &self.schedule, monotonic_ns(start), given_up);
        outlet.write_first(self.length);
        let before = os::thread_usage();
        let due_times = self.schedule.due_times().map(|due| start + due);
        let error = pacer::pace(due_times, end, alone, &mut outlet);
        outlet.drain_until(end + self.drain);
        let now = Instant::now();
        let delivered = outlet.close();
        let mut overdue = LatencyRecorder::default();
        let skipped = usize::try_from(delivered).unwrap_or(usize::MAX);
        for due in self.schedule.due_times().skip(skipped) {
            overdue.record_ns(nanoseconds(now.saturating_duration_since(start + due)));
        }
        Some(PacedPipe {
            length: self.length,
            delivered,
            overdue: overdue.latencies(),
            error,
            cost: os::thread_usage().since(before),
            alone,
        })
    }

    /// The FIFO once the worker reads it; `None` if the round was given up first.
    fn opened_by_reader(&self, given_up: &AtomicBool) -> Option<File> {
        let mut options = OpenOptions::new();
        options.write(true).custom_flags(OFlag::O_NONBLOCK.bits());
        while !given_up.load(Ordering::Relaxed) {
            match options.open(&self.path) {
                Ok(file) => {
                    grow(&file);
                    return Some(file);
                }
                // Nobody reads it yet.
                Err(error) if error.raw_os_error() == Some(Errno::ENXIO as i32) => {
                    thread::sleep(POLL);
                }
                Err(_) => return None,
            }
        }
        None
    }
}

impl Drop for ArrivalPipe {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Makes room for as many arrivals as the system permits; a smaller pipe only moves the backlog to this side.
fn grow(file: &File) {
    #[cfg(target_os = "linux")]
    {
        const LARGEST: i32 = 1 << 20;
        let _ = nix::fcntl::fcntl(file, nix::fcntl::FcntlArg::F_SETPIPE_SZ(LARGEST));
    }
    #[cfg(not(target_os = "linux"))]
    let _ = file;
}

/// The FIFO as the place to which arrivals are released: written without waiting.
struct PipeOutlet<'a> {
    file: File,
    /// Arrivals that are not encoded yet.
    rest: DueTimes,
    start_ns: u64,
    /// Number of arrivals that are due.
    released: u64,
    /// Number of arrivals encoded so far.
    encoded: u64,
    /// Records on their way, of which the first bytes may be written.
    buffer: Vec<u8>,
    is_broken: bool,
    given_up: &'a AtomicBool,
}

impl<'a> PipeOutlet<'a> {
    fn new(file: File, schedule: &Schedule, start_ns: u64, given_up: &'a AtomicBool) -> Self {
        Self {
            file,
            rest: schedule.due_times(),
            start_ns,
            released: 0,
            encoded: 0,
            buffer: Vec::with_capacity(MOST_ENCODED * RECORD),
            is_broken: false,
            given_up,
        }
    }

    /// Writes the end of a schedule of this length. Nothing else is in the pipe yet.
    fn write_first(&mut self, length: Duration) {
        self.encode(u64::MAX, self.start_ns + nanoseconds(length));
        self.is_broken = self.file.write_all(&self.buffer).is_err();
        self.buffer.clear();
    }

    fn encode(&mut self, number: u64, time_ns: u64) {
        self.buffer.extend_from_slice(&encoded(number, time_ns));
    }

    fn encode_released(&mut self) {
        while self.encoded < self.released && self.buffer.len() < MOST_ENCODED * RECORD {
            let Some(due) = self.rest.next() else { return };
            self.encode(self.encoded, self.start_ns + nanoseconds(due));
            self.encoded += 1;
        }
    }

    /// Writes what is released, as far as the pipe has room.
    fn write(&mut self) {
        loop {
            self.encode_released();
            if self.buffer.is_empty() || self.is_broken {
                return;
            }
            match self.file.write(&self.buffer) {
                Ok(written) => {
                    self.buffer.drain(..written);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // The worker has closed it, and replies or ends.
                Err(_) => self.is_broken = true,
            }
        }
    }

    fn has_backlog(&self) -> bool {
        !self.buffer.is_empty() || self.encoded < self.released
    }

    fn drain_until(&mut self, cut: Instant) {
        while self.has_backlog() && self.goes_on() && Instant::now() < cut {
            thread::sleep(POLL);
        }
    }

    /// Closes the FIFO. Returns the number of arrivals that were handed over.
    fn close(self) -> u64 {
        // A record of which a part was written is none for the reader.
        self.encoded - self.buffer.len().div_ceil(RECORD) as u64
    }
}

impl Outlet for PipeOutlet<'_> {
    fn release(&mut self, count: u64) {
        self.released += count;
        self.write();
    }

    fn goes_on(&mut self) -> bool {
        self.write();
        !self.is_broken && !self.given_up.load(Ordering::Relaxed)
    }
}

/// A pacer at work for a worker of another language. Dropping it ends it.
#[derive(Debug)]
pub struct PipePacer {
    given_up: Arc<AtomicBool>,
    thread: Option<JoinHandle<Option<PacedPipe>>>,
}

impl PipePacer {
    /// Ends the pacer, after the worker has replied; `None` if the worker never opened the FIFO.
    pub fn end(mut self) -> Option<PacedPipe> {
        self.given_up.store(true, Ordering::Relaxed);
        self.thread.take()?.join().ok()?
    }
}

impl Drop for PipePacer {
    fn drop(&mut self) {
        self.given_up.store(true, Ordering::Relaxed);
    }
}

/// A schedule that was paced through a FIFO.
#[derive(Clone, Debug)]
pub struct PacedPipe {
    length: Duration,
    /// Arrivals handed over.
    delivered: u64,
    /// Time from due until the FIFO was closed, of those that were not.
    overdue: Latencies,
    error: Latencies,
    cost: Usage,
    alone: bool,
}

impl PacedPipe {
    /// Checks the worker's counts of arrivals, and adds the pacer's numbers. An error says which counts do not agree.
    pub fn complete(self, measurement: &mut Measurement) -> Result<(), String> {
        let (ops, failed) = (measurement.ops, measurement.failed_ops());
        let Some(open) = &mut measurement.open else {
            return Err("has no numbers of an open load".to_owned());
        };
        let started = ops + failed + open.unfinished;
        let delivered = self.delivered;
        let counts = [
            ("arrivals scheduled", delivered, open.scheduled),
            (
                "arrivals started and unsent",
                delivered,
                started + open.unsent,
            ),
            ("response times", ops, open.response.count()),
            ("lags", ops + failed, open.lag.count()),
            (
                "overdue times",
                open.unfinished + open.unsent,
                open.overdue.count(),
            ),
        ];
        for (what, expected, got) in counts {
            if expected != got {
                return Err(format!("miscounts {what}: expected {expected}, got {got}"));
            }
        }
        let undelivered = self.overdue.count();
        open.scheduled = delivered + undelivered;
        open.unsent += undelivered;
        open.overdue.merge(&self.overdue);
        open.schedule_ns = nanoseconds(self.length);
        open.rate_held = OpenLoad::is_held(open.scheduled, open.started_in_time);
        open.pacing_error = self.error;
        let Usage {
            cpu_user_ns,
            cpu_system_ns,
            ..
        } = self.cost;
        open.pacer_cpu_ns = cpu_user_ns
            .zip(cpu_system_ns)
            .map(|(user, system)| user + system);
        open.pacer_alone = self.alone;
        Ok(())
    }
}
