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

    /// The value at the pointer, the first if a key occurs twice; otherwise the reason, which quotes no content.
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

    /// The pointer to the value `depth` steps down, for messages.
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
