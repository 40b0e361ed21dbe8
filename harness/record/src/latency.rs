//! Latency histograms: what every recorder fills and every record holds.
//!
//! A thin owner of one `hdrhistogram::Histogram<u64>` in nanoseconds, from 1 ns to 60 s with 3 significant digits, so
//! that its memory is fixed whatever the number of operations. It travels as HdrHistogram V2 (deflated) in base64, the
//! form other HdrHistogram implementations read. Statistics over rounds live in `reports`, not here.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer as _, V2DeflateSerializer};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The longest latency a histogram tells apart, in ns: 60 s. Longer ones are counted as this.
pub const HIGHEST_LATENCY_NS: u64 = 60_000_000_000;

/// Significant decimal digits kept of each value: a relative error of at most 0.1 %.
pub const SIGNIFICANT_DIGITS: u8 = 3;

/// A latency histogram in nanoseconds.
#[derive(Clone, Debug, PartialEq)]
pub struct Latencies {
    histogram: Histogram<u64>,
}

/// Why a stored histogram could not be read.
#[derive(Debug, thiserror::Error)]
#[error("not an HdrHistogram V2 in base64: {reason}")]
pub struct DecodeError {
    reason: String,
}

impl Latencies {
    /// An empty histogram over 1 ns ..= 60 s with 3 significant digits.
    pub fn new() -> Self {
        let histogram = Histogram::new_with_bounds(1, HIGHEST_LATENCY_NS, SIGNIFICANT_DIGITS)
            .expect("the fixed bounds are valid for HdrHistogram");
        Self { histogram }
    }

    /// Records one latency in ns; beyond 60 s it counts as 60 s, and 0 counts as 1. Allocates nothing.
    #[inline]
    pub fn record_ns(&mut self, latency_ns: u64) {
        let latency_ns = latency_ns.clamp(1, HIGHEST_LATENCY_NS);
        self.histogram.saturating_record(latency_ns);
    }

    /// Adds all values of `other`. For display of a whole cell only: rounds stay the unit of inference.
    pub fn merge(&mut self, other: &Self) {
        self.histogram
            .add(&other.histogram)
            .expect("histograms of equal bounds add up");
    }

    /// Forgets all values and keeps the memory, which the system has handed out by then: filling it again costs no page
    /// fault.
    pub fn clear(&mut self) {
        self.histogram.reset();
    }

    /// Number of recorded values.
    pub fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// The latency in ns at `quantile` in 0..=1; `None` of an empty histogram.
    pub fn quantile_ns(&self, quantile: f64) -> Option<u64> {
        (self.count() > 0).then(|| self.histogram.value_at_quantile(quantile))
    }

    /// The arithmetic mean in ns; `None` of an empty histogram.
    pub fn mean_ns(&self) -> Option<f64> {
        (self.count() > 0).then(|| self.histogram.mean())
    }

    /// The histogram itself, for exporters and charts that iterate over its values.
    pub fn histogram(&self) -> &Histogram<u64> {
        &self.histogram
    }

    /// HdrHistogram V2, deflated, in base64: starts with `HISTF`.
    pub fn to_base64(&self) -> String {
        let mut bytes = Vec::new();
        V2DeflateSerializer::new()
            .serialize(&self.histogram, &mut bytes)
            .expect("a histogram serializes into memory");
        STANDARD.encode(bytes)
    }

    /// The inverse of [`Latencies::to_base64`], for any V2 histogram, deflated or not.
    pub fn from_base64(text: &str) -> Result<Self, DecodeError> {
        let decode_error = |reason: String| DecodeError { reason };
        let bytes = STANDARD
            .decode(text)
            .map_err(|error| decode_error(error.to_string()))?;
        let stored: Histogram<u64> = Deserializer::new()
            .deserialize(&mut bytes.as_slice())
            .map_err(|error| decode_error(error.to_string()))?;
        // A foreign worker may have chosen other bounds; re-recording keeps all histograms addable.
        let mut latencies = Self::new();
        for value in stored.iter_recorded() {
            latencies
                .histogram
                .saturating_record_n(value.value_iterated_to().max(1), value.count_at_value());
        }
        Ok(latencies)
    }
}

impl Default for Latencies {
    fn default() -> Self {
        Self::new()
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

impl JsonSchema for Latencies {
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

    #[test]
    fn a_histogram_survives_base64_with_every_count() {
        let mut latencies = Latencies::new();
        for latency_ns in [0, 1, 999, 1_000_000, 59_999_999_999, u64::MAX] {
            latencies.record_ns(latency_ns);
        }
        let text = latencies.to_base64();
        assert!(text.starts_with("HISTF"), "{text}");
        assert_eq!(
            Latencies::from_base64(&text).expect("own output"),
            latencies
        );
    }

    #[test]
    fn what_took_longer_than_a_minute_counts_as_a_minute() {
        let mut latencies = Latencies::new();
        latencies.record_ns(u64::MAX);
        let highest = latencies.quantile_ns(1.0).expect("one value") as f64;
        let relative_error = (highest / HIGHEST_LATENCY_NS as f64 - 1.0).abs();
        assert!(relative_error <= 1e-3, "{highest} ns");
    }

    #[test]
    fn rubbish_is_an_error_and_not_a_panic() {
        for text in ["", "%%%", "AAAA", "HISTFAAA"] {
            assert!(Latencies::from_base64(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn quantiles_of_nothing_are_unknown() {
        assert_eq!(Latencies::new().quantile_ns(0.5), None);
        assert_eq!(Latencies::new().mean_ns(), None);
    }
}
