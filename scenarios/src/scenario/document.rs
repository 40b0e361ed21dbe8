//! A TOML text as a value, with the position of each part in the text.
//!
//! Values are `serde_json`'s, because plans carry them and workloads and servers check them. Numbers that TOML has and
//! JSON lacks (`inf`, `nan`, more than 64 bits) are errors. `read.rs` interprets the keys.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use serde_json::{Map, Number, Value};
use toml::Spanned;
use toml::de::{DeFloat, DeInteger, DeTable, DeValue};

use super::flaw::{Flaw, KeyPath, Side};
use crate::diagnostic::{Diagnostic, Location, Source};

/// A parsed TOML text.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) source: Arc<Source>,
    pub(crate) value: Value,
    spans: Spans,
}

/// The positions of a value and of its parts.
#[derive(Debug)]
struct Spans {
    key: Option<Range<usize>>,
    value: Range<usize>,
    parts: BTreeMap<String, Spans>,
}

impl Document {
    /// Parses a TOML text, or returns all of its syntax errors.
    pub(crate) fn parse(source: Arc<Source>) -> Result<Self, Vec<Diagnostic>> {
        let (table, errors) = DeTable::parse_recoverable(&source.text);
        if !errors.is_empty() {
            return Err(syntax_diagnostics(&source, &errors));
        }
        let mut out_of_range = Vec::new();
        let value_span = table.span();
        let (value, parts) = read_table(table.get_ref(), &mut out_of_range);
        if !out_of_range.is_empty() {
            return Err(out_of_range
                .into_iter()
                .map(|span| {
                    let label = "expected a finite number of at most 64 bits";
                    diagnostic(&source, span, OUT_OF_RANGE, label)
                })
                .collect());
        }
        Ok(Self {
            source,
            value,
            spans: Spans {
                key: None,
                value: value_span,
                parts,
            },
        })
    }

    /// True if the text itself has a value at `path`.
    pub(crate) fn has(&self, path: &[String]) -> bool {
        self.spans.nearest(path).1 == path.len()
    }

    /// The line, from 1, of the key at `path`; `None` if there is none.
    pub(crate) fn line(&self, path: &[String]) -> Option<u32> {
        match self.locate(path, Side::Key) {
            Location::Text { source, span } if self.has(path) => {
                u32::try_from(source.line_and_column(span.start).0).ok()
            }
            _ => None,
        }
    }

    /// Turns a flaw into a diagnostic with its location in the text.
    pub(crate) fn diagnose(&self, flaw: Flaw) -> Diagnostic {
        let location = self.locate(&flaw.path, flaw.side);
        flaw.diagnose(location)
    }

    /// The location of `path` in the text, or of the innermost existing part around it.
    pub(crate) fn locate(&self, path: &[String], side: Side) -> Location {
        let source = self.source.clone();
        match self.spans.nearest(path) {
            (_, 0) => Location::Whole { source },
            (spans, depth) => {
                let at_key = side == Side::Key || depth < path.len();
                let key = spans.key.clone().filter(|_| at_key);
                let span = key.unwrap_or_else(|| spans.value.clone());
                Location::Text { source, span }
            }
        }
    }
}

impl Spans {
    /// The innermost existing part on the way to `path`, and its depth in keys.
    fn nearest(&self, path: &[String]) -> (&Spans, usize) {
        let mut spans = self;
        for (depth, key) in path.iter().enumerate() {
            match spans.parts.get(key) {
                Some(part) => spans = part,
                None => return (spans, depth),
            }
        }
        (spans, path.len())
    }
}

const OUT_OF_RANGE: &str = "number out of range";

/// The first error of each line: later ones mostly follow from it.
fn syntax_diagnostics(source: &Arc<Source>, errors: &[toml::de::Error]) -> Vec<Diagnostic> {
    let mut diagnostics: Vec<_> = errors
        .iter()
        .map(|error| syntax_diagnostic(source, error))
        .collect();
    diagnostics.dedup_by_key(|diagnostic| diagnostic.line_and_column().map(|(line, _)| line));
    diagnostics
}

