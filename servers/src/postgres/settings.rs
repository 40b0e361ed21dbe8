//! Settings of a session, for SHOW, SET and RESET.
//!
//! Three of them change anything: the search path, the default isolation level and the statement timeout. The others
//! are kept so that a client reads back what it wrote; one that would change the form of values (time zone, date style,
//! encoding) is refused unless it asks for the form they have anyway.

use std::collections::BTreeMap;
use std::time::Duration;

use super::error::{SqlError, SqlResult};

/// Name, default, and the name under which clients are told of the value, if they are.
static KNOWN: [(&str, &str, Option<&str>); 27] = [
    ("application_name", "", Some("application_name")),
    ("bytea_output", "hex", None),
    ("client_encoding", "UTF8", Some("client_encoding")),
    ("client_min_messages", "notice", None),
    ("datestyle", "ISO, MDY", Some("DateStyle")),
    ("default_transaction_isolation", "read committed", None),
    (
        "default_transaction_read_only",
        "off",
        Some("default_transaction_read_only"),
    ),
    ("extra_float_digits", "1", None),
    ("idle_in_transaction_session_timeout", "0", None),
    ("in_hot_standby", "off", Some("in_hot_standby")),
    ("integer_datetimes", "on", Some("integer_datetimes")),
    ("intervalstyle", "postgres", Some("IntervalStyle")),
    ("is_superuser", "on", Some("is_superuser")),
    ("jit", "off", None),
    ("lock_timeout", "0", None),
    ("max_identifier_length", "63", None),
    ("search_path", "\"$user\", public", None),
    ("server_encoding", "UTF8", Some("server_encoding")),
    ("server_version", "15.0", Some("server_version")),
    ("server_version_num", "150000", None),
    (
        "standard_conforming_strings",
        "on",
        Some("standard_conforming_strings"),
    ),
    ("statement_timeout", "0", None),
    ("synchronous_commit", "on", None),
    ("timezone", "UTC", Some("TimeZone")),
    ("transaction_isolation", "read committed", None),
    ("transaction_read_only", "off", None),
    ("work_mem", "4MB", None),
];

const READ_ONLY: [&str; 6] = [
    "integer_datetimes",
    "is_superuser",
    "max_identifier_length",
    "server_encoding",
    "server_version",
    "server_version_num",
];

const UTC: [&str; 9] = [
    "utc", "gmt", "etc/utc", "etc/gmt", "uct", "zulu", "0", "+00:00", "default",
];

const LEVELS: [&str; 4] = [
    "read uncommitted",
    "read committed",
    "repeatable read",
    "serializable",
];

#[derive(Debug, Clone, Default)]
pub(crate) struct Settings {
    /// Values other than the defaults.
    changed: BTreeMap<String, String>,
    /// Values the session started with, to which RESET goes back.
    initial: BTreeMap<String, String>,
    /// Values that SET LOCAL has hidden until the end of the transaction.
    local: BTreeMap<String, Option<String>>,
    /// Counts changes.
    pub(crate) revision: u64,
}

fn known(name: &str) -> Option<&'static (&'static str, &'static str, Option<&'static str>)> {
    KNOWN.iter().find(|(known, ..)| *known == name)
}

fn unknown(name: &str) -> SqlError {
    SqlError::new(
        "42704",
        format!("unrecognized configuration parameter \"{name}\""),
    )
}

impl Settings {
    /// Sets a value at the start of the session; names that nobody knows pass, as drivers send many.
    pub(crate) fn start_with(&mut self, name: &str, value: &str) {
        if self.set(name, value, false).is_ok() {
            self.initial = self.changed.clone();
        }
    }

    /// The value of a setting; empty if there is none of this name.
    pub(crate) fn get(&self, name: &str) -> &str {
        let default = || known(name).map_or("", |(_, default, _)| default);
        self.changed.get(name).map_or_else(default, String::as_str)
    }

    pub(crate) fn show(&self, name: &str) -> SqlResult<String> {
        let name = name.to_ascii_lowercase();
        if known(&name).is_none() && !self.changed.contains_key(&name) {
            return Err(unknown(&name));
        }
        Ok(self.get(&name).to_owned())
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        KNOWN.iter().map(|(name, ..)| (*name, self.get(name)))
    }

