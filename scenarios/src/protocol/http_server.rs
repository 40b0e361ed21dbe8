//! A sans-IO HTTP/1.1 server: requests out of byte slices, answers into a `Vec<u8>`.
//!
//! `httparse` reads the head. Bodies of requests are skipped, up to a limit: nothing here is made for them. What a careful
//! server must distrust ends the connection with a status that says why, since nobody could tell where the next request
//! begins. Routes, connections and time are not here. In steady state nothing is allocated.
//!
//! ```
//! use photofinish_scenarios::protocol::http_server::{Answer, Asked};
//!
//! let mut asked = Asked::default();
//! let length = asked.read(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")?;
//! assert_eq!((length, asked.target()), (Some(33), "/health"));
//!
//! let (mut answer, mut bytes) = (Answer::default(), Vec::new());
//! answer.text(200, "fine");
//! answer.encode(&asked, &mut bytes);
//! assert!(bytes.starts_with(b"HTTP/1.1 200 OK\r\n") && bytes.ends_with(b"\r\n\r\nfine"));
//! # Ok::<(), photofinish_scenarios::protocol::http_server::RequestFlaw>(())
//! ```

use std::io::Write as _;

use thiserror::Error;

/// Longest head of a request that is read, in bytes.
const MOST_HEAD_BYTES: usize = 16 * 1024;

/// Longest body of a request that is skipped, in bytes.
const MOST_BODY_BYTES: usize = 64 * 1024;

/// Most fields of a request.
const MOST_FIELDS: usize = 64;

/// What one request asks for.
#[derive(Debug, Default)]
pub struct Asked {
    method: Method,
    target: String,
    keep_alive: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Method {
    #[default]
    Get,
    Head,
    Other,
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RequestFlaw {
    /// It is no HTTP/1 request.
    #[error("a request that is no HTTP/1")]
    Malformed,
    /// It speaks another version.
    #[error("a request of another version of HTTP")]
    Version,
    /// Its head is longer, or has more fields, than anybody needs.
    #[error("a request with a head of more than {MOST_HEAD_BYTES} bytes or {MOST_FIELDS} fields")]
    HeadTooLong,
    /// Its body is longer than what is skipped.
    #[error("a request with a body of more than {MOST_BODY_BYTES} bytes")]
    BodyTooLong,
    /// Its body has no length that is known beforehand.
    #[error("a request with a transfer coding")]
    TransferCoding,
    /// It does not say which host is meant, or says it twice.
    #[error("a request without its one Host field")]
    Host,
    /// Its body has no sound length.
    #[error("a request with a Content-Length that is no length")]
    Length,
}

impl RequestFlaw {
    /// The status that tells the client.
    pub fn status(self) -> u16 {
        match self {
            Self::Malformed | Self::Host | Self::Length => 400,
            Self::BodyTooLong => 413,
            Self::HeadTooLong => 431,
            Self::TransferCoding => 501,
            Self::Version => 505,
        }
    }
}

impl Asked {
    /// Reads the request that `bytes` begin with and gives its length; `None` while it is not all there.
    pub fn read(&mut self, bytes: &[u8]) -> Result<Option<usize>, RequestFlaw> {
        let mut fields = [httparse::EMPTY_HEADER; MOST_FIELDS];
        let mut request = httparse::Request::new(&mut fields);
        let parsed = request.parse(bytes).map_err(|error| match error {
            httparse::Error::Version => RequestFlaw::Version,
            httparse::Error::TooManyHeaders => RequestFlaw::HeadTooLong,
            _ => RequestFlaw::Malformed,
        })?;
        let head_bytes = match parsed {
            httparse::Status::Complete(length) if length <= MOST_HEAD_BYTES => length,
            httparse::Status::Partial if bytes.len() < MOST_HEAD_BYTES => return Ok(None),
            _ => return Err(RequestFlaw::HeadTooLong),
        };
        let facts = Facts::of(&request)?;
        let length = head_bytes + facts.body_bytes;
        if bytes.len() < length {
            return Ok(None);
        }
        self.method = match request.method {
            Some("GET") => Method::Get,
            Some("HEAD") => Method::Head,
            _ => Method::Other,
        };
        self.target.clear();
        self.target
            .push_str(origin_form(request.path.unwrap_or_default()));
        self.keep_alive = facts.keep_alive;
        Ok(Some(length))
    }

    /// The path and query that are asked for.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Whether what is asked for is to be shown, wholly or its head: GET and HEAD.
    pub fn is_for_showing(&self) -> bool {
        self.method != Method::Other
    }

    /// Whether the client wants to go on over the same connection.
    pub fn keep_alive(&self) -> bool {
        self.keep_alive
    }

    /// What is answered to where a request was refused: the last thing on its connection.
    pub fn refused() -> Self {
        Self::default()
    }
}

/// A proxy's form of a target leads to the same place.
fn origin_form(target: &str) -> &str {
    match target.strip_prefix("http://") {
        None => target,
        Some(rest) => rest.find('/').map_or("/", |path| &rest[path..]),
    }
}

/// What the fields of a head say.
struct Facts {
    body_bytes: usize,
    keep_alive: bool,
}

impl Facts {
    fn of(request: &httparse::Request<'_, '_>) -> Result<Self, RequestFlaw> {
        let persistent = request.version == Some(1);
        let (mut hosts, mut length, mut close) = (0, None, false);
        for field in request.headers.iter() {
            let is = |name: &str| field.name.eq_ignore_ascii_case(name);
            if is("host") {
                hosts += 1;
            } else if is("content-length") {
                let told = body_length(field.value)?;
                if length.is_some_and(|before| before != told) {
                    return Err(RequestFlaw::Length);
                }
                length = Some(told);
            } else if is("transfer-encoding") {
                return Err(RequestFlaw::TransferCoding);
            } else if is("connection") {
                close |= lists(field.value, b"close");
            }
        }
        if hosts > 1 || (persistent && hosts == 0) {
            return Err(RequestFlaw::Host);
        }
        match length.unwrap_or(0) {
            body_bytes if body_bytes <= MOST_BODY_BYTES => Ok(Self {
                body_bytes,
                // What HTTP/1.0 had of keeping connections open is not worth its trouble.
                keep_alive: persistent && !close,
            }),
            _ => Err(RequestFlaw::BodyTooLong),
        }
    }
}

fn body_length(value: &[u8]) -> Result<usize, RequestFlaw> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(RequestFlaw::Length);
    }
    let text = std::str::from_utf8(value).map_err(|_| RequestFlaw::Length)?;
    // Digits alone: what does not fit is too long.
    Ok(text.parse().unwrap_or(usize::MAX))
}

