//! Flaws: the errors in a value, each with its path.
//!
//! Checks of values (serde, a workload's parameters, a server's behaviour) stop at their first error. [`check_all`] removes
//! the faulty part and checks again, until only errors are left that follow from the gaps. `document.rs` locates a path in
//! a user's file.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::diagnostic::{Diagnostic, Location};
use photofinish_workloads::names::{did_you_mean, listed};
use photofinish_workloads::registry::keys;

/// Keys and positions from the root of a value to a part of it.
pub(crate) type KeyPath = Vec<String>;

/// One side of `key = value`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Key,
    Value,
}

/// An error at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Flaw {
    pub(crate) path: KeyPath,
    /// One line.
    pub(crate) message: String,
    /// The expected value, or a suggestion.
    pub(crate) label: Option<String>,
    pub(crate) help: Option<String>,
    pub(crate) side: Side,
    /// True if there is no such key: an override may then be meant for another scenario.
    pub(crate) unknown_key: bool,
}

impl Flaw {
    /// An invalid value, and a description of a valid one.
    pub(crate) fn wrong(path: KeyPath, message: impl Into<String>, label: &str) -> Self {
        Self {
            path,
            message: message.into(),
            label: Some(label.to_owned()).filter(|label| !label.is_empty()),
            help: None,
            side: Side::Value,
            unknown_key: false,
        }
    }

    /// The diagnostic of this flaw at `location`.
    pub(crate) fn diagnose(self, location: Location) -> Diagnostic {
        Diagnostic {
            message: self.message,
            location,
            label: self.label,
            help: self.help,
        }
    }

    /// Reports the same flaw at the key.
    pub(crate) fn at_key(self) -> Self {
        let side = Side::Key;
        Self { side, ..self }
    }

    /// A key that does not exist; its name is the last part of `path`.
    pub(crate) fn unknown_key(path: KeyPath, expected: &[String]) -> Self {
        let (name, outer) = path.split_last().expect("an unknown key has a name");
        let message = format!("unknown key `{name}`{}", within(outer));
        let (label, help) = suggestions(name, expected);
        Self {
            label,
            help,
            side: Side::Key,
            unknown_key: true,
            ..Self::wrong(path, message, "")
        }
    }

    /// A name that does not exist, of a `thing` such as a runtime.
    pub(crate) fn unknown_name(path: KeyPath, thing: &str, name: &str, known: &[String]) -> Self {
        let (label, help) = suggestions(name, known);
        Self {
            label,
            help,
            ..Self::wrong(path, format!("unknown {thing} `{name}`"), "")
        }
    }

    /// Adds a suggestion for the key, if there is none yet.
    pub(crate) fn or_suggest(self, known: &[String]) -> Self {
        let name = self.path.last().map_or("", String::as_str);
        match did_you_mean(name, known.iter().map(String::as_str)) {
            Some(meant) if self.help.is_none() => Self {
                help: self.label,
                label: Some(format!("did you mean `{meant}`?")),
                ..self
            },
            _ => self,
        }
    }

    /// Adds the valid names, if the flaw has neither label nor help.
    pub(crate) fn or_expected(mut self, names: &[String]) -> Self {
        if self.label.is_none() && self.help.is_none() && !names.is_empty() {
            self.help = Some(format!("expected {}", listed(names)));
        }
        self
    }

    /// An error from serde, or worded like one, about the value at `path`.
    pub(crate) fn from_serde(path: KeyPath, message: &str) -> Self {
        for (prefix, headline) in [
            ("invalid type: ", "wrong type"),
            ("invalid value: ", "wrong value"),
            ("invalid length ", "wrong length"),
        ] {
            let rest = message.strip_prefix(prefix);
            if let Some((found, expected)) = rest.and_then(|rest| rest.rsplit_once(", expected ")) {
                let headline = format!("{headline}{}: {}", at(&path), plain_found(found));
                let label = format!("expected {}", plain_expected(expected));
                return Self::wrong(path, headline, &label);
            }
        }
        if message.starts_with("unknown field ") && !path.is_empty() {
            return Self::unknown_key(path, &names_expected(message));
        }
        if message.starts_with("unknown variant ") {
            let name = message.split('`').nth(1).unwrap_or_default();
            return Self::unknown_name(path, "value", name, &names_expected(message));
        }
        if let Some(missing) = message.strip_prefix("missing field ") {
            let headline = format!("missing key {missing}{}", within(&path));
            return Self::wrong(path, headline, "");
        }
        let headline = format!("wrong value{}: {message}", at(&path));
        Self::wrong(path, headline, "")
    }
}

/// ` for `load.duration``, or nothing at the root.
fn at(path: &[String]) -> String {
    match path {
        [] => String::new(),
        path => format!(" for `{}`", path.join(".")),
    }
}

fn within(path: &[String]) -> String {
    match path {
        [] => String::new(),
        path => format!(" in `{}`", path.join(".")),
    }
}

