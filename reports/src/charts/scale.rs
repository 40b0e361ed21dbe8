//! Scales: from a value to its position on an axis, and the ticks of the axis.
//!
//! Linear, logarithmic, and "log-nines", on which each further nine of a percentile takes the same length. Pure
//! arithmetic; the charts do the drawing.

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scale {
    /// Values at both ends, the first the smaller.
    domain: (f64, f64),
    /// Positions of both ends in CSS pixels.
    range: (f64, f64),
    logarithmic: bool,
}

impl Scale {
    pub(super) fn linear(domain: (f64, f64), range: (f64, f64)) -> Self {
        Self {
            domain,
            range,
            logarithmic: false,
        }
    }

    /// From zero to the highest of `values`; to 1 if none is positive.
    pub(super) fn from_zero(values: impl Iterator<Item = f64>, range: (f64, f64)) -> Self {
        let highest = values.fold(0.0, f64::max);
        Self::linear((0.0, if highest > 0.0 { highest } else { 1.0 }), range)
    }

    /// Moves an empty or non-positive domain to where logarithms exist.
    pub(super) fn logarithmic((low, high): (f64, f64), range: (f64, f64)) -> Self {
        let low = low.clamp(f64::MIN_POSITIVE, f64::MAX / 4.0);
        Self {
            domain: (low, high.clamp(low * 1.001, f64::MAX)),
            range,
            logarithmic: true,
        }
    }

    /// The position of `value`; a value outside the domain is placed at the nearer end.
    pub(super) fn place(&self, value: f64) -> f64 {
        let (low, high) = self.domain;
        let value = value.clamp(low, high);
        let share = if self.logarithmic {
            (value / low).ln() / (high / low).ln()
        } else {
            (value - low) / (high - low)
        };
        self.range.0 + share * (self.range.1 - self.range.0)
    }

    /// Length in CSS pixels.
    pub(super) fn length(&self) -> f64 {
        (self.range.1 - self.range.0).abs()
    }

    /// Round values inside the domain, about `most` of them at most.
    pub(super) fn ticks(&self, most: usize) -> Vec<f64> {
        if self.logarithmic {
            logarithmic_ticks(self.domain, most)
        } else {
            linear_ticks(self.domain, most)
        }
    }
}

/// A domain that holds all `values`, at least a factor of two wide, with a margin of 5 % on both sides.
pub(super) fn doubling(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let (low, high) = extremes(values);
    let missing = (2.0 / (high / low)).max(1.0).sqrt();
    (low / missing / 1.05, high * missing * 1.05)
}

/// A domain that holds all `values`, with a margin of at least a factor of `margin` on both sides.
pub(super) fn padded(values: impl Iterator<Item = f64> + Clone, margin: f64) -> (f64, f64) {
    let (low, high) = extremes(values);
    let margin = (high / low).powf(0.04).max(margin);
    (low / margin, high * margin)
}

fn extremes(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    (
        values.clone().fold(f64::INFINITY, f64::min),
        values.fold(f64::NEG_INFINITY, f64::max),
    )
}

/// The position of a quantile on a log-nines axis: 0 at 0, 1 at 0.9, 2 at 0.99.
pub(super) fn nines(quantile: f64) -> f64 {
    -(1.0 - quantile).log10()
}

fn linear_ticks((low, high): (f64, f64), most: usize) -> Vec<f64> {
    let rough = (high - low) / most.max(1) as f64;
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|digit| digit * power)
        .find(|step| *step >= rough * 0.999)
        .unwrap_or(10.0 * power);
    let first = (low / step).ceil() as i64;
    (first..)
        // If steps vanish in rounding, the ticks would never end.
        .take(4 * most.max(1))
        .map(|index| index as f64 * step)
        .take_while(|tick| *tick <= high * (1.0 + 1e-9))
        .collect()
}

