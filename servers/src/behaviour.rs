//! Reads a server's behaviour from JSON; errors have the path of the wrong key and the names that would be valid.
//!
//! The behaviour comes from a user's scenario file, in which an error is shown with its line and column; hence it is
//! data ([`BehaviourError`]) and not a sentence. Each server defines the meaning of its behaviour. Read `http.rs` next
//! for a behaviour.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{DeserializeOwned, Deserializer, Error as _};
use serde::{Deserialize, Serialize, Serializer};
use serde_path_to_error::Segment;

/// An error in a behaviour, with its path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("behaviour{}: {message}", path.iter().map(|key| format!(".{key}")).collect::<String>())]
pub struct BehaviourError {
    /// The keys (and positions, counted from 0) from the behaviour's root to the value at fault.
    pub path: Vec<String>,
    pub message: String,
    /// The valid names there, for a suggestion; empty if the error is another.
    pub expected: Vec<String>,
}

impl BehaviourError {
    /// An error about the value at `path`.
    pub fn at<const N: usize>(path: [&str; N], message: impl Into<String>) -> Self {
        let path = path.into_iter().map(String::from).collect();
        BehaviourError {
            path,
            message: message.into(),
            expected: Vec::new(),
        }
    }

    /// Prepends `outer` to the error's path.
    pub fn within<const N: usize>(mut self, outer: [&str; N]) -> Self {
        self.path.splice(0..0, outer.into_iter().map(String::from));
        self
    }
}

/// Reads a behaviour into the server's own type; null counts as `{}`.
pub fn read_behaviour<T: DeserializeOwned>(
    behaviour: &serde_json::Value,
) -> Result<T, BehaviourError> {
    let empty = serde_json::Value::Object(serde_json::Map::new());
    let behaviour = if behaviour.is_null() {
        &empty
    } else {
        behaviour
    };
    serde_path_to_error::deserialize(behaviour).map_err(|error| {
        let path = error.path().iter().filter_map(segment_name).collect();
        let message = error.into_inner().to_string();
        let expected = valid_names(&message);
        BehaviourError {
            path,
            message,
            expected,
        }
    })
}

fn segment_name(segment: &Segment) -> Option<String> {
    match segment {
        Segment::Seq { index } => Some(index.to_string()),
        Segment::Map { key } => Some(key.clone()),
        Segment::Enum { .. } | Segment::Unknown => None,
    }
}

/// The names that serde lists in "unknown field `x`, expected one of `a`, `b`"; it does not provide them in any other
/// form.
fn valid_names(message: &str) -> Vec<String> {
    if !message.starts_with("unknown field") && !message.starts_with("unknown variant") {
        return Vec::new();
    }
    let listed = message
        .rsplit_once("expected ")
        .map_or("", |(_, listed)| listed);
    listed
        .split('`')
        .skip(1)
        .step_by(2)
        .map(String::from)
        .collect()
}

/// A length of time in a behaviour: a number and its unit in one string, such as `20ms`, `1.5s` or `250us`.
///
/// Units are `ns`, `us` (or `µs`), `ms`, `s`, `m` and `h`. A bare number is refused: no reader could tell its unit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Duration(std::time::Duration);

/// Units and their lengths in nanoseconds.
const UNITS: [(&str, f64); 7] = [
    ("ns", 1.0),
    ("us", 1e3),
    ("µs", 1e3),
    ("ms", 1e6),
    ("s", 1e9),
    ("m", 60e9),
    ("h", 3600e9),
];

/// A day: a longer delay is a typo, and arithmetic on it could overflow.
const LONGEST_NS: f64 = 24.0 * 3600.0 * 1e9;

impl Duration {
    /// Converts it to the standard library's duration.
    pub fn get(self) -> std::time::Duration {
        self.0
    }
}

impl From<std::time::Duration> for Duration {
    fn from(duration: std::time::Duration) -> Self {
        Duration(duration)
    }
}

