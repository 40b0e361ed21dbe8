//! Text forms that have to be the same wherever they are computed: hexadecimal digits, percent-encoding, lists of CPUs and
//! canonical JSON.

use std::fmt::Write;

use serde_json::Value;

/// Lowercase hexadecimal digits, two for each byte.
pub fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The text with every byte of other characters than those `kept` as `%` and two digits.
pub fn percent_encoded(text: &str, kept: impl Fn(char) -> bool) -> String {
    let mut encoded = String::with_capacity(text.len());
    for character in text.chars() {
        if kept(character) {
            encoded.push(character);
            continue;
        }
        for byte in character.encode_utf8(&mut [0; 4]).bytes() {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// CPUs in the form that options take: `0,2-3`.
pub fn cpu_list(cpus: &[usize]) -> String {
    let ranges = cpus.chunk_by(|a, b| a + 1 == *b).map(|range| match range {
        [first, .., last] => format!("{first}-{last}"),
        alone => alone[0].to_string(),
    });
    ranges.collect::<Vec<_>>().join(",")
}

/// JSON without spaces and with sorted keys, even if a dependency turns on `serde_json/preserve_order`.
pub fn canonical_json(mut value: Value) -> String {
    value.sort_all_objects();
    value.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn canonical_json_has_sorted_keys_and_no_spaces() {
        let value = json!({ "b": [1, { "d": null, "c": "x y" }], "a": 0.5 });
        let expected = r#"{"a":0.5,"b":[1,{"c":"x y","d":null}]}"#;
        assert_eq!(canonical_json(value), expected);
    }

    #[test]
    fn neighbouring_cpus_are_a_range() {
        assert_eq!(cpu_list(&[0]), "0");
        assert_eq!(cpu_list(&[0, 2, 3, 4, 7]), "0,2-4,7");
    }

    #[test]
    fn all_bytes_of_a_character_are_encoded_or_none() {
        let kept = |character: char| character.is_alphanumeric();
        assert_eq!(percent_encoded("a/é €", kept), "a%2Fé%20%E2%82%AC");
        assert_eq!(percent_encoded("é\n", |_| false), "%C3%A9%0A");
    }

    #[test]
    fn bytes_have_two_digits_each() {
        assert_eq!(hex([0, 0x0f, 0xab]), "000fab");
    }
}
