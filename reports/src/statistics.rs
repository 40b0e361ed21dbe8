//! Statistics over rounds: medians, shifts, and their exact intervals.
//!
//! The round is the statistical unit; this module knows nothing about the measured quantities. Intervals are exact
//! (binomial for a median, Wilcoxon's distributions for differences; of hundreds of rounds their normal limits) and
//! never resampled. Few rounds cannot give a high confidence: the widest attainable interval is then returned with its
//! actual confidence. The distributions are in `statistics/exact.rs`; `rule` decides what a difference means.

use serde::{Deserialize, Serialize};

use exact::{Depth, Statistic};

mod exact;

pub use exact::{rank_sum, signed_rank};

/// The confidence of intervals of medians, if there are enough rounds.
pub const CONFIDENCE: f64 = 0.95;

/// An estimate with its exact interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Estimate {
    /// A median, always within the bounds.
    #[serde(rename = "median")]
    pub value: f64,
    /// Lower bound.
    pub low: f64,
    /// Upper bound.
    pub high: f64,
    /// The interval's actual confidence, 0..=1: less than requested if there were too few values, 0 for a single one.
    pub confidence: f64,
}

impl Estimate {
    /// A value that is known without error.
    pub(crate) fn exact(value: f64) -> Self {
        Self {
            value,
            low: value,
            high: value,
            confidence: 1.0,
        }
    }

    /// The estimate under a monotonically increasing function, such as `exp`.
    pub(crate) fn map(self, function: impl Fn(f64) -> f64) -> Self {
        Self {
            value: function(self.value),
            low: function(self.low),
            high: function(self.high),
            ..self
        }
    }

    pub(crate) fn negated(self) -> Self {
        Self {
            value: -self.value,
            low: -self.high,
            high: -self.low,
            ..self
        }
    }
}

/// The median; for an even number of values the mean of the middle two. `None` if empty. Values must be finite.
pub fn median(values: &[f64]) -> Option<f64> {
    median_of_sorted(&sorted(values))
}

/// The median with its order-statistic interval: the k-th smallest and k-th largest value, for the largest k whose
/// coverage 1 − 2·P(B ≤ k − 1), B ~ Binomial(n, ½), reaches `confidence` (Conover, Practical Nonparametric Statistics,
/// § 3.2); k = 1 where none does.
pub fn median_with_interval(values: &[f64], confidence: f64) -> Option<Estimate> {
    let sorted = sorted(values);
    let value = median_of_sorted(&sorted)?;
    let depth = Statistic::Median(sorted.len()).depth(confidence);
    Some(Estimate {
        value,
        low: sorted[depth.k - 1],
        high: sorted[sorted.len() - depth.k],
        confidence: depth.confidence,
    })
}

/// The Hodges–Lehmann estimate of the centre of symmetric differences, the median of all Walsh averages
/// (xᵢ + xⱼ) / 2 with i ≤ j, with the interval that inverts Wilcoxon's signed-rank test (Hollander and Wolfe,
/// Nonparametric Statistical Methods, § 3.2 and 3.3).
pub fn hodges_lehmann(differences: &[f64], confidence: f64) -> Option<Estimate> {
    let sorted = sorted(differences);
    let depth = Statistic::SignedRank(sorted.len()).depth(confidence);
    Some(walsh_averages(&sorted)?.estimate(depth))
}

/// The shift of `ours` relative to `theirs`, measured independently: the Hodges–Lehmann estimate, the median of all
/// differences, with the interval that inverts Wilcoxon's rank-sum test (Hollander and Wolfe, § 4.2 and 4.3). Exact for
/// any numbers of values without ties; `None` if either is empty.
pub fn shift(ours: &[f64], theirs: &[f64], confidence: f64) -> Option<Estimate> {
    let (ours, theirs) = (sorted(ours), sorted(theirs));
    let depth = Statistic::RankSum(ours.len(), theirs.len()).depth(confidence);
    Some(differences(&ours, &theirs)?.estimate(depth))
}

/// The averages of pairs of sorted values, each with itself and those above; `None` without values.
fn walsh_averages(
    sorted: &[f64],
) -> Option<OrderStatistics<impl Fn(f64) -> usize, impl Fn() -> Vec<f64>>> {
    Some(OrderStatistics {
        count: sorted.len() * (sorted.len() + 1) / 2,
        ends: (*sorted.first()?, *sorted.last()?),
        // As the first value of a pair grows, fewer second ones keep the average at most `limit`.
        at_most: move |limit: f64| {
            let mut end = sorted.len();
            let firsts = sorted.iter().enumerate();
            firsts.fold(0, |count, (index, first)| {
                while end > 0 && (first + sorted[end - 1]) / 2.0 > limit {
                    end -= 1;
                }
                count + end.saturating_sub(index)
            })
        },
        list: move || {
            let firsts = sorted.iter().enumerate();
            let pairs = firsts.flat_map(|(index, first)| {
                let seconds = sorted[index..].iter();
                seconds.map(move |second| (first + second) / 2.0)
            });
            pairs.collect()
        },
    })
}

