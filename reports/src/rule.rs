//! The rule by which differences become verdicts: one margin, two error rates, planned looks.
//!
//! Everything that is compared (runtimes within a run, two records, the arms of a gate, a machine with itself) goes
//! through [`Rule`]: exact intervals of log-ratios decide by the position of their bounds. A bound decides nothing
//! unless it has the confidence that its error rate requires, and the error rates are split evenly over the looks
//! (Bonferroni), so that looking four times errs no more often than looking once. There are no p-values next to
//! intervals, and no composite. Numbers in, data out: `rounds` reads values, `describe` has the words. The tests
//! simulate how often the rule errs.

use photofinish_record::Plan;
use serde::{Deserialize, Serialize};

use crate::metrics::{Better, Overhead};
use crate::statistics::{self, Estimate};

/// The margin of equivalence, as a share: differences up to 2 % do not matter.
pub const MARGIN: f64 = 0.02;

/// Upper bound on the false-positive rate of one comparison of runtimes, both sides and all looks together.
///
/// Chosen by simulation of this rule: 20,000 runs for each line, normal noise of the log-ratio with this standard deviation;
/// "spikes": one block in twelve is off by 21 % to either side. The share of runs in which equals, and differences of +5,
/// +10 and +15 %, get a verdict of `faster` or `slower`:
///
/// | noise | rounds | equals | +5 % | +10 % | +15 % |
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
/// At 5 % instead of 1 % equals would be called different five times as often: in twenty comparisons of a noisy percentile,
/// a false alarm in every third run.
pub const ALPHA: f64 = 0.01;

/// Numbers of pairs after which a gate looks, and ends if everything is decided. Few and planned: looking after each pair
/// would sooner or later find a regression where there is none.
pub const LOOKS: [u32; 4] = [10, 16, 24, 40];

/// Default limit of a gate, as a share: a slowdown of 10 %.
pub const LIMIT: f64 = 0.10;

/// Upper bound, over all looks, on the rate at which one metric of a gate fails although the head is slower by no more
/// than the tolerance. With equal arms far fewer fail: see `tests/all/gate.rs`.
pub const FAIL_ALPHA: f64 = 0.005;

/// Upper bound, over all looks, on the rate at which one metric of a gate passes although the head is slower by the limit.
pub const PASS_ALPHA: f64 = 0.03;

/// Keeps an exactly attainable confidence from being lost to rounding.
const ROUNDING: f64 = 1e-9;

/// The rule by which differences become verdicts.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// The difference that does not matter, as a share: 0.02 is 2 %.
    pub margin: f64,
    /// Error rate of the lower bound, one-sided and over all looks.
    pub lower_alpha: f64,
    /// Error rate of the upper bound, likewise.
    pub upper_alpha: f64,
    /// Numbers of blocks after which there is a look, ascending; empty for a single look at all blocks.
    pub looks: Vec<u32>,
}

/// The verdict on a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Better by more than the margin, with the whole interval: more operations, less time, less cost.
    Faster,
    /// Worse by more than the margin, with the whole interval.
    Slower,
    /// The whole interval lies within the margin.
    Tie,
    /// The interval reaches across the margin: this run cannot tell.
    Inconclusive,
}

/// The verdict on one term of a gate in one cell, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum CheckVerdict {
    /// The term is certainly broken.
    Regression,
    /// Neither is certain.
    Inconclusive,
    /// The term certainly holds.
    Pass,
}

impl CheckVerdict {
    pub fn name(self) -> &'static str {
        match self {
            Self::Regression => "regression",
            Self::Inconclusive => "inconclusive",
            Self::Pass => "pass",
        }
    }
}

/// The reason that there is no verdict, or the basis of the verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caveat {
    TooFewPairs {
        needed: u32,
        pairs: usize,
    },
    /// Some operations had not ended, and their true values could change the verdict.
    LowerBound,
    /// A tie within the measuring loop's overhead.
    WithinOverhead(Overhead),
}

/// Position of a record among the planned looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Look {
    /// The last look that was reached, from 1; 0 before the first.
    pub number: usize,
    /// Number of planned looks.
    pub planned: usize,
}

