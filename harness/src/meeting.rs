//! The place where the shards of a run meet: who has joined, who is ready for a round, when it starts, who gave up.
//!
//! Everything there is created once and never changed, by the process that was first. Where it is kept is up to a [`Store`]:
//! a directory (`directory`), or what a program brings along. Joining and collecting records is up to the program that
//! directs a run. Its workers wait for the start of a round in the directory, or have the program meet the others for them
//! (`relay`), so that no client of a remote store runs in a process that is measured.
//!
//! `joined/I` (a shard's particulars), `roll` (all of them, as far as they differ), `ready/R/I` (shard I is ready for round R),
//! `go/R` (its start), `ended` (the run is over, and why), `records/I.json`.

mod directory;
mod relay;

use std::fmt::Debug;
use std::io;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use photofinish_record::shard::Shard;

pub use directory::Directory;
pub use relay::Relay;

/// Time between two looks at the store.
pub const LOOK: Duration = Duration::from_millis(5);

/// Longest time by which a slow store delays a start.
const LONGEST_MARGIN: Duration = Duration::from_secs(5);

/// Where files are kept that several machines reach. Names are paths with `/`.
pub trait Store: Debug + Send + Sync {
    /// Its name for people, and for `--store`.
    fn place(&self) -> String;

    /// Creates the file `name` with this content; false if it exists.
    fn create(&self, name: &str, content: &[u8]) -> io::Result<bool>;

    /// The names in `folder`; none if it does not exist.
    fn names(&self, folder: &str) -> io::Result<Vec<String>>;

    /// The content of the file `name`; `None` if it does not exist.
    fn find(&self, name: &str) -> io::Result<Option<Vec<u8>>>;

    /// The content of a file that [`Store::names`] has shown; `None` if it is gone.
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        self.find(name)
    }

    /// The time of the file `name` by the store's clock, which may be earlier than its creation by as much as the second value.
    fn stamp(&self, name: &str) -> io::Result<(SystemTime, Duration)>;

    /// Longest time between two looks: many shards must not wear out a server.
    fn longest_look(&self) -> Duration;
}

/// The meeting of the shards of one run.
#[derive(Clone, Debug)]
pub struct Meeting {
    store: Arc<dyn Store>,
}

/// The end of a run before its last round.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Abort {
    /// Index of the shard that ended it.
    pub shard: u32,
    /// One sentence.
    pub reason: String,
}

/// The start of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Go {
    unix_us: u64,
}

/// Reasons for a shard not to go on.
#[derive(Debug, thiserror::Error)]
pub enum MeetingError {
    #[error("cannot use the store {place}: {error}")]
    Io { place: String, error: io::Error },
    #[error(
        "the store {place} overwrites files that exist, so that shards cannot agree on anything"
    )]
    Overwrites { place: String },
    #[error("shard {} of {of} ended the run: {}", .ended.shard, .ended.reason)]
    Ended { ended: Abort, of: NonZeroU32 },
    #[error("{} not {what} within {} s", shards(.missing, *.of), .waited.as_secs())]
    Missing {
        missing: Vec<u32>,
        of: NonZeroU32,
        /// `ready for round 4`.
        what: String,
        waited: Duration,
    },
    #[error("another process has been shard {shard} here: {what}")]
    Taken { shard: Shard, what: String },
    #[error("the start was set {} ms before it was seen here", .late.as_millis())]
    Late { late: Duration },
    /// As the program that directs the run met it.
    #[error("{0}")]
    Relayed(String),
}

/// `shard 2 of 3 was`, `shards 1 and 2 of 3 were`.
fn shards(missing: &[u32], of: NonZeroU32) -> String {
    const MOST: usize = 10;
    let named = missing.iter().take(MOST).map(u32::to_string);
    let named = named.collect::<Vec<_>>();
    match (named.as_slice(), missing.len()) {
        ([one], _) => format!("shard {one} of {of} was"),
        ([first @ .., last], all) if all <= MOST => {
            format!("shards {} and {last} of {of} were", first.join(", "))
        }
        (named, all) => {
            let others = all - named.len();
            format!(
                "shards {} and {others} others of {of} were",
                named.join(", ")
            )
        }
    }
}

impl Meeting {
    pub fn in_directory(directory: impl Into<PathBuf>) -> Self {
        Self::over(Directory::new(directory))
    }

    pub fn over(store: impl Store + 'static) -> Self {
        Self {
            store: Arc::new(store),
        }
    }

    /// The store's name for people.
    pub fn place(&self) -> String {
        self.store.place()
    }

    /// Creates the file `name` with this content; false if it exists.
    pub fn create(&self, name: &str, content: &[u8]) -> Result<bool, MeetingError> {
        let created = self.store.create(name, content);
        created.map_err(|error| self.failed(error))
    }

    /// Creates the file `name` like [`Meeting::create`], and checks that the store keeps what exists.
    pub fn create_first(&self, name: &str, content: &[u8]) -> Result<bool, MeetingError> {
        let created = self.create(name, content)?;
        // Other content, which the store cannot take for a first attempt of this process.
        if created && self.create(name, b"overwritten")? {
            let place = self.place();
            return Err(MeetingError::Overwrites { place });
        }
        Ok(created)
    }

