//! Conversions between types, on stored values: what `::`, an assignment to a column and a comparison of two types do.
//!
//! The same function folds constants while a statement is translated and runs inside the engine (`pf_cast`), so both
//! give the same value and the same error. Where a conversion is needed is decided in `translate.rs`.

use bytes::BytesMut;
use rusqlite::types::{Value, ValueRef};

use super::datetime::{self, MICROS_PER_DAY};
use super::error::{SqlError, SqlResult};
use super::numeric::Numeric;
use super::types::{PgType, Scalar, format_type};
use super::value::{self, read_text, write_text};

/// A conversion.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cast {
    pub(crate) from: PgType,
    pub(crate) to: PgType,
    /// Of the target; -1 for none.
    pub(crate) modifier: i32,
    /// Written by the user: a text that is too long is cut, where an assignment would refuse it.
    pub(crate) explicit: bool,
}

/// Converts a stored value.
pub(crate) fn cast(value: ValueRef<'_>, how: Cast) -> SqlResult<Value> {
    if value == ValueRef::Null {
        return Ok(Value::Null);
    }
    let converted = convert(value, how)?;
    if how.modifier < 4 || how.to.is_array {
        Ok(converted)
    } else {
        fit(converted, how)
    }
}

fn convert(value: ValueRef<'_>, how: Cast) -> SqlResult<Value> {
    let Cast { from, to, .. } = how;
    if from.is_text() {
        let ValueRef::Text(bytes) = value else {
            return text_of(value, from).and_then(|text| read_text(&text, to));
        };
        let text = String::from_utf8_lossy(bytes);
        return if to.is_text() {
            Ok(Value::Text(text.into_owned()))
        } else {
            read_text(&text, to)
        };
    }
    if to.is_integer() {
        return to_integer(value, from, to).map(Value::Integer);
    }
    if to.is_float() && from.is_number() {
        return to_float(value, to);
    }
    if to.is_numeric() && from.is_number() {
        return to_numeric(value).map(|number| Value::Text(number.to_text()));
    }
    if let Some(moment) = between_moments(value, from.scalar, to.scalar) {
        return Ok(moment);
    }
    match (from.scalar, to.scalar) {
        _ if from == to => Ok(value::owned(value)),
        (Scalar::Int4, Scalar::Bool) => {
            Ok(Value::Integer(i64::from(value != ValueRef::Integer(0))))
        }
        // What has no conversion of its own goes through text, as PostgreSQL's I/O conversions do.
        _ => text_of(value, from).and_then(|text| read_text(&text, to)),
    }
}

/// A stored value in PostgreSQL's text form.
pub(crate) fn text_of(value: ValueRef<'_>, ty: PgType) -> SqlResult<String> {
    if ty == PgType::BOOL {
        return Ok(if value == ValueRef::Integer(0) {
            "false"
        } else {
            "true"
        }
        .into());
    }
    let mut out = BytesMut::new();
    write_text(&mut out, value, ty)?;
    String::from_utf8(out.to_vec())
        .map_err(|_| SqlError::new("22021", "invalid byte sequence for encoding \"UTF8\""))
}

fn to_integer(value: ValueRef<'_>, from: PgType, to: PgType) -> SqlResult<i64> {
    let name = to.sql_name();
    let out_of_range = || SqlError::out_of_range(&name);
    let integer = match value {
        ValueRef::Integer(integer) => integer,
        ValueRef::Real(real) if real.abs() < 9.2e18 => real.round_ties_even() as i64,
        ValueRef::Real(_) => return Err(out_of_range()),
        ValueRef::Text(bytes) if from.is_number() => {
            Numeric::parse(&String::from_utf8_lossy(bytes))?
                .to_i64()
                .map_err(|_| out_of_range())?
        }
        _ => {
            let message = format!("cannot cast type {} to {name}", from.sql_name());
            return Err(SqlError::new("42846", message));
        }
    };
    let fits = match to.scalar {
        Scalar::Int2 => i16::try_from(integer).is_ok(),
        Scalar::Int4 => i32::try_from(integer).is_ok(),
        Scalar::Int8 => true,
        _ => u32::try_from(integer).is_ok(),
    };
    if fits {
        Ok(integer)
    } else {
        Err(out_of_range())
    }
}

