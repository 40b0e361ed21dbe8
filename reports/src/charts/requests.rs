//! Requests: the median time of each part under each runtime, with its interval over rounds.

use super::drawing::Drawing;
use super::rows::{self, Labels, Row};
use super::{Draw, Kind};
use crate::describe;
use crate::report::Report;
use crate::summary::Group;
use crate::units;

pub(super) static KIND: Kind = Kind {
    name: "requests",
    title: "Requests",
    draw: Draw::Load(draw),
};

/// Maximum number of rows drawn; the table has them all.
const MOST_ROWS: usize = 40;

fn draw(report: &Report<'_>, group: &Group<'_>) -> Option<Drawing> {
    let parts = describe::part_rows(&group.in_plan_order()).into_iter();
    let rows = parts.filter_map(|(part, cell)| {
        let metric = part.metric("service_p50_ns")?;
        let row = Row::new(
            report,
            cell,
            metric.estimate(),
            units::duration(metric.median),
        );
        Some(row.of_part(&part.name))
    });
    let rows: Vec<Row> = rows.collect();
    if rows.len() > MOST_ROWS {
        return None;
    }
    let about = "median service time, less is better";
    rows::bars(Labels::new(&KIND, group, about, units::duration), &rows)
}
