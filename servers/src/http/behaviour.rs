//! The behaviour of the server `http`: the options of a scenario, and the script made from them.
//!
//! The texts of a scenario ([`HttpBehaviour`]) are checked once and become a [`Script`], which returns the fate of each
//! operation by its number: a delay, a status, a fault. Nothing here touches a socket. Distributions of delays are in
//! `delay.rs`; read `draws.rs` next.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time;

use hyper::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;

use super::delay::{Delay, DelayText};
use super::draws::{Draws, Stream};
use crate::faults::Fault;
use crate::{BehaviourError, read_behaviour};

/// The behaviour of the server `http`. Delays hold for `/bytes`, `/text` and `/echo`; the status mix and the faults
/// for `/bytes` and `/text`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct HttpBehaviour {
    /// Seeds every draw.
    seed: u64,
    /// Delay of a response; none by default.
    delay: Option<DelayText>,
    /// Statuses other than 200, with their shares of all operations.
    status: Vec<StatusShare>,
    /// Faults in place of a response, with their shares of all operations.
    faults: Vec<FaultShare>,
    /// Maximum number of concurrent streams on an HTTP/2 connection, 200 by default.
    max_streams: Option<u32>,
    /// Number of requests on an HTTP/2 connection after which the server sends GOAWAY; never by default.
    goaway_after: Option<u64>,
}

impl Default for HttpBehaviour {
    fn default() -> Self {
        HttpBehaviour {
            seed: 1,
            delay: None,
            status: Vec::new(),
            faults: Vec::new(),
            max_streams: None,
            goaway_after: None,
        }
    }
}

/// A status, and how many operations meet it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct StatusShare {
    /// From 200 to 599.
    #[schemars(range(min = 200, max = 599))]
    code: u16,
    /// From 0 to 1.
    #[schemars(range(min = 0, max = 1))]
    share: f64,
}

/// A fault, and how many operations meet it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct FaultShare {
    fault: Fault,
    /// From 0 to 1.
    #[schemars(range(min = 0, max = 1))]
    share: f64,
}

/// The delay, status or fault of one operation.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Fate {
    pub(super) delay: Option<time::Duration>,
    pub(super) status: Option<StatusCode>,
    pub(super) fault: Option<Fault>,
}

/// Limits of HTTP/2 connections.
#[derive(Debug, Clone, Copy)]
pub(super) struct Http2Limits {
    pub(super) max_streams: Option<u32>,
    /// Requests before GOAWAY.
    pub(super) goaway_after: Option<u64>,
}

/// A checked behaviour, ready to be queried for each operation.
#[derive(Debug)]
pub(super) struct Script {
    draws: Draws,
    delay: Option<Delay>,
    status: Vec<(StatusCode, f64)>,
    faults: Vec<(Fault, f64)>,
    pub(super) http2: Http2Limits,
    /// True if nothing is scripted, so that no request pays for a draw.
    plain: bool,
    /// Number of operations that arrived without a number.
    arrivals: AtomicU64,
}

impl Script {
    /// Checks a behaviour.
    pub(super) fn read(behaviour: &serde_json::Value) -> Result<Self, BehaviourError> {
        let HttpBehaviour {
            seed,
            delay,
            status,
            faults,
            max_streams,
            goaway_after,
        } = read_behaviour(behaviour)?;
        let delay = delay.map(DelayText::check).transpose()?;
        let status = check_status(&status)?;
        check_shares("faults", faults.iter().map(|fault| fault.share))?;
        let faults: Vec<_> = faults
            .into_iter()
            .map(|entry| (entry.fault, entry.share))
            .collect();
        let plain = delay.is_none() && status.is_empty() && faults.is_empty();
        Ok(Script {
            draws: Draws::new(seed),
            delay,
            status,
            faults,
            http2: Http2Limits {
                max_streams,
                goaway_after,
            },
            plain,
            arrivals: AtomicU64::new(0),
        })
    }

    /// The fate of operation `op`; without a number, its position in order of arrival is used.
    pub(super) fn fate(&self, op: Option<u64>) -> Fate {
        if self.plain {
            return Fate::default();
        }
        let op = op.unwrap_or_else(|| self.arrivals.fetch_add(1, Relaxed));
        Fate {
            delay: self.delay.map(|delay| delay.draw(self.draws, op)),
            status: pick(&self.status, self.draws.uniform(Stream::Status, op)),
            fault: pick(&self.faults, self.draws.uniform(Stream::Fault, op)),
        }
    }
}

/// The entry in whose share of [0, 1) the draw falls, if any.
fn pick<T: Copy>(entries: &[(T, f64)], draw: f64) -> Option<T> {
    let mut upper = 0.0;
    entries.iter().find_map(|&(value, share)| {
        upper += share;
        (draw < upper).then_some(value)
    })
}

fn check_status(entries: &[StatusShare]) -> Result<Vec<(StatusCode, f64)>, BehaviourError> {
    check_shares("status", entries.iter().map(|entry| entry.share))?;
    let check = |(index, entry): (usize, &StatusShare)| match final_status(entry.code) {
        Some(code) => Ok((code, entry.share)),
        None => {
            let message = format!(
                "{} is not a final HTTP status; use one from 200 to 599",
                entry.code
            );
            Err(BehaviourError::at(
                ["status", &index.to_string(), "code"],
                message,
            ))
        }
    };
    entries.iter().enumerate().map(check).collect()
}