fn to_float(value: ValueRef<'_>, to: PgType) -> SqlResult<Value> {
    let float = match value {
        ValueRef::Integer(integer) => integer as f64,
        ValueRef::Real(real) => real,
        ValueRef::Text(bytes) => {
            let text = String::from_utf8_lossy(bytes);
            text.parse()
                .map_err(|_| SqlError::invalid_text("double precision", &text))?
        }
        _ => return Err(SqlError::new("42846", "cannot cast to double precision")),
    };
    Ok(value::float(if to.scalar == Scalar::Float4 {
        f64::from(float as f32)
    } else {
        float
    }))
}

/// A number as a numeric.
pub(crate) fn to_numeric(value: ValueRef<'_>) -> SqlResult<Numeric> {
    match value {
        ValueRef::Integer(integer) => Ok(Numeric::from_i128(i128::from(integer))),
        // PostgreSQL keeps 15 significant digits of a float.
        ValueRef::Real(real) => Numeric::parse(&format!("{:.14e}", real)).map(trim_zeros),
        ValueRef::Text(bytes) => Numeric::parse(&String::from_utf8_lossy(bytes)),
        _ => Err(SqlError::new("42846", "cannot cast to numeric")),
    }
}

fn trim_zeros(number: Numeric) -> Numeric {
    let text = number.to_text();
    let trimmed = if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        &text
    };
    Numeric::parse(trimmed).unwrap_or(number)
}

fn between_moments(value: ValueRef<'_>, from: Scalar, to: Scalar) -> Option<Value> {
    use Scalar::{Date, Time, Timestamp, Timestamptz};
    let ValueRef::Integer(stored) = value else {
        return None;
    };
    let converted = match (from, to) {
        (Date, Timestamp | Timestamptz) => stored.saturating_mul(MICROS_PER_DAY),
        (Timestamp | Timestamptz, Date) => stored.div_euclid(MICROS_PER_DAY),
        (Timestamp | Timestamptz, Time) => stored.rem_euclid(MICROS_PER_DAY),
        (Timestamp, Timestamptz) | (Timestamptz, Timestamp) => stored,
        _ => return None,
    };
    Some(Value::Integer(converted))
}

/// Holds a value to the length, or the precision and scale, of its column.
fn fit(value: Value, how: Cast) -> SqlResult<Value> {
    let limit = (how.modifier - 4) as usize;
    match (value, how.to.scalar) {
        (Value::Text(text), Scalar::Varchar) => cut(text, limit, how).map(Value::Text),
        (Value::Text(text), Scalar::Bpchar) => {
            let text = cut(text, limit, how)?;
            Ok(Value::Text(format!("{text:<limit$}")))
        }
        (Value::Text(text), Scalar::Numeric) => {
            let (precision, scale) = (limit as i64 >> 16, limit as i64 & 0xffff);
            let fitted = Numeric::parse(&text)?.fit(precision, scale)?;
            Ok(Value::Text(fitted.to_text()))
        }
        (value, _) => Ok(value),
    }
}

fn cut(text: String, limit: usize, how: Cast) -> SqlResult<String> {
    let Some((end, _)) = text.char_indices().nth(limit) else {
        return Ok(text);
    };
    // Only blanks may be lost without asking.
    if how.explicit || text[end..].chars().all(|letter| letter == ' ') {
        return Ok(text[..end].to_owned());
    }
    let message = format!(
        "value too long for type {}",
        format_type(how.to, how.modifier)
    );
    Err(SqlError::new("22001", message))
}

