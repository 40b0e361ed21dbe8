//! A drawing: the shapes of one chart, which `svg` writes for the page and `picture` paints as PNG.
//!
//! Coordinates and sizes are CSS pixels of the finished chart. Inks are fixed colours, which the page's style sheet
//! replaces by value on a dark background: a stand-alone file needs no style sheet, and the page needs no second
//! drawing.

use std::ops::Range;

use super::font;
use crate::runtimes::{Dash, Look, Marker, Rgb, SOLID};

/// Width of every chart: two fit side by side on a page, one fills a phone.
pub(super) const WIDTH: f64 = 560.0;

/// Space around everything.
pub(super) const MARGIN: f64 = 14.0;

/// The middle of a hollow marker as a share of its size: larger than that of a ring or a frame.
const HOLLOW: f64 = 0.66;

/// A colour on white.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Ink(pub(super) Rgb);

impl Ink {
    /// Headings, names and numbers.
    pub(super) const TEXT: Self = Self((0x1B, 0x26, 0x33));
    /// Captions and ticks.
    pub(super) const FAINT: Self = Self((0x5C, 0x68, 0x76));
    /// Axes and reference lines.
    pub(super) const AXIS: Self = Self((0x8C, 0x98, 0xA5));
    pub(super) const GRID: Self = Self((0xE4, 0xE8, 0xED));
    pub(super) const PAPER: Self = Self((0xFF, 0xFF, 0xFF));

    /// The inks that do not belong to a runtime, with their colours on a dark page.
    pub(super) const DARK: [(Self, Rgb); 5] = [
        (Self::TEXT, (0xE6, 0xEB, 0xF1)),
        (Self::FAINT, (0x9B, 0xA7, 0xB5)),
        (Self::AXIS, (0x6C, 0x79, 0x88)),
        (Self::GRID, (0x2B, 0x34, 0x40)),
        (Self::PAPER, (0x17, 0x1D, 0x26)),
    ];
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    pub(super) x: f64,
    pub(super) y: f64,
}

pub(super) fn at(x: f64, y: f64) -> Point {
    Point { x, y }
}

/// The end of a text that its position refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// Size, ink and alignment of a text, which is centred vertically on its position.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Type {
    pub(super) size: f64,
    pub(super) ink: Ink,
    pub(super) anchor: Anchor,
    pub(super) bold: bool,
}

impl Type {
    /// Names and numbers.
    pub(super) const LABEL: Self = Self {
        size: 12.5,
        ink: Ink::TEXT,
        anchor: Anchor::Start,
        bold: false,
    };
    /// Headings within a chart.
    pub(super) const LABEL_BOLD: Self = Self {
        bold: true,
        ..Self::LABEL
    };
    /// Ticks and captions.
    pub(super) const CAPTION: Self = Self {
        size: 11.5,
        ink: Ink::FAINT,
        ..Self::LABEL
    };
    /// The chart's title.
    pub(super) const TITLE: Self = Self {
        size: 15.0,
        bold: true,
        ..Self::LABEL
    };

    /// The sources of a picture, below everything.
    pub(super) const SMALL: Self = Self {
        size: 9.5,
        ..Self::CAPTION
    };

    /// Distance from the middle of digits and capitals to the baseline, in em.
    pub(super) const BASELINE_EM: f64 = 0.3635;

    pub(super) fn middle(self) -> Self {
        Self {
            anchor: Anchor::Middle,
            ..self
        }
    }

    pub(super) fn end(self) -> Self {
        Self {
            anchor: Anchor::End,
            ..self
        }
    }

    pub(super) fn width(self, text: &str) -> f64 {
        font::set(&visible(text), self.size, self.bold).1
    }

