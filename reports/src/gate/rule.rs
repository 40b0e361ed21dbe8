//! The gate's rule: when a slowdown is real, when one is ruled out, and when neither can be said yet.
//!
//! Two one-sided questions are asked at each planned look, and only there: does the lower bound of the slowdown lie
//! beyond the floor, and does its upper bound lie below the limit? Each question's error rate is split evenly over the
//! looks (Bonferroni), so that looking four times errs no more often than looking once. Both bounds are exact. Where
//! the values come from is the business of `gate`; how often the rule errs is simulated in the tests.

use crate::metrics::Better;
use crate::statistics::{self, Estimate};

/// Pairs after which a gate looks, and ends where everything is decided. Few and planned: looking after each pair would
/// find a regression sooner or later where there is none.
pub const LOOKS: [u32; 4] = [10, 16, 24, 40];

/// The slowdown that does not matter yet, as a share: 2 %.
pub const FLOOR: f64 = 0.02;

/// The limit where none is given, as a share: 10 %.
pub const LIMIT: f64 = 0.10;

/// The chance, at the most and over all looks, that one metric fails although the head is slower by no more than the
/// floor. Of two equal arms far fewer fail: see the tests, `tests/all/gate.rs`.
pub const FAIL_ALPHA: f64 = 0.005;

/// The chance, at the most and over all looks, that one metric passes although the head is slower by the limit.
pub const PASS_ALPHA: f64 = 0.03;

/// When a metric fails and when it passes.
#[derive(Clone, Debug, PartialEq)]
pub struct GateRule {
    /// The slowdown that does not matter yet, as a share.
    pub floor: f64,
    /// Numbers of pairs after which is looked, ascending.
    pub looks: Vec<u32>,
}

/// What came of one metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// A slowdown of the limit is ruled out.
    Pass,
    /// A slowdown beyond the floor is certain.
    Fail,
    /// Neither can be said.
    Undecided,
}

/// A number with the bounds that its decision rests on, which have error rates of their own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// The estimate.
    pub value: f64,
    /// What fails rests on this side: exact and one-sided, with the error rate of failing at one look.
    pub low: f64,
    /// What passes rests on this side: exact and one-sided, with the error rate of passing at one look.
    pub high: f64,
}

/// A decision with what it rests on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decided {
    /// What came of it.
    pub decision: Decision,
    /// The look at which it was decided, from 1, or the last one that was reached; 0 before the first.
    pub look: usize,
    /// Values, or pairs of them, that were looked at.
    pub samples: usize,
    /// The slowdown as a ratio, 1.1 being 10 % slower, or the head's own value; `None` before any value.
    pub bounds: Option<Bounds>,
}

/// What is measured of both arms, in the order in which it was measured.
#[derive(Clone, Debug, PartialEq)]
pub enum Samples {
    /// Side by side in blocks: base and head of each block, `None` where either is missing.
    Paired(Vec<Option<(f64, f64)>>),
    /// At different times.
    Apart {
        /// All there is of the base.
        base: Vec<f64>,
        /// Of the head, by block.
        head: Vec<Option<f64>>,
    },
}

impl Samples {
    /// Blocks measured so far.
    fn blocks(&self) -> usize {
        match self {
            Self::Paired(pairs) => pairs.len(),
            Self::Apart { head, .. } => head.len(),
        }
    }

    /// The log-ratios by which the head is worse, over the first `blocks` blocks.
    fn slowdown(&self, blocks: usize, better: Better, confidence: f64) -> Option<Estimate> {
        let sign = match better {
            Better::Lower => 1.0,
            Better::Higher => -1.0,
        };
        match self {
            Self::Paired(pairs) => {
                let log_ratio = |(base, head): (f64, f64)| sign * (head / base).ln();
                let log_ratios: Vec<f64> = pairs[..blocks]
                    .iter()
                    .flatten()
                    .map(|pair| log_ratio(*pair))
                    .filter(|log_ratio| log_ratio.is_finite())
                    .collect();
                statistics::hodges_lehmann(&log_ratios, confidence)
            }
            Self::Apart { base, head } => {
                let logs = |values: &mut dyn Iterator<Item = f64>| -> Vec<f64> {
                    values
                        .map(|value| sign * value.ln())
                        .filter(|log| log.is_finite())
                        .collect()
                };
                let base = logs(&mut base.iter().copied());
                let head = logs(&mut head[..blocks].iter().flatten().copied());
                statistics::shift(&head, &base, confidence)
            }
        }
    }

    /// Values of the head in the first `blocks` blocks, or pairs with one.
    fn count(&self, blocks: usize) -> usize {
        match self {
            Self::Paired(pairs) => pairs[..blocks].iter().flatten().count(),
            Self::Apart { head, .. } => head[..blocks].iter().flatten().count(),
        }
    }
}

impl GateRule {
    /// The two percent, and the four looks.
    pub fn standard() -> Self {
        Self {
            floor: FLOOR,
            looks: LOOKS.to_vec(),
        }
    }

    /// The confidence of a two-sided interval whose one side errs with `alpha` split over the looks.
    fn confidence(&self, alpha: f64) -> f64 {
        1.0 - 2.0 * alpha / self.looks.len().max(1) as f64
    }

