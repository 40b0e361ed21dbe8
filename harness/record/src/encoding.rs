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

/// JSON without spaces and with sorted keys, whatever order a map keeps in this build.
pub fn canonical_json(value: &Value) -> String {
    let mut text = String::new();
    write_canonical(value, &mut text);
    text
}

fn write_canonical(value: &Value, text: &mut String) {
    match value {
        Value::Object(table) => {
            let mut parts: Vec<_> = table.iter().collect();
            parts.sort_by_key(|(key, _)| *key);
            write_list(text, ['{', '}'], parts, |(key, part), text| {
                text.push_str(&Value::from(key.as_str()).to_string());
                text.push(':');
                write_canonical(part, text);
            });
        }
        Value::Array(list) => write_list(text, ['[', ']'], list, write_canonical),
        scalar => text.push_str(&scalar.to_string()),
    }
}

fn write_list<T>(
    text: &mut String,
    [open, close]: [char; 2],
    parts: impl IntoIterator<Item = T>,
    write: impl Fn(T, &mut String),
) {
    text.push(open);
    for (index, part) in parts.into_iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        write(part, text);
    }
    text.push(close);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn canonical_json_has_sorted_keys_and_no_spaces() {
        let value = json!({ "b": [1, { "d": null, "c": "x y" }], "a": 0.5 });
        let expected = r#"{"a":0.5,"b":[1,{"c":"x y","d":null}]}"#;
        assert_eq!(canonical_json(&value), expected);
    }

    #[test]
    fn bytes_have_two_digits_each() {
        assert_eq!(hex([0, 0x0f, 0xab]), "000fab");
    }
}
