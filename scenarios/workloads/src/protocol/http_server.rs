//! A sans-IO HTTP/1.1 server: requests out of byte slices, responses into a `Vec<u8>`.
//!
//! `httparse` reads the head. Bodies of requests are skipped, up to a limit. Anything ambiguous ends the connection with an
//! error status, because the start of the next request would be unknown. In steady state nothing is allocated.
//!
//! ```
//! use photofinish_workloads::protocol::http_server::{Request, Response};
//!
//! let mut request = Request::default();
//! let length = request.read(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")?;
//! assert_eq!((length, request.target()), (Some(33), "/health"));
//!
//! let (mut response, mut bytes) = (Response::default(), Vec::new());
//! response.text(200, "fine");
//! response.encode(&request, &mut bytes);
//! assert!(bytes.starts_with(b"HTTP/1.1 200 OK\r\n") && bytes.ends_with(b"\r\n\r\nfine"));
//! # Ok::<(), photofinish_workloads::protocol::http_server::RequestFlaw>(())
//! ```

use std::io::Write as _;

use thiserror::Error;

const MAX_HEAD_BYTES: usize = 16 * 1024;
const MAX_BODY_BYTES: usize = 64 * 1024;
const MAX_FIELDS: usize = 64;

/// The current request of a connection.
#[derive(Debug, Default)]
pub struct Request {
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

#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RequestFlaw {
    #[error("request is not HTTP/1")]
    Malformed,
    #[error("request of an unsupported HTTP version")]
    Version,
    #[error("request head of more than {MAX_HEAD_BYTES} bytes or {MAX_FIELDS} fields")]
    HeadTooLong,
    #[error("request body of more than {MAX_BODY_BYTES} bytes")]
    BodyTooLong,
    #[error("request with a transfer coding")]
    TransferCoding,
    #[error("expected exactly one Host field in the request")]
    Host,
    #[error("request with an invalid Content-Length")]
    Length,
}

impl RequestFlaw {
    /// Status code of the response.
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

impl Request {
    /// Reads the request at the start of `bytes` and returns its length; `None` while it is incomplete.
    pub fn read(&mut self, bytes: &[u8]) -> Result<Option<usize>, RequestFlaw> {
        let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
        let mut request = httparse::Request::new(&mut fields);
        let parsed = request.parse(bytes).map_err(|error| match error {
            httparse::Error::Version => RequestFlaw::Version,
            httparse::Error::TooManyHeaders => RequestFlaw::HeadTooLong,
            _ => RequestFlaw::Malformed,
        })?;
        let head_bytes = match parsed {
            httparse::Status::Complete(length) if length <= MAX_HEAD_BYTES => length,
            httparse::Status::Partial if bytes.len() < MAX_HEAD_BYTES => return Ok(None),
            _ => return Err(RequestFlaw::HeadTooLong),
        };
        let framing = Framing::of(&request)?;
        let length = head_bytes + framing.body_bytes;
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
        self.keep_alive = framing.keep_alive;
        Ok(Some(length))
    }

    /// Path and query.
    pub fn target(&self) -> &str {
        &self.target
    }

    pub fn is_get_or_head(&self) -> bool {
        self.method != Method::Other
    }

    /// True if the client keeps the connection open.
    pub fn keep_alive(&self) -> bool {
        self.keep_alive
    }
}

/// Path and query of a target, which proxies send with scheme and host.
fn origin_form(target: &str) -> &str {
    match target.strip_prefix("http://") {
        None => target,
        Some(rest) => rest.find('/').map_or("/", |path| &rest[path..]),
    }
}

struct Framing {
    body_bytes: usize,
    keep_alive: bool,
}

impl Framing {
    fn of(request: &httparse::Request<'_, '_>) -> Result<Self, RequestFlaw> {
        let persistent = request.version == Some(1);
        let (mut hosts, mut length, mut close) = (0, None, false);
        for field in request.headers.iter() {
            let is = |name: &str| field.name.eq_ignore_ascii_case(name);
            if is("host") {
                hosts += 1;
            } else if is("content-length") {
                let value = body_length(field.value)?;
                if length.is_some_and(|first| first != value) {
                    return Err(RequestFlaw::Length);
                }
                length = Some(value);
            } else if is("transfer-encoding") {
                return Err(RequestFlaw::TransferCoding);
            } else if is("connection") {
                close |= lists(field.value, b"close");
            }
        }
        if hosts > 1 || (persistent && hosts == 0) {
            return Err(RequestFlaw::Host);
        }
        let body_bytes = length.unwrap_or(0);
        if body_bytes > MAX_BODY_BYTES {
            return Err(RequestFlaw::BodyTooLong);
        }
        // HTTP/1.0's keep-alive is not supported.
        let keep_alive = persistent && !close;
        Ok(Self {
            body_bytes,
            keep_alive,
        })
    }
}

fn body_length(value: &[u8]) -> Result<usize, RequestFlaw> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(RequestFlaw::Length);
    }
    let text = std::str::from_utf8(value).map_err(|_| RequestFlaw::Length)?;
    // The text is all digits, so an overflow is the only possible error.
    Ok(text.parse().unwrap_or(usize::MAX))
}

