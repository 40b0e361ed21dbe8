//! Draws a drawing on any of plotters' backends: both the page's SVG and the bitmaps come from this function.

use plotters::backend::DrawingBackend;
use plotters::drawing::IntoDrawingArea as _;
use plotters::element::{Circle, PathElement, Polygon, Rectangle};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color as _, FontStyle, IntoFont as _, RGBColor, ShapeStyle, TextStyle};

use super::drawing::{Anchor, Drawing, Ink, Point, Shape, Type};

/// The family name of the embedded font.
const FONT: &str = "DejaVu Sans";

/// plotters' font sizes per em: its SVG backend divides by this.
pub(super) const SIZE_PER_EM: f64 = 1.24;

/// plotters centres text by half an x-height; digits and capitals are taller than that.
const LOWER_EM: f64 = 0.09;

/// Draws all shapes, at `scale` units of the backend per CSS pixel.
pub(super) fn paint<B: DrawingBackend>(drawing: &Drawing, backend: B, scale: f64) {
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
                area.draw_text(text, &text_style(*text_type, scale), (x, y + lower))
            }
        }
        .expect("memory takes everything");
    }
    area.present().expect("memory takes everything");
}

fn text_style(text_type: Type, scale: f64) -> TextStyle<'static> {
    let horizontal = match text_type.anchor {
        Anchor::Start => HPos::Left,
        Anchor::Middle => HPos::Center,
        Anchor::End => HPos::Right,
    };
    let style = if text_type.bold {
        FontStyle::Bold
    } else {
        FontStyle::Normal
    };
    (FONT, text_type.size * scale * SIZE_PER_EM)
        .into_font()
        .style(style)
        .color(&colour(text_type.ink))
        .pos(Pos::new(horizontal, VPos::Center))
}

fn colour(Ink((red, green, blue)): Ink) -> RGBColor {
    RGBColor(red, green, blue)
}
