//! `http-timeout`: a request that takes longer than its deadline; and its shielded twin.
//!
//! At the deadline the caller gives up, and the connection in the middle of its exchange is not used again. Shielded
//! work is a separate part: the caller gives up all the same, and the work continues to its end with its connection
//! intact. A caller may wake so late that the response is already there: on a busy machine, or because the kernel
//! rounds a socket's timeout up to its tick. `answered_past_deadline_share` is the share of such operations; if the
//! response comes long after the deadline and most operations still get it, the deadline is ignored, which is a
//! violation.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use photofinish_harness::runtime::{
    Capability, Elapsed, Receiver as _, Runtime, Sender as _, Task as _,
};
use photofinish_harness::workload::{About, Env, Failure, ParamError, Totals, Workload};

use super::expectation::Expectation;
use super::http_connection::{Connection, Endpoint, TARGET, delayed_path, too_few_connections};
use super::params::{count, params, require, require_path};
use super::parts;
use super::reference::Reference;
use super::request_count::wrong_requests;
use super::tallies::ensure;
use crate::protocol::http::Method;

#[derive(Debug)]
pub struct HttpTimeout {
    shielded: bool,
    path: String,
    expectation: Expectation,
    times: Times,
    /// Operations that got their answer because their caller woke late.
    answered: AtomicU64,
}

params! {
    fetches;
    /// Path with a late response; left out, one that the mock `http` answers after `takes_units`.
    path: Option<String> = None,
    /// Delay of the response, in units.
    takes_units: NonZeroU32 = count(5),
    /// Deadline of the caller, in units; before the response.
    deadline_units: NonZeroU32 = count(3),
    /// Lets the work go on to its end after its caller has given up.
    shielded: bool = false,
}

/// The times of an operation, from its start.
#[derive(Clone, Copy, Debug)]
struct Times {
    deadline: Duration,
    answer: Duration,
}

/// A connection, and the request it repeats.
pub struct Session<R: Runtime> {
    endpoint: Endpoint,
    /// `None` before the first operation, while one is in flight, and after one that failed.
    exchange: Option<Exchange<R>>,
}

/// The end of an operation, as its caller sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    GaveUp,
    Answered,
}

impl Workload for HttpTimeout {
    const ABOUT: About = About {
        name: "http-timeout",
        class: "http",
        operation: "a request abandoned at a deadline before its response",
        targets: &[TARGET],
        needs: &[],
    };
    type Params = Params;
    type Shared<R: Runtime> = Reference;
    type Session<R: Runtime> = Session<R>;

    fn new(params: Params, unit: Duration) -> Result<Self, ParamError> {
        let expectation = params.expectation();
        let Params {
            path,
            takes_units,
            deadline_units,
            shielded,
            ..
        } = params;
        require(deadline_units < takes_units, "deadline_units", || {
            format!("the deadline must lie before the answer, which takes {takes_units} units")
        })?;
        let times = Times {
            deadline: unit * deadline_units.get(),
            answer: unit * takes_units.get(),
        };
        let path = path.unwrap_or_else(|| delayed_path(times.answer));
        require_path("path", &path)?;
        Ok(Self {
            shielded,
            path,
            expectation,
            times,
            answered: AtomicU64::new(0),
        })
    }

    /// Shielded work and its caller run concurrently, each as its own part: in sequence there is nothing to give up,
    /// and with as many parts as threads the callers would keep the work from starting.
    fn needs(&self) -> &'static [Capability] {
        if self.shielded {
            &[Capability::Concurrency, Capability::ManyAtOnce]
        } else {
            Self::ABOUT.needs
        }
    }

    async fn prepare<R: Runtime>(&self, env: &Env<R>) -> Result<Reference, Failure> {
        let endpoint = Endpoint::of(env)?;
        if endpoint.path(&self.path) == "/" {
            endpoint.require_server_only("`path`")?;
        }
        Reference::obtain(env, &self.path, &self.expectation).await
    }

    async fn open<R: Runtime>(
        &self,
        env: &Env<R, Reference>,
        _: u32,
    ) -> Result<Session<R>, Failure> {
        let endpoint = Endpoint::of(env)?;
        Ok(Session {
            endpoint,
            exchange: None,
        })
    }

    async fn operate<R: Runtime>(
        &self,
        env: &Env<R, Reference>,
        session: &mut Session<R>,
        _: u64,
    ) -> Result<(), Failure> {
        let exchange = match session.exchange.take() {
            Some(exchange) => exchange,
            None => {
                let request = session.endpoint.get(session.endpoint.path(&self.path))?;
                (Connection::new(env, &session.endpoint), request)
            }
        };
        let (exchange, ending) = if self.shielded {
            self.shielded(env, exchange).await?
        } else {
            self.plain(env, exchange).await?
        };
        session.exchange = Some(exchange);
        let answered = ending == Ending::Answered;
        self.answered
            .fetch_add(u64::from(answered), Ordering::Relaxed);
        let share = if answered { 1.0 } else { 0.0 };
        env.observed.number("answered_past_deadline_share", share);
        Ok(())
    }

    fn violations(&self, totals: &Totals) -> Vec<String> {
        let mut violations = if self.shielded {
            wrong_requests(totals, TARGET, 1)
        } else {
            // An abandoned request is not a complete exchange, and each has its own connection.
            too_few_connections(totals)
        };
        let answered = self.answered.load(Ordering::Relaxed);
        violations.extend(ignored_deadline(answered, totals.succeeded, self.times));
        violations
    }
}