/// The differences of sorted values, each of ours minus each of theirs; `None` if either is empty.
fn differences(
    ours: &[f64],
    theirs: &[f64],
) -> Option<OrderStatistics<impl Fn(f64) -> usize, impl Fn() -> Vec<f64>>> {
    Some(OrderStatistics {
        count: ours.len() * theirs.len(),
        ends: (
            ours.first()? - theirs.last()?,
            ours.last()? - theirs.first()?,
        ),
        // As our value grows, fewer of theirs are large enough.
        at_most: move |limit: f64| {
            let mut begin = 0;
            ours.iter().fold(0, |count, our| {
                while begin < theirs.len() && our - theirs[begin] > limit {
                    begin += 1;
                }
                count + (theirs.len() - begin)
            })
        },
        list: move || {
            let ours = ours.iter();
            ours.flat_map(|our| theirs.iter().map(move |their| our - their))
                .collect()
        },
    })
}

/// Maximum number of pairs that are listed and sorted, which is faster. More are counted: the list for ten thousand values would
/// fill the memory.
const MOST_LISTED: usize = 1_000;

/// Numbers made of pairs of values.
struct OrderStatistics<C, L> {
    count: usize,
    /// The smallest and the largest.
    ends: (f64, f64),
    /// Counts the numbers up to a bound.
    at_most: C,
    /// All of them, in any order.
    list: L,
}

impl<C: Fn(f64) -> usize, L: Fn() -> Vec<f64>> OrderStatistics<C, L> {
    /// The median, with the bounds at this depth.
    fn estimate(&self, depth: Depth) -> Estimate {
        let [lower, upper, low, high] = self.smallest([
            self.count.div_ceil(2),
            self.count / 2 + 1,
            depth.k,
            self.count + 1 - depth.k,
        ]);
        Estimate {
            value: lower + (upper - lower) / 2.0,
            low,
            high,
            confidence: depth.confidence,
        }
    }

    /// For each k, the k-th smallest, exactly; of the two zeros, the positive one.
    fn smallest<const N: usize>(&self, ks: [usize; N]) -> [f64; N] {
        if self.count > MOST_LISTED {
            return ks.map(|k| self.smallest_by_bisection(k) + 0.0);
        }
        let mut listed = (self.list)();
        listed.sort_by(f64::total_cmp);
        ks.map(|k| listed[k - 1] + 0.0)
    }

