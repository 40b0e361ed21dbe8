//! Dates, times and intervals: from PostgreSQL's text to the integers they are stored as, and back.
//!
//! A timestamp is microseconds since 2000-01-01 UTC, a date is days since then, a time is microseconds since midnight:
//! the same numbers as in PostgreSQL's binary format, so that a binary value needs no calendar at all. The session's
//! time zone is always UTC, and the date style ISO. Which column has which type is not known here; read `value.rs`.

use super::error::{SqlError, SqlResult};

pub(crate) const MICROS_PER_SECOND: i64 = 1_000_000;
pub(crate) const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;

/// Days from 1970-01-01 to 2000-01-01.
const EPOCH_SHIFT_DAYS: i64 = 10_957;

/// The stored form of `infinity` and `-infinity`.
const TIMESTAMP_INFINITY: [(i64, &str); 2] = [(i64::MAX, "infinity"), (i64::MIN, "-infinity")];
const DATE_INFINITY: [(i64, &str); 2] = [
    (i32::MAX as i64, "infinity"),
    (i32::MIN as i64, "-infinity"),
];

/// The years that PostgreSQL's timestamps reach and that fit its four-digit style with room to spare.
const YEARS: std::ops::RangeInclusive<i64> = 1..=294_276;

/// Microseconds since 2000-01-01 UTC, now.
pub(crate) fn now_micros() -> i64 {
    let since_1970 = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_micros() as i64);
    since_1970 - EPOCH_SHIFT_DAYS * MICROS_PER_DAY
}

/// Seconds since 1970 of a stored timestamp.
pub(crate) fn unix_seconds(micros: i64) -> f64 {
    (micros as f64) / 1e6 + (EPOCH_SHIFT_DAYS * 86_400) as f64
}

/// The stored timestamp of seconds since 1970.
pub(crate) fn from_unix_seconds(seconds: f64) -> i64 {
    ((seconds - (EPOCH_SHIFT_DAYS * 86_400) as f64) * 1e6).round() as i64
}

/// Days since 2000-01-01 of a day in the Gregorian calendar (Howard Hinnant, "chrono-compatible low-level date
/// algorithms", days_from_civil).
pub(crate) fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468 - EPOCH_SHIFT_DAYS
}

/// Year, month and day of days since 2000-01-01 (civil_from_days of the same source).
pub(crate) fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + EPOCH_SHIFT_DAYS + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

pub(crate) fn days_in_month(year: i64, month: i64) -> i64 {
    let (next_year, next_month) = if month == 12 {
        (year + 1, 1)
    } else {
        (year, month + 1)
    };
    days_from_civil(next_year, next_month, 1) - days_from_civil(year, month, 1)
}

/// Reads digits and separators from the front of a text.
struct Cursor<'a>(&'a str);

impl<'a> Cursor<'a> {
    fn eat(&mut self, wanted: char) -> bool {
        match self.0.strip_prefix(wanted) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    fn digits(&mut self) -> Option<&'a str> {
        let end = self
            .0
            .find(|letter: char| !letter.is_ascii_digit())
            .unwrap_or(self.0.len());
        let (digits, rest) = self.0.split_at(end);
        self.0 = rest;
        (!digits.is_empty() && digits.len() <= 9).then_some(digits)
    }

    fn number(&mut self) -> Option<i64> {
        self.digits()?.parse().ok()
    }

    fn date(&mut self) -> Option<i64> {
        let year = self.number()?;
        let month = self.eat('-').then(|| self.number())??;
        let day = self.eat('-').then(|| self.number())??;
        let valid = YEARS.contains(&year)
            && (1..=12).contains(&month)
            && (1..=days_in_month(year, month)).contains(&day);
        valid.then(|| days_from_civil(year, month, day))
    }

    fn time(&mut self) -> Option<i64> {
        let hour = self.number()?;
        let minute = self.eat(':').then(|| self.number())??;
        let second = if self.eat(':') { self.number()? } else { 0 };
        let micros = if self.eat('.') {
            fraction_micros(self.digits()?)
        } else {
            0
        };
        let valid = hour <= 24 && minute < 60 && second <= 60;
        let total = ((hour * 60 + minute) * 60 + second) * MICROS_PER_SECOND + micros;
        (valid && total <= MICROS_PER_DAY).then_some(total)
    }

