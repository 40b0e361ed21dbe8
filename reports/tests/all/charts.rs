//! The charts: each is drawn of every fixture, stays inside its frame, and becomes a picture.
//!
//! The pictures stay in the target folder, under `tmp/charts`, to be looked at.

use std::path::Path;

use photofinish_reports::charts::{self, CHARTS, Chart};

use crate::fixtures;

#[test]
fn every_chart_of_every_record_is_one_svg_that_refers_to_nothing_outside() {
    for (name, record) in fixtures::all() {
        let charts = charts::charts(record);
        let mut stems: Vec<&str> = charts
            .iter()
            .map(|chart| chart.file_stem.as_str())
            .collect();
        stems.sort_unstable();
        stems.dedup();
        assert_eq!(stems.len(), charts.len(), "{name}: file names are unique");
        for Chart { svg, file_stem, .. } in &charts {
            assert!(
                svg.starts_with("<svg ") && svg.ends_with("</svg>\n"),
                "{name}: {file_stem}"
            );
            assert_eq!(
                svg.matches("http").count(),
                svg.matches("http-").count() + 1,
                "{name}: {file_stem}: only its namespace"
            );
            assert!(
                !svg.contains("<script") && !svg.contains("NaN") && !svg.contains("inf,"),
                "{name}: {file_stem}"
            );
        }
    }
}

#[test]
fn a_full_record_has_every_kind_of_chart() {
    let charts = charts::charts(&fixtures::sweep());
    for kind in CHARTS {
        assert!(
            charts
                .iter()
                .any(|chart| chart.file_stem.ends_with(kind.name)),
            "{}",
            kind.name
        );
    }
    assert!(charts::charts(&fixtures::empty()).is_empty());
}

#[test]
fn every_chart_becomes_a_picture_of_twice_its_size() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("charts");
    std::fs::create_dir_all(&folder).expect("the target folder is writable");
    for (name, record) in fixtures::all() {
        // One load of a sweep looks like any other.
        for chart in charts::charts(record).iter().rev().take(5) {
            let png = charts::png(&chart.svg)
                .unwrap_or_else(|error| panic!("{name}: {}: {error}", chart.file_stem));
            assert_eq!(png_width(&png), 1_120, "{name}: {}", chart.file_stem);
            let path = folder.join(format!("{name}.{}.png", chart.file_stem));
            std::fs::write(path, png).expect("the target folder is writable");
        }
    }
}

#[test]
fn rubbish_does_not_become_a_picture() {
    assert!(charts::png("<svg").is_err());
    assert!(charts::png("").is_err());
}

/// The width in a PNG's first chunk.
fn png_width(png: &[u8]) -> u32 {
    assert_eq!(&png[1..4], b"PNG");
    u32::from_be_bytes(png[16..20].try_into().expect("four bytes"))
}
