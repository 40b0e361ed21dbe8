//! Reads the gate's conditions: a tolerated slowdown, and texts about metrics.
//!
//! Texts are kept as written, with their line. `reports` checks and interprets them.

use std::collections::BTreeMap;

use super::super::flaw::{Flaw, KeyPath};
use super::super::format::GateEntry;
use super::super::{CheckGate, GateProblem, GateSpec, GateText};
use super::{Reader, path};

impl Reader<'_> {
    pub(super) fn gate(
        &mut self,
        entries: &BTreeMap<String, GateEntry>,
        check: CheckGate<'_>,
    ) -> GateSpec {
        let mut spec = GateSpec {
            place: self.text_place(&path(["workload"])),
            ..GateSpec::default()
        };
        for (metric, entry) in entries {
            let texts = match entry {
                GateEntry::One(text) => vec![(path(["gate", metric]), text)],
                GateEntry::All(texts) => (0..)
                    .map(|index: usize| path(["gate", metric, &index.to_string()]))
                    .zip(texts)
                    .collect(),
            };
            for (path, text) in texts {
                // `floor` is the former name of `tolerance`.
                if matches!(metric.as_str(), "tolerance" | "floor") {
                    spec.tolerance = self.tolerance(path, text);
                } else if let Err(problem) = check(metric, text) {
                    self.add(gate_flaw(path, metric, problem));
                } else {
                    spec.terms.push(GateText {
                        metric: metric.clone(),
                        text: text.clone(),
                        place: self.text_place(&path),
                    });
                }
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

fn gate_flaw(path: KeyPath, metric: &str, problem: GateProblem) -> Flaw {
    match problem {
        GateProblem::UnknownMetric { known } => {
            let key = path.into_iter().take(2).collect();
            Flaw::unknown_name(key, "metric to gate", metric, &known).at_key()
        }
        GateProblem::Text { message } => Flaw::wrong(path, message, ""),
    }
}
