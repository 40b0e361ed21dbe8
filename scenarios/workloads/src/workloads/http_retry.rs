//! `http-retry`: an endpoint that fails before it succeeds, retried after waits that double up to a cap.
//!
//! Each operation has its own path, so that the server's sequence of responses is not shared. The attempts and the
//! waits between them are checked; in a twin whose last attempt fails too, exactly that last error must be reported.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use photofinish_harness::nothing_shared;
use photofinish_harness::runtime::Runtime;
use photofinish_harness::workload::{About, Env, Failure, ParamError, Totals, Workload};

use super::http_connection::{TARGET, succeeded};
use super::http_session::HttpSession;
use super::params::{count, params, require, require_path};
use super::tallies::{ensure, exactly};
use crate::protocol::http::Method;

#[derive(Debug)]
pub struct HttpRetry {
    params: Params,
    back_off: BackOff,
}

params! {
    /// Prefix of all paths, followed by the operation's number.
    path: String = "/flaky/".to_owned(),
    /// Attempts per operation, all of which the server has to see.
    tries: NonZeroU32 = count(3),
    /// Longest wait between two attempts, in units; the first is one unit, and each doubles.
    cap_units: NonZeroU32 = count(4),
    /// Status of the last response: 200, or in a hopeless case the error to be reported.
    last_status: u16 = 200,
}

impl Workload for HttpRetry {
    const ABOUT: About = About {
        name: "http-retry",
        class: "http",
        operation: "a failing endpoint, retried with waits that double",
        targets: &[TARGET],
        needs: &[],
    };
    type Params = Params;
    nothing_shared!();
    type Session<R: Runtime> = HttpSession<R>;

    fn new(params: Params, unit: Duration) -> Result<Self, ParamError> {
        require_path("path", &params.path)?;
        require(
            (200..=599).contains(&params.last_status),
            "last_status",
            || "expected a status from 200 to 599".to_owned(),
        )?;
        let back_off = BackOff {
            unit,
            cap_units: params.cap_units.get(),
        };
        Ok(Self { params, back_off })
    }

    async fn open<R: Runtime>(&self, env: &Env<R>, _: u32) -> Result<HttpSession<R>, Failure> {
        let session = HttpSession::open(env).await?;
        if session.endpoint.path(&self.params.path) == "/" {
            session.endpoint.require_server_only("`path`")?;
        }
        Ok(session)
    }

    async fn operate<R: Runtime>(
        &self,
        env: &Env<R>,
        session: &mut HttpSession<R>,
        op: u64,
    ) -> Result<(), Failure> {
        session.get(&format!("{}{op}", self.params.path))?;
        let mut attempts = Vec::with_capacity(self.params.tries.get() as usize);
        let outcome = self.retry(env, session, &mut attempts).await;
        self.check(&attempts, &outcome)
    }

    fn violations(&self, totals: &Totals) -> Vec<String> {
        let requests = totals.traffic[TARGET].requests;
        let violation = wrong_attempts(requests, totals, self.params.tries);
        violation.into_iter().collect()
    }
}

/// One attempt.
#[derive(Clone, Copy, Debug)]
struct Attempt {
    begun: Instant,
    ended: Instant,
}

impl HttpRetry {
    /// Repeats the request until it is answered with 200 or no attempt is left; the last error counts.
    async fn retry<R: Runtime>(
        &self,
        env: &Env<R>,
        session: &mut HttpSession<R>,
        attempts: &mut Vec<Attempt>,
    ) -> Result<(), Failure> {
        let mut outcome = Ok(());
        for number in 1..=self.params.tries.get() {
            if number > 1 {
                let wait = self.back_off.before(number);
                env.runtime.sleep_until(Instant::now() + wait).await;
            }
            let begun = Instant::now();
            let answer = session.exchange(Method::Get).await;
            let ended = Instant::now();
            attempts.push(Attempt { begun, ended });
            outcome = answer.and_then(succeeded);
            if outcome.is_ok() {
                break;
            }
        }
        outcome
    }

    /// Checks the number of attempts, the waits between them and the outcome.
    fn check(&self, attempts: &[Attempt], outcome: &Result<(), Failure>) -> Result<(), Failure> {
        let expected = succeeded(self.params.last_status);
        if *outcome != expected {
            return Err(match outcome {
                // Anything outside the script (a reset, a deadline) is a failure like any other.
                Err(failure) if failure.kind != Failure::STATUS => failure.clone(),
                _ => Failure::wrong_content(format!(
                    "expected {}, got {}",
                    in_words(&expected),
                    in_words(outcome)
                )),
            });
        }
        let tries = self.params.tries.get() as usize;
        exactly(tries, attempts.len(), "attempts")?;
        self.back_off.check(attempts)
    }
}

