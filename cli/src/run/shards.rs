//! This process as one of a run's shards: joining the others, the start of each round, leaving the record behind.
//!
//! Shards that would measure different things must not start, so each says what it is about to run, and all of them compare.
//! The place where they meet is in `photofinish_harness::meeting`. Workers wait for the start of a round in a directory; if
//! the place is another one, a thread of this process meets the others and tells the worker.

mod joining;
mod served;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use photofinish_harness::meeting::{Abort, Meeting, MeetingError, Relay, Waiting, unix_us};
use photofinish_record::shard::{
    ClockOffset, Shard, ShardMember, ShardSet, StartRule, WorkerShard,
};
use photofinish_record::{Record, nanoseconds};
use tempfile::TempDir;

use crate::cleaning;
use crate::exit::{Exit, Failure, OrFail};
use crate::interrupt::Interrupt;
use crate::meeting_place::{LONGEST_REQUEST, MeetingPlace};
use crate::request::shards::{ShardRequest, Together};

use joining::{Joined, Joining, Roll};
pub use served::{Served, ServerAddress};

/// A shard of a run.
#[derive(Clone, Debug)]
pub struct ShardedRun {
    request: ShardRequest,
    /// `None` if its rounds start at fixed times.
    meeting: Option<Meeting>,
    joined: bool,
}

impl ShardedRun {
    pub fn new(request: ShardRequest) -> Result<Self, Failure> {
        let meeting = match &request.together {
            Together::Meet { store, .. } => Some(store.open()?),
            Together::Schedule { .. } => None,
        };
        Ok(Self {
            request,
            meeting,
            joined: false,
        })
    }

    pub fn shard(&self) -> Shard {
        self.request.shard
    }

    /// Waits until all shards are there, and enters them into the record.
    pub fn join(&mut self, record: &mut Record, interrupt: &Interrupt) -> Result<(), Failure> {
        let own = Joined::of(record)?;
        let clock = match (&self.request.together, self.meeting.clone()) {
            (Together::Meet { store, .. }, Some(meeting)) => {
                store.make()?;
                let clock = self.enter(&meeting, &own)?;
                self.joined = true;
                let roll = self.roll(&meeting, &own, interrupt)?;
                self.compare(&roll, &own)?;
                Some(clock)
            }
            _ => None,
        };
        record.shards = Some(ShardSet {
            count: self.shard().count(),
            identity: own.identity(),
            merged: false,
            members: vec![ShardMember {
                index: self.shard().index(),
                run: record.id.clone(),
                host: own.host,
                boot_id: own.boot_id,
                cpu_model: record.machine.cpu_model.clone(),
                worker_cpus: u32::try_from(record.plan.placement.worker_cpus.len())
                    .expect("CPUs are counted in thousands at most"),
                clock,
            }],
        });
        Ok(())
    }

    /// The roll, once all shards are there.
    fn roll(
        &self,
        meeting: &Meeting,
        own: &Joined,
        interrupt: &Interrupt,
    ) -> Result<Roll, Failure> {
        let of = self.shard().count();
        let mut joining = Joining::new(meeting, self.shard(), own);
        let mut missing = || meeting.missing(joining::FOLDER, of);
        self.wait_for(meeting, "there", interrupt, &mut missing, &mut || {
            joining.look()
        })
    }

    /// Says what this shard is, and reads the store's clock from the file that does.
    fn enter(&self, meeting: &Meeting, own: &Joined) -> Result<ClockOffset, Failure> {
        let shard = self.shard();
        meeting
            .check_going(shard.count())
            .map_err(|error| self.new_store(error))?;
        let name = format!("{}/{}", joining::FOLDER, shard.index());
        let content = serde_json::to_vec(own).expect("plain fields");
        let before = SystemTime::now();
        let created = meeting.create_first(&name, &content);
        if !created.map_err(|error| self.failure(error))? {
            let other = meeting.read(&name).ok();
            let other = other.and_then(|text| serde_json::from_slice::<Joined>(&text).ok());
            let what = other.map_or_else(
                || "it has joined already".to_owned(),
                |other| {
                    format!(
                        "process {} on {}",
                        other.process,
                        cleaning::one_line(&other.host)
                    )
                },
            );
            return Err(self.new_store(MeetingError::Taken { shard, what }));
        }
        let after = SystemTime::now();
        let stamp = meeting.stamp(&name);
        let (time, early) = stamp.map_err(|error| self.failure(error))?;
        let offset = |time, from| unix_us(time).cast_signed() - unix_us(from).cast_signed();
        Ok(ClockOffset {
            least_us: offset(time, after),
            most_us: offset(time + early, before),
        })
    }