fn syntax_diagnostic(source: &Arc<Source>, error: &toml::de::Error) -> Diagnostic {
    let (message, label) = match error.message().split_once(", expected ") {
        Some((message, "nothing")) => (message, String::new()),
        Some((message, expected)) => (message, format!("expected {expected}")),
        None => (error.message(), String::new()),
    };
    let span = error.span().unwrap_or(0..0);
    let help = lookalike(&source.text, span.start);
    Diagnostic {
        help,
        ..diagnostic(source, span, message, &label)
    }
}

/// Help for a look-alike character: a space or quote pasted from a web page looks the same.
fn lookalike(text: &str, at: usize) -> Option<String> {
    let letter = text.get(at..)?.chars().next()?;
    let (is, meant) = match letter {
        '“' | '”' | '‘' | '’' => ("quote", "\" or '"),
        _ if letter.is_whitespace() && !letter.is_ascii() => ("space", "a plain space"),
        _ => return None,
    };
    let code = u32::from(letter);
    Some(format!(
        "the character here is U+{code:04X}, which is not a {is} in TOML: type {meant}"
    ))
}

fn diagnostic(source: &Arc<Source>, span: Range<usize>, message: &str, label: &str) -> Diagnostic {
    Diagnostic {
        message: message.to_owned(),
        location: Location::Text {
            source: source.clone(),
            span,
        },
        label: Some(label.to_owned()).filter(|label| !label.is_empty()),
        help: None,
    }
}

/// Reads the value of an override: TOML if it parses, else the text itself.
pub(crate) fn value_or_text(text: &str) -> Value {
    let mut out_of_range = Vec::new();
    DeValue::parse(text)
        .ok()
        .map(|value| read_part(&value, None, &mut out_of_range).0)
        .filter(|_| out_of_range.is_empty())
        .unwrap_or_else(|| Value::String(text.to_owned()))
}

/// Reads a dotted key by TOML's rules: its parts may be quoted.
pub(crate) fn key_path(text: &str) -> Option<KeyPath> {
    if text.contains('\n') {
        return None; // More lines could say more than a key.
    }
    let document = format!("{text} = 0");
    let table = DeTable::parse(&document).ok()?;
    let mut inner = table.get_ref();
    let mut path = Vec::new();
    loop {
        let (key, value) = inner.iter().next().filter(|_| inner.len() == 1)?;
        path.push(key.get_ref().to_string());
        match value.get_ref() {
            DeValue::Table(deeper) => inner = deeper,
            DeValue::Integer(_) => return Some(path),
            _ => return None,
        }
    }
}

type Parts = BTreeMap<String, Spans>;

fn read_table(table: &DeTable<'_>, out_of_range: &mut Vec<Range<usize>>) -> (Value, Parts) {
    let mut values = Map::new();
    let mut parts = Parts::new();
    for (key, part) in table {
        let name = key.get_ref().to_string();
        let (value, spans) = read_part(part, Some(key.span()), out_of_range);
        values.insert(name.clone(), value);
        parts.insert(name, spans);
    }
    (Value::Object(values), parts)
}

