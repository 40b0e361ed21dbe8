//! A drawing as SVG: one document without external references.
//!
//! Neighbouring shapes of one style become one element, so that a hundred dots are one short path. Values that appear on
//! hovering are `<title>`s of invisible rectangles: they need no script.

use std::fmt::Write as _;

use maud::html;

use super::drawing::{Anchor, Drawing, Ink, Point, Shape, Span, Stroke, Type, at};
use crate::runtimes::{self, Dash, Look, Rgb};

/// The embedded font, and others of its width for readers without it.
const FONTS: &str = "DejaVu Sans,Verdana,sans-serif";

/// Width and height of a marker in text, in pixels.
const SWATCH: f64 = 16.0;

/// CSS rules that repaint every chart inside `scope` for a dark background.
pub fn style_sheet(scope: &str) -> String {
    let inks = Ink::DARK.map(|(ink, dark)| (ink.0, dark));
    let looks = runtimes::LOOKS.iter().map(|look| (look.light, look.dark));
    let mut css = String::new();
    for (light, dark) in inks.into_iter().chain(looks) {
        let (light, dark) = (hex(light), hex(dark));
        for attribute in ["fill", "stroke"] {
            let rule = format!("{scope} [{attribute}=\"{light}\"]{{{attribute}:{dark}}}");
            css.push_str(&rule);
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
    format!(
        "<svg class=\"swatch\" viewBox=\"0 0 {SWATCH} {SWATCH}\" aria-hidden=\"true\">{}</svg>",
        elements(&drawing).trim()
    )
}

pub(super) fn document(drawing: &Drawing, title: &str) -> String {
    let (title, description) = (escape(title), escape(&drawing.description));
    let [width, height] = [drawing.width, drawing.height].map(short);
    let size = short(Type::LABEL.size);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{title}. {description}\" \
         font-family=\"{FONTS}\" font-size=\"{size}\" stroke-linejoin=\"round\" stroke-linecap=\"round\">\n\
         <title>{title}</title>\n{}</svg>\n",
        elements(drawing),
    )
}

/// All shapes, those of a runtime as a group that names it.
fn elements(drawing: &Drawing) -> String {
    let mut svg = String::new();
    let mut drawn = 0;
    for Span { runtime, shapes } in &drawing.spans {
        svg += &runs(&drawing.shapes[drawn..shapes.start]);
        let of_runtime = runs(&drawing.shapes[shapes.clone()]);
        let runtime = escape(runtime);
        svg += &format!(
            "<g data-runtime=\"{runtime}\">{}</g>\n",
            of_runtime.trim_end()
        );
        drawn = shapes.end;
    }
    svg + &runs(&drawing.shapes[drawn..])
}

fn runs(shapes: &[Shape]) -> String {
    let runs = shapes.chunk_by(Shape::is_of_one_style);
    runs.map(|run| element(run) + "\n").collect()
}

/// Shapes of one style as one element.
fn element(run: &[Shape]) -> String {
    match &run[0] {
        Shape::Circle {
            centre,
            radius,
            ink,
        } if run.len() == 1 => {
            let [x, y, r] = [centre.x, centre.y, *radius].map(short);
            let fill = hex(ink.0);
            format!("<circle cx=\"{x}\" cy=\"{y}\" r=\"{r}\" fill=\"{fill}\"/>")
        }
        // Lines of no length with round ends.
        Shape::Circle { radius, ink, .. } => {
            let width = 2.0 * radius;
            path(run, &line_style(Stroke::new(*ink, width)))
        }
        Shape::Polygon { ink, .. } => path(run, &format!(" fill=\"{}\"", hex(ink.0))),
        Shape::Rectangle { ink, opacity, .. } => {
            path(run, &format!(" fill=\"{}\"{}", hex(ink.0), faded(*opacity)))
        }
        Shape::Path { stroke, .. } => path(run, &line_style(*stroke)),
        Shape::Text { text_type, .. } => texts(run, *text_type),
        Shape::Hint { .. } => hints(run),
    }
}

fn path(run: &[Shape], style: &str) -> String {
    let mut d = String::new();
    for shape in run {
        match shape {
            Shape::Circle { centre, .. } => d += &format!("{}h0", line(&[*centre])),
            Shape::Polygon { corners, .. } => d += &format!("{}z", line(corners)),
            Shape::Rectangle { from, to, .. } => {
                let [width, height] = [to.x - from.x, to.y - from.y].map(short);
                d += &format!("{}h{width}v{height}H{}z", line(&[*from]), short(from.x));
            }
            Shape::Path { points, .. } => d += &line(points),
            Shape::Text { .. } | Shape::Hint { .. } => {}
        }
    }
    format!("<path d=\"{d}\"{style}/>")
}

/// `M1 2l3 4-1 .5`: to the first point, and lines to the others by their distance, which has fewer digits than their place.
fn line(points: &[Point]) -> String {
    let tenths = |point: &Point| [point.x, point.y].map(|length| (length * 10.0).round());
    let mut d = String::new();
    let mut before = [0.0, 0.0];
    for (index, point) in bends(points).iter().enumerate() {
        let place = tenths(point);
        if index == 0 {
            let [x, y] = [point.x, point.y].map(short);
            write!(d, "M{x} {y}").expect("writing to a string");
        } else {
            d.push_str(if index == 1 { "l" } else { " " });
            let [x, y] =
                [place[0] - before[0], place[1] - before[1]].map(|length| distance(length / 10.0));
            let gap = if y.starts_with('-') { "" } else { " " };
            write!(d, "{x}{gap}{y}").expect("writing to a string");
        }
        before = place;
    }
    d.replace(" -", "-")
}

/// A distance without the zero before its point.
fn distance(length: f64) -> String {
    let text = short(length);
    match text.strip_prefix("0.") {
        Some(decimals) => format!(".{decimals}"),
        None => text.replace("-0.", "-."),
    }
}

/// The points at which a line bends: others are nearer than this to the straight line between their neighbours.
fn bends(points: &[Point]) -> Vec<Point> {
    const NEAR: f64 = 0.25;
    let mut kept: Vec<Point> = Vec::new();
    let mut skipped: Vec<Point> = Vec::new();
    for (index, point) in points.iter().enumerate() {
        let (Some(from), Some(to)) = (kept.last(), points.get(index + 1)) else {
            kept.push(*point);
            continue;
        };
        skipped.push(*point);
        if skipped.iter().any(|one| off(*one, *from, *to) > NEAR) {
            kept.push(*point);
            skipped.clear();
        }
    }
    kept
}

/// The distance of a point from the line between two others, as far as it is between them.
fn off(point: Point, from: Point, to: Point) -> f64 {
    let (x, y) = (to.x - from.x, to.y - from.y);
    let length = x.hypot(y);
    let along = ((point.x - from.x) * x + (point.y - from.y) * y) / length;
    if length < 1e-9 || !(0.0..=length).contains(&along) {
        return (point.x - from.x).hypot(point.y - from.y);
    }
    ((point.x - from.x) * y - (point.y - from.y) * x).abs() / length
}

fn line_style(stroke: Stroke) -> String {
    format!(
        " fill=\"none\" stroke=\"{}\" stroke-width=\"{}\"{}{}",
        hex(stroke.ink.0),
        short(stroke.width),
        faded(stroke.opacity),
        dashed(stroke.dash)
    )
}

fn dashed(dash: Dash) -> String {
    let lengths: Vec<String> = dash.iter().map(|length| short(*length)).collect();
    if lengths.is_empty() {
        String::new()
    } else {
        format!(" stroke-dasharray=\"{}\"", lengths.join(" "))
    }
}

fn faded(opacity: f64) -> String {
    if opacity >= 1.0 {
        String::new()
    } else {
        format!(" opacity=\"{}\"", (opacity * 100.0).round() / 100.0)
    }
}

fn texts(run: &[Shape], text_type: Type) -> String {
    let anchor = match text_type.anchor {
        Anchor::Start => "",
        Anchor::Middle => " text-anchor=\"middle\"",
        Anchor::End => " text-anchor=\"end\"",
    };
    let weight = if text_type.bold {
        " font-weight=\"bold\""
    } else {
        ""
    };
    let size = if text_type.size == Type::LABEL.size {
        String::new()
    } else {
        format!(" font-size=\"{}\"", short(text_type.size))
    };
    let fill = hex(text_type.ink.0);
    let style = format!("{size} fill=\"{fill}\"{anchor}{weight}");
    let line = |shape: &Shape, style: &str| match shape {
        Shape::Text { position, text, .. } => {
            let baseline = position.y + text_type.size * Type::BASELINE_EM;
            let [x, y] = [position.x, baseline].map(short);
            format!("<text x=\"{x}\" y=\"{y}\"{style}>{}</text>", escape(text))
        }
        _ => String::new(),
    };
    match run {
        [one] => line(one, &style),
        _ => {
            let lines: String = run.iter().map(|shape| line(shape, "")).collect();
            format!("<g{style}>{lines}</g>")
        }
    }
}

fn hints(run: &[Shape]) -> String {
    let one = |shape: &Shape| match shape {
        Shape::Hint { from, to, text } => {
            let [x, y, width, height] = [from.x, from.y, to.x - from.x, to.y - from.y].map(short);
            let text = escape(text);
            format!(
                "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\"><title>{text}</title></rect>"
            )
        }
        _ => String::new(),
    };
    let all: String = run.iter().map(one).collect();
    format!("<g fill=\"none\" pointer-events=\"all\">{all}</g>")
}

/// A length with one decimal at most.
fn short(length: f64) -> String {
    let rounded = (length * 10.0).round() / 10.0;
    // Without the sign of a negative zero.
    (rounded + 0.0).to_string()
}

/// The colour as an attribute; the style sheet's rules have to match.
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
    fn shapes_of_one_style_are_one_short_element() {
        let mut drawing = Drawing::default();
        for x in [1.04, 20.0, 30.55] {
            drawing.dot(at(x, 7.0), 3.0, Ink::TEXT);
        }
        drawing.hint(at(0.0, 0.0), at(5.0, 5.0), "a < b");
        drawing.path(Vec::new(), Stroke::new(Ink::TEXT, 1.0));
        let svg = elements(&drawing);
        assert!(!svg.contains("d=\"M\""), "{svg}");
        assert!(
            svg.contains("d=\"M1 7h0M20 7h0M30.6 7h0\" fill=\"none\""),
            "{svg}"
        );
        assert_eq!(svg.matches("<path").count(), 1, "{svg}");
        assert!(svg.contains("<title>a &lt; b</title>"), "{svg}");
    }

    #[test]
    fn a_line_is_its_bends_by_their_distance() {
        let points = [(1.0, 2.0), (2.0, 2.05), (3.0, 2.0), (3.5, 1.5), (3.5, -8.0)];
        assert_eq!(line(&points.map(|(x, y)| at(x, y))), "M1 2l2 0 .5-.5 0-9.5");
        // There and back is no straight line.
        let points = [(0.0, 0.0), (9.0, 0.0), (1.0, 0.0)];
        assert_eq!(line(&points.map(|(x, y)| at(x, y))), "M0 0l9 0-8 0");
    }

    #[test]
    fn text_markers_are_not_clipped() {
        let swatches = runtimes::LOOKS.map(swatch);
        let found = |shape: &str| swatches.iter().any(|svg| svg.contains(shape));
        assert!(found("cx=\"8\" cy=\"8\" r=\"6\""), "{swatches:?}");
        assert!(
            swatches.iter().all(|svg| !svg.contains("v0H")),
            "{swatches:?}"
        );
    }
}
