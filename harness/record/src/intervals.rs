//! Intervals: the operations of a round over time, as coarse histograms, and its failures.
//!
//! A quarter of an octave per bucket is enough for a picture. They are displayed only: rounds stay the unit of inference.
//! In a record they are one deflated text, about 1 KiB for a round of two seconds.

use std::io::{Read as _, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use serde::{Deserialize, Serialize};

/// Buckets per doubling of the time.
const PER_OCTAVE: u32 = 4;

/// Number of buckets: up to 68 s, and longer times in the last one.
pub const BUCKETS: usize = 36 * PER_OCTAVE as usize;

/// Maximum number of intervals in a round.
pub const MOST_INTERVALS: usize = 128;

/// The beginning of a text of intervals, by which the redaction of secrets knows it.
pub const PREFIX: &str = "INTV";

/// Maximum length of an inflated text.
const MOST_BYTES: u64 = 1 << 20;

/// The operations of a round by intervals of equal length, from the start of its measured phase.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Encoded", into = "Encoded")]
pub struct Intervals {
    /// Length of each interval, in ns.
    pub length_ns: u64,
    /// At most [`MOST_INTERVALS`].
    pub intervals: Vec<Interval>,
}

/// The operations that ended in one interval.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interval {
    /// Failed operations.
    pub failed: u64,
    /// Index and count of each bucket of successes that is not empty, ascending. Times are response times under open load
    /// and service times under closed load.
    pub buckets: Vec<(usize, u64)>,
}

/// Intervals in a record.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct Encoded {
    /// Length of each interval, in ns.
    length_ns: u64,
    /// `INTV`, then in base64, deflated: LEB128 numbers. The number of intervals; of each, the failed operations, the number of
    /// buckets that are not empty, and the distance from the previous bucket and the count of each. Bucket 4 k + j begins
    /// at 2^k (1 + j / 4) ns.
    counts: String,
}

/// A text that does not hold intervals.
#[derive(Debug, thiserror::Error)]
#[error("expected intervals, deflated and in base64: {0}")]
pub struct IntervalError(String);

/// The bucket of a time.
#[inline]
pub fn bucket(time_ns: u64) -> usize {
    let time_ns = time_ns.max(1);
    let octave = time_ns.ilog2();
    // The two bits after the first.
    let quarter = if octave >= 2 {
        time_ns >> (octave - 2)
    } else {
        time_ns << (2 - octave)
    };
    let index = octave * PER_OCTAVE + (quarter & 3) as u32;
    (index as usize).min(BUCKETS - 1)
}

/// The shortest time of a bucket, in ns.
pub fn bucket_start_ns(bucket: usize) -> f64 {
    let (octave, quarter) = (bucket / PER_OCTAVE as usize, bucket % PER_OCTAVE as usize);
    2_f64.powi(octave as i32) * (1.0 + quarter as f64 / 4.0)
}

impl Interval {
    /// Successful operations.
    pub fn succeeded(&self) -> u64 {
        let counts = self.buckets.iter().map(|(_, count)| *count);
        counts.fold(0, u64::saturating_add)
    }

    /// The middle of the bucket that holds `quantile` in 0..=1, in ns; `None` without successes.
    pub fn quantile_ns(&self, quantile: f64) -> Option<f64> {
        let rank = ((quantile * self.succeeded() as f64).ceil() as u64).max(1);
        let mut so_far: u64 = 0;
        let (bucket, _) = self.buckets.iter().find(|(_, count)| {
            so_far = so_far.saturating_add(*count);
            so_far >= rank
        })?;
        Some((bucket_start_ns(*bucket) * bucket_start_ns(bucket + 1)).sqrt())
    }
}

impl From<Intervals> for Encoded {
    fn from(all: Intervals) -> Self {
        let mut plain = Vec::new();
        write_number(&mut plain, all.intervals.len() as u64);
        for interval in &all.intervals {
            write_number(&mut plain, interval.failed);
            write_number(&mut plain, interval.buckets.len() as u64);
            let mut before = 0;
            for (bucket, count) in &interval.buckets {
                write_number(&mut plain, (bucket - before) as u64);
                write_number(&mut plain, *count);
                before = *bucket;
            }
        }
        let mut deflated = ZlibEncoder::new(Vec::new(), Compression::best());
        let written = deflated.write_all(&plain).and_then(|()| deflated.finish());
        Self {
            length_ns: all.length_ns,
            counts: PREFIX.to_owned() + &STANDARD.encode(written.expect("memory takes everything")),
        }
    }
}

impl TryFrom<Encoded> for Intervals {
    type Error = IntervalError;