fn lists(value: &[u8], option: &[u8]) -> bool {
    let mut options = value.split(|byte| *byte == b',');
    options.any(|listed| listed.trim_ascii().eq_ignore_ascii_case(option))
}

/// What is answered.
#[derive(Debug, Default)]
pub struct Answer {
    status: u16,
    content_type: &'static str,
    body: Vec<u8>,
}

impl Answer {
    /// Answers with a line of text.
    pub fn text(&mut self, status: u16, text: &str) {
        self.begin(status, "text/plain; charset=utf-8");
        self.body.extend_from_slice(text.as_bytes());
    }

    /// Answers with a JSON document, which goes into the body that is given back.
    pub fn json(&mut self, status: u16) -> &mut Vec<u8> {
        self.begin(status, "application/json");
        &mut self.body
    }

    /// The status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The body.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    fn begin(&mut self, status: u16, content_type: &'static str) {
        self.status = status;
        self.content_type = content_type;
        self.body.clear();
    }

    /// The whole answer to `asked`, in the place of what was in `bytes`.
    pub fn encode(&self, asked: &Asked, bytes: &mut Vec<u8>) {
        bytes.clear();
        let Self {
            status,
            content_type,
            body,
        } = self;
        let allow = match status {
            405 => "allow: GET, HEAD\r\n",
            _ => "",
        };
        let connection = match asked.keep_alive {
            true => "",
            false => "connection: close\r\n",
        };
        write!(
            bytes,
            "HTTP/1.1 {status} {}\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\n{allow}{connection}\r\n",
            reason(*status),
            body.len(),
        )
        .expect("memory takes all");
        if asked.method != Method::Head {
            bytes.extend_from_slice(body);
        }
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        413 => "Content Too Large",
        431 => "Request Header Fields Too Large",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WHOLE: &[u8] = b"GET /ada?x=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";

    #[test]
    fn a_request_is_read_once_all_of_it_is_there_and_no_further() {
        let mut asked = Asked::default();
        for length in 0..WHOLE.len() {
            assert_eq!(asked.read(&WHOLE[..length]), Ok(None), "{length}");
        }
        let pipelined = [WHOLE, WHOLE].concat();
        assert_eq!(asked.read(&pipelined), Ok(Some(WHOLE.len())));
        assert_eq!(asked.target(), "/ada?x=1");
        assert!(asked.keep_alive() && asked.is_for_showing());
    }

    #[test]
    fn who_wants_to_go_on_is_understood() {
        let check = |head: &str, keep_alive| {
            let mut asked = Asked::default();
            let bytes = format!("{head}\r\n\r\n");
            assert_eq!(
                asked.read(bytes.as_bytes()),
                Ok(Some(bytes.len())),
                "{head}"
            );
            assert_eq!(asked.keep_alive(), keep_alive, "{head}");
        };
        check("GET / HTTP/1.1\r\nhost: a", true);
        check("GET / HTTP/1.1\r\nhost: a\r\nconnection: TE, Close", false);
        check("GET / HTTP/1.0", false);
    }

    #[test]
    fn what_cannot_be_trusted_is_refused_with_the_status_that_says_why() {
        let check = |bytes: &str, flaw: RequestFlaw, status| {
            let refused = Asked::default().read(bytes.as_bytes());
            assert_eq!(refused, Err(flaw), "{bytes:?}");
            assert_eq!(flaw.status(), status);
        };
        let with = |field: &str| format!("GET / HTTP/1.1\r\nhost: a\r\n{field}\r\n\r\n");
        check("\0\0\0\0", RequestFlaw::Malformed, 400);
        check("PRI * HTTP/2.0\r\n\r\n", RequestFlaw::Version, 505);
        check("GET / HTTP/1.1\r\n\r\n", RequestFlaw::Host, 400);
        check(&with("host: b"), RequestFlaw::Host, 400);
        check(&with("content-length: -1"), RequestFlaw::Length, 400);
        check(
            &with("content-length: 1\r\ncontent-length: 2"),
            RequestFlaw::Length,
            400,
        );
        check(
            &with(&format!("content-length: {}", "9".repeat(40))),
            RequestFlaw::BodyTooLong,
            413,
        );
        check(
            &with("transfer-encoding: chunked"),
            RequestFlaw::TransferCoding,
            501,
        );
        let long = format!("GET /{} HTTP/1.1\r\n", "a".repeat(MOST_HEAD_BYTES));
        check(&long, RequestFlaw::HeadTooLong, 431);
        check(
            &with(&"x: y\r\n".repeat(MOST_FIELDS)),
            RequestFlaw::HeadTooLong,
            431,
        );
    }

    #[test]
    fn an_answer_has_its_length_and_a_head_alone_no_body() {
        let mut answer = Answer::default();
        answer.text(405, "no");
        let mut asked = Asked::default();
        let mut bytes = Vec::new();
        let head = "HTTP/1.1 405 Method Not Allowed\r\ncontent-type: text/plain; charset=utf-8\r\n\
                    content-length: 2\r\nallow: GET, HEAD\r\n";
        asked
            .read(b"PUT / HTTP/1.1\r\nhost: a\r\n\r\n")
            .expect("sound");
        assert!(!asked.is_for_showing());
        answer.encode(&asked, &mut bytes);
        assert_eq!(bytes, format!("{head}\r\nno").as_bytes());
        asked
            .read(b"HEAD / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
            .expect("sound");
        answer.encode(&asked, &mut bytes);
        assert_eq!(bytes, format!("{head}connection: close\r\n\r\n").as_bytes());
    }

    #[test]
    fn a_target_in_the_form_for_proxies_leads_to_the_same_place() {
        assert_eq!(origin_form("http://a:1/x?y"), "/x?y");
        assert_eq!(origin_form("http://a"), "/");
        assert_eq!(origin_form("/http://a/"), "/http://a/");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_or_read_more_than_there_is(bytes: Vec<u8>) {
            if let Ok(Some(length)) = Asked::default().read(&bytes) {
                prop_assert!(length <= bytes.len());
            }
        }

        #[test]
        fn broken_requests_are_no_worse(place in 0..WHOLE.len(), byte: u8) {
            let mut bytes = WHOLE.to_vec();
            bytes[place] = byte;
            if let Ok(Some(length)) = Asked::default().read(&bytes) {
                prop_assert!(length <= bytes.len());
            }
        }
    }
}
