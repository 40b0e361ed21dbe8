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
}

/// A phase cut off with operations in flight.
pub(super) struct Unfinished {
    /// True for the warm-up.
    pub(super) warmup: bool,
    pub(super) sessions: Stuck,
    /// Operations completed in the phase.
    pub(super) ended: u64,
    /// Traffic of the round so far, by target.
    pub(super) traffic: BTreeMap<String, Traffic>,
    /// Time since the phase's start.
    pub(super) waited: Duration,
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
        let so_far = self.so_far();
        let connected = self.traffic.values().any(|traffic| traffic.connections > 0);
        let slow = "the server hangs, serves fewer connections than there are, or takes that long";
        if !connected || (self.warmup && never == 0) {
            format!(
                "{stuck} of {sessions} sessions were still in an operation after {waited} ({so_far})"
            )
        } else if !self.warmup {
            format!(
                "{stuck} of {sessions} sessions got no more responses in {waited} ({so_far}); {slow}"
            )
        } else {
            let cause = match sessions - never {
                0 => slow.to_owned(),
                1 => "the server seems to serve one connection at a time".to_owned(),
                served => {
                    format!("the server seems to serve only {served} connections at a time")
                }
            };
            format!(
                "{never} of {sessions} sessions connected but never got a response in {waited} ({so_far}); {cause}"
            )
        }
    }

    fn so_far(&self) -> String {
        let bytes: u64 = self.traffic.values().map(|traffic| traffic.bytes_in).sum();
        if self.traffic.is_empty() {
            format!("{} operations completed", self.ended)
        } else {
            format!(
                "{} operations completed, {bytes} bytes received",
                self.ended
            )
        }
    }

    /// The result of a round whose warm-up did not end.
    pub(super) fn failed(&self) -> WorkerResult {
        let Stuck {
            sessions, never, ..
        } = self.sessions;
        let served = sessions - never;
        WorkerResult::Failed {
            reason: self.reason(),
            hint: Some(if never > 0 && served > 0 {
                format!("use --concurrency {served}, or let the server serve more connections")
            } else {
                "try one request by hand; operations that take seconds need a longer --duration"
                    .to_owned()
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(warmup: bool, connections: u64, sessions: Stuck, expected: &str) {
        let traffic = Traffic {
            connections,
            bytes_in: 77,
            ..Traffic::default()
        };
        let unfinished = Unfinished {
            warmup,
            sessions,
            ended: 9,
            traffic: BTreeMap::from([("http".to_owned(), traffic)]),
            waited: Duration::from_millis(8_600),
        };
        let reason = unfinished.reason();
        assert!(reason.starts_with(expected), "{reason}");
        assert!(
            reason.contains("9 operations completed, 77 bytes"),
            "{reason}"
        );
    }

    #[test]
    fn sessions_that_wait_are_counted_and_the_likely_cause_is_named() {
        let of_16 = |stuck, never| Stuck {
            sessions: 16,
            stuck,
            never,
        };
        let never = "15 of 16 sessions connected but never got a response in 8.6 s of the warm-up";
        check(true, 16, of_16(15, 15), never);
        check(true, 16, of_16(16, 15), never);
        let none = "16 of 16 sessions connected but never got a response";
        check(true, 16, of_16(16, 16), none);
        let fallen_silent = "15 of 16 sessions got no more responses in 8.6 s of the measured";
        check(false, 16, of_16(15, 10), fallen_silent);
        let slow = "4 of 16 sessions were still in an operation after 8.6 s of the warm-up";
        check(true, 16, of_16(4, 0), slow);
        check(true, 0, of_16(4, 1), slow);
    }
}
