//! Exact decimal numbers: their text, their wire format in base 10,000, and arithmetic with PostgreSQL's scales.
//!
//! The engine has binary floating point only, so values of type `numeric` are stored as text and every operation on
//! them ends here. What calls these from SQL is in `functions.rs`.

use std::cmp::Ordering;
use std::str::FromStr;

use bigdecimal::num_bigint::{BigInt, Sign};
use bigdecimal::{BigDecimal, RoundingMode, Zero};
use bytes::{Buf, BufMut, BytesMut};

use super::error::{SqlError, SqlResult};

const SIGN_NEGATIVE: u16 = 0x4000;
const SIGN_NAN: u16 = 0xC000;

/// More decimal places than anyone asks for; beyond it a tiny text such as `1e-999999999` would eat all memory.
const MOST_PLACES: i64 = 16_383;

/// A value of type `numeric`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Numeric {
    Nan,
    Finite(BigDecimal),
}

impl Numeric {
    /// Reads PostgreSQL's text form.
    pub(crate) fn parse(text: &str) -> SqlResult<Self> {
        let trimmed = text.trim();
        if trimmed.eq_ignore_ascii_case("nan") {
            return Ok(Numeric::Nan);
        }
        let value =
            BigDecimal::from_str(trimmed).map_err(|_| SqlError::invalid_text("numeric", text))?;
        let (_, scale) = value.as_bigint_and_exponent();
        if !(-131_072..=MOST_PLACES).contains(&scale) {
            return Err(SqlError::new("22003", "value overflows numeric format"));
        }
        Ok(Numeric::Finite(if scale < 0 {
            value.with_scale(0)
        } else {
            value
        }))
    }

    /// The canonical text, which is also how it is stored.
    pub(crate) fn to_text(&self) -> String {
        match self {
            Numeric::Nan => "NaN".into(),
            Numeric::Finite(value) => value.to_plain_string(),
        }
    }

    pub(crate) fn from_i128(value: i128) -> Self {
        Numeric::Finite(BigDecimal::from(value))
    }

    /// Rounds half away from zero to `scale` places, and refuses more than `precision` digits.
    pub(crate) fn fit(&self, precision: i64, scale: i64) -> SqlResult<Self> {
        let Numeric::Finite(value) = self else {
            return Ok(Numeric::Nan);
        };
        let rounded = value.with_scale_round(scale, RoundingMode::HalfUp);
        let digits = rounded.digits() as i64;
        if !rounded.is_zero() && digits > precision {
            return Err(SqlError::new("22003", "numeric field overflow"));
        }
        Ok(Numeric::Finite(rounded))
    }

    /// Rounds to `scale` places in the given way.
    pub(crate) fn with_mode(&self, scale: i64, mode: RoundingMode) -> Self {
        match self {
            Numeric::Nan => Numeric::Nan,
            Numeric::Finite(value) => {
                let scale = scale.clamp(-1000, MOST_PLACES);
                Numeric::Finite(value.with_scale_round(scale, mode).with_scale(scale.max(0)))
            }
        }
    }

    /// The nearest integer, if it fits.
    pub(crate) fn to_i64(&self) -> SqlResult<i64> {
        match self {
            Numeric::Nan => Err(SqlError::new("0A000", "cannot convert NaN to integer")),
            Numeric::Finite(value) => {
                let (whole, _) = value
                    .with_scale_round(0, RoundingMode::HalfUp)
                    .into_bigint_and_exponent();
                i64::try_from(whole).map_err(|_| SqlError::out_of_range("bigint"))
            }
        }
    }

    /// `self` and `other` under one of `+ - * / %`.
    pub(crate) fn calculate(&self, operator: char, other: &Self) -> SqlResult<Self> {
        let (Numeric::Finite(a), Numeric::Finite(b)) = (self, other) else {
            return Ok(Numeric::Nan);
        };
        let result = match operator {
            '+' => a + b,
            '-' => a - b,
            '*' => a * b,
            '/' => divide(a, b)?,
            '%' if b.is_zero() => return Err(division_by_zero()),
            '%' => a % b,
            other => {
                return Err(SqlError::unsupported(format_args!(
                    "numeric operator {other}"
                )));
            }
        };
        Ok(Numeric::Finite(result))
    }

    /// PostgreSQL's binary form.
    pub(crate) fn write_binary(&self, out: &mut BytesMut) {
        let Numeric::Finite(value) = self else {
            out.put_u16(0);
            out.put_i16(0);
            out.put_u16(SIGN_NAN);
            out.put_u16(0);
            return;
        };
        let (digits, scale) = value.as_bigint_and_exponent();
        let scale = scale.max(0);
        let negative = digits.sign() == Sign::Minus;
        let (groups, weight) = to_groups(&digits.magnitude().to_str_radix(10), scale as usize);
        out.put_u16(groups.len() as u16);
        out.put_i16(weight);
        out.put_u16(if negative { SIGN_NEGATIVE } else { 0 });
        out.put_u16(scale as u16);
        groups.iter().for_each(|group| out.put_u16(*group));
    }

    /// Reads PostgreSQL's binary form.
    pub(crate) fn read_binary(mut data: &[u8]) -> SqlResult<Self> {
        let malformed = || SqlError::new("22P03", "invalid binary numeric");
        if data.len() < 8 {
            return Err(malformed());
        }
        let count = data.get_u16() as usize;
        let weight = i64::from(data.get_i16());
        let sign = data.get_u16();
        let scale = i64::from(data.get_u16());
        if sign == SIGN_NAN {
            return Ok(Numeric::Nan);
        }
        if data.len() != count * 2 || !matches!(sign, 0 | SIGN_NEGATIVE) {
            return Err(malformed());
        }
        let mut digits = BigInt::zero();
        for _ in 0..count {
            digits = digits * 10_000 + data.get_u16();
        }
        if sign == SIGN_NEGATIVE {
            digits = -digits;
        }
        // The last group counts 10,000^(weight - count + 1).
        let exponent = (weight - count as i64 + 1) * 4;
        Ok(Numeric::Finite(
            BigDecimal::new(digits, -exponent).with_scale(scale),
        ))
    }
}