fn in_words(outcome: &Result<(), Failure>) -> String {
    match outcome {
        Ok(()) => "success".to_owned(),
        Err(failure) => format!("an error ({})", failure.detail),
    }
}

/// Waits that double: 1, 2, 4 units, and so on up to a cap.
#[derive(Clone, Copy, Debug)]
struct BackOff {
    unit: Duration,
    cap_units: u32,
}

impl BackOff {
    /// The wait before attempt `number`, counted from 1; the first one has none.
    fn before(self, number: u32) -> Duration {
        let doubled = 2_u32.saturating_pow(number.saturating_sub(2));
        self.unit * doubled.min(self.cap_units)
    }

    /// Checks that no attempt came too early after the previous one.
    fn check(self, attempts: &[Attempt]) -> Result<(), Failure> {
        for (number, pair) in (2..).zip(attempts.windows(2)) {
            let (distance, wait) = (pair[1].begun - pair[0].ended, self.before(number));
            ensure(distance >= wait, || {
                format!(
                    "expected attempt {number} at least {wait:?} after the one before, got {distance:?}"
                )
            })?;
        }
        Ok(())
    }
}

/// A violation if the number of requests does not match the operations.
fn wrong_attempts(requests: u64, totals: &Totals, tries: NonZeroU32) -> Option<String> {
    let tries = u64::from(tries.get());
    let least = totals.succeeded * tries;
    let most = least + totals.failed * tries;
    (!(least..=most).contains(&requests)).then(|| {
        format!("expected {least} to {most} requests ({tries} attempts per operation), counted {requests}")
    })
}

#[cfg(test)]
mod tests {
    use photofinish_record::Traffic;

    use super::super::tallies::totals;
    use super::*;

    fn retry(last_status: u16) -> HttpRetry {
        let params = Params {
            last_status,
            ..Params::default()
        };
        HttpRetry::new(params, Duration::from_millis(10)).expect("parameters")
    }

    /// Zero-length attempts at these milliseconds.
    fn attempts(at_ms: &[u64]) -> Vec<Attempt> {
        let start = Instant::now();
        let at = |ms: &u64| start + Duration::from_millis(*ms);
        let attempt = |ms| Attempt {
            begun: at(ms),
            ended: at(ms),
        };
        at_ms.iter().map(attempt).collect()
    }

    #[test]
    fn waits_double_up_to_the_cap() {
        let back_off = retry(200).back_off;
        let waits: Vec<_> = (2..=6).map(|number| back_off.before(number)).collect();
        assert_eq!(waits, [10, 20, 40, 40, 40].map(Duration::from_millis));
    }

    #[test]
    fn missing_and_early_attempts_are_caught() {
        let check = |at_ms: &[u64]| retry(200).check(&attempts(at_ms), &Ok(()));
        assert_eq!(check(&[0, 10, 30]), Ok(()));
        assert_eq!(check(&[0, 15, 100]), Ok(()));
        let message = |at_ms| check(at_ms).unwrap_err().into_detail();
        assert_eq!(message(&[0, 10]), "expected 3 attempts, got 2");
        assert_eq!(
            message(&[0, 10, 29]),
            "expected attempt 3 at least 20ms after the one before, got 19ms"
        );
    }

    #[test]
    fn a_wrong_final_outcome_is_caught() {
        let three = attempts(&[0, 10, 30]);
        let hopeless = retry(500);
        assert_eq!(hopeless.check(&three, &succeeded(500)), Ok(()));
        let message = |outcome| hopeless.check(&three, &outcome).unwrap_err().into_detail();
        assert_eq!(
            message(succeeded(503)),
            "expected an error (answered with 500), got an error (answered with 503)"
        );
        assert_eq!(
            message(Ok(())),
            "expected an error (answered with 500), got success"
        );
        let reset = Failure::new(Failure::RESET, "reset");
        assert_eq!(hopeless.check(&three, &Err(reset.clone())), Err(reset));
    }

    #[test]
    fn requests_that_do_not_fit_the_operations_are_a_violation() {
        let totals = |succeeded, failed| totals(succeeded, failed, TARGET, Traffic::default());
        let tries = NonZeroU32::new(3).expect("not zero");
        assert_eq!(wrong_attempts(30, &totals(10, 0), tries), None);
        assert_eq!(wrong_attempts(31, &totals(10, 1), tries), None);
        assert!(wrong_attempts(29, &totals(10, 0), tries).is_some());
        assert!(wrong_attempts(31, &totals(10, 0), tries).is_some());
    }
}
