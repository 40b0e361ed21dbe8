//! The front of the server `wiremock`: accepts connections and reads requests, in bounded memory.
//!
//! Wiremock panics when a client disconnects mid-body, reads bodies of any length, and stops listening forever once the
//! process runs out of descriptors. So it listens on a private port and gets whole requests, over a few connections
//! that are opened once. HTTP/2 carries many requests on each, and a response that wiremock fails to give ends its own
//! stream only; the client's connection then ends here.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper::header::{HOST, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, Uri, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use super::EndConnection;
use crate::CountedStream;

/// Connections to wiremock; each carries up to 200 requests at once.
const CONNECTIONS: usize = 8;

/// Maximum length of a body, and of all bodies held at once.
const LONGEST_BODY_BYTES: usize = 16 << 20;
const MOST_BODY_BYTES: usize = 64 << 20;

/// Marks a HEAD request, which is passed to wiremock as a GET: over HTTP/2 it would send a body.
pub(super) const METHOD: &str = "photofinish-method";

type Answer = Response<Full<Bytes>>;

pub(super) struct Front {
    /// The connections to wiremock, used in turn.
    wiremock: Vec<SendRequest<Full<Bytes>>>,
    turns: AtomicUsize,
    body_bytes: AtomicUsize,
}

/// Bytes of a body, counted until dropped.
struct BodyBytes<'f> {
    front: &'f Front,
    bytes: usize,
}

impl BodyBytes<'_> {
    /// Counts more bytes; false if they are too many.
    fn take(&mut self, bytes: usize) -> bool {
        self.bytes += bytes;
        let all = self.front.body_bytes.fetch_add(bytes, Relaxed) + bytes;
        self.bytes <= LONGEST_BODY_BYTES && all <= MOST_BODY_BYTES
    }
}

impl Drop for BodyBytes<'_> {
    fn drop(&mut self) {
        self.front.body_bytes.fetch_sub(self.bytes, Relaxed);
    }
}

impl Front {
    /// Connects to the wiremock at `address`, which has no mocks yet and so counts nothing.
    pub(super) async fn connect(address: SocketAddr) -> io::Result<Self> {
        let mut wiremock = Vec::with_capacity(CONNECTIONS);
        for _ in 0..CONNECTIONS {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            let opened = handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
            let (mut sender, connection) = opened.map_err(io::Error::other)?;
            // This ends with wiremock; every later request then ends its client's connection.
            tokio::spawn(connection);
            // A response proves that wiremock has accepted the connection, before descriptors become scarce.
            let mut first = Request::new(Full::default());
            *first.uri_mut() = Uri::from_static("http://localhost/");
            sender.send_request(first).await.map_err(io::Error::other)?;
            wiremock.push(sender);
        }
        Ok(Front {
            wiremock,
            turns: AtomicUsize::new(0),
            body_bytes: AtomicUsize::new(0),
        })
    }

    /// Serves a client until it leaves, or until a response ends its connection.
    pub(super) async fn serve(self: Arc<Self>, stream: CountedStream) {
        let answer = move |request| {
            let front = self.clone();
            async move { front.answer(request).await }
        };
        // An error is a fault, or caused by the client: a reset, or a broken request, to which hyper has answered 400.
        let _ = http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service_fn(answer))
            .await;
    }

    async fn answer(&self, request: Request<Incoming>) -> Result<Answer, EndConnection> {
        let (parts, body) = request.into_parts();
        let path = parts
            .uri
            .path_and_query()
            .filter(|path| path.as_str().starts_with('/'));
        let Some(path) = path.cloned() else {
            return Ok(refusal(
                StatusCode::BAD_REQUEST,
                "the request has no path\n",
            ));
        };
        let mut held = BodyBytes {
            front: self,
            bytes: 0,
        };
        let Some(body) = read(body, &mut held).await? else {
            let message =
                format!("longer than {LONGEST_BODY_BYTES} bytes, or too many bodies at once\n");
            return Ok(refusal(StatusCode::PAYLOAD_TOO_LARGE, message));
        };
        let uri = Uri::builder().scheme("http").authority("localhost");
        let Ok(uri) = uri.path_and_query(path).build() else {
            return Ok(refusal(StatusCode::BAD_REQUEST, "the path is invalid\n"));
        };
        let mut forwarded = Request::new(Full::from(body));
        *forwarded.uri_mut() = uri;
        *forwarded.headers_mut() = parts.headers;
        forwarded.headers_mut().remove(HOST);
        forwarded.headers_mut().remove(METHOD);
        if parts.method == Method::HEAD {
            let head = HeaderValue::from_static("HEAD");
            forwarded.headers_mut().insert(METHOD, head);
        } else {
            *forwarded.method_mut() = parts.method;
        }
        let turn = self.turns.fetch_add(1, Relaxed);
        let mut wiremock = self.wiremock[turn % CONNECTIONS].clone();
        let answer = wiremock
            .send_request(forwarded)
            .await
            .map_err(|_| EndConnection)?;
        let (mut parts, body) = answer.into_parts();
        parts.version = Version::HTTP_11;
        let body = body.collect().await.map_err(|_| EndConnection)?.to_bytes();
        Ok(Response::from_parts(parts, Full::new(body)))
    }
}

/// Reads a whole body; `None` if it is too long, an error if the client disconnects before its end.
async fn read(
    mut body: Incoming,
    held: &mut BodyBytes<'_>,
) -> Result<Option<Vec<u8>>, EndConnection> {
    let mut whole = Vec::new();
    while let Some(frame) = body.frame().await {
        let data = frame.map_err(|_| EndConnection)?.into_data();
        let data = data.unwrap_or_default();
        if !held.take(data.len()) {
            return Ok(None);
        }
        whole.extend_from_slice(&data);
    }
    Ok(Some(whole))
}

fn refusal(status: StatusCode, message: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(message.into()));
    *answer.status_mut() = status;
    answer
}
