//! `ws-chat`: a room of clients, each with a WebSocket of its own; all receive each message.
//!
//! The message is sent before any client waits for it, so that no part waits for another one and a runtime that runs
//! parts in sequence can do it too. At a fixed number of operations one client leaves and a new one speaks in its
//! place. Messages of a room are numbered, so that a lost one differs from a doubled one. A failure ends the room,
//! since it is then unknown who has received what.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use photofinish_harness::nothing_shared;
use photofinish_harness::runtime::Runtime;
use photofinish_harness::workload::{About, Env, Failure, ParamError, Totals, Workload};

use super::params::{count, params, require_at_most, require_path};
use super::parts::{self, joined};
use super::request_count::wrong_requests_beside;
use super::ws_connection::{Connection, Endpoint, PATIENCE, TARGET, Unasked, in_time, not_in_time};
use crate::protocol::websocket::Utf8Bytes;

#[derive(Debug)]
pub struct WsChat {
    params: Params,
    /// Rooms so far; no two sessions share one.
    rooms: AtomicU64,
    /// Messages received after the last one was sent.
    unasked: Unasked,
    /// Clients that had to be replaced, over all closed sessions.
    replaced: AtomicU64,
}

params! {
    /// Prefix of the rooms' paths, followed by `/` and a name; a path in the target's URL wins.
    path: String = "/chat".to_owned(),
    /// Clients in a room, 1,000 at most.
    clients: NonZeroU32 = count(20),
    /// In every operation of this number one client leaves and a new one comes; 0 for never.
    leave_every: u32 = 10,
}

/// One room, with all of its clients.
pub struct Session<R: Runtime> {
    /// `None` after a failure, until the next operation.
    room: Option<Room<R>>,
    operations: u64,
}

impl Workload for WsChat {
    const ABOUT: About = About {
        name: "ws-chat",
        class: "realtime",
        operation: "a message from one client of a room, received by all; now and then one leaves and another joins",
        targets: &[TARGET],
        needs: &[],
    };
    type Params = Params;
    nothing_shared!();
    type Session<R: Runtime> = Session<R>;

    fn new(params: Params, _: Duration) -> Result<Self, ParamError> {
        require_path("path", &params.path)?;
        require_at_most("clients", params.clients.get(), 1_000)?;
        Ok(Self {
            params,
            rooms: AtomicU64::new(0),
            unasked: Unasked::default(),
            replaced: AtomicU64::new(0),
        })
    }

    async fn open<R: Runtime>(&self, env: &Env<R>, _: u32) -> Result<Session<R>, Failure> {
        Ok(Session {
            room: Some(self.fill_room(env).await?),
            operations: 0,
        })
    }

    async fn operate<R: Runtime>(
        &self,
        env: &Env<R>,
        session: &mut Session<R>,
        _: u64,
    ) -> Result<(), Failure> {
        // Taken out while in use: after a failure it is unknown who has received what.
        let mut room = match session.room.take() {
            Some(room) => room,
            // Rare work is boxed here and below; inline, every operation would need its stack.
            None => Box::pin(self.fill_room(env)).await?,
        };
        session.operations += 1;
        let speaker = self.speaker(session.operations);
        if self.client_leaves(session.operations) {
            Box::pin(room.replace(env, speaker)).await?;
        }
        room.say(env, speaker).await?;
        session.room = Some(room);
        Ok(())
    }

    async fn close<R: Runtime>(&self, _: &Env<R>, session: &mut Session<R>) {
        let replaced = match self.params.leave_every {
            0 => 0,
            every => session.operations / u64::from(every),
        };
        self.replaced.fetch_add(replaced, Ordering::Relaxed);
        let Some(room) = &mut session.room else {
            return;
        };
        let Room { clients, log, .. } = room;
        for client in clients {
            let note = |text: &str| self.unasked.note(text, |text| log.unexpected(text));
            // A server that does not close properly is not checked here; its messages are.
            let _ = client.close(note).await;
        }
    }

