//! A drawing as PNG: at twice its size, on white.
//!
//! plotters' bitmap backend draws it three times as large as the picture, whose pixels are averages; text is set here.

use ab_glyph::{Font as _, point};
use plotters::backend::BitMapBackend;
use plotters::coord::Shift;
use plotters::drawing::DrawingArea;
use plotters::style::Color as _;

use super::drawing::{Anchor, Drawing, Type, WIDTH};
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
        WIDTH as usize * SCALE,
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
    const AREA: u32 = (OVERSAMPLING * OVERSAMPLING) as u32;
    let row_len = 3 * width * OVERSAMPLING;
    let mut small = Vec::with_capacity(3 * width * height);
    for rows in large.chunks_exact(row_len * OVERSAMPLING) {
        for x in 0..width {
            let mut sums = [0_u32; 3];
            for row in rows.chunks_exact(row_len) {
                let square = &row[3 * OVERSAMPLING * x..][..3 * OVERSAMPLING];
                for pixel in square.chunks_exact(3) {
                    for (sum, channel) in sums.iter_mut().zip(pixel) {
                        *sum += u32::from(*channel);
                    }
                }
            }
            small.extend(sums.map(|sum| ((sum + AREA / 2) / AREA) as u8));
        }
    }
    small
}

fn encode(width: usize, height: usize, rgb: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width as u32, height as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    // Flat areas repeat themselves and compress well; filter predictions do not.
    encoder.set_filter(png::Filter::NoFilter);
    encoder.set_deflate_compression(png::DeflateCompression::Level(9));
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
