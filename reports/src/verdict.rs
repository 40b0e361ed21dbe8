//! Verdicts: whether a difference between two runtimes is real and large enough to matter.
//!
//! One rule for every metric. Within each block d = ln(a / b); over the blocks the Hodges–Lehmann estimate with exact
//! signed-rank bounds; the verdict is where that whole interval lies with respect to a floor. No composite, no p-value
//! beside an interval, and no verdict where there are too few blocks for any. Which metrics are compared is data of
//! `metrics`; the words for people are in `describe`. Next: `statistics` for the intervals.

use std::collections::BTreeMap;

use photofinish_record::{Measured, Plan, Record};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::describe;
use crate::metrics::{Better, Compared, Metric, Overhead};
use crate::rounds::measured;
use crate::statistics::{self, Estimate};
use crate::summary::Summary;

/// A smaller difference matters to nobody, as a share: 2 %.
pub const MATERIALITY: f64 = 0.02;

/// The chance, at the most, that a comparison of two equals is called `faster` or `slower`.
///
/// Chosen by simulation of the rule as it stands here: 20,000 runs for each line, normal noise of d with this standard
/// deviation; "spikes": one block in twelve is off by 21 % to either side. What of a difference of +5, +10 and +15 % is
/// called, and what of no difference:
///
/// | noise | rounds | equals called | +5 % | +10 % | +15 % |
/// |---|---|---|---|---|---|
/// | 2 % | 10 | 0 | 84 % | 100 % | 100 % |
/// | 3.5 %, spikes | 10 | 0.02 % | 22 % | 67 % | 90 % |
/// | 3.5 %, spikes | 16 | 0 | 39 % | 88 % | 99 % |
/// | 3.5 %, spikes | 24 | 0 | 62 % | 97 % | 100 % |
/// | 6.8 % | 10 | 0.13 % | 7 % | 58 % | 96 % |
/// | 6.8 %, spikes | 10 | 0.09 % | 5 % | 42 % | 78 % |
/// | 6.8 %, spikes | 24 | 0.01 % | 18 % | 92 % | 100 % |
/// | 6.8 %, spikes | looks at 10, 16, 24, 40 | 0.03 % | 22 % | 99 % | 100 % |
/// | 20 % | 10 | 0.5 % | 1 % | 6 % | 14 % |
///
/// At 5 % instead of 1 % equals would be called five times as often, which in twenty comparisons of a noisy percentile is
/// a false alarm in every third run.
pub const ALPHA: f64 = 0.01;

/// How a difference becomes a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Rule {
    /// The difference that does not matter yet, as a share: 0.02 is 2 %.
    pub floor: f64,
    /// The chance, at the most, that one comparison of equals is called `faster` or `slower` at one look, 0..=1.
    pub alpha: f64,
}

/// What came of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Better by more than the floor, with the whole interval: more operations, less time, less cost.
    Faster,
    /// Worse by more than the floor, with the whole interval.
    Slower,
    /// The whole interval lies within the floor.
    Tie,
    /// The interval reaches across the floor: this run cannot tell.
    Inconclusive,
}

/// How a runtime compares with the reference by one metric, from pairs within blocks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Comparison {
    /// The runtime it is compared with.
    pub against: String,
    /// Hodges–Lehmann estimate over the blocks' log-ratios; above 1 this cell's number is the greater.
    pub median: f64,
    /// Lower bound, exact signed-rank.
    pub low: f64,
    /// Upper bound, exact signed-rank.
    pub high: f64,
    /// The interval's confidence, 0..=1: less than the verdict's where there were too few blocks for one.
    pub confidence: f64,
    /// Blocks with both of the pair.
    pub pairs: usize,
    /// The difference up to which it is a tie, as a share: 0.02 is 2 %.
    pub floor: f64,
    /// What came of it; `null` where no verdict is attainable, with the reason.
    pub verdict: Option<Verdict>,
    /// The smallest difference that this run could have called, as a share: an estimate at least that far from 1, with
    /// this interval's width, would have been `faster` or `slower`. exp(ln(1 + floor) + ln(high / low) / 2) − 1. `null`
    /// where no verdict is attainable.
    pub smallest_callable: Option<f64>,
    /// What else to know of the verdict: why there is none, or that the floor is that of the measuring loop.
    pub reason: Option<String>,
}

/// A verdict with what it rests on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judgement {
    /// The ratio a / b with its interval.
    pub ratio: Estimate,
    /// Pairs of two positive numbers.
    pub pairs: usize,
    /// What came of it; `None` where there are too few pairs for any.
    pub verdict: Option<Verdict>,
}

impl Rule {
    /// The rule for runtimes.
    pub const RUNTIMES: Self = Self {
        floor: MATERIALITY,
        alpha: ALPHA,
    };

