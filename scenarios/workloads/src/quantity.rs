//! Quantities as users write them: times with a unit, counts, rates, shares, sizes, and "N units" of delay.
//!
//! Each is a type with a text that says what is expected, so the message under a wrong value is the same wherever it
//! occurs. This file holds their common deserialiser; `scenarios/src/scenario/format.rs` says which quantity belongs to
//! which key.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Unexpected, Visitor};
use serde_json::Value;

mod time;

mod count;
mod rate;
mod share;
mod size;
mod status;

pub use self::count::{Ops, SessionCount, parse_sessions};
pub use self::rate::{Factor, InvalidRate, Rate, parse_rate};
pub use self::share::Share;
pub use self::size::Size;
pub use self::status::{StatusCode, Statuses};
pub use self::time::{InvalidTime, Time, parse_length, parse_time, time_text, units_of_delay};

/// A value with one way of writing it, or several.
pub trait Quantity: Sized {
    /// A description of valid values, for messages.
    const EXPECTED: &'static str;

    /// Reads a number from 0 up; a type error by default.
    fn from_unsigned(number: u64) -> Result<Self, Mismatch> {
        Self::from_float(number as f64)
    }

    /// Reads a number with a fraction; a type error by default.
    fn from_float(_number: f64) -> Result<Self, Mismatch> {
        Err(Mismatch::Type)
    }

    /// Reads a string; a type error by default.
    fn from_text(_text: &str) -> Result<Self, Mismatch> {
        Err(Mismatch::Type)
    }

    fn schema() -> Schema;
}

/// The reason a value is not the quantity expected.
pub enum Mismatch {
    Type,
    Value,
}

/// Reads one quantity and reports what was expected.
struct QuantityVisitor<T>(PhantomData<T>);

impl<T: Quantity> QuantityVisitor<T> {
    fn read<E: Error>(self, result: Result<T, Mismatch>, given: Unexpected<'_>) -> Result<T, E> {
        result.map_err(|mismatch| match mismatch {
            Mismatch::Type => E::invalid_type(given, &self),
            Mismatch::Value => E::invalid_value(given, &self),
        })
    }
}

impl<T: Quantity> Visitor<'_> for QuantityVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        self.read(T::from_unsigned(number), Unexpected::Unsigned(number))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
        // Only negative numbers reach this point; no quantity accepts any.
        Err(E::invalid_value(Unexpected::Signed(number), &self))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<T, E> {
        self.read(T::from_float(number), Unexpected::Float(number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        self.read(T::from_text(text), Unexpected::Str(text))
    }
}

macro_rules! quantities {
    ($($quantity:ident),+) => {$(
        impl<'de> Deserialize<'de> for $quantity {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(QuantityVisitor(PhantomData))
            }
        }

        impl JsonSchema for $quantity {
            fn schema_name() -> Cow<'static, str> {
                stringify!($quantity).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                Self::schema()
            }
        }
    )+};
}

quantities!(
    Factor,
    Ops,
    Rate,
    SessionCount,
    Share,
    Size,
    StatusCode,
    Time
);

/// The points of a sweep, written as one value or a list: in order, each once, at least one.
#[derive(Clone, Debug, PartialEq)]
pub struct Sweep<T>(pub Vec<T>);

impl<'de, T> Deserialize<'de> for Sweep<T>
where
    T: Quantity + Deserialize<'de> + PartialEq + fmt::Display,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SweepVisitor(PhantomData))
    }
}

struct SweepVisitor<T>(PhantomData<T>);

impl<'de, T> Visitor<'de> for SweepVisitor<T>
where
    T: Quantity + Deserialize<'de> + PartialEq + fmt::Display,
{
    type Value = Sweep<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, or a list of them", T::EXPECTED)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Sweep<T>, E> {
        let point = QuantityVisitor(PhantomData).visit_u64(number)?;
        Ok(Sweep(vec![point]))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Sweep<T>, E> {
        let point = QuantityVisitor(PhantomData).visit_i64(number)?;
        Ok(Sweep(vec![point]))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Sweep<T>, E> {
        let point = QuantityVisitor(PhantomData).visit_f64(number)?;
        Ok(Sweep(vec![point]))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Sweep<T>, E> {
        let point = QuantityVisitor(PhantomData).visit_str(text)?;
        Ok(Sweep(vec![point]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Sweep<T>, A::Error> {
        let mut points = Vec::new();
        while let Some(point) = list.next_element::<T>()? {
            if points.contains(&point) {
                return Err(A::Error::custom(format!("{point} is listed twice")));
            }
            points.push(point);
        }
        if points.is_empty() {
            return Err(A::Error::invalid_length(0, &"at least one number"));
        }
        Ok(Sweep(points))
    }
}

impl<T: Quantity + JsonSchema> JsonSchema for Sweep<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("{}s", T::schema_name()).into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let point = Value::from(T::schema());
        json_schema!({
            "anyOf": [
                point,
                {"type": "array", "items": point, "minItems": 1, "uniqueItems": true},
            ]
        })
    }
}

/// A plain decimal number: digits, perhaps with a point between them. No sign, no exponent, no `inf`.
fn decimal(text: &str) -> Option<f64> {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let plain = match text.split_once('.') {
        Some((whole, fraction)) => digits(whole) && digits(fraction),
        None => digits(text),
    };
    plain.then(|| text.parse().ok()).flatten()
}