/// The status with that code, if it can end an exchange: 1xx statuses only announce one.
pub(super) fn final_status(code: u16) -> Option<StatusCode> {
    if (200..=599).contains(&code) {
        StatusCode::from_u16(code).ok()
    } else {
        None
    }
}

fn check_shares(list: &str, shares: impl Iterator<Item = f64>) -> Result<(), BehaviourError> {
    let mut sum = 0.0;
    for (index, share) in shares.enumerate() {
        if !(0.0..=1.0).contains(&share) {
            let path = [list, &index.to_string(), "share"];
            return Err(BehaviourError::at(
                path,
                format!("a share lies between 0 and 1, not at {share}"),
            ));
        }
        sum += share;
    }
    // Shares such as ten times 0.1 add up to slightly more than 1 in binary.
    if sum > 1.0 + 1e-9 {
        return Err(BehaviourError::at(
            [list],
            format!("the shares add up to {sum}, which is more than 1"),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// A behaviour, the path of its mistake, a part of the message, and the valid names.
    const MISTAKES: &str = r#"
        {"sede": 1} | sede | unknown field | seed delay status faults max_streams goaway_after
        {"seed": "x"} | seed | expected u64 |
        {"delay": 20} | delay | a duration such as |
        {"delay": "20"} | delay | a number and its unit |
        {"delay": {"distribution": "unifrom"}} | delay.distribution | unknown variant | uniform exponential lognormal
        {"delay": {"distribution": "uniform", "low": "1ms"}} | delay | needs `high` |
        {"delay": {"distribution": "uniform", "mean": "1ms"}} | delay.mean | not a parameter of this | low high
        {"delay": {"distribution": "uniform", "low": "3ms", "high": "1ms"}} | delay.high | below `low` |
        {"delay": {"distribution": "exponential", "mean": 5}} | delay.mean | invalid type |
        {"delay": {"distribution": "lognormal", "median": "5ms", "sigma": -1}} | delay.sigma | from 0 up |
        {"status": [{"code": 503, "sare": 0.1}]} | status.0.sare | unknown field | code share
        {"status": [{"code": 100, "share": 0.1}]} | status.0.code | not a final |
        {"status": [{"code": 503, "share": 1.1}]} | status.0.share | between 0 and 1 |
        {"status": [{"code": 503, "share": 0.6}, {"code": 404, "share": 0.6}]} | status | more than 1 |
        {"faults": [{"fault": "explode", "share": 0.6}]} | faults.0.fault | unknown variant | reset close truncate garbage
    "#;

    #[test]
    fn a_mistake_is_reported_with_its_path_and_the_valid_names() {
        for case in MISTAKES.trim().lines() {
            let parts: Vec<&str> = case.split('|').map(str::trim).collect();
            let [behaviour, path, message, expected] = parts[..] else {
                panic!("not four parts: {case}");
            };
            let behaviour = serde_json::from_str(behaviour).expect(case);
            let error = Script::read(&behaviour).expect_err(case);
            assert_eq!(error.path.join("."), path, "{case}: {error}");
            assert!(error.message.contains(message), "{case}: {error}");
            assert_eq!(error.expected.join(" "), expected, "{case}: {error}");
        }
    }

    #[test]
    fn an_operations_faults_do_not_depend_on_its_arrival() {
        let behaviour = json!({
            "seed": 5,
            "delay": {"distribution": "lognormal", "median": "5ms", "sigma": 0.5},
            "status": [{"code": 503, "share": 0.3}, {"code": 404, "share": 0.2}],
            "faults": [{"fault": "reset", "share": 0.1}],
        });
        let (forwards, backwards) = (
            Script::read(&behaviour).unwrap(),
            Script::read(&behaviour).unwrap(),
        );
        let ahead: Vec<_> = (0..1000).map(|op| forwards.fate(Some(op))).collect();
        let mut behind: Vec<_> = (0..1000).rev().map(|op| backwards.fate(Some(op))).collect();
        behind.reverse();
        assert_eq!(ahead, behind);
        let by_arrival: Vec<_> = (0..1000).map(|_| forwards.fate(None)).collect();
        assert_eq!(ahead, by_arrival);
    }

    #[test]
    fn shares_of_operations_match_the_scenario() {
        let script = Script::read(&json!({
            "status": [{"code": 503, "share": 0.25}, {"code": 404, "share": 0.5}],
        }))
        .unwrap();
        let met = |code| {
            (0..10_000)
                .filter(|op| script.fate(Some(*op)).status.is_some_and(|s| s == code))
                .count()
        };
        assert!((2300..2700).contains(&met(503)), "{}", met(503));
        assert!((4700..5300).contains(&met(404)), "{}", met(404));
    }

    #[test]
    fn an_empty_behaviour_is_valid() {
        for nothing in [serde_json::Value::Null, json!({})] {
            let script = Script::read(&nothing).unwrap();
            assert_eq!(script.fate(None), Fate::default());
            assert_eq!(script.fate(Some(3)), Fate::default());
        }
    }
}
