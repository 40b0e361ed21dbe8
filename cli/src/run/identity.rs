//! The identity check: a comparison of the server's counts with the worker's.
//!
//! Only counts that both sides have are compared. If operations failed (a reset, a deadline) or were cut off by the end
//! of the round, the server may have answered more than the worker saw, but never less. If operations abandoned
//! exchanges on purpose, the server may have answered that many more. Anything sent over a connection that the server
//! had closed is lost, so after reconnects the same holds as after failures. With TLS, the server may have announced the
//! end of each connection to a worker that had already closed it. A scenario's limit of requests in flight is checked here too.

use std::collections::BTreeMap;

use photofinish_harness::runtime::Capability;
use photofinish_harness::runtimes::descriptor;
use photofinish_harness::workload::Failure;
use photofinish_record::{
    InFlight, Measurement, Outcome, Record, RuntimeFamily, RuntimeTraits, ServerCounts, Traffic,
};

/// Failures that are complete exchanges; after any other, neither side knows how far the other got.
const COMPLETE_EXCHANGES: [&str; 3] = [Failure::STATUS, Failure::WRONG_CONTENT, "sql"];

/// Longest close_notify of a TLS connection: an alert, encrypted as in version 1.2.
const CLOSE_NOTIFY_BYTES: u64 = 31;

/// Every disagreement about all targets of a round.
pub fn all_mismatches(
    worker: &Measurement,
    servers: &BTreeMap<String, ServerCounts>,
    in_flight: Option<InFlight>,
    parallel: Parallel,
) -> Vec<String> {
    let of_each = servers.iter();
    let disagreements = of_each
        .clone()
        .flat_map(|(target, counts)| mismatches(target, worker, counts));
    let unexpected = of_each.filter_map(|(target, counts)| {
        unexpected_in_flight(target, in_flight?, parallel, worker, counts)
    });
    disagreements.chain(unexpected).collect()
}

/// Compares the counts of servers that one shard ran for all with the traffic of all, in every round that all have measured.
pub fn compare_merged(record: &mut Record) {
    let all = record
        .shards
        .as_ref()
        .map(|shards| shards.count.get() as usize);
    for round in &mut record.rounds {
        let Outcome::Ok(measured) = &mut round.outcome else {
            continue;
        };
        if Some(measured.shards.len()) != all {
            continue;
        }
        let cell = &record.plan.cells[round.cell];
        let planned = &record.plan.scenarios;
        let scenario = planned
            .iter()
            .find(|scenario| scenario.name == cell.scenario);
        let in_flight = scenario.and_then(|scenario| scenario.in_flight);
        let parallel = Parallel::of(&cell.runtime, record.plan.runtimes.get(&cell.runtime));
        let found = all_mismatches(&measured.worker, &measured.servers, in_flight, parallel);
        for sentence in found {
            if !measured.mismatches.contains(&sentence) {
                measured.mismatches.push(sentence);
            }
        }
    }
}

/// Every disagreement about the target, in one sentence each; empty if the counts agree.
pub fn mismatches(target: &str, worker: &Measurement, server: &ServerCounts) -> Vec<String> {
    let Some(traffic) = worker.traffic.get(target) else {
        return Vec::new();
    };
    let mut kinds = worker.errors.keys().chain(worker.warmup_errors.keys());
    let unfinished = worker.open.as_ref().is_some_and(|open| open.unfinished > 0);
    let lossless = !unfinished && traffic.reconnects == 0;
    let clean = lossless && kinds.all(|kind| COMPLETE_EXCHANGES.contains(&kind.as_str()));
    comparisons(traffic, server)
        .into_iter()
        .filter_map(|comparison| comparison.disagreement(target, clean))
        .collect()
}

/// The difference between the maximum number of requests in flight and the scenario's expectation, in one sentence.
fn unexpected_in_flight(
    target: &str,
    expected: InFlight,
    parallel: Parallel,
    worker: &Measurement,
    server: &ServerCounts,
) -> Option<String> {
    let seen = server.peak_in_flight?;
    let (most, sessions) = (expected.most.get(), worker.sessions);
    if seen > u64::from(most) * u64::from(sessions) {
        return Some(format!(
            "requests in flight ({target}): the server saw {seen} at one time, and {sessions} sessions may have {most} each"
        ));
    }
    let reachable = most.min(parallel.parts(worker));
    (expected.reached && seen < u64::from(reachable)).then(|| {
        format!(
            "requests in flight ({target}): the server never saw more than {seen} at one time, and {reachable} were to be \
             reached"
        )
    })
}

/// Parts of an operation that a runtime can run concurrently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parallel {
    /// One after another.
    One,
    /// As many as there are worker threads.
    Threads,
    All,
}