    /// The fewest pairs with which a metric can fail.
    pub fn fewest_pairs(&self) -> u32 {
        let alpha = FAIL_ALPHA / self.looks.len().max(1) as f64;
        let enough = |pairs: &u32| 0.5_f64.powi(*pairs as i32) <= alpha;
        (1..).find(enough).expect("alpha is above 0")
    }

    /// Whether the slowdown of the head is beyond the floor, or below `limit`; told by the first look at which either is
    /// certain.
    pub fn slowdown(&self, samples: &Samples, better: Better, limit: f64) -> Decided {
        let (fails, passes) = ((1.0 + self.floor).ln(), (1.0 + limit).ln());
        let estimate = |blocks, confidence| samples.slowdown(blocks, better, confidence);
        let decided = self.look_by_look(
            samples.blocks(),
            &estimate,
            &|bounds| bounds.low > fails,
            &|bounds| bounds.high < passes,
        );
        Decided {
            samples: samples.count(self.reached(samples.blocks(), decided.look)),
            bounds: decided.bounds.map(|bounds| Bounds {
                value: bounds.value.exp(),
                low: bounds.low.exp(),
                high: bounds.high.exp(),
            }),
            ..decided
        }
    }

    /// Whether the head's own median is below (or above) `value`: exact order-statistic bounds.
    pub fn objective(&self, head: &[Option<f64>], value: f64, better: Better) -> Decided {
        let estimate = |blocks: usize, confidence| {
            let known: Vec<f64> = head[..blocks].iter().flatten().copied().collect();
            statistics::median_with_interval(&known, confidence)
        };
        // Both bounds of a median move with its confidence, so the side that fails must be read with its own.
        let decided = match better {
            Better::Lower => self.look_by_look(
                head.len(),
                &estimate,
                &|bounds| bounds.low > value,
                &|bounds| bounds.high < value,
            ),
            Better::Higher => {
                let mirrored = |blocks: usize, confidence| {
                    estimate(blocks, confidence).map(|estimate| Estimate {
                        value: -estimate.value,
                        low: -estimate.high,
                        high: -estimate.low,
                        ..estimate
                    })
                };
                let decided = self.look_by_look(
                    head.len(),
                    &mirrored,
                    &|bounds| bounds.low > -value,
                    &|bounds| bounds.high < -value,
                );
                Decided {
                    bounds: decided.bounds.map(|bounds| Bounds {
                        value: -bounds.value,
                        low: -bounds.high,
                        high: -bounds.low,
                    }),
                    ..decided
                }
            }
        };
        let reached = self.reached(head.len(), decided.look);
        Decided {
            samples: head[..reached].iter().flatten().count(),
            ..decided
        }
    }

    /// How many of the `blocks` there are belong to look number `look`; all of them before the first.
    fn reached(&self, blocks: usize, look: usize) -> usize {
        let planned = look.checked_sub(1).and_then(|index| self.looks.get(index));
        planned.map_or(blocks, |planned| blocks.min(*planned as usize))
    }

    fn look_by_look(
        &self,
        blocks: usize,
        estimate: &dyn Fn(usize, f64) -> Option<Estimate>,
        fails: &dyn Fn(&Bounds) -> bool,
        passes: &dyn Fn(&Bounds) -> bool,
    ) -> Decided {
        let mut last = Decided {
            decision: Decision::Undecided,
            look: 0,
            samples: 0,
            bounds: self.bounds(blocks, estimate).map(|(bounds, _)| bounds),
        };
        for (index, look) in self.looks.iter().enumerate() {
            if *look as usize > blocks {
                break;
            }
            let Some((bounds, attained)) = self.bounds(*look as usize, estimate) else {
                continue;
            };
            last = Decided {
                decision: match () {
                    () if attained.fail && fails(&bounds) => Decision::Fail,
                    () if attained.pass && passes(&bounds) => Decision::Pass,
                    () => Decision::Undecided,
                },
                look: index + 1,
                samples: 0,
                bounds: Some(bounds),
            };
            if last.decision != Decision::Undecided {
                break;
            }
        }
        last
    }

    /// The bounds over the first `blocks` blocks, and which of them have the confidence that they should have.
    fn bounds(
        &self,
        blocks: usize,
        estimate: &dyn Fn(usize, f64) -> Option<Estimate>,
    ) -> Option<(Bounds, Attained)> {
        let (fail, pass) = (self.confidence(FAIL_ALPHA), self.confidence(PASS_ALPHA));
        let (for_fail, for_pass) = (estimate(blocks, fail)?, estimate(blocks, pass)?);
        let bounds = Bounds {
            value: for_fail.value,
            low: for_fail.low,
            high: for_pass.high,
        };
        let attained = Attained {
            fail: for_fail.confidence >= fail - ROUNDING,
            pass: for_pass.confidence >= pass - ROUNDING,
        };
        Some((bounds, attained))
    }
}

/// An exactly attainable confidence must not be lost to rounding.
const ROUNDING: f64 = 1e-9;

/// Which questions there are values enough for.
#[derive(Clone, Copy)]
struct Attained {
    fail: bool,
    pass: bool,
}
