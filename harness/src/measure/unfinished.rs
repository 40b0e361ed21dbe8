//! Sessions whose operations never ended: the sentence that says so, and the advice.

use std::collections::BTreeMap;
use std::time::Duration;

use photofinish_record::Traffic;
use photofinish_record::protocol::WorkerResult;

use super::recordings::Activity;

/// The sessions of a phase cut off with operations in flight.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stuck {
    pub(super) sessions: usize,
    /// Still in an operation.
    pub(super) stuck: usize,
    /// Of these, the ones without a completed operation in the phase.
    pub(super) never: usize,
}

impl Stuck {
    pub(super) fn of(activities: &[Activity]) -> Self {
        let stuck = activities.iter().filter(|activity| !activity.returned);
        Self {
            sessions: activities.len(),
            stuck: stuck.clone().count(),
            never: stuck.filter(|activity| activity.last_end.is_none()).count(),
        }
    }

    /// True if some sessions have returned, and the others never completed an operation.
    pub(super) fn starve(self) -> bool {
        let Self {
            sessions,
            stuck,
            never,
        } = self;
        never > 0 && never == stuck && stuck < sessions
    }
}

/// Traffic of a round before its first phase.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SetUp {
    /// Mean time of a response; `None` without any.
    pub(super) response: Option<Duration>,
    /// Requests answered while the workload was prepared.
    pub(super) requests: u64,
    /// Connections opened for that.
    pub(super) connections: u64,
    /// Connections of all sessions that were opened together with the sessions.
    pub(super) of_sessions: u64,
}

impl SetUp {
    /// After the workload was prepared, which took `elapsed`.
    pub(super) fn prepared(elapsed: Duration, traffic: &BTreeMap<String, Traffic>) -> Self {
        let (requests, connections) = counts(traffic);
        Self {
            response: (requests > 0).then(|| elapsed.div_f64(requests as f64)),
            requests,
            connections,
            of_sessions: 0,
        }
    }

    /// After the sessions were opened.
    pub(super) fn opened(self, traffic: &BTreeMap<String, Traffic>) -> Self {
        Self {
            of_sessions: counts(traffic).1 - self.connections,
            ..self
        }
    }
}

/// Requests answered and connections opened.
fn counts(traffic: &BTreeMap<String, Traffic>) -> (u64, u64) {
    let requests = traffic.values().map(|traffic| traffic.requests).sum();
    let connections = traffic.values().map(|traffic| traffic.connections).sum();
    (requests, connections)
}

/// Minimum time of an operation that is slow rather than unserved.
const SLOW: Duration = Duration::from_secs(1);

/// A phase cut off with operations in flight.
pub(super) struct Unfinished {
    /// True for the warm-up.
    pub(super) warmup: bool,
    pub(super) sessions: Stuck,
    /// Mean time of the operations completed in the phase; `None` without any.
    pub(super) operation: Option<Duration>,
    pub(super) set_up: SetUp,
    /// Operations completed in the phase.
    pub(super) ended: u64,
    /// Traffic of the round so far, by target.
    pub(super) traffic: BTreeMap<String, Traffic>,
    /// Time since the phase's start.
    pub(super) waited: Duration,
}

/// Reasons why sessions wait.
enum Cause {
    /// Operations take this long.
    Slow(Duration),
    /// The others wait for connections that are not served.
    FewConnections,
    /// The server responded before, and promptly.
    Silent,
    Unknown,
}