fn lists(value: &[u8], option: &[u8]) -> bool {
    value
        .split(|byte| *byte == b',')
        .any(|listed| listed.trim_ascii().eq_ignore_ascii_case(option))
}

#[derive(Debug, Default)]
pub struct Response {
    status: u16,
    content_type: &'static str,
    body: Vec<u8>,
}

impl Response {
    /// Sets a plain text body.
    pub fn text(&mut self, status: u16, text: &str) {
        self.begin(status, "text/plain; charset=utf-8");
        self.body.extend_from_slice(text.as_bytes());
    }

    /// Starts a JSON response; the caller writes the document into the returned body.
    pub fn json(&mut self, status: u16) -> &mut Vec<u8> {
        self.begin(status, "application/json");
        &mut self.body
    }

    pub fn status(&self) -> u16 {
        self.status
    }

    pub fn body(&self) -> &[u8] {
        &self.body
    }

    fn begin(&mut self, status: u16, content_type: &'static str) {
        self.status = status;
        self.content_type = content_type;
        self.body.clear();
    }

    /// Replaces the content of `bytes` with the response to `request`; a default `Request` closes the connection.
    pub fn encode(&self, request: &Request, bytes: &mut Vec<u8>) {
        bytes.clear();
        let Self {
            status,
            content_type,
            body,
        } = self;
        let allow = if *status == 405 {
            "allow: GET, HEAD\r\n"
        } else {
            ""
        };
        let connection = if request.keep_alive {
            ""
        } else {
            "connection: close\r\n"
        };
        write!(
            bytes,
            "HTTP/1.1 {status} {}\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\n{allow}{connection}\r\n",
            reason(*status),
            body.len(),
        )
        .expect("writing to memory");
        if request.method != Method::Head {
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
    fn a_request_is_read_once_it_is_complete_and_no_further() {
        let mut request = Request::default();
        for length in 0..WHOLE.len() {
            assert_eq!(request.read(&WHOLE[..length]), Ok(None), "{length}");
        }
        let pipelined = [WHOLE, WHOLE].concat();
        assert_eq!(request.read(&pipelined), Ok(Some(WHOLE.len())));
        assert_eq!(request.target(), "/ada?x=1");
        assert!(request.keep_alive() && request.is_get_or_head());
    }

    #[test]
    fn the_connection_stays_open_unless_the_client_closes_it() {
        let check = |head: &str, keep_alive| {
            let mut request = Request::default();
            let bytes = format!("{head}\r\n\r\n");
            assert_eq!(
                request.read(bytes.as_bytes()),
                Ok(Some(bytes.len())),
                "{head}"
            );
            assert_eq!(request.keep_alive(), keep_alive, "{head}");
        };
        check("GET / HTTP/1.1\r\nhost: a", true);
        check("GET / HTTP/1.1\r\nhost: a\r\nconnection: TE, Close", false);
        check("GET / HTTP/1.0", false);
    }

    #[test]
    fn each_flaw_has_its_status() {
        let check = |bytes: &str, flaw: RequestFlaw, status| {
            let refused = Request::default().read(bytes.as_bytes());
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
        let long = format!("GET /{} HTTP/1.1\r\n", "a".repeat(MAX_HEAD_BYTES));
        check(&long, RequestFlaw::HeadTooLong, 431);
        check(
            &with(&"x: y\r\n".repeat(MAX_FIELDS)),
            RequestFlaw::HeadTooLong,
            431,
        );
    }

    #[test]
    fn a_response_to_head_has_a_length_and_no_body() {
        let mut response = Response::default();
        response.text(405, "no");
        let mut request = Request::default();
        let mut bytes = Vec::new();
        let head = "HTTP/1.1 405 Method Not Allowed\r\ncontent-type: text/plain; charset=utf-8\r\n\
                    content-length: 2\r\nallow: GET, HEAD\r\n";
        request
            .read(b"PUT / HTTP/1.1\r\nhost: a\r\n\r\n")
            .expect("sound");
        assert!(!request.is_get_or_head());
        response.encode(&request, &mut bytes);
        assert_eq!(bytes, format!("{head}\r\nno").as_bytes());
        request
            .read(b"HEAD / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
            .expect("sound");
        response.encode(&request, &mut bytes);
        assert_eq!(bytes, format!("{head}connection: close\r\n\r\n").as_bytes());
    }

    #[test]
    fn an_absolute_form_target_is_reduced_to_its_path() {
        assert_eq!(origin_form("http://a:1/x?y"), "/x?y");
        assert_eq!(origin_form("http://a"), "/");
        assert_eq!(origin_form("/http://a/"), "/http://a/");
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic_or_overread(bytes: Vec<u8>) {
            if let Ok(Some(length)) = Request::default().read(&bytes) {
                prop_assert!(length <= bytes.len());
            }
        }

        #[test]
        fn changed_bytes_never_panic_or_overread(place in 0..WHOLE.len(), byte: u8) {
            let mut bytes = WHOLE.to_vec();
            bytes[place] = byte;
            if let Ok(Some(length)) = Request::default().read(&bytes) {
                prop_assert!(length <= bytes.len());
            }
        }
    }
}