    /// The offset from UTC, in microseconds; nothing means none was written.
    fn zone(&mut self) -> Option<Option<i64>> {
        self.0 = self.0.trim_start();
        for name in ["Z", "z", "UTC", "utc", "GMT"] {
            if self.0 == name {
                self.0 = "";
                return Some(Some(0));
            }
        }
        let sign = if self.eat('+') {
            1
        } else if self.eat('-') {
            -1
        } else {
            return Some(None);
        };
        let digits = self.digits()?;
        let (hours, mut minutes) = match digits.len() {
            1 | 2 => (digits.parse::<i64>().ok()?, 0),
            4 => (
                digits[..2].parse::<i64>().ok()?,
                digits[2..].parse::<i64>().ok()?,
            ),
            _ => return None,
        };
        if self.eat(':') {
            minutes = self.number()?;
        }
        let seconds = if self.eat(':') { self.number()? } else { 0 };
        let valid = hours < 16 && minutes < 60 && seconds < 60;
        valid.then_some(Some(
            sign * ((hours * 60 + minutes) * 60 + seconds) * MICROS_PER_SECOND,
        ))
    }
}

/// Microseconds of the digits after a decimal point.
fn fraction_micros(digits: &str) -> i64 {
    let value = digits.parse::<f64>().unwrap_or(0.0) / 10f64.powi(digits.len() as i32);
    (value * 1e6).round() as i64
}

fn special(text: &str, infinities: [(i64, &str); 2]) -> Option<i64> {
    infinities
        .into_iter()
        .find(|(_, name)| *name == text)
        .map(|(value, _)| value)
}

fn invalid(type_name: &str, text: &str) -> SqlError {
    let looks_like_one =
        text.starts_with(|first: char| first.is_ascii_digit()) && text.contains('-');
    if looks_like_one {
        return SqlError::new(
            "22008",
            format!("date/time field value out of range: \"{text}\""),
        );
    }
    SqlError::new(
        "22007",
        format!("invalid input syntax for type {type_name}: \"{text}\""),
    )
}

/// Reads a date.
pub(crate) fn parse_date(text: &str) -> SqlResult<i64> {
    let trimmed = text.trim();
    let today = now_micros().div_euclid(MICROS_PER_DAY);
    let named = match trimmed.to_ascii_lowercase().as_str() {
        "today" | "now" => Some(today),
        "tomorrow" => Some(today + 1),
        "yesterday" => Some(today - 1),
        "epoch" => Some(-EPOCH_SHIFT_DAYS),
        lower => special(lower, DATE_INFINITY),
    };
    if let Some(days) = named {
        return Ok(days);
    }
    // A timestamp is a date with more said than needed.
    parse_civil(trimmed)
        .map(|(micros, _)| micros.div_euclid(MICROS_PER_DAY))
        .ok_or_else(|| invalid("date", text))
}

/// Reads a timestamp; an offset counts if `zoned`, and is ignored otherwise, as in PostgreSQL.
pub(crate) fn parse_timestamp(text: &str, zoned: bool) -> SqlResult<i64> {
    let trimmed = text.trim();
    let today = now_micros().div_euclid(MICROS_PER_DAY) * MICROS_PER_DAY;
    let named = match trimmed.to_ascii_lowercase().as_str() {
        "now" => Some(now_micros()),
        "today" => Some(today),
        "tomorrow" => Some(today + MICROS_PER_DAY),
        "yesterday" => Some(today - MICROS_PER_DAY),
        "epoch" => Some(-EPOCH_SHIFT_DAYS * MICROS_PER_DAY),
        lower => special(lower, TIMESTAMP_INFINITY),
    };
    if let Some(micros) = named {
        return Ok(micros);
    }
    let type_name = if zoned {
        "timestamp with time zone"
    } else {
        "timestamp without time zone"
    };
    let (micros, offset) = parse_civil(trimmed).ok_or_else(|| invalid(type_name, text))?;
    Ok(if zoned {
        micros - offset.unwrap_or(0)
    } else {
        micros
    })
}

/// A date with an optional time and an optional offset, all of the text.
fn parse_civil(text: &str) -> Option<(i64, Option<i64>)> {
    let mut cursor = Cursor(text);
    let mut micros = cursor.date()? * MICROS_PER_DAY;
    let mut offset = None;
    if cursor.eat('T') || cursor.eat('t') || cursor.eat(' ') {
        cursor.0 = cursor.0.trim_start();
        micros += cursor.time()?;
        offset = cursor.zone()?;
    }
    cursor.0.is_empty().then_some((micros, offset))
}

