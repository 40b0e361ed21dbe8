//! Exact distributions of rank statistics, and the depth of the bounds that follow from them.
//!
//! Up to a few hundred values probabilities are counted, not approximated, and the tests compare them with published
//! tables; beyond that counting takes minutes, and the normal limit is as good. `statistics.rs` defines which
//! distribution belongs to which estimate.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// P(T = t) of Wilcoxon's signed-rank statistic for n values, t = 0..=n(n + 1)/2: each rank 1..=n is in the sum or not,
/// with equal chance.
pub fn signed_rank(n: usize) -> Vec<f64> {
    let mut probability = vec![0.0; n * (n + 1) / 2 + 1];
    probability[0] = 1.0;
    for rank in 1..=n {
        for sum in (0..probability.len()).rev() {
            let with_rank = sum.checked_sub(rank).map_or(0.0, |rest| probability[rest]);
            probability[sum] = (probability[sum] + with_rank) / 2.0;
        }
    }
    probability
}

/// P(U = u) of Mann and Whitney's statistic for two groups of `m` and `n` values, u = 0..=m·n: the number of pairs in
/// which the first group's value is greater. Uses their own recurrence over which group holds the greatest value of all
/// (Mann and Whitney 1947).
pub fn rank_sum(m: usize, n: usize) -> Vec<f64> {
    // Row by row in the first group's size, all sizes of the second at a time.
    let mut rows: Vec<Vec<f64>> = (0..=n).map(|_| vec![1.0]).collect();
    for ours in 1..=m {
        let mut next: Vec<Vec<f64>> = vec![vec![1.0]];
        for theirs in 1..=n {
            let share = ours as f64 / (ours + theirs) as f64;
            let greatest_ours = &rows[theirs];
            let greatest_theirs = &next[theirs - 1];
            let probability = (0..=ours * theirs).map(|u| {
                let ours = u
                    .checked_sub(theirs)
                    .and_then(|rest| greatest_ours.get(rest));
                let theirs = greatest_theirs.get(u);
                share * ours.unwrap_or(&0.0) + (1.0 - share) * theirs.unwrap_or(&0.0)
            });
            let probability = probability.collect();
            next.push(probability);
        }
        rows = next;
    }
    rows.pop().unwrap_or_default()
}

/// Maximum number of values whose distribution is counted.
const MOST_COUNTED: usize = 200;

/// A rank statistic, whose distribution gives an interval its depth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Statistic {
    /// Number of values below the median, with the sample size.
    Median(usize),
    /// Wilcoxon's signed ranks, with the number of differences.
    SignedRank(usize),
    /// Wilcoxon's rank sum of two groups of these sizes.
    RankSum(usize, usize),
}

impl Statistic {
    /// The depth of the bounds with this confidence.
    pub(super) fn depth(self, confidence: f64) -> Depth {
        let values = match self {
            Self::Median(n) | Self::SignedRank(n) => n,
            Self::RankSum(m, n) => m + n,
        };
        if values > MOST_COUNTED {
            self.normal_depth(confidence)
        } else {
            depth(&self.probabilities(), confidence)
        }
    }

    /// Its distribution, computed once: most comparisons of a report have the same number of blocks.
    fn probabilities(self) -> Arc<[f64]> {
        static KNOWN: Mutex<BTreeMap<Statistic, Arc<[f64]>>> = Mutex::new(BTreeMap::new());
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        let table = known.entry(self).or_insert_with(|| {
            match self {
                Self::Median(n) => binomial_half(n),
                Self::SignedRank(n) => signed_rank(n),
                Self::RankSum(m, n) => rank_sum(m, n),
            }
            .into()
        });
        Arc::clone(table)
    }