/// The values of two sides, in the order of measurement.
#[derive(Clone, Debug, PartialEq)]
pub enum Samples {
    /// Measured side by side in blocks: base and head of each block, `None` if either is missing.
    Paired(Vec<Option<(f64, f64)>>),
    /// Measured at different times.
    Apart {
        base: Vec<f64>,
        /// By block.
        head: Vec<Option<f64>>,
    },
}

impl Samples {
    fn blocks(&self) -> usize {
        match self {
            Self::Paired(pairs) => pairs.len(),
            Self::Apart { head, .. } => head.len(),
        }
    }

    /// Pairs with both values, or values of the head, in the first `blocks` blocks.
    fn count(&self, blocks: usize) -> usize {
        match self {
            Self::Paired(pairs) => pairs[..blocks].iter().flatten().count(),
            Self::Apart { head, .. } => head[..blocks].iter().flatten().count(),
        }
    }

    /// The ratio head / base with its interval; `None` without positive numbers of both.
    pub fn ratio(&self, confidence: f64) -> Option<Estimate> {
        let log_ratio = self.log_ratio(self.blocks(), 1.0, confidence)?;
        Some(log_ratio.map(f64::exp))
    }

    /// `sign` × ln(head / base) over the first `blocks` blocks. Values without a logarithm are left out.
    fn log_ratio(&self, blocks: usize, sign: f64, confidence: f64) -> Option<Estimate> {
        match self {
            Self::Paired(pairs) => {
                let log_ratios: Vec<f64> = pairs[..blocks]
                    .iter()
                    .flatten()
                    .map(|(base, head)| sign * (head / base).ln())
                    .filter(|log_ratio| log_ratio.is_finite())
                    .collect();
                statistics::hodges_lehmann(&log_ratios, confidence)
            }
            Self::Apart { base, head } => {
                let log = |value: &f64| Some(sign * value.ln()).filter(|log| log.is_finite());
                let base: Vec<f64> = base.iter().filter_map(log).collect();
                let head: Vec<f64> = head[..blocks].iter().flatten().filter_map(log).collect();
                statistics::shift(&head, &base, confidence)
            }
        }
    }
}

/// A number between the bounds that decide, each of which has its own error rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// Its confidence is that of the lower bound.
    pub estimate: Estimate,
    /// True if the lower bound has the confidence that it needs to decide.
    low_is_sound: bool,
    high_is_sound: bool,
}

impl Bounds {
    fn map(self, function: impl Fn(Estimate) -> Estimate) -> Self {
        Self {
            estimate: function(self.estimate),
            ..self
        }
    }

    fn is_above(&self, threshold: f64) -> bool {
        self.low_is_sound && self.estimate.low > threshold
    }

    fn is_below(&self, threshold: f64) -> bool {
        self.high_is_sound && self.estimate.high < threshold
    }
}

/// A ratio with its verdict.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difference {
    /// Head / base.
    pub ratio: Estimate,
    /// Pairs of two positive numbers, or values of the head.
    pub samples: usize,
    /// `None` if there are too few samples for a verdict.
    pub verdict: Option<Verdict>,
}

/// A check's verdict and its basis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decision {
    pub verdict: CheckVerdict,
    /// The deciding look, from 1, or the last one reached; 0 before the first.
    pub look: usize,
    /// Values, or pairs of them, up to that look.
    pub samples: usize,
    /// The slowdown as a ratio (1.1 is 10 % slower), or the head's own value; `None` before any value.
    pub bounds: Option<Bounds>,
}

impl Rule {
    /// The rule for runtimes.
    pub const RUNTIMES: Self = Self {
        margin: MARGIN,
        lower_alpha: ALPHA / 2.0,
        upper_alpha: ALPHA / 2.0,
        looks: Vec::new(),
    };

    /// The rule for the runtimes of a plan, with its looks.
    pub fn of(plan: &Plan) -> Self {
        Self {
            looks: plan.looks.clone(),
            ..Self::RUNTIMES
        }
    }

    /// The rule for the arms of a gate.
    pub fn of_gate(tolerance: f64, looks: &[u32]) -> Self {
        Self {
            margin: tolerance,
            lower_alpha: FAIL_ALPHA,
            upper_alpha: PASS_ALPHA,
            looks: looks.to_vec(),
        }
    }