/// Reads a time of day.
pub(crate) fn parse_time(text: &str) -> SqlResult<i64> {
    let mut cursor = Cursor(text.trim());
    let micros = cursor
        .time()
        .filter(|_| cursor.zone().is_some() && cursor.0.is_empty());
    micros.ok_or_else(|| invalid("time", text))
}

pub(crate) fn format_date(days: i64) -> String {
    if let Some((_, name)) = DATE_INFINITY.into_iter().find(|(value, _)| *value == days) {
        return name.into();
    }
    let (year, month, day) = civil_from_days(days);
    if year < 1 {
        return format!("{:04}-{month:02}-{day:02} BC", 1 - year);
    }
    format!("{year:04}-{month:02}-{day:02}")
}

pub(crate) fn format_time(micros: i64) -> String {
    let (seconds, fraction) = (micros / MICROS_PER_SECOND, micros % MICROS_PER_SECOND);
    let text = format!(
        "{:02}:{:02}:{:02}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    );
    if fraction == 0 {
        return text;
    }
    format!("{text}.{}", format!("{fraction:06}").trim_end_matches('0'))
}

pub(crate) fn format_timestamp(micros: i64, zoned: bool) -> String {
    if let Some((_, name)) = TIMESTAMP_INFINITY
        .into_iter()
        .find(|(value, _)| *value == micros)
    {
        return name.into();
    }
    let (days, time) = (
        micros.div_euclid(MICROS_PER_DAY),
        micros.rem_euclid(MICROS_PER_DAY),
    );
    let zone = if zoned { "+00" } else { "" };
    let date = format_date(days);
    match date.strip_suffix(" BC") {
        Some(date) => format!("{date} {}{zone} BC", format_time(time)),
        None => format!("{date} {}{zone}", format_time(time)),
    }
}

/// A length of time in PostgreSQL's three parts, of which none can be converted to another without a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Interval {
    pub(crate) months: i64,
    pub(crate) days: i64,
    pub(crate) micros: i64,
}

impl Interval {
    /// Reads forms such as `1 year 2 mons 3 days 04:05:06.7`, `5 minutes ago` and `-1 day`.
    pub(crate) fn parse(text: &str) -> SqlResult<Self> {
        Self::read(text).ok_or_else(|| invalid("interval", text))
    }

    fn read(text: &str) -> Option<Self> {
        let mut interval = Interval::default();
        let mut words = text.split_whitespace().peekable();
        words.peek()?;
        while let Some(word) = words.next() {
            if word.eq_ignore_ascii_case("ago") {
                interval = interval.times(-1);
            } else if word.contains(':') {
                interval.micros += signed_time(word)?;
            } else {
                let end = word
                    .find(|letter: char| letter.is_ascii_alphabetic())
                    .unwrap_or(word.len());
                let amount: f64 = word[..end].parse().ok()?;
                let unit = if end < word.len() {
                    &word[end..]
                } else {
                    words.next().unwrap_or("second")
                };
                interval.add_amount(amount, unit)?;
            }
        }
        Some(interval)
    }

    fn add_amount(&mut self, amount: f64, unit: &str) -> Option<()> {
        let unit = unit.to_ascii_lowercase();
        let whole = amount.trunc() as i64;
        let day_micros = MICROS_PER_DAY as f64;
        match unit.trim_end_matches('s') {
            "year" | "yr" | "y" => self.months += (amount * 12.0).round() as i64,
            "month" | "mon" => self.months += whole,
            "week" | "w" => self.days += (amount * 7.0).trunc() as i64,
            "day" | "d" => {
                self.days += whole;
                self.micros += (amount.fract() * day_micros).round() as i64;
            }
            "hour" | "hr" | "h" => self.micros += (amount * 3600e6).round() as i64,
            "minute" | "min" | "m" => self.micros += (amount * 60e6).round() as i64,
            "second" | "sec" | "" => self.micros += (amount * 1e6).round() as i64,
            "millisecond" | "msec" => self.micros += (amount * 1e3).round() as i64,
            "microsecond" | "usec" => self.micros += whole,
            _ => return None,
        }
        Some(())
    }

    pub(crate) fn times(self, factor: i64) -> Self {
        Interval {
            months: self.months * factor,
            days: self.days * factor,
            micros: self.micros * factor,
        }
    }