    /// The depth under the normal limit, with the correction for continuity.
    fn normal_depth(self, confidence: f64) -> Depth {
        let (mean, variance) = match self {
            Self::Median(n) => (n as f64 / 2.0, n as f64 / 4.0),
            Self::SignedRank(n) => {
                let n = n as f64;
                let mean = n * (n + 1.0) / 4.0;
                (mean, mean * (2.0 * n + 1.0) / 6.0)
            }
            Self::RankSum(m, n) => {
                let (m, n) = (m as f64, n as f64);
                (m * n / 2.0, m * n * (m + n + 1.0) / 12.0)
            }
        };
        let deviations = |k: f64| (mean - (k - 0.5)) / variance.sqrt();
        let is_covered = |k: f64| 1.0 - 2.0 * upper_tail(deviations(k)) >= confidence;
        let (mut k, mut too_deep) = (1.0, mean.floor().max(2.0));
        while too_deep - k > 1.0 {
            let middle = f64::midpoint(k, too_deep).floor();
            if is_covered(middle) {
                k = middle;
            } else {
                too_deep = middle;
            }
        }
        Depth {
            k: k as usize,
            confidence: (1.0 - 2.0 * upper_tail(deviations(k))).max(0.0),
        }
    }
}

/// P(Z > z) of a standard normal Z, z ≥ 0, within 7.5e-8 (Abramowitz and Stegun, 26.2.17).
fn upper_tail(z: f64) -> f64 {
    const COEFFICIENTS: [f64; 5] = [
        1.330_274_429,
        -1.821_255_978,
        1.781_477_937,
        -0.356_563_782,
        0.319_381_530,
    ];
    let t = 1.0 / (1.0 + 0.231_641_9 * z);
    let series = COEFFICIENTS.iter().fold(0.0, |sum, c| (sum + c) * t);
    series * (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt()
}

/// P(B = b) of a fair coin thrown n times, b = 0..=n.
pub(super) fn binomial_half(n: usize) -> Vec<f64> {
    let mut probability = vec![0.0; n + 1];
    probability[0] = 1.0;
    for _ in 0..n {
        for heads in (0..=n).rev() {
            let one_more = heads.checked_sub(1).map_or(0.0, |less| probability[less]);
            probability[heads] = (probability[heads] + one_more) / 2.0;
        }
    }
    probability
}

/// Distance of an interval's bounds from either end of the sorted values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Depth {
    /// 1 is the smallest and the largest value.
    pub(super) k: usize,
    pub(super) confidence: f64,
}

