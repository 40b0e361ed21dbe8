//! Resolution: the smallest difference a machine can detect, from measuring the same cell against itself.
//!
//! Two identical arms differ only by noise, and the interval of their ratio shows how large noise is for that number of
//! rounds. A real difference is called if the whole interval lies beyond the margin: it must exceed the margin by half
//! the interval's width.

use std::collections::BTreeMap;

use photofinish_record::load::{Load, Stop};
use photofinish_record::{Finding, FindingLevel, Plan, Round};
use serde::{Deserialize, Serialize};

use crate::metrics::{Better, THROUGHPUT, named};
use crate::rounds::{Rounds, measured};
use crate::rule::Rule;
use crate::units;

/// Resolution, as a share, up to which a machine detects the differences that gates commonly look for.
const FINE: f64 = 0.10;

/// Resolution, as a share, beyond which only gross differences can be detected.
const COARSE: f64 = 0.25;

/// The metrics of a resolution, with headings in the order of reports.
pub(crate) const HEADINGS: [(&str, &str); 3] = [
    (THROUGHPUT, "ops/s"),
    ("service_p50_ns", "p50"),
    ("service_p99_ns", "p99"),
];

/// The smallest differences a machine can tell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Resolution {
    pub scenario: String,
    pub runtime: String,
    pub load: Load,
    /// The length of each round.
    pub stop: Stop,
    /// Pairs of rounds with numbers.
    pub rounds: usize,
    /// By metric.
    pub metrics: BTreeMap<String, Resolvable>,
}

/// The smallest difference of one metric.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Resolvable {
    /// Hodges-Lehmann estimate of the ratio of the two arms; 1 but for noise.
    pub ratio: f64,
    /// Lower bound, exact signed-rank.
    pub low: f64,
    /// Upper bound, exact signed-rank.
    pub high: f64,
    /// The interval's confidence, 0..=1.
    pub confidence: f64,
    /// The smallest difference that so many rounds can tell here, as a share; `null` where they are too few for any.
    pub smallest_difference: Option<f64>,
}

impl Resolution {
    /// Computed from the rounds of a plan whose first two cells are the same; `None` if no pair was measured.
    pub fn of(plan: &Plan, rounds: &[Round]) -> Option<Self> {
        // Only the last attempt of a redone block, whether complete or not: the one before was disturbed.
        let is_last = |round: &&Round| {
            let of_block = rounds.iter().filter(|other| other.block == round.block);
            of_block.map(|other| other.attempt).max() == Some(round.attempt)
        };
        let rounds = Rounds::new(plan, rounds.iter().filter(is_last));
        let cell = plan.cells.first()?;
        let scenario = rounds.scenario(&cell.scenario)?;
        let metrics: BTreeMap<String, Resolvable> = HEADINGS
            .iter()
            .filter_map(|(name, _)| Some(((*name).to_owned(), Resolvable::of(&rounds, name)?)))
            .collect();
        let pairs = rounds.of_cell(0).iter().filter(|round| {
            let is_partner = |other: &&&Round| other.block == round.block;
            let partner = rounds.of_cell(1).iter().find(is_partner);
            measured(round)
                .and(partner.and_then(|round| measured(round)))
                .is_some()
        });
        (!metrics.is_empty()).then(|| Self {
            scenario: scenario.name.clone(),
            runtime: cell.runtime.clone(),
            load: cell.load,
            stop: scenario.stop,
            rounds: pairs.count(),
            metrics,
        })
    }

    /// The machine's fitness by this measure.
    pub fn finding(&self) -> Finding {
        let (level, evidence) = match self.metrics.get(THROUGHPUT) {
            Some(metric) if metric.is_called() => (
                FindingLevel::Bad,
                format!(
                    "two measurements of the same thing differ: one had {:.3} to {:.3} times the throughput of the other, in {} \
                     rounds",
                    metric.low, metric.high, self.rounds
                ),
            ),
            Some(Resolvable {
                smallest_difference: Some(share),
                ..
            }) => (
                match *share {
                    share if share > COARSE => FindingLevel::Bad,
                    share if share > FINE => FindingLevel::Caution,
                    _ => FindingLevel::Good,
                },
                format!(
                    "throughput differences below {} can go undetected here in {} rounds",
                    units::percent(*share),
                    self.rounds
                ),
            ),
            _ => (
                FindingLevel::Unknown,
                format!("{} rounds are too few to tell any difference", self.rounds),
            ),
        };
        let remedy = "more and longer rounds (--rounds, --duration), and a quieter machine";
        Finding {
            check: "resolution".to_owned(),
            level,
            evidence,
            remedy: (level != FindingLevel::Good).then(|| remedy.to_owned()),
        }
    }
}

impl Resolvable {
    fn of(rounds: &Rounds<'_>, name: &str) -> Option<Self> {
        let samples = rounds.pairs(1, 0, named(name)?);
        // The direction does not affect the smallest detectable difference.
        let difference = Rule::RUNTIMES.compare(&samples, Better::Higher)?;
        let ratio = difference.ratio;
        Some(Self {
            ratio: ratio.value,
            low: ratio.low,
            high: ratio.high,
            confidence: ratio.confidence,
            // Noise has no direction.
            smallest_difference: difference
                .verdict
                .map(|_| Rule::RUNTIMES.smallest_callable_either_way(ratio)),
        })
    }

    /// True if a difference would be called although there is none.
    fn is_called(&self) -> bool {
        let most = 1.0 + Rule::RUNTIMES.margin;
        self.smallest_difference.is_some() && (self.low > most || self.high < 1.0 / most)
    }
}
