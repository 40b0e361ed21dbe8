//! Resolution: the smallest difference a machine can tell, from measuring the same cell against itself.
//!
//! Two arms that are the same differ by noise alone. Within each block their log-ratio is taken; how wide the exact
//! signed-rank interval over the blocks is, tells how far noise reaches in that many rounds. A real difference is called
//! when the whole interval lies beyond the materiality floor: it must exceed the floor by half that width.

use std::collections::BTreeMap;

use photofinish_record::load::{Load, Stop};
use photofinish_record::{Finding, FindingLevel, Measurement, Outcome, Plan, Round};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::metrics::{Better, METRICS, THROUGHPUT};
use crate::units;
use crate::verdict::Rule;

/// What tells differences apart: the verdicts' own rule.
const RULE: Rule = Rule::RUNTIMES;

/// From here on the machine tells what gates commonly ask for, as a share.
const FINE: f64 = 0.10;

/// Beyond this only gross differences can be told, as a share.
const COARSE: f64 = 0.25;

/// The metrics that are looked at.
const LOOKED_AT: [&str; 3] = [THROUGHPUT, "service_p50_ns", "service_p99_ns"];

/// How small a difference a machine can tell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Resolution {
    /// Name of the scenario that was measured.
    pub scenario: String,
    /// Name of the runtime.
    pub runtime: String,
    /// How operations were asked for.
    pub load: Load,
    /// When each round ended.
    pub stop: Stop,
    /// Pairs of rounds with numbers: rounds of each arm.
    pub rounds: usize,
    /// By metric.
    pub metrics: BTreeMap<String, Resolvable>,
}

/// How small a difference of one metric can be told.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Resolvable {
    /// Hodges-Lehmann estimate of the ratio of the two arms; 1 but for noise.
    pub ratio: f64,
    /// Its lower bound, exact signed-rank.
    pub low: f64,
    /// Its upper bound, exact signed-rank.
    pub high: f64,
    /// The interval's confidence, 0..=1.
    pub confidence: f64,
    /// The smallest difference that so many rounds tell here, as a share; `null` where they are too few for any.
    pub smallest_difference: Option<f64>,
}

impl Resolution {
    /// From the rounds of a plan whose first two cells are the same. `None` where no pair was measured.
    pub fn of(plan: &Plan, rounds: &[Round]) -> Option<Self> {
        let cell = plan.cells.first()?;
        let scenario = plan
            .scenarios
            .iter()
            .find(|planned| planned.name == cell.scenario)?;
        let pairs = pairs(rounds);
        let resolvable = |name: &&str| Some(((*name).to_owned(), resolvable(name, &pairs)?));
        let metrics: BTreeMap<String, Resolvable> =
            LOOKED_AT.iter().filter_map(resolvable).collect();
        (!metrics.is_empty()).then(|| Self {
            scenario: scenario.name.clone(),
            runtime: cell.runtime.clone(),
            load: cell.load,
            stop: scenario.stop,
            rounds: pairs.len(),
            metrics,
        })
    }

    /// What it says about the machine.
    pub fn finding(&self) -> Finding {
        let throughput = self.metrics.get(THROUGHPUT);
        let (level, evidence) = match throughput {
            Some(metric) if metric.is_called() => (
                FindingLevel::Bad,
                format!(
                    "the same thing measured twice came out as {:.3} to {:.3} times its own throughput, in {} rounds",
                    metric.low, metric.high, self.rounds
                ),
            ),
            Some(Resolvable {
                smallest_difference: Some(share),
                ..
            }) => (
                level(*share),
                format!(
                    "differences of throughput below {} cannot be told apart here in {} rounds",
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
    /// Whether a difference would be called where there is none.
    fn is_called(&self) -> bool {
        let most = 1.0 + RULE.floor;
        self.smallest_difference.is_some() && (self.low > most || self.high < 1.0 / most)
    }
}

fn level(smallest_difference: f64) -> FindingLevel {
    match smallest_difference {
        share if share > COARSE => FindingLevel::Bad,
        share if share > FINE => FindingLevel::Caution,
        _ => FindingLevel::Good,
    }
}

/// The measurements of both arms in each block; of a block that was redone, those of its last attempt.
fn pairs(rounds: &[Round]) -> Vec<(&Measurement, &Measurement)> {
    let mut blocks: BTreeMap<usize, (u32, [Option<&Measurement>; 2])> = BTreeMap::new();
    for round in rounds {
        let (attempt, arms) = blocks.entry(round.block).or_default();
        if round.attempt > *attempt {
            (*attempt, *arms) = (round.attempt, [None, None]);
        }
        if let (Outcome::Ok(measured), Some(arm)) = (&round.outcome, arms.get_mut(round.cell)) {
            *arm = Some(&measured.worker);
        }
    }
    let both = |(_, arms): (u32, [Option<_>; 2])| arms[0].zip(arms[1]);
    blocks.into_values().filter_map(both).collect()
}

fn resolvable(name: &str, pairs: &[(&Measurement, &Measurement)]) -> Option<Resolvable> {
    let metric = METRICS.iter().find(|metric| metric.name == name)?;
    let values: Vec<(f64, f64)> = pairs
        .iter()
        .filter_map(|(a, b)| metric.read(a).zip(metric.read(b)))
        .collect();
    // Which way is better makes no difference to how small a one can be told.
    let judgement = RULE.judge(&values, Better::Higher)?;
    let ratio = judgement.ratio;
    Some(Resolvable {
        ratio: ratio.value,
        low: ratio.low,
        high: ratio.high,
        confidence: ratio.confidence,
        smallest_difference: judgement.verdict.map(|_| RULE.smallest_callable(ratio)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(smallest_difference: Option<f64>, rounds: usize) -> Finding {
        let throughput = Resolvable {
            ratio: 1.0,
            low: 0.98,
            high: 1.02,
            confidence: 0.95,
            smallest_difference,
        };
        let resolution = Resolution {
            scenario: "http-get".into(),
            runtime: "threads".into(),
            load: Load::Closed {
                concurrency: std::num::NonZeroU32::MIN,
            },
            stop: Stop::Ops(std::num::NonZeroU64::MIN),
            rounds,
            metrics: BTreeMap::from([(THROUGHPUT.to_owned(), throughput)]),
        };
        resolution.finding()
    }

    #[test]
    fn a_machine_that_tells_little_is_cautioned_and_one_that_tells_nothing_is_bad() {
        let check = |smallest, level| assert_eq!(of(smallest, 12).level, level, "{smallest:?}");
        check(Some(0.04), FindingLevel::Good);
        check(Some(0.10), FindingLevel::Good);
        check(Some(0.14), FindingLevel::Caution);
        check(Some(0.40), FindingLevel::Bad);
        check(None, FindingLevel::Unknown);
    }

    #[test]
    fn the_smallest_difference_is_said_in_words_with_its_rounds() {
        assert_eq!(
            of(Some(0.0431), 12).evidence,
            "differences of throughput below 4.3% cannot be told apart here in 12 rounds"
        );
        assert_eq!(
            of(None, 4).evidence,
            "4 rounds are too few to tell any difference"
        );
    }
}
