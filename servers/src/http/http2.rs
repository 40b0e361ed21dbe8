//! HTTP/2 for the server `http`: the same answers, on the streams of a connection.
//!
//! The HTTP/1.1 parser hands over a connection that begins with the HTTP/2 preface (prior knowledge), with the bytes already
//! read. A fault resets its stream, and the connection continues. The stream limit and GOAWAY are part of the behaviour.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::Service;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::answers::{Answer, HttpService};
use super::payload::Payload;
use crate::CountedStream;
use crate::faults::Fault;

/// Serves a connection whose first bytes are `read`.
pub(super) async fn serve(answers: HttpService, stream: CountedStream, read: Bytes) {
    let limits = answers.0.script.http2;
    let mut protocol = http2::Builder::new(TokioExecutor::new());
    if let Some(most) = limits.max_streams {
        protocol.max_concurrent_streams(most);
    }
    let requests = Arc::new(AtomicU64::new(0));
    let service = CountingService {
        answers,
        requests: requests.clone(),
    };
    let stream = TokioIo::new(stream.with_unread(read));
    let mut connection = pin!(protocol.serve_connection(stream, service));
    let mut is_announced = false;
    let serving = poll_fn(|cx| {
        let polled = connection.as_mut().poll(cx);
        let is_due = limits
            .goaway_after
            .is_some_and(|most| requests.load(Relaxed) >= most);
        if polled.is_ready() || is_announced || !is_due {
            return polled;
        }
        is_announced = true;
        connection.as_mut().graceful_shutdown();
        connection.as_mut().poll(cx)
    });
    // Errors are caused by the client.
    let _ = serving.await;
}

/// The service of one connection; counts its requests.
struct CountingService {
    answers: HttpService,
    requests: Arc<AtomicU64>,
}

impl Service<Request<Incoming>> for CountingService {
    type Response = Response<Payload>;
    type Error = Fault;
    type Future = Answer;

    fn call(&self, request: Request<Incoming>) -> Answer {
        self.requests.fetch_add(1, Relaxed);
        self.answers.call(request)
    }
}
