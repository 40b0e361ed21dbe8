//! The canvas: what charts are drawn with.
//!
//! Coordinates are CSS pixels of the finished chart, as `f64`. plotters' SVG has whole coordinates only, so everything is
//! drawn four times as large behind a `viewBox`. Inks are fixed colours, which the page's style sheet swaps by name for a
//! dark background: a stand-alone file needs no style sheet, and the page no second drawing.

use std::fmt::Write as _;
use std::sync::Once;

use plotters::backend::SVGBackend;
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, IntoDrawingArea as _};
use plotters::element::{Circle, PathElement, Polygon, Rectangle};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color as _, FontStyle, IntoFont as _, RGBColor, ShapeStyle, TextStyle};

use crate::runtimes::{self, Look, Marker, Rgb};

/// Width of every chart in CSS pixels: two fit beside each other on a page, one fills a phone.
pub(super) const WIDTH: f64 = 560.0;

/// The family name of the embedded font.
pub(super) const FONT: &str = "DejaVu Sans";

/// Units of the drawing per CSS pixel: coordinates are whole units.
const UNITS: f64 = 4.0;

/// plotters writes a font's size divided by this into the SVG.
const FONT_DIVISOR: f64 = 1.24;

/// A colour that means the same in every chart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ink {
    /// Headings, names and numbers.
    Text,
    /// What is read second: captions, ticks.
    Faint,
    /// Axes and reference lines.
    Axis,
    /// Grid lines.
    Grid,
    /// The background.
    Paper,
    /// A runtime's own.
    Runtime(Rgb),
}

/// The inks that do not belong to a runtime, on white and on a dark page.
const INKS: [(Ink, Rgb, Rgb); 5] = [
    (Ink::Text, (0x1B, 0x26, 0x33), (0xE6, 0xEB, 0xF1)),
    (Ink::Faint, (0x5C, 0x68, 0x76), (0x9B, 0xA7, 0xB5)),
    (Ink::Axis, (0x8C, 0x98, 0xA5), (0x6C, 0x79, 0x88)),
    (Ink::Grid, (0xE4, 0xE8, 0xED), (0x2B, 0x34, 0x40)),
    (Ink::Paper, (0xFF, 0xFF, 0xFF), (0x17, 0x1D, 0x26)),
];

impl Ink {
    fn light(self) -> Rgb {
        match self {
            Self::Runtime(rgb) => rgb,
            ink => INKS
                .iter()
                .find(|(known, ..)| *known == ink)
                .map_or((0, 0, 0), |(_, light, _)| *light),
        }
    }

    fn colour(self) -> RGBColor {
        let (red, green, blue) = self.light();
        RGBColor(red, green, blue)
    }
}

/// CSS rules that repaint every chart inside `scope` for a dark background.
pub fn style_sheet(scope: &str) -> String {
    let inks = INKS.iter().map(|(_, light, dark)| (*light, *dark));
    let looks = runtimes::LOOKS.iter().map(|look| (look.light, look.dark));
    let mut css = String::new();
    for (light, dark) in inks.chain(looks) {
        let (light, dark) = (hex(light), hex(dark));
        let rule =
            |attribute: &str| format!("{scope} [{attribute}=\"{light}\"]{{{attribute}:{dark}}}");
        writeln!(css, "{}{}", rule("fill"), rule("stroke")).expect("writing to a string");
    }
    css
}

/// A runtime's marker as a small drawing of its own, for a legend beside text.
pub fn swatch(look: Look) -> String {
    let fill = hex(look.light);
    let paper = hex(Ink::Paper.light());
    let shape = match look.marker {
        Marker::Circle => format!("<circle r=\"6\" fill=\"{fill}\"/>"),
        Marker::Ring => {
            format!("<circle r=\"6\" fill=\"{fill}\"/><circle r=\"3\" fill=\"{paper}\"/>")
        }
        Marker::Square => format!("<path d=\"M-5-5H5V5H-5Z\" fill=\"{fill}\"/>"),
        Marker::Frame => {
            format!(
                "<path d=\"M-6-6H6V6H-6Z\" fill=\"{fill}\"/><path d=\"M-3-3H3V3H-3Z\" fill=\"{paper}\"/>"
            )
        }
        Marker::Diamond => format!("<path d=\"M0-7 7 0 0 7-7 0Z\" fill=\"{fill}\"/>"),
        Marker::Triangle => format!("<path d=\"M0-6 6 5H-6Z\" fill=\"{fill}\"/>"),
        Marker::TriangleDown => format!("<path d=\"M0 6 6-5H-6Z\" fill=\"{fill}\"/>"),
    };
    format!("<svg class=\"swatch\" viewBox=\"-8 -8 16 16\" aria-hidden=\"true\">{shape}</svg>")
}

/// As plotters writes it, which the style sheet has to match.
fn hex((red, green, blue): Rgb) -> String {
    format!("#{red:02X}{green:02X}{blue:02X}")
}

/// A place on the canvas in CSS pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    pub(super) x: f64,
    pub(super) y: f64,
}

