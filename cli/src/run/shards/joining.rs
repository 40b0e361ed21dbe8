//! Joining a run: each shard says what it is about to run, and compares it with all others.
//!
//! The first shard reads what each of them says, as they come, and leaves the roll: what it runs itself, and which of the others
//! differ. They read the roll alone, so that what a shard reads does not grow with their number.

use std::collections::BTreeMap;
use std::fs;

use photofinish_harness::meeting::{Meeting, MeetingError};
use photofinish_harness::os;
use photofinish_record::shard::Shard;
use photofinish_record::{PlannedServer, Record, canonical_json, hex};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::exit::{Failure, OrFail};
use crate::process::this_program;

/// The folder with a file of each shard that has joined.
pub(super) const FOLDER: &str = "joined";

/// The file with the roll.
const ROLL: &str = "roll";

/// A shard's particulars.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Joined {
    version: String,
    /// SHA-256 of the program.
    program: String,
    /// SHA-256 of the plan, without what is particular to a machine.
    plan: String,
    seed: u64,
    pub(super) host: String,
    pub(super) boot_id: Option<String>,
    pub(super) process: u32,
}

impl Joined {
    pub(super) fn of(record: &Record) -> Result<Self, Failure> {
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
    pub(super) fn identity(&self) -> String {
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

/// All shards of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Roll {
    first: Joined,
    /// The lowest shard that would run something else than the first one.
    different: Option<(u32, Joined)>,
    /// The shards of each machine with several.
    together: Vec<Vec<u32>>,
}

impl Roll {
    /// The roll of the first shard and the others by their numbers.
    fn of(first: &Joined, others: &BTreeMap<u32, Joined>) -> Self {
        let different = others
            .iter()
            .find(|(_, other)| first.difference(other).is_some());
        let mut machines: BTreeMap<_, Vec<u32>> = BTreeMap::new();
        let others_after_first = others.iter().map(|(index, other)| (*index, other));
        for (index, shard) in [(0, first)].into_iter().chain(others_after_first) {
            let machine = (&shard.host, &shard.boot_id);
            machines.entry(machine).or_default().push(index);
        }
        let together = machines.into_values().filter(|shards| shards.len() > 1);
        Self {
            first: first.clone(),
            different: different.map(|(index, other)| (*index, other.clone())),
            together: together.collect(),
        }
    }

    /// The lowest shard that would run something else than shard `own_index`, and what differs.
    pub(super) fn difference(&self, own_index: u32, own: &Joined) -> Option<(u32, String)> {
        let different = self.different.iter().map(|(index, other)| (*index, other));
        [(0, &self.first)]
            .into_iter()
            .chain(different)
            .filter(|(index, _)| *index != own_index)
            .find_map(|(index, other)| Some((index, own.difference(other)?)))
    }

    /// The lowest other shard on the machine of shard `own_index`.
    pub(super) fn beside(&self, own_index: u32) -> Option<u32> {
        let machine = self
            .together
            .iter()
            .find(|shards| shards.contains(&own_index))?;
        machine.iter().copied().find(|index| *index != own_index)
    }
}

/// The wait of a shard that has joined for all others.
pub(super) struct Joining<'a> {
    meeting: &'a Meeting,
    shard: Shard,
    own: &'a Joined,
    /// What the others have said, as far as the first shard has read it.
    others: BTreeMap<u32, Joined>,
}

impl<'a> Joining<'a> {
    pub(super) fn new(meeting: &'a Meeting, shard: Shard, own: &'a Joined) -> Self {
        Self {
            meeting,
            shard,
            own,
            others: BTreeMap::new(),
        }
    }

    /// The roll, if all are there.
    pub(super) fn look(&mut self) -> Result<Option<Roll>, MeetingError> {
        if self.shard.index() == 0 {
            return self.call();
        }
        let roll = self.meeting.find(ROLL)?;
        let roll = roll.map(|content| self.meeting.decoded(ROLL, &content));
        roll.transpose()
    }

