//! The tables: whole ones as snapshots, and what must hold for each of them.

use photofinish_reports::terminal::{Style, render};
use unicode_width::UnicodeWidthStr as _;

use crate::fixtures;

const PLAIN: Style = Style {
    width: 80,
    colour: false,
};

#[test]
fn no_line_is_wider_than_asked() {
    for (name, record) in fixtures::all() {
        for width in [40, 60, 80, 100, 200] {
            for line in render(
                record,
                Style {
                    width,
                    colour: false,
                },
            )
            .lines()
            {
                assert!(
                    line.width() <= width,
                    "{name}: {} > {width}: {line}",
                    line.width()
                );
            }
        }
    }
}
