//! Secrets in messages: values that no record may have are replaced, in every encoding that a request or a response uses.
//!
//! A message may end within a value, since long texts in it are cut: the beginning of a value is replaced as well.

use super::encoding::Escape;

/// Shorter values are no secrets, and common in messages.
const SHORTEST: usize = 4;

/// As many bytes of a value's beginning count as the value.
const BEGINNING: usize = 12;

const REPLACEMENT: &str = "***";

/// The message without the values.
pub(super) fn conceal<'a>(message: &str, values: impl Iterator<Item = &'a [u8]>) -> String {
    let mut forms: Vec<Vec<u8>> = Vec::new();
    for value in values.filter(|value| value.len() >= SHORTEST) {
        for escape in [
            Escape::None,
            Escape::Percent,
            Escape::Form,
            Escape::JsonString,
        ] {
            let mut form = Vec::new();
            if escape.write(value, &mut form).is_ok() {
                forms.push(form);
            }
        }
    }
    replace(message, &forms)
}

/// Replaces each occurrence of a value or of a truncated value; where several match, the longest.
fn replace(text: &str, values: &[Vec<u8>]) -> String {
    let (bytes, mut kept, mut position) = (text.as_bytes(), Vec::new(), 0);
    while position < bytes.len() {
        let rest = &bytes[position..];
        let lengths = values.iter().filter_map(|value| {
            let same = rest.iter().zip(value);
            let length = same.take_while(|(one, other)| one == other).count();
            (length >= value.len().min(BEGINNING)).then_some(length)
        });
        if let Some(length) = lengths.max() {
            kept.extend_from_slice(REPLACEMENT.as_bytes());
            position += length;
        } else {
            kept.push(bytes[position]);
            position += 1;
        }
    }
    String::from_utf8_lossy(&kept).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_redacted_in_every_encoding_and_when_truncated() {
        let values = [
            "key=\"a b\"/ü",
            "key",
            "a-long-token-of-many-bytes",
            "a-long-token-of-many/bytes",
        ];
        for (message, expected) in [
            (
                "got key=\"a b\"/ü, twice: key=\"a b\"/ü",
                "got ***, twice: ***",
            ),
            ("/x?k=key%3D%22a%20b%22%2F%C3%BC", "/x?k=***"),
            ("k=key%3D%22a+b%22%2F%C3%BC&", "k=***&"),
            ("{\"k\":\"key=\\\"a b\\\"/ü\"}", "{\"k\":\"***\"}"),
            ("cut: `a-long-token-of…`", "cut: `***…`"),
            (
                "/x/a-long-token-of-many/bytes and a-long-token-of-many%2Fbytes",
                "/x/*** and ***",
            ),
            (
                "a-long-t and key are no values",
                "a-long-t and key are no values",
            ),
        ] {
            let concealed = conceal(message, values.iter().map(|value| value.as_bytes()));
            assert_eq!(concealed, expected, "{message}");
        }
    }
}
