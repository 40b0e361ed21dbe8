//! Observations of workloads and probes as tables: one for each subject, such as `timer overshoot` or `idle task`.
//!
//! These metrics are not in `metrics::METRICS`: they have the names under which they were observed. This module has the
//! tables' names, headings and order; `terminal` and `page` render them.

use std::collections::BTreeMap;

use crate::metrics::named;
use crate::summary::CellSummary;

/// The table of one subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservationTable {
    /// The subject: `timer overshoot`.
    pub name: String,
    pub columns: Vec<Column>,
}

/// A metric of a subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// `p50`, `p99`, `max`, or the unit of a plain number.
    pub heading: String,
    pub metric: String,
}

/// The percentiles of a time, in column order.
const PERCENTILES: [&str; 3] = ["p50", "p99", "max"];

/// The observations of any of these cells, by name.
pub fn observations(cells: &[&CellSummary]) -> Vec<ObservationTable> {
    let mut tables: BTreeMap<String, Vec<Column>> = BTreeMap::new();
    for (metric, summary) in cells.iter().flat_map(|cell| &cell.metrics) {
        if named(metric).is_some() {
            continue;
        }
        let (name, heading) = split(metric, &summary.unit);
        let columns = tables.entry(name.replace('_', " ")).or_default();
        if columns.iter().all(|known| known.metric != *metric) {
            columns.push(Column {
                heading: heading.to_owned(),
                metric: metric.clone(),
            });
        }
    }
    let tables = tables.into_iter();
    tables
        .map(|(name, mut columns)| {
            columns.sort_by_key(|column| {
                let mut order = PERCENTILES.iter();
                order.position(|percentile| *percentile == column.heading)
            });
            ObservationTable { name, columns }
        })
        .collect()
}

/// `timer_overshoot_p99_ns` is the `p99` of `timer_overshoot`, and `idle_task_bytes` the `bytes` of `idle_task`.
fn split<'a>(metric: &'a str, unit: &'a str) -> (&'a str, &'a str) {
    let percentile = |of: &'static str| {
        let name = metric.strip_suffix("_ns")?.strip_suffix(of)?;
        Some((name.strip_suffix('_')?, of))
    };
    let plain = || {
        let name = metric.strip_suffix(unit)?.strip_suffix('_')?;
        Some((name, unit))
    };
    let found = PERCENTILES.into_iter().find_map(percentile).or_else(plain);
    found.unwrap_or((metric, "value"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_split_into_subject_and_heading() {
        let check = |metric, unit, expected| assert_eq!(split(metric, unit), expected);
        check("probe_lag_max_ns", "ns", ("probe_lag", "max"));
        check("idle_task_bytes", "bytes", ("idle_task", "bytes"));
        check("stall_ns", "ns", ("stall", "ns"));
        check("turns", "", ("turns", "value"));
        check("checks_ops_s", "ops/s", ("checks_ops_s", "value"));
        check("bytes", "bytes", ("bytes", "value"));
    }
}