/// Label and help for an unknown `name`: the likeliest valid name and the list of all, or only the list.
fn suggestions(name: &str, known: &[String]) -> (Option<String>, Option<String>) {
    if known.is_empty() {
        return (Some("no keys are valid here".to_owned()), None);
    }
    let all = format!("expected {}", listed(known));
    match did_you_mean(name, known.iter().map(String::as_str)) {
        Some(meant) => (
            Some(format!("did you mean `{meant}`?")),
            (known.len() > 1).then_some(all),
        ),
        None => (Some(all), None),
    }
}

/// Serde's description of the value it found, in the words of TOML.
fn plain_found(found: &str) -> String {
    match found {
        "map" => "a table".to_owned(),
        "sequence" => "a list".to_owned(),
        found => found.replace("floating point", "number"),
    }
}

/// Serde's description of the value it expected, in the words of TOML.
fn plain_expected(expected: &str) -> String {
    match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number, not negative".to_owned(),
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" => "a table".to_owned(),
        "a boolean" => "`true` or `false`".to_owned(),
        nonzero if nonzero.starts_with("a nonzero u") => "a whole number from 1 up".to_owned(),
        structure if structure.starts_with("struct ") => "a table".to_owned(),
        expected => expected.to_owned(),
    }
}

/// The names in serde's "unknown field `x`, expected one of `a`, `b`", the only form in which it offers them.
fn names_expected(message: &str) -> Vec<String> {
    let (_, list) = message.rsplit_once(", expected ").unwrap_or_default();
    list.split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

/// Deserialises a value.
pub(crate) fn typed<T: DeserializeOwned>(value: &Value) -> Result<T, Flaw> {
    serde_path_to_error::deserialize(value)
        .map_err(|error| Flaw::from_serde(keys(error.path()), &error.inner().to_string()))
}

/// Checks `value` until every independent flaw is found. There is a result whenever the value passes without its flawed
/// parts, so callers look at the flaws first.
pub(crate) fn check_all<T>(
    value: &mut Value,
    check: impl Fn(&Value) -> Result<T, Flaw>,
) -> (Option<T>, Vec<Flaw>) {
    let mut flaws: Vec<Flaw> = Vec::new();
    loop {
        let flaw = match check(value) {
            Ok(result) => return (Some(result), flaws),
            Err(flaw) => flaw,
        };
        let removed = remove(value, &flaw.path);
        // An error in a table from which a part was removed may follow from the gap. It is not reported, but the table
        // is removed as well, so that the rest can be checked.
        if !flaws
            .iter()
            .any(|earlier| earlier.path.starts_with(&flaw.path))
        {
            flaws.push(flaw);
        }
        if !removed {
            return (None, flaws);
        }
    }
}

/// Removes the innermost table entry around `path`: removing elements of lists would renumber the others.
fn remove(value: &mut Value, path: &[String]) -> bool {
    let Some((last, outer)) = path.split_last() else {
        return false;
    };
    let parent = outer
        .iter()
        .try_fold(&mut *value, |inner, key| part_mut(inner, key));
    match parent {
        Some(Value::Object(table)) => table.remove(last).is_some(),
        _ => remove(value, outer),
    }
}

/// The part of a table or list at a key or position.
pub(crate) fn part_mut<'a>(value: &'a mut Value, key: &str) -> Option<&'a mut Value> {
    match value {
        Value::Object(table) => table.get_mut(key),
        Value::Array(list) => list.get_mut(key.parse::<usize>().ok()?),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read by serde")]
    struct Outer {
        count: Option<u8>,
        list: Option<Vec<Inner>>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read by serde")]
    struct Inner {
        name: String,
        size: Option<u8>,
    }

    fn check(mut value: Value, expected: &[&str]) {
        let (_, flaws) = check_all(&mut value, typed::<Outer>);
        let messages: Vec<_> = flaws.iter().map(|flaw| flaw.message.as_str()).collect();
        assert_eq!(messages, expected);
    }

    #[test]
    fn every_independent_flaw_is_found_once() {
        check(json!({"count": 1, "list": [{"name": "a"}]}), &[]);
        check(
            json!({"count": "x", "lst": 1, "list": [{"name": "a", "sise": 1}, {"name": "b", "size": -1}]}),
            &[
                "wrong type for `count`: string \"x\"",
                "unknown key `sise` in `list.0`",
                "wrong value for `list.1.size`: integer `-1`",
                "unknown key `lst`",
            ],
        );
    }

    #[test]
    fn an_error_that_follows_from_a_gap_is_not_reported() {
        // Without the flawed name, the name is missing: that is no second flaw, and the rest is still checked.
        check(
            json!({"list": [{"name": 1}], "lst": 1}),
            &[
                "wrong type for `list.0.name`: integer `1`",
                "unknown key `lst`",
            ],
        );
        check(json!({"list": [{}]}), &["missing key `name` in `list.0`"]);
        check(json!([]), &["wrong length: 0"]);
    }
}
