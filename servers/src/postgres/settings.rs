//! Settings of a session, for SHOW, SET and RESET.
//!
//! Only two of them have an effect: the search path and the statement timeout. The others are kept so that a client
//! reads back what it wrote; a setting that would change the format of values is rejected unless it requests the format
//! they already have.

use std::collections::BTreeMap;
use std::time::Duration;

use super::error::{SqlError, SqlResult};
use super::token::Statement;

/// Names as reported to clients, and defaults. Those before `bytea_output` are reported when a session starts.
static KNOWN: [(&str, &str); 19] = [
    ("application_name", ""),
    ("client_encoding", "UTF8"),
    ("DateStyle", "ISO, MDY"),
    ("in_hot_standby", "off"),
    ("integer_datetimes", "on"),
    ("IntervalStyle", "postgres"),
    ("is_superuser", "on"),
    ("server_encoding", "UTF8"),
    ("server_version", "15.0"),
    ("standard_conforming_strings", "on"),
    ("TimeZone", "UTC"),
    ("bytea_output", "hex"),
    ("client_min_messages", "notice"),
    ("extra_float_digits", "1"),
    ("lock_timeout", "0"),
    ("search_path", "public"),
    ("statement_timeout", "0"),
    ("synchronous_commit", "on"),
    ("transaction_isolation", "read committed"),
];

const REPORTED: usize = 11;

/// Settings whose values are fixed, since they define the format of values.
const FIXED: &str = "\
    client_encoding datestyle integer_datetimes intervalstyle server_encoding server_version \
    standard_conforming_strings timezone bytea_output";

/// Values that differ from the defaults, by lower-case name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings(BTreeMap<String, String>);

fn known(name: &str) -> Option<(&'static str, &'static str)> {
    let mut known = KNOWN.into_iter();
    known.find(|(known, _)| known.eq_ignore_ascii_case(name))
}

impl Settings {
    /// Names and values reported to a client when it connects.
    pub(crate) fn reported(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let names = KNOWN[..REPORTED].iter().map(|(name, _)| *name);
        names.map(|name| (name, self.get(name)))
    }

    /// Name and value to report to a client after a change, if any.
    pub(crate) fn report(&self, name: &str) -> Option<(&'static str, &str)> {
        self.reported()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
    }

    pub(crate) fn get(&self, name: &str) -> &str {
        let default = known(name).map_or("", |(_, default)| default);
        self.0
            .get(&name.to_ascii_lowercase())
            .map_or(default, String::as_str)
    }

    pub(crate) fn show(&self, name: &str) -> SqlResult<&str> {
        check_known(name)?;
        Ok(self.get(name))
    }

    /// Sets a value, or restores the default.
    pub(crate) fn set(&mut self, name: &str, value: Option<&str>) -> SqlResult<()> {
        check_known(name)?;
        let name = name.to_ascii_lowercase();
        let Some(value) = value else {
            self.0.remove(&name);
            return Ok(());
        };
        if FIXED.split(' ').any(|fixed| fixed == name) {
            let is_utc = name == "timezone" && value.to_ascii_lowercase().ends_with("utc");
            let plain = |text: &str| text.replace('-', "").to_ascii_lowercase();
            if !is_utc && !plain(self.get(&name)).starts_with(&plain(value)) {
                let message = format!("invalid value for parameter \"{name}\": \"{value}\"");
                return Err(SqlError::new("22023", message).with_hint());
            }
            return Ok(());
        }
        if name == "statement_timeout" && milliseconds(value).is_none() {
            return Err(SqlError::new(
                "22023",
                "invalid value for parameter \"statement_timeout\"",
            ));
        }
        self.0.insert(name, value.to_owned());
        Ok(())
    }

    /// Restores all defaults.
    pub(crate) fn reset(&mut self) {
        self.0.clear();
    }

    /// Time limit of a statement; `None` if unlimited.
    pub(crate) fn statement_timeout(&self) -> Option<Duration> {
        let millis = milliseconds(self.0.get("statement_timeout")?)?;
        (millis > 0).then(|| Duration::from_millis(millis))
    }
}

/// A setting with a dot in its name is the user's own.
fn check_known(name: &str) -> SqlResult<()> {
    if known(name).is_some() || name.contains('.') {
        return Ok(());
    }
    let message = format!("unrecognized configuration parameter \"{name}\"");
    Err(SqlError::new("42704", message))
}

fn milliseconds(value: &str) -> Option<u64> {
    let digits = value.trim_end_matches(|letter: char| !letter.is_ascii_digit());
    let number: u64 = digits.parse().ok()?;
    match value[digits.len()..].trim() {
        "" | "ms" => Some(number),
        "s" => number.checked_mul(1_000),
        "min" => number.checked_mul(60_000),
        _ => None,
    }
}

/// The name of the setting at `at`, which may have a dot or be a phrase, and the position after it.
pub(crate) fn setting(statement: &Statement<'_>, at: usize) -> (String, usize) {
    const PHRASES: [(&str, &str); 3] = [
        ("time zone", "timezone"),
        ("names", "client_encoding"),
        ("transaction isolation level", "transaction_isolation"),
    ];
    for (words, name) in PHRASES {
        if let Some(end) = statement.skip(at, words) {
            return (name.to_owned(), end);
        }
    }
    let name = statement.at(at).name();
    if statement.at(at + 1).is_operator(".") {
        return (format!("{name}.{}", statement.at(at + 2).name()), at + 3);
    }
    (name, at + 1)
}
