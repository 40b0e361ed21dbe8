//! How often a round's operations asked their target, held against how often they had to.
//!
//! Checking every answer does not show that each was asked for: one that is still in a buffer from the last operation is
//! as right as a new one. So the exchanges of a round are counted where they are made, beginning with the first operation;
//! that the server counted as many is compared by whoever sees both sides. Where an operation failed nobody knows how far
//! it had come, and nothing is said.

use std::sync::OnceLock;

use photofinish_harness::workload::{Env, Totals};
use photofinish_record::Traffic;

/// What was asked of one target.
#[derive(Debug)]
pub(super) struct Asked {
    target: &'static str,
    /// What went over before any operation.
    before: OnceLock<Traffic>,
}

impl Asked {
    /// Of the target with this name, from the beginning of the round on.
    pub(super) const fn of(target: &'static str) -> Self {
        Self {
            target,
            before: OnceLock::new(),
        }
    }

    /// What was asked so far belongs to no operation.
    pub(super) fn begin<R>(&self, env: &Env<R>) {
        self.before.get_or_init(|| self.so_far(env));
    }

    /// What is wrong where each operation asks as often as that.
    pub(super) fn judge<R>(&self, env: &Env<R>, totals: Totals, each: u64) -> Option<String> {
        self.judge_beside(env, totals, each, 0)
    }

    /// As [`Asked::judge`], where each connection begins with an exchange that is no operation's.
    pub(super) fn judge_beside_logins<R>(
        &self,
        env: &Env<R>,
        totals: Totals,
        each: u64,
    ) -> Option<String> {
        let before = self.before().connections;
        let logins = self.so_far(env).connections.saturating_sub(before);
        self.judge_beside(env, totals, each, logins)
    }

    /// As [`Asked::judge`], where `beside` exchanges since then are no operation's.
    pub(super) fn judge_beside<R>(
        &self,
        env: &Env<R>,
        totals: Totals,
        each: u64,
        beside: u64,
    ) -> Option<String> {
        let all = self.so_far(env).requests;
        let asked = all.saturating_sub(self.before().requests + beside);
        wrong_number(self.target, asked, totals, each)
    }

    fn so_far<R>(&self, env: &Env<R>) -> Traffic {
        env.traffic[self.target].snapshot()
    }

    fn before(&self) -> Traffic {
        self.before.get().copied().unwrap_or_default()
    }
}

fn wrong_number(target: &str, asked: u64, totals: Totals, each: u64) -> Option<String> {
    let Totals {
        succeeded, failed, ..
    } = totals;
    let expected = succeeded * each;
    (failed == 0 && asked != expected).then(|| {
        format!(
            "{succeeded} operations asked {asked} times ({target}), and of {each} each they make {expected}"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_nobody_asked_for_and_one_that_was_asked_for_twice_are_caught() {
        let told = |asked, failed| {
            let totals = Totals {
                sessions: 2,
                succeeded: 10,
                failed,
            };
            wrong_number("http", asked, totals, 3)
        };
        assert_eq!(told(30, 0), None);
        for asked in [29, 31] {
            let wrong = told(asked, 0).expect("caught");
            let expected =
                format!("10 operations asked {asked} times (http), and of 3 each they make 30");
            assert_eq!(wrong, expected);
        }
        // Of a failed operation nobody knows how often it asked.
        assert_eq!(told(32, 1), None);
    }
}