    /// The names in `folder`; none if it does not exist.
    pub fn names(&self, folder: &str) -> Result<Vec<String>, MeetingError> {
        let names = self.store.names(folder);
        names.map_err(|error| self.failed(error))
    }

    /// The content of the file `name`; `None` if it does not exist.
    pub fn find(&self, name: &str) -> Result<Option<Vec<u8>>, MeetingError> {
        let content = self.store.find(name);
        content.map_err(|error| self.failed(error))
    }

    /// The content of the file `name`, which has existed.
    pub fn read(&self, name: &str) -> Result<Vec<u8>, MeetingError> {
        let gone = || self.failed(io::Error::other(format!("{name} is gone")));
        let content = self.store.read(name);
        content
            .map_err(|error| self.failed(error))?
            .ok_or_else(gone)
    }

    /// The content of the file `name`, decoded.
    pub fn decoded<T: DeserializeOwned>(
        &self,
        name: &str,
        content: &[u8],
    ) -> Result<T, MeetingError> {
        let damaged = |_| self.failed(io::Error::other(format!("{name} is damaged")));
        serde_json::from_slice(content).map_err(damaged)
    }

    /// The time of the file `name` by the store's clock, which may be earlier than its creation by as much as the second value.
    pub fn stamp(&self, name: &str) -> Result<(SystemTime, Duration), MeetingError> {
        let stamp = self.store.stamp(name);
        stamp.map_err(|error| self.failed(error))
    }

    /// Longest time between two looks.
    pub fn longest_look(&self) -> Duration {
        self.store.longest_look()
    }

    fn failed(&self, error: io::Error) -> MeetingError {
        let place = self.place();
        MeetingError::Io { place, error }
    }

    /// Ends the run for all shards; the first reason counts.
    pub fn end(&self, ended: &Abort) -> Result<(), MeetingError> {
        let content = serde_json::to_vec(ended).expect("plain fields");
        self.create(ENDED, &content).map(drop)
    }

    /// Fails if the run has ended.
    pub fn check_going(&self, of: NonZeroU32) -> Result<(), MeetingError> {
        let Some(content) = self.find(ENDED)? else {
            return Ok(());
        };
        let ended = serde_json::from_slice(&content).unwrap_or_else(|_| Abort {
            shard: 0,
            reason: String::from_utf8_lossy(&content).into_owned(),
        });
        Err(MeetingError::Ended { ended, of })
    }

    /// The shards that have no file in `folder`.
    pub fn missing(&self, folder: &str, of: NonZeroU32) -> Result<Vec<u32>, MeetingError> {
        let names = self.names(folder)?;
        let there: Vec<u32> = names.iter().filter_map(|name| name.parse().ok()).collect();
        let mut is_there = vec![false; of.get() as usize];
        for index in there {
            if let Some(one) = is_there.get_mut(index as usize) {
                *one = true;
            }
        }
        let all = (0..of.get()).zip(is_there);
        Ok(all
            .filter(|(_, there)| !there)
            .map(|(index, _)| index)
            .collect())
    }
}

pub const ENDED: &str = "ended";

/// A shard's wait for the others before one round.
#[derive(Debug)]
pub struct Waiting {
    meeting: Meeting,
    shard: Shard,
    round: u64,
    limit: Duration,
    margin: Duration,
    since: Instant,
    pause: Duration,
    /// The longest look so far.
    slowest: Duration,
}

/// What a look at the meeting gave.
#[derive(Debug, PartialEq, Eq)]
pub enum Look {
    /// To look again after this time.
    Again(Duration),
    /// The common start: Unix time in µs.
    Start(u64),
}

impl Waiting {
    /// Says that `shard` is ready for `round`.
    pub fn ready(
        meeting: Meeting,
        shard: Shard,
        round: u64,
        limit: Duration,
        margin: Duration,
    ) -> Result<Self, MeetingError> {
        let name = format!("ready/{round}/{}", shard.index());
        // Unlike any other, so that the store can tell whose it is.
        let content = format!("{} {}", unix_us(SystemTime::now()), std::process::id());
        if !meeting.create(&name, content.as_bytes())? {
            let what = format!("it is ready for round {round} already");
            return Err(MeetingError::Taken { shard, what });
        }
        Ok(Self {
            meeting,
            shard,
            round,
            limit,
            margin,
            since: Instant::now(),
            pause: LOOK,
            slowest: Duration::ZERO,
        })
    }

    /// Looks whether the round can start. The first shard decides on it, once all are ready.
    pub fn look(&mut self) -> Result<Look, MeetingError> {
        let begin = Instant::now();
        let look = self.look_once()?;
        self.slowest = self.slowest.max(begin.elapsed());
        if let Some(unix_us) = look {
            return Ok(Look::Start(unix_us));
        }
        let pause = self.pause;
        self.pause = (pause * 2).min(self.meeting.longest_look());
        Ok(Look::Again(pause))
    }