    fn violations(&self, totals: &Totals) -> Vec<String> {
        let clients = u64::from(self.params.clients.get());
        // Each of them sent a message when it came.
        let first = self.rooms.load(Ordering::Relaxed) * clients;
        let mut violations = self.unasked.take();
        violations.extend(wrong_requests_beside(totals, TARGET, 1, first));
        let came = totals.traffic[TARGET].connections.saturating_sub(first);
        let replaced = self.replaced.load(Ordering::Relaxed);
        violations.extend(wrong_newcomers(came, replaced, totals));
        violations
    }
}

impl WsChat {
    /// A new room with all of its clients in it.
    ///
    /// Each sends a message as soon as it has come, and all present receive it: a server that lets clients into a room
    /// only after their handshake would otherwise not deliver the first message to some of them.
    async fn fill_room<R: Runtime>(&self, env: &Env<R>) -> Result<Room<R>, Failure> {
        let endpoint = Endpoint::of(env)?;
        let number = self.rooms.fetch_add(1, Ordering::Relaxed);
        // On a server that runs for several rounds, rooms of different workers must differ.
        let name = format!("{}-{number}", std::process::id());
        let rooms = endpoint.uri(&self.params.path);
        let uri = format!("{}/{name}", rooms.trim_end_matches('/'));
        let mut room = Room {
            endpoint,
            uri,
            clients: Vec::new(),
            log: Log::default(),
        };
        for index in 0..self.params.clients.get() as usize {
            let client = room.newcomer(env).await?;
            room.clients.push(client);
            room.say(env, index).await?;
        }
        Ok(room)
    }

    fn speaker(&self, operation: u64) -> usize {
        let clients = u64::from(self.params.clients.get());
        usize::try_from(operation % clients).expect("clients are few")
    }

    fn client_leaves(&self, operation: u64) -> bool {
        self.params.leave_every != 0 && operation.is_multiple_of(self.params.leave_every.into())
    }
}

/// A violation unless as many clients came as had to be replaced; after a failure whole rooms came anew.
fn wrong_newcomers(came: u64, replaced: u64, totals: &Totals) -> Option<String> {
    (totals.failed == 0 && came != replaced)
        .then(|| format!("expected {replaced} new clients, got {came}"))
}

/// The clients of one room, and its messages.
struct Room<R: Runtime> {
    endpoint: Endpoint,
    uri: String,
    clients: Vec<Connection<R>>,
    log: Log,
}

impl<R: Runtime> Room<R> {
    async fn newcomer(&mut self, env: &Env<R>) -> Result<Connection<R>, Failure> {
        let mut client = Connection::new(env, &self.endpoint, self.uri.clone());
        client.open().await?;
        Ok(client)
    }

    /// Has client `index` leave, and a new one take its place.
    async fn replace(&mut self, env: &Env<R>, index: usize) -> Result<(), Failure> {
        let (log, mut unasked) = (&self.log, None);
        let leaving = self.clients[index].close(|text| {
            unasked.get_or_insert_with(|| log.unexpected(text));
        });
        in_time(&env.runtime, "a client's close was not answered", leaving).await?;
        if let Some(failure) = unasked {
            return Err(failure);
        }
        self.clients[index] = self.newcomer(env).await?;
        Ok(())
    }

    /// Has client `speaker` send the next message, and all receive it.
    async fn say(&mut self, env: &Env<R>, speaker: usize) -> Result<(), Failure> {
        let message = self.log.next();
        self.clients[speaker].send(&message).await?;
        let lost = format!("`{message}` was not heard by every client");
        let listening = self.clients.drain(..).map(|client| {
            let (runtime, lost) = (env.runtime.clone(), lost.clone());
            parts::start(&env.runtime, listen(runtime, client, lost))
        });
        let heard = joined(listening.collect()).await?;
        env.traffic[TARGET].answered();
        for (client, texts) in heard {
            self.clients.push(client);
            self.log.check(&texts)?;
        }
        Ok(())
    }
}

