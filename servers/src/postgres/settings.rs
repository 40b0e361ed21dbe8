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
    client_encoding DateStyle integer_datetimes IntervalStyle server_encoding server_version \
    standard_conforming_strings TimeZone bytea_output";

/// Values that differ from the defaults.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings(BTreeMap<&'static str, String>);

fn known(name: &str) -> SqlResult<(&'static str, &'static str)> {
    let known = KNOWN
        .into_iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name));
    let message = || format!("unrecognized configuration parameter \"{name}\"");
    known.ok_or_else(|| SqlError::new("42704", message()))
}

impl Settings {
    /// Names and values reported to a client when it connects, and after a change.
    pub(crate) fn reported(&self) -> impl Iterator<Item = [&str; 2]> {
        KNOWN[..REPORTED]
            .iter()
            .map(|(name, default)| [name, self.value(name, default)])
    }

    fn value<'s>(&'s self, name: &str, default: &'s str) -> &'s str {
        self.0.get(name).map_or(default, String::as_str)
    }

    pub(crate) fn get(&self, name: &str) -> SqlResult<&str> {
        let (name, default) = known(name)?;
        Ok(self.value(name, default))
    }

    /// Sets a value, or restores the default; of all, if the name is `all`.
    pub(crate) fn set(&mut self, name: &str, value: Option<&str>) -> SqlResult<()> {
        if name == "all" && value.is_none() {
            self.0.clear();
            return Ok(());
        }
        let (name, default) = known(name)?;
        let Some(value) = value else {
            self.0.remove(name);
            return Ok(());
        };
        if FIXED.split(' ').any(|fixed| fixed == name) {
            let plain = |text: &str| text.replace('-', "").to_ascii_lowercase();
            let is_utc = name == "TimeZone" && plain(value).ends_with("utc");
            if is_utc || plain(default).starts_with(&plain(value)) {
                return Ok(());
            }
        } else if name != "statement_timeout" || timeout(value).is_some() {
            self.0.insert(name, value.to_owned());
            return Ok(());
        }
        let message = format!("invalid value for parameter \"{name}\": \"{value}\"");
        Err(SqlError::new("22023", message).with_hint())
    }

    /// Time limit of a statement; `None` if unlimited.
    pub(crate) fn statement_timeout(&self) -> Option<Duration> {
        timeout(self.0.get("statement_timeout")?).filter(|timeout| !timeout.is_zero())
    }

    /// The schemas to search for names.
    pub(crate) fn search_path(&self) -> impl Iterator<Item = String> {
        let schemas = self.value("search_path", "public").split(',');
        schemas.map(|schema| schema.trim().trim_matches('"').to_owned())
    }
}

/// A length of time as PostgreSQL writes it, in milliseconds if it has no unit.
fn timeout(text: &str) -> Option<Duration> {
    let text = text.replace("min", "m");
    let with_unit = text.parse().or_else(|_| format!("{text}ms").parse());
    with_unit.ok().map(crate::Duration::get)
}

/// The name of the setting at `at`, which may be a phrase, and the position after it.
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
    (statement.at(at).value(), at + 1)
}
