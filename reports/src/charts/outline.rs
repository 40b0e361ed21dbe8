//! Outlines: lines and circles as polygons, the one shape that `picture` fills.

use std::f64::consts::{FRAC_PI_2, PI, TAU};

use super::drawing::{Point, at};

/// Longest arc drawn as a straight line, in radians: 0.03 pixels from the true arc at the radius of the largest marker.
const STEP: f64 = PI / 16.0;

pub(super) fn circle(centre: Point, radius: f64) -> Vec<Point> {
    let mut outline = Vec::new();
    arc(centre, radius, 0.0, TAU, &mut outline);
    outline
}

/// The outline of a line of `width` along `points`, with round joins and ends.
///
/// It winds around all it covers in one direction, so that a fill which adds up winding numbers leaves no holes.
pub(super) fn stroke(points: &[Point], width: f64) -> Vec<Point> {
    let mut points = points.to_vec();
    points.dedup();
    if let [point] = points[..] {
        return circle(point, width / 2.0);
    }
    let mut outline = Vec::new();
    side(&points, width / 2.0, &mut outline);
    points.reverse();
    side(&points, width / 2.0, &mut outline);
    outline
}

/// One side of a line and the half circle at its end, which is where the other side begins.
fn side(points: &[Point], radius: f64, outline: &mut Vec<Point>) {
    let directions: Vec<f64> = points
        .windows(2)
        .map(|ends| (ends[1].y - ends[0].y).atan2(ends[1].x - ends[0].x))
        .collect();
    for (index, direction) in directions.iter().enumerate() {
        let (end, normal) = (points[index + 1], direction + FRAC_PI_2);
        // In -π..π; the end is half a turn.
        let turn = directions.get(index + 1).map_or(-PI, |next| {
            (next - direction + 3.0 * PI).rem_euclid(TAU) - PI
        });
        if turn > 0.0 {
            // The inner side of the bend: through the bend itself, so that nothing winds the other way.
            outline.extend([
                polar(end, radius, normal),
                end,
                polar(end, radius, normal + turn),
            ]);
        } else {
            arc(end, radius, normal, turn, outline);
        }
    }
}

fn arc(centre: Point, radius: f64, from: f64, sweep: f64, outline: &mut Vec<Point>) {
    let steps = (sweep.abs() / STEP).ceil().max(1.0);
    outline.extend(
        (0..=steps as u32)
            .map(|step| polar(centre, radius, from + sweep * f64::from(step) / steps)),
    );
}

fn polar(centre: Point, radius: f64, angle: f64) -> Point {
    at(
        centre.x + radius * angle.cos(),
        centre.y + radius * angle.sin(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By the shoelace formula, which counts what is covered twice as two.
    fn area(outline: &[Point]) -> f64 {
        let next = outline.iter().cycle().skip(1);
        let doubled: f64 = outline
            .iter()
            .zip(next)
            .map(|(a, b)| a.x * b.y - b.x * a.y)
            .sum();
        (doubled / 2.0).abs()
    }

    #[track_caller]
    fn check(outline: &[Point], expected: f64) {
        let area = area(outline);
        assert!(
            (area / expected - 1.0).abs() < 0.01,
            "expected {expected}, got {area}"
        );
    }

    #[test]
    fn a_stroke_covers_its_length_times_its_width_and_two_half_circles() {
        let (width, ends) = (2.0, PI);
        check(&circle(at(3.0, 4.0), 1.0), ends);
        check(&stroke(&[at(3.0, 4.0), at(3.0, 4.0)], width), ends);
        check(
            &stroke(&[at(0.0, 0.0), at(6.0, 8.0)], width),
            10.0 * width + ends,
        );
        check(
            &stroke(&[at(6.0, 8.0), at(0.0, 0.0)], width),
            10.0 * width + ends,
        );
    }

    #[test]
    fn a_bend_adds_a_wedge_on_its_outer_side_whichever_way_it_turns() {
        // A quarter turn: the quarter of a circle outside.
        for y in [10.0, -10.0] {
            let bent = [at(0.0, 0.0), at(10.0, 0.0), at(10.0, y)];
            check(&stroke(&bent, 2.0), 20.0 * 2.0 + PI + PI / 4.0);
        }
        // Back along itself: everything twice, and the half circle where it turns.
        let back = [at(0.0, 0.0), at(10.0, 0.0), at(0.0, 0.0)];
        check(&stroke(&back, 2.0), 20.0 * 2.0 + 2.0 * PI);
    }
}