impl Unfinished {
    /// One sentence.
    pub(super) fn reason(&self) -> String {
        let Stuck {
            sessions,
            stuck,
            never,
        } = self.sessions;
        let phase = if self.warmup {
            "warm-up"
        } else {
            "measured phase"
        };
        let waited = format!("{:.1} s of the {phase}", self.waited.as_secs_f64());
        let (so_far, cause) = (self.so_far(), self.explanation());
        let each = match self.connections_each() {
            0 | 1 => String::new(),
            each => format!(" of {each} connections each"),
        };
        if counts(&self.traffic).1 == 0 {
            format!(
                "{stuck} of {sessions} sessions were still in an operation after {waited} ({so_far})"
            )
        } else if self.warmup && never == 0 {
            format!(
                "{stuck} of {sessions} sessions were still in an operation after {waited} ({so_far}); {cause}"
            )
        } else if !self.warmup {
            format!(
                "{stuck} of {sessions} sessions{each} got no more responses in {waited} ({so_far}); {cause}"
            )
        } else if self.answered() > 0 && self.ended == 0 {
            format!(
                "{never} of {sessions} sessions{each} did not complete an operation in {waited} ({so_far}); {cause}"
            )
        } else {
            format!(
                "{never} of {sessions} sessions{each} connected but never got a response in {waited} ({so_far}); {cause}"
            )
        }
    }

    fn so_far(&self) -> String {
        let bytes: u64 = self
            .traffic
            .values()
            .filter_map(|traffic| traffic.bytes_in)
            .sum();
        if self.traffic.is_empty() {
            format!("{} operations completed", self.ended)
        } else {
            format!(
                "{} operations completed, {bytes} bytes received",
                self.ended
            )
        }
    }

    /// Connections of each session; 0 if unknown.
    fn connections_each(&self) -> u64 {
        let opened = match (self.set_up.of_sessions, self.ended) {
            (0, 0) => counts(&self.traffic).1 - self.set_up.connections,
            (opened, _) => opened,
        };
        opened / self.sessions.sessions.max(1) as u64
    }

    /// Requests answered since the workload was prepared.
    fn answered(&self) -> u64 {
        counts(&self.traffic).0 - self.set_up.requests
    }

    fn cause(&self) -> Cause {
        let some_wait = self.warmup && self.sessions.starve();
        let known = self.operation.or(self.set_up.response);
        match known {
            Some(time) if time >= SLOW => Cause::Slow(time),
            _ if some_wait || (self.ended == 0 && self.answered() > 0) => Cause::FewConnections,
            Some(_) => Cause::Silent,
            None => Cause::Unknown,
        }
    }

    fn explanation(&self) -> String {
        let Stuck {
            sessions, never, ..
        } = self.sessions;
        let each = self.connections_each();
        match self.cause() {
            Cause::Slow(time) => {
                format!(
                    "a response takes {:.1} s, longer than the phase has room for",
                    time.as_secs_f64()
                )
            }
            Cause::FewConnections if each > 1 => format!(
                "the server seems to serve fewer than {} connections at a time",
                each * sessions as u64
            ),
            Cause::FewConnections => match sessions - never {
                0 | 1 => "the server seems to serve one connection at a time".to_owned(),
                served => {
                    format!("the server seems to serve only {served} connections at a time")
                }
            },
            Cause::Silent => {
                "the server stopped responding, or serves fewer connections than there are"
                    .to_owned()
            }
            Cause::Unknown => {
                "the server hangs, serves fewer connections than there are, or takes that long"
                    .to_owned()
            }
        }
    }

    fn hint(&self) -> String {
        let Stuck {
            sessions, never, ..
        } = self.sessions;
        let (served, each) = (sessions - never, self.connections_each());
        match self.cause() {
            Cause::Slow(time) => {
                // Room for four of them, in steps of 10 s.
                let seconds = (time.as_secs() * 4).next_multiple_of(10).max(10);
                format!(
                    "give each session time for several responses: --duration {seconds}s --set load.warmup={seconds}s"
                )
            }
            Cause::FewConnections if served > 0 => {
                format!("use --concurrency {served}, or let the server serve more connections")
            }
            Cause::FewConnections if each > 1 => format!(
                "let the server serve {} connections at a time, {each} for each session",
                each * sessions as u64
            ),
            Cause::FewConnections | Cause::Silent => {
                "check the server's log, and try one request by hand".to_owned()
            }
            Cause::Unknown => {
                "try one request by hand; operations that take seconds need a longer --duration"
                    .to_owned()
            }
        }
    }

