//! A test hook: a runtime that stands in a run twice, under two names.
//!
//! How often does the tool see a difference where there is none, and how often does it miss one that is there? With
//! `PHOTOFINISH_TWIN=tokio` in the environment every cell of `tokio` gets a twin, `tokio-twin`, that runs the same code in
//! rounds of its own; with `PHOTOFINISH_TWIN_SET=work=11000` as well, parameters of the twin's workload are others. For
//! tests and for people who doubt; docs/METHOD.md tells of both.

use photofinish_record::Plan;
use photofinish_record::draw::draw_below;
use serde_json::Value;

use crate::exit::Failure;

const TWIN: &str = "PHOTOFINISH_TWIN";
const TWIN_SET: &str = "PHOTOFINISH_TWIN_SET";

/// What follows the name of a runtime in that of its twin.
const SUFFIX: &str = "-twin";

/// A runtime that is to stand in the run twice.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Twin {
    of: Option<String>,
    params: Vec<(String, Value)>,
}

impl Twin {
    /// As the environment asks for it; usually none.
    pub fn from_environment() -> Result<Self, Failure> {
        let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self::parse(set(TWIN), set(TWIN_SET).unwrap_or_default())
    }

    fn parse(of: Option<String>, params: String) -> Result<Self, Failure> {
        let pairs = params.split(',').filter(|pair| !pair.is_empty());
        let parse = |pair: &str| {
            let (name, value) = pair.split_once('=')?;
            let text = || Value::String(value.to_owned());
            let value = serde_json::from_str(value).unwrap_or_else(|_| text());
            Some((name.to_owned(), value))
        };
        let params = pairs.map(parse).collect::<Option<Vec<_>>>();
        let params = params.ok_or_else(|| {
            Failure::usage(format!("{TWIN_SET} is not of the form name=value"))
                .hint("such as work=11000, or several with commas between them")
        })?;
        Ok(Self { of, params })
    }

    /// Puts the twin beside the runtime wherever it stands, at a random place in each block.
    pub fn join(&self, plan: &mut Plan, seed: u64) {
        let Some(of) = &self.of else { return };
        let originals = 0..plan.cells.len();
        for original in originals
            .filter(|index| plan.cells[*index].runtime == *of)
            .collect::<Vec<_>>()
        {
            let mut cell = plan.cells[original].clone();
            cell.runtime.push_str(SUFFIX);
            plan.cells.push(cell);
            let twin = plan.cells.len() - 1;
            for (block, cells) in plan.blocks.iter_mut().enumerate() {
                if cells.contains(&original) {
                    let draw = (twin << 32 | block) as u64;
                    let place = draw_below(seed, draw, cells.len() as u64 + 1);
                    cells.insert(place as usize, twin);
                }
            }
        }
    }

    /// The runtime that really runs, and its parameters, where `name` may be a twin's.
    pub fn resolve(&self, name: &str, params: &Value) -> (String, Value) {
        let original = self.of.as_deref().filter(|of| {
            name.strip_suffix(SUFFIX)
                .is_some_and(|original| original == *of)
        });
        let mut params = params.clone();
        let Some(original) = original else {
            return (name.to_owned(), params);
        };
        for (name, value) in &self.params {
            params[name] = value.clone();
        }
        (original.to_owned(), params)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn twin(params: &str) -> Twin {
        Twin::parse(Some("tokio".to_owned()), params.to_owned()).expect("sound")
    }

    #[test]
    fn a_twin_runs_the_original_with_its_own_parameters() {
        let given = json!({ "work": 10_000 });
        let resolve = |name| twin("work=11000").resolve(name, &given);
        assert_eq!(resolve("tokio"), ("tokio".to_owned(), given.clone()));
        assert_eq!(
            resolve("smol-twin"),
            ("smol-twin".to_owned(), given.clone())
        );
        let expected = ("tokio".to_owned(), json!({ "work": 11_000 }));
        assert_eq!(resolve("tokio-twin"), expected);
    }

    #[test]
    fn a_twin_joins_each_block_of_its_original_once_and_goes_first_about_half_the_time() {
        let cell = |runtime: &str| {
            json!({
                "scenario": "null", "runtime": runtime,
                "load": { "model": "closed", "concurrency": 1 }, "unsupported": null,
            })
        };
        let mut plan: Plan = serde_json::from_value(json!({
            "scenarios": [], "cells": [cell("tokio")], "blocks": vec![[0]; 100],
            "placement": { "kind": "same", "server_cpus": [0], "worker_cpus": [0] },
        }))
        .expect("a plan");
        twin("").join(&mut plan, 1);
        assert_eq!(plan.cells[1].runtime, "tokio-twin");
        let first = plan.blocks.iter().filter(|block| **block == [1, 0]).count();
        let second = plan.blocks.iter().filter(|block| **block == [0, 1]).count();
        assert_eq!(first + second, 100);
        assert!((30..=70).contains(&first), "{first}");
    }

    #[test]
    fn a_twin_without_sense_is_refused() {
        assert!(Twin::parse(None, "work".to_owned()).is_err());
    }
}
