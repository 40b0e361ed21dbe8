//! Latency histograms: a [`LatencyRecorder`] fills one, and a record holds the result as [`Latencies`].
//!
//! Both count values in ns, from 1 ns to 60 s with 3 significant digits. The recorder is HdrHistogram's array of
//! counts, 220 KiB whatever it holds, so that recording allocates nothing. The result keeps only the buckets that are
//! not empty, which for most rounds is a few KiB: a record has thousands of them. It travels as HdrHistogram V2
//! (deflated) in base64, the form other HdrHistogram implementations read. Statistics over rounds live in `reports`.

use std::io::Read as _;
use std::sync::{Arc, LazyLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::ZlibDecoder;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer as _, V2DeflateSerializer};
use serde::{Deserialize, Serialize};

/// Longest latency that a histogram distinguishes, in ns: 60 s. Longer ones are counted as this.
pub const HIGHEST_LATENCY_NS: u64 = 60_000_000_000;

/// Significant decimal digits kept of each value: a relative error of at most 0.1 %.
pub const SIGNIFICANT_DIGITS: u8 = 3;

/// Significant decimal digits kept of the times of an operation's parts, of which there are many: a relative error of at
/// most 1 %, in 30 KiB.
pub const PART_DIGITS: u8 = 2;

fn dense(digits: u8) -> Histogram<u64> {
    Histogram::new_with_bounds(1, HIGHEST_LATENCY_NS, digits)
        .expect("the fixed bounds are valid for HdrHistogram")
}

/// Bounds of the buckets.
static BUCKETS: LazyLock<Histogram<u64>> = LazyLock::new(|| dense(SIGNIFICANT_DIGITS));

/// A latency histogram that is being filled.
#[derive(Clone, Debug, PartialEq)]
pub struct LatencyRecorder {
    histogram: Histogram<u64>,
}

impl LatencyRecorder {
    /// An empty histogram with [`PART_DIGITS`].
    pub fn of_part() -> Self {
        Self {
            histogram: dense(PART_DIGITS),
        }
    }

    /// Records one latency in ns; above 60 s it counts as 60 s, and 0 counts as 1. Allocates nothing.
    #[inline]
    pub fn record_ns(&mut self, latency_ns: u64) {
        let latency_ns = latency_ns.clamp(1, HIGHEST_LATENCY_NS);
        self.histogram.saturating_record(latency_ns);
    }

    /// Adds all values of `other`.
    pub fn merge(&mut self, other: &Self) {
        self.histogram
            .add(&other.histogram)
            .expect("histograms of equal bounds add up");
    }

    /// Adds all values of a finished histogram.
    pub fn add(&mut self, latencies: &Latencies) {
        for (highest_ns, count) in latencies.buckets.iter() {
            self.histogram.saturating_record_n(*highest_ns, *count);
        }
    }

    /// Discards all values and keeps the memory, which the system has mapped by then: filling it again costs no page
    /// fault.
    pub fn clear(&mut self) {
        self.histogram.reset();
    }

    pub fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// The recorded values.
    pub fn latencies(&self) -> Latencies {
        Latencies::of(&self.histogram)
    }
}

impl Default for LatencyRecorder {
    fn default() -> Self {
        Self {
            histogram: dense(SIGNIFICANT_DIGITS),
        }
    }
}

/// A finished latency histogram in nanoseconds; clones share its memory.
#[derive(Clone, Debug, Default)]
pub struct Latencies {
    /// Highest value in ns and count of each bucket that is not empty, ascending.
    buckets: Arc<[(u64, u64)]>,
    count: u64,
    /// The text it was read from; `None` if it was made here.
    text: Option<Arc<str>>,
}

/// A stored histogram that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("expected an HdrHistogram V2 in base64: {reason}")]
pub struct DecodeError {
    reason: String,
}

impl Latencies {
    /// The values of any histogram in ns, in the buckets of this one: a foreign worker may have chosen other bounds.
    fn of(histogram: &Histogram<u64>) -> Self {
        Self::from_ascending(histogram.iter_recorded().map(|value| {
            let latency_ns = value.value_iterated_to().clamp(1, HIGHEST_LATENCY_NS);
            (
                BUCKETS.highest_equivalent(latency_ns),
                value.count_at_value(),
            )
        }))
    }

    fn from_ascending(values: impl Iterator<Item = (u64, u64)>) -> Self {
        let mut buckets: Vec<(u64, u64)> = Vec::new();
        let mut total: u64 = 0;
        for (highest_ns, count) in values {
            total = total.saturating_add(count);
            match buckets.last_mut() {
                Some((last_ns, sum)) if *last_ns == highest_ns => *sum = sum.saturating_add(count),
                _ => buckets.push((highest_ns, count)),
            }
        }
        Self {
            buckets: buckets.into(),
            count: total,
            text: None,
        }
    }

