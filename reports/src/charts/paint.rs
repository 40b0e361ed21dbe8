//! Draws a drawing on one of plotters' backends: the shapes of the pictures.

use plotters::backend::DrawingBackend;
use plotters::drawing::IntoDrawingArea as _;
use plotters::element::{Circle, PathElement, Polygon, Rectangle};
use plotters::style::{Color as _, RGBColor, ShapeStyle};

use super::drawing::{Drawing, Ink, Point, Shape, at};
use crate::runtimes::Dash;

/// Draws all shapes but texts, at `scale` units of the backend per CSS pixel.
pub(super) fn paint(drawing: &Drawing, backend: impl DrawingBackend, scale: f64) {
    let area = backend.into_drawing_area();
    let units = |length: f64| (length * scale).round() as i32;
    let place = |point: &Point| (units(point.x), units(point.y));
    for shape in &drawing.shapes {
        match shape {
            Shape::Circle {
                centre,
                radius,
                ink,
            } => area.draw(&Circle::new(
                place(centre),
                units(*radius),
                colour(*ink).filled(),
            )),
            Shape::Polygon { corners, ink } => {
                let corners: Vec<_> = corners.iter().map(place).collect();
                area.draw(&Polygon::new(corners, colour(*ink).filled()))
            }
            Shape::Rectangle {
                from,
                to,
                ink,
                opacity,
            } => area.draw(&Rectangle::new(
                [place(from), place(to)],
                colour(*ink).mix(*opacity).filled(),
            )),
            Shape::Path { points, stroke } => {
                let style = ShapeStyle {
                    color: colour(stroke.ink).mix(stroke.opacity),
                    filled: false,
                    stroke_width: units(stroke.width).unsigned_abs(),
                };
                let lines = dashes(points, stroke.dash);
                let mut lines = lines.iter().map(|line| line.iter().map(place).collect());
                lines.try_for_each(|line: Vec<_>| area.draw(&PathElement::new(line, style)))
            }
            Shape::Text { .. } | Shape::Hint { .. } => Ok(()),
        }
        .expect("memory takes everything");
    }
    area.present().expect("memory takes everything");
}

/// The parts of a line that its dashes leave; lines and gaps alternate.
fn dashes(points: &[Point], dash: Dash) -> Vec<Vec<Point>> {
    let (Some(first), false) = (points.first(), dash.is_empty()) else {
        return vec![points.to_vec()];
    };
    let mut lines = vec![vec![*first]];
    let (mut index, mut left) = (0, dash[0]);
    for ends in points.windows(2) {
        let [mut from, to] = [ends[0], ends[1]];
        let mut length = (to.x - from.x).hypot(to.y - from.y);
        while length > left {
            let share = left / length;
            from = at(
                from.x + share * (to.x - from.x),
                from.y + share * (to.y - from.y),
            );
            length -= left;
            if index % 2 == 0 {
                lines.last_mut().expect("one was begun").push(from);
            } else {
                lines.push(vec![from]);
            }
            index += 1;
            left = dash[index % dash.len()];
        }
        left -= length;
        if index % 2 == 0 {
            lines.last_mut().expect("one was begun").push(to);
        }
    }
    lines
}

fn colour(Ink((red, green, blue)): Ink) -> RGBColor {
    RGBColor(red, green, blue)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(points: &[(f64, f64)], dash: Dash, expected: &[&[(f64, f64)]]) {
        let points: Vec<Point> = points.iter().map(|(x, y)| at(*x, *y)).collect();
        let lines = dashes(&points, dash);
        let lines: Vec<Vec<(f64, f64)>> = lines
            .iter()
            .map(|line| line.iter().map(|point| (point.x, point.y)).collect())
            .collect();
        assert_eq!(lines, expected);
    }

    #[test]
    fn dashes_go_on_around_a_bend() {
        let bent = [(0.0, 0.0), (5.0, 0.0), (5.0, 5.0)];
        check(&bent, &[], &[&bent]);
        check(
            &bent,
            &[4.0, 2.0],
            &[&[(0.0, 0.0), (4.0, 0.0)], &[(5.0, 1.0), (5.0, 5.0)]],
        );
        check(&bent, &[7.0, 9.0], &[&[(0.0, 0.0), (5.0, 0.0), (5.0, 2.0)]]);
    }
}
