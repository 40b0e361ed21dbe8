//! A drawing as SVG: one document that refers to nothing outside.

use std::fmt::Write as _;

use super::drawing::{Anchor, Drawing, Ink, Point, Shape, WIDTH, at};
use crate::runtimes::{self, Look, Rgb};

/// CSS rules that repaint every chart inside `scope` for a dark background.
pub fn style_sheet(scope: &str) -> String {
    let inks = Ink::DARK.map(|(ink, dark)| (ink.0, dark));
    let looks = runtimes::LOOKS.iter().map(|look| (look.light, look.dark));
    let mut css = String::new();
    for (light, dark) in inks.into_iter().chain(looks) {
        let (light, dark) = (hex(light), hex(dark));
        for attribute in ["fill", "stroke"] {
            write!(
                css,
                "{scope} [{attribute}=\"{light}\"]{{{attribute}:{dark}}}"
            )
            .expect("writing to a string");
        }
        css.push('\n');
    }
    css
}

/// A runtime's marker as a small SVG of its own, for a legend beside text.
pub fn swatch(look: Look) -> String {
    let mut drawing = Drawing::default();
    drawing.marker(at(0.0, 0.0), look, 12.0);
    let shapes: String = drawing.shapes.iter().map(element).collect();
    format!("<svg class=\"swatch\" viewBox=\"-8 -8 16 16\" aria-hidden=\"true\">{shapes}</svg>")
}

pub(super) fn document(drawing: &Drawing, title: &str) -> String {
    let (title, description) = (escape(title), escape(&drawing.description));
    let height = number(drawing.height);
    let shapes: Vec<String> = drawing.shapes.iter().map(element).collect();
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\" \
         role=\"img\" aria-label=\"{title}. {description}\" font-family=\"DejaVu Sans, Verdana, sans-serif\" \
         stroke-linejoin=\"round\" stroke-linecap=\"round\">\n<title>{title}</title>\n{}\n</svg>\n",
        shapes.join("\n")
    )
}

fn element(shape: &Shape) -> String {
    match shape {
        Shape::Circle {
            centre,
            radius,
            ink,
        } => format!(
            "<circle cx=\"{}\" cy=\"{}\" r=\"{}\" fill=\"{}\"/>",
            number(centre.x),
            number(centre.y),
            number(*radius),
            hex(ink.0)
        ),
        Shape::Polygon {
            corners,
            ink,
            opacity,
        } => format!(
            "<path d=\"M{}Z\" fill=\"{}\"{}/>",
            list(corners),
            hex(ink.0),
            opacity_attribute(*opacity)
        ),
        Shape::Path { points, stroke } => format!(
            "<path d=\"M{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"{}\"{}/>",
            list(points),
            hex(stroke.ink.0),
            number(stroke.width),
            opacity_attribute(stroke.opacity)
        ),
        Shape::Text {
            baseline,
            text,
            text_type,
        } => format!(
            "<text x=\"{}\" y=\"{}\"{} font-size=\"{}\"{} fill=\"{}\">{}</text>",
            number(baseline.x),
            number(baseline.y),
            match text_type.anchor {
                Anchor::Start => "",
                Anchor::Middle => " text-anchor=\"middle\"",
                Anchor::End => " text-anchor=\"end\"",
            },
            number(text_type.size),
            if text_type.bold {
                " font-weight=\"bold\""
            } else {
                ""
            },
            hex(text_type.ink.0),
            escape(text)
        ),
    }
}

/// Coordinates of a path's data: `1 2 3.5 4`.
fn list(points: &[Point]) -> String {
    let points: Vec<String> = points
        .iter()
        .map(|point| format!("{} {}", number(point.x), number(point.y)))
        .collect();
    points.join(" ")
}

/// At most two digits after the point: a hundredth of a pixel is not seen.
fn number(value: f64) -> String {
    ((value * 100.0).round() / 100.0 + 0.0).to_string()
}

fn opacity_attribute(opacity: f64) -> String {
    if opacity < 1.0 {
        format!(" opacity=\"{}\"", number(opacity))
    } else {
        String::new()
    }
}

/// In the one spelling that the style sheet's rules match.
fn hex((red, green, blue): Rgb) -> String {
    format!("#{red:02X}{green:02X}{blue:02X}")
}

fn escape(text: &str) -> String {
    text.replace(char::is_control, " ")
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