    /// The two-sided error rate at one look, if one side errs with `alpha` over all looks.
    fn at_one_look(&self, alpha: f64) -> f64 {
        2.0 * alpha / self.looks.len().max(1) as f64
    }

    /// Upper bound on the false-positive rate at one look.
    pub fn alpha(&self) -> f64 {
        self.at_one_look(self.lower_alpha)
    }

    /// The confidence of the interval whose lower bound decides.
    pub fn confidence(&self) -> f64 {
        1.0 - self.alpha()
    }

    /// The fewest pairs with which a difference can be certain: with fewer, even if all have the same sign, the
    /// two-sided p of 2 / 2ⁿ is above alpha.
    pub fn fewest_pairs(&self) -> u32 {
        let enough = |pairs: &u32| 2.0 * 0.5_f64.powi(*pairs as i32) <= self.alpha();
        (1..).find(enough).expect("alpha is above 0")
    }

    /// The look reached after `blocks` blocks.
    pub fn look(&self, blocks: usize) -> Look {
        let reached = |look: &&u32| **look as usize <= blocks;
        Look {
            number: self.looks.iter().filter(reached).count(),
            planned: self.looks.len(),
        }
    }

    /// Compares the head with the base over all blocks; `None` without positive numbers of both.
    pub fn compare(&self, samples: &Samples, better: Better) -> Option<Difference> {
        let ratio = samples.ratio(self.confidence())?;
        let count = match samples {
            Samples::Paired(pairs) => {
                let positive = |(base, head): &&(f64, f64)| (head / base).ln().is_finite();
                pairs.iter().flatten().filter(positive).count()
            }
            Samples::Apart { .. } => samples.count(samples.blocks()),
        };
        let is_sound = ratio.confidence >= self.confidence() - ROUNDING;
        Some(Difference {
            ratio,
            samples: count,
            verdict: is_sound.then(|| self.verdict(ratio, better)),
        })
    }

