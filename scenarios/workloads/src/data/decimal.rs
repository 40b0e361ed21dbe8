//! Integers as decimal digits, appended to a buffer without allocating or formatting.

/// Longest text of an integer: a sign and 19 digits, or 20 digits.
const LONGEST: usize = 20;

/// Appends the digits of a signed integer.
#[inline]
pub(super) fn push_signed(value: i64, out: &mut Vec<u8>) {
    if value < 0 {
        out.push(b'-');
    }
    push_unsigned(value.unsigned_abs(), out);
}

/// Appends the digits of an unsigned integer.
#[inline]
pub(super) fn push_unsigned(mut value: u64, out: &mut Vec<u8>) {
    let mut digits = [0; LONGEST];
    let mut first = LONGEST;
    loop {
        first -= 1;
        digits[first] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[first..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_written_as_rust_writes_them() {
        for value in [0, 7, -1, 10, 1_000_000, i64::MAX, i64::MIN] {
            let mut out = Vec::new();
            push_signed(value, &mut out);
            assert_eq!(out, value.to_string().as_bytes());
        }
        let mut out = b"n=".to_vec();
        push_unsigned(u64::MAX, &mut out);
        assert_eq!(out, format!("n={}", u64::MAX).as_bytes());
    }
}
