//! JSON Pointer (RFC 6901) over bytes: a walk through the document, without building a tree.

use super::json::{JsonValue, Members, NotJson, is_text};

/// A compiled pointer: `/items/0/id`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonPointer {
    /// Keys and positions, unescaped.
    tokens: Box<[Box<str>]>,
}

impl JsonPointer {
    /// Parses a pointer: empty for the whole document, or `/` before each key or position, with `~1` for `/` in a key and
    /// `~0` for `~`.
    pub fn parse(text: &str) -> Result<Self, String> {
        if !text.is_empty() && !text.starts_with('/') {
            return Err(format!(
                "expected a JSON pointer such as `/items/0/id`, got `{text}`"
            ));
        }
        let tokens = text.split('/').skip(1).map(|token| {
            let bad = token.replace("~0", "").replace("~1", "").contains('~');
            if bad {
                return Err(format!(
                    "expected `~0` or `~1` for each `~` of a JSON pointer, got `{text}`"
                ));
            }
            Ok(token.replace("~1", "/").replace("~0", "~").into_boxed_str())
        });
        Ok(Self {
            tokens: tokens.collect::<Result<_, _>>()?,
        })
    }

    /// The value at the pointer, the first one if a key is repeated; otherwise the reason, which quotes no content.
    pub fn find<'a>(&self, document: &'a [u8]) -> Result<JsonValue<'a>, String> {
        let mut value = JsonValue::at_start(document).ok_or("expected JSON, got something else")?;
        for (depth, token) in self.tokens.iter().enumerate() {
            value = match step(value, token) {
                Ok(Some(next)) => next,
                Ok(None) => return Err(self.missing(depth, value)),
                Err(NotJson) => {
                    let place = self.up_to(depth);
                    return Err(format!(
                        "expected JSON, got {} that is broken at {place}",
                        value.kind()
                    ));
                }
            };
        }
        Ok(value)
    }

    #[cold]
    fn missing(&self, depth: usize, value: JsonValue<'_>) -> String {
        let (whole, place) = (self.up_to(self.tokens.len()), self.up_to(depth));
        format!(
            "expected a value at {whole}, got {} without `{}` at {place}",
            value.kind(),
            self.tokens[depth]
        )
    }

    /// The first `depth` steps of the pointer, for messages.
    fn up_to(&self, depth: usize) -> String {
        if depth == 0 {
            return "the top".to_owned();
        }
        let escaped = self.tokens[..depth]
            .iter()
            .map(|token| token.replace('~', "~0").replace('/', "~1"));
        let text: String = escaped.flat_map(|token| ["/".to_owned(), token]).collect();
        format!("`{text}`")
    }
}

/// The value one step down; `None` if there is none.
fn step<'a>(value: JsonValue<'a>, token: &str) -> Result<Option<JsonValue<'a>>, NotJson> {
    match value.raw()[0] {
        b'{' => first(value.members(), |_, name| is_text(name, token.as_bytes())),
        b'[' => match position(token) {
            Some(position) => first(value.elements(), |index, _| index == position),
            None => Ok(None),
        },
        _ => Ok(None),
    }
}

