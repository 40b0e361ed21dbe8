//! Weighted choice by operation number.

use photofinish_record::draw::draw_below;

/// Keeps the choice apart from other draws of the same seed: `mix` in ASCII.
const SALT: u64 = 0x006d_6978;

/// Weighted items, of which each operation chooses one.
#[derive(Clone, Debug)]
pub struct Mix {
    /// Sums of the weights up to and including each item, ascending.
    sums: Box<[u64]>,
}

impl Mix {
    /// A mix of at least one item, with weights of which at least one is not zero; `None` otherwise.
    pub fn new(weights: impl IntoIterator<Item = u32>) -> Option<Self> {
        let mut sum = 0;
        let sums = weights.into_iter().map(|weight| {
            sum += u64::from(weight);
            sum
        });
        let sums: Box<[u64]> = sums.collect();
        (*sums.last()? > 0).then_some(Self { sums })
    }

    /// The index of the item that operation `op` chooses: the same under every runtime.
    #[inline]
    pub fn choose(&self, seed: u64, op: u64) -> usize {
        if self.sums.len() == 1 {
            return 0;
        }
        self.at(draw_below(seed ^ SALT, op, self.total()))
    }

    /// The sum of all weights.
    pub(super) fn total(&self) -> u64 {
        self.sums.last().copied().unwrap_or_default()
    }

    /// The item that covers `point`, which is below the total.
    #[inline]
    pub(super) fn at(&self, point: u64) -> usize {
        self.sums.partition_point(|&sum| sum <= point)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_within_five_sigma_of_the_weights() {
        let weights = [90, 0, 9, 1];
        let mix = Mix::new(weights).expect("weights");
        for seed in 0..5 {
            let mut counts = [0_u32; 4];
            let ops = 100_000;
            for op in 0..ops {
                counts[mix.choose(seed, op)] += 1;
            }
            for (weight, count) in weights.into_iter().zip(counts) {
                let share = f64::from(weight) / 100.0;
                let sigma = (ops as f64 * share * (1.0 - share)).sqrt();
                let off = (f64::from(count) - ops as f64 * share).abs();
                assert!(off <= 5.0 * sigma, "{weight} %: {count} of {ops}");
            }
        }
    }

    #[test]
    fn a_mix_needs_a_weight_above_zero() {
        assert!(Mix::new([]).is_none());
        assert!(Mix::new([0, 0]).is_none());
        let only_last = Mix::new([0, 0, 3]).expect("a weight");
        assert_eq!((0..50).map(|op| only_last.choose(1, op)).max(), Some(2));
        assert_eq!((0..50).map(|op| only_last.choose(1, op)).min(), Some(2));
    }
}
