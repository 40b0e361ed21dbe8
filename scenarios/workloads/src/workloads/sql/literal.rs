//! Values as string literals, for the simple protocol.
//!
//! Every value is quoted, a number too: the server then gives it the type that its place asks for, as it does with a
//! parameter.

/// Appends a value as a literal that nothing in it can end, whatever `standard_conforming_strings` is.
pub(super) fn write(value: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
    if value.contains(&0) {
        return Err("got a NUL character, which no text of a database can hold");
    }
    if std::str::from_utf8(value).is_err() {
        return Err("got bytes that are not UTF-8");
    }
    // The space keeps `E` apart from a word in front of it.
    let opening: &[u8] = if value.contains(&b'\\') { b" E'" } else { b"'" };
    out.extend_from_slice(opening);
    for byte in value {
        if matches!(byte, b'\'' | b'\\') {
            out.push(*byte);
        }
        out.push(*byte);
    }
    out.push(b'\'');
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads a literal as PostgreSQL does; `None` unless it covers the whole text.
    fn read(literal: &[u8]) -> Option<Vec<u8>> {
        let (mut rest, escapes) = match literal.strip_prefix(b" E'") {
            Some(rest) => (rest, true),
            None => (literal.strip_prefix(b"'")?, false),
        };
        let mut value = Vec::new();
        loop {
            rest = match rest {
                [b'\''] => return Some(value),
                [b'\'', b'\'', rest @ ..] => {
                    value.push(b'\'');
                    rest
                }
                [b'\\', escaped @ (b'\\' | b'\''), rest @ ..] if escapes => {
                    value.push(*escaped);
                    rest
                }
                // With `standard_conforming_strings = off`, a backslash in a plain string would be an escape.
                [b'\\' | b'\'' | 0, ..] | [] => return None,
                [byte, rest @ ..] => {
                    value.push(*byte);
                    rest
                }
            };
        }
    }

    proptest! {
        #[test]
        fn values_cannot_escape_their_literal(value in r#"['\\;a\-/*$"\n é]{0,12}"#) {
            let mut out = Vec::new();
            write(value.as_bytes(), &mut out).expect("text");
            prop_assert_eq!(read(&out), Some(value.into_bytes()));
        }
    }

    #[test]
    fn unrepresentable_text_is_refused() {
        for value in [&b"a\0"[..], b"\xff'"] {
            write(value, &mut Vec::new()).expect_err("refused");
        }
    }
}
