//! Shards: the share that one of several machines has of a run.
//!
//! Of a closed load, shard i of N runs the sessions j with j ≡ i (mod N); of an open load, it serves the arrivals k with
//! k ≡ i (mod N). Sessions, arrivals and operations keep their numbers of the whole run, so what all shards draw, send and
//! count together is what one machine would have. `merge` makes one record of theirs.

use std::fmt;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A shard: its index, from 0, and the number of shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "Fields")]
pub struct Shard {
    index: u32,
    count: NonZeroU32,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct Fields {
    /// From 0.
    index: u32,
    count: NonZeroU32,
}

/// Not a shard.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, got {got}")]
pub struct InvalidShard {
    expected: String,
    got: String,
}

impl Shard {
    /// Maximum number of shards of a run.
    pub const MOST: u32 = 10_000;

    /// A run that is not split.
    pub const WHOLE: Self = Self {
        index: 0,
        count: NonZeroU32::MIN,
    };

    pub fn new(index: u32, count: NonZeroU32) -> Result<Self, InvalidShard> {
        let expected = match count.get() {
            all if all > Self::MOST => format!("at most {} shards", Self::MOST),
            all if index >= all => match all {
                1 => "0/1: shards are numbered from 0".to_owned(),
                _ => format!("0/{all} to {}/{all}: shards are numbered from 0", all - 1),
            },
            _ => return Ok(Self { index, count }),
        };
        let got = format!("{index}/{count}");
        Err(InvalidShard { expected, got })
    }

    /// From 0.
    pub fn index(self) -> u32 {
        self.index
    }

    pub fn count(self) -> NonZeroU32 {
        self.count
    }

    /// Its share of `all` sessions; `None` if it has none.
    pub fn sessions(self, all: NonZeroU32) -> Option<NonZeroU32> {
        let (all, count) = (all.get(), self.count.get());
        NonZeroU32::new(all / count + u32::from(self.index < all % count))
    }

    /// Number in the whole run of this shard's session, arrival or other thing `own`, counted from 0.
    pub fn number(self, own: u64) -> u64 {
        u64::from(self.index) + own * u64::from(self.count.get())
    }
}

/// `2/3`.
impl fmt::Display for Shard {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.index, self.count)
    }
}

impl FromStr for Shard {
    type Err = InvalidShard;

    fn from_str(text: &str) -> Result<Self, InvalidShard> {
        let invalid = || InvalidShard {
            expected: "I/N, such as 0/3 for the first of three".to_owned(),
            got: text.to_owned(),
        };
        let (index, count) = text.split_once('/').ok_or_else(invalid)?;
        let index = index.parse().map_err(|_| invalid())?;
        Self::new(index, count.parse().map_err(|_| invalid())?)
    }
}

impl TryFrom<Fields> for Shard {
    type Error = InvalidShard;

    fn try_from(fields: Fields) -> Result<Self, InvalidShard> {
        Self::new(fields.index, fields.count)
    }
}

/// The shards that a record holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ShardSet {
    /// Number of shards of the run.
    pub count: NonZeroU32,
    /// SHA-256 over program, plan and seed, in hex: the same for all shards.
    pub identity: String,
    /// True if their numbers have been merged; a shard's own record has one member and is not.
    #[serde(default)]
    pub merged: bool,
    /// Those whose rounds are here, ascending by index.
    pub members: Vec<ShardMember>,
}

impl ShardSet {
    /// Checks that its members are some of its shards, in order.
    pub(crate) fn check(&self) -> Result<(), String> {
        let (count, members) = (self.count.get(), &self.members);
        if count > Shard::MOST {
            return Err(format!(
                "it has {count} shards, and at most {} are read",
                Shard::MOST
            ));
        }
        let ascending = members.is_sorted_by(|one, next| one.index < next.index);
        let in_range = members.last().is_some_and(|last| last.index < count);
        if ascending && in_range {
            Ok(())
        } else {
            Err(format!(
                "its members are not some of its {count} shards in order"
            ))
        }
    }

    /// Indices of the shards whose rounds are not here.
    pub fn missing(&self) -> Vec<u32> {
        let mut members = self.members.iter().map(|member| member.index).peekable();
        let is_missing = |index: &u32| members.next_if_eq(index).is_none();
        (0..self.count.get()).filter(is_missing).collect()
    }
}

