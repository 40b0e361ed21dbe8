//! Proving identity: the server's counts of a round beside the worker's.
//!
//! A pure comparison. Only what both sides know is compared. Where operations failed on the way (a reset, a deadline)
//! or were cut off with the round, the server may rightly have answered more than the worker got to see, but never less; then only that is left to
//! compare.

use photofinish_harness::record::{Measurement, ServerCounts, Traffic};
use photofinish_harness::workload::Failure;

/// Failures that are complete exchanges all the same; after any other, neither side can know how far the other one got.
const COMPLETE_EXCHANGES: [&str; 3] = [Failure::STATUS, Failure::WRONG_CONTENT, "sql"];

/// Every disagreement about the target, in one sentence each; none proves identity.
pub fn mismatches(target: &str, worker: &Measurement, server: &ServerCounts) -> Vec<String> {
    let Some(traffic) = worker.traffic.get(target) else {
        return Vec::new();
    };
    let mut kinds = worker.errors.keys().chain(worker.warmup_errors.keys());
    let unfinished = worker.open.as_ref().is_some_and(|open| open.unfinished > 0);
    let clean = !unfinished && kinds.all(|kind| COMPLETE_EXCHANGES.contains(&kind.as_str()));
    comparisons(traffic, server)
        .into_iter()
        .filter_map(|comparison| comparison.disagreement(target, clean))
        .collect()
}

/// One quantity as both sides saw it.
struct Comparison {
    what: &'static str,
    worker: u64,
    server: Option<u64>,
    /// Whether this is something that travels from the server to the worker.
    answers: bool,
}

fn comparisons(worker: &Traffic, server: &ServerCounts) -> [Comparison; 4] {
    let sent = |what, worker, server| Comparison {
        what,
        worker,
        server,
        answers: false,
    };
    let answered = |what, worker, server| Comparison {
        what,
        worker,
        server,
        answers: true,
    };
    [
        answered("requests", worker.requests, server.requests),
        sent("connections", worker.connections, server.connections),
        sent(
            "bytes sent to the server",
            worker.bytes_out,
            server.bytes_in,
        ),
        answered(
            "bytes sent by the server",
            worker.bytes_in,
            server.bytes_out,
        ),
    ]
}

impl Comparison {
    fn disagreement(&self, target: &str, clean: bool) -> Option<String> {
        let (what, worker, server) = (self.what, self.worker, self.server?);
        let agrees = match (clean, self.answers) {
            (true, _) => worker == server,
            (false, true) => worker <= server,
            (false, false) => true,
        };
        (!agrees)
            .then(|| format!("{what} ({target}): the worker counted {worker}, the server {server}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    use photofinish_harness::latency::Latencies;
    use photofinish_harness::record::{Cost, Failures};

    const TRAFFIC: Traffic = Traffic {
        requests: 10,
        bytes_out: 200,
        bytes_in: 3000,
        connections: 2,
    };
    const SAME: ServerCounts = ServerCounts {
        requests: Some(10),
        bytes_in: Some(200),
        bytes_out: Some(3000),
        connections: Some(2),
        peak_in_flight: None,
        cpu_user_ns: None,
        cpu_system_ns: None,
    };

    fn measurement(failure: Option<&str>) -> Measurement {
        let failures = Failures {
            count: 1,
            example: String::new(),
            service: Latencies::default(),
        };
        Measurement {
            sessions: 1,
            worker_threads: 1,
            runtime_facts: BTreeMap::new(),
            ops: 10,
            warmup_ops: 0,
            warmup_errors: BTreeMap::new(),
            elapsed_ns: 1,
            session_ns: 1,
            throughput_ops_s: 1.0,
            service: Latencies::default(),
            open: None,
            floor: None,
            observed: BTreeMap::new(),
            gauges: BTreeMap::new(),
            errors: BTreeMap::from_iter(failure.map(|kind| (kind.to_owned(), failures))),
            traffic: BTreeMap::from([("http".to_owned(), TRAFFIC)]),
            cost: Cost::default(),
            violations: Vec::new(),
        }
    }

    fn check(failure: Option<&str>, server: ServerCounts, expected: &[&str]) {
        assert_eq!(mismatches("http", &measurement(failure), &server), expected);
    }

    #[test]
    fn equal_counts_prove_identity() {
        check(None, SAME, &[]);
        check(Some("reset"), SAME, &[]);
    }

    #[test]
    fn a_failure_in_the_warm_up_counts_like_one_in_the_measurement() {
        let mut worker = measurement(None);
        worker.warmup_errors.insert("reset".to_owned(), 1);
        let server = ServerCounts {
            requests: Some(11),
            ..SAME
        };
        assert_eq!(mismatches("http", &worker, &server), Vec::<String>::new());
    }

    #[test]
    fn what_the_server_cannot_know_is_not_compared() {
        check(None, ServerCounts::default(), &[]);
    }

    #[test]
    fn a_difference_is_told_with_both_numbers() {
        let server = ServerCounts {
            requests: Some(11),
            ..SAME
        };
        check(
            None,
            server,
            &["requests (http): the worker counted 10, the server 11"],
        );
        let server = ServerCounts {
            bytes_in: Some(199),
            ..SAME
        };
        check(
            None,
            server,
            &["bytes sent to the server (http): the worker counted 200, the server 199"],
        );
    }

    #[test]
    fn a_bad_status_is_a_complete_exchange_on_both_sides() {
        let server = ServerCounts {
            requests: Some(11),
            ..SAME
        };
        check(
            Some("status"),
            server,
            &["requests (http): the worker counted 10, the server 11"],
        );
    }

    #[test]
    fn after_failed_operations_the_server_may_have_answered_more_but_not_less() {
        check(
            Some("reset"),
            ServerCounts {
                requests: Some(11),
                bytes_in: Some(150),
                ..SAME
            },
            &[],
        );
        let server = ServerCounts {
            requests: Some(9),
            ..SAME
        };
        check(
            Some("reset"),
            server,
            &["requests (http): the worker counted 10, the server 9"],
        );
    }
}