    /// Sets a value, until the end of the transaction if it is local; a name with a dot is the user's own.
    pub(crate) fn set(&mut self, name: &str, value: &str, is_local: bool) -> SqlResult<()> {
        let name = name.to_ascii_lowercase();
        if known(&name).is_none() && !name.contains('.') {
            return Err(unknown(&name));
        }
        if READ_ONLY.contains(&name.as_str()) {
            return Err(SqlError::new(
                "55P02",
                format!("parameter \"{name}\" cannot be changed"),
            ));
        }
        let value = checked(&name, value)?;
        let before = self.changed.insert(name.clone(), value);
        if is_local {
            self.local.entry(name).or_insert(before);
        }
        self.revision += 1;
        Ok(())
    }

    /// Undoes the changes of one setting, or of all.
    pub(crate) fn reset(&mut self, name: Option<&str>) -> SqlResult<()> {
        self.revision += 1;
        let Some(name) = name.map(str::to_ascii_lowercase) else {
            self.changed = self.initial.clone();
            return Ok(());
        };
        if known(&name).is_none() && !self.changed.contains_key(&name) {
            return Err(unknown(&name));
        }
        match self.initial.get(&name).cloned() {
            Some(initial) => self.changed.insert(name, initial),
            None => self.changed.remove(&name),
        };
        Ok(())
    }

    pub(crate) fn end_transaction(&mut self) {
        for (name, before) in std::mem::take(&mut self.local) {
            self.revision += 1;
            match before {
                Some(value) => self.changed.insert(name, value),
                None => self.changed.remove(&name),
            };
        }
    }

    /// Names and values that a client is told when it connects.
    pub(crate) fn reported(&self) -> impl Iterator<Item = (&'static str, &str)> {
        KNOWN
            .iter()
            .filter_map(|(name, _, reported)| Some(((*reported)?, self.get(name))))
    }

    /// Name and value as a client is told after a change, if it is.
    pub(crate) fn report(&self, name: &str) -> Option<(&'static str, &str)> {
        let (name, _, reported) = known(&name.to_ascii_lowercase())?;
        Some(((*reported)?, self.get(name)))
    }

    /// How long a statement may run; `None` is for ever.
    pub(crate) fn statement_timeout(&self) -> Option<Duration> {
        let timeout = self
            .changed
            .get("statement_timeout")
            .and_then(|value| milliseconds(value));
        timeout
            .filter(|&millis| millis > 0)
            .map(Duration::from_millis)
    }
}

fn milliseconds(value: &str) -> Option<u64> {
    let end = value
        .find(|letter: char| !letter.is_ascii_digit())
        .unwrap_or(value.len());
    let number: u64 = value[..end].parse().ok()?;
    match value[end..].trim() {
        "" | "ms" => Some(number),
        "s" => number.checked_mul(1_000),
        "min" => number.checked_mul(60_000),
        "h" => number.checked_mul(3_600_000),
        _ => None,
    }
}

/// The value as it is kept.
fn checked(name: &str, value: &str) -> SqlResult<String> {
    let lower = value.to_ascii_lowercase();
    let lower = lower.as_str();
    let kept = match name {
        "timezone" => UTC.contains(&lower).then_some("UTC"),
        "client_encoding" => ["utf8", "utf-8", "unicode", "default"]
            .contains(&lower)
            .then_some("UTF8"),
        "datestyle" => lower.starts_with("iso").then_some("ISO, MDY"),
        "intervalstyle" => (lower == "postgres").then_some(lower),
        "bytea_output" => (lower == "hex").then_some(lower),
        "standard_conforming_strings" => {
            ["on", "true", "1", "yes"].contains(&lower).then_some("on")
        }
        "transaction_isolation" | "default_transaction_isolation" => {
            LEVELS.contains(&lower).then_some(lower)
        }
        "statement_timeout" | "lock_timeout" | "idle_in_transaction_session_timeout" => {
            milliseconds(lower).map(|_| lower)
        }
        _ => Some(value),
    };
    kept.map(str::to_owned).ok_or_else(|| {
        SqlError::new(
            "22023",
            format!("invalid value for parameter \"{name}\": \"{value}\""),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_local_setting_ends_with_its_transaction() {
        let mut settings = Settings::default();
        settings
            .set("application_name", "before", false)
            .expect("valid");
        settings
            .set("application_name", "within", true)
            .expect("valid");
        assert_eq!(settings.get("application_name"), "within");
        settings.end_transaction();
        assert_eq!(settings.get("application_name"), "before");
    }

    #[test]
    fn a_time_zone_other_than_utc_is_refused() {
        let mut settings = Settings::default();
        let refused = settings
            .set("TimeZone", "Europe/Berlin", false)
            .expect_err("not UTC");
        assert_eq!(refused.state(), "22023");
        assert_eq!(settings.set("TimeZone", "Etc/UTC", false), Ok(()));
    }
}