/// The densest of a few patterns per decade with at most `most` ticks.
fn logarithmic_ticks(domain: (f64, f64), most: usize) -> Vec<f64> {
    let patterns: [&[f64]; 4] = [
        &[1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0],
        &[1.0, 2.0, 3.0, 5.0],
        &[1.0, 2.0, 5.0],
        &[1.0, 3.0],
    ];
    patterns
        .into_iter()
        .map(|pattern| per_decade(domain, pattern, 1))
        .chain((1..40).map(|decades| per_decade(domain, &[1.0], decades)))
        .find(|ticks| ticks.len() <= most)
        .unwrap_or_default()
}

/// Values of `digits` times a power of ten, in every n-th decade.
fn per_decade((low, high): (f64, f64), digits: &[f64], decades: usize) -> Vec<f64> {
    let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
    (first..=last)
        .step_by(decades)
        .map(|exponent| 10_f64.powi(exponent))
        .flat_map(|power| digits.iter().map(move |digit| digit * power))
        .filter(|tick| (low * 0.999_999..=high * 1.000_001).contains(tick))
        .collect()
}

/// Moves sorted `places` apart until none are closer than `gap`, keeping their order and staying above `bottom`.
pub(super) fn spread_apart(places: &mut [f64], gap: f64, bottom: f64) {
    for index in 1..places.len() {
        places[index] = places[index].max(places[index - 1] + gap);
    }
    let mut limit = bottom;
    for place in places.iter_mut().rev() {
        *place = place.min(limit);
        limit = *place - gap;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_logarithmic_scale_gives_each_decade_the_same_length() {
        let scale = Scale::logarithmic((1.0, 1e4), (0.0, 400.0));
        let places = [1.0, 10.0, 100.0, 1e4, 1e9].map(|value| scale.place(value).round());
        assert_eq!(places, [0.0, 100.0, 200.0, 400.0, 400.0]);
    }

    #[test]
    fn each_nine_of_a_percentile_axis_has_the_same_length() {
        assert!((nines(0.9) - 1.0).abs() < 1e-9 && (nines(0.999) - 3.0).abs() < 1e-9);
        assert_eq!(nines(0.0), 0.0);
    }

    #[test]
    fn ticks_are_round_and_few() {
        assert_eq!(
            Scale::linear((0.0, 104.0), (0.0, 1.0)).ticks(5),
            [0.0, 50.0, 100.0]
        );
        assert_eq!(
            Scale::linear((0.0, 98.0), (0.0, 1.0)).ticks(5),
            [0.0, 20.0, 40.0, 60.0, 80.0]
        );
        assert_eq!(
            Scale::logarithmic((0.9, 60.0), (0.0, 1.0)).ticks(7),
            [1.0, 2.0, 5.0, 10.0, 20.0, 50.0]
        );
        let wide = Scale::logarithmic((1e-10, 1e10), (0.0, 1.0)).ticks(8);
        assert!((3..=8).contains(&wide.len()), "{wide:?}");
        for extreme in [(0.0, f64::from_bits(1)), (0.0, f64::MAX), (-1e-320, 1e-310)] {
            assert!(Scale::linear(extreme, (0.0, 1.0)).ticks(8).len() <= 32);
            let logarithmic = Scale::logarithmic(extreme, (0.0, 1.0));
            assert!(logarithmic.ticks(8).len() <= 32, "{extreme:?}");
            assert!(logarithmic.place(1.0).is_finite());
        }
        let narrow = Scale::logarithmic((2.1, 2.9), (0.0, 1.0)).ticks(8);
        assert!(narrow.len() <= 8, "{narrow:?}");
    }

    #[test]
    fn labels_are_moved_apart_and_stay_inside() {
        let mut places = [10.0, 11.0, 12.0, 98.0, 99.0];
        spread_apart(&mut places, 10.0, 100.0);
        assert_eq!(places, [10.0, 20.0, 30.0, 90.0, 100.0]);
    }
}
