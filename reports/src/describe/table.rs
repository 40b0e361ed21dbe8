//! The columns of the tables of results and of costs, and the text of a cell in each column.
//!
//! The terminal drops columns if there is no room, the page has all of them; both take them from here. Each output
//! decides on widths and alignment.

use photofinish_record::load::Load;

use crate::metrics::{ACHIEVED, OFFERED, RESPONSE_P50, RESPONSE_P99, SampleCount, THROUGHPUT};
use crate::summary::{CellSummary, MetricSummary};
use crate::units;

/// A column of the table of results.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    pub heading: &'static str,
    pub metric: &'static str,
    /// Order in which columns are dropped if there is no room for all: 0 is dropped last.
    pub rank: u8,
}

/// The columns of the table of results under `load`.
pub fn columns(load: Load) -> &'static [Column] {
    const fn column(heading: &'static str, metric: &'static str, rank: u8) -> Column {
        Column {
            heading,
            metric,
            rank,
        }
    }
    const CLOSED: &[Column] = &[
        column("ops/s", THROUGHPUT, 0),
        column("p50", "service_p50_ns", 2),
        column("p99", "service_p99_ns", 3),
        column("p99.9", "service_p999_ns", 6),
        column("CPU/op", "cpu_ns_per_op", 4),
        column("memory", "peak_rss_bytes", 5),
    ];
    const OPEN: &[Column] = &[
        column("offered/s", OFFERED, 8),
        column("ops/s", ACHIEVED, 1),
        column("p50", RESPONSE_P50, 2),
        column("p99", RESPONSE_P99, 0),
        column("p99.9", "response_p999_ns", 4),
        column("service p99", "service_p99_ns", 3),
        column("lag p99", "lag_p99_ns", 5),
        column("CPU/op", "cpu_ns_per_op", 6),
        column("memory", "peak_rss_bytes", 7),
    ];
    match load {
        Load::Closed { .. } => CLOSED,
        Load::Open { .. } => OPEN,
    }
}

/// The columns of the table of results on a page: under open load without those in the table of costs, and without the
/// offered rate, which is shown below the achieved one.
pub fn page_columns(load: Load) -> impl Iterator<Item = &'static Column> {
    let of_costs = |column: &&Column| COSTS.iter().any(|(_, metric)| *metric == column.metric);
    let offered = |column: &&Column| column.metric == OFFERED;
    let open = load.rate_hz().is_some();
    let columns = columns(load).iter();
    columns.filter(move |column| !open || !(of_costs(column) || offered(column)))
}

/// A column of the table of results for wide terminals, shown only if all others have room.
#[derive(Clone, Copy, Debug)]
pub struct ExtraColumn {
    pub heading: &'static str,
    metric: &'static str,
    /// True for the interval of the median, instead of the median.
    is_interval: bool,
}

/// The extra columns under `load`, most important first.
pub fn extra_columns(load: Load) -> [ExtraColumn; 4] {
    let (rate, p99) = match load {
        Load::Closed { .. } => (THROUGHPUT, "service_p99_ns"),
        Load::Open { .. } => (ACHIEVED, RESPONSE_P99),
    };
    let column = |heading, metric, is_interval| ExtraColumn {
        heading,
        metric,
        is_interval,
    };
    [
        column("errors", "errors", false),
        column("ops/s interval", rate, true),
        column("p99 interval", p99, true),
        column("ops", "ops", false),
    ]
}

impl ExtraColumn {
    /// The text of a cell; blank for the interval of a single round.
    pub fn text(&self, cell: &CellSummary) -> String {
        let metric = cell.metric(self.metric);
        match metric.filter(|_| self.is_interval) {
            None => value(metric),
            Some(metric) if metric.confidence == 0.0 => String::new(),
            Some(metric) => units::interval(metric.low, metric.high, |value| {
                units::with_unit(value, &metric.unit)
            }),
        }
    }
}

/// The columns of the table of costs.
pub const COSTS: &[(&str, &str)] = &[
    ("user CPU", "cpu_user_ns_per_op"),
    ("system CPU", "cpu_system_ns_per_op"),
    ("voluntary switches", "voluntary_switches_per_op"),
    ("involuntary switches", "involuntary_switches_per_op"),
    ("page faults", "page_faults_per_op"),
    ("instructions", "instructions_per_op"),
    ("system calls", "syscalls_per_op"),
    ("peak memory", "peak_rss_bytes"),
    ("overhead of the loop", "overhead_ns_per_op"),
];

/// The columns of the table of system calls.
pub const SYSTEM_CALL_COLUMNS: [&str; 4] = ["runtime", "measured", "by design", "reason"];

/// The meaning of the expected numbers.
pub const SYSTEM_CALLS: &str = "By design: for one small request over a kept connection, if the response is not there yet when the \
     runtime looks for it. k is the number of responses that one turn of the event loop handles, 1 with one connection.";

/// The text of a cell in a column of the table of results; a rate that was not held is always marked.
pub fn result(cell: &CellSummary, column: &Column) -> String {
    match column.metric {
        ACHIEVED if cell.rate_held == Some(false) => {
            format!("{} not held", value(cell.metric(ACHIEVED)))
        }
        metric => value(cell.metric(metric)),
    }
}

/// A metric's median for a table, with its mark; `–` if no operation lies beyond the percentile, `n/a` if unknown.
pub fn value(metric: Option<&MetricSummary>) -> String {
    match metric {
        None => "n/a".to_owned(),
        Some(metric) if is_meaningless(metric) => "–".to_owned(),
        Some(metric) => {
            let number = units::with_unit(metric.median, &metric.unit);
            match mark(metric) {
                LOWER => format!("{LOWER}{}", units::tick(&number)),
                mark => format!("{mark}{number}"),
            }
        }
    }
}

/// True if the percentile is no more than the longest time of a few operations.
pub fn is_meaningless(metric: &MetricSummary) -> bool {
    metric.too_few.is_some_and(SampleCount::is_meaningless)
}

const LOWER: &str = "≥ ";

/// The mark before a number: `≥ ` for a lower bound, `~` for too few operations for a percentile.
pub fn mark(metric: &MetricSummary) -> &'static str {
    match metric.too_few {
        _ if metric.lower_bound => LOWER,
        Some(_) => "~",
        None => "",
    }
}
