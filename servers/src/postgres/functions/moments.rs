//! Functions on dates, timestamps and intervals.

use rusqlite::types::Value;

use super::super::casts;
use super::super::datetime::{self, Interval};
use super::{Registry, Shared, float_at, integer_at, text_at, type_at};

pub(super) fn register(registry: &mut Registry<'_>, shared: &Shared) {
    registry.live("pf_now", 0, shared, |live, _| {
        Ok(Value::Integer(live.now_micros))
    });
    registry.live("pf_today", 0, shared, |live, _| {
        Ok(Value::Integer(
            live.now_micros.div_euclid(datetime::MICROS_PER_DAY),
        ))
    });
    registry.live("pf_clock", 0, shared, |_, _| {
        Ok(Value::Integer(datetime::now_micros()))
    });
    registry.strict("pf_to_timestamp", 1, |context| {
        Ok(Value::Integer(datetime::from_unix_seconds(float_at(
            context, 0,
        ))))
    });
    registry.strict("pf_make_date", 3, |context| {
        let text = format!(
            "{:04}-{:02}-{:02}",
            integer_at(context, 0)?,
            integer_at(context, 1)?,
            integer_at(context, 2)?
        );
        datetime::parse_date(&text).map(Value::Integer)
    });
    registry.strict("pf_moment_add", 3, |context| {
        let interval = Interval::parse(&text_at(context, 1)?)?.times(integer_at(context, 2)?);
        Ok(Value::Integer(interval.after(integer_at(context, 0)?)))
    });
    registry.strict("pf_moment_between", 2, |context| {
        let micros = integer_at(context, 0)?.saturating_sub(integer_at(context, 1)?);
        let (days, micros) = (
            micros / datetime::MICROS_PER_DAY,
            micros % datetime::MICROS_PER_DAY,
        );
        Ok(Value::Text(
            Interval {
                months: 0,
                days,
                micros,
            }
            .to_text(),
        ))
    });
    registry.strict("pf_interval_add", 3, |context| {
        let (left, right) = (
            Interval::parse(&text_at(context, 0)?)?,
            Interval::parse(&text_at(context, 1)?)?,
        );
        let right = right.times(integer_at(context, 2)?);
        let sum = Interval {
            months: left.months + right.months,
            days: left.days + right.days,
            micros: left.micros + right.micros,
        };
        Ok(Value::Text(sum.to_text()))
    });
    // For comparisons a month counts 30 days, as in PostgreSQL.
    registry.strict("pf_interval_length", 1, |context| {
        let interval = Interval::parse(&text_at(context, 0)?)?;
        let days = interval
            .months
            .saturating_mul(30)
            .saturating_add(interval.days);
        let micros = days.saturating_mul(datetime::MICROS_PER_DAY);
        Ok(Value::Integer(micros.saturating_add(interval.micros)))
    });
    registry.strict("pf_interval_times", 2, |context| {
        let interval = Interval::parse(&text_at(context, 0)?)?;
        Ok(Value::Text(
            interval.times(integer_at(context, 1)?).to_text(),
        ))
    });
    registry.strict("pf_extract", 3, |context| {
        let part = casts::extract(
            &text_at(context, 0)?,
            context.get_raw(1),
            type_at(context, 2)?,
        )?;
        Ok(part.map_or(Value::Null, Value::Real))
    });
    registry.strict("pf_date_trunc", 2, |context| {
        casts::truncate(&text_at(context, 0)?, integer_at(context, 1)?).map(Value::Integer)
    });
}