    /// The first shard's part.
    fn call(&mut self) -> Result<Option<Roll>, MeetingError> {
        let count = self.shard.count().get();
        let names = self.meeting.names(FOLDER)?;
        let shards = names.iter().filter_map(|name| name.parse().ok());
        for index in shards.filter(|index| (1..count).contains(index)) {
            if !self.others.contains_key(&index) {
                let name = format!("{FOLDER}/{index}");
                let content = self.meeting.read(&name)?;
                let other = self.meeting.decoded(&name, &content)?;
                self.others.insert(index, other);
            }
        }
        if self.others.len() + 1 < count as usize {
            return Ok(None);
        }
        let roll = Roll::of(self.own, &self.others);
        let content = serde_json::to_vec(&roll).expect("plain fields");
        self.meeting.create(ROLL, &content)?;
        Ok(Some(roll))
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::{Duration, SystemTime};

    use photofinish_harness::meeting::{Directory, Store};

    use super::*;

    fn joined(host: &str) -> Joined {
        Joined {
            version: "0.1.0".to_owned(),
            program: "abc".to_owned(),
            plan: "def".to_owned(),
            seed: 1,
            host: host.to_owned(),
            boot_id: None,
            process: 7,
        }
    }

    #[test]
    fn shards_have_to_be_equal_in_all_that_is_measured() {
        let own = joined("a");
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

    #[test]
    fn the_roll_tells_each_shard_what_reading_all_others_would() {
        let mut all = [joined("a"), joined("b"), joined("a"), joined("c")];
        (all[2].seed, all[3].seed) = (2, 3);
        let others = (1..).zip(all[1..].iter().cloned()).collect();
        let roll = Roll::of(&all[0], &others);
        let content = serde_json::to_vec(&roll).expect("plain fields");
        let roll: Roll = serde_json::from_slice(&content).expect("the same");
        for (index, own) in (0..).zip(&all) {
            let mut others = (0..).zip(&all).filter(|(other, _)| *other != index);
            let difference = others
                .clone()
                .find_map(|(other_index, other)| Some((other_index, own.difference(other)?)));
            assert_eq!(roll.difference(index, own), difference, "{index}");
            let beside = others.find(|(_, other)| other.host == own.host);
            assert_eq!(roll.beside(index), beside.map(|(index, _)| index));
        }
    }

    /// A directory that counts the calls of it, and the bytes of the files that are read.
    #[derive(Clone, Debug)]
    struct CountingStore {
        directory: Directory,
        calls: Arc<AtomicU64>,
        bytes: Arc<AtomicU64>,
    }

    impl CountingStore {
        fn counted(&self, content: io::Result<Option<Vec<u8>>>) -> io::Result<Option<Vec<u8>>> {
            self.calls.fetch_add(1, Ordering::Relaxed);
            let length = content.iter().flatten().map(|content| content.len() as u64);
            self.bytes.fetch_add(length.sum(), Ordering::Relaxed);
            content
        }
    }

    impl Store for CountingStore {
        fn place(&self) -> String {
            self.directory.place()
        }

        fn create(&self, name: &str, content: &[u8]) -> io::Result<bool> {
            self.calls.fetch_add(1, Ordering::Relaxed);
            self.directory.create(name, content)
        }

        fn names(&self, folder: &str) -> io::Result<Vec<String>> {
            self.calls.fetch_add(1, Ordering::Relaxed);
            self.directory.names(folder)
        }

        fn find(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
            self.counted(self.directory.find(name))
        }

        fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
            self.counted(self.directory.read(name))
        }

        fn stamp(&self, name: &str) -> io::Result<(SystemTime, Duration)> {
            self.calls.fetch_add(1, Ordering::Relaxed);
            self.directory.stamp(name)
        }

        fn longest_look(&self) -> Duration {
            self.directory.longest_look()
        }
    }

    /// Calls of the store and bytes read: of the first shard, and of each other one, from its own file to the roll.
    fn traffic(count: u32) -> ([u64; 2], Vec<[u64; 2]>) {
        let directory = tempfile::tempdir().expect("a directory");
        let store = CountingStore {
            directory: Directory::new(directory.path()),
            calls: Arc::default(),
            bytes: Arc::default(),
        };
        let counters = [Arc::clone(&store.calls), Arc::clone(&store.bytes)];
        let meeting = Meeting::over(store);
        let all: Vec<Joined> = (0..count)
            .map(|index| joined(&format!("host {index}")))
            .collect();
        let mut shards: Vec<(Joining<'_>, [u64; 2])> = (0..)
            .zip(&all)
            .map(|(index, own)| {
                let shard = Shard::new(index, count.try_into().expect("shards"));
                let shard = shard.expect("a shard");
                (Joining::new(&meeting, shard, own), [0; 2])
            })
            .collect();
        let counted = |shard: &mut (Joining<'_>, [u64; 2]), step: fn(&mut Joining<'_>)| {
            let read = || {
                counters
                    .each_ref()
                    .map(|counter| counter.load(Ordering::Relaxed))
            };
            let before = read();
            step(&mut shard.0);
            for (sum, (before, after)) in shard.1.iter_mut().zip(before.into_iter().zip(read())) {
                *sum += after - before;
            }
        };
        let enter = |joining: &mut Joining<'_>| {
            let content = serde_json::to_vec(joining.own).expect("plain fields");
            let name = format!("{FOLDER}/{}", joining.shard.index());
            assert!(
                joining
                    .meeting
                    .create_first(&name, &content)
                    .expect("created")
            );
            assert!(joining.look().is_ok());
        };
        let see = |joining: &mut Joining<'_>| {
            assert!(joining.look().expect("readable").is_some());
        };
        let look = |joining: &mut Joining<'_>| drop(joining.look().expect("readable"));
        let (first, others) = shards.split_first_mut().expect("shards");
        counted(first, enter);
        // The first one looks while it waits, each time another one has come.
        for other in others.iter_mut() {
            counted(other, enter);
            counted(first, look);
        }
        others.iter_mut().for_each(|other| counted(other, see));
        (first.1, others.iter().map(|shard| shard.1).collect())
    }

    /// Goal: joining costs a shard no more if there are more of them, apart from the first one, which reads a file of each.
    #[test]
    fn the_traffic_of_a_store_grows_with_the_shards_and_not_with_their_square() {
        let ([few_calls, _], few) = traffic(3);
        let ([many_calls, _], many) = traffic(12);
        assert_eq!(many.len(), 11);
        for calls_and_bytes in few.iter().chain(&many) {
            assert_eq!(calls_and_bytes, &few[0]);
        }
        let [calls, bytes] = few[0];
        assert!(calls > 0 && bytes > 0);
        assert_eq!(many_calls - few_calls, 2 * 9, "a look and a file for each");
    }
}
