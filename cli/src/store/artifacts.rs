//! What is made of a record: the page, the pictures, the histogram log. The same for a new run and an old one.
//!
//! Rendering is pure and the business of `reports`; writing is `run_directory`'s.

use std::path::Path;

use photofinish_record::Record;
use photofinish_reports::formats;
use photofinish_reports::report::Report;

use crate::exit::Failure;
use crate::store::run_directory::RunFile;

/// The page's name in a run directory.
pub const PAGE: &str = "report.html";

/// Every file that goes beside `record.json`.
pub fn of(record: &Record) -> Result<Vec<RunFile>, Failure> {
    let report = Report::of(record);
    let mut files = histogram_log(&report)?;
    files.extend(page_and_pictures(&report)?);
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

/// The page and its pictures.
pub fn report(record: &Record) -> Result<Vec<RunFile>, Failure> {
    page_and_pictures(&Report::of(record))
}

fn page_and_pictures(report: &Report<'_>) -> Result<Vec<RunFile>, Failure> {
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
