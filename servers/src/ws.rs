//! The server `ws`: WebSocket, as an echo at `/echo` and as rooms at `/chat/{room}`.
//!
//! A message goes to all members of its room, including the sender, in the same order for all of them. Handshake and
//! frames are tungstenite's. Each message received counts as a request; pings, pongs and closes do not. Rooms are
//! in `ws/rooms.rs`; accepting and counting bytes is in `connections.rs`, which all servers share.

mod rooms;

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use futures_util::{SinkExt as _, StreamExt as _};
use serde::Deserialize;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{
    Callback, ErrorResponse, Request, Response,
};
use tokio_tungstenite::tungstenite::http::StatusCode;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, accept_hdr_async_with_config};

use crate::{
    BehaviourError, Count, CountedStream, Counts, Running, ServeError, ServerKind, Startup,
    read_behaviour, serve_connections,
};
use rooms::{Membership, Rooms};

/// The entry in the list of servers.
pub(crate) static KIND: ServerKind = ServerKind {
    name: "ws",
    summary: "WebSocket: an echo at /echo, and rooms at /chat/{room}, which deliver every message to all members in one order",
    counted: &[
        Count::Requests,
        Count::BytesIn,
        Count::BytesOut,
        Count::Connections,
        Count::OpenConnections,
    ],
    most_threads: None,
    alpn: Some(&["http/1.1"]),
    check_behaviour,
    behaviour_schema: || schemars::schema_for!(WsBehaviour),
    start,
};

/// Nothing can be scripted: a lost or duplicated message would be a fault of the server, not a behaviour.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct WsBehaviour {}

/// Maximum length of a message.
const LONGEST_MESSAGE_BYTES: usize = 1 << 20;

/// Maximum buffered for a client that does not read, including pongs.
const MOST_UNSENT_BYTES: usize = 4 * LONGEST_MESSAGE_BYTES;

/// Tungstenite's own 128 KiB for each connection would be most of the memory of a thousand idle ones.
const READ_BUFFER_BYTES: usize = 4096;

fn check_behaviour(behaviour: &serde_json::Value) -> Result<(), BehaviourError> {
    read_behaviour::<WsBehaviour>(behaviour).map(drop)
}

fn start(startup: Startup) -> Result<Running, ServeError> {
    read_behaviour::<WsBehaviour>(&startup.behaviour)?;
    let rooms = Arc::new(Rooms::default());
    let counts = startup.counts.clone();
    serve_connections(KIND.name, startup, move |stream| {
        serve_connection(rooms.clone(), counts.clone(), stream)
    })
}

/// The handler that a path selects.
enum Endpoint {
    Echo,
    Room(Membership),
}

/// Selects the handler for a path. A new member enters its room before the handshake is answered, so that a client that
/// has the response misses no later message.
struct Enter<'a> {
    rooms: &'a Arc<Rooms>,
    place: &'a mut Option<Endpoint>,
}

impl Callback for Enter<'_> {
    fn on_request(self, request: &Request, response: Response) -> Result<Response, ErrorResponse> {
        let path = request.uri().path();
        let room = path.strip_prefix("/chat/").filter(|room| !room.is_empty());
        *self.place = match room {
            Some(room) => Some(Endpoint::Room(Rooms::join(self.rooms, room))),
            None => (path == "/echo").then_some(Endpoint::Echo),
        };
        match self.place {
            Some(_) => Ok(response),
            None => Err(not_found()),
        }
    }
}

fn not_found() -> ErrorResponse {
    let mut response =
        ErrorResponse::new(Some("the paths are /echo and /chat/{room}\n".to_owned()));
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}

type Socket = WebSocketStream<CountedStream>;

async fn serve_connection(rooms: Arc<Rooms>, counts: Arc<Counts>, stream: CountedStream) {
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .max_write_buffer_size(MOST_UNSENT_BYTES)
        .max_message_size(Some(LONGEST_MESSAGE_BYTES))
        .max_frame_size(Some(LONGEST_MESSAGE_BYTES));
    let mut place = None;
    let enter = Enter {
        rooms: &rooms,
        place: &mut place,
    };
    // A failed handshake was answered already, or the client is gone.
    let Ok(socket) = accept_hdr_async_with_config(stream, enter, Some(config)).await else {
        return;
    };
    match place {
        Some(Endpoint::Echo) => echo(socket, &counts).await,
        Some(Endpoint::Room(membership)) => chat(socket, membership, &counts).await,
        None => (),
    }
}

async fn echo(mut socket: Socket, counts: &Counts) {
    // After a close, the next read answers it and is the last.
    while let Some(Ok(message)) = socket.next().await {
        if is_data(&message) {
            counts.requests.fetch_add(1, Relaxed);
            if socket.send(message).await.is_err() {
                return;
            }
        }
    }
}

async fn chat(mut socket: Socket, mut membership: Membership, counts: &Counts) {
    loop {
        tokio::select! {
            said = socket.next() => match said {
                Some(Ok(message)) if is_data(&message) => {
                    // Counted first: a client that receives it may request the counts.
                    counts.requests.fetch_add(1, Relaxed);
                    membership.say(&message);
                }
                Some(Ok(Message::Close(_))) => break,
                Some(Ok(_)) => (),
                Some(Err(_)) | None => return,
            },
            heard = membership.hear() => {
                let Some(heard) = heard else { return };
                if tell(&mut socket, heard, &mut membership).await.is_err() {
                    return;
                }
            }
        }
    }
    // Leave the room before answering the close: after the answer, a client is sent nothing more.
    drop(membership);
    while let Some(Ok(_)) = socket.next().await {}
}

/// Sends `first`, together with any other queued messages.
async fn tell(
    socket: &mut Socket,
    first: Message,
    membership: &mut Membership,
) -> Result<(), tokio_tungstenite::tungstenite::Error> {
    let mut next = Some(first);
    while let Some(message) = next {
        socket.feed(message).await?;
        next = membership.hear_now();
    }
    socket.flush().await
}

fn is_data(message: &Message) -> bool {
    message.is_text() || message.is_binary()
}
