//! Settings of a session: SHOW, SET and RESET, and what is reported when a session starts.
//!
//! Few settings change anything here: the search path, the isolation level and the statement timeout. The others are
//! kept so that a client reads back what it wrote; one that would change the form of values (time zone, date style,
//! encoding) is refused unless it says what is true anyway.

use std::collections::BTreeMap;
use std::time::Duration;

use super::error::{SqlError, SqlResult};
use super::schema::PUBLIC;

/// Settings with their defaults, and whether each is reported to the client when a session starts.
static DEFAULTS: &[(&str, &str, bool)] = &[
    ("application_name", "", true),
    ("bytea_output", "hex", false),
    ("client_encoding", "UTF8", true),
    ("client_min_messages", "notice", false),
    ("datestyle", "ISO, MDY", true),
    ("default_transaction_isolation", "read committed", false),
    ("default_transaction_read_only", "off", true),
    ("extra_float_digits", "1", false),
    ("in_hot_standby", "off", true),
    ("idle_in_transaction_session_timeout", "0", false),
    ("integer_datetimes", "on", true),
    ("intervalstyle", "postgres", true),
    ("is_superuser", "on", true),
    ("lc_collate", "C", false),
    ("lc_ctype", "C", false),
    ("lock_timeout", "0", false),
    ("max_identifier_length", "63", false),
    ("search_path", "\"$user\", public", false),
    ("server_encoding", "UTF8", true),
    ("server_version", "15.0", true),
    ("server_version_num", "150000", false),
    ("standard_conforming_strings", "on", true),
    ("statement_timeout", "0", false),
    ("synchronous_commit", "on", false),
    ("timezone", "UTC", true),
    ("transaction_isolation", "read committed", false),
    ("transaction_read_only", "off", false),
    ("work_mem", "4MB", false),
];

/// Settings that the server decides.
const READ_ONLY: [&str; 7] = [
    "integer_datetimes",
    "is_superuser",
    "lc_collate",
    "max_identifier_length",
    "server_encoding",
    "server_version",
    "server_version_num",
];

/// The name of a setting as the client is told it.
pub(crate) fn shown_name(name: &str) -> &str {
    match name {
        "time zone" => "TimeZone",
        "datestyle" => "DateStyle",
        "intervalstyle" => "IntervalStyle",
        "timezone" => "TimeZone",
        other => other,
    }
}

/// Whether a time zone is UTC, by any of its names.
pub(crate) fn is_utc(name: &str) -> bool {
    [
        "utc",
        "gmt",
        "etc/utc",
        "etc/gmt",
        "uct",
        "zulu",
        "z",
        "0",
        "+00",
        "+00:00",
        "gmt0",
        "universal",
        "default",
    ]
    .contains(&name.to_lowercase().as_str())
}

/// The settings of one session that differ from the defaults.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Settings {
    changed: BTreeMap<String, String>,
    /// What the client asked for when it connected, to which RESET goes back.
    initial: BTreeMap<String, String>,
    /// Counts changes, so that what follows from settings is known to be out of date.
    pub(crate) revision: u64,
    /// What SET LOCAL has hidden until the end of the transaction.
    local: BTreeMap<String, Option<String>>,
}

fn default_of(name: &str) -> Option<&'static str> {
    DEFAULTS
        .iter()
        .find(|(known, _, _)| *known == name)
        .map(|(_, value, _)| *value)
}

fn unknown(name: &str) -> SqlError {
    SqlError::new(
        "42704",
        format!("unrecognized configuration parameter \"{name}\""),
    )
}

/// SET knows two names that are written as phrases.
fn canonical(name: &str) -> String {
    match name.to_lowercase().as_str() {
        "time zone" | "time.zone" | "time_zone" => "timezone".into(),
        "transaction isolation level" | "transaction.isolation.level" => {
            "transaction_isolation".into()
        }
        "names" => "client_encoding".into(),
        lower => lower.into(),
    }
}

impl Settings {
    /// Takes a setting from the start of the session; names that nobody knows are let pass, as drivers send many.
    pub(crate) fn start_with(&mut self, name: &str, value: &str) {
        if self.set(name, value).is_ok() {
            self.initial = self.changed.clone();
        }
    }

    /// The value that SHOW gives.
    pub(crate) fn show(&self, name: &str) -> SqlResult<String> {
        let name = canonical(name);
        let value = self
            .changed
            .get(&name)
            .map(String::as_str)
            .or_else(|| default_of(&name));
        value.map(str::to_owned).ok_or_else(|| unknown(&name))
    }

    /// SET; a name with a dot is the user's own.
    pub(crate) fn set(&mut self, name: &str, value: &str) -> SqlResult<()> {
        let name = canonical(name);
        if default_of(&name).is_none() && !name.contains('.') {
            return Err(unknown(&name));
        }
        if READ_ONLY.contains(&name.as_str()) {
            return Err(SqlError::new(
                "55P02",
                format!("parameter \"{name}\" cannot be changed"),
            ));
        }
        let value = checked(&name, value)?;
        self.changed.insert(name, value);
        self.revision += 1;
        Ok(())
    }

    /// SET LOCAL: like SET, until the end of the transaction.
    pub(crate) fn set_local(&mut self, name: &str, value: &str) -> SqlResult<()> {
        let key = canonical(name);
        let before = self.changed.get(&key).cloned();
        self.set(name, value)?;
        self.local.entry(key).or_insert(before);
        Ok(())
    }

