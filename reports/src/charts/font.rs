//! The embedded font, DejaVu Sans: measures and sets text. System fonts are not used.

use std::sync::LazyLock;

use ab_glyph::{Font as _, FontRef, Glyph, ScaleFont as _};

static REGULAR: LazyLock<FontRef<'static>> = LazyLock::new(|| parse(dejavu::sans::regular()));
static BOLD: LazyLock<FontRef<'static>> = LazyLock::new(|| parse(dejavu::sans::bold()));

fn parse(bytes: &'static [u8]) -> FontRef<'static> {
    FontRef::try_from_slice(bytes).expect("the embedded font is valid")
}

pub(super) fn face(bold: bool) -> &'static FontRef<'static> {
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