/// Base-10,000 groups from the most significant one, without zeros at either end, and the weight of the first.
fn to_groups(digits: &str, scale: usize) -> (Vec<u16>, i16) {
    let padded = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = padded.split_at(padded.len() - scale);
    let whole = format!("{}{whole}", "0".repeat((4 - whole.len() % 4) % 4));
    let fraction = format!("{fraction}{}", "0".repeat((4 - fraction.len() % 4) % 4));
    let mut weight = (whole.len() / 4) as i16 - 1;
    let value_of = |group: &[u8]| {
        group
            .iter()
            .fold(0u16, |sum, digit| sum * 10 + u16::from(digit - b'0'))
    };
    let mut groups: Vec<u16> = whole
        .as_bytes()
        .chunks(4)
        .chain(fraction.as_bytes().chunks(4))
        .map(value_of)
        .collect();
    let leading = groups.iter().take_while(|group| **group == 0).count();
    groups.drain(..leading);
    weight -= leading as i16;
    while groups.last() == Some(&0) {
        groups.pop();
    }
    if groups.is_empty() {
        weight = 0;
    }
    (groups, weight)
}

fn division_by_zero() -> SqlError {
    SqlError::new("22012", "division by zero")
}

/// Divides to at least 16 significant digits and no fewer places than either side has, as PostgreSQL does.
fn divide(a: &BigDecimal, b: &BigDecimal) -> SqlResult<BigDecimal> {
    if b.is_zero() {
        return Err(division_by_zero());
    }
    let ((a_digits, a_scale), (b_digits, b_scale)) =
        (a.as_bigint_and_exponent(), b.as_bigint_and_exponent());
    let scale = quotient_scale(a, b);
    // One place more than asked, rounded away below.
    let shift = scale + 1 - a_scale + b_scale;
    let power = BigInt::from(10).pow(shift.unsigned_abs() as u32);
    let quotient = if shift >= 0 {
        a_digits * power / b_digits
    } else {
        a_digits / (b_digits * power)
    };
    Ok(BigDecimal::new(quotient, scale + 1).with_scale_round(scale, RoundingMode::HalfUp))
}

fn quotient_scale(a: &BigDecimal, b: &BigDecimal) -> i64 {
    let (a_weight, a_first) = leading_group(a);
    let (b_weight, b_first) = leading_group(b);
    let weight = a_weight - b_weight - i64::from(a_first <= b_first);
    let scale = 16 - weight * 4;
    scale
        .max(a.fractional_digit_count())
        .max(b.fractional_digit_count())
        .clamp(0, 1000)
}

fn leading_group(value: &BigDecimal) -> (i64, u16) {
    let (digits, scale) = value.as_bigint_and_exponent();
    let (groups, weight) = to_groups(&digits.magnitude().to_str_radix(10), scale.max(0) as usize);
    (i64::from(weight), groups.first().copied().unwrap_or(0))
}

/// The order of two stored numerics; NaN is the greatest, as in PostgreSQL.
pub(crate) fn compare_texts(left: &str, right: &str) -> Ordering {
    match (Numeric::parse(left), Numeric::parse(right)) {
        (Ok(Numeric::Finite(left)), Ok(Numeric::Finite(right))) => left.cmp(&right),
        (Ok(Numeric::Nan), Ok(Numeric::Nan)) => Ordering::Equal,
        (Ok(Numeric::Nan), _) => Ordering::Greater,
        (_, Ok(Numeric::Nan)) => Ordering::Less,
        _ => left.cmp(right),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_binary(text: &str) {
        let mut out = BytesMut::new();
        Numeric::parse(text)
            .expect("a number")
            .write_binary(&mut out);
        assert_eq!(
            Numeric::read_binary(&out).expect("valid").to_text(),
            text,
            "through {out:?}"
        );
    }

    #[test]
    fn a_numeric_survives_its_binary_form() {
        for text in [
            "0",
            "0.00",
            "1",
            "-1",
            "10000",
            "12345.6789",
            "-0.0001",
            "0.00000001",
            "99999999999999999999.5",
            "NaN",
            "1000000",
        ] {
            check_binary(text);
        }
    }

    fn check_calculation(left: &str, operator: char, right: &str, expected: &str) {
        let number = |text| Numeric::parse(text).expect("a number");
        let result = number(left)
            .calculate(operator, &number(right))
            .expect("defined");
        assert_eq!(result.to_text(), expected, "{left} {operator} {right}");
    }

    #[test]
    fn arithmetic_has_the_scales_of_postgresql() {
        check_calculation("0.1", '+', "0.2", "0.3");
        check_calculation("1.50", '*', "2.0", "3.000");
        check_calculation("10", '/', "3", "3.3333333333333333");
        check_calculation("1", '/', "3", "0.33333333333333333333");
        check_calculation("2", '/', "3", "0.66666666666666666667");
        check_calculation("100000", '/', "7", "14285.714285714286");
        check_calculation("7.5", '%', "2", "1.5");
    }

    #[test]
    fn division_by_zero_is_an_error() {
        let zero = Numeric::parse("0").expect("a number");
        assert_eq!(
            zero.calculate('/', &zero).expect_err("undefined").state(),
            "22012"
        );
    }
}