    fn try_from(encoded: Encoded) -> Result<Self, IntervalError> {
        let text = encoded.counts.strip_prefix(PREFIX);
        let text = text.ok_or_else(|| IntervalError(format!("it begins with {PREFIX}")))?;
        let deflated = STANDARD
            .decode(text)
            .map_err(|error| IntervalError(error.to_string()))?;
        let mut plain = Vec::new();
        ZlibDecoder::new(deflated.as_slice())
            .take(MOST_BYTES)
            .read_to_end(&mut plain)
            .map_err(|error| IntervalError(error.to_string()))?;
        let intervals = read_intervals(&mut plain.as_slice())
            .ok_or_else(|| IntervalError("a count is missing or too large".to_owned()))?;
        Ok(Self {
            length_ns: encoded.length_ns,
            intervals,
        })
    }
}

fn read_intervals(plain: &mut &[u8]) -> Option<Vec<Interval>> {
    let count = read_number(plain)?;
    if count > MOST_INTERVALS as u64 {
        return None;
    }
    (0..count).map(|_| read_interval(plain)).collect()
}

fn read_interval(plain: &mut &[u8]) -> Option<Interval> {
    let failed = read_number(plain)?;
    let filled = read_number(plain)?;
    if filled > BUCKETS as u64 {
        return None;
    }
    let mut bucket = 0_u64;
    let mut buckets = Vec::with_capacity(filled as usize);
    for index in 0..filled {
        let step = read_number(plain)?;
        bucket = bucket.checked_add(step)?;
        let is_ascending = index == 0 || step > 0;
        if bucket >= BUCKETS as u64 || !is_ascending {
            return None;
        }
        buckets.push((bucket as usize, read_number(plain)?));
    }
    Some(Interval { failed, buckets })
}

fn write_number(plain: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        plain.push(number as u8 | 0x80);
        number >>= 7;
    }
    plain.push(number as u8);
}

fn read_number(plain: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (first, rest) = plain.split_first()?;
        *plain = rest;
        number |= u64::from(first & 0x7f).checked_shl(shift)?;
        if first & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Intervals {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Intervals".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        Encoded::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::draw_below;

    fn drawn(seed: u64, count: usize) -> Intervals {
        let interval = |index: usize| Interval {
            failed: draw_below(seed, index as u64, 3),
            buckets: (40..64)
                .map(|bucket| {
                    (
                        bucket,
                        1 + draw_below(seed, (index * 64 + bucket) as u64, 900),
                    )
                })
                .collect(),
        };
        Intervals {
            length_ns: 125_000_000,
            intervals: (0..count).map(interval).collect(),
        }
    }

    #[test]
    fn intervals_survive_a_record_and_are_small() {
        let text = serde_json::to_string(&drawn(1, 16)).expect("serializes");
        assert!(text.len() < 1_536, "{} bytes", text.len());
        for count in [0, 1, 16, MOST_INTERVALS] {
            let all = drawn(7, count);
            let text = serde_json::to_string(&all).expect("serializes");
            let read: Intervals = serde_json::from_str(&text).expect("its own text");
            assert_eq!(read, all);
        }
    }

    #[test]
    fn a_text_that_holds_no_intervals_is_refused() {
        let encoded = |plain: &[u8]| {
            let mut deflated = ZlibEncoder::new(Vec::new(), Compression::fast());
            deflated.write_all(plain).expect("memory");
            PREFIX.to_owned() + &STANDARD.encode(deflated.finish().expect("memory"))
        };
        // Too many intervals, a bucket beyond the last, two counts of one bucket, and an end that comes too early.
        let wrong = [
            "INTV%".to_owned(),
            "INTVAAAA".to_owned(),
            encoded(&[0]).replace(PREFIX, ""),
            encoded(&[0x81, 0x01]),
            encoded(&[1, 0, 1, 0x90, 0x01, 5]),
            encoded(&[1, 0, 2, 3, 1, 0, 1]),
            encoded(&[2, 0, 0]),
        ];
        for counts in wrong {
            let read = Intervals::try_from(Encoded {
                length_ns: 1,
                counts: counts.clone(),
            });
            assert!(read.is_err(), "{counts}: {read:?}");
        }
    }

    #[test]
    fn buckets_hold_the_times_from_their_start_to_the_next() {
        for time_ns in (0..500).chain([999_999, 1 << 20, 59_999_999_999]) {
            let index = bucket(time_ns);
            let time = time_ns.max(1) as f64;
            assert!(bucket_start_ns(index) <= time, "{time_ns}");
            assert!(time < bucket_start_ns(index + 1), "{time_ns}");
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn a_quantile_is_the_middle_of_its_bucket() {
        let interval = Interval {
            failed: 0,
            buckets: vec![(bucket(1_000), 98), (bucket(50_000), 2)],
        };
        let near = |quantile, time_ns: f64| {
            let found = interval.quantile_ns(quantile).expect("successes");
            assert!((found / time_ns).ln().abs() < 0.25_f64.ln_1p(), "{found}");
        };
        near(0.5, 1_000.0);
        near(0.99, 50_000.0);
        assert_eq!(Interval::default().quantile_ns(0.5), None);
    }
}
