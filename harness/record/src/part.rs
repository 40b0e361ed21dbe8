//! Parts: the figures of one named part of the operations of a round, such as a request of a flow or a statement of a
//! transaction.
//!
//! A worker records at most [`Part::MOST`] parts, with [`PART_DIGITS`](crate::latency::PART_DIGITS) significant digits
//! (30 KiB each) in at most [`Part::MOST_STRIPES`] stripes: 30 MiB at most, and nothing for a workload without parts. A
//! record keeps only the buckets that are not empty.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::latency::Latencies;

/// One named part of the operations of a measured phase.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Part {
    /// Unique within the workload: `login`, `GET /items`.
    pub name: String,
    pub succeeded: u64,
    pub failed: u64,
    /// Number of answers by status, three digits each; parts without an answer have none.
    #[serde(default)]
    pub statuses: BTreeMap<String, u64>,
    /// Number of failures by kind.
    #[serde(default)]
    pub failures: BTreeMap<String, u64>,
    /// Service time of successes, in ns.
    pub service: Latencies,
}

/// Names or counts of parts that no worker can have written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PartError(String);

impl Part {
    /// Maximum number of parts of a workload.
    pub const MOST: usize = 64;
    /// Maximum number of stripes that the sessions of a round record to.
    pub const MOST_STRIPES: u32 = 16;
    /// Maximum length of a name, in characters.
    pub const LONGEST_NAME: usize = 100;

    /// Number of times that it ended.
    pub fn count(&self) -> u64 {
        self.succeeded.saturating_add(self.failed)
    }

    /// Checks the names of a workload's parts: not too many, none empty or too long, no duplicates.
    pub fn check_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<(), PartError> {
        let mut seen = BTreeSet::new();
        for name in names {
            let length = name.chars().count();
            let reason = if length == 0 || length > Self::LONGEST_NAME {
                format!(
                    "expected a name of 1 to {} characters, got {length}",
                    Self::LONGEST_NAME
                )
            } else if !seen.insert(name) {
                format!("expected a different name for each part, got `{name}` twice")
            } else if seen.len() > Self::MOST {
                format!("expected at most {} parts", Self::MOST)
            } else {
                continue;
            };
            return Err(PartError(reason));
        }
        Ok(())
    }

    /// Checks the parts of a round: their names, and that the counts of each add up.
    pub fn check(parts: &[Self]) -> Result<(), PartError> {
        Self::check_names(parts.iter().map(|part| part.name.as_str()))?;
        parts.iter().try_for_each(Self::check_counts)
    }

    fn check_counts(&self) -> Result<(), PartError> {
        let wrong = |what: &str, expected: u64, got: u64| {
            Err(PartError(format!(
                "expected {expected} {what} of the part `{}`, got {got}",
                self.name
            )))
        };
        let sum = |counts: &BTreeMap<String, u64>| counts.values().fold(0, saturating);
        let (timed, failures, answers) = (
            self.service.count(),
            sum(&self.failures),
            sum(&self.statuses),
        );
        let is_status =
            |text: &&String| text.len() == 3 && text.bytes().all(|b| b.is_ascii_digit());
        if let Some(status) = self.statuses.keys().find(|text| !is_status(text)) {
            return Err(PartError(format!(
                "expected a status of three digits, got `{status}`"
            )));
        }
        match () {
            () if timed != self.succeeded => wrong("service times", self.succeeded, timed),
            () if failures != self.failed => wrong("failures by kind", self.failed, failures),
            () if answers > self.count() => wrong("or fewer statuses", self.count(), answers),
            () => Ok(()),
        }
    }
}

fn saturating(sum: u64, count: &u64) -> u64 {
    sum.saturating_add(*count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(change: impl FnOnce(&mut Part)) -> Result<(), String> {
        let count = |key: &str, count| BTreeMap::from([(key.to_owned(), count)]);
        let mut part = Part {
            name: "login".to_owned(),
            succeeded: 2,
            failed: 1,
            statuses: count("200", 3),
            failures: count("timeout", 1),
            service: [5, 6].into_iter().collect(),
        };
        change(&mut part);
        Part::check(&[part]).map_err(|error| error.to_string())
    }

    #[test]
    fn counts_that_do_not_add_up_are_refused() {
        let refused = |expected: &str, change: fn(&mut Part)| {
            assert_eq!(part(change), Err(expected.to_owned()));
        };
        assert_eq!(part(|_| ()), Ok(()));
        assert_eq!(part(|part| part.statuses.clear()), Ok(()));
        refused(
            "expected 3 service times of the part `login`, got 2",
            |part| part.succeeded = 3,
        );
        refused(
            "expected 0 failures by kind of the part `login`, got 1",
            |part| part.failed = 0,
        );
        refused(
            "expected 3 or fewer statuses of the part `login`, got 18446744073709551615",
            |part| part.statuses = BTreeMap::from([("404".to_owned(), u64::MAX)]),
        );
        refused("expected a status of three digits, got `2x0`", |part| {
            part.statuses.insert("2x0".to_owned(), 0);
        });
    }

    #[test]
    fn names_are_few_short_and_different() {
        let check = |names: &[String]| {
            let names = Part::check_names(names.iter().map(String::as_str));
            names.map_err(|error| error.to_string())
        };
        let numbered = |count: usize| (0..count).map(|n| format!("r{n}")).collect::<Vec<_>>();
        assert_eq!(check(&numbered(Part::MOST)), Ok(()));
        assert_eq!(
            check(&numbered(Part::MOST + 1)),
            Err("expected at most 64 parts".to_owned())
        );
        for name in ["".to_owned(), "ä".repeat(101)] {
            let error = check(&[name]).expect_err("no name");
            assert!(
                error.starts_with("expected a name of 1 to 100 characters"),
                "{error}"
            );
        }
        let twice = check(&["a".to_owned(), "a".to_owned()]);
        assert_eq!(
            twice,
            Err("expected a different name for each part, got `a` twice".to_owned())
        );
    }
}
