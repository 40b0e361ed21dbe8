//! Text forms that have to be the same wherever they are computed: hexadecimal digits and canonical JSON.

use std::fmt::Write;

use serde_json::Value;

/// Lowercase hexadecimal digits, two for each byte.
pub fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
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
    fn bytes_have_two_digits_each() {
        assert_eq!(hex([0, 0x0f, 0xab]), "000fab");
    }
}