impl Parallel {
    /// Of the runtime called `name`, which has these traits if it is a lane.
    pub fn of(name: &str, traits: Option<&RuntimeTraits>) -> Self {
        let Some(runtime) = descriptor(name) else {
            let family = traits.map(|traits| traits.family);
            return match family {
                Some(RuntimeFamily::Sequential) => Self::One,
                _ => Self::All,
            };
        };
        let refuses = |capability| runtime.refusal(&[capability]).is_some();
        if refuses(Capability::Concurrency) {
            Self::One
        } else if refuses(Capability::ManyAtOnce) {
            Self::Threads
        } else {
            Self::All
        }
    }

    fn parts(self, worker: &Measurement) -> u32 {
        match self {
            Self::One => 1,
            Self::Threads => worker.worker_threads,
            Self::All => u32::MAX,
        }
    }
}

/// One quantity on both sides.
struct Comparison {
    what: &'static str,
    /// `None` if the worker does not know it.
    worker: Option<u64>,
    server: Option<u64>,
    /// True if it counts what the server sends.
    answers: bool,
    /// Maximum surplus of the server's count, from exchanges that the worker abandoned.
    surplus: u64,
}

fn comparisons(worker: &Traffic, server: &ServerCounts) -> [Comparison; 5] {
    let sent = |what, worker, server| Comparison {
        what,
        worker,
        server,
        answers: false,
        surplus: 0,
    };
    let answered = |what, worker, server| Comparison {
        answers: true,
        ..sent(what, worker, server)
    };
    let bytes_surplus = match worker.abandoned {
        0 => 0,
        _ => u64::MAX,
    };
    let handshakes = worker.full_handshakes + worker.resumed_handshakes;
    [
        Comparison {
            surplus: worker.abandoned,
            ..answered("requests", Some(worker.requests), server.requests)
        },
        Comparison {
            surplus: worker.abandoned_connections,
            ..sent("connections", Some(worker.connections), server.connections)
        },
        answered(
            "transactions",
            Some(worker.transactions),
            server.transactions,
        ),
        Comparison {
            surplus: bytes_surplus,
            ..sent(
                "bytes sent to the server",
                worker.bytes_out,
                server.bytes_in,
            )
        },
        Comparison {
            surplus: bytes_surplus.max(handshakes * CLOSE_NOTIFY_BYTES),
            ..answered(
                "bytes sent by the server",
                worker.bytes_in,
                server.bytes_out,
            )
        },
    ]
}

