//! An interval as a small picture in a table: where it lies between "no difference", the margin, and a limit.
//!
//! All pictures of a table share one logarithmic axis, so that they can be compared; an interval that leaves it ends in an
//! arrow. The numbers stand beside it, so the picture is named by them for readers who cannot see it.

use maud::{Markup, html};

use crate::statistics::Estimate;

/// Size in CSS pixels.
const WIDTH: f64 = 200.0;
const HEIGHT: f64 = 22.0;

/// The widest axis, as a factor to either side: beyond it a difference is large, however large it is.
const LARGEST_FACTOR: f64 = 8.0;

/// The axis of a table: factors around 1, the same distance to both sides.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Axis {
    /// The factor at the right end.
    factor: f64,
    /// The factor up to which a difference does not matter.
    margin: f64,
}

/// A position on the axis: below 0 or above 1 it is outside.
fn position(factor: f64, axis: Axis) -> f64 {
    0.5 + factor.max(f64::MIN_POSITIVE).ln() / axis.factor.ln() / 2.0
}

impl Axis {
    /// An axis that holds these factors, as far as it may be that wide.
    pub(super) fn of(factors: impl Iterator<Item = f64>, margin: f64) -> Self {
        let margin = 1.0 + margin;
        let sizes = factors.filter(|factor| *factor > 0.0 && factor.is_finite());
        let largest = sizes.map(|factor| factor.ln().abs().exp());
        let largest = largest.fold(margin * margin, f64::max);
        Self {
            factor: (largest * 1.05).min(LARGEST_FACTOR),
            margin,
        }
    }

    /// The picture of an estimate; `limit` is drawn as a line.
    pub(super) fn picture(self, estimate: Estimate, limit: Option<f64>, name: &str) -> Markup {
        let place =
            |factor: f64| (position(factor, self).clamp(0.0, 1.0) * WIDTH * 10.0).round() / 10.0;
        let (from, to) = (place(self.margin.recip()), place(self.margin));
        let (low, high) = (place(estimate.low), place(estimate.high));
        let middle = HEIGHT / 2.0;
        let arrow = |factor: f64, end: f64, inwards: f64| {
            let is_outside = !(0.0..=1.0).contains(&position(factor, self));
            is_outside.then(|| {
                format!(
                    "M{} {}L{end} {middle}L{} {}",
                    end + inwards,
                    middle - 4.0,
                    end + inwards,
                    middle + 4.0
                )
            })
        };
        html! {
            svg.interval viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } width=(WIDTH) height=(HEIGHT) role="img" aria-label=(name) {
                rect.margin x=(from) y="0" width=(to - from) height=(HEIGHT) {}
                path.same d={ "M" (place(1.0)) " 0V" (HEIGHT) } {}
                @if let Some(limit) = limit { path.limit d={ "M" (place(limit)) " 0V" (HEIGHT) } {} }
                path.range d={ "M" (low) " " (middle) "H" (high) } {}
                @for end in [arrow(estimate.low, 0.0, 5.0), arrow(estimate.high, WIDTH, -5.0)].into_iter().flatten() {
                    path.range d=(end) {}
                }
                circle cx=(place(estimate.value)) cy=(middle) r="4" {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn estimate(low: f64, value: f64, high: f64) -> Estimate {
        Estimate {
            value,
            low,
            high,
            confidence: 0.99,
        }
    }

    #[test]
    fn no_difference_is_in_the_middle_and_both_sides_are_alike() {
        let axis = Axis::of([0.5, 1.5].into_iter(), 0.02);
        assert!((position(1.0, axis) - 0.5).abs() < 1e-12);
        assert!((position(0.5, axis) + position(2.0, axis) - 1.0).abs() < 1e-12);
        assert!(position(0.5, axis) > 0.0 && position(2.0, axis) < 1.0);
    }

    #[test]
    fn an_interval_beyond_the_axis_ends_in_an_arrow() {
        let axis = Axis::of([1e-9, f64::INFINITY].into_iter(), 0.02);
        let arrows = |estimate| {
            let svg = axis.picture(estimate, Some(1.1), "a name").into_string();
            assert!(
                svg.contains("class=\"limit\"") && svg.contains("aria-label=\"a name\""),
                "{svg}"
            );
            svg.matches("class=\"range\"").count() - 1
        };
        assert_eq!(arrows(estimate(0.9, 1.0, 1.2)), 0);
        assert_eq!(arrows(estimate(1e-9, 1.0, 1.2)), 1);
        assert_eq!(arrows(estimate(0.0, 1.0, 1e9)), 2);
    }
}
