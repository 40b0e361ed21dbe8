//! Reads one answer of the server under load: bytes in, status and position of the body out; no socket.
//!
//! Only accepts answers to a GET over a connection that stays open: those with a Content-Length. Anything else is
//! reported as wrong, since the start of the next answer would be unknown. Read next: `load.rs`.

use std::ops::Range;

/// Maximum number of header fields of an answer.
const MOST_FIELDS: usize = 64;

/// One complete answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Range of the body in the bytes read.
    pub(super) body: Range<usize>,
    /// True if the server keeps the connection open.
    pub(super) keep_alive: bool,
}

/// The answer at the start of `bytes`; `None` if it is incomplete.
pub(super) fn parse(bytes: &[u8]) -> Result<Option<Answer>, String> {
    let mut fields = [httparse::EMPTY_HEADER; MOST_FIELDS];
    let mut head = httparse::Response::new(&mut fields);
    let parsed = head
        .parse(bytes)
        .map_err(|error| format!("a response that is not HTTP: {error}"))?;
    let httparse::Status::Complete(head_bytes) = parsed else {
        return Ok(None);
    };
    let status = head.code.unwrap_or_default();
    let (mut length, mut keep_alive) = (None, head.version == Some(1));
    for field in head.headers.iter() {
        if field.name.eq_ignore_ascii_case("content-length") {
            let text = std::str::from_utf8(field.value).unwrap_or_default();
            length = text.parse().ok();
        } else if field.name.eq_ignore_ascii_case("connection") {
            keep_alive &= !field.value.eq_ignore_ascii_case(b"close");
        }
    }
    let length: usize =
        length.ok_or_else(|| format!("a response with status {status} but without a length"))?;
    let end = head_bytes.saturating_add(length);
    Ok((bytes.len() >= end).then_some(Answer {
        status,
        body: head_bytes..end,
        keep_alive,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_read_once_it_is_complete() {
        let bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiHTTP";
        for length in 0..bytes.len() - 4 {
            assert_eq!(parse(&bytes[..length]), Ok(None), "{length}");
        }
        let answer = parse(bytes).expect("sound").expect("whole");
        assert_eq!((answer.status, &bytes[answer.body]), (200, &b"hi"[..]));
        assert!(answer.keep_alive);
    }

    #[test]
    fn connection_close_is_honoured() {
        for head in [
            "HTTP/1.0 200 OK\r\n",
            "HTTP/1.1 400 Bad Request\r\nconnection: Close\r\n",
        ] {
            let bytes = format!("{head}content-length: 0\r\n\r\n");
            let answer = parse(bytes.as_bytes()).expect("sound").expect("whole");
            assert!(!answer.keep_alive, "{head}");
        }
    }

    #[test]
    fn an_endless_response_is_an_error() {
        let check = |bytes: &[u8], reason: &str| {
            let error = parse(bytes).expect_err("wrong");
            assert!(error.contains(reason), "{error}");
        };
        check(b"SSH-2.0\r\n", "not HTTP");
        check(b"HTTP/1.1 200 OK\r\n\r\n", "without a length");
        check(
            b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
            "without a length",
        );
    }
}
