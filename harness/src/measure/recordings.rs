//! The sessions' recordings and activities, shared with the code that sums up a round.
//!
//! A session writes to its place once per operation, under a lock that it nearly always has to itself. Sessions share
//! recordings under every runtime alike: a histogram for each would fill the CPU's caches. The holder of the
//! recordings can sum up whether or not the sessions have returned.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::intervals::Ruler;
use crate::os;
use crate::parts::{PartRecorder, Parts};
use crate::recording::Recording;
use photofinish_record::Part;
use photofinish_record::load::Load;
use photofinish_record::protocol::WorkerPlan;

/// Recordings per CPU, up to the maximum. A session holds the lock for about 1 % of a short operation, so there is hardly any
/// contention.
const RECORDINGS_PER_CPU: u32 = 4;
/// Maximum number of histograms per round. Each takes 292 KiB; recordings of open loads hold three.
const MOST_RECORDINGS: u32 = 64;
/// Maximum under open load, whose sessions record less often than under closed load.
const MOST_RECORDINGS_OPEN: u32 = 16;

/// Number of recordings that `sessions` share on the CPUs of this process.
pub(super) fn stripes_for(sessions: NonZeroU32) -> NonZeroU32 {
    let cpus = u32::try_from(os::allowed_cpus().len()).unwrap_or(u32::MAX);
    let most = NonZeroU32::new(cpus.saturating_mul(RECORDINGS_PER_CPU));
    sessions.min(most.unwrap_or(NonZeroU32::MAX))
}

/// A session's time at work in a phase.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Activity {
    /// Start of its first operation.
    pub(super) first_start: Option<Instant>,
    /// End of its last one.
    pub(super) last_end: Option<Instant>,
    /// Operations that succeeded.
    pub(super) succeeded: u64,
    /// True once the session has returned from the phase.
    pub(super) returned: bool,
}

impl Activity {
    /// From the first start to the last end.
    pub(super) fn duration(&self) -> Duration {
        match (self.first_start, self.last_end) {
            (Some(start), Some(end)) => end - start,
            _ => Duration::ZERO,
        }
    }

    /// True if it ran operations and none succeeded, or is stuck in its first one.
    pub(super) fn is_fruitless(&self) -> bool {
        self.succeeded == 0 && (self.last_end.is_some() || !self.returned)
    }

    /// Successful operations per second from the phase's `start` to the end of this session's last one. It counts from
    /// the phase's start because a session that had to wait for its turn was slow, not fast; and to its own end because
    /// a session that is done while others finish a long operation was not slow.
    pub(super) fn rate_hz(&self, start: Instant) -> f64 {
        let active = self.last_end.map_or(Duration::ZERO, |end| end - start);
        if active.is_zero() {
            0.0
        } else {
            self.succeeded as f64 / active.as_secs_f64()
        }
    }
}

/// A recording, and the activities of the sessions that write to it.
#[derive(Debug)]
pub(super) struct Stripe {
    pub(super) recording: Recording,
    pub(super) activities: Vec<Activity>,
}

/// The slot that one session writes to.
#[derive(Clone, Debug)]
pub(super) struct SessionSlot {
    stripe: Arc<Mutex<Stripe>>,
    /// Index of its activity in the stripe.
    pub(super) slot: usize,
}

impl SessionSlot {
    pub(super) fn lock(&self) -> MutexGuard<'_, Stripe> {
        locked(&self.stripe)
    }

    /// Changes the session's activity.
    pub(super) fn set(&self, change: impl FnOnce(&mut Activity)) {
        change(&mut self.lock().activities[self.slot]);
    }
}

/// The recordings of all sessions.
#[derive(Clone, Debug)]
pub(super) struct Recordings {
    stripes: Vec<Arc<Mutex<Stripe>>>,
    /// Under locks of their own, always taken after a stripe's.
    parts: Parts,
}

impl Recordings {
    pub(super) fn for_sessions(sessions: NonZeroU32, plan: &WorkerPlan, parts: Parts) -> Self {
        let (most, make): (_, fn() -> Recording) = match plan.load {
            Load::Closed { .. } => (MOST_RECORDINGS, Recording::default),
            Load::Open { .. } => (MOST_RECORDINGS_OPEN, Recording::of_arrivals),
        };
        let stripes = most.min(stripes_for(sessions).get());
        let stripe = |index: u32| {
            let recording = make();
            let recording = if plan.audit {
                recording.audited()
            } else {
                recording
            };
            let places = (sessions.get() - index).div_ceil(stripes);
            Arc::new(Mutex::new(Stripe {
                recording,
                activities: vec![Activity::default(); places as usize],
            }))
        };
        Self {
            stripes: (0..stripes).map(stripe).collect(),
            parts,
        }
    }

    /// The slot of session number `index`.
    pub(super) fn place(&self, index: u32) -> SessionSlot {
        let (index, stripes) = (index as usize, self.stripes.len());
        SessionSlot {
            stripe: Arc::clone(&self.stripes[index % stripes]),
            slot: index / stripes,
        }
    }

    /// The handle to the parts of the session with this number among those of all shards.
    pub(super) fn part_recorder(&self, number: u64) -> PartRecorder {
        self.parts.recorder(number)
    }

    /// Begins the intervals of a phase.
    pub(super) fn begin_intervals(&self, ruler: Ruler) {
        for stripe in &self.stripes {
            locked(stripe).recording.begin_intervals(ruler);
        }
    }

    /// Operations recorded so far in this phase.
    pub(super) fn ended(&self) -> u64 {
        let ended = |stripe: &Arc<Mutex<Stripe>>| {
            let stripe = locked(stripe);
            stripe.recording.succeeded() + stripe.recording.failed()
        };
        self.stripes.iter().map(ended).sum()
    }

    /// The sessions' activities in this phase, in no particular order.
    pub(super) fn activities(&self) -> Vec<Activity> {
        let stripes = self.stripes.iter();
        stripes
            .flat_map(|stripe| locked(stripe).activities.clone())
            .collect()
    }

    /// The figures of the parts in a recording that was drained from here.
    pub(super) fn parts_of(&self, drained: &Recording) -> Vec<Part> {
        drained.parts(&self.parts)
    }

    /// Merges all recordings, and empties each for the next phase.
    pub(super) fn drain(&self) -> Recording {
        self.drain_after(|_| ()).0
    }

    /// Like [`Self::drain`], after running `work` on all activities while no session can record.
    pub(super) fn drain_after<T>(&self, work: impl FnOnce(&[Activity]) -> T) -> (Recording, T) {
        let mut stripes: Vec<_> = self.stripes.iter().map(|stripe| locked(stripe)).collect();
        let activities: Vec<Activity> = stripes
            .iter()
            .flat_map(|stripe| stripe.activities.iter().copied())
            .collect();
        let done = work(&activities);
        let mut all = Recording::default();
        for stripe in &mut stripes {
            all.merge(&stripe.recording);
            stripe.recording.clear();
        }
        all.take_parts(&self.parts);
        (all, done)
    }
}

fn locked(stripe: &Mutex<Stripe>) -> MutexGuard<'_, Stripe> {
    stripe.lock().unwrap_or_else(PoisonError::into_inner)
}
