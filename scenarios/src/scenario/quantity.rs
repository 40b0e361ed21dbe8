//! Quantities as users write them: times with a unit, counts from one up, rates, shares, and "N units" of delay.
//!
//! Each is a type whose deserialiser says what it expects, so that the message under a wrong value is the same wherever it
//! stands. Each has a file below this; here is what they are all made of. Which quantity belongs to which key is said in
//! `format.rs`.

use std::fmt;

use serde::de::{Deserialize, Error, SeqAccess};

mod time;

mod count;
mod rate;
mod share;

pub(crate) use count::{Ops, Sweep};
pub(crate) use rate::{Factor, Rates};
pub use rate::{NotARateText, parse_rate};
pub(crate) use share::Share;
pub use time::{NotATime, parse_time};
pub(crate) use time::{Time, time_text, units_of_delay};

/// A plain decimal number: digits, perhaps with a point between them. No sign, no exponent, no `inf`.
fn decimal(text: &str) -> Option<f64> {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let plain = match text.split_once('.') {
        Some((whole, fraction)) => digits(whole) && digits(fraction),
        None => digits(text),
    };
    plain.then(|| text.parse().ok()).flatten()
}

/// The points of a sweep: each once, and at least one.
fn each_once<'de, A: SeqAccess<'de>, T: Deserialize<'de>, P: PartialEq + fmt::Display>(
    mut list: A,
    point: impl Fn(T) -> P,
) -> Result<Vec<P>, A::Error> {
    let mut points = Vec::new();
    while let Some(item) = list.next_element()? {
        let point = point(item);
        if points.contains(&point) {
            return Err(A::Error::custom(format!("{point} stands here twice")));
        }
        points.push(point);
    }
    if points.is_empty() {
        return Err(A::Error::invalid_length(0, &"at least one number"));
    }
    Ok(points)
}
