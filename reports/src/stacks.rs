//! Stack against stack: the best runtime of each language under the same load, cost first.
//!
//! Nothing is judged here. Runtimes are compared within their stack; across stacks most of a difference is the interpreter and
//! the client library, and CPU time per operation is the fairest number. `describe` has that sentence.

use crate::describe;
use crate::report::Report;
use crate::summary::Group;

/// Headings of the table's columns.
pub(crate) const HEADINGS: [&str; 6] = ["load", "stack", "best median", "CPU/op", "ops/s", "p50"];

/// The metrics of the last three columns.
const METRICS: [&str; 3] = ["cpu_ns_per_op", "throughput_ops_s", "service_p50_ns"];

/// The stack of runtimes in this program.
const OWN: &str = "Rust";

/// The rows of the table, in texts under [`HEADINGS`]; none without a scenario that two stacks have measured.
pub(crate) fn rows(report: &Report<'_>) -> Vec<[String; 6]> {
    let groups = report.summary.groups();
    let measured = groups.iter().filter(|group| !group.choices().is_empty());
    let measured: Vec<&Group<'_>> = measured.collect();
    let several = |group: &&&Group<'_>| {
        measured
            .iter()
            .any(|other| is_same_work(group, other) && other.stack != group.stack)
    };
    let mut compared: Vec<&Group<'_>> = measured.iter().filter(several).copied().collect();
    let first = |group: &Group<'_>| measured.iter().position(|other| is_same_work(group, other));
    compared.sort_by_key(|group| first(group));
    compared.into_iter().map(row).collect()
}

fn is_same_work(a: &Group<'_>, b: &Group<'_>) -> bool {
    (a.scenario, a.load, a.arm) == (b.scenario, b.load, b.arm)
}

fn row(group: &Group<'_>) -> [String; 6] {
    let best = group.choices()[0];
    let [cpu, throughput, p50] = METRICS.map(|metric| describe::value(best.metric(metric)));
    let load = describe::point(group.load, group.arm, None);
    [
        format!("{}, {load}", group.scenario),
        group.stack.unwrap_or(OWN).to_owned(),
        best.runtime.clone(),
        cpu,
        throughput,
        p50,
    ]
}
