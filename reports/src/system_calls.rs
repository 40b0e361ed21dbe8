//! System calls of a request: what was measured beside what each runtime's design takes.
//!
//! Expectations travel in the plan, and are those of one small request over a kept connection: they are shown only for a load
//! whose operations are that. `describe` has the words.

use photofinish_record::{ExpectedSystemCalls, Measurement};

use crate::rounds::Rounds;
use crate::summary::{CellSummary, Group, MetricSummary};

/// The metric of the measured number.
const MEASURED: &str = "syscalls_per_op";

/// Largest distance from one request per operation, as a share: a reference response may have been fetched first.
const TOLERANCE: f64 = 0.05;

/// A runtime's measured number and its expectation.
pub(crate) struct Row<'a> {
    pub(crate) runtime: &'a str,
    pub(crate) measured: Option<&'a MetricSummary>,
    pub(crate) expected: &'a ExpectedSystemCalls,
}

/// The runtimes of a group with an expectation, best first; none unless each operation is one request over a kept connection.
pub(crate) fn rows<'a>(rounds: &Rounds<'a>, group: &Group<'a>) -> Vec<Row<'a>> {
    let ranked = group.ranked();
    let rows = ranked.into_iter().filter_map(|cell| {
        let expected = rounds
            .plan
            .runtimes
            .get(&cell.runtime)?
            .system_calls
            .as_ref()?;
        makes_single_requests(rounds, cell).then(|| Row {
            runtime: &cell.runtime,
            measured: cell.metric(MEASURED),
            expected,
        })
    });
    rows.collect()
}

fn makes_single_requests(rounds: &Rounds<'_>, cell: &CellSummary) -> bool {
    let Some(index) = rounds.index_of(cell) else {
        return false;
    };
    let mut measured = rounds.measured(index).peekable();
    measured.peek().is_some() && measured.all(|round| is_single_requests(&round.worker))
}

/// True if operations and requests are as many, connections are kept, and nothing is encrypted, which would change the calls.
fn is_single_requests(worker: &Measurement) -> bool {
    let operations = (worker.ops + worker.warmup_ops) as f64;
    let mut targets = worker.traffic.values();
    let (Some(traffic), None) = (targets.next(), targets.next()) else {
        return false;
    };
    let is_one_each = (traffic.requests as f64 / operations - 1.0).abs() <= TOLERANCE;
    let is_kept = 2 * traffic.connections <= traffic.requests;
    let is_plain = traffic.full_handshakes + traffic.resumed_handshakes == 0;
    operations > 0.0 && is_one_each && is_kept && is_plain
}