pub(super) fn at(x: f64, y: f64) -> Point {
    Point { x, y }
}

/// Which end of a text its place is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// How a text looks; it is centred vertically on its place.
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
        ink: Ink::Text,
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
        ink: Ink::Faint,
        ..Self::LABEL
    };
    /// The chart's title.
    pub(super) const TITLE: Self = Self {
        size: 15.0,
        bold: true,
        ..Self::LABEL
    };

    pub(super) fn anchored(self, anchor: Anchor) -> Self {
        Self { anchor, ..self }
    }

    fn text_style(self) -> TextStyle<'static> {
        let style = if self.bold {
            FontStyle::Bold
        } else {
            FontStyle::Normal
        };
        let horizontal = match self.anchor {
            Anchor::Start => HPos::Left,
            Anchor::Middle => HPos::Center,
            Anchor::End => HPos::Right,
        };
        (FONT, self.size * UNITS * FONT_DIVISOR)
            .into_font()
            .style(style)
            .color(&self.ink.colour())
            .pos(Pos::new(horizontal, VPos::Center))
    }

    /// Width of `text` in CSS pixels.
    pub(super) fn width(self, text: &str) -> f64 {
        register_fonts();
        // The style's size is the em times 1.24, the font's own line height 1.164 em; widths are measured by the latter.
        let font = (FONT, self.size * UNITS * LINE_HEIGHT_EM).into_font();
        let font = font.style(if self.bold {
            FontStyle::Bold
        } else {
            FontStyle::Normal
        });
        let (width, _) = font.box_size(text).expect("the font is registered");
        f64::from(width) / UNITS
    }

    /// `text`, cut to `width` with an ellipsis where it is longer.
    pub(super) fn fit(self, text: &str, width: f64) -> String {
        let text = visible(text);
        if self.width(&text) <= width {
            return text;
        }
        let mut cut = text;
        while cut.pop().is_some() && self.width(&format!("{}…", cut.trim_end())) > width {}
        format!("{}…", cut.trim_end())
    }
}

/// Ascent plus descent of DejaVu Sans, in em.
const LINE_HEIGHT_EM: f64 = 1.164;

/// plotters centres half an x-height above the baseline; digits and capitals are taller than that.
const LOWER_EM: f64 = 0.09;

/// A stroke's ink, width in CSS pixels, and opacity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Stroke {
    pub(super) ink: Ink,
    pub(super) width: f64,
    pub(super) opacity: f64,
}

impl Stroke {
    pub(super) fn new(ink: Ink, width: f64) -> Self {
        Self {
            ink,
            width,
            opacity: 1.0,
        }
    }

    fn style(self) -> ShapeStyle {
        ShapeStyle {
            color: self.ink.colour().mix(self.opacity),
            filled: false,
            stroke_width: units(self.width).unsigned_abs(),
        }
    }
}

/// What is being drawn on.
pub(super) struct Canvas<'a> {
    area: DrawingArea<SVGBackend<'a>, Shift>,
    height: f64,
}

/// A finished drawing that has no frame yet.
#[derive(Debug)]
pub(super) struct Drawing {
    /// What is inside plotters' `<svg>`.
    body: String,
    height: f64,
    /// What the chart says, for those who cannot see it.
    description: String,
}

impl Drawing {
    /// Draws a chart of `height` with its heading in place; `description` tells in words what it shows.
    pub(super) fn new(height: f64, description: String, draw: impl FnOnce(&Canvas<'_>)) -> Self {
        register_fonts();
        let mut svg = String::new();
        let size = (units(WIDTH).unsigned_abs(), units(height).unsigned_abs());
        let canvas = Canvas {
            area: SVGBackend::with_string(&mut svg, size).into_drawing_area(),
            height,
        };
        canvas.rectangle(at(0.0, 0.0), at(WIDTH, height), Ink::Paper, 1.0);
        draw(&canvas);
        canvas.area.present().expect("a string takes everything");
        drop(canvas);
        let body = svg.split_once('>').map_or("", |(_, body)| body);
        let body = body.trim_end().trim_end_matches("</svg>");
        Self {
            body: body.replace(" opacity=\"1\"", ""),
            height,
            description,
        }
    }

    /// The whole SVG document.
    pub(super) fn finish(&self, title: &str, subject: &str) -> String {
        let label = escape(&visible(&format!("{title}: {subject}")));
        let description = escape(&visible(&self.description));
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
             viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{label}. {description}\" stroke-linejoin=\"round\" \
             stroke-linecap=\"round\">\n<title>{label}</title>{body}</svg>\n",
            units(WIDTH),
            units(self.height),
            height = self.height,
            body = self.body,
        )
    }
}

