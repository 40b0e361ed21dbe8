//! Artifacts rendered from a record: page, pictures and histogram log. The same for a new run and an old one.
//!
//! `reports` renders, `run_directory` writes.

use std::iter;

use photofinish_reports::formats::{self, File};
use photofinish_reports::report::Report;
use photofinish_reports::{Chart, Painter};

use crate::exit::{Failure, OrFail};
use crate::output;

/// The name of the page in a run directory.
pub const PAGE: &str = "report.html";

/// The histogram log in a run directory.
pub const HISTOGRAM_LOG: &str = "rounds.hlog";

/// The directory of pictures in a run directory.
pub const CHARTS: &str = "charts";

/// With at least this many cells, drawing takes several seconds.
const MANY_CELLS: usize = 50;

/// File formats of the pictures.
#[derive(Clone, Copy)]
pub enum Pictures {
    Png,
    PngAndSvg,
}

/// Every file stored next to `record.json`, each made when it is asked for: the pictures of a large run together take more
/// memory than all else.
pub fn all(report: &Report<'_>) -> Result<impl Iterator<Item = File>, Failure> {
    let log = formats::export("hlog", report).or_fail("cannot make the histogram log")?;
    Ok(log
        .into_iter()
        .chain(page_and_pictures(report, Pictures::Png)))
}

/// The page, and every chart as a picture. Announces on stderr that charts are drawn if the run has many cells.
pub fn page_and_pictures(report: &Report<'_>, pictures: Pictures) -> impl Iterator<Item = File> {
    let cells = report.record.plan.cells.len();
    if cells >= MANY_CELLS {
        output::inform(&format!("drawing the charts of {cells} cells"));
    }
    let charts = of_charts(photofinish_reports::charts(report), pictures);
    let charts = charts.map(|file| File {
        name: format!("{CHARTS}/{}", file.name),
        ..file
    });
    // Last, since the allocator keeps what it took for the page, beside which the largest picture would have to fit.
    charts.chain(iter::once_with(|| File {
        name: PAGE.to_owned(),
        bytes: photofinish_reports::page(report).into_bytes(),
    }))
}

/// The files of charts.
pub fn of_charts(
    charts: impl IntoIterator<Item = Chart>,
    pictures: Pictures,
) -> impl Iterator<Item = File> {
    let mut painter = Painter::default();
    charts.into_iter().flat_map(move |chart| {
        let picture = |extension: &str, bytes| File {
            name: format!("{}.{extension}", chart.file_stem),
            bytes,
        };
        let png = picture("png", painter.png(&chart));
        let svg = match pictures {
            Pictures::Png => None,
            Pictures::PngAndSvg => Some(picture("svg", chart.svg_file().into_bytes())),
        };
        iter::once(png).chain(svg)
    })
}