    /// Adds all values of `other`. For display of a whole cell only: rounds stay the unit of inference.
    pub fn merge(&mut self, other: &Self) {
        let mut all = [&self.buckets[..], &other.buckets[..]].concat();
        // Stable: two ascending runs are merged in linear time.
        all.sort();
        *self = Self::from_ascending(all.into_iter());
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    /// The latency in ns at `quantile` in 0..=1, by nearest rank; `None` if the histogram is empty.
    pub fn quantile_ns(&self, quantile: f64) -> Option<u64> {
        let rank = ((quantile.min(1.0) * self.count as f64).ceil() as u64).max(1);
        let mut up_to_bucket: u64 = 0;
        let (highest_ns, _) = self.buckets.iter().find(|(_, count)| {
            up_to_bucket = up_to_bucket.saturating_add(*count);
            up_to_bucket >= rank
        })?;
        Some(if quantile == 0.0 {
            BUCKETS.lowest_equivalent(*highest_ns)
        } else {
            *highest_ns
        })
    }

    /// The arithmetic mean in ns; `None` if the histogram is empty.
    pub fn mean_ns(&self) -> Option<f64> {
        (self.count > 0).then(|| {
            self.buckets
                .iter()
                .map(|(highest_ns, count)| {
                    BUCKETS.median_equivalent(*highest_ns) as f64 * *count as f64
                        / self.count as f64
                })
                .sum()
        })
    }

    /// The same as an HdrHistogram, for exporters that iterate over its values.
    pub fn to_histogram(&self) -> Histogram<u64> {
        let mut recorder = LatencyRecorder::default();
        recorder.add(self);
        recorder.histogram
    }

    /// HdrHistogram V2, deflated, in base64: starts with `HISTF`. Of a histogram that was read, the text it was read
    /// from.
    pub fn to_base64(&self) -> String {
        if let Some(text) = &self.text {
            return text.to_string();
        }
        let mut bytes = Vec::new();
        V2DeflateSerializer::new()
            .serialize(&self.to_histogram(), &mut bytes)
            .expect("a histogram serializes into memory");
        STANDARD.encode(bytes)
    }

    /// The inverse of [`Latencies::to_base64`], for any V2 histogram, deflated or not.
    pub fn from_base64(text: &str) -> Result<Self, DecodeError> {
        let decode_error = |reason: String| DecodeError { reason };
        let bytes = STANDARD
            .decode(text)
            .map_err(|error| decode_error(error.to_string()))?;
        let plain = inflated(bytes).map_err(decode_error)?;
        let stored: Histogram<u64> = Deserializer::new()
            .deserialize(&mut plain.as_slice())
            .map_err(|error| decode_error(error.to_string()))?;
        Ok(Self {
            text: Some(text.into()),
            ..Self::of(&stored)
        })
    }
}

/// Maximum length of an inflated histogram: far more than one with every bucket filled up to an hour in ns.
const MOST_BYTES: u64 = 32 << 20;

/// A histogram that is not deflated. The decoder reserves as much as the length in it says, so that is checked here.
fn inflated(bytes: Vec<u8>) -> Result<Vec<u8>, String> {
    const DEFLATED: [u8; 4] = [0x1c, 0x84, 0x93, 0x14];
    const HEADER_BYTES: usize = 8;
    let plain = match bytes.strip_prefix(&DEFLATED) {
        None => bytes,
        Some(rest) => {
            let mut plain = Vec::new();
            let deflated = rest.get(4..).unwrap_or_default();
            let read = ZlibDecoder::new(deflated)
                .take(MOST_BYTES)
                .read_to_end(&mut plain);
            read.map_err(|error| error.to_string())?;
            plain
        }
    };
    let length = plain
        .get(4..HEADER_BYTES)
        .and_then(|length| length.try_into().ok());
    let length = length.map_or(0, |length| u32::from_be_bytes(length) as usize);
    if length > plain.len() {
        return Err(format!(
            "{length} bytes are announced, and there are {}",
            plain.len()
        ));
    }
    Ok(plain)
}

/// Equal values are equal, however they were encoded.
impl PartialEq for Latencies {
    fn eq(&self, other: &Self) -> bool {
        self.buckets == other.buckets
    }
}

impl FromIterator<u64> for Latencies {
    fn from_iter<I: IntoIterator<Item = u64>>(latencies_ns: I) -> Self {
        let mut recorder = LatencyRecorder::default();
        for latency_ns in latencies_ns {
            recorder.record_ns(latency_ns);
        }
        recorder.latencies()
    }
}

impl Serialize for Latencies {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_base64())
    }
}

