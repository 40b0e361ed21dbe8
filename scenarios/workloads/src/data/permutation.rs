//! Permutations of `0..count`, computed index by index, without a table.
//!
//! A Feistel network of four rounds permutes the smallest even number of bits that holds the count; an index that leaves
//! the range goes through it again until it is back (cycle walking), which takes fewer than four passes on average.

use photofinish_record::draw::draw;

const ROUNDS: u64 = 4;

/// A family of permutations of `0..count`, one for each key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Permutation {
    count: u64,
    half_bits: u32,
}

impl Permutation {
    /// The permutations of `0..count`, which is at least 1.
    pub(super) fn new(count: u64) -> Self {
        let bits = u64::BITS - count.saturating_sub(1).leading_zeros();
        Self {
            count,
            half_bits: bits.div_ceil(2).max(1),
        }
    }

    /// The image of `index`, which is below the count.
    #[inline]
    pub(super) fn apply(self, key: u64, index: u64) -> u64 {
        let mut image = index;
        loop {
            image = self.pass(key, image);
            if image < self.count {
                return image;
            }
        }
    }

    fn pass(self, key: u64, index: u64) -> u64 {
        let mask = (1 << self.half_bits) - 1;
        let (mut left, mut right) = (index >> self.half_bits, index & mask);
        for round in 0..ROUNDS {
            let mixed = left ^ (draw(key, (round << 32) | right) & mask);
            (left, right) = (right, mixed);
        }
        (left << self.half_bits) | right
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_index_has_one_image_within_the_range() {
        for count in [1, 2, 3, 10, 64, 65, 1000] {
            for key in [0, 1, u64::MAX] {
                let permutation = Permutation::new(count);
                let mut images: Vec<u64> = (0..count)
                    .map(|index| permutation.apply(key, index))
                    .collect();
                images.sort_unstable();
                assert!(images.into_iter().eq(0..count), "{count} with key {key}");
            }
        }
    }

    #[test]
    fn the_largest_ranges_terminate() {
        for count in [u64::MAX, 1 << 63, (1 << 63) + 1] {
            let image = Permutation::new(count).apply(7, count - 1);
            assert!(image < count);
        }
    }

    #[test]
    fn neighbouring_keys_are_scattered() {
        let permutation = Permutation::new(100_000);
        let first: Vec<u64> = (0..100).map(|index| permutation.apply(3, index)).collect();
        // Uniform over 100,000: about 10 of 100 fall into each tenth.
        for tenth in 0..10 {
            let inside = first.iter().filter(|image| **image / 10_000 == tenth);
            assert!((1..=25).contains(&inside.count()), "{first:?}");
        }
    }
}