    /// The servers of round `round` that the first shard runs for all; `None` if there are none.
    pub fn served(&self, round: u64) -> Option<Served<'_>> {
        let address = self.request.serve_on?;
        let meeting = self.meeting.as_ref()?;
        Some(Served::new(self, meeting, address, round))
    }

    /// Looks until there is an answer. At the end of the wait, `missing` has the shards that are not yet `what` they have to be;
    /// if all are, the first one has still to answer.
    fn wait_for<T>(
        &self,
        meeting: &Meeting,
        what: &str,
        interrupt: &Interrupt,
        missing: &mut dyn FnMut() -> Result<Vec<u32>, MeetingError>,
        look: &mut dyn FnMut() -> Result<Option<T>, MeetingError>,
    ) -> Result<T, Failure> {
        let limit = match &self.request.together {
            Together::Meet { limit, .. } => *limit,
            Together::Schedule { .. } => Duration::ZERO,
        };
        let (since, of) = (Instant::now(), self.shard().count());
        loop {
            // Read before the answer: whoever ends the run over it has left it before.
            let going = meeting.check_going(of);
            if let Some(answer) = look().map_err(|error| self.failure(error))? {
                return Ok(answer);
            }
            going.map_err(|error| self.failure(error))?;
            if interrupt.requested() {
                return Err(Failure::new(
                    Exit::Interrupted,
                    "interrupted while waiting for other shards",
                ));
            }
            if since.elapsed() >= limit {
                let missing = missing().map_err(|error| self.failure(error))?;
                return Err(self.failure(MeetingError::Missing {
                    missing: if missing.is_empty() { vec![0] } else { missing },
                    of,
                    what: what.to_owned(),
                    waited: limit,
                }));
            }
            thread::sleep(meeting.longest_look());
        }
    }

    /// Compares all shards with this one.
    fn compare(&self, roll: &Roll, own: &Joined) -> Result<(), Failure> {
        let shard = self.shard().index();
        if let Some((index, difference)) = roll.difference(shard, own) {
            return Err(Failure::usage(format!("shard {index} has {difference}"))
                .hint("start all shards with the same program, scenarios and options"));
        }
        match roll.beside(shard) {
            Some(index) if !self.request.shared_host => Err(Failure::usage(format!(
                "shards {index} and {shard} are on one machine, and would take each other's CPUs"
            ))
            .hint("start one for each machine, or allow it with --shared-host")),
            _ => Ok(()),
        }
    }

    /// The share of round number `round`, from 1.
    pub fn begin_round(&self, round: u64) -> Result<RoundShare, Failure> {
        let mut relaying = None;
        let start = match (&self.request.together, &self.meeting) {
            (Together::Schedule { first_us, every }, _) => {
                let every_us = u64::try_from(every.as_micros()).unwrap_or(u64::MAX);
                let later_us = every_us.saturating_mul(round.saturating_sub(1));
                StartRule::At {
                    unix_us: first_us.saturating_add(later_us),
                }
            }
            (
                Together::Meet {
                    store: MeetingPlace::Directory(store),
                    limit,
                    margin,
                },
                _,
            ) => StartRule::Meet {
                store: store.clone(),
                limit_ns: nanoseconds(*limit),
                margin_ns: nanoseconds(*margin),
            },
            (Together::Meet { limit, margin, .. }, meeting) => {
                let meeting = meeting.clone().expect("opened with the request");
                let (shard, limit, margin) = (self.shard(), *limit, *margin);
                let begun = relaying.insert(Relaying::begin(move || {
                    Waiting::ready(meeting, shard, round, limit, margin)
                })?);
                StartRule::Relayed {
                    directory: begun.directory.path().to_owned(),
                    // The last look may take a while, and so may saying that the worker is ready.
                    limit_ns: nanoseconds(limit + margin + 3 * LONGEST_REQUEST),
                }
            }
        };
        let shard = self.shard();
        Ok(RoundShare {
            worker: WorkerShard { shard, start },
            _relaying: relaying,
        })
    }

    /// Tells the others that this shard cannot go on.
    pub fn end(&self, reason: &str) {
        let (reason, shard) = (reason.to_owned(), self.shard().index());
        let Some(meeting) = &self.meeting else {
            return;
        };
        // Another process may have this place, and its run goes on.
        let is_free = || {
            let joined = meeting.names(joining::FOLDER).unwrap_or_default();
            !joined.contains(&shard.to_string())
        };
        if self.joined || is_free() {
            // If this fails, the others notice at the end of their wait that this shard is missing.
            let _ = meeting.end(&Abort { shard, reason });
        }
    }

    /// Leaves the record where `merge` finds it; returns the command that does.
    pub fn leave(&self, record: &Record) -> Result<String, Failure> {
        let Some(meeting) = &self.meeting else {
            return Ok("photofinish merge RECORD...".to_owned());
        };
        let content = serde_json::to_vec(record).or_fail("cannot write the record")?;
        let name = format!("{RECORDS}/{}.json", self.shard().index());
        let created = meeting.create(&name, &content);
        if !created.map_err(|error| self.failure(error))? {
            let what = "its record is there already".to_owned();
            let shard = self.shard();
            return Err(self.new_store(MeetingError::Taken { shard, what }));
        }
        Ok(format!("photofinish merge {}", meeting.place()))
    }

    fn failure(&self, error: MeetingError) -> Failure {
        let failure = Failure::could_not_run(error.to_string());
        match (&error, &self.request.together) {
            (MeetingError::Missing { .. }, _) => failure.hint(
                "start all shards at about the same time, with the same --store, or raise --store-timeout",
            ),
            (MeetingError::Io { .. } | MeetingError::Overwrites { .. }, Together::Meet { store, .. }) => {
                failure.hint(store.advice())
            }
            _ => failure,
        }
    }

    /// The failure of a store that another run has used.
    fn new_store(&self, error: MeetingError) -> Failure {
        match (&error, &self.request.together) {
            (
                MeetingError::Ended { .. } | MeetingError::Taken { .. },
                Together::Meet { store, .. },
            ) => Failure::could_not_run(error.to_string())
                .hint(format!("use a new {} for each run", store.noun())),
            _ => self.failure(error),
        }
    }
}