    /// The start, if it is decided.
    fn look_once(&self) -> Result<Option<u64>, MeetingError> {
        let (meeting, of) = (&self.meeting, self.shard.count());
        let name = format!("go/{}", self.round);
        if let Some(content) = meeting.find(&name)? {
            let go: Go = meeting.decoded(&name, &content)?;
            return Ok(Some(go.unix_us));
        }
        meeting.check_going(of)?;
        let waited = self.since.elapsed();
        if self.shard.index() != 0 && waited < self.limit {
            return Ok(None);
        }
        let missing = meeting.missing(&format!("ready/{}", self.round), of)?;
        if missing.is_empty() && self.shard.index() == 0 {
            return self.decide(&name).map(Some);
        }
        if waited < self.limit {
            return Ok(None);
        }
        Err(MeetingError::Missing {
            missing: if missing.is_empty() { vec![0] } else { missing },
            of,
            what: format!("ready for round {}", self.round),
            waited: self.limit,
        })
    }

    /// Sets the start far enough ahead for all to see it in time, with a store as slow as it has been.
    fn decide(&self, name: &str) -> Result<u64, MeetingError> {
        let margin = self.margin.max((self.slowest * 3).min(LONGEST_MARGIN));
        let go = Go {
            unix_us: unix_us(SystemTime::now() + margin),
        };
        let content = serde_json::to_vec(&go).expect("plain fields");
        self.meeting.create(name, &content)?;
        Ok(go.unix_us)
    }
}

/// In µs since 1970.
pub fn unix_us(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// The instant of a Unix time in µs, by this machine's clock; fails if it has passed.
pub fn instant_of(unix_us: u64) -> Result<Instant, MeetingError> {
    let (now, wall) = (Instant::now(), self::unix_us(SystemTime::now()));
    match unix_us.checked_sub(wall) {
        Some(left) => Ok(now + Duration::from_micros(left)),
        None => Err(MeetingError::Late {
            late: Duration::from_micros(wall - unix_us),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard(text: &str) -> Shard {
        text.parse().expect("a shard")
    }

    fn waiting(meeting: &Meeting, text: &str, limit: Duration) -> Waiting {
        let margin = Duration::from_secs(10);
        Waiting::ready(meeting.clone(), shard(text), 1, limit, margin).expect("ready")
    }

    #[test]
    fn a_round_starts_for_all_at_once_when_the_last_shard_is_ready() {
        let directory = tempfile::tempdir().expect("a directory");
        let meeting = Meeting::in_directory(directory.path());
        let limit = Duration::from_secs(60);
        let mut first = waiting(&meeting, "0/2", limit);
        assert!(matches!(first.look(), Ok(Look::Again(_))));
        let mut second = waiting(&meeting, "1/2", limit);
        assert!(
            matches!(second.look(), Ok(Look::Again(_))),
            "only the first decides"
        );
        let before = unix_us(SystemTime::now());
        let Ok(Look::Start(start)) = first.look() else {
            panic!("all are ready");
        };
        assert!(start >= before + 10_000_000, "{start} {before}");
        assert_eq!(second.look().expect("decided"), Look::Start(start));
        assert!(instant_of(start).is_ok());
        assert!(matches!(
            instant_of(before - 1),
            Err(MeetingError::Late { .. })
        ));
    }

    #[test]
    fn missing_shards_are_named() {
        let directory = tempfile::tempdir().expect("a directory");
        let meeting = Meeting::in_directory(directory.path());
        let mut second = waiting(&meeting, "1/4", Duration::ZERO);
        let error = second.look().expect_err("alone");
        assert_eq!(
            error.to_string(),
            "shards 0, 2 and 3 of 4 were not ready for round 1 within 0 s"
        );
        let of = NonZeroU32::new(30).expect("shards");
        let missing = meeting.missing("ready/1", of).expect("listed");
        assert_eq!(
            shards(&missing, of),
            "shards 0, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 19 others of 30 were"
        );
        assert_eq!(shards(&[2], of), "shard 2 of 30 was");
    }

    #[test]
    fn a_duplicate_is_refused_and_an_end_is_heard() {
        let directory = tempfile::tempdir().expect("a directory");
        let meeting = Meeting::in_directory(directory.path());
        let mut first = waiting(&meeting, "0/2", Duration::from_secs(60));
        let again = Waiting::ready(
            meeting.clone(),
            shard("0/2"),
            1,
            Duration::ZERO,
            Duration::ZERO,
        );
        assert_eq!(
            again.expect_err("taken").to_string(),
            "another process has been shard 0/2 here: it is ready for round 1 already"
        );
        let end = |shard, reason: &str| {
            let reason = reason.to_owned();
            meeting.end(&Abort { shard, reason }).expect("written");
        };
        end(1, "interrupted");
        end(0, "a later reason");
        assert_eq!(
            first.look().expect_err("ended").to_string(),
            "shard 1 of 2 ended the run: interrupted"
        );
    }
}
