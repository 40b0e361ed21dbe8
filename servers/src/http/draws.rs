//! Random draws that depend on a seed and an operation's number alone, never on the order of arrival.
//!
//! A stateful generator would give out its numbers in the order in which requests happen to arrive, and two clients
//! with different concurrency would then see different servers. Here every draw is a pure function: SplitMix64 (Steele,
//! Lea and Flood, "Fast Splittable Pseudorandom Number Generators", 2014) of seed, stream and operation number. No
//! policy lives here; read `behaviour.rs` next for the draws that are made.

/// The increment of SplitMix64: 2^64 divided by the golden ratio, made odd.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The purpose of a draw; draws of different streams are independent.
#[derive(Debug, Clone, Copy)]
pub(super) enum Stream {
    Delay,
    /// The second uniform that a normal deviate takes.
    DelayAngle,
    Status,
    Fault,
}

/// A source of draws.
#[derive(Debug, Clone, Copy)]
pub(super) struct Draws {
    seed: u64,
}

impl Draws {
    pub(super) fn new(seed: u64) -> Self {
        Draws { seed }
    }

    /// Uniform in [0, 1), with 53 bits.
    pub(super) fn uniform(self, stream: Stream, op: u64) -> f64 {
        let of_stream = mix(self.seed ^ mix((stream as u64 + 1).wrapping_mul(GOLDEN)));
        let bits = mix(of_stream.wrapping_add(op.wrapping_add(1).wrapping_mul(GOLDEN)));
        (bits >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Exponential with mean 1, by inversion.
    pub(super) fn exponential(self, op: u64) -> f64 {
        // 1 - u lies in (0, 1], so the logarithm is finite.
        -(1.0 - self.uniform(Stream::Delay, op)).ln()
    }

    /// Standard normal, by Box and Muller.
    pub(super) fn normal(self, op: u64) -> f64 {
        let radius = (2.0 * self.exponential(op)).sqrt();
        radius * (std::f64::consts::TAU * self.uniform(Stream::DelayAngle, op)).cos()
    }
}

/// The output function of SplitMix64.
fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mixing_function_is_that_of_splitmix64() {
        // The first outputs of the published generator seeded with 1234567.
        let outputs: Vec<u64> = (1..=3)
            .map(|step| mix(1_234_567_u64.wrapping_add(GOLDEN.wrapping_mul(step))))
            .collect();
        assert_eq!(
            outputs,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423
            ]
        );
    }

    #[test]
    fn draws_have_the_mean_and_variance_of_their_distributions() {
        // Goal: detect a wrong formula; method: means over 100,000 fixed draws, within several standard errors.
        let draws = Draws::new(7);
        let mean = |draw: &dyn Fn(u64) -> f64| (0..100_000).map(draw).sum::<f64>() / 100_000.0;
        let check = |name: &str, measured: f64, expected: f64| {
            assert!(
                (measured - expected).abs() < 0.02,
                "{name}: {measured} instead of {expected}"
            );
        };
        check(
            "uniform mean",
            mean(&|op| draws.uniform(Stream::Status, op)),
            0.5,
        );
        check(
            "uniform square",
            mean(&|op| draws.uniform(Stream::Status, op).powi(2)),
            1.0 / 3.0,
        );
        check("exponential mean", mean(&|op| draws.exponential(op)), 1.0);
        check("normal mean", mean(&|op| draws.normal(op)), 0.0);
        check("normal square", mean(&|op| draws.normal(op).powi(2)), 1.0);
    }

    #[test]
    fn streams_and_seeds_draw_differently() {
        let first = Draws::new(1).uniform(Stream::Status, 0);
        assert_ne!(first, Draws::new(1).uniform(Stream::Fault, 0));
        assert_ne!(first, Draws::new(2).uniform(Stream::Status, 0));
        assert_ne!(first, Draws::new(1).uniform(Stream::Status, 1));
    }
}
