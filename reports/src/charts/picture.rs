//! A drawing as PNG: at twice its size, on white.
//!
//! plotters' bitmap backend draws the shapes three times as large as the picture, whose pixels are averages. Text is set on
//! top of these, since glyphs come with the share of each pixel that they cover.

use std::array;

use ab_glyph::{Font as _, point};
use plotters::backend::BitMapBackend;

use super::Chart;
use super::drawing::{Anchor, Ink, Point, Shape, Type};
use super::font;
use super::paint::paint;

/// Picture pixels per CSS pixel: sharp on dense screens and in print.
const SCALE: usize = 2;

/// Drawn pixels per picture pixel, in both directions.
const OVERSAMPLING: usize = 3;

/// Drawn pixels per CSS pixel.
const DRAWN_SCALE: f64 = (SCALE * OVERSAMPLING) as f64;

/// Paints charts as PNG, one after the other over the same memory.
#[derive(Debug, Default)]
pub struct Painter {
    large: Vec<u8>,
}

impl Painter {
    /// The chart as PNG that stands alone, at twice its size, on white.
    pub fn png(&mut self, chart: &Chart) -> Vec<u8> {
        let drawing = chart.alone();
        let (width, height) = (
            drawing.width as usize * SCALE,
            (drawing.height * SCALE as f64).ceil() as usize,
        );
        let size = (width * OVERSAMPLING, height * OVERSAMPLING);
        self.large.clear();
        self.large.resize(3 * size.0 * size.1, 0xFF);
        let mut small = vec![0xFF; 3 * width * height];
        let bitmap = BitMapBackend::with_buffer(&mut self.large, (size.0 as u32, size.1 as u32));
        paint(&drawing, bitmap, DRAWN_SCALE);
        scale_down(&self.large, &mut small, width);
        for shape in &drawing.shapes {
            if let Shape::Text {
                position,
                text,
                text_type,
            } = shape
            {
                set_text(&mut small, width, *position, text, *text_type);
            }
        }
        encode(width, height, &small)
    }
}

/// Fills a white picture with averages over squares of [`OVERSAMPLING`] pixels.
fn scale_down(large: &[u8], small: &mut [u8], width: usize) {
    /// Picture pixels that are looked at together.
    const SPAN: usize = 16;
    const WHITE: [u8; 3 * OVERSAMPLING * SPAN] = [0xFF; 3 * OVERSAMPLING * SPAN];
    let row_len = 3 * OVERSAMPLING * width;
    let squares = large.chunks_exact(row_len * OVERSAMPLING);
    for (rows, row) in squares.zip(small.chunks_exact_mut(3 * width)) {
        let rows: [&[u8]; OVERSAMPLING] = array::from_fn(|y| &rows[row_len * y..][..row_len]);
        for (index, span) in row.chunks_mut(3 * SPAN).enumerate() {
            let drawn = rows.map(|row| &row[WHITE.len() * index..][..OVERSAMPLING * span.len()]);
            // Most of a picture is white, which is compared faster than it is averaged.
            if drawn.iter().any(|row| **row != WHITE[..row.len()]) {
                average(drawn, span);
            }
        }
    }
}

/// Fills `span` with the averages of `drawn`, rows of [`OVERSAMPLING`] times as many pixels.
fn average(drawn: [&[u8]; OVERSAMPLING], span: &mut [u8]) {
    const AREA: u32 = (OVERSAMPLING * OVERSAMPLING) as u32;
    // Plain indices: this is most of what a picture costs, and iterators are not inlined where size counts.
    for (x, pixel) in span.chunks_exact_mut(3).enumerate() {
        let mut sums = [AREA / 2; 3];
        for row in drawn {
            let square = &row[3 * OVERSAMPLING * x..][..3 * OVERSAMPLING];
            for drawn_pixel in 0..OVERSAMPLING {
                for channel in 0..3 {
                    sums[channel] += u32::from(square[3 * drawn_pixel + channel]);
                }
            }
        }
        for channel in 0..3 {
            pixel[channel] = (sums[channel] / AREA) as u8;
        }
    }
}

fn encode(width: usize, height: usize, rgb: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width as u32, height as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    // Flat areas repeat themselves and compress well; filter predictions do not.
    encoder.set_filter(png::Filter::NoFilter);
    // Level 9 takes six times as long, for 5 % fewer bytes.
    encoder.set_deflate_compression(png::DeflateCompression::Level(2));
    encoder
        .write_header()
        .and_then(|mut writer| writer.write_image_data(rgb))
        .expect("a picture of its own size is encoded into memory");
    bytes
}

/// Sets a text in a picture of this width in pixels.
fn set_text(picture: &mut [u8], width: usize, position: Point, text: &str, text_type: Type) {
    let scale = SCALE as f64;
    let size = text_type.size * scale;
    let (glyphs, length) = font::set(text, size, text_type.bold);
    let start = position.x * scale
        - match text_type.anchor {
            Anchor::Start => 0.0,
            Anchor::Middle => length / 2.0,
            Anchor::End => length,
        };
    // On a whole pixel, so that horizontal stems are sharp.
    let baseline = (position.y * scale + Type::BASELINE_EM * size).round();
    let Ink((red, green, blue)) = text_type.ink;
    for mut glyph in glyphs {
        glyph.position += point(start as f32, baseline as f32);
        let Some(outlined) = font::face(text_type.bold).outline_glyph(glyph) else {
            continue;
        };
        let corner = outlined.px_bounds().min;
        outlined.draw(|x, y, coverage| {
            let (x, y) = (
                corner.x as i64 + i64::from(x),
                corner.y as i64 + i64::from(y),
            );
            let Some(pixel) = pixel(picture, width, (x, y)) else {
                return;
            };
            for (channel, ink) in pixel.iter_mut().zip([red, green, blue]) {
                let below = f32::from(*channel);
                *channel = (below + coverage.min(1.0) * (f32::from(ink) - below)).round() as u8;
            }
        });
    }
}

/// A pixel of a picture of this width; `None` outside.
fn pixel(picture: &mut [u8], width: usize, (x, y): (i64, i64)) -> Option<&mut [u8; 3]> {
    let (x, y) = (usize::try_from(x).ok()?, usize::try_from(y).ok()?);
    let row = picture.get_mut(3 * width * y..)?.get_mut(..3 * width)?;
    row.get_mut(3 * x..)?.first_chunk_mut()
}
