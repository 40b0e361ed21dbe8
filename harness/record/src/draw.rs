//! Seeded draws indexed by number: keys, offsets, delays.
//!
//! A draw depends on the seed and its number alone (splitmix64 as a hash, Steele et al. 2014), never on earlier draws, so
//! that operation N gets the same draw under every runtime, whichever session performs it and whenever.

/// A uniformly distributed 64-bit number: draw number `index` of the sequence `seed`.
#[inline]
pub fn draw(seed: u64, index: u64) -> u64 {
    mix(mix(seed).wrapping_add(index.wrapping_mul(0x9E37_79B9_7F4A_7C15)))
}

/// A draw in `0..bound`, its bias below `bound` / 2^64 (Lemire's multiplication); 0 if `bound` is 0.
#[inline]
pub fn draw_below(seed: u64, index: u64, bound: u64) -> u64 {
    ((u128::from(draw(seed, index)) * u128::from(bound)) >> 64) as u64
}

/// Fisher and Yates's shuffle, in which every order is equally likely; of the draws of `seed`, it takes those from
/// `first_draw` on, as many as there are items.
pub fn shuffle<T>(items: &mut [T], seed: u64, first_draw: u64) {
    for last in (1..items.len()).rev() {
        let other = draw_below(seed, first_draw + last as u64, last as u64 + 1);
        items.swap(last, other as usize);
    }
}

#[inline]
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splitmix_agrees_with_the_published_sequence() {
        // The first outputs of splitmix64 from state 0, as in its reference implementation.
        assert_eq!(mix(0), 0xE220_A839_7B1D_CDAF);
        assert_eq!(mix(0x9E37_79B9_7F4A_7C15), 0x6E78_9E6A_A1B9_65F4);
    }

    #[test]
    fn draws_are_spread_over_their_range() {
        let mut seen = [0_u32; 10];
        for index in 0..10_000 {
            seen[draw_below(7, index, 10) as usize] += 1;
        }
        // Binomial(10000, 0.1) has a standard deviation of 30: six of them either way.
        assert!(
            seen.iter().all(|count| (820..1180).contains(count)),
            "{seen:?}"
        );
    }

    #[test]
    fn neighbouring_seeds_share_no_draws() {
        let shared = (0..1000)
            .filter(|&index| draw(1, index) == draw(2, index))
            .count();
        assert_eq!(shared, 0);
    }
}
