//! Artifacts rendered from a record: page, pictures and histogram log. The same for a new run and an old one.
//!
//! `reports` renders, `run_directory` writes.

use std::path::Path;

use photofinish_reports::formats;
use photofinish_reports::report::Report;

use crate::exit::Failure;
use crate::store::run_directory::RunFile;

/// The name of the page in a run directory.
pub const PAGE: &str = "report.html";

/// Every file stored next to `record.json`.
pub fn all(report: &Report<'_>) -> Result<Vec<RunFile>, Failure> {
    let mut files = histogram_log(report)?;
    files.extend(page_and_pictures(report)?);
    Ok(files)
}

fn histogram_log(report: &Report<'_>) -> Result<Vec<RunFile>, Failure> {
    let rendered = formats::export("hlog", report).map_err(|error| {
        Failure::could_not_run("cannot make the histogram log").caused_by(error)
    })?;
    Ok(rendered
        .into_iter()
        .map(|file| RunFile {
            path: file.name.into(),
            contents: file.bytes,
        })
        .collect())
}

pub fn page_and_pictures(report: &Report<'_>) -> Result<Vec<RunFile>, Failure> {
    let page = photofinish_reports::page(report);
    let mut files = vec![RunFile {
        path: PAGE.into(),
        contents: page.into_bytes(),
    }];
    for chart in photofinish_reports::charts(report) {
        files.push(RunFile {
            path: Path::new("charts").join(format!("{}.png", chart.file_stem)),
            contents: chart.png(),
        });
    }
    Ok(files)
}
