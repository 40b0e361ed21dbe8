//! The server's side of HTTP/2, frame by frame, so that tests can do what a real server would not.
//!
//! Headers are not decoded: a test distinguishes requests by their streams, and by the presence of a body.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;

const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

pub(crate) const NO_ERROR: u32 = 0;
pub(crate) const REFUSED_STREAM: u32 = 7;
pub(crate) const CANCEL: u32 = 8;

pub(crate) const MAX_CONCURRENT_STREAMS: u16 = 3;
pub(crate) const INITIAL_WINDOW_SIZE: u16 = 4;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    fn ends_stream(&self) -> bool {
        matches!(self.kind, DATA | HEADERS) && self.flags & END_STREAM != 0
    }

    pub(crate) fn is_acknowledgement(&self, kind: u8) -> bool {
        self.kind == kind && self.flags & ACK != 0
    }
}

/// A connection whose client has sent its preface.
pub(crate) struct Peer<'a>(&'a TcpStream);

impl<'a> Peer<'a> {
    /// Greets a client with these settings; `None` if it does not speak HTTP/2.
    pub(crate) fn greet(client: &'a TcpStream, settings: &[(u16, u32)]) -> Option<Self> {
        let mut preface = [0; 24];
        (&mut &*client).read_exact(&mut preface).ok()?;
        assert_eq!(&preface, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        let peer = Self(client);
        peer.settings(settings);
        Some(peer)
    }

    pub(crate) fn settings(&self, settings: &[(u16, u32)]) {
        let settings = settings.iter();
        let payload: Vec<u8> = settings
            .flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat())
            .collect();
        self.send(SETTINGS, 0, 0, &payload);
    }

    /// Sends a frame; the next read detects a client that has left.
    pub(crate) fn send(&self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let mut frame = u32::try_from(payload.len()).expect("small").to_be_bytes()[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        let _ = (&mut &*self.0).write_all(&frame);
    }

    /// The next frame; settings are acknowledged on the way. `None` once the client has left.
    pub(crate) fn frame(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).ok()?;
        let [high, middle, low, kind, flags, stream @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, high, middle, low]) as usize];
        self.0.read_exact(&mut payload).ok()?;
        if kind == SETTINGS && flags & ACK == 0 {
            self.send(SETTINGS, ACK, 0, b"");
        }
        Some(Frame {
            kind,
            flags,
            stream: u32::from_be_bytes(stream),
            payload,
        })
    }

    /// The stream of the next request that is complete.
    pub(crate) fn request(&mut self) -> Option<u32> {
        loop {
            let frame = self.frame()?;
            if frame.ends_stream() {
                return Some(frame.stream);
            }
        }
    }

    /// The streams of the next requests, once all of them are complete.
    pub(crate) fn requests(&mut self, count: usize) -> Option<Vec<u32>> {
        (0..count).map(|_| self.request()).collect()
    }

    /// Sends the head of a response with status 200.
    pub(crate) fn head(&self, stream: u32, is_end: bool) {
        let flags = END_HEADERS | if is_end { END_STREAM } else { 0 };
        self.send(HEADERS, flags, stream, b"\x88");
    }

    pub(crate) fn data(&self, stream: u32, data: &[u8], is_end: bool) {
        self.send(DATA, if is_end { END_STREAM } else { 0 }, stream, data);
    }

    /// A whole response with status 200.
    pub(crate) fn respond(&self, stream: u32, body: &[u8]) {
        self.head(stream, false);
        self.data(stream, body, true);
    }

    pub(crate) fn reset(&self, stream: u32, reason: u32) {
        self.send(RST_STREAM, 0, stream, &reason.to_be_bytes());
    }

    pub(crate) fn go_away(&self, last: u32) {
        let payload = [last.to_be_bytes(), NO_ERROR.to_be_bytes()].concat();
        self.send(GOAWAY, 0, 0, &payload);
    }
}