    /// The verdict by the position of the whole interval.
    fn verdict(&self, ratio: Estimate, better: Better) -> Verdict {
        let most = 1.0 + self.margin;
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

    /// The smallest difference that an interval shaped like this one could call in the estimate's own direction, as a
    /// share: (1 + margin) · value / low − 1 above 1, (1 + margin) · high / value − 1 below. A called difference is never
    /// smaller, an undecided one always is.
    pub fn smallest_callable(&self, ratio: Estimate) -> f64 {
        let half = match ratio.value {
            value if value >= 1.0 => value / ratio.low,
            value => ratio.high / value,
        };
        self.beyond_margin(half)
    }

    /// [`Self::smallest_callable`] for a difference in either direction: the wider half of the interval counts.
    pub fn smallest_callable_either_way(&self, ratio: Estimate) -> f64 {
        self.beyond_margin((ratio.value / ratio.low).max(ratio.high / ratio.value))
    }

    fn beyond_margin(&self, half: f64) -> f64 {
        (1.0 + self.margin) * half - 1.0
    }

    /// Decides whether the head is slower by more than the margin, or by less than `limit`.
    pub fn slowdown(&self, samples: &Samples, better: Better, limit: f64) -> Decision {
        let sign = match better {
            Better::Lower => 1.0,
            Better::Higher => -1.0,
        };
        let (blocks, decision) = self.look_by_look(
            samples.blocks(),
            |blocks, confidence| samples.log_ratio(blocks, sign, confidence),
            [(1.0 + self.margin).ln(), (1.0 + limit).ln()],
        );
        Decision {
            samples: samples.count(blocks),
            bounds: decision
                .bounds
                .map(|bounds| bounds.map(|log_ratio| log_ratio.map(f64::exp))),
            ..decision
        }
    }

    /// Decides whether the head's own median is below (or above) `value`, by exact order-statistic bounds.
    pub fn objective(&self, head: &[Option<f64>], value: f64, better: Better) -> Decision {
        let median = |blocks: usize, confidence| {
            let known: Vec<f64> = head[..blocks].iter().flatten().copied().collect();
            statistics::median_with_interval(&known, confidence)
        };
        // Mirrored if more is better: each side must be read with its own confidence.
        let (blocks, decision) = match better {
            Better::Lower => self.look_by_look(head.len(), median, [value; 2]),
            Better::Higher => {
                let mirrored = |blocks, confidence| Some(median(blocks, confidence)?.negated());
                self.look_by_look(head.len(), mirrored, [-value; 2])
            }
        };
        Decision {
            samples: head[..blocks].iter().flatten().count(),
            bounds: match better {
                Better::Lower => decision.bounds,
                Better::Higher => decision.bounds.map(|bounds| bounds.map(Estimate::negated)),
            },
            ..decision
        }
    }

    /// The decision of the first look that is certain, else of the last one reached, with the number of blocks that it
    /// is based on: a regression if the lower bound is above the first threshold, a pass if the upper bound is below
    /// the second.
    fn look_by_look(
        &self,
        blocks: usize,
        estimate: impl Fn(usize, f64) -> Option<Estimate>,
        [fails_above, passes_below]: [f64; 2],
    ) -> (usize, Decision) {
        let at = |blocks| self.bounds(|confidence| estimate(blocks, confidence));
        let looks = self.looks.iter().map(|look| *look as usize);
        let mut last = None;
        for (index, look) in looks.enumerate().take_while(|(_, look)| *look <= blocks) {
            let Some(bounds) = at(look) else {
                continue;
            };
            let verdict = match bounds {
                bounds if bounds.is_above(fails_above) => CheckVerdict::Regression,
                bounds if bounds.is_below(passes_below) => CheckVerdict::Pass,
                _ => CheckVerdict::Inconclusive,
            };
            let decision = Decision {
                verdict,
                look: index + 1,
                samples: 0,
                bounds: Some(bounds),
            };
            last = Some((look, decision));
            if verdict != CheckVerdict::Inconclusive {
                break;
            }
        }
        last.unwrap_or_else(|| {
            let before_the_first = Decision {
                verdict: CheckVerdict::Inconclusive,
                look: 0,
                samples: 0,
                bounds: at(blocks),
            };
            (blocks, before_the_first)
        })
    }

    fn bounds(&self, estimate: impl Fn(f64) -> Option<Estimate>) -> Option<Bounds> {
        let [lower, upper] =
            [self.lower_alpha, self.upper_alpha].map(|alpha| 1.0 - self.at_one_look(alpha));
        let (for_low, for_high) = (estimate(lower)?, estimate(upper)?);
        Some(Bounds {
            estimate: Estimate {
                high: for_high.high,
                ..for_low
            },
            low_is_sound: for_low.confidence >= lower - ROUNDING,
            high_is_sound: for_high.confidence >= upper - ROUNDING,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paired(pairs: &[(f64, f64)]) -> Samples {
        Samples::Paired(pairs.iter().copied().map(Some).collect())
    }

    #[track_caller]
    fn close(actual: f64, expected: f64) {
        assert!(
            (actual - expected).abs() <= 1e-9,
            "{actual} is not {expected}"
        );
    }

    #[test]
    fn a_ratio_and_its_inverse_are_exact_inverses() {
        let pairs = [
            (5.0, 10.0),
            (10.0, 22.0),
            (5.0, 9.0),
            (20.0, 41.0),
            (4.1, 8.0),
            (7.0, 15.0),
            (1.4, 3.0),
        ];
        let ratio = paired(&pairs).ratio(0.95).expect("pairs");
        let inverse = paired(&pairs.map(|(a, b)| (b, a))).ratio(0.95);
        let inverse = inverse.expect("pairs");
        close(ratio.value * inverse.value, 1.0);
        close(ratio.low * inverse.high, 1.0);
        assert!(ratio.low > 1.7 && ratio.high < 2.3, "{ratio:?}");
    }

    #[test]
    fn a_ratio_to_zero_is_left_out() {
        let pairs = paired(&[(0.0, 1.0), (1.0, 0.0), (0.0, 0.0)]);
        assert_eq!(pairs.ratio(0.95), None);
        let apart = Samples::Apart {
            base: vec![1.0, 1.0],
            head: vec![Some(2.0), Some(2.0)],
        };
        close(apart.ratio(0.9).expect("values").value, 2.0);
    }
}
