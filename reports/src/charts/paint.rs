//! Draws a drawing on one of plotters' backends: the shapes of the pictures.

use plotters::backend::DrawingBackend;
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, DrawingAreaErrorKind, IntoDrawingArea as _};
use plotters::element::{Circle, PathElement, Polygon, Rectangle};
use plotters::style::{Color as _, RGBColor, ShapeStyle};

use super::drawing::{Drawing, Ink, Point, Shape, Type};

/// plotters centres text by half an x-height; digits and capitals are taller than that.
const LOWER_EM: f64 = 0.09;

/// The result of drawing on a backend.
pub(super) type Drawn<B> = Result<(), DrawingAreaErrorKind<<B as DrawingBackend>::ErrorType>>;

/// Draws all shapes, at `scale` units of the backend per CSS pixel; `set` draws a text at a position.
pub(super) fn paint<B: DrawingBackend>(
    drawing: &Drawing,
    backend: B,
    scale: f64,
    set: impl Fn(&DrawingArea<B, Shift>, &str, Type, (i32, i32)) -> Drawn<B>,
) {
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
                let points: Vec<_> = points.iter().map(place).collect();
                area.draw(&PathElement::new(points, style))
            }
            Shape::Text {
                position,
                text,
                text_type,
            } => {
                let (x, y) = place(position);
                let lower = units(text_type.size * LOWER_EM);
                set(&area, text, *text_type, (x, y + lower))
            }
            Shape::Hint { .. } => Ok(()),
        }
        .expect("memory takes everything");
    }
    area.present().expect("memory takes everything");
}

pub(super) fn colour(Ink((red, green, blue)): Ink) -> RGBColor {
    RGBColor(red, green, blue)
}
