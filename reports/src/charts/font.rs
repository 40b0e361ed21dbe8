//! The embedded font, DejaVu Sans 2.37: measures and sets text. System fonts are not used.
//!
//! The files are those of <https://dejavu-fonts.github.io>, through `gzip -9n`: half of their 1.4 MB.

use std::io::Read as _;
use std::sync::LazyLock;

use ab_glyph::{Font as _, FontVec, Glyph, ScaleFont as _};
use flate2::read::GzDecoder;

static REGULAR: LazyLock<FontVec> =
    LazyLock::new(|| unpack(include_bytes!("../../fonts/DejaVuSans.ttf.gz")));
static BOLD: LazyLock<FontVec> =
    LazyLock::new(|| unpack(include_bytes!("../../fonts/DejaVuSans-Bold.ttf.gz")));

fn unpack(packed: &[u8]) -> FontVec {
    let mut bytes = Vec::new();
    let unpacked = GzDecoder::new(packed).read_to_end(&mut bytes);
    unpacked.expect("the embedded font is a gzip file");
    FontVec::try_from_vec(bytes).expect("the embedded font is valid")
}

pub(super) fn face(bold: bool) -> &'static FontVec {
    if bold { &BOLD } else { &REGULAR }
}

/// The glyphs of a line of text that starts at the origin, and its width; `size` is that of an em.
pub(super) fn set(text: &str, size: f64, bold: bool) -> (Vec<Glyph>, f64) {
    let face = face(bold);
    let units_per_em = face.units_per_em().expect("the embedded font is scalable");
    let font = face.as_scaled(size as f32 * face.height_unscaled() / units_per_em);
    let mut width = 0.0;
    let mut glyphs: Vec<Glyph> = Vec::new();
    for character in text.chars() {
        let mut glyph = font.scaled_glyph(character);
        if let Some(previous) = glyphs.last() {
            width += font.kern(previous.id, glyph.id);
        }
        glyph.position.x = width;
        width += font.h_advance(glyph.id);
        glyphs.push(glyph);
    }
    (glyphs, f64::from(width))
}