    /// The result of a round whose warm-up did not end.
    pub(super) fn failed(&self) -> WorkerResult {
        WorkerResult::failed(self.reason(), Some(self.hint()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unfinished(warmup: bool, connections: u64, sessions: Stuck) -> Unfinished {
        let traffic = Traffic {
            connections,
            bytes_in: Some(77),
            ..Traffic::default()
        };
        Unfinished {
            warmup,
            sessions,
            operation: None,
            set_up: SetUp::default(),
            ended: 9,
            traffic: BTreeMap::from([("http".to_owned(), traffic)]),
            waited: Duration::from_millis(8_600),
        }
    }

    fn of_16(stuck: usize, never: usize) -> Stuck {
        Stuck {
            sessions: 16,
            stuck,
            never,
        }
    }

    fn check(unfinished: &Unfinished, expected: [&str; 3]) {
        let (reason, hint) = (unfinished.reason(), unfinished.hint());
        let [start, cause, advice] = expected;
        assert!(reason.starts_with(start), "{reason}");
        assert!(reason.contains("77 bytes"), "{reason}");
        assert!(reason.contains(cause), "{reason}");
        assert!(hint.contains(advice), "{hint}");
    }

    #[test]
    fn waiting_sessions_are_counted_and_the_likely_cause_is_named() {
        let never = "15 of 16 sessions connected but never got a response in 8.6 s of the warm-up";
        let one = "one connection at a time";
        check(
            &unfinished(true, 16, of_16(15, 15)),
            [never, one, "--concurrency 1,"],
        );
        let unknown = "the server hangs, serves fewer";
        check(
            &unfinished(true, 16, of_16(16, 15)),
            [never, unknown, "by hand"],
        );
        let none = "16 of 16 sessions connected but never got a response";
        check(
            &unfinished(true, 16, of_16(16, 16)),
            [none, unknown, "by hand"],
        );
        let fallen_silent = "15 of 16 sessions got no more responses in 8.6 s of the measured";
        check(
            &unfinished(false, 16, of_16(15, 10)),
            [fallen_silent, unknown, "by hand"],
        );
        let slow = "4 of 16 sessions were still in an operation after 8.6 s of the warm-up";
        check(
            &unfinished(true, 16, of_16(4, 0)),
            [slow, unknown, "longer --duration"],
        );
        check(&unfinished(true, 0, of_16(4, 1)), [slow, "", "by hand"]);
    }

    #[test]
    fn a_slow_server_is_not_a_silent_one() {
        let none = "16 of 16 sessions connected but never got a response in 8.6 s";
        let after = |response_s: f64| Unfinished {
            set_up: SetUp {
                response: Some(Duration::from_secs_f64(response_s)),
                ..SetUp::default()
            },
            ended: 0,
            ..unfinished(true, 16, of_16(16, 16))
        };
        let slow = after(9.0);
        check(
            &slow,
            [
                none,
                "a response takes 9.0 s",
                "--duration 40s --set load.warmup=40s",
            ],
        );
        let silent = after(0.002);
        check(&silent, [none, "the server stopped responding", "log"]);
        assert!(!silent.hint().contains("--duration"));
        // The operations of the phase count for more than those of set-up.
        let operation = Some(Duration::from_secs(5));
        let slowed = Unfinished {
            operation,
            ..silent
        };
        check(&slowed, [none, "a response takes 5.0 s", "--duration 20s"]);
    }

    #[test]
    fn connections_are_counted_where_a_session_has_several() {
        let opened = |ended, requests, sessions| {
            let mut fan_out = unfinished(true, 48, sessions);
            fan_out.traffic.get_mut("http").expect("there").requests = requests;
            fan_out.set_up.of_sessions = 48;
            Unfinished { ended, ..fan_out }
        };
        let incomplete = "16 of 16 sessions of 3 connections each did not complete an operation in";
        let few = "fewer than 48 connections at a time";
        check(
            &opened(0, 1, of_16(16, 16)),
            [
                incomplete,
                few,
                "serve 48 connections at a time, 3 for each",
            ],
        );
        let starved = "15 of 16 sessions of 3 connections each connected but never got a response";
        check(
            &opened(9, 27, of_16(15, 15)),
            [starved, few, "--concurrency 1,"],
        );
    }
}