/// Receives the next message, and those that came together with it.
async fn listen<R: Runtime>(
    runtime: R,
    mut client: Connection<R>,
    lost: String,
) -> Result<(Connection<R>, Vec<Utf8Bytes>), Failure> {
    let first = match runtime.timeout(PATIENCE, client.receive()).await {
        Ok(heard) => heard?,
        Err(_) => {
            let lost = not_in_time(&lost);
            let problem = format!(
                "{lost}: a chat server sends each message to all in the room, its sender too"
            );
            return Err(Failure::wrong_content(problem));
        }
    };
    let mut texts = vec![first];
    while let Some(more) = client.try_receive()? {
        texts.push(more);
    }
    Ok((client, texts))
}

/// The messages of a room, to check those that its clients receive.
#[derive(Debug, Default)]
struct Log {
    said: u64,
}

impl Log {
    /// The next message.
    fn next(&mut self) -> String {
        self.said += 1;
        format!("message {}", self.said)
    }

    /// Checks that a client received the last message once, and nothing else since the previous one.
    fn check(&self, heard: &[Utf8Bytes]) -> Result<(), Failure> {
        let [first, more @ ..] = heard else {
            return Err(Failure::wrong_content(format!(
                "message {} was not heard",
                self.said
            )));
        };
        match number(first) {
            Some(number) if number == self.said => more
                .first()
                .map_or(Ok(()), |more| Err(self.unexpected(more))),
            Some(number) if number < self.said => Err(self.unexpected(first)),
            _ => Err(Failure::wrong_content(format!(
                "`{first}` was heard instead of message {}",
                self.said
            ))),
        }
    }

    /// The failure that `text` came although no message was due.
    fn unexpected(&self, text: &str) -> Failure {
        let wrong = match number(text) {
            Some(number) if (1..=self.said).contains(&number) => "twice or out of order",
            _ => "and was never said",
        };
        Failure::wrong_content(format!(
            "`{text}` was heard {wrong}, after {} messages were said",
            self.said
        ))
    }
}

fn number(text: &str) -> Option<u64> {
    text.strip_prefix("message ")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use photofinish_record::Traffic;

    use super::super::tallies::totals;
    use super::*;

    /// Checks what a client receives with the third message of a room.
    fn heard(texts: &[&'static str]) -> Result<(), Failure> {
        let mut log = Log::default();
        let said: Vec<String> = std::iter::repeat_with(|| log.next()).take(3).collect();
        assert_eq!(said, ["message 1", "message 2", "message 3"]);
        let texts: Vec<Utf8Bytes> = texts.iter().map(|text| Utf8Bytes::from(*text)).collect();
        log.check(&texts)
    }

    #[test]
    fn each_message_is_heard_once() {
        assert_eq!(heard(&["message 3"]), Ok(()));
    }

    #[test]
    fn a_client_that_fails_to_leave_is_caught() {
        let message = |came, failed| {
            let totals = totals(20, failed, TARGET, Traffic::default());
            wrong_newcomers(came, 2, &totals)
        };
        assert_eq!(message(2, 0), None);
        assert_eq!(message(20, 1), None);
        assert_eq!(
            message(1, 0).as_deref(),
            Some("expected 2 new clients, got 1")
        );
    }

    #[test]
    fn lost_duplicate_reordered_and_invented_messages_are_distinguished() {
        for (texts, message) in [
            (&[][..], "message 3 was not heard"),
            (&["message 3", "message 3"], "`message 3` was heard twice"),
            (
                &["message 2"],
                "`message 2` was heard twice or out of order",
            ),
            (&["message 4"], "`message 4` was heard instead of message 3"),
            (
                &["message 3", "message 9"],
                "`message 9` was heard and was never said",
            ),
            (&["hello"], "`hello` was heard instead of message 3"),
        ] {
            let failure = heard(texts).unwrap_err();
            assert_eq!(failure.kind, Failure::WRONG_CONTENT, "{texts:?}");
            assert!(failure.detail.starts_with(message), "{failure}");
        }
    }
}
