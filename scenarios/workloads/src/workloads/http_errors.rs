//! `http-errors`: three concurrent requests, one of which fails: refused, reset, unknown host, or error status, in
//! turn.
//!
//! The operation succeeds if the failure is reported correctly and the other two succeed: a failing part cancels
//! nothing. The operation's number selects the failure.

use std::net::ToSocketAddrs as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use photofinish_harness::runtime::{PeerAddress, Runtime, Task as _};
use photofinish_harness::workload::{About, Env, Failure, ParamError, Totals, Workload};

use super::closed_port::ClosedPort;
use super::fan_out::{FanOut, references};
use super::http_connection::{Connection, Endpoint, TARGET, succeeded};
use super::params::{params, require_path, require_paths};
use super::parts;
use super::reference::Reference;
use super::request_count::wrong_requests_beside;
use crate::protocol::http::Method;

#[derive(Debug)]
pub struct HttpErrors {
    params: Params,
    /// Failures that are responses, and so count as requests like those that succeed.
    answers: AtomicU64,
}

params! {
    fetches;
    /// Paths requested in addition to the failing one, each over a connection of its own.
    paths: Vec<String> = ["/text/alpha", "/text/gamma"].map(str::to_owned).to_vec(),
    /// Path at which the server resets the connection.
    reset: String = "/fault/reset".to_owned(),
    /// Path at which the server answers with a status other than 200.
    failing: String = "/status/503".to_owned(),
}

/// Reference answers, and a port where connections are refused.
pub struct Shared {
    references: Vec<Reference>,
    /// A port that refuses connections; held for the whole round, so that nobody else listens there.
    closed: ClosedPort,
}

/// Connections for the requests that succeed, and one for the request that fails.
pub struct Session<R: Runtime> {
    endpoint: Endpoint,
    others: FanOut<R>,
    /// `None` until it is needed, while it is in use, and after a panic.
    failing: Option<Connection<R>>,
}

impl Workload for HttpErrors {
    const ABOUT: About = About {
        name: "http-errors",
        class: "http",
        operation: "concurrent URLs, one of which fails: connection refused or reset, unknown host, or an error status",
        targets: &[TARGET],
        needs: &[],
    };
    type Params = Params;
    type Shared<R: Runtime> = Shared;
    type Session<R: Runtime> = Session<R>;

    fn new(params: Params, _: Duration) -> Result<Self, ParamError> {
        require_paths("paths", &params.paths)?;
        require_path("reset", &params.reset)?;
        require_path("failing", &params.failing)?;
        Ok(Self {
            params,
            answers: AtomicU64::new(0),
        })
    }

    async fn prepare<R: Runtime>(&self, env: &Env<R>) -> Result<Shared, Failure> {
        Endpoint::of(env)?.require_server_only("`paths`, `reset` and `failing`")?;
        Ok(Shared {
            references: references(env, &self.params.paths, &self.params.expectation()).await?,
            closed: ClosedPort::hold()?,
        })
    }

    async fn open<R: Runtime>(&self, env: &Env<R, Shared>, _: u32) -> Result<Session<R>, Failure> {
        Ok(Session {
            endpoint: Endpoint::of(env)?,
            others: FanOut::open(env, &self.params.paths).await?,
            failing: None,
        })
    }

