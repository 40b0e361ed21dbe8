//! Artifacts rendered from a record: page, pictures and histogram log. The same for a new run and an old one.
//!
//! `reports` renders, `run_directory` writes.

use photofinish_reports::formats::{self, File};
use photofinish_reports::report::Report;

use crate::exit::{Failure, OrFail};

/// The name of the page in a run directory.
pub const PAGE: &str = "report.html";

/// The histogram log in a run directory.
pub const HISTOGRAM_LOG: &str = "rounds.hlog";

/// The directory of pictures in a run directory.
pub const CHARTS: &str = "charts";

/// Every file stored next to `record.json`.
pub fn all(report: &Report<'_>) -> Result<Vec<File>, Failure> {
    let mut files = formats::export("hlog", report).or_fail("cannot make the histogram log")?;
    files.extend(page_and_pictures(report));
    Ok(files)
}

pub fn page_and_pictures(report: &Report<'_>) -> Vec<File> {
    let page = File {
        name: PAGE.to_owned(),
        bytes: photofinish_reports::page(report).into_bytes(),
    };
    let charts = photofinish_reports::charts(report).into_iter();
    let pictures = charts.map(|chart| File {
        name: format!("{CHARTS}/{}.png", chart.file_stem),
        bytes: chart.png(),
    });
    std::iter::once(page).chain(pictures).collect()
}