    pub(super) fn widest<'a>(self, texts: impl Iterator<Item = &'a str>) -> f64 {
        texts.map(|text| self.width(text)).fold(0.0, f64::max)
    }

    /// `text`, with an ellipsis in place of its middle if it is longer than `width`.
    pub(super) fn fit(self, text: &str, width: f64) -> String {
        let shown = visible(text);
        if self.width(&shown) <= width && shown.len() >= text.len() {
            return shown;
        }
        let letters: Vec<char> = shown.chars().collect();
        let cut = |kept: usize| {
            let (beginning, end) = (kept - kept / 2, kept / 2);
            let beginning: String = letters[..beginning].iter().collect();
            let end: String = letters[letters.len() - end..].iter().collect();
            format!("{}…{}", beginning.trim_end(), end.trim_start())
        };
        let mut kept = letters.len().saturating_sub(1);
        while kept > 0 && self.width(&cut(kept)) > width {
            kept -= 1;
        }
        cut(kept)
    }
}

/// A line's ink, width, opacity and dashes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Stroke {
    pub(super) ink: Ink,
    pub(super) width: f64,
    pub(super) opacity: f64,
    pub(super) dash: Dash,
}

impl Stroke {
    pub(super) fn new(ink: Ink, width: f64) -> Self {
        Self {
            ink,
            width,
            opacity: 1.0,
            dash: SOLID,
        }
    }

    pub(super) fn dashed(self, dash: Dash) -> Self {
        Self { dash, ..self }
    }

    pub(super) fn faded(self, opacity: f64) -> Self {
        Self { opacity, ..self }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Shape {
    Circle {
        centre: Point,
        radius: f64,
        ink: Ink,
    },
    Polygon {
        corners: Vec<Point>,
        ink: Ink,
    },
    Rectangle {
        from: Point,
        to: Point,
        ink: Ink,
        opacity: f64,
    },
    /// A line with round ends and joins.
    Path {
        points: Vec<Point>,
        stroke: Stroke,
    },
    /// A text without control characters.
    Text {
        position: Point,
        text: String,
        text_type: Type,
    },
    /// A text that appears when a reader points at this area; not in pictures.
    Hint {
        from: Point,
        to: Point,
        text: String,
    },
}

impl Shape {
    /// True if both can be parts of one element.
    pub(super) fn is_of_one_style(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Circle { radius, ink, .. },
                Self::Circle {
                    radius: other_radius,
                    ink: other_ink,
                    ..
                },
            ) => radius == other_radius && ink == other_ink,
            (Self::Polygon { ink, .. }, Self::Polygon { ink: other, .. }) => ink == other,
            (
                Self::Rectangle { ink, opacity, .. },
                Self::Rectangle {
                    ink: other_ink,
                    opacity: other_opacity,
                    ..
                },
            ) => ink == other_ink && opacity == other_opacity,
            (Self::Path { stroke, .. }, Self::Path { stroke: other, .. }) => stroke == other,
            (
                Self::Text { text_type, .. },
                Self::Text {
                    text_type: other, ..
                },
            ) => text_type == other,
            (Self::Hint { .. }, Self::Hint { .. }) => true,
            _ => false,
        }
    }
}

/// Neighbouring shapes that belong to one runtime, so that a page can hide them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) runtime: String,
    /// Indices of its shapes.
    pub(super) shapes: Range<usize>,
}

/// The shapes of a chart, later ones on top of earlier ones; a picture has its texts on top of all.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Drawing {
    pub(super) width: f64,
    pub(super) height: f64,
    /// A textual description of the chart, for readers who cannot see it.
    pub(super) description: String,
    pub(super) shapes: Vec<Shape>,
    /// The shapes of runtimes, in order; others belong to none.
    pub(super) spans: Vec<Span>,
    /// The runtimes that it shows.
    pub(super) shown: Vec<String>,
    /// What the other runtimes lack: `numbers`.
    pub(super) lacking: &'static str,
}

impl Drawing {
    /// A chart of this height with only its heading.
    pub(super) fn new(height: f64, title: &str, subject: &str, description: String) -> Self {
        let mut drawing = Self::blank(WIDTH, height, description);
        drawing.text(at(MARGIN, 22.0), title, Type::TITLE);
        let subject = Type::CAPTION.fit(subject, WIDTH - 2.0 * MARGIN);
        drawing.text(at(MARGIN, 42.0), &subject, Type::CAPTION);
        drawing
    }