fn first<'a>(
    members: Members<'a>,
    matches: impl Fn(usize, &[u8]) -> bool,
) -> Result<Option<JsonValue<'a>>, NotJson> {
    for (index, member) in members.enumerate() {
        let (name, value) = member?;
        if matches(index, name) {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

/// An array's position: digits without a leading zero.
fn position(token: &str) -> Option<usize> {
    let plain = token.bytes().all(|byte| byte.is_ascii_digit());
    let leading_zero = token.len() > 1 && token.starts_with('0');
    token.parse().ok().filter(|_| plain && !leading_zero)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    /// The document of RFC 6901, section 5.
    const EXAMPLE: &str = r#"{"foo": ["bar", "baz"], "": 0, "a/b": 1, "c%d": 2, "e^f": 3, "g|h": 4, "i\\j": 5,
        "k\"l": 6, " ": 7, "m~n": 8}"#;

    fn found<'a>(pointer: &str, document: &'a str) -> Result<JsonValue<'a>, String> {
        JsonPointer::parse(pointer)
            .expect("a pointer")
            .find(document.as_bytes())
    }

    #[test]
    fn the_examples_of_the_rfc_are_found() {
        let document: Value = serde_json::from_str(EXAMPLE).expect("JSON");
        let pointers = [
            "/foo/0", "/", "/a~1b", "/c%d", "/e^f", "/g|h", "/i\\j", "/k\"l", "/ ", "/m~0n",
            "/foo", "",
        ];
        for pointer in pointers {
            let expected = document.pointer(pointer).expect("in the document");
            assert!(
                found(pointer, EXAMPLE).expect(pointer).equals(expected),
                "{pointer}"
            );
        }
    }

    #[test]
    fn a_mismatch_names_the_pointer_and_the_value() {
        let check = |pointer: &str, document: &str, message: &str| {
            assert_eq!(found(pointer, document).expect_err("a miss"), message);
        };
        let document = r#"{"items": [{"id": "secret"}]}"#;
        check(
            "/items/1/id",
            document,
            "expected a value at `/items/1/id`, got an array without `1` at `/items`",
        );
        check(
            "/items/0/id/x",
            document,
            "expected a value at `/items/0/id/x`, got a string without `x` at `/items/0/id`",
        );
        check(
            "/name",
            document,
            "expected a value at `/name`, got an object without `name` at the top",
        );
        check(
            "/items/00",
            document,
            "expected a value at `/items/00`, got an array without `00` at `/items`",
        );
        check("/a", "<html>", "expected JSON, got something else");
        check("", "", "expected JSON, got something else");
        check(
            "/a",
            r#"{"b" 1}"#,
            "expected JSON, got an object that is broken at the top",
        );
        for bad in ["items", "/a~2b", "/a~"] {
            let error = JsonPointer::parse(bad).expect_err("no pointer");
            assert!(error.contains(bad), "{error}");
        }
    }

    #[test]
    fn surrogate_pairs_are_one_letter_and_halves_are_replaced() {
        let text = |document: &str| {
            let mut out = Vec::new();
            found("", document).expect("a string").write_text(&mut out);
            String::from_utf8(out).expect("UTF-8")
        };
        assert_eq!(text(r#""\ud83d\ude00\u00e4\n\/""#), "😀ä\n/");
        assert_eq!(
            text(r#""\ud83dx\ude00\ud83d\u0041\u12""#),
            "\u{fffd}x\u{fffd}\u{fffd}A\u{fffd}"
        );
    }

    #[test]
    fn a_deep_document_needs_no_stack() {
        let depth = 1_000_000;
        let deep = format!(
            "{{\"a\": {}{}, \"b\": 1}}",
            "[".repeat(depth),
            "]".repeat(depth)
        );
        assert_eq!(found("/b", &deep).expect("behind it").raw(), b"1");
    }

    #[test]
    fn numbers_are_compared_by_value() {
        let equal =
            |text: &str, expected: Value| found("", text).expect("a number").equals(&expected);
        assert!(equal("1.0", json!(1)) && equal("1e2", json!(100)) && equal("-7", json!(-7)));
        assert!(!equal("9007199254740993", json!(9_007_199_254_740_992_u64)));
        assert!(
            !equal("1", json!("1")) && !equal("\"1\"", json!(1)) && !equal("null", json!(false))
        );
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let text = prop_oneof![any::<String>(), "[a-c/~\"\\\\]{0,3}"];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (-1e9..1e9).prop_map(Value::from),
            text.clone().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 5, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map(text.clone(), inner, 0..5)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    /// Every pointer into a value, with the value it points to.
    fn pointers<'a>(value: &'a Value, at: String, all: &mut Vec<(String, &'a Value)>) {
        match value {
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    pointers(item, format!("{at}/{index}"), all);
                }
            }
            Value::Object(items) => {
                for (key, item) in items {
                    let key = key.replace('~', "~0").replace('/', "~1");
                    pointers(item, format!("{at}/{key}"), all);
                }
            }
            _ => {}
        }
        all.push((at, value));
    }

    proptest! {
        #[test]
        fn json_pointers_agree_with_serde_json(document in any_json(), pretty in any::<bool>()) {
            let text = if pretty { serde_json::to_string_pretty(&document) } else { serde_json::to_string(&document) };
            let text = text.expect("JSON");
            let mut all = Vec::new();
            pointers(&document, String::new(), &mut all);
            for (pointer, part) in all {
                let value = found(&pointer, &text).expect("in the document");
                prop_assert!(value.equals(part), "{pointer} of {text}");
                let mut content = Vec::new();
                value.write_text(&mut content);
                let parsed: Value = serde_json::from_slice(value.raw()).expect("a part is JSON");
                prop_assert_eq!(&parsed, part);
                if let Value::String(expected) = part {
                    prop_assert_eq!(content, expected.as_bytes());
                }
            }
        }

        #[test]
        fn broken_documents_end_without_a_panic(
            document in any_json(),
            cut in any::<prop::sample::Index>(),
            byte in any::<u8>(),
            pointer in "(/[a-c0-2~]{0,2}){0,3}",
        ) {
            let mut text = serde_json::to_vec(&document).expect("JSON");
            let position = cut.index(text.len());
            if let Ok(pointer) = JsonPointer::parse(&pointer) {
                for broken in [&text[..position], &[&text[..position], &[byte][..], &text[position..]].concat()] {
                    if let Ok(value) = pointer.find(broken) {
                        value.write_text(&mut Vec::new());
                        value.equals(&document);
                    }
                }
            }
            text[position] = byte;
            let _ = JsonPointer::parse("/a/0").expect("a pointer").find(&text);
        }
    }
}
