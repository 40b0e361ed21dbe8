//! A drawing as PNG: at twice its size, on white.
//!
//! plotters' bitmap backend draws it three times as large as the picture, whose pixels are averages; text is set here.

use std::array;

use ab_glyph::{Font as _, point};
use plotters::backend::BitMapBackend;
use plotters::coord::Shift;
use plotters::drawing::DrawingArea;
use plotters::style::Color as _;

use super::drawing::{Anchor, Drawing, Type};
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

pub(super) fn png(drawing: &Drawing) -> Vec<u8> {
    let (width, height) = (
        drawing.width as usize * SCALE,
        (drawing.height * SCALE as f64).ceil() as usize,
    );
    let size = (width * OVERSAMPLING, height * OVERSAMPLING);
    let mut large = vec![0xFF; 3 * size.0 * size.1];
    let bitmap = BitMapBackend::with_buffer(&mut large, (size.0 as u32, size.1 as u32));
    paint(drawing, bitmap, DRAWN_SCALE, set_text);
    encode(width, height, &scaled_down(&large, width, height))
}

/// Averages over squares of [`OVERSAMPLING`] pixels.
fn scaled_down(large: &[u8], width: usize, height: usize) -> Vec<u8> {
    /// Picture pixels that are looked at together.
    const SPAN: usize = 16;
    const WHITE: [u8; 3 * OVERSAMPLING * SPAN] = [0xFF; 3 * OVERSAMPLING * SPAN];
    let row_len = 3 * OVERSAMPLING * width;
    let mut small = vec![0xFF; 3 * width * height];
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
    small
}

/// Fills `span` with the averages of `drawn`, rows of [`OVERSAMPLING`] times as many pixels.
fn average(drawn: [&[u8]; OVERSAMPLING], span: &mut [u8]) {
    const AREA: u32 = (OVERSAMPLING * OVERSAMPLING) as u32;
    for (x, pixel) in span.chunks_exact_mut(3).enumerate() {
        let mut sums = [AREA / 2; 3];
        for row in drawn {
            for drawn_pixel in row[3 * OVERSAMPLING * x..][..3 * OVERSAMPLING].chunks_exact(3) {
                for (sum, channel) in sums.iter_mut().zip(drawn_pixel) {
                    *sum += u32::from(*channel);
                }
            }
        }
        for (channel, sum) in pixel.iter_mut().zip(sums) {
            *channel = (sum / AREA) as u8;
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