    /// RESET of one setting, or of all.
    pub(crate) fn reset(&mut self, name: Option<&str>) -> SqlResult<()> {
        self.revision += 1;
        let Some(name) = name.map(canonical) else {
            self.changed = self.initial.clone();
            return Ok(());
        };
        if default_of(&name).is_none() && !self.changed.contains_key(&name) {
            return Err(unknown(&name));
        }
        match self.initial.get(&name) {
            Some(initial) => self.changed.insert(name, initial.clone()),
            None => self.changed.remove(&name),
        };
        Ok(())
    }

    /// The end of a transaction.
    pub(crate) fn end_transaction(&mut self) {
        for (name, before) in std::mem::take(&mut self.local) {
            self.revision += 1;
            match before {
                Some(value) => self.changed.insert(name, value),
                None => self.changed.remove(&name),
            };
        }
    }

    /// All settings in the order of their names.
    pub(crate) fn all(&self) -> Vec<(String, String)> {
        let mut all: BTreeMap<String, String> = DEFAULTS
            .iter()
            .map(|(name, value, _)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        all.extend(self.changed.clone());
        all.into_iter().collect()
    }

    /// What the client is told when the session starts.
    pub(crate) fn reported(&self) -> Vec<(String, String)> {
        let reported = DEFAULTS.iter().filter(|(_, _, reported)| *reported);
        reported
            .map(|(name, value, _)| {
                (
                    shown_name(name).to_owned(),
                    self.changed
                        .get(*name)
                        .cloned()
                        .unwrap_or_else(|| (*value).to_owned()),
                )
            })
            .collect()
    }

    /// The name under which the client is told of a change, if it is.
    pub(crate) fn report_of(&self, name: &str) -> Option<(String, String)> {
        let name = canonical(name);
        let is_reported = DEFAULTS
            .iter()
            .any(|(known, _, reported)| *known == name && *reported);
        is_reported.then(|| {
            (
                shown_name(&name).to_owned(),
                self.show(&name).unwrap_or_default(),
            )
        })
    }

    /// The schemas in which names are looked for.
    pub(crate) fn search_path(&self, user: &str) -> Vec<String> {
        let value = self.show("search_path").unwrap_or_else(|_| PUBLIC.into());
        let schema = |part: &str| {
            let part = part.trim().trim_matches(['"', '\'']);
            if part == "$user" {
                user.to_owned()
            } else {
                part.to_owned()
            }
        };
        value
            .split(',')
            .map(schema)
            .filter(|schema| !schema.is_empty())
            .collect()
    }

    /// How long a statement may run; `None` is for ever.
    pub(crate) fn statement_timeout(&self) -> Option<Duration> {
        let value = self.changed.get("statement_timeout")?;
        milliseconds(value)
            .filter(|millis| *millis > 0)
            .map(Duration::from_millis)
    }

    /// Whether transactions must see one state of the database from their first statement on.
    pub(crate) fn is_strict_by_default(&self) -> bool {
        self.show("default_transaction_isolation")
            .is_ok_and(|level| super::plan::is_strict(&level))
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

fn checked(name: &str, value: &str) -> SqlResult<String> {
    let invalid = || {
        SqlError::new(
            "22023",
            format!("invalid value for parameter \"{name}\": \"{value}\""),
        )
    };
    let lower = value.to_lowercase();
    let fits = match name {
        "timezone" => is_utc(value),
        "client_encoding" => {
            ["utf8", "utf-8", "unicode", "default"].contains(&lower.trim_matches('\''))
        }
        "datestyle" => lower.starts_with("iso"),
        "intervalstyle" => lower == "postgres",
        "bytea_output" => lower == "hex",
        "standard_conforming_strings" => ["on", "true", "1", "yes"].contains(&lower.as_str()),
        "transaction_isolation" | "default_transaction_isolation" => [
            "read uncommitted",
            "read committed",
            "repeatable read",
            "serializable",
        ]
        .contains(&lower.as_str()),
        "statement_timeout" | "lock_timeout" | "idle_in_transaction_session_timeout" => {
            milliseconds(&lower).is_some()
        }
        _ => true,
    };
    if !fits {
        return Err(invalid());
    }
    Ok(match name {
        "timezone" => "UTC".into(),
        "client_encoding" => "UTF8".into(),
        "datestyle" => "ISO, MDY".into(),
        "transaction_isolation" | "default_transaction_isolation" => lower,
        _ => value.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_local_setting_ends_with_its_transaction() {
        let mut settings = Settings::default();
        settings.set("application_name", "before").expect("valid");
        settings
            .set_local("application_name", "within")
            .expect("valid");
        assert_eq!(settings.show("application_name").as_deref(), Ok("within"));
        settings.end_transaction();
        assert_eq!(settings.show("application_name").as_deref(), Ok("before"));
    }

    #[test]
    fn a_time_zone_other_than_utc_is_refused() {
        let mut settings = Settings::default();
        assert_eq!(
            settings
                .set("TimeZone", "Europe/Berlin")
                .expect_err("not UTC")
                .state(),
            "22023"
        );
        assert_eq!(settings.set("time zone", "Etc/UTC"), Ok(()));
    }
}
