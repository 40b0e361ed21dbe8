//! SQLite types of values: the canonical text of a number is bound as a number, everything else as text.
//!
//! A column converts text by its affinity, but an expression does not: `:limit < 10` would compare a text.

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    Integer(i64),
    Real(f64),
}

/// The number of which this is the canonical text: no leading zero or plus sign and no exponent, so that a text column
/// stores the same text.
pub(super) fn parse(text: &[u8]) -> Option<Number> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let (whole, fraction) = match digits.iter().position(|byte| *byte == b'.') {
        Some(point) => (&digits[..point], Some(&digits[point + 1..])),
        None => (digits, None),
    };
    let is_number = |digits: &[u8]| !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let is_usual = is_number(whole)
        && (whole.len() == 1 || whole[0] != b'0')
        && fraction.is_none_or(|fraction| {
            is_number(fraction) && (fraction.len() == 1 || !fraction.ends_with(b"0"))
        })
        && text != b"-0";
    if !is_usual {
        return None;
    }
    let text = std::str::from_utf8(text).ok()?;
    match fraction {
        None => text.parse().ok().map(Number::Integer),
        // More digits may be lost.
        Some(_) if digits.len() > 16 => None,
        Some(_) => text.parse().ok().map(Number::Real),
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;

    #[test]
    fn only_canonical_number_text_is_a_number_and_it_survives_a_text_column() {
        let connection = Connection::open_in_memory().expect("a database");
        connection
            .execute_batch("CREATE TABLE t (x TEXT)")
            .expect("a table");
        for (text, expected) in [
            ("0", Some(Number::Integer(0))),
            ("-5000", Some(Number::Integer(-5000))),
            ("9223372036854775807", Some(Number::Integer(i64::MAX))),
            ("9223372036854775808", None),
            ("0.5", Some(Number::Real(0.5))),
            ("-12.25", Some(Number::Real(-12.25))),
            ("3.0", Some(Number::Real(3.0))),
            ("0.1234567890123456789", None),
            ("007", None),
            ("+1", None),
            ("-0", None),
            ("1.50", None),
            ("1e3", None),
            ("1.", None),
            (".5", None),
            ("-", None),
            ("", None),
            ("12a", None),
        ] {
            let number = parse(text.as_bytes());
            assert_eq!(number, expected, "{text}");
            let kept = "INSERT INTO t VALUES (?1) RETURNING x";
            let kept: Option<String> = match number {
                Some(Number::Integer(integer)) => {
                    connection.query_row(kept, [integer], |row| row.get(0)).ok()
                }
                Some(Number::Real(real)) => {
                    connection.query_row(kept, [real], |row| row.get(0)).ok()
                }
                None => continue,
            };
            assert_eq!(kept.as_deref(), Some(text));
        }
    }
}