    /// The text PostgreSQL writes, which is also how it is stored.
    pub(crate) fn to_text(self) -> String {
        let mut parts = Vec::new();
        let mut unit = |amount: i64, name: &str| {
            if amount != 0 {
                parts.push(format!(
                    "{amount} {name}{}",
                    if amount == 1 { "" } else { "s" }
                ));
            }
        };
        unit(self.months / 12, "year");
        unit(self.months % 12, "mon");
        unit(self.days, "day");
        if self.micros != 0 || parts.is_empty() {
            let sign = if self.micros < 0 { "-" } else { "" };
            parts.push(format!("{sign}{}", format_time(self.micros.abs())));
        }
        parts.join(" ")
    }

    /// The timestamp this much after `micros`.
    pub(crate) fn after(self, micros: i64) -> i64 {
        let (days, time) = (
            micros.div_euclid(MICROS_PER_DAY),
            micros.rem_euclid(MICROS_PER_DAY),
        );
        let (year, month, day) = civil_from_days(days);
        let months = year * 12 + month - 1 + self.months;
        let (year, month) = (months.div_euclid(12), months.rem_euclid(12) + 1);
        let day = day.min(days_in_month(year, month));
        let days = days_from_civil(year, month, day) + self.days;
        days.saturating_mul(MICROS_PER_DAY)
            .saturating_add(time)
            .saturating_add(self.micros)
    }
}

fn signed_time(word: &str) -> Option<i64> {
    let (sign, digits) = match word.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, word.strip_prefix('+').unwrap_or(word)),
    };
    let mut cursor = Cursor(digits);
    let hours = cursor.number()?;
    let minutes = cursor.eat(':').then(|| cursor.number())??;
    let seconds = if cursor.eat(':') { cursor.number()? } else { 0 };
    let micros = if cursor.eat('.') {
        fraction_micros(cursor.digits()?)
    } else {
        0
    };
    let total = ((hours * 60 + minutes) * 60 + seconds) * MICROS_PER_SECOND + micros;
    cursor.0.is_empty().then_some(sign * total)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_timestamp(text: &str, zoned: bool, expected: &str) {
        let micros = parse_timestamp(text, zoned).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(format_timestamp(micros, zoned), expected, "from {text}");
    }

    #[test]
    fn timestamps_read_the_usual_forms_and_write_one() {
        check_timestamp("2024-02-29 12:34:56.789", false, "2024-02-29 12:34:56.789");
        check_timestamp("2024-02-29T12:34:56+02:00", true, "2024-02-29 10:34:56+00");
        check_timestamp("2024-02-29T12:34:56Z", true, "2024-02-29 12:34:56+00");
        check_timestamp(
            "1969-12-31 23:59:59.999999-0130",
            true,
            "1970-01-01 01:29:59.999999+00",
        );
        check_timestamp("0001-01-01", false, "0001-01-01 00:00:00");
        check_timestamp("infinity", true, "infinity");
    }

    #[test]
    fn impossible_dates_are_refused() {
        assert_eq!(
            parse_date("2023-02-29").expect_err("no leap year").state(),
            "22008"
        );
        assert_eq!(
            parse_timestamp("yesterdaze", true)
                .expect_err("no date")
                .state(),
            "22007"
        );
    }

    #[test]
    fn days_and_calendar_dates_are_inverse_to_each_other() {
        for days in (-900_000..900_000).step_by(37) {
            let (year, month, day) = civil_from_days(days);
            assert_eq!(
                days_from_civil(year, month, day),
                days,
                "{year}-{month}-{day}"
            );
        }
    }

    #[test]
    fn intervals_keep_their_three_parts() {
        let check = |text: &str, expected: &str| {
            assert_eq!(
                Interval::parse(text).expect("an interval").to_text(),
                expected,
                "from {text}"
            );
        };
        check("1 day", "1 day");
        check(
            "1 year 2 mons 3 days 04:05:06.7",
            "1 year 2 mons 3 days 04:05:06.7",
        );
        check("90 minutes", "01:30:00");
        check("5 minutes ago", "-00:05:00");
        check("0", "00:00:00");
        let january_31 = parse_timestamp("2023-01-31", false).expect("a date");
        let month = Interval::parse("1 month").expect("an interval");
        assert_eq!(
            format_timestamp(month.after(january_31), false),
            "2023-02-28 00:00:00"
        );
    }
}
