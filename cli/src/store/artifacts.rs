//! Artifacts rendered from a record: page, pictures and histogram log. The same for a new run and an old one.
//!
//! `reports` renders, `run_directory` writes.

use photofinish_reports::Chart;
use photofinish_reports::formats::{self, File};
use photofinish_reports::report::Report;

use crate::exit::{Failure, OrFail};

/// The name of the page in a run directory.
pub const PAGE: &str = "report.html";

/// The histogram log in a run directory.
pub const HISTOGRAM_LOG: &str = "rounds.hlog";

/// The directory of pictures in a run directory.
pub const CHARTS: &str = "charts";

/// File formats of the pictures.
#[derive(Clone, Copy)]
pub enum Pictures {
    Png,
    PngAndSvg,
}

/// Every file stored next to `record.json`.
pub fn all(report: &Report<'_>) -> Result<Vec<File>, Failure> {
    let mut files = formats::export("hlog", report).or_fail("cannot make the histogram log")?;
    files.extend(page_and_pictures(report, Pictures::Png));
    Ok(files)
}

pub fn page_and_pictures(report: &Report<'_>, pictures: Pictures) -> Vec<File> {
    let mut files = vec![File {
        name: PAGE.to_owned(),
        bytes: photofinish_reports::page(report).into_bytes(),
    }];
    for file in of_charts(&photofinish_reports::charts(report), pictures) {
        let name = format!("{CHARTS}/{}", file.name);
        files.push(File { name, ..file });
    }
    files
}

/// The files of charts.
pub fn of_charts(charts: &[Chart], pictures: Pictures) -> Vec<File> {
    let mut files = Vec::new();
    for chart in charts {
        let picture = |extension: &str, bytes| File {
            name: format!("{}.{extension}", chart.file_stem),
            bytes,
        };
        files.push(picture("png", chart.png()));
        if let Pictures::PngAndSvg = pictures {
            files.push(picture("svg", chart.svg_file().into_bytes()));
        }
    }
    files
}
