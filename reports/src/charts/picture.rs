//! Pictures: a chart's SVG as PNG.
//!
//! The very SVG that the page shows, rasterised at twice its size on white with the embedded font, so that page and file
//! cannot differ. No system font is looked for.

use std::sync::LazyLock;

use resvg::tiny_skia::{Color, Pixmap, Transform};
use resvg::usvg::{Options, Tree};

use super::canvas::FONT;

/// Picture pixels per CSS pixel: sharp on dense screens and in print.
const SCALE: f32 = 2.0;

/// Why an SVG could not become a picture.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    /// It is not an SVG.
    #[error("the chart is not an SVG")]
    Svg(#[from] resvg::usvg::Error),
    /// It has no area, or more than memory can hold.
    #[error("a picture of {width} × {height} pixels cannot be made")]
    Size {
        /// Pixels across.
        width: u32,
        /// Pixels down.
        height: u32,
    },
    /// The picture could not be written as PNG.
    #[error("the picture could not be encoded")]
    Encode {
        /// What the encoder said.
        reason: String,
    },
}

/// A chart's SVG as PNG, at twice its size, on white.
pub fn png(svg: &str) -> Result<Vec<u8>, PictureError> {
    let tree = Tree::from_str(svg, options())?;
    let size = tree.size();
    let (width, height) = (
        (size.width() * SCALE).ceil() as u32,
        (size.height() * SCALE).ceil() as u32,
    );
    let mut pixmap = Pixmap::new(width, height).ok_or(PictureError::Size { width, height })?;
    pixmap.fill(Color::WHITE);
    resvg::render(
        &tree,
        Transform::from_scale(SCALE, SCALE),
        &mut pixmap.as_mut(),
    );
    pixmap.encode_png().map_err(|error| PictureError::Encode {
        reason: error.to_string(),
    })
}

/// Reading the fonts takes longer than drawing a chart.
fn options() -> &'static Options<'static> {
    static OPTIONS: LazyLock<Options<'static>> = LazyLock::new(|| {
        let mut options = Options {
            font_family: FONT.to_owned(),
            ..Options::default()
        };
        let fonts = options.fontdb_mut();
        fonts.load_font_data(dejavu::sans::regular().to_vec());
        fonts.load_font_data(dejavu::sans::bold().to_vec());
        options
    });
    &OPTIONS
}
