//! What is made of a record: the page, the pictures, the histogram log. The same for a new run and an old one.
//!
//! Rendering is pure and the business of `reports`; writing is `run_directory`'s.

use std::path::Path;

use photofinish_record::Record;
use photofinish_reports::formats;

use crate::exit::Failure;
use crate::store::run_directory::RunFile;

/// The page's name in a run directory.
pub const PAGE: &str = "report.html";

/// Every file that goes beside `record.json`.
pub fn of(record: &Record) -> Result<Vec<RunFile>, Failure> {
    let mut files = histogram_log(record)?;
    files.extend(report(record)?);
    Ok(files)
}

fn histogram_log(record: &Record) -> Result<Vec<RunFile>, Failure> {
    let format = formats::find("hlog").expect("the histogram log is a format");
    let rendered = (format.render)(record).map_err(|error| {
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
    let page = photofinish_reports::page::page(record);
    let mut files = vec![RunFile {
        path: PAGE.into(),
        contents: page.into_bytes(),
    }];
    for chart in photofinish_reports::charts::charts(record) {
        files.push(RunFile {
            path: Path::new("charts").join(format!("{}.png", chart.file_stem)),
            contents: chart.png(),
        });
    }
    Ok(files)
}