impl Canvas<'_> {
    /// Title and subject at the top.
    pub(super) fn heading(&self, title: &str, subject: &str) {
        let room = WIDTH - 2.0 * MARGIN;
        self.text(at(MARGIN, 22.0), title, Type::TITLE);
        self.text(
            at(MARGIN, 42.0),
            &Type::CAPTION.fit(subject, room),
            Type::CAPTION,
        );
    }

    pub(super) fn height(&self) -> f64 {
        self.height
    }

    pub(super) fn text(&self, place: Point, text: &str, text_type: Type) {
        let lowered = at(place.x, place.y + text_type.size * LOWER_EM);
        let drawn = self
            .area
            .draw_text(&visible(text), &text_type.text_style(), pixel(lowered));
        drawn.expect("a string takes everything");
    }

    pub(super) fn line(&self, from: Point, to: Point, stroke: Stroke) {
        self.path(&[from, to], stroke);
    }

    pub(super) fn path(&self, points: &[Point], stroke: Stroke) {
        let points: Vec<(i32, i32)> = points.iter().copied().map(pixel).collect();
        self.draw(&PathElement::new(points, stroke.style()));
    }

    pub(super) fn rectangle(&self, from: Point, to: Point, ink: Ink, opacity: f64) {
        self.draw(&Rectangle::new(
            [pixel(from), pixel(to)],
            filled(ink, opacity),
        ));
    }

    /// A runtime's marker, `size` CSS pixels across.
    pub(super) fn marker(&self, centre: Point, look: Look, size: f64) {
        self.shape(centre, look, size, Ink::Runtime(look.light));
    }

    fn shape(&self, centre: Point, look: Look, size: f64, ink: Ink) {
        let half = size / 2.0;
        let corner = |x: f64, y: f64| at(centre.x + x * half, centre.y + y * half);
        match look.marker {
            Marker::Circle => self.circle(centre, half, ink),
            Marker::Ring => {
                self.circle(centre, half, ink);
                self.circle(centre, half * 0.5, Ink::Paper);
            }
            Marker::Square => self.rectangle(corner(-0.9, -0.9), corner(0.9, 0.9), ink, 1.0),
            Marker::Frame => {
                self.rectangle(corner(-0.95, -0.95), corner(0.95, 0.95), ink, 1.0);
                self.rectangle(corner(-0.45, -0.45), corner(0.45, 0.45), Ink::Paper, 1.0);
            }
            Marker::Diamond => {
                self.polygon(
                    &[
                        corner(0.0, -1.25),
                        corner(1.25, 0.0),
                        corner(0.0, 1.25),
                        corner(-1.25, 0.0),
                    ],
                    ink,
                );
            }
            Marker::Triangle => self.polygon(
                &[corner(0.0, -1.15), corner(1.15, 0.85), corner(-1.15, 0.85)],
                ink,
            ),
            Marker::TriangleDown => {
                self.polygon(
                    &[corner(0.0, 1.15), corner(1.15, -0.85), corner(-1.15, -0.85)],
                    ink,
                );
            }
        }
    }

    /// A runtime's marker as its outline only, `size` CSS pixels across.
    pub(super) fn hollow_marker(&self, centre: Point, look: Look, size: f64) {
        let filled = match look.marker {
            Marker::Ring => Marker::Circle,
            Marker::Frame => Marker::Square,
            other => other,
        };
        let outline = Look {
            marker: filled,
            ..look
        };
        self.shape(centre, outline, size, Ink::Runtime(look.light));
        self.shape(centre, outline, size * HOLLOW, Ink::Paper);
    }

    fn circle(&self, centre: Point, radius: f64, ink: Ink) {
        self.draw(&Circle::new(pixel(centre), units(radius), filled(ink, 1.0)));
    }

    fn polygon(&self, points: &[Point], ink: Ink) {
        let points: Vec<(i32, i32)> = points.iter().copied().map(pixel).collect();
        self.draw(&Polygon::new(points, filled(ink, 1.0)));
    }

    fn draw<'e, E>(&self, element: &'e E)
    where
        &'e E: plotters::element::PointCollection<'e, (i32, i32)>,
        E: for<'b> plotters::element::Drawable<SVGBackend<'b>>,
    {
        self.area.draw(element).expect("a string takes everything");
    }
}

/// The empty middle of a hollow marker, as a share of it: more than that of a ring or a frame.
const HOLLOW: f64 = 0.66;

/// Space around everything.
pub(super) const MARGIN: f64 = 14.0;

fn filled(ink: Ink, opacity: f64) -> ShapeStyle {
    ShapeStyle {
        color: ink.colour().mix(opacity),
        filled: true,
        stroke_width: 0,
    }
}

fn units(pixels: f64) -> i32 {
    (pixels * UNITS).round() as i32
}

fn pixel(place: Point) -> (i32, i32) {
    (units(place.x), units(place.y))
}

/// Without control characters, which XML forbids even when escaped.
fn visible(text: &str) -> String {
    text.chars()
        .map(|character| {
            if character.is_control() {
                ' '
            } else {
                character
            }
        })
        .collect()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// plotters measures text by fonts registered under their family's name; no system font is looked for.
fn register_fonts() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        for (style, font) in [
            (FontStyle::Normal, dejavu::sans::regular()),
            (FontStyle::Bold, dejavu::sans::bold()),
        ] {
            let registered = plotters::style::register_font(FONT, style, font);
            assert!(registered.is_ok(), "the embedded font is not a font");
        }
    });
}