impl FromStr for Duration {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` is not a duration; write a number and its unit (ns, us, ms, s, m or h), such as `20ms`"
            )
        };
        let is_of_unit = |letter: char| !letter.is_ascii_digit() && letter != '.';
        let (digits, unit) = text.split_at(text.find(is_of_unit).unwrap_or(text.len()));
        let (_, unit_ns) = UNITS
            .iter()
            .find(|(name, _)| *name == unit.trim_start())
            .ok_or_else(wrong)?;
        if !digits.starts_with(|first: char| first.is_ascii_digit()) {
            return Err(wrong());
        }
        let nanoseconds = digits.parse::<f64>().map_err(|_| wrong())? * unit_ns;
        if nanoseconds > LONGEST_NS {
            return Err(format!("`{text}` is longer than a day"));
        }
        Ok(Duration(std::time::Duration::from_nanos(
            nanoseconds.round() as u64,
        )))
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}", self.0)
    }
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}

impl JsonSchema for Duration {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A number and its unit, such as `20ms`, `1.5s` or `250us`.",
            "pattern": r"^[0-9]+(\.[0-9]+)?\s*(ns|us|µs|ms|s|m|h)$",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use std::time;

    fn check(text: &str, expected: Result<time::Duration, &str>) {
        match (text.parse::<Duration>(), expected) {
            (Ok(read), Ok(expected)) => assert_eq!(read.get(), expected, "{text}"),
            (Err(message), Err(expected)) => {
                assert!(message.contains(expected), "{text}: {message}")
            }
            (read, expected) => panic!("{text}: {read:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn a_duration_is_a_number_with_its_unit() {
        check("20ms", Ok(time::Duration::from_millis(20)));
        check("1.5s", Ok(time::Duration::from_millis(1500)));
        check("250us", Ok(time::Duration::from_micros(250)));
        check("250µs", Ok(time::Duration::from_micros(250)));
        check("7 ns", Ok(time::Duration::from_nanos(7)));
        check("2m", Ok(time::Duration::from_secs(120)));
        check("1.5h", Ok(time::Duration::from_secs(90 * 60)));
        check("0s", Ok(time::Duration::ZERO));
        for wrong in [
            "", "20", "ms", "-1s", ".5s", "1.2.3s", "1d", "1e3s", "inf s", "s1",
        ] {
            check(wrong, Err("write a number and its unit"));
        }
        check("1441m", Err("longer than a day"));
    }

    #[test]
    fn durations_round_trip() {
        for text in ["20ms", "1.5s", "250µs", "7ns"] {
            let read: Duration = text.parse().unwrap();
            assert_eq!(serde_json::to_value(read).unwrap(), json!(text));
            assert_eq!(
                serde_json::from_value::<Duration>(json!(text)).unwrap(),
                read
            );
        }
        assert!(
            serde_json::from_value::<Duration>(json!(20)).is_err(),
            "a bare number has no unit"
        );
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Nested {
        #[serde(default)]
        #[allow(dead_code, reason = "only how it is read matters here")]
        inner: Vec<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "only how it is read matters here")]
    struct Inner {
        alpha: u8,
        beta: Option<u8>,
    }

    fn check_error(behaviour: Value, path: &[&str], expected: &[&str]) {
        let error = read_behaviour::<Nested>(&behaviour).unwrap_err();
        assert_eq!(error.path, path, "{}", error.message);
        assert_eq!(error.expected, expected, "{}", error.message);
    }

    #[test]
    fn errors_point_at_the_key_and_offer_the_valid_names() {
        check_error(json!({"iner": []}), &["iner"], &["inner"]);
        check_error(
            json!({"inner": [{"alpha": 1}, {"alpa": 2}]}),
            &["inner", "1", "alpa"],
            &["alpha", "beta"],
        );
        check_error(
            json!({"inner": [{"alpha": "x"}]}),
            &["inner", "0", "alpha"],
            &[],
        );
        check_error(json!({"inner": [{}]}), &["inner", "0"], &[]);
        assert!(
            read_behaviour::<Nested>(&Value::Null).is_ok(),
            "no behaviour asks for the defaults"
        );
    }

    #[test]
    fn an_error_reads_as_a_path_and_a_message() {
        let error = BehaviourError::at(["share"], "too much").within(["status", "0"]);
        assert_eq!(error.to_string(), "behaviour.status.0.share: too much");
    }
}