/// The part of a moment that `extract` and `date_part` give.
pub(crate) fn extract(field: &str, stored: ValueRef<'_>, ty: PgType) -> SqlResult<Option<f64>> {
    use datetime::{civil_from_days, days_from_civil};
    let micros = match (stored, ty.scalar) {
        (ValueRef::Null, _) => return Ok(None),
        (ValueRef::Integer(days), Scalar::Date) => days * MICROS_PER_DAY,
        (ValueRef::Integer(micros), _) => micros,
        (ValueRef::Text(bytes), Scalar::Interval) => {
            return extract_interval(field, &String::from_utf8_lossy(bytes)).map(Some);
        }
        _ => {
            return Err(SqlError::unsupported(format_args!(
                "extract from {}",
                ty.sql_name()
            )));
        }
    };
    let (days, time) = (
        micros.div_euclid(MICROS_PER_DAY),
        micros.rem_euclid(MICROS_PER_DAY),
    );
    let (year, month, day) = civil_from_days(days);
    // 2000-01-01 was a Saturday.
    let weekday = (days + 6).rem_euclid(7);
    Ok(Some(match field {
        "year" => year as f64,
        "month" => month as f64,
        "day" => day as f64,
        "hour" => (time / 3_600_000_000) as f64,
        "minute" => (time / 60_000_000 % 60) as f64,
        "second" => (time % 60_000_000) as f64 / 1e6,
        "milliseconds" => (time % 60_000_000) as f64 / 1e3,
        "microseconds" => (time % 60_000_000) as f64,
        "epoch" if ty.scalar == Scalar::Time => time as f64 / 1e6,
        "epoch" => datetime::unix_seconds(micros),
        "dow" => weekday as f64,
        "isodow" => {
            if weekday == 0 {
                7.0
            } else {
                weekday as f64
            }
        }
        "doy" => (days - days_from_civil(year, 1, 1) + 1) as f64,
        "quarter" => ((month - 1) / 3 + 1) as f64,
        "decade" => year.div_euclid(10) as f64,
        "century" => ((year + 99) / 100) as f64,
        _ => return Err(SqlError::unsupported(format_args!("extract of {field}"))),
    }))
}

fn extract_interval(field: &str, text: &str) -> SqlResult<f64> {
    let interval = datetime::Interval::parse(text)?;
    Ok(match field {
        "year" => (interval.months / 12) as f64,
        "month" => (interval.months % 12) as f64,
        "day" => interval.days as f64,
        "hour" => (interval.micros / 3_600_000_000) as f64,
        "minute" => (interval.micros / 60_000_000 % 60) as f64,
        "second" => (interval.micros % 60_000_000) as f64 / 1e6,
        // A year counts 365.25 days here, as in PostgreSQL.
        "epoch" => {
            let days = (interval.months / 12) as f64 * 365.25
                + (interval.months % 12 * 30 + interval.days) as f64;
            days * 86_400.0 + interval.micros as f64 / 1e6
        }
        _ => return Err(SqlError::unsupported(format_args!("extract of {field}"))),
    })
}

/// The start of the year, month, … that holds the moment.
pub(crate) fn truncate(field: &str, micros: i64) -> SqlResult<i64> {
    use datetime::{civil_from_days, days_from_civil};
    let days = micros.div_euclid(MICROS_PER_DAY);
    let (year, month, _) = civil_from_days(days);
    let to_multiple_of = |unit: i64| Ok(micros.div_euclid(unit) * unit);
    let start = match field {
        "microseconds" => return Ok(micros),
        "milliseconds" => return to_multiple_of(1_000),
        "second" => return to_multiple_of(1_000_000),
        "minute" => return to_multiple_of(60_000_000),
        "hour" => return to_multiple_of(3_600_000_000),
        "day" => days,
        // Monday; 2000-01-01 was a Saturday.
        "week" => days - (days + 5).rem_euclid(7),
        "month" => days_from_civil(year, month, 1),
        "quarter" => days_from_civil(year, (month - 1) / 3 * 3 + 1, 1),
        "year" => days_from_civil(year, 1, 1),
        _ => return Err(SqlError::unsupported(format_args!("date_trunc to {field}"))),
    };
    Ok(start * MICROS_PER_DAY)
}
