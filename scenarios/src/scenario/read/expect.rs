//! Reads the expected outcome: the budget of failed operations, and thresholds on metrics.
//!
//! Texts are kept as written, with their line; `reports` checks and interprets them. The dot in an unquoted
//! `response_p99.5` makes a table in TOML, so nested keys are joined again.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::flaw::{Flaw, KeyPath, typed};
use super::super::format::ExpectSection;
use super::super::{CheckThreshold, GateProblem, ThresholdText, as_key};
use super::{Reader, path};
use photofinish_workloads::quantity::Share;

/// Keys before the name of a part of the operation.
pub(super) const PARTS: [&str; 2] = ["request", "transaction"];

/// Keys of the section that are not metrics.
const OTHERS: [&str; 1] = ["in_flight"];

#[derive(Deserialize)]
struct Budget {
    expect: BudgetSection,
}

#[derive(Deserialize)]
struct BudgetSection {
    errors: Share,
}

impl Reader<'_> {
    /// The budget of failed operations; `None` if the section has none.
    pub(super) fn error_budget(&mut self, section: &ExpectSection) -> Option<f64> {
        let errors = section.errors.as_ref()?;
        let budgets: Vec<&Value> = entries(errors).filter(|entry| !is_limit(entry)).collect();
        match budgets.as_slice() {
            [] => None,
            [budget] => {
                let root = json!({ "expect": { "errors": budget } });
                let read = self.check(root, typed::<Budget>)?;
                Some(read.expect.errors.0)
            }
            _ => {
                self.add(Flaw::wrong(
                    path(["expect", "errors"]),
                    "more than one budget of failed operations",
                    "expected one share such as \"1%\"; a threshold begins with `<`",
                ));
                None
            }
        }
    }

    /// The thresholds of the section, of an operation with these parts.
    pub(super) fn thresholds(
        &mut self,
        section: &ExpectSection,
        parts: &[String],
        check: CheckThreshold<'_>,
    ) -> Vec<ThresholdText> {
        let mut all: Map<String, Value> = section.thresholds.clone().into_iter().collect();
        let limits = section.errors.iter().flat_map(entries);
        let limits: Vec<Value> = limits.filter(|entry| is_limit(entry)).cloned().collect();
        if !limits.is_empty() {
            all.insert("errors".to_owned(), Value::Array(limits));
        }
        let mut found = Vec::new();
        self.collect(&path(["expect"]), &Value::Object(all), &mut found);
        found
            .into_iter()
            .filter_map(|(path, text)| self.threshold(path, text, parts, check))
            .collect()
    }

    /// The texts below `value`, each with its path.
    fn collect(&mut self, at: &KeyPath, value: &Value, found: &mut Vec<(KeyPath, String)>) {
        let below = |key: &str| [at.as_slice(), &[key.to_owned()]].concat();
        match value {
            Value::String(text) => found.push((at.clone(), text.clone())),
            Value::Number(number) => found.push((at.clone(), number.to_string())),
            Value::Array(list) => {
                for text in list {
                    match text {
                        Value::String(text) => found.push((at.clone(), text.clone())),
                        _ => self.add(no_text(at)),
                    }
                }
            }
            Value::Object(table) => {
                for (key, value) in table {
                    self.collect(&below(key), value, found);
                }
            }
            _ => self.add(no_text(at)),
        }
    }

    fn threshold(
        &mut self,
        path: KeyPath,
        text: String,
        parts: &[String],
        check: CheckThreshold<'_>,
    ) -> Option<ThresholdText> {
        let (part, metric) = match &path[1..] {
            [kind, name, metric @ ..] if PARTS.contains(&kind.as_str()) => {
                (Some(name.clone()), metric.join("."))
            }
            metric => (None, metric.join(".")),
        };
        if let Some(part) = part.as_ref().filter(|part| !parts.contains(part)) {
            let at = path[..3].to_vec();
            self.add(unknown_part(at, part, parts));
            return None;
        }
        match check(&metric, &text, part.is_some()) {
            Ok(()) => Some(ThresholdText {
                place: self.text_place(&path),
                part,
                metric,
                text,
            }),
            Err(GateProblem::UnknownMetric { mut known }) => {
                known.extend(
                    OTHERS
                        .iter()
                        .filter(|_| part.is_none())
                        .map(|key| (*key).to_owned()),
                );
                self.add(Flaw::unknown_name(path, "metric", &metric, &known).at_key());
                None
            }
            Err(GateProblem::Text { message }) => {
                self.add(Flaw::wrong(path, message, ""));
                None
            }
        }
    }
}

/// The entries of a list, or the one value.
fn entries(value: &Value) -> impl Iterator<Item = &Value> {
    let list = value
        .as_array()
        .map_or(std::slice::from_ref(value), Vec::as_slice);
    list.iter()
}

/// True for a text that begins with a sign of comparison.
fn is_limit(value: &Value) -> bool {
    let text = value.as_str().map(str::trim_start);
    text.is_some_and(|text| text.starts_with(['<', '>']))
}

fn no_text(at: &KeyPath) -> Flaw {
    let message = format!("wrong type for `{}`", at.join("."));
    let label = "expected a text such as \"< 20ms\", or a list of them";
    Flaw::wrong(at.clone(), message, label)
}

pub(super) fn unknown_part(at: KeyPath, part: &str, parts: &[String]) -> Flaw {
    if parts.is_empty() {
        let message = format!("unknown part `{part}`");
        return Flaw::wrong(
            at,
            message,
            "this workload's operations have no named parts",
        )
        .at_key();
    }
    let keys: Vec<String> = parts.iter().map(|part| as_key(part)).collect();
    Flaw::unknown_name(at, "part", part, &keys).at_key()
}