    async fn operate<R: Runtime>(
        &self,
        env: &Env<R, Shared>,
        session: &mut Session<R>,
        op: u64,
    ) -> Result<(), Failure> {
        let fault = Fault::of(op);
        let connection = session.failing.take();
        let faulty = FaultyRequest {
            fault,
            runtime: env.runtime.clone(),
            connection: connection.unwrap_or_else(|| Connection::new(env, &session.endpoint)),
            refusing: env.shared.closed.address.into(),
            request: match fault {
                Fault::Reset => session.endpoint.get(&self.params.reset)?,
                _ => session.endpoint.get(&self.params.failing)?,
            },
        };
        let failing = parts::start(&env.runtime, faulty.run());
        let others = session.others.exchange(env, &env.shared.references).await;
        let (connection, met) = failing.join().await?;
        session.failing = Some(connection);
        others.and_then(|()| fault.check(&met))?;
        if fault == Fault::Status {
            self.answers.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    fn violations(&self, totals: &Totals) -> Vec<String> {
        let others = self.params.paths.len() as u64;
        let answers = self.answers.load(Ordering::Relaxed);
        wrong_requests_beside(totals, TARGET, others, answers)
    }
}

/// The failure of one of the three requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// Nobody listens.
    Refused,
    /// The server resets the connection.
    Reset,
    /// The name has no address.
    UnknownHost,
    /// The server answers with an error status.
    Status,
}

/// A label of a name has at most 63 letters (RFC 1035, section 2.3.4): this name has no address, and resolving it needs
/// no name server.
const UNKNOWN_HOST: &str = "a234567890123456789012345678901234567890123456789012345678901234";

impl Fault {
    /// The fault of operation number `op`.
    fn of(op: u64) -> Self {
        [Self::Refused, Self::Reset, Self::UnknownHost, Self::Status][(op % 4) as usize]
    }

    /// Its kind of failure.
    fn kind(self) -> &'static str {
        match self {
            Self::Refused => Failure::REFUSED,
            Self::Reset => Failure::RESET,
            Self::UnknownHost => Failure::UNKNOWN_HOST,
            Self::Status => Failure::STATUS,
        }
    }

    /// Checks the kind of failure.
    fn check(self, met: &Result<(), Failure>) -> Result<(), Failure> {
        let kind = self.kind();
        let got = match met {
            Err(failure) if failure.kind == kind => return Ok(()),
            Err(failure) => format!("`{}`: {}", failure.kind, failure.detail),
            Ok(()) => "success".to_owned(),
        };
        Err(Failure::wrong_content(format!(
            "expected failure `{kind}`, got {got}"
        )))
    }
}

/// The part that meets the failure.
struct FaultyRequest<R: Runtime> {
    fault: Fault,
    runtime: R,
    connection: Connection<R>,
    refusing: PeerAddress,
    request: Vec<u8>,
}

impl<R: Runtime> FaultyRequest<R> {
    async fn run(mut self) -> (Connection<R>, Result<(), Failure>) {
        let met = self.meet().await;
        (self.connection, met)
    }

    async fn meet(&mut self) -> Result<(), Failure> {
        match self.fault {
            Fault::Refused => {
                self.runtime.connect(&self.refusing).await?;
                Ok(())
            }
            Fault::UnknownHost => resolve(&self.runtime).await,
            Fault::Reset | Fault::Status => {
                let exchanged = self
                    .connection
                    .exchange_once(Method::Get, &mut self.request);
                succeeded(exchanged.await?)
            }
        }
    }
}

/// Names are resolved by a blocking call under every runtime.
async fn resolve<R: Runtime>(runtime: &R) -> Result<(), Failure> {
    let look_up = || (UNKNOWN_HOST, 80).to_socket_addrs().map(drop);
    let found = parts::offload(runtime, look_up).await?;
    found.map_err(|error| Failure::new(Failure::UNKNOWN_HOST, error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unexpected_or_missing_failure_is_caught() {
        let met = |kind| Err(Failure::new(kind, "as seen"));
        assert_eq!(Fault::Reset.check(&met(Failure::RESET)), Ok(()));
        let message = |met| Fault::Reset.check(&met).unwrap_err().into_detail();
        assert_eq!(
            message(met(Failure::SHORT)),
            "expected failure `reset`, got `short`: as seen"
        );
        assert_eq!(message(Ok(())), "expected failure `reset`, got success");
    }

    #[test]
    fn faults_alternate() {
        let kinds: Vec<_> = (0..5).map(|op| Fault::of(op).kind()).collect();
        assert_eq!(
            kinds,
            ["refused", "reset", "unknown-host", "status", "refused"]
        );
    }

    #[test]
    fn the_unknown_host_is_too_long_for_a_name() {
        assert_eq!(UNKNOWN_HOST.len(), 64);
        assert!((UNKNOWN_HOST, 80).to_socket_addrs().is_err());
    }
}
