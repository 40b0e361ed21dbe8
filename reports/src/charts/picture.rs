//! A drawing as PNG: at twice its size, on white.
//!
//! The shapes are those of the page's SVG, so that page and file show one thing. Each is filled by the exact share that
//! it covers of every pixel; glyphs stand between pixels where the text puts them, on a baseline of whole
//! pixels.

use ab_glyph::{Font as _, point};
use ab_glyph_rasterizer::Rasterizer;

use super::drawing::{Anchor, Drawing, Ink, Point, Shape, Type, WIDTH};
use super::{font, outline};

/// Picture pixels per CSS pixel: sharp on dense screens and in print.
const SCALE: f64 = 2.0;

/// Steps between a pixel without and a pixel full of ink; more would double the file and cannot be seen.
const LEVELS: f32 = 16.0;

pub(super) fn png(drawing: &Drawing) -> Vec<u8> {
    let mut picture = Picture::new(drawing.height);
    for shape in &drawing.shapes {
        picture.paint(shape);
    }
    picture.encode()
}

struct Picture {
    width: usize,
    height: usize,
    /// Rows of pixels, each red, green, blue.
    rgb: Vec<u8>,
}

impl Picture {
    fn new(height: f64) -> Self {
        let (width, height) = (
            (WIDTH * SCALE).ceil() as usize,
            (height * SCALE).ceil() as usize,
        );
        Self {
            width,
            height,
            rgb: vec![0xFF; 3 * width * height],
        }
    }

    fn paint(&mut self, shape: &Shape) {
        match shape {
            Shape::Circle {
                centre,
                radius,
                ink,
            } => self.fill(&outline::circle(*centre, *radius), *ink, 1.0),
            Shape::Polygon {
                corners,
                ink,
                opacity,
            } => self.fill(corners, *ink, *opacity),
            Shape::Path { points, stroke } => {
                let outline = outline::stroke(points, stroke.width);
                self.fill(&outline, stroke.ink, stroke.opacity);
            }
            Shape::Text {
                baseline,
                text,
                text_type,
            } => self.write(*baseline, text, *text_type),
        }
    }

    fn fill(&mut self, corners: &[Point], ink: Ink, opacity: f64) {
        let (mut low, mut high) = ([f64::INFINITY; 2], [f64::NEG_INFINITY; 2]);
        for corner in corners {
            for (axis, value) in [corner.x, corner.y].into_iter().enumerate() {
                low[axis] = low[axis].min((value * SCALE).floor());
                high[axis] = high[axis].max((value * SCALE).ceil());
            }
        }
        // A column to the right for what the rasterizer carries over.
        let mut raster =
            Rasterizer::new((high[0] - low[0]) as usize + 1, (high[1] - low[1]) as usize);
        let corner = |corner: &Point| {
            point(
                (corner.x * SCALE - low[0]) as f32,
                (corner.y * SCALE - low[1]) as f32,
            )
        };
        for (from, to) in corners.iter().zip(corners.iter().cycle().skip(1)) {
            raster.draw_line(corner(from), corner(to));
        }
        let (left, top) = (low[0] as i64, low[1] as i64);
        raster.for_each_pixel_2d(|x, y, coverage| {
            let share = quantized(coverage) * opacity as f32;
            self.blend(left + i64::from(x), top + i64::from(y), ink, share);
        });
    }

    fn write(&mut self, baseline: Point, text: &str, text_type: Type) {
        let (glyphs, width) = font::set(text, text_type.size * SCALE, text_type.bold);
        let start = baseline.x * SCALE
            - match text_type.anchor {
                Anchor::Start => 0.0,
                Anchor::Middle => width / 2.0,
                Anchor::End => width,
            };
        let origin = point(start as f32, (baseline.y * SCALE).round() as f32);
        for mut glyph in glyphs {
            glyph.position += origin;
            if let Some(outlined) = font::face(text_type.bold).outline_glyph(glyph) {
                let corner = outlined.px_bounds().min;
                let (left, top) = (corner.x as i64, corner.y as i64);
                outlined.draw(|x, y, coverage| {
                    let share = quantized(coverage);
                    self.blend(
                        left + i64::from(x),
                        top + i64::from(y),
                        text_type.ink,
                        share,
                    );
                });
            }
        }
    }

    /// Covers a `share` of a pixel with `ink`; nothing outside the picture.
    fn blend(&mut self, x: i64, y: i64, ink: Ink, share: f32) {
        let (Ok(x), Ok(y)) = (usize::try_from(x), usize::try_from(y)) else {
            return;
        };
        if x >= self.width || y >= self.height || share <= 0.0 {
            return;
        }
        let pixel = &mut self.rgb[3 * (y * self.width + x)..][..3];
        for (channel, ink) in pixel.iter_mut().zip([ink.0.0, ink.0.1, ink.0.2]) {
            let mixed = f32::from(*channel) + (f32::from(ink) - f32::from(*channel)) * share;
            *channel = mixed.round() as u8;
        }
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, self.width as u32, self.height as u32);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        // Flat areas repeat themselves; what a filter predicts does not.
        encoder.set_filter(png::Filter::NoFilter);
        encoder.set_deflate_compression(png::DeflateCompression::Level(9));
        encoder
            .write_header()
            .and_then(|mut writer| writer.write_image_data(&self.rgb))
            .expect("a picture of its own size is encoded into memory");
        bytes
    }
}

fn quantized(coverage: f32) -> f32 {
    (coverage.min(1.0) * LEVELS).round() / LEVELS
}