    /// Paper of this size.
    pub(super) fn blank(width: f64, height: f64, description: String) -> Self {
        let mut drawing = Self {
            width,
            height,
            description,
            lacking: "numbers",
            ..Self::default()
        };
        drawing.rectangle(at(0.0, 0.0), at(width, height), Ink::PAPER, 1.0);
        drawing
    }

    /// Lists the omitted runtimes.
    pub(super) fn leave_out(&mut self, runtimes: &[String]) {
        if runtimes.is_empty() {
            return;
        }
        let note = format!(
            "not shown, for lack of {}: {}",
            self.lacking,
            runtimes.join(", ")
        );
        let title_end = MARGIN + WIDTH * 0.45;
        let fitting = Type::CAPTION.fit(&note, WIDTH - MARGIN - title_end);
        self.text(at(WIDTH - MARGIN, 22.0), &fitting, Type::CAPTION.end());
        self.description += &format!("; {note}");
    }

    /// Draws what belongs to a runtime.
    pub(super) fn of(&mut self, runtime: &str, draw: impl FnOnce(&mut Self)) {
        let start = self.shapes.len();
        draw(self);
        let end = self.shapes.len();
        match self.spans.last_mut() {
            Some(span) if span.runtime == runtime && span.shapes.end == start => {
                span.shapes.end = end;
            }
            _ if end > start => self.spans.push(Span {
                runtime: runtime.to_owned(),
                shapes: start..end,
            }),
            _ => {}
        }
    }

    pub(super) fn text(&mut self, position: Point, text: &str, text_type: Type) {
        self.shapes.push(Shape::Text {
            position,
            text: visible(text),
            text_type,
        });
    }

    pub(super) fn line(&mut self, from: Point, to: Point, stroke: Stroke) {
        self.path(vec![from, to], stroke);
    }

    /// A vertical grid line with its label below, which stays inside the drawing.
    pub(super) fn x_tick(&mut self, x: f64, (top, bottom): (f64, f64), label: &str) {
        self.line(at(x, top), at(x, bottom), Stroke::new(Ink::GRID, 1.0));
        self.caption(at(x, bottom + 14.0), label, 1.0);
    }

    /// A caption around `middle`, or as close to it as `margin` on both sides of the drawing allows.
    pub(super) fn caption(&mut self, middle: Point, text: &str, margin: f64) {
        let half = Type::CAPTION.width(text) / 2.0 + margin;
        let x = middle.x.min(self.width - half).max(half);
        self.text(at(x, middle.y), text, Type::CAPTION.middle());
    }

    /// A text that appears when a reader points at the area.
    pub(super) fn hint(&mut self, from: Point, to: Point, text: &str) {
        let text = visible(text);
        self.shapes.push(Shape::Hint { from, to, text });
    }

    /// The same around a mark.
    pub(super) fn hint_at(&mut self, mark: Point, text: &str) {
        const REACH: f64 = 6.0;
        let from = at(mark.x - REACH, mark.y - REACH);
        self.hint(from, at(mark.x + REACH, mark.y + REACH), text);
    }

    /// The same drawing with lines of text below it.
    pub(super) fn with_caption(&self, lines: &[String]) -> Self {
        const LINE: f64 = 13.0;
        let mut drawing = self.clone();
        if lines.is_empty() {
            return drawing;
        }
        drawing.height += LINE * lines.len() as f64 + 7.0;
        let below = at(0.0, self.height);
        drawing.rectangle(below, at(WIDTH, drawing.height), Ink::PAPER, 1.0);
        for (index, line) in lines.iter().enumerate() {
            let y = self.height + 6.0 + LINE * index as f64;
            let line = Type::SMALL.fit(line, WIDTH - 2.0 * MARGIN);
            drawing.text(at(MARGIN, y), &line, Type::SMALL);
        }
        drawing
    }

