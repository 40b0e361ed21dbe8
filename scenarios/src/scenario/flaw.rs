//! Flaws: what is wrong with a value, by its path; and how to find all of them, not only the first.
//!
//! Checks of values (serde, a workload's parameters, a server's behaviour) stop at their first complaint. [`check_all`]
//! takes what was complained of out of the value and checks again, until nothing more is wrong that does not follow from
//! the gaps. Where a path lies in a user's file is the business of `document.rs`.

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::Segment;

use crate::diagnostic::{did_you_mean, listed};

/// Keys and positions from the root of a value to a part of it.
pub(crate) type KeyPath = Vec<String>;

/// Which side of `key = value` is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// The key.
    Key,
    /// The value.
    Value,
}

/// Something wrong at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Flaw {
    /// Where.
    pub(crate) path: KeyPath,
    /// What is wrong, in one line.
    pub(crate) message: String,
    /// What was expected there, or meant.
    pub(crate) label: Option<String>,
    /// What else helps.
    pub(crate) help: Option<String>,
    /// Which side of `key = value` it is about.
    pub(crate) side: Side,
    /// Whether there is no such key: an override may then be meant for another scenario.
    pub(crate) unknown_key: bool,
}

impl Flaw {
    /// A value that makes no sense, and what would.
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

    /// A key that does not exist; its name is the last part of `path`.
    pub(crate) fn unknown_key(path: KeyPath, expected: &[String]) -> Self {
        let (name, outer) = path.split_last().expect("an unknown key has a name");
        let message = format!("unknown key `{name}`{}", within(outer));
        let (label, help) = suggestions(name, expected);
        Self {
            path,
            message,
            label,
            help,
            side: Side::Key,
            unknown_key: true,
        }
    }

    /// A name that names nothing, of a `thing` such as a runtime.
    pub(crate) fn unknown_name(path: KeyPath, thing: &str, name: &str, known: &[String]) -> Self {
        let (label, help) = suggestions(name, known);
        Self {
            path,
            message: format!("unknown {thing} `{name}`"),
            label,
            help,
            side: Side::Value,
            unknown_key: false,
        }
    }

    /// The same flaw, with a guess at what its key was meant to be where there is none yet.
    pub(crate) fn or_meant(self, known: &[String]) -> Self {
        let name = self.path.last().map_or("", String::as_str);
        let guess = did_you_mean(name, known.iter().map(String::as_str)).map(meant);
        match guess.filter(|_| self.help.is_none()) {
            Some(guess) => Self {
                help: self.label,
                label: Some(guess),
                ..self
            },
            None => self,
        }
    }

    /// The same flaw with the names that would have been right, where it tells none.
    pub(crate) fn or_expected(self, names: &[String]) -> Self {
        let silent = self.label.is_none() && self.help.is_none() && !names.is_empty();
        let help = silent.then(|| format!("expected {}", listed(names)));
        Self {
            help: help.or(self.help),
            ..self
        }
    }

    /// A complaint of serde's, or in its words, about the value at `path`.
    pub(crate) fn from_serde(path: KeyPath, message: &str) -> Self {
        let wrong_kind = |words: &str, headline: &str| {
            let rest = message.strip_prefix(words)?;
            let (found, expected) = rest.rsplit_once(", expected ")?;
            let label = format!("expected {}", plain_expected(expected));
            let headline = format!("{headline}{}: {}", at(&path), plain_found(found));
            Some(Self::wrong(path.clone(), headline, &label))
        };
        if let Some(flaw) = wrong_kind("invalid type: ", "wrong type")
            .or_else(|| wrong_kind("invalid value: ", "wrong value"))
            .or_else(|| wrong_kind("invalid length ", "wrong length"))
        {
            return flaw;
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

/// What to say where `name` stands, and what below: a guess and all that is valid, or only the latter.
fn suggestions(name: &str, known: &[String]) -> (Option<String>, Option<String>) {
    let all = (!known.is_empty()).then(|| format!("expected {}", listed(known)));
    match did_you_mean(name, known.iter().map(String::as_str)) {
        Some(meant) => {
            let others = known.len() > 1;
            (
                Some(format!("did you mean `{meant}`?")),
                all.filter(|_| others),
            )
        }
        None if known.is_empty() => (Some("there are no keys here".to_owned()), None),
        None => (all, None),
    }
}

fn meant(guess: &str) -> String {
    format!("did you mean `{guess}`?")
}

/// What serde found, in words that people who write TOML use.
fn plain_found(found: &str) -> String {
    match found {
        "map" => "a table".to_owned(),
        "sequence" => "a list".to_owned(),
        found => found.replace("floating point", "number"),
    }
}

/// What serde expected, in words that people who write TOML use.
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

/// The names serde lists in "unknown field `x`, expected one of `a`, `b`"; it offers them in no other form.
fn names_expected(message: &str) -> Vec<String> {
    let (_, list) = message.rsplit_once(", expected ").unwrap_or_default();
    list.split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

/// Reads a value into a type.
pub(crate) fn typed<T: DeserializeOwned>(value: &Value) -> Result<T, Flaw> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().iter().filter_map(key_of).collect();
        Flaw::from_serde(path, &error.into_inner().to_string())
    })
}

fn key_of(segment: &Segment) -> Option<String> {
    match segment {
        Segment::Seq { index } => Some(index.to_string()),
        Segment::Map { key } => Some(key.clone()),
        Segment::Enum { .. } | Segment::Unknown => None,
    }
}

/// Checks `value` until every independent flaw is found. The result is there whenever the value passed with all flawed
/// parts taken out of it; whoever cares for flaws looks at them first.
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
        // What is said of a whole from which something was taken may follow from the gap: no flaw of its own, but a
        // reason to take out the whole as well and to look at the rest.
        let follows = |earlier: &Flaw| earlier.path.starts_with(&flaw.path);
        if !flaws.iter().any(follows) {
            flaws.push(flaw);
        }
        if !removed {
            return (None, flaws);
        }
    }
}

/// Takes out the innermost keyed part that holds `path`: taking elements out of lists would renumber the others.
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

/// The part of a table or list under a key or position.
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
    fn what_follows_from_a_gap_is_not_a_flaw_of_its_own() {
        // Once the flawed name is out, the name is missing: that is no second flaw, and the rest is still looked at.
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
