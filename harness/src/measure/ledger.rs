//! The ledger of a round: enough to report on it even if its sessions are stuck.
//!
//! The recordings are shared with the sessions, so the holder of a ledger can sum a round up whether or not its
//! sessions returned. Nothing here depends on runtime or workload.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use super::common_start::Start;
use super::os;
use super::outcome::{Ends, Phase};
use super::recordings::{Activity, Recordings};
use super::unfinished::{SetUp, Stuck, Unfinished};
use crate::observed::Observed;
use crate::recording::Recording;
use crate::runtime::Runtime;
use crate::traffic::TrafficCounter;
use crate::workload::Totals;
use photofinish_record::nanoseconds;
use photofinish_record::protocol::{Audit, WorkerResult};
use photofinish_record::shard::CommonStart;
use photofinish_record::{Cost, LoopOverhead, Measurement, OpenLoad, Traffic};

/// The part of the warm-up that is kept.
#[derive(Clone, Debug, Default)]
pub(super) struct Warmup {
    succeeded: u64,
    failed: u64,
    errors: BTreeMap<String, u64>,
    violations: Vec<String>,
    counted: os::Counted,
}

impl Warmup {
    /// Sums up the warm-up's recording and the kernel's counts during it.
    pub(super) fn of(recording: &Recording, counted: os::Counted) -> Self {
        Self {
            succeeded: recording.succeeded(),
            failed: recording.failed(),
            errors: recording.failure_counts(),
            violations: recording.violations().to_vec(),
            counted,
        }
    }