    /// The smallest float that k of the numbers do not exceed.
    fn smallest_by_bisection(&self, k: usize) -> f64 {
        let (mut low, mut high) = (position(self.ends.0), position(self.ends.1));
        while low < high {
            // The mean rounded down, which does not overflow.
            let middle = (low & high) + ((low ^ high) >> 1);
            if (self.at_most)(at_position(middle)) >= k {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        at_position(low)
    }
}

/// The position of a float among all floats, in ascending order.
fn position(value: f64) -> i64 {
    let bits = value.to_bits().cast_signed();
    bits ^ (((bits >> 63).cast_unsigned()) >> 1).cast_signed()
}

fn at_position(position: i64) -> f64 {
    let bits = position ^ (((position >> 63).cast_unsigned()) >> 1).cast_signed();
    f64::from_bits(bits.cast_unsigned())
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

fn median_of_sorted(sorted: &[f64]) -> Option<f64> {
    let upper = *sorted.get(sorted.len() / 2)?;
    let lower = sorted[(sorted.len() - 1) / 2];
    Some(lower + (upper - lower) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn close(actual: f64, expected: f64) {
        let difference = (actual - expected).abs();
        assert!(
            difference <= 1e-9 * expected.abs().max(1.0),
            "{actual} is not {expected}"
        );
    }

    #[test]
    fn a_median_is_the_middle_or_between_the_middle_two() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[7.0]), Some(7.0));
        assert_eq!(median(&[9.0, 1.0, 5.0]), Some(5.0));
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), Some(2.5));
    }

    #[test]
    fn a_shift_is_the_median_difference_and_changes_sign_with_its_groups() {
        let (ours, theirs) = ([3.0, 4.0, 5.0, 9.0], [1.0, 2.0, 2.5]);
        let forth = shift(&ours, &theirs, 0.9).expect("values");
        let back = shift(&theirs, &ours, 0.9).expect("values");
        assert_eq!(forth.value, 2.75);
        assert_eq!((forth.low, forth.high), (-back.high, -back.low));
        assert_eq!(shift(&[], &theirs, 0.9), None);
    }

    #[test]
    fn listed_and_counted_pairs_have_the_same_order() {
        fn check(pairs: &OrderStatistics<impl Fn(f64) -> usize, impl Fn() -> Vec<f64>>) {
            assert!(pairs.count <= MOST_LISTED);
            for k in 1..=pairs.count {
                let [listed] = pairs.smallest([k]);
                assert_eq!(listed, pairs.smallest_by_bisection(k), "k = {k}");
            }
        }
        // With ties, and differences of both signs.
        let values = (0..40).map(|index| f64::from(index * index % 37) - 9.3);
        let values: Vec<f64> = values.collect();
        let (ours, theirs) = (sorted(&values[..25]), sorted(&values[25..]));
        check(&walsh_averages(&sorted(&values)).expect("values"));
        check(&differences(&ours, &theirs).expect("values"));
    }

    #[test]
    fn ten_thousand_values_need_no_list_of_their_pairs() {
        let values: Vec<f64> = (0..10_000).map(f64::from).collect();
        let estimates = [
            median_with_interval(&values, 0.95),
            hodges_lehmann(&values, 0.95),
            shift(&values, &[0.0; 10_000], 0.95),
        ];
        for estimate in estimates.map(|estimate| estimate.expect("values")) {
            close(estimate.value, 4999.5);
            let half = (estimate.high - estimate.low) / 2.0;
            // 1.96 standard errors: of a median n^½/2 ranks, of the others σ/n^½.
            assert!((50.0..=110.0).contains(&half), "{estimate:?}");
        }
    }

    #[test]
    fn few_values_give_the_widest_interval_and_its_confidence() {
        for (n, confidence) in [(1_u32, 0.0), (2, 0.5), (3, 0.75), (4, 0.875), (5, 0.9375)] {
            let values: Vec<f64> = (1..=n).map(f64::from).collect();
            let estimates = [
                median_with_interval(&values, 0.95),
                hodges_lehmann(&values, 0.95),
            ];
            for estimate in estimates.map(|estimate| estimate.expect("there are values")) {
                assert_eq!((estimate.low, estimate.high), (1.0, f64::from(n)));
                close(estimate.confidence, confidence);
            }
        }
        assert_eq!(hodges_lehmann(&[], 0.95), None);
        assert_eq!(median_with_interval(&[], 0.95), None);
    }

    #[test]
    fn an_exactly_attainable_confidence_is_attained() {
        let estimate = median_with_interval(&[1.0, 2.0, 3.0, 4.0, 5.0], 0.9375);
        close(estimate.expect("values").confidence, 0.9375);
    }

    #[test]
    #[allow(clippy::approx_constant)] // 3.14 is what was measured.
    fn hodges_lehmann_agrees_with_a_published_example() {
        // Hollander and Wolfe, table 3.1: Hamilton depression scale factor IV of nine patients; R's
        // `wilcox.test(y, x, paired = TRUE, conf.int = TRUE)` prints -0.46, and -0.786 to -0.010 at 96.1 %.
        let before = [1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30];
        let after = [0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29];
        let differences: Vec<f64> = after
            .iter()
            .zip(before)
            .map(|(after, before)| after - before)
            .collect();
        let estimate = hodges_lehmann(&differences, 0.95).expect("nine pairs");
        close(estimate.value, -0.46);
        close(estimate.low, -0.786);
        close(estimate.high, -0.01);
        close(estimate.confidence, 1.0 - 10.0 / 256.0);
    }

    #[test]
    fn the_intervals_cover_the_truth_as_often_as_they_say() {
        // Goal: the whole chain, not only its tables. Method: 2,000 seeded samples of ten skewed values each with a
        // known median of ln 2 (exponential), and of ten symmetric ones around 0.
        let mut state = 7_u64;
        let mut uniform = move || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            ((state >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
        };
        let mut covered = [0_u32; 2];
        for _ in 0..2_000 {
            let skewed: Vec<f64> = (0..10).map(|_| -uniform().ln()).collect();
            let symmetric: Vec<f64> = (0..10).map(|_| uniform() + uniform() - 1.0).collect();
            let contains = |estimate: Option<Estimate>, truth: f64| {
                estimate.is_some_and(|estimate| estimate.low <= truth && truth <= estimate.high)
            };
            covered[0] += u32::from(contains(median_with_interval(&skewed, 0.95), 2.0_f64.ln()));
            covered[1] += u32::from(contains(hodges_lehmann(&symmetric, 0.95), 0.0));
        }
        // Exact coverages are 97.85 % and 95.12 %; four standard errors are 1.3 and 1.9 points.
        assert!((1_930..=1_983).contains(&covered[0]), "{}", covered[0]);
        assert!((1_864..=1_941).contains(&covered[1]), "{}", covered[1]);
    }
}
