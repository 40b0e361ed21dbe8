//! A drawing as PNG: at twice its size, on white.
//!
//! plotters' bitmap backend draws it three times as large as the picture, whose pixels are averages; text is set here.

use std::array;

use ab_glyph::{Font as _, point};
use plotters::backend::BitMapBackend;
use plotters::coord::Shift;
use plotters::drawing::DrawingArea;
use plotters::style::Color as _;

use super::Chart;
use super::drawing::{Anchor, Type};
use super::font;
use super::paint::{Drawn, colour, paint};

/// Picture pixels per CSS pixel: sharp on dense screens and in print.
const SCALE: usize = 2;

/// Drawn pixels per picture pixel, in both directions.
const OVERSAMPLING: usize = 3;

/// Drawn pixels per CSS pixel.
const DRAWN_SCALE: f64 = (SCALE * OVERSAMPLING) as f64;

/// plotters centres text by half the height of an x, in em.
const HALF_X_EM: f64 = 0.2735;

/// Paints charts as PNG, one after the other over the same memory.
#[derive(Debug, Default)]
pub struct Painter {
    large: Vec<u8>,
    small: Vec<u8>,
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
        make_white(&mut self.large, 3 * size.0 * size.1);
        make_white(&mut self.small, 3 * width * height);
        let bitmap = BitMapBackend::with_buffer(&mut self.large, (size.0 as u32, size.1 as u32));
        paint(&drawing, bitmap, DRAWN_SCALE, set_text);
        scale_down(&self.large, &mut self.small, width);
        encode(width, height, &self.small)
    }
}

fn make_white(pixels: &mut Vec<u8>, length: usize) {
    pixels.clear();
    pixels.resize(length, 0xFF);
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

/// Sets a text, because plotters' own code drops the space to the left of each glyph.
fn set_text<'a>(
    area: &DrawingArea<BitMapBackend<'a>, Shift>,
    text: &str,
    text_type: Type,
    (x, y): (i32, i32),
) -> Drawn<BitMapBackend<'a>> {
    let em = text_type.size * DRAWN_SCALE;
    let (glyphs, width) = font::set(text, em, text_type.bold);
    let start = f64::from(x)
        - match text_type.anchor {
            Anchor::Start => 0.0,
            Anchor::Middle => width / 2.0,
            Anchor::End => width,
        };
    // Placed on a whole pixel of the picture, so that horizontal stems are sharp.
    let grid = OVERSAMPLING as f64;
    let baseline = ((f64::from(y) + HALF_X_EM * em) / grid).round() * grid;
    let origin = point(start as f32, baseline as f32);
    for mut glyph in glyphs {
        glyph.position += origin;
        let Some(outlined) = font::face(text_type.bold).outline_glyph(glyph) else {
            continue;
        };
        let corner = outlined.px_bounds().min;
        let mut drawn = Ok(());
        outlined.draw(|x, y, coverage| {
            let pixel = (corner.x as i32 + x as i32, corner.y as i32 + y as i32);
            if drawn.is_ok() && coverage > 0.0 {
                let share = f64::from(coverage.min(1.0));
                drawn = area.draw_pixel(pixel, &colour(text_type.ink).mix(share));
            }
        });
        drawn?;
    }
    Ok(())
}
