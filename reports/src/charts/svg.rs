//! A drawing as SVG: one document without external references.
//!
//! plotters' SVG only has integer coordinates, so the drawing is four times as large as the figure, behind a `viewBox`.

use std::fmt::Write as _;

use maud::html;
use plotters::backend::SVGBackend;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontStyle, IntoFont as _, TextStyle};

use super::drawing::{Anchor, Drawing, Ink, Type, WIDTH, at};
use super::paint::{colour, paint};
use crate::runtimes::{self, Look, Rgb};

/// The family name of the embedded font.
const FONT: &str = "DejaVu Sans";

/// plotters' font sizes per em: its SVG backend divides by this.
const SIZE_PER_EM: f64 = 1.24;

/// Width and height of a marker in text, in pixels.
const SWATCH: f64 = 16.0;

/// Units of the drawing per CSS pixel.
const SCALE: f64 = 4.0;

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

/// A runtime's marker as a small separate SVG, for a legend within text.
pub fn swatch(look: Look) -> String {
    let mut drawing = Drawing {
        height: SWATCH,
        ..Drawing::default()
    };
    drawing.marker(at(SWATCH / 2.0, SWATCH / 2.0), look, 12.0);
    let size = units(SWATCH);
    format!(
        "<svg class=\"swatch\" viewBox=\"0 0 {size} {size}\" aria-hidden=\"true\">{}</svg>",
        elements(&drawing).trim()
    )
}

pub(super) fn document(drawing: &Drawing, title: &str) -> String {
    let (title, description) = (escape(title), escape(&drawing.description));
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{title}. {description}\" stroke-linejoin=\"round\" \
         stroke-linecap=\"round\">\n<title>{title}</title>{elements}</svg>\n",
        units(WIDTH),
        units(drawing.height),
        height = drawing.height,
        elements = elements(drawing),
    )
}

/// The content of plotters' own document.
fn elements(drawing: &Drawing) -> String {
    let mut svg = String::new();
    let size = (units(WIDTH), units(drawing.height));
    let backend = SVGBackend::with_string(&mut svg, size);
    paint(
        drawing,
        backend,
        SCALE,
        |area, text, text_type, position| area.draw_text(text, &text_style(text_type), position),
    );
    let elements = svg.split_once('>').map_or("", |(_, elements)| elements);
    let elements = elements.trim_end().trim_end_matches("</svg>");
    elements.replace(" opacity=\"1\"", "")
}

fn text_style(text_type: Type) -> TextStyle<'static> {
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
    (FONT, text_type.size * SCALE * SIZE_PER_EM)
        .into_font()
        .style(style)
        .color(&colour(text_type.ink))
        .pos(Pos::new(horizontal, VPos::Center))
}

fn units(length: f64) -> u32 {
    (length * SCALE).round() as u32
}

/// The colour as plotters writes it; the style sheet's rules have to match.
fn hex((red, green, blue): Rgb) -> String {
    format!("#{red:02X}{green:02X}{blue:02X}")
}

fn escape(text: &str) -> String {
    html! { (text.replace(char::is_control, " ")) }.into_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_markers_are_not_clipped() {
        let of = |shape: &str| {
            let swatches = runtimes::LOOKS.map(swatch);
            let found = swatches.iter().find(|svg| svg.contains(shape));
            found.expect("a look with this shape").clone()
        };
        assert!(of("<circle").contains("cy=\"32\""), "{}", of("<circle"));
        assert!(!of("<rect").contains("height=\"0\""), "{}", of("<rect"));
    }
}
