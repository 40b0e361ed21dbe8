//! The directory in which the shards of a run meet: who has joined, who is ready for a round, when it starts, who gave up.
//!
//! Every file is created once and never changed: written under a temporary name, and linked to its own, which fails if
//! another process was first. Existence is asked by listing a directory, since network file systems cache that a file is
//! missing for much longer. Joining and collecting records is up to the program that directs a run; workers wait for the
//! start of a round here.
//!
//! `joined/I` (a shard's particulars), `ready/R/I` (shard I is ready for round R), `go/R` (its start), `ended` (the run is
//! over, and why), `records/I.json`.

use std::fs;
use std::io::{self, ErrorKind, Write as _};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use photofinish_record::shard::Shard;

/// Time between two looks at the directory.
pub const LOOK: Duration = Duration::from_millis(5);

/// Longest time between two looks: many shards must not wear out a file server.
const LONGEST_LOOK: Duration = Duration::from_millis(50);

/// A directory that all shards reach.
#[derive(Clone, Debug)]
pub struct Meeting {
    directory: PathBuf,
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
    #[error("cannot use the store {}: {error}", .directory.display())]
    Io {
        directory: PathBuf,
        error: io::Error,
    },
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
        let directory = directory.into();
        Self { directory }
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Creates the file `name` with this content; false if it exists.
    pub fn create(&self, name: &str, content: &[u8]) -> Result<bool, MeetingError> {
        self.create_file(name, content)
            .map_err(|error| self.failed(error))
    }

    fn create_file(&self, name: &str, content: &[u8]) -> io::Result<bool> {
        let path = self.directory.join(name);
        let folder = path.parent().unwrap_or(&self.directory);
        fs::create_dir_all(folder)?;
        let mut file = tempfile::Builder::new()
            .prefix(".writing-")
            .tempfile_in(folder)?;
        file.write_all(content)?;
        file.as_file().sync_all()?;
        match file.persist_noclobber(&path) {
            Ok(_) => Ok(true),
            Err(failed) if failed.error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(failed) => Err(failed.error),
        }
    }

    /// The names in `folder`, without those still being written; empty if it does not exist.
    pub fn names(&self, folder: &str) -> Result<Vec<String>, MeetingError> {
        let listed = || -> io::Result<Vec<String>> {
            let mut names = Vec::new();
            for entry in fs::read_dir(self.directory.join(folder))? {
                let name = entry?.file_name().to_string_lossy().into_owned();
                if !name.starts_with('.') {
                    names.push(name);
                }
            }
            Ok(names)
        };
        match listed() {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            listed => listed.map_err(|error| self.failed(error)),
        }
    }

    /// The content of the file `name`, which exists.
    pub fn read(&self, name: &str) -> Result<Vec<u8>, MeetingError> {
        fs::read(self.directory.join(name)).map_err(|error| self.failed(error))
    }

    fn failed(&self, error: io::Error) -> MeetingError {
        MeetingError::Io {
            directory: self.directory.clone(),
            error,
        }
    }

    /// Ends the run for all shards; the first reason counts.
    pub fn end(&self, ended: &Abort) -> Result<(), MeetingError> {
        let content = serde_json::to_vec(ended).expect("plain fields");
        self.create(ENDED, &content).map(drop)
    }

    /// Fails if the run has ended.
    pub fn check_going(&self, of: NonZeroU32) -> Result<(), MeetingError> {
        if !self.names("")?.iter().any(|name| name == ENDED) {
            return Ok(());
        }
        let content = self.read(ENDED)?;
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

const ENDED: &str = "ended";

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
        if !meeting.create(&name, &[])? {
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
        })
    }

    /// Looks whether the round can start. The first shard decides on it, once all are ready.
    pub fn look(&mut self) -> Result<Look, MeetingError> {
        let (meeting, of) = (&self.meeting, self.shard.count());
        let round = self.round.to_string();
        if meeting.names("go")?.contains(&round) {
            let go: Option<Go> =
                serde_json::from_slice(&meeting.read(&format!("go/{round}"))?).ok();
            return match go {
                Some(go) => Ok(Look::Start(go.unix_us)),
                None => Err(meeting.failed(io::Error::other(format!("go/{round} is damaged")))),
            };
        }
        meeting.check_going(of)?;
        let waited = self.since.elapsed();
        if self.shard.index() == 0 || waited >= self.limit {
            let missing = meeting.missing(&format!("ready/{round}"), of)?;
            if missing.is_empty() && self.shard.index() == 0 {
                let go = Go {
                    unix_us: unix_us(SystemTime::now() + self.margin),
                };
                let content = serde_json::to_vec(&go).expect("plain fields");
                meeting.create(&format!("go/{round}"), &content)?;
                return Ok(Look::Start(go.unix_us));
            }
            if waited >= self.limit {
                let missing = if missing.is_empty() { vec![0] } else { missing };
                let what = format!("ready for round {round}");
                return Err(MeetingError::Missing {
                    missing,
                    of,
                    what,
                    waited: self.limit,
                });
            }
        }
        let pause = self.pause;
        self.pause = (pause * 2).min(LONGEST_LOOK);
        Ok(Look::Again(pause))
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
        let margin = Duration::from_millis(100);
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
        assert!(start >= before + 100_000, "{start} {before}");
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