fn read_list(
    list: &[Spanned<DeValue<'_>>],
    out_of_range: &mut Vec<Range<usize>>,
) -> (Value, Parts) {
    let (values, parts): (Vec<_>, Parts) = list
        .iter()
        .enumerate()
        .map(|(index, part)| {
            let (value, spans) = read_part(part, None, out_of_range);
            (value, (index.to_string(), spans))
        })
        .unzip();
    (Value::Array(values), parts)
}

/// A value and its spans; the spans of numbers that JSON lacks go to `out_of_range`.
fn read_part(
    part: &Spanned<DeValue<'_>>,
    key: Option<Range<usize>>,
    out_of_range: &mut Vec<Range<usize>>,
) -> (Value, Spans) {
    let mut number = |number: Option<Number>| {
        if number.is_none() {
            out_of_range.push(part.span());
        }
        number.map_or(Value::Null, Value::Number)
    };
    let (value, parts) = match part.get_ref() {
        DeValue::Table(table) => read_table(table, out_of_range),
        DeValue::Array(list) => read_list(list, out_of_range),
        DeValue::String(text) => (Value::String(text.to_string()), Parts::new()),
        DeValue::Boolean(truth) => (Value::Bool(*truth), Parts::new()),
        DeValue::Integer(digits) => (number(integer(digits)), Parts::new()),
        DeValue::Float(digits) => (number(float(digits)), Parts::new()),
        // JSON has no dates; no key of a scenario takes one, but a title may look like one.
        DeValue::Datetime(time) => (Value::String(time.to_string()), Parts::new()),
    };
    let spans = Spans {
        key,
        value: part.span(),
        parts,
    };
    (value, spans)
}

fn integer(integer: &DeInteger<'_>) -> Option<Number> {
    let (digits, radix) = (integer.as_str(), integer.radix());
    let unsigned = u64::from_str_radix(digits, radix).map(Number::from);
    let signed = || i64::from_str_radix(digits, radix).map(Number::from);
    unsigned.ok().or_else(|| signed().ok())
}

fn float(float: &DeFloat<'_>) -> Option<Number> {
    Number::from_f64(float.as_str().parse().ok()?)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::*;

    fn document(text: &str) -> Document {
        let source = Arc::new(Source::of_file(Path::new("test.toml"), text.to_owned()));
        Document::parse(source).expect("valid TOML")
    }

    fn path(dotted: &str) -> KeyPath {
        dotted.split('.').map(str::to_owned).collect()
    }

    #[test]
    fn keys_and_values_are_found_in_headers_dotted_keys_inline_tables_and_lists() {
        let text = "a.b = 1\n[c]\nd = [{ e = 'x' }, { e = 'y' }]\n[[f]]\ng = true\n";
        let check = |dotted: &str, side: Side, expected: &str| {
            let document = document(text);
            let Location::Text { span, .. } = document.locate(&path(dotted), side) else {
                panic!("{dotted} is not in the text");
            };
            assert_eq!(&text[span], expected, "{dotted}");
        };
        check("a.b", Side::Key, "b");
        check("a.b", Side::Value, "1");
        check("c.d", Side::Key, "d");
        check("c.d.1.e", Side::Value, "'y'");
        check("c.d.1", Side::Value, "{ e = 'y' }");
        check("c.d.1.missing", Side::Value, "{ e = 'y' }");
        check("f.0.g", Side::Value, "true");
        check("c", Side::Key, "c");
        check("c.missing", Side::Value, "c");
        assert!(matches!(
            document(text).locate(&path("missing"), Side::Key),
            Location::Whole { .. }
        ));
    }

    #[test]
    fn values_become_json_and_numbers_beyond_it_are_errors() {
        let read = document("a = 0xff\nb = -1_000\nc = 1.5\nd = 2024-01-02\ne = [true, 'x']");
        let expected = json!({"a": 255, "b": -1000, "c": 1.5, "d": "2024-01-02", "e": [true, "x"]});
        assert_eq!(read.value, expected);
        for text in ["a = inf", "a = [1, nan]", "a = 99999999999999999999"] {
            let source = Arc::new(Source::of_file(Path::new("test.toml"), text.to_owned()));
            let refused = Document::parse(source).expect_err("out of range");
            assert_eq!(refused[0].message, OUT_OF_RANGE, "{text}");
        }
    }

    #[test]
    fn the_value_of_an_override_is_toml_if_it_parses() {
        let check = |text: &str, expected: Value| {
            assert_eq!(value_or_text(text), expected, "{text:?}");
        };
        check("1", json!(1));
        check("true", json!(true));
        check("'1'", json!("1"));
        check("[1, 16]", json!([1, 16]));
        check("{ a = 1 }", json!({"a": 1}));
        check("1s", json!("1s"));
        check("64KiB", json!("64KiB"));
        check("/text/alpha", json!("/text/alpha"));
        check("inf", json!("inf"));
        check("", json!(""));
        check("1\nb = 2", json!("1\nb = 2"));
    }

    #[test]
    fn a_dotted_key_follows_the_rules_of_toml() {
        let check = |text: &str, expected: Option<&[&str]>| {
            let expected = expected.map(|keys| keys.iter().map(|key| (*key).to_owned()).collect());
            assert_eq!(key_path(text), expected, "{text:?}");
        };
        check("unit", Some(&["unit"]));
        check(
            "server.http.mocks.0.path",
            Some(&["server", "http", "mocks", "0", "path"]),
        );
        check("a.'b.c'", Some(&["a", "b.c"]));
        check("", None);
        check("a..b", None);
        check("a = 1\nb", None);
        check("[a]\nb", None);
        check("# a", None);
    }
}
