//! `ws-echo`: messages to an echo server over one WebSocket, in sequence.
//!
//! Each message of a session is unique, so that a lost, doubled or misplaced echo shows as what it is. An unexpected
//! message is found with the echo before it, with the next one, or at the end.

use std::num::NonZeroU32;
use std::time::Duration;

use photofinish_harness::nothing_shared;
use photofinish_harness::runtime::Runtime;
use photofinish_harness::workload::{About, Env, Failure, ParamError, Totals, Workload};

use super::params::{count, params, require_path};
use super::request_count::wrong_requests;
use super::tallies::ensure;
use super::ws_connection::{Connection, Endpoint, PATIENCE, TARGET, Unasked, not_in_time};

#[derive(Debug)]
pub struct WsEcho {
    params: Params,
    /// Messages received after the last echo.
    unasked: Unasked,
}

params! {
    /// The echo; a path in the target's URL wins.
    path: String = "/echo".to_owned(),
    /// Messages in one operation.
    messages: NonZeroU32 = count(5),
}

/// One client.
pub struct Session<R: Runtime> {
    connection: Connection<R>,
    /// Messages sent so far, over all of its operations.
    said: u64,
}

impl Workload for WsEcho {
    const ABOUT: About = About {
        name: "ws-echo",
        class: "realtime",
        operation: "messages to an echo server, one after another",
        targets: &[TARGET],
        needs: &[],
    };
    type Params = Params;
    nothing_shared!();
    type Session<R: Runtime> = Session<R>;

    fn new(params: Params, _: Duration) -> Result<Self, ParamError> {
        require_path("path", &params.path)?;
        Ok(Self {
            params,
            unasked: Unasked::default(),
        })
    }

    async fn open<R: Runtime>(&self, env: &Env<R>, _: u32) -> Result<Session<R>, Failure> {
        let endpoint = Endpoint::of(env)?;
        let uri = endpoint.uri(&self.params.path);
        let mut connection = Connection::new(env, &endpoint, uri);
        connection.open().await?;
        Ok(Session {
            connection,
            said: 0,
        })
    }

    async fn operate<R: Runtime>(
        &self,
        env: &Env<R>,
        session: &mut Session<R>,
        _: u64,
    ) -> Result<(), Failure> {
        let before = session.said;
        let conversation = session.converse(env, self.params.messages.get());
        let outcome = match env.runtime.timeout(PATIENCE, conversation).await {
            Ok(outcome) => outcome,
            Err(_) => Err(lost(session.said - before)),
        };
        if outcome.is_err() {
            session.connection.abandon();
        }
        outcome
    }

    async fn close<R: Runtime>(&self, _: &Env<R>, session: &mut Session<R>) {
        let note = |text: &str| self.unasked.note(text, unexpected);
        // A server that does not close properly is not checked here; its messages are.
        let _ = session.connection.close(note).await;
    }

    fn violations(&self, totals: &Totals) -> Vec<String> {
        let mut violations = self.unasked.take();
        let each = self.params.messages.get().into();
        violations.extend(wrong_requests(totals, TARGET, each));
        violations
    }
}

impl<R: Runtime> Session<R> {
    async fn converse(&mut self, env: &Env<R>, messages: u32) -> Result<(), Failure> {
        if !self.connection.is_open() {
            // Rare, so boxed: inline, every operation would need its stack.
            Box::pin(self.connection.open()).await?;
        }
        for _ in 0..messages {
            self.said += 1;
            let message = format!("message {}", self.said);
            self.connection.send(&message).await?;
            let answer = self.connection.receive().await?;
            env.traffic[TARGET].answered();
            ensure(*answer == *message, || {
                format!("`{message}` was answered with `{answer}`")
            })?;
        }
        self.connection
            .try_receive()?
            .map_or(Ok(()), |text| Err(unexpected(&text)))
    }
}

fn unexpected(text: &str) -> Failure {
    Failure::wrong_content(format!("`{text}` came once more than it was sent"))
}

fn lost(number: u64) -> Failure {
    let lost = format!("message {number} of the operation was not answered");
    Failure::wrong_content(not_in_time(&lost))
}