    /// A line through these points; nothing without points, since an empty path is an error to a browser.
    pub(super) fn path(&mut self, points: Vec<Point>, stroke: Stroke) {
        if !points.is_empty() {
            self.shapes.push(Shape::Path { points, stroke });
        }
    }

    pub(super) fn rectangle(&mut self, from: Point, to: Point, ink: Ink, opacity: f64) {
        self.shapes.push(Shape::Rectangle {
            from,
            to,
            ink,
            opacity,
        });
    }

    /// A runtime's marker, `size` pixels across.
    pub(super) fn marker(&mut self, centre: Point, look: Look, size: f64) {
        self.filled_marker(centre, look.marker, size, Ink(look.light));
    }

    /// The outline of a runtime's marker, `size` pixels across.
    pub(super) fn hollow_marker(&mut self, centre: Point, look: Look, size: f64) {
        let marker = match look.marker {
            Marker::Ring => Marker::Circle,
            Marker::Frame => Marker::Square,
            other => other,
        };
        self.filled_marker(centre, marker, size, Ink(look.light));
        self.filled_marker(centre, marker, size * HOLLOW, Ink::PAPER);
    }

    fn filled_marker(&mut self, centre: Point, marker: Marker, size: f64, ink: Ink) {
        let half = size / 2.0;
        let mut polygon = |corners: &[(f64, f64)]| {
            let corner = |(x, y): &(f64, f64)| at(centre.x + x * half, centre.y + y * half);
            self.shapes.push(Shape::Polygon {
                corners: corners.iter().map(corner).collect(),
                ink,
            });
        };
        match marker {
            Marker::Circle => self.dot(centre, half, ink),
            Marker::Ring => {
                self.dot(centre, half, ink);
                self.dot(centre, half * 0.5, Ink::PAPER);
            }
            Marker::Square => self.square(centre, half * 0.9, ink),
            Marker::Frame => {
                self.square(centre, half * 0.95, ink);
                self.square(centre, half * 0.45, Ink::PAPER);
            }
            Marker::Diamond => polygon(&[(0.0, -1.25), (1.25, 0.0), (0.0, 1.25), (-1.25, 0.0)]),
            Marker::Triangle => polygon(&[(0.0, -1.15), (1.15, 0.85), (-1.15, 0.85)]),
            Marker::TriangleDown => polygon(&[(0.0, 1.15), (1.15, -0.85), (-1.15, -0.85)]),
        }
    }

    pub(super) fn dot(&mut self, centre: Point, radius: f64, ink: Ink) {
        self.shapes.push(Shape::Circle {
            centre,
            radius,
            ink,
        });
    }

    fn square(&mut self, centre: Point, half: f64, ink: Ink) {
        let (from, to) = (
            at(centre.x - half, centre.y - half),
            at(centre.x + half, centre.y + half),
        );
        self.rectangle(from, to, ink, 1.0);
    }
}

/// Maximum length of a text on a drawing, in characters: more than its width has room for.
const MOST_CHARACTERS: usize = 300;

/// The beginning of `text` without control characters, which XML forbids even when escaped.
pub(super) fn visible(text: &str) -> String {
    let characters = text.chars().take(MOST_CHARACTERS);
    let visible = |character: char| {
        if character.is_control() {
            ' '
        } else {
            character
        }
    };
    characters.map(visible).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_ticks_stay_inside() {
        let mut drawing = Drawing::blank(100.0, 50.0, String::new());
        for x in [0.0, 50.0, 100.0] {
            drawing.x_tick(x, (10.0, 30.0), "200ms");
        }
        let middles: Vec<f64> = drawing
            .shapes
            .iter()
            .filter_map(|shape| match shape {
                Shape::Text { position, .. } => Some(position.x),
                _ => None,
            })
            .collect();
        let half = Type::CAPTION.width("200ms") / 2.0;
        assert!(middles[0] >= half, "{middles:?}");
        assert_eq!(middles[1], 50.0);
        assert!(middles[2] <= 100.0 - half, "{middles:?}");
    }
}