    /// The rule for the runtimes of a plan: planned looks share the error rate evenly, so that all of them together call
    /// equals no more often than a single one would (Bonferroni).
    pub fn of(plan: &Plan) -> Self {
        Self {
            alpha: ALPHA / plan.looks.len().max(1) as f64,
            ..Self::RUNTIMES
        }
    }

    /// The confidence of the intervals.
    pub fn confidence(self) -> f64 {
        1.0 - self.alpha
    }

    /// The fewest pairs with which a verdict is attainable: with fewer, even all differences of one sign have a two-sided
    /// p of 2 / 2ⁿ above alpha.
    pub fn fewest_pairs(self) -> usize {
        let enough = |pairs: &usize| 2.0 * 0.5_f64.powi(*pairs as i32) <= self.alpha;
        (1..).find(enough).expect("alpha is above 0")
    }

    /// Judges the ratio a / b over pairs (a, b) measured side by side; `None` without pairs of two positive numbers.
    pub fn judge(self, pairs: &[(f64, f64)], better: Better) -> Option<Judgement> {
        let positive = |(a, b): &&(f64, f64)| (a / b).ln().is_finite();
        let pairs: Vec<(f64, f64)> = pairs.iter().filter(positive).copied().collect();
        let ratio = statistics::paired_ratio(&pairs, self.confidence())?;
        let attainable = pairs.len() >= self.fewest_pairs();
        Some(Judgement {
            ratio,
            pairs: pairs.len(),
            verdict: attainable.then(|| self.verdict(ratio, better)),
        })
    }

    /// Where the whole interval lies.
    pub(crate) fn verdict(self, ratio: Estimate, better: Better) -> Verdict {
        let most = 1.0 + self.floor;
        let (above, below) = match better {
            Better::Higher => (Verdict::Faster, Verdict::Slower),
            Better::Lower => (Verdict::Slower, Verdict::Faster),
        };
        match ratio {
            ratio if ratio.low > most => above,
            ratio if ratio.high < 1.0 / most => below,
            ratio if ratio.low >= 1.0 / most && ratio.high <= most => Verdict::Tie,
            _ => Verdict::Inconclusive,
        }
    }

    /// The smallest difference that an interval as wide as this one lets call, as a share.
    pub fn smallest_callable(self, ratio: Estimate) -> f64 {
        (1.0 + self.floor) * (ratio.high / ratio.low).sqrt() - 1.0
    }
}

/// Which of the planned looks a record is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Look {
    /// The last look that was reached, from 1; 0 before the first.
    pub number: usize,
    /// How many were planned.
    pub planned: usize,
}

/// The look that this many measured blocks make it: planned looks are named by their blocks. `None` where none was
/// planned.
pub fn look(plan: &Plan, blocks: usize) -> Option<Look> {
    let reached = |look: &&u32| **look as usize <= blocks;
    let planned = plan.looks.len();
    (planned > 0).then(|| Look {
        number: plan.looks.iter().filter(reached).count(),
        planned,
    })
}

/// Whether every comparison of the record by its headline's metric has a verdict other than `inconclusive`: then more
/// blocks would change nothing that is told first. True where there is nothing to compare. Not by every metric: a noisy
/// percentile is undecided for ever.
pub fn all_decided(record: &Record) -> bool {
    let decided = |comparison: &Comparison| {
        comparison
            .verdict
            .is_some_and(|verdict| verdict != Verdict::Inconclusive)
    };
    let summary = Summary::of(record);
    let groups = summary.groups();
    let by_headline = groups.iter().flat_map(|group| {
        let cells = group.cells.iter();
        cells.filter_map(|cell| cell.comparisons.get(group.headline()))
    });
    by_headline.into_iter().all(decided)
}

/// Two cells of the plan.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair {
    /// The one that the verdict is about.
    pub(crate) cell: usize,
    /// The reference.
    pub(crate) against: usize,
}

/// Compares two cells by one metric, block by block; `None` where it cannot be known in any, or where either has a round
/// with too few samples for it.
pub(crate) fn compare(record: &Record, metric: &Metric, pair: Pair) -> Option<Comparison> {
    let compared = metric.compared_under(record.plan.cells[pair.cell].load)?;
    let sides = Sides::of(record, metric, pair);
    if sides.too_few_samples() {
        return None;
    }
    let loop_share = sides.loop_share(compared.overhead).unwrap_or(0.0);
    let rule = Rule::of(&record.plan);
    let rule = Rule {
        floor: rule.floor.max(loop_share),
        ..rule
    };
    let judgement = rule.judge(&sides.pairs(), compared.better)?;
    let told = told(rule, judgement, &sides, compared);
    Some(Comparison {
        against: record.plan.cells[pair.against].runtime.clone(),
        median: judgement.ratio.value,
        low: judgement.ratio.low,
        high: judgement.ratio.high,
        confidence: judgement.ratio.confidence,
        pairs: judgement.pairs,
        floor: rule.floor,
        verdict: told.verdict,
        smallest_callable: told
            .verdict
            .map(|_| rule.smallest_callable(judgement.ratio)),
        reason: told.reason,
    })
}

