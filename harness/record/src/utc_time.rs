//! Times of day in UTC, in the forms of records, file names and tables.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use time::OffsetDateTime;
use time::UtcOffset;
use time::format_description::well_known::{Rfc2822, Rfc3339};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UtcTime(OffsetDateTime);

#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct InvalidTime(#[from] time::error::Parse);

impl UtcTime {
    /// Now, to the millisecond.
    pub fn now() -> Self {
        let now = OffsetDateTime::now_utc();
        Self(now.replace_millisecond(now.millisecond()).unwrap_or(now))
    }

    /// Parses the time of a mail's or an HTTP response's header field: `Fri, 20 Nov 2026 18:30:00 GMT`.
    pub fn parse_header(text: &str) -> Result<Self, InvalidTime> {
        Ok(Self::of(OffsetDateTime::parse(text, &Rfc2822)?))
    }

    fn of(time: OffsetDateTime) -> Self {
        Self(time.to_offset(UtcOffset::UTC))
    }

    /// Seconds since the Unix epoch.
    pub fn unix_s(self) -> f64 {
        (self.0.unix_timestamp_nanos() / 1_000_000) as f64 / 1e3
    }

    /// Time since `earlier`; `None` if that is later.
    pub fn since(self, earlier: Self) -> Option<Duration> {
        Duration::try_from(self.0 - earlier.0).ok()
    }

    /// Without separators, to the second, as in the names of runs and in signatures: `20261120T183000Z`.
    pub fn compact(self) -> String {
        let (year, month, day) = self.0.to_calendar_date();
        let (hour, minute, second) = self.0.to_hms();
        let month = u8::from(month);
        format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
    }

    /// Date and time of day, to the second: `2026-11-20`, `18:30:00`.
    pub fn date_and_time(self) -> (String, String) {
        let (hour, minute, second) = self.0.to_hms();
        let time = format!("{hour:02}:{minute:02}:{second:02}");
        (self.0.date().to_string(), time)
    }
}

/// RFC 3339, with the fraction of a second if there is one.
impl fmt::Display for UtcTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.format(&Rfc3339).map_err(|_| fmt::Error)?)
    }
}

/// From RFC 3339 with any offset.
impl FromStr for UtcTime {
    type Err = InvalidTime;

    fn from_str(text: &str) -> Result<Self, InvalidTime> {
        Ok(Self::of(OffsetDateTime::parse(text, &Rfc3339)?))
    }
}

impl From<SystemTime> for UtcTime {
    fn from(time: SystemTime) -> Self {
        Self(time.into())
    }
}

impl From<UtcTime> for SystemTime {
    fn from(time: UtcTime) -> Self {
        time.0.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_with_any_offset_and_written_in_utc() {
        let time: UtcTime = "2026-11-20T19:30:00.5+01:00".parse().expect("a time");
        assert_eq!(time.to_string(), "2026-11-20T18:30:00.5Z");
        assert_eq!(time.compact(), "20261120T183000Z");
        let parts = ["2026-11-20", "18:30:00"].map(str::to_owned);
        assert_eq!(time.date_and_time(), parts.into());
        assert!((time.unix_s() - 1_795_199_400.5).abs() < 1e-6);
    }

    #[test]
    fn a_field_of_a_header_is_a_time() {
        let time = UtcTime::parse_header("Fri, 20 Nov 2026 18:30:00 GMT").expect("a time");
        assert_eq!(time.to_string(), "2026-11-20T18:30:00Z");
        let later: UtcTime = "2026-11-20T18:30:01Z".parse().expect("a time");
        assert_eq!(later.since(time), Some(Duration::from_secs(1)));
        assert_eq!(time.since(later), None);
    }

    #[test]
    fn now_has_whole_milliseconds() {
        let now = UtcTime::now();
        assert_eq!(now.0.nanosecond() % 1_000_000, 0);
        assert_eq!(now.to_string().parse::<UtcTime>().expect("a time"), now);
    }
}
