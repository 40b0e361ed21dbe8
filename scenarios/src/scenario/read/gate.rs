//! Reads the gate's conditions: a tolerated slowdown, and texts about metrics.
//!
//! Texts are kept as written, with their line. `reports` checks and interprets them.

use std::collections::BTreeMap;

use super::super::flaw::{Flaw, KeyPath};
use super::super::format::GateEntry;
use super::super::{CheckGate, GateProblem, GateSpec, GateText, as_key};
use super::expect::{PARTS, unknown_part};
use super::{Reader, path};

/// A text of the section: its path, its metric, and the text itself.
type PlacedText<'a> = (KeyPath, String, &'a str);

impl Reader<'_> {
    /// The conditions of the section; `parts` are those of the operations, if known.
    pub(super) fn gate(
        &mut self,
        entries: &BTreeMap<String, GateEntry>,
        parts: Option<&[String]>,
        check: CheckGate<'_>,
    ) -> GateSpec {
        let mut spec = GateSpec {
            place: self.text_place(&path(["workload"])),
            parts: parts.unwrap_or_default().to_vec(),
            ..GateSpec::default()
        };
        let mut found = Vec::new();
        for (key, entry) in entries {
            collect(&path(["gate", key]), entry, &mut found);
        }
        for (path, metric, text) in found {
            let part =
                part_of(&path).filter(|part| parts.is_some_and(|parts| !parts.contains(part)));
            // `floor` is the former name of `tolerance`.
            if matches!(metric.as_str(), "tolerance" | "floor") {
                spec.tolerance = self.tolerance(path, text);
            } else if let Some(part) = part {
                let at = path[..3].to_vec();
                self.add(unknown_part(at, part, &spec.parts));
            } else if let Err(problem) = check(&metric, text) {
                self.add(gate_flaw(path, &metric, problem));
            } else {
                spec.terms.push(GateText {
                    metric,
                    text: text.to_owned(),
                    place: self.text_place(&path),
                });
            }
        }
        spec
    }

    fn tolerance(&mut self, path: KeyPath, text: &str) -> Option<f64> {
        let percent = text.trim().strip_suffix('%').map(str::trim);
        let share = percent
            .and_then(|number| number.parse::<f64>().ok())
            .map(|percent| percent / 100.0)
            .filter(|share| (0.0..1.0).contains(share));
        if share.is_none() {
            self.add(Flaw::wrong(
                path,
                "invalid tolerance",
                "expected a percentage below 100, such as \"2%\"",
            ));
        }
        share
    }
}

/// The texts of an entry at `path`.
fn collect<'a>(path: &KeyPath, entry: &'a GateEntry, found: &mut Vec<PlacedText<'a>>) {
    let below = |key: &str| [path.as_slice(), &[key.to_owned()]].concat();
    let metric = || match part_of(path) {
        Some(part) => format!("{}.{}.{}", path[1], as_key(part), path[3..].join(".")),
        None => path[1..].join("."),
    };
    match entry {
        GateEntry::One(text) => found.push((path.clone(), metric(), text)),
        GateEntry::All(texts) => {
            let texts = (0..).zip(texts);
            found.extend(texts.map(|(index, text): (usize, _)| {
                (below(&index.to_string()), metric(), text.as_str())
            }));
        }
        GateEntry::Below(entries) => {
            for (key, entry) in entries {
                collect(&below(key), entry, found);
            }
        }
    }
}

/// The part in a path such as `gate.request.NAME.METRIC`.
fn part_of(path: &[String]) -> Option<&String> {
    match path {
        [_, kind, part, _, ..] if PARTS.contains(&kind.as_str()) => Some(part),
        _ => None,
    }
}

fn gate_flaw(path: KeyPath, metric: &str, problem: GateProblem) -> Flaw {
    match problem {
        GateProblem::UnknownMetric { known } => {
            let key = path.into_iter().take(2).collect();
            Flaw::unknown_name(key, "metric to gate", metric, &known).at_key()
        }
        GateProblem::Text { message } => Flaw::wrong(path, message, ""),
    }
}