/// The largest depth k whose coverage 1 − 2·P(X ≤ k − 1) reaches `confidence`; 1 if none does.
pub(super) fn depth(probability: &[f64], confidence: f64) -> Depth {
    // The tolerance keeps an exactly attainable confidence (0.9375 of five values) from being lost to rounding.
    let alpha = 1.0 - confidence + 1e-12;
    let mut tail = probability[0];
    let mut k = 1;
    while k < probability.len() && 2.0 * (tail + probability[k]) <= alpha {
        tail += probability[k];
        k += 1;
    }
    Depth {
        k,
        confidence: (1.0 - 2.0 * tail).max(0.0),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::close;
    use super::*;

    #[test]
    fn signed_rank_critical_values_match_the_published_table() {
        // Two-sided 5 %, Wilcoxon and Wilcox (1964), as reprinted in every textbook: the largest T that is significant.
        let five_percent = [
            0, 2, 3, 5, 8, 10, 13, 17, 21, 25, 29, 34, 40, 46, 52, 58, 65, 73, 81, 89, 137, 264,
            434,
        ];
        let sizes = (6..=25).chain([30, 40, 50]);
        for (n, critical) in sizes.zip(five_percent) {
            assert_eq!(depth(&signed_rank(n), 0.95).k - 1, critical, "n = {n}");
        }
        let one_percent = [0, 1, 3, 15, 37, 68, 109];
        for (n, critical) in [8, 9, 10, 15, 20, 25, 30].into_iter().zip(one_percent) {
            assert_eq!(depth(&signed_rank(n), 0.99).k - 1, critical, "n = {n}");
        }
    }

    #[test]
    fn signed_rank_probabilities_match_enumeration() {
        let by_counting = |n: u32| {
            let mut counts = vec![0.0; (n * (n + 1) / 2 + 1) as usize];
            for subset in 0..1_u32 << n {
                let sum: u32 = (0..n)
                    .filter(|bit| subset >> bit & 1 == 1)
                    .map(|bit| bit + 1)
                    .sum();
                counts[sum as usize] += 1.0 / f64::from(1_u32 << n);
            }
            counts
        };
        for n in 0..=12 {
            for (exact, counted) in signed_rank(n as usize).into_iter().zip(by_counting(n)) {
                close(exact, counted);
            }
        }
        close(signed_rank(60).iter().sum(), 1.0);
    }

    #[test]
    fn rank_sum_critical_values_match_the_published_table() {
        // Two-sided 5 %, Mann and Whitney's U as reprinted in every textbook: the largest U that is significant.
        for (m, n, critical) in [
            (4, 4, 0),
            (5, 5, 2),
            (5, 10, 8),
            (8, 8, 13),
            (10, 10, 23),
            (10, 16, 42),
            (12, 20, 69),
            (15, 15, 64),
            (20, 20, 127),
        ] {
            assert_eq!(depth(&rank_sum(m, n), 0.95).k - 1, critical, "{m} and {n}");
            assert_eq!(depth(&rank_sum(n, m), 0.95).k - 1, critical, "{n} and {m}");
        }
        close(rank_sum(40, 40).iter().sum(), 1.0);
    }

    #[test]
    fn rank_sum_probabilities_match_enumeration() {
        for (m, n) in [(1, 1), (2, 3), (4, 3), (5, 5)] {
            let mut counts = vec![0.0; m * n + 1];
            let mut all = 0.0;
            for places in (0..1_u32 << (m + n)).filter(|set| set.count_ones() as usize == m) {
                let ours = |place: &usize| places >> place & 1 == 1;
                let u: usize = (0..m + n)
                    .filter(ours)
                    .map(|place| (0..place).filter(|below| !ours(below)).count())
                    .sum();
                counts[u] += 1.0;
                all += 1.0;
            }
            for (exact, count) in rank_sum(m, n).into_iter().zip(counts) {
                close(exact, count / all);
            }
        }
    }

    #[test]
    fn the_normal_approximation_agrees_with_enumeration() {
        for statistic in [
            Statistic::Median(200),
            Statistic::SignedRank(200),
            Statistic::RankSum(100, 100),
            Statistic::RankSum(60, 140),
        ] {
            for confidence in [0.95, 0.99, 0.9975] {
                let counted = depth(&statistic.probabilities(), confidence);
                let normal = statistic.normal_depth(confidence);
                let distance = counted.k.abs_diff(normal.k) as f64 / counted.k as f64;
                assert!(distance <= 0.005, "{statistic:?} {counted:?} {normal:?}");
                let less = (counted.confidence - normal.confidence).abs();
                assert!(less <= 0.005, "{statistic:?} {counted:?} {normal:?}");
            }
        }
        close(upper_tail(0.0), 0.5);
        assert!((upper_tail(1.959_964) - 0.025).abs() < 1e-7);
    }

    #[test]
    fn median_interval_ranks_match_the_published_table() {
        // n, k and the coverage of [x(k), x(n + 1 - k)] at 95 %, as tables print it.
        let table = [
            (6, 1, 0.9688),
            (8, 1, 0.9922),
            (9, 2, 0.9609),
            (10, 2, 0.9785),
            (15, 4, 0.9648),
            (20, 6, 0.9586),
            (25, 8, 0.9567),
            (30, 10, 0.9572),
        ];
        for (n, k, coverage) in table {
            let found = depth(&binomial_half(n), 0.95);
            assert_eq!(found.k, k, "n = {n}");
            assert!(
                (found.confidence - coverage).abs() <= 5e-5,
                "n = {n}: {}",
                found.confidence
            );
        }
    }
}