/// One shard of a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ShardMember {
    /// From 0.
    pub index: u32,
    /// The id of its run.
    pub run: String,
    /// Name of its machine.
    pub host: String,
    /// Identifies the boot of its machine.
    pub boot_id: Option<String>,
    pub cpu_model: Option<String>,
    /// Number of CPUs of its workers.
    pub worker_cpus: u32,
    /// Offset of the store's clock from its own, by files that it wrote; `None` if there was no store.
    #[serde(default)]
    pub clock: Option<ClockOffset>,
}

/// An offset between two clocks: it lies between the two bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ClockOffset {
    /// In µs; negative if the other clock is behind.
    pub least_us: i64,
    /// In µs.
    pub most_us: i64,
}

/// One shard's part of a merged round.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ShardRound {
    pub index: u32,
    pub sessions: u32,
    /// Successful operations.
    pub ops: u64,
    /// Failed operations.
    pub failed: u64,
    pub throughput_ops_s: f64,
    /// Operations of the warm-up.
    pub warmup_ops: u64,
    /// Instructions per operation, counted in the warm-up.
    pub instructions_per_op: Option<f64>,
    /// System calls per operation, counted in the warm-up.
    pub syscalls_per_op: Option<f64>,
    /// 99th percentile of response time under open load, of service time under closed load; `None` without successes.
    pub p99_ns: Option<u64>,
    /// User and system CPU time of the worker.
    pub cpu_ns: Option<u64>,
    pub peak_rss_bytes: Option<u64>,
    /// From the common start to the first operation, in ns.
    pub after_ns: u64,
    /// From the first operation to the end of the last one, in ns.
    pub elapsed_ns: u64,
    /// True if an open load held its rate; `None` for a closed load.
    pub rate_held: Option<bool>,
    /// Median service time of the loop around an empty operation, in ns.
    pub loop_p50_ns: Option<u64>,
}

/// A worker's share of a round, and the start of its measured phase.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WorkerShard {
    pub shard: Shard,
    pub start: StartRule,
}

/// The start of the measured phase, common to all shards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum StartRule {
    /// When all shards are ready; they meet in a directory that all of them reach.
    Meet {
        store: PathBuf,
        /// Longest wait for the others, in ns.
        limit_ns: u64,
        /// From the last shard's arrival to the start, in ns.
        margin_ns: u64,
    },
    /// When the program that started the worker says so: it meets the others in a store that it alone reaches.
    Relayed {
        /// Where both meet, for this round alone.
        directory: PathBuf,
        /// Longest wait, in ns.
        limit_ns: u64,
    },
    /// At this Unix time, in µs.
    At { unix_us: u64 },
}

/// The start of a measured phase that all shards of a round share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CommonStart {
    /// Unix time in µs.
    pub unix_us: u64,
    /// From it, by this machine's clock, to the first operation of this shard, in ns.
    pub after_ns: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(count: u32) -> impl Iterator<Item = Shard> {
        let count = NonZeroU32::new(count).expect("shards");
        (0..count.get()).map(move |index| Shard::new(index, count).expect("in range"))
    }

    #[test]
    fn every_session_belongs_to_exactly_one_shard() {
        for (sessions, count) in [(1, 1), (7, 7), (8, 3), (10, 4), (1_000, 7)] {
            let number = |shard: Shard| {
                let own = shard.sessions(NonZeroU32::new(sessions).expect("sessions"));
                (0..own.map_or(0, NonZeroU32::get)).map(move |own| shard.number(own.into()))
            };
            let mut numbers: Vec<u64> = all(count).flat_map(number).collect();
            numbers.sort_unstable();
            assert_eq!(numbers, Vec::from_iter(0..u64::from(sessions)));
        }
        let last = all(3).last().expect("three");
        assert_eq!(last.sessions(NonZeroU32::MIN), None);
    }

    #[test]
    fn shards_are_read_as_they_are_written() {
        for shard in all(3) {
            assert_eq!(shard.to_string().parse(), Ok(shard));
        }
        let error = |text: &str| text.parse::<Shard>().expect_err(text).to_string();
        assert_eq!(
            error("3/3"),
            "expected 0/3 to 2/3: shards are numbered from 0, got 3/3"
        );
        assert_eq!(
            error("1/1"),
            "expected 0/1: shards are numbered from 0, got 1/1"
        );
        assert_eq!(
            error("0/20000"),
            "expected at most 10000 shards, got 0/20000"
        );
        for text in ["", "1", "a/3", "0/0", "-1/3", "1/3/4"] {
            assert_eq!(
                error(text),
                format!("expected I/N, such as 0/3 for the first of three, got {text}")
            );
        }
    }
}