    /// A count per operation, successful or not; `None` if there were no operations.
    fn per_op(&self, counted: Option<u64>) -> Option<f64> {
        let ops = self.succeeded + self.failed;
        (ops > 0).then_some(counted? as f64 / ops as f64)
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Ending {
    pub(super) spent: os::Usage,
    /// Violated expectations over the whole round.
    pub(super) broken: Vec<String>,
    /// Oddities that leave the numbers intact.
    pub(super) warnings: Vec<String>,
    /// Allocations in the measured phase, if they were counted.
    pub(super) allocations: Option<u64>,
}

/// The result of a round.
pub(super) struct Reported {
    pub(super) measurement: Measurement,
    pub(super) audit: Option<Audit>,
}

impl From<Reported> for WorkerResult {
    fn from(reported: Reported) -> Self {
        Self::Ok {
            measurement: Box::new(reported.measurement),
            audit: reported.audit,
        }
    }
}

/// The counts so far.
pub(super) fn snapshots(counters: &BTreeMap<String, TrafficCounter>) -> BTreeMap<String, Traffic> {
    let counters = counters.iter();
    counters
        .map(|(target, counter)| (target.clone(), counter.snapshot()))
        .collect()
}

/// Everything that a round knows apart from its sessions.
#[derive(Clone, Debug)]
pub(super) struct Ledger {
    pub(super) recordings: Recordings,
    sessions: NonZeroU32,
    worker_threads: u32,
    runtime_facts: BTreeMap<String, String>,
    traffic: BTreeMap<String, TrafficCounter>,
    set_up: SetUp,
    observed: Observed,
    /// The loop's own cost, once measured.
    pub(super) overhead: Option<LoopOverhead>,
    /// Empty until the warm-up has ended.
    pub(super) warmup: Warmup,
    /// Start of the measured phase, if other shards share it.
    pub(super) start: Option<Start>,
}

impl Ledger {
    /// The ledger of a round before its warm-up.
    pub(super) fn new<R: Runtime>(
        runtime: &R,
        observed: &Observed,
        traffic: BTreeMap<String, TrafficCounter>,
        set_up: SetUp,
        recordings: Recordings,
        sessions: NonZeroU32,
    ) -> Self {
        Self {
            recordings,
            sessions,
            worker_threads: runtime.worker_threads(sessions),
            runtime_facts: runtime.facts(),
            traffic,
            set_up,
            observed: observed.clone(),
            overhead: None,
            warmup: Warmup::default(),
            start: None,
        }
    }

    /// True if a server has answered a request of this round.
    pub(super) fn has_responses(&self) -> bool {
        let traffic = snapshots(&self.traffic);
        traffic.values().any(|traffic| traffic.requests > 0)
    }

    /// Totals of the whole round: its operations including those `measured`, and traffic since `before`.
    pub(super) fn totals(
        &self,
        measured: &Recording,
        before: &BTreeMap<String, Traffic>,
    ) -> Totals {
        let mut traffic = snapshots(&self.traffic);
        for (target, traffic) in &mut traffic {
            *traffic = traffic.since(&before[target]);
        }
        Totals {
            sessions: self.sessions.get(),
            succeeded: self.warmup.succeeded + measured.succeeded(),
            failed: self.warmup.failed + measured.failed(),
            traffic,
        }
    }

    /// The result of a round whose warm-up is ended after `waited`, with operations in flight.
    pub(super) fn given_up_warmup(&self, waited: Duration) -> WorkerResult {
        let ended = self.recordings.ended();
        self.unfinished(&self.recordings.activities(), true, ended, waited)
            .failed()
    }

    /// The result of a round whose measured phase, begun at `start`, is ended now with operations in flight. They count
    /// as failures of their own kind.
    pub(super) fn given_up(&self, start: Instant) -> WorkerResult {
        let now = Instant::now();
        let (mut recording, mut activities) = self.recordings.drain_after(<[Activity]>::to_vec);
        let ended = recording.succeeded() + recording.failed();
        let unfinished = self.unfinished(&activities, false, ended, now - start);
        let stuck = activities.iter().filter(|activity| !activity.returned);
        let waits_ns = stuck.map(|activity| nanoseconds(now - activity.last_end.unwrap_or(start)));
        recording.record_unfinished(waits_ns, &unfinished.reason());
        for activity in activities.iter_mut().filter(|activity| !activity.returned) {
            // It was in its operation until now, so that its rate falls.
            activity.first_start.get_or_insert(start);
            activity.last_end = Some(now);
        }
        let phase = Ends::of(&activities, None).phase(recording);
        self.reported(phase, Ending::default()).into()
    }

    fn unfinished(
        &self,
        activities: &[Activity],
        warmup: bool,
        ended: u64,
        waited: Duration,
    ) -> Unfinished {
        Unfinished {
            warmup,
            sessions: Stuck::of(activities),
            operation: mean_operation(activities, ended),
            set_up: self.set_up,
            ended,
            traffic: snapshots(&self.traffic),
            waited,
        }
    }

    /// The measurement, with the audit if one was requested.
    pub(super) fn reported(&self, mut measured: Phase, ending: Ending) -> Reported {
        let audit = measured.recording.take_samples().map(|service_ns| Audit {
            service_ns,
            allocations: ending.allocations,
        });
        Reported {
            measurement: self.measurement(measured, ending),
            audit,
        }
    }

    fn common_start(&self, measured: &Phase) -> Option<CommonStart> {
        let Start { unix_us, instant } = self.start?;
        let after = measured
            .start
            .map(|first| first.saturating_duration_since(instant));
        Some(CommonStart {
            unix_us,
            after_ns: nanoseconds(after.unwrap_or_default()),
        })
    }

    fn measurement(&self, mut measured: Phase, ending: Ending) -> Measurement {
        let open = open_load(&mut measured);
        let mut violations = self.warmup.violations.clone();
        violations.extend_from_slice(measured.recording.violations());
        violations.extend(ending.broken);
        let spent = ending.spent;
        Measurement {
            sessions: self.sessions.get(),
            worker_threads: self.worker_threads,
            runtime_facts: self.runtime_facts.clone(),
            ops: measured.recording.succeeded(),
            warmup_ops: self.warmup.succeeded + self.warmup.failed,
            warmup_errors: self.warmup.errors.clone(),
            elapsed_ns: nanoseconds(measured.elapsed),
            session_ns: nanoseconds(measured.session_time),
            throughput_ops_s: measured.throughput_ops_s,
            sessions_without_success: u32::try_from(measured.fruitless).unwrap_or(u32::MAX),
            open,
            overhead: self.overhead,
            observed: self.observed.all_times(),
            gauges: self.observed.gauges(),
            contents: self.observed.contents(),
            common_start: self.common_start(&measured),
            traffic: snapshots(&self.traffic),
            cost: Cost {
                cpu_user_ns: spent.cpu_user_ns,
                cpu_system_ns: spent.cpu_system_ns,
                voluntary_switches: spent.voluntary_switches,
                involuntary_switches: spent.involuntary_switches,
                minor_faults: spent.minor_faults,
                major_faults: spent.major_faults,
                instructions_per_op: self.warmup.per_op(self.warmup.counted.instructions),
                syscalls_per_op: self.warmup.per_op(self.warmup.counted.syscalls),
                peak_rss_bytes: os::peak_rss_bytes(),
                threads: measured.threads,
            },
            parts: self.recordings.parts_of(&measured.recording),
            violations,
            warnings: ending.warnings,
            errors: measured.recording.failures(),
            intervals: measured.recording.intervals(),
            service: measured.recording.into_service(),
        }
    }
}

/// Mean time of an operation of a phase with `ended` operations; `None` without any.
pub(super) fn mean_operation(activities: &[Activity], ended: u64) -> Option<Duration> {
    let busy: Duration = activities.iter().map(Activity::duration).sum();
    (ended > 0).then(|| busy.div_f64(ended as f64))
}

fn open_load(measured: &mut Phase) -> Option<OpenLoad> {
    let paced = measured.paced.take()?;
    let times = measured.recording.take_arrivals().unwrap_or_default();
    Some(OpenLoad {
        scheduled: paced.scheduled,
        schedule_ns: nanoseconds(paced.length),
        started_in_time: paced.pace.started_in_time,
        rate_held: OpenLoad::is_held(paced.scheduled, paced.pace.started_in_time),
        late: times.late,
        unfinished: paced.leftover.unfinished,
        unsent: paced.leftover.unsent,
        response: times.response.latencies(),
        lag: times.lag.latencies(),
        overdue: paced.leftover.overdue,
        pacing_error: paced.pace.error,
        pacer_cpu_ns: paced
            .cost
            .cpu_user_ns
            .zip(paced.cost.cpu_system_ns)
            .map(|(user, system)| user + system),
        pacer_alone: paced.alone,
    })
}