impl<'de> Deserialize<'de> for Latencies {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::from_base64(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Latencies {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Latencies".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "contentEncoding": "base64",
            "description": "HdrHistogram V2 (deflated) in base64; values in nanoseconds"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::{draw, draw_below};

    #[test]
    fn a_histogram_round_trips_through_base64() {
        let latencies: Latencies = [0, 1, 999, 1_000_000, 59_999_999_999, u64::MAX]
            .into_iter()
            .collect();
        let text = latencies.to_base64();
        assert!(text.starts_with("HISTF"), "{text}");
        let read = Latencies::from_base64(&text).expect("own output");
        assert_eq!(read, latencies);
        assert_eq!(read.count(), 6);
        assert_eq!(read.to_base64(), text);
        assert_eq!(Latencies::of(&read.to_histogram()), latencies);
    }

    #[test]
    fn quantiles_and_means_are_those_of_hdr_histogram() {
        // From a single value to thousands, over all magnitudes.
        for count in [1, 2, 3, 10, 99, 1_000, 20_000] {
            let mut recorder = LatencyRecorder::default();
            for index in 0..count {
                let bits = draw_below(count, 2 * index, 37) as u32;
                recorder.record_ns(draw(count, 2 * index + 1) >> (63 - bits));
            }
            let (latencies, dense) = (recorder.latencies(), &recorder.histogram);
            for quantile in [0.0, 1e-9, 0.01, 0.5, 0.9, 0.99, 0.999, 1.0, 2.0] {
                let expected = dense.value_at_quantile(quantile);
                assert_eq!(
                    latencies.quantile_ns(quantile),
                    Some(expected),
                    "{count} {quantile}"
                );
            }
            assert_eq!(latencies.mean_ns(), Some(dense.mean()), "{count}");
            assert_eq!(&latencies.to_histogram(), dense, "{count}");
        }
    }

    #[test]
    fn merged_histograms_hold_the_values_of_both() {
        let (low, high) = ([5, 70, 70, 9_000], [1, 70, 8_999_999]);
        let mut merged: Latencies = low.into_iter().collect();
        merged.merge(&high.into_iter().collect());
        assert_eq!(merged, low.into_iter().chain(high).collect());
        assert_eq!(merged.count(), 7);
    }

    #[test]
    fn a_declared_length_reserves_no_memory() {
        let latencies: Latencies = [5].into_iter().collect();
        let plain =
            inflated(STANDARD.decode(latencies.to_base64()).expect("base64")).expect("its own");
        assert_eq!(
            Latencies::from_base64(&STANDARD.encode(&plain)).expect("plain"),
            latencies
        );
        let mut lying = plain;
        lying[4..8].copy_from_slice(&[0xff; 4]);
        let read = allocation_counter::measure(|| {
            let refused = Latencies::from_base64(&STANDARD.encode(&lying));
            let error = refused.expect_err("no such length").to_string();
            assert!(error.contains("4294967295 bytes are announced"), "{error}");
        });
        assert!(read.bytes_max < 1 << 16, "{}", read.bytes_max);
    }

    #[test]
    fn histograms_of_other_bounds_are_read_into_these_buckets() {
        let mut foreign =
            Histogram::<u64>::new_with_bounds(1, 3_600_000_000_000, 5).expect("valid bounds");
        for latency_ns in [1_000_001, 1_000_002, 3_000_000_000_000] {
            foreign.record(latency_ns).expect("in bounds");
        }
        let mut bytes = Vec::new();
        let written = V2DeflateSerializer::new().serialize(&foreign, &mut bytes);
        written.expect("a histogram serializes into memory");
        let text = STANDARD.encode(bytes);
        let read = Latencies::from_base64(&text).expect("another V2 histogram");
        assert_eq!(
            read,
            [1_000_001, 1_000_002, HIGHEST_LATENCY_NS]
                .into_iter()
                .collect()
        );
        assert_eq!(read.to_base64(), text);
    }

    #[test]
    fn latencies_above_a_minute_count_as_a_minute() {
        let latencies: Latencies = [u64::MAX].into_iter().collect();
        let highest = latencies.quantile_ns(1.0).expect("one value") as f64;
        let relative_error = (highest / HIGHEST_LATENCY_NS as f64 - 1.0).abs();
        assert!(relative_error <= 1e-3, "{highest} ns");
    }

    #[test]
    fn garbage_is_an_error_and_not_a_panic() {
        for text in ["", "%%%", "AAAA", "HISTFAAA"] {
            assert!(Latencies::from_base64(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn quantiles_of_nothing_are_unknown() {
        assert_eq!(Latencies::default().quantile_ns(0.5), None);
        assert_eq!(Latencies::default().mean_ns(), None);
    }
}
