//! Every rendering of a record, from its bytes: for tests and fuzzers.
//!
//! Any bytes lead to an error in one sentence or to every rendering. A new output is a line here.

use photofinish_record::{Record, Unreadable};

use crate::compare::RecordComparison;
use crate::formats::{self, Error, File};
use crate::gate::GateReport;
use crate::report::Report;
use crate::resolution::Resolution;
use crate::terminal::{self, Style};
use crate::{Painter, charts, comparison_page, page};

/// Widths of a terminal: the narrowest, a usual and a wide one.
const WIDTHS: [usize; 3] = [40, 80, 200];

/// Every rendering of the record in `json`, by name; the charts as SVG, and with `bitmaps` as PNG too.
pub fn everything(json: &[u8], bitmaps: bool) -> Result<Vec<File>, Unreadable> {
    Ok(renderings(&Record::read(json)?, bitmaps))
}

/// Every rendering of a record, by name.
pub fn renderings(record: &Record, bitmaps: bool) -> Vec<File> {
    let report = Report::of(record);
    let comparison = RecordComparison::of(record, record);
    let against_itself = GateReport::against(record, record).ok();
    let mut files = vec![
        File::text("report.html", page(&report)),
        File::text("compare.html", comparison_page(&comparison)),
    ];
    for width in WIDTHS {
        let style = Style {
            width,
            colour: false,
        };
        let mut text = |name: &str, text: String| {
            files.push(File::text(&format!("{name}.{width}.txt"), text));
        };
        text("run", terminal::render(&report, style));
        text("compare", terminal::comparison(&comparison, style));
        for gate in report.gate.iter().chain(&against_itself) {
            text("gate", terminal::gate(gate, style));
        }
    }
    let mut painter = Painter::default();
    for chart in charts(&report) {
        files.push(File::text(
            &format!("{}.svg", chart.file_stem),
            chart.svg.clone(),
        ));
        if bitmaps {
            let name = format!("{}.png", chart.file_stem);
            files.push(File {
                name,
                bytes: painter.png(&chart),
            });
        }
    }
    let exported = formats::of_runs().map(|format| formats::export(format.name, &report));
    let judged = report.gate.iter().chain(&against_itself).flat_map(|gate| {
        let formats = formats::of_gates();
        formats.map(move |format| Ok(vec![formats::export_gate(format.name, gate)?]))
    });
    let documents = [
        File::json("compare.json", &comparison),
        File::json(
            "resolution.json",
            &Resolution::of(&record.plan, &record.rounds),
        ),
    ];
    let documents = documents.into_iter().map(|file| Ok(vec![file?]));
    let each: Vec<Result<Vec<File>, Error>> = exported.chain(judged).chain(documents).collect();
    for made in each {
        match made {
            Ok(made) => files.extend(made),
            Err(error) => files.push(File::text("error.txt", error.to_string())),
        }
    }
    files
}