/// A connection with its request: moved into shielded work, and back.
type Exchange<R> = (Connection<R>, Vec<u8>);

impl HttpTimeout {
    /// The exchange is dropped at the deadline, before it is complete.
    async fn plain<R: Runtime>(
        &self,
        env: &Env<R, Reference>,
        (mut connection, mut request): Exchange<R>,
    ) -> Result<(Exchange<R>, Ending), Failure> {
        let begun = Instant::now();
        let exchange = connection.exchange(Method::Get, &mut request);
        let outcome = env.runtime.timeout(self.times.deadline, exchange).await;
        let after = begun.elapsed();
        let ending = match outcome {
            Err(Elapsed) => {
                self.times.check_giving_up(after)?;
                ensure(!connection.is_usable(), || {
                    "a connection whose exchange was given up would be used again".to_owned()
                })?;
                Ending::GaveUp
            }
            Ok(answer) => {
                answer?;
                self.check_answer(&env.shared, &connection, after)?;
                // Leaves the same state as every other operation, so that the next one starts alike.
                connection.close();
                Ending::Answered
            }
        };
        Ok(((connection, request), ending))
    }

    /// The exchange is a separate part; only the caller's wait for it ends at the deadline.
    async fn shielded<R: Runtime>(
        &self,
        env: &Env<R, Reference>,
        (mut connection, mut request): Exchange<R>,
    ) -> Result<(Exchange<R>, Ending), Failure> {
        let (sender, receiver) = env.runtime.channel(NonZeroU32::MIN);
        let begun = Instant::now();
        let work = parts::start(&env.runtime, async move {
            let answer = connection.exchange(Method::Get, &mut request).await;
            // The receiver waits for it in either case.
            let _ = sender.send((connection, request, answer)).await;
        });
        let waited = env.runtime.timeout(self.times.deadline, work.join()).await;
        let after = begun.elapsed();
        let Some((connection, request, answer)) = receiver.receive().await else {
            return Err(Failure::wrong_content(
                "the work ended without a result when its caller had given up",
            ));
        };
        answer?;
        self.check_answer(&env.shared, &connection, begun.elapsed())?;
        let ending = match waited {
            Err(Elapsed) => {
                self.times.check_giving_up(after)?;
                Ending::GaveUp
            }
            Ok(joined) => {
                joined?;
                Ending::Answered
            }
        };
        Ok(((connection, request), ending))
    }

    fn check_answer<R: Runtime>(
        &self,
        reference: &Reference,
        connection: &Connection<R>,
        after: Duration,
    ) -> Result<(), Failure> {
        reference.check(connection.answer())?;
        self.times.check_completing(after)
    }
}

impl Times {
    /// Checks that the caller did not give up early. Lateness is caused by the machine, and is measured.
    fn check_giving_up(&self, after: Duration) -> Result<(), Failure> {
        ensure(after >= self.deadline, || {
            format!(
                "given up after {after:?}, before the deadline of {:?}",
                self.deadline
            )
        })
    }

    /// Checks that the work took as long as the server takes.
    fn check_completing(&self, after: Duration) -> Result<(), Failure> {
        ensure(after >= self.answer, || {
            format!(
                "answered after {after:?}, and the server takes {:?}",
                self.answer
            )
        })
    }
}

/// Latest end of a socket's timeout in the kernel: two ticks at the coarsest setting (100 a second).
const TWO_TICKS: Duration = Duration::from_millis(20);

/// If most operations get an answer later than any tick explains, late callers are not the cause.
fn ignored_deadline(answered: u64, operations: u64, times: Times) -> Option<String> {
    let explained = times.answer - times.deadline <= TWO_TICKS;
    (!explained && answered > operations / 2).then(|| {
        format!(
            "{answered} of {operations} operations got their answer although the deadline had passed"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMES: Times = Times {
        deadline: Duration::from_millis(3),
        answer: Duration::from_millis(5),
    };

    #[test]
    fn work_done_before_the_servers_response_is_caught() {
        assert_eq!(TIMES.check_completing(Duration::from_millis(5)), Ok(()));
        let early = TIMES.check_completing(Duration::from_millis(3));
        assert_eq!(
            early.unwrap_err().detail,
            "answered after 3ms, and the server takes 5ms"
        );
    }

    #[test]
    fn responses_after_the_deadline_are_a_fault_unless_timer_ticks_explain_them() {
        let long = Times {
            deadline: Duration::from_millis(60),
            answer: Duration::from_millis(100),
        };
        assert_eq!(ignored_deadline(0, 1, long), None);
        assert_eq!(ignored_deadline(5, 10, long), None);
        assert_eq!(
            ignored_deadline(6, 10, long).as_deref(),
            Some("6 of 10 operations got their answer although the deadline had passed")
        );
        assert!(ignored_deadline(1, 1, long).is_some());
        assert_eq!(ignored_deadline(10, 10, TIMES), None);
    }

    #[test]
    fn only_shielded_work_needs_more_than_one_thing_at_a_time() {
        let needs = |shielded| {
            let params = Params {
                shielded,
                ..Params::default()
            };
            let made = HttpTimeout::new(params, Duration::from_millis(1)).expect("parameters");
            made.needs()
        };
        assert!(needs(false).is_empty());
        assert!(needs(true).contains(&Capability::Concurrency));
    }
}
