//! Reading a record: the one place where a document from outside becomes a [`Record`].
//!
//! A record may have been edited, cut short or damaged. Everything that its readers rely on is checked here: that
//! numbers could be measurements, and that cells, scenarios and rounds belong together. Reports do not check again.

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::{Outcome, RECORD_SCHEMA, Record};

/// The greatest whole number of a measurement: the last that a float holds exactly, 104 days in ns.
const MOST: u64 = 1 << 53;

/// Other numbers are zero, or between this and its inverse: anything beyond has no usable reciprocal.
const LEAST: f64 = 1e-100;

/// Maximum number of cells: ten times those of the largest suite.
const MOST_CELLS: usize = 10_000;

/// Members with text from users or systems instead of measurements.
const UNCHECKED: [&str; 4] = ["seed", "params", "behaviour", "machine"];

/// A document that is not a record of this version.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(String);

impl Record {
    /// Reads a record from JSON.
    pub fn read(json: &[u8]) -> Result<Self, Unreadable> {
        let record: Self = read(json)?;
        record.check()?;
        Ok(record)
    }

    /// Checks that its parts belong together.
    pub fn check(&self) -> Result<(), Unreadable> {
        let wrong = |reason: String| Err(Unreadable(reason));
        if self.schema != RECORD_SCHEMA {
            return wrong(format!("its schema is `{}`", self.schema));
        }
        let (plan, cells) = (&self.plan, self.plan.cells.len());
        if cells > MOST_CELLS {
            return wrong(format!(
                "its plan has {cells} cells, and at most {MOST_CELLS} are read"
            ));
        }
        let scenarios: Vec<&str> = plan.scenarios.iter().map(|one| one.name.as_str()).collect();
        let has_scenario = |name: &str| scenarios.contains(&name);
        if let Some(cell) = plan.cells.iter().find(|cell| !has_scenario(&cell.scenario)) {
            return wrong(format!(
                "a cell is of the scenario `{}`, which is not in the plan",
                cell.scenario
            ));
        }
        if let Some(cell) = plan.blocks.iter().flatten().find(|cell| **cell >= cells) {
            return wrong(format!("a block has cell {cell}, and there are {cells}"));
        }
        if let Some(shards) = &self.shards {
            shards.check().map_err(Unreadable)?;
        }
        for (index, profile) in self.profiles.iter().enumerate() {
            let cell = profile.cell;
            if cell >= cells {
                return wrong(format!(
                    "a profile is of cell {cell}, and there are {cells}"
                ));
            }
            if self.profiles[..index]
                .iter()
                .any(|other| other.cell == cell)
            {
                return wrong(format!("cell {cell} has two profiles"));
            }
            profile.check().map_err(Unreadable)?;
        }
        for round in &self.rounds {
            if round.cell >= cells {
                return wrong(format!(
                    "a round is of cell {}, and there are {cells}",
                    round.cell
                ));
            }
            if round.block >= plan.blocks.len() {
                return wrong(format!(
                    "a round is of block {}, and there are {}",
                    round.block,
                    plan.blocks.len()
                ));
            }
            if let Outcome::Ok(measured) = &round.outcome
                && let Err(error) = measured.worker.check()
            {
                return wrong(format!("a round of cell {} is wrong: {error}", round.cell));
            }
        }
        Ok(())
    }
}

/// Reads a part of a record from JSON, if its numbers could be measurements.
pub fn read<T: DeserializeOwned>(json: &[u8]) -> Result<T, Unreadable> {
    let unreadable = |error: serde_json::Error| Unreadable(error.to_string());
    serde_json::from_slice::<Measurable>(json).map_err(unreadable)?;
    serde_json::from_slice(json).map_err(unreadable)
}

/// Any JSON whose numbers could be measurements; the content is discarded.
struct Measurable;

impl<'de> Deserialize<'de> for Measurable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Measurable {
    type Value = Self;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_unit<E: Error>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Self, E> {
        self.visit_u64(value.unsigned_abs())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Self, E> {
        if value > MOST {
            return Err(E::custom(format!("{value} is beyond any measurement")));
        }
        Ok(self)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Self, E> {
        if value != 0.0 && !(LEAST..=1.0 / LEAST).contains(&value.abs()) {
            return Err(E::custom(format!("{value:e} is beyond any measurement")));
        }
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
        while items.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self, A::Error> {
        while let Some(name) = members.next_key::<String>()? {
            if UNCHECKED.contains(&name.as_str()) {
                members.next_value::<IgnoredAny>()?;
            } else {
                members.next_value::<Self>()?;
            }
        }
        Ok(self)
    }
}