impl Comparison {
    fn disagreement(&self, target: &str, clean: bool) -> Option<String> {
        let (what, worker, server) = (self.what, self.worker?, self.server?);
        let agrees = match (clean, self.answers) {
            (true, _) => (worker..=worker.saturating_add(self.surplus)).contains(&server),
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

    use photofinish_record::Failures;
    use photofinish_record::latency::Latencies;

    const SAME: ServerCounts = ServerCounts {
        requests: Some(10),
        bytes_in: Some(200),
        bytes_out: Some(3000),
        connections: Some(2),
        transactions: Some(3),
        peak_in_flight: None,
        cpu_user_ns: None,
        cpu_system_ns: None,
    };

    /// A measurement of the same counts, except for what `change` says.
    fn measurement(failure: Option<&str>, change: impl FnOnce(&mut Traffic)) -> Measurement {
        let mut traffic = Traffic {
            requests: 10,
            bytes_out: Some(200),
            bytes_in: Some(3000),
            connections: 2,
            transactions: 3,
            ..Traffic::default()
        };
        change(&mut traffic);
        let failures = Failures {
            count: 1,
            example: String::new(),
            service: Latencies::default(),
        };
        Measurement {
            sessions: 1,
            worker_threads: 1,
            errors: BTreeMap::from_iter(failure.map(|kind| (kind.to_owned(), failures))),
            traffic: BTreeMap::from([("http".to_owned(), traffic)]),
            ..Measurement::default()
        }
    }

    /// Compares with a server of the same counts, except for what `change` says.
    fn check(worker: &Measurement, change: impl FnOnce(&mut ServerCounts), expected: &[&str]) {
        let mut server = SAME;
        change(&mut server);
        assert_eq!(mismatches("http", worker, &server), expected);
    }

    #[test]
    fn a_server_may_announce_the_end_of_each_connection_with_tls_and_send_no_more() {
        let agrees = |secured, sent| {
            let worker = measurement(None, |traffic| traffic.full_handshakes = secured);
            let bytes_out = Some(sent);
            let server = ServerCounts { bytes_out, ..SAME };
            mismatches("http", &worker, &server).is_empty()
        };
        assert!(agrees(2, 3000) && agrees(2, 3062));
        assert!(!agrees(2, 3063) && !agrees(2, 2999) && !agrees(0, 3024));
    }

    #[test]
    fn the_server_may_or_may_not_count_a_connection_abandoned_while_opening() {
        let worker = measurement(None, |traffic| traffic.abandoned_connections = 1);
        let agrees = |accepted| {
            let connections = Some(accepted);
            let server = ServerCounts {
                connections,
                ..SAME
            };
            mismatches("http", &worker, &server).is_empty()
        };
        assert_eq!([1, 2, 3, 4].map(agrees), [false, true, true, false]);
    }

    /// The bytes of a request whose connection turned out to be closed were sent, and not received.
    #[test]
    fn lost_requests_on_a_closed_connection_are_allowed_but_not_surplus_responses() {
        let worker = measurement(None, |traffic| traffic.reconnects = 1);
        check(&worker, |server| server.bytes_in = Some(150), &[]);
        let fewer = ["requests (http): the worker counted 10, the server 9"];
        check(&worker, |server| server.requests = Some(9), &fewer);
    }

    #[test]
    fn equal_counts_agree_and_missing_ones_are_not_compared() {
        for failure in [None, Some("reset")] {
            let worker = measurement(failure, |_| ());
            check(&worker, |_| (), &[]);
            check(&worker, |server| *server = ServerCounts::default(), &[]);
        }
    }

    #[test]
    fn bytes_that_a_worker_does_not_know_are_not_compared() {
        let worker = measurement(None, |traffic| traffic.bytes_out = None);
        check(&worker, |server| server.bytes_in = Some(150), &[]);
        let fewer = ["bytes sent by the server (http): the worker counted 3000, the server 2999"];
        check(&worker, |server| server.bytes_out = Some(2999), &fewer);
    }

    #[test]
    fn a_difference_is_reported_with_both_numbers() {
        let worker = measurement(None, |_| ());
        let requests = ["requests (http): the worker counted 10, the server 11"];
        check(&worker, |server| server.requests = Some(11), &requests);
        let transactions = ["transactions (http): the worker counted 3, the server 2"];
        check(
            &worker,
            |server| server.transactions = Some(2),
            &transactions,
        );
        let bytes = ["bytes sent to the server (http): the worker counted 200, the server 199"];
        check(&worker, |server| server.bytes_in = Some(199), &bytes);
        // A bad status is a complete exchange on both sides.
        let worker = measurement(Some("status"), |_| ());
        check(&worker, |server| server.requests = Some(11), &requests);
    }

    #[test]
    fn after_failed_operations_the_server_may_have_answered_more_but_not_less() {
        let mut in_warmup = measurement(None, |_| ());
        in_warmup.warmup_errors.insert("reset".to_owned(), 1);
        for worker in [measurement(Some("reset"), |_| ()), in_warmup] {
            let more = |server: &mut ServerCounts| {
                server.requests = Some(11);
                server.bytes_in = Some(150);
            };
            check(&worker, more, &[]);
            let fewer = ["requests (http): the worker counted 10, the server 9"];
            check(&worker, |server| server.requests = Some(9), &fewer);
        }
    }

    #[test]
    fn the_server_may_answer_one_more_per_abandoned_exchange() {
        let worker = measurement(None, |traffic| traffic.abandoned = 2);
        check(&worker, |_| (), &[]);
        let all_answered = |server: &mut ServerCounts| {
            server.requests = Some(12);
            server.bytes_out = Some(3100);
        };
        check(&worker, all_answered, &[]);
        let more = |server: &mut ServerCounts| {
            server.requests = Some(13);
            server.bytes_in = Some(199);
            server.connections = Some(3);
        };
        let expected = [
            "requests (http): the worker counted 10, the server 13",
            "connections (http): the worker counted 2, the server 3",
            "bytes sent to the server (http): the worker counted 200, the server 199",
        ];
        check(&worker, more, &expected);
    }

    #[test]
    fn more_or_fewer_requests_in_flight_than_expected_are_reported() {
        let runtime = |name| Parallel::of(name, None);
        let most = std::num::NonZeroU32::new(5).expect("not zero");
        let worker = Measurement {
            sessions: 2,
            worker_threads: 4,
            ..measurement(None, |_| ())
        };
        let check = |name, reached, peak_in_flight, expected: Option<&str>| {
            let server = ServerCounts {
                peak_in_flight,
                ..SAME
            };
            let expectation = InFlight { most, reached };
            let mismatch =
                unexpected_in_flight("http", expectation, runtime(name), &worker, &server);
            assert_eq!(mismatch.as_deref(), expected, "{name} {peak_in_flight:?}");
        };
        check("tokio", true, Some(10), None);
        check("tokio", true, Some(5), None);
        check("tokio", true, None, None);
        check("tokio", false, Some(1), None);
        let too_many = "requests in flight (http): the server saw 11 at one time, and 2 sessions may have 5 each";
        check("tokio", false, Some(11), Some(too_many));
        let too_few = "requests in flight (http): the server never saw more than 4 at one time, and 5 were to be reached";
        check("tokio", true, Some(4), Some(too_few));
        // Four threads cannot have more than four requests in flight.
        check("pool", true, Some(4), None);
        check("sync", true, Some(1), None);
    }
}
