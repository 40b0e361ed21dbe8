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

/// What the shipped workloads and probes observe, by subject.
const MEANINGS: [(&str, &str); 24] = [
    (
        "answered past deadline share",
        "share of operations whose response was there although the deadline had passed",
    ),
    (
        "bystander delay",
        "how late a timer in a task of its own woke while the operation ran",
    ),
    (
        "client latency",
        "time from request to response, by the clock of the client that loads this server",
    ),
    (
        "connections left waiting",
        "connections that were never accepted",
    ),
    (
        "done when ended share",
        "share of the parts that had run when their operation ended",
    ),
    ("file scope", "time of each file, from start to end"),
    ("files at once", "most files open at the same time"),
    (
        "http2 streams",
        "concurrent requests that the server allowed on a connection",
    ),
    ("idle connection", "memory of a connection that waits"),
    ("idle task", "memory of a task that waits"),
    (
        "interleaved",
        "1 if the counters took turns, 0 if they ran one after the other",
    ),
    ("items at once", "most items in progress at the same time"),
    ("jobs at once", "most jobs in progress at the same time"),
    (
        "jobs taken on",
        "most jobs queued or in progress at the same time",
    ),
    ("losers cancelled", "tasks cancelled in time, by lost races"),
    (
        "nested",
        "1 for what happened to a runtime started inside a task: it worked, was refused, or never ran",
    ),
    (
        "probe lag",
        "how late a task that asks to run every millisecond was scheduled",
    ),
    (
        "queue send",
        "time to place a job in the queue, with the wait for a free place",
    ),
    (
        "requests at once",
        "most requests in progress at the same time",
    ),
    (
        "retries per operation",
        "tries of a transaction after its first, where others conflict with it",
    ),
    (
        "shortest first",
        "1 if results came by duration, 0 if in the order of their start",
    ),
    ("stall", "the longest delay of that timer in a round"),
    ("timer overshoot", "how late sleeps ended"),
    ("waits at once", "most waits in progress at the same time"),
];

/// What the subject of a table means; `None` for a workload of the user's own.
pub fn meaning(name: &str) -> Option<&'static str> {
    let known = MEANINGS.iter().find(|(subject, _)| {
        name.strip_prefix(subject)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
    });
    known.map(|(_, meaning)| *meaning)
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