/// A verdict as it is told.
struct Told {
    verdict: Option<Verdict>,
    reason: Option<String>,
}

fn told(rule: Rule, judgement: Judgement, sides: &Sides<'_>, compared: Compared) -> Told {
    let none = |reason: String| Told {
        verdict: None,
        reason: Some(reason),
    };
    let Some(verdict) = judgement.verdict else {
        return none(format!(
            "{} rounds of both are needed, and there {}",
            rule.fewest_pairs(),
            describe::are(judgement.pairs)
        ));
    };
    // The truth can only be worse for the side that is a lower bound.
    let holds = match (sides.cell_is_lower_bound(), sides.against_is_lower_bound()) {
        (false, false) => true,
        (true, false) => verdict == Verdict::Slower,
        (false, true) => verdict == Verdict::Faster,
        (true, true) => false,
    };
    if !holds {
        return none("operations had not ended, so that a value is a lower bound only".to_owned());
    }
    let by_loop = rule.floor > MATERIALITY && verdict == Verdict::Tie;
    Told {
        verdict: Some(verdict),
        reason: by_loop.then(|| below_the_loop(compared.overhead)),
    }
}

fn below_the_loop(overhead: Overhead) -> String {
    let what = match overhead {
        Overhead::Rate => "per operation",
        Overhead::Time | Overhead::Unknown => "of service time",
    };
    format!("the difference is less than what the measuring loop itself takes {what}")
}

/// The rounds of both cells by block; of a block measured twice the later round counts.
struct Sides<'a> {
    metric: &'a Metric,
    cell: BTreeMap<usize, &'a Measured>,
    against: BTreeMap<usize, &'a Measured>,
}

impl<'a> Sides<'a> {
    fn of(record: &'a Record, metric: &'a Metric, pair: Pair) -> Self {
        Self {
            metric,
            cell: measured(record, pair.cell).collect(),
            against: measured(record, pair.against).collect(),
        }
    }

    /// The values of both in the blocks that have both.
    fn pairs(&self) -> Vec<(f64, f64)> {
        let value = |round: &Measured| self.metric.read(&round.worker);
        let both = self
            .cell
            .iter()
            .filter_map(|(block, round)| Some((round, self.against.get(block)?)));
        both.filter_map(|(a, b)| Some((value(a)?, value(b)?)))
            .collect()
    }

    fn too_few_samples(&self) -> bool {
        self.cell
            .values()
            .chain(self.against.values())
            .filter_map(|round| self.metric.samples(&round.worker))
            .any(|samples| samples.there < samples.needed)
    }

    fn cell_is_lower_bound(&self) -> bool {
        is_lower_bound(self.metric, &self.cell)
    }

    fn against_is_lower_bound(&self) -> bool {
        is_lower_bound(self.metric, &self.against)
    }

    /// What the measuring loop takes, as a share of the lesser of the two medians: |a − b| < loop is the same as
    /// max(a, b) / min(a, b) < 1 + loop / min(a, b). The greater of the two runtimes' loops counts.
    fn loop_share(&self, overhead: Overhead) -> Option<f64> {
        let median_ns = |rounds: &BTreeMap<usize, &Measured>| {
            let values: Vec<f64> = rounds
                .values()
                .filter_map(|round| overhead.as_ns(self.metric.read(&round.worker)?))
                .collect();
            statistics::median(&values)
        };
        let loop_ns = |rounds: &BTreeMap<usize, &Measured>| {
            let values: Vec<f64> = rounds
                .values()
                .filter_map(|round| overhead.of_loop_ns(round.worker.floor.as_ref()?))
                .collect();
            statistics::median(&values)
        };
        let lesser_ns = median_ns(&self.cell)?.min(median_ns(&self.against)?);
        let loops_ns = [loop_ns(&self.cell), loop_ns(&self.against)];
        let greater_ns = loops_ns.into_iter().flatten().reduce(f64::max)?;
        (lesser_ns > 0.0).then(|| greater_ns / lesser_ns)
    }
}

fn is_lower_bound(metric: &Metric, rounds: &BTreeMap<usize, &Measured>) -> bool {
    rounds
        .values()
        .any(|round| metric.is_lower_bound(&round.worker))
}
