//! The Zipf distribution for any exponent above zero, by rejection-inversion.
//!
//! W. Hörmann and G. Derflinger, "Rejection-inversion to generate variates from monotone discrete distributions", ACM
//! TOMACS 6 (1996). No table, and less than 1.3 tries on average, whatever the count and the exponent.

/// A Zipf distribution over `1..=count`: rank k has the weight 1 / k^exponent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Zipf {
    count: f64,
    exponent: f64,
    /// The integral at 1.5 minus the weight of rank 1, and at count + 0.5.
    bounds: [f64; 2],
    /// Ranks this close below a point are accepted without computing their weight.
    shortcut: f64,
}

impl Zipf {
    /// The distribution for a count from 1 to 2^53 and a finite exponent above zero.
    pub(super) fn new(count: u64, exponent: f64) -> Self {
        let mut zipf = Self {
            count: count as f64,
            exponent,
            bounds: [0.0; 2],
            shortcut: 0.0,
        };
        zipf.bounds = [zipf.integral(1.5) - 1.0, zipf.integral(zipf.count + 0.5)];
        zipf.shortcut = 2.0 - zipf.inverse(zipf.integral(2.5) - zipf.weight(2.0));
        zipf
    }

    /// A rank in `1..=count`, from as many numbers of `uniform` (in 0..1, by index) as necessary.
    #[inline]
    pub(super) fn rank(&self, uniform: impl Fn(u64) -> f64) -> u64 {
        let [low, high] = self.bounds;
        let mut attempt = 0;
        loop {
            let point = high + uniform(attempt) * (low - high);
            let x = self.inverse(point);
            let rank = (x + 0.5).floor().clamp(1.0, self.count);
            if rank - x <= self.shortcut || point >= self.integral(rank + 0.5) - self.weight(rank) {
                return rank as u64;
            }
            attempt += 1;
        }
    }

    fn weight(&self, x: f64) -> f64 {
        (-self.exponent * x.ln()).exp()
    }

    /// An antiderivative of the weight.
    fn integral(&self, x: f64) -> f64 {
        let log = x.ln();
        exp_m1_ratio((1.0 - self.exponent) * log) * log
    }

    fn inverse(&self, value: f64) -> f64 {
        // Rounding can give slightly less than -1, where the logarithm is undefined.
        let t = (value * (1.0 - self.exponent)).max(-1.0);
        (ln_1p_ratio(t) * value).exp()
    }
}

/// ln(1 + x) / x, continued at 0.
fn ln_1p_ratio(x: f64) -> f64 {
    if x.abs() > 1e-8 {
        x.ln_1p() / x
    } else {
        1.0 - x * (0.5 - x * (1.0 / 3.0 - 0.25 * x))
    }
}

/// (e^x - 1) / x, continued at 0.
fn exp_m1_ratio(x: f64) -> f64 {
    if x.abs() > 1e-8 {
        x.exp_m1() / x
    } else {
        1.0 + x * 0.5 * (1.0 + x * (1.0 / 3.0) * (1.0 + 0.25 * x))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use photofinish_record::draw::draw;

    #[test]
    fn ranks_have_the_shares_of_the_definition() {
        for (count, exponent) in [(10, 0.5), (10, 1.0), (10, 1.1), (5, 3.0), (1, 2.0)] {
            let zipf = Zipf::new(count, exponent);
            let draws = 200_000;
            let mut counts = vec![0_u32; count as usize];
            for op in 0..draws {
                let key = draw(42, op);
                let rank = zipf.rank(|k| (draw(key, k) >> 11) as f64 / (1_u64 << 53) as f64);
                counts[rank as usize - 1] += 1;
            }
            let weights: Vec<f64> = (1..=count).map(|k| (k as f64).powf(-exponent)).collect();
            let sum: f64 = weights.iter().sum();
            for (weight, count) in weights.iter().zip(&counts) {
                let share = weight / sum;
                let sigma = (draws as f64 * share * (1.0 - share)).sqrt();
                let off = (f64::from(*count) - draws as f64 * share).abs();
                assert!(off <= 5.0 * sigma + 1e-9, "{exponent}: {counts:?}");
            }
        }
    }

    #[test]
    fn extremes_stay_in_range() {
        for (count, exponent) in [
            (1 << 53, 0.001),
            (1 << 53, 1.0),
            (1 << 53, 50.0),
            (2, 1000.0),
        ] {
            let zipf = Zipf::new(count, exponent);
            for uniform in [0.0, 0.5, 1.0 - f64::EPSILON] {
                // Later tries reach other points, as they do in use.
                let rank = zipf.rank(|k| (uniform + k as f64 * 0.37).fract());
                assert!((1..=count).contains(&rank), "{count} {exponent}: {rank}");
            }
        }
    }
}
