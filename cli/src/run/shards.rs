//! This process as one of a run's shards: joining the others, the start of each round, leaving the record behind.
//!
//! Shards that would measure different things must not start, so each says what it is about to run, and all of them compare.
//! The place where they meet is in `photofinish_harness::meeting`. Workers wait for the start of a round in a directory; if
//! the place is another one, a thread of this process meets the others and tells the worker.

mod served;

use std::fs;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Instant, SystemTime};

use photofinish_harness::meeting::{Abort, Meeting, MeetingError, Relay, Waiting, unix_us};
use photofinish_harness::os;
use photofinish_record::shard::{
    ClockOffset, Shard, ShardMember, ShardSet, StartRule, WorkerShard,
};
use photofinish_record::{PlannedServer, Record, canonical_json, hex, nanoseconds};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::cleaning;
use crate::exit::{Exit, Failure, OrFail};
use crate::interrupt::Interrupt;
use crate::meeting_place::{LONGEST_REQUEST, MeetingPlace};
use crate::process::this_program;
use crate::request::shards::{ShardRequest, Together};

pub use served::{Served, ServerAddress};

/// A shard of a run.
#[derive(Clone, Debug)]
pub struct ShardedRun {
    request: ShardRequest,
    /// `None` if its rounds start at fixed times.
    meeting: Option<Meeting>,
    joined: bool,
}

/// A shard's particulars, which all others read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Joined {
    version: String,
    /// SHA-256 of the program.
    program: String,
    /// SHA-256 of the plan, without what is particular to a machine.
    plan: String,
    seed: u64,
    host: String,
    boot_id: Option<String>,
    process: u32,
}

impl Joined {
    fn of(record: &Record) -> Result<Self, Failure> {
        let program = this_program()?;
        let content = fs::read(&program).or_fail("cannot read the program's own file")?;
        Ok(Self {
            version: record.tool.version.clone(),
            program: hex(Sha256::digest(content)),
            plan: hex(Sha256::digest(canonical_json(common_plan(record)))),
            seed: record.seed,
            host: os::host_name().unwrap_or_default(),
            boot_id: record.machine.boot_id.clone(),
            process: std::process::id(),
        })
    }

    /// SHA-256 over everything that must be the same for all shards.
    fn identity(&self) -> String {
        let same = json!({
            "version": self.version, "program": self.program, "plan": self.plan, "seed": self.seed,
        });
        hex(Sha256::digest(canonical_json(same)))
    }

    /// The first thing that must be the same and is not.
    fn difference(&self, other: &Self) -> Option<String> {
        let versions = (&self.version, &other.version);
        if self.seed != other.seed {
            return Some(format!("another seed ({} and {})", other.seed, self.seed));
        }
        if versions.0 != versions.1 {
            return Some(format!(
                "another version ({} and {})",
                versions.1, versions.0
            ));
        }
        if self.program != other.program {
            return Some("another build of the program".to_owned());
        }
        (self.plan != other.plan).then(|| "another plan".to_owned())
    }
}

/// The plan of a record without what is particular to a machine: CPUs, and how a server was reached.
fn common_plan(record: &Record) -> serde_json::Value {
    let mut plan = record.plan.clone();
    plan.placement.server_cpus.clear();
    plan.placement.worker_cpus.clear();
    plan.placement.orchestrator_cpus.clear();
    plan.placement.pacer_cpu = None;
    for server in plan
        .scenarios
        .iter_mut()
        .flat_map(|scenario| scenario.servers.values_mut())
    {
        if let PlannedServer::External {
            software,
            address,
            tls,
            cpus,
            ..
        } = server
        {
            (*software, *address, *tls, *cpus) = (None, None, None, None);
        }
    }
    json!(plan)
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
                let of = self.shard().count();
                self.wait_for(&meeting, "there", interrupt, &mut || {
                    meeting.missing("joined", of)
                })?;
                self.compare(&meeting, &own)?;
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

    /// Says what this shard is, and reads the store's clock from the file that does.
    fn enter(&self, meeting: &Meeting, own: &Joined) -> Result<ClockOffset, Failure> {
        let shard = self.shard();
        meeting
            .check_going(shard.count())
            .map_err(|error| self.new_store(error))?;
        let name = format!("joined/{}", shard.index());
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

    /// Waits until no shard is missing; `what` is what they have to be.
    fn wait_for(
        &self,
        meeting: &Meeting,
        what: &str,
        interrupt: &Interrupt,
        missing: &mut dyn FnMut() -> Result<Vec<u32>, MeetingError>,
    ) -> Result<(), Failure> {
        let Together::Meet { limit, .. } = &self.request.together else {
            return Ok(());
        };
        let (since, of) = (Instant::now(), self.shard().count());
        loop {
            let missing = missing().map_err(|error| self.failure(error))?;
            if missing.is_empty() {
                return Ok(());
            }
            meeting
                .check_going(of)
                .map_err(|error| self.failure(error))?;
            if interrupt.requested() {
                return Err(Failure::new(
                    Exit::Interrupted,
                    "interrupted while waiting for other shards",
                ));
            }
            if since.elapsed() >= *limit {
                return Err(self.failure(MeetingError::Missing {
                    missing,
                    of,
                    what: what.to_owned(),
                    waited: *limit,
                }));
            }
            thread::sleep(meeting.longest_look());
        }
    }

    /// Compares all shards with this one.
    fn compare(&self, meeting: &Meeting, own: &Joined) -> Result<(), Failure> {
        let shard = self.shard();
        let others = (0..shard.count().get()).filter(|index| *index != shard.index());
        for index in others {
            let content = meeting.read(&format!("joined/{index}"));
            let content = content.map_err(|error| self.failure(error))?;
            let other: Joined = serde_json::from_slice(&content)
                .or_fail(format!("shard {index} did not say what it is"))?;
            if let Some(difference) = own.difference(&other) {
                return Err(Failure::usage(format!("shard {index} has {difference}"))
                    .hint("start all shards with the same program, scenarios and options"));
            }
            if own.boot_id == other.boot_id && own.host == other.host && !self.request.shared_host {
                return Err(Failure::usage(format!(
                    "shards {index} and {} are on one machine, and would take each other's CPUs",
                    shard.index()
                ))
                .hint("start one for each machine, or allow it with --shared-host"));
            }
        }
        Ok(())
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
            let joined = meeting.names("joined").unwrap_or_default();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_have_to_be_equal_in_all_that_is_measured() {
        let own = Joined {
            version: "0.1.0".to_owned(),
            program: "abc".to_owned(),
            plan: "def".to_owned(),
            seed: 1,
            host: "a".to_owned(),
            boot_id: None,
            process: 7,
        };
        let difference = |change: fn(&mut Joined)| {
            let mut other = own.clone();
            change(&mut other);
            let is_equal = own.identity() == other.identity();
            let difference = own.difference(&other);
            assert_eq!(is_equal, difference.is_none());
            difference.unwrap_or_default()
        };
        assert_eq!(difference(|other| other.seed = 2), "another seed (2 and 1)");
        assert_eq!(
            difference(|other| other.version = "0.2.0".to_owned()),
            "another version (0.2.0 and 0.1.0)"
        );
        assert_eq!(
            difference(|other| other.program.clear()),
            "another build of the program"
        );
        assert_eq!(difference(|other| other.plan.clear()), "another plan");
        let elsewhere = |other: &mut Joined| (other.host, other.process) = ("b".to_owned(), 8);
        assert_eq!(difference(elsewhere), "");
    }
}