/// The share of one round, and whatever must go on while it is measured.
pub struct RoundShare {
    pub worker: WorkerShard,
    _relaying: Option<Relaying>,
}

/// A thread that meets the others for a worker. Dropping it ends both.
struct Relaying {
    directory: TempDir,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Relaying {
    fn begin(
        meet: impl FnOnce() -> Result<Waiting, MeetingError> + Send + 'static,
    ) -> Result<Self, Failure> {
        let directory = tempfile::tempdir().or_fail("cannot make a temporary directory")?;
        let stop = Arc::new(AtomicBool::new(false));
        let (relay, stopped) = (Relay::new(directory.path().to_owned()), Arc::clone(&stop));
        let serve = move || relay.serve(meet, &|| stopped.load(Ordering::Relaxed));
        let thread = thread::Builder::new().name("meeting".into()).spawn(serve);
        Ok(Self {
            directory,
            stop,
            thread: Some(thread.or_fail("cannot start a thread")?),
        })
    }
}

impl Drop for Relaying {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // It must not write to the directory once that is gone.
        let ended = self.thread.take().map(JoinHandle::join);
        debug_assert!(ended.is_none_or(|ended| ended.is_ok()), "it does not panic");
    }
}

/// The folder of the records in a store.
pub const RECORDS: &str = "records";

/// Number of shards as given to `plan`.
pub fn parse_count(text: &str) -> Result<NonZeroU32, String> {
    let count = text
        .parse()
        .ok()
        .filter(|count: &NonZeroU32| count.get() <= Shard::MOST);
    count.ok_or_else(|| format!("expected a number of shards from 1 to {}", Shard::MOST))
}
