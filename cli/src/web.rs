//! A small HTTP server for a browser on the same machine: whole answers to GET, one request per connection.
//!
//! It answers only requests for `localhost` or an IP address: another site whose name was pointed to this machine (DNS
//! rebinding) cannot read anything. Requests are bounded in size, time and number. It knows nothing of runs.

use std::io::{self, Read, Write};
use std::net::{IpAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::interrupt::Interrupt;

/// Maximum size of a request, in bytes.
const LARGEST_REQUEST: usize = 8 << 10;

/// Maximum number of requests at once.
const MOST_REQUESTS: usize = 16;

/// Maximum time for a request to arrive.
const LONGEST_ARRIVAL: Duration = Duration::from_secs(5);

/// Maximum time for a browser to take a part of the answer.
const LONGEST_WRITE: Duration = Duration::from_secs(10);

/// Time between two looks for a connection and for the end.
const PAUSE: Duration = Duration::from_millis(20);

/// A request to read something.
pub struct Request {
    /// As it was sent, without the query: `/runs/x`.
    pub path: String,
    /// Names and values, as they were sent.
    query: Vec<(String, String)>,
}

impl Request {
    /// The value of that name in the query.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let mut query = self.query.iter();
        let found = query.find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

pub struct Response {
    pub status: Status,
    /// The media type.
    pub kind: &'static str,
    pub body: Vec<u8>,
    /// The name of a file to save it in.
    pub file_name: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Ok,
    BadRequest,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    TooLarge,
    Error,
    Busy,
}

impl Status {
    /// Number and reason.
    pub fn text(self) -> &'static str {
        match self {
            Self::Ok => "200 OK",
            Self::BadRequest => "400 Bad Request",
            Self::Forbidden => "403 Forbidden",
            Self::NotFound => "404 Not Found",
            Self::MethodNotAllowed => "405 Method Not Allowed",
            Self::TooLarge => "431 Request Header Fields Too Large",
            Self::Error => "500 Internal Server Error",
            Self::Busy => "503 Service Unavailable",
        }
    }
}

impl Response {
    fn refusal(status: Status, reason: &str) -> Self {
        Self {
            status,
            kind: "text/plain; charset=utf-8",
            body: format!("{reason}\n").into_bytes(),
            file_name: None,
        }
    }

    fn head(&self) -> String {
        let file = self.file_name.as_ref();
        let file = file.map_or(String::new(), |name| {
            format!("Content-Disposition: attachment; filename=\"{name}\"\r\n")
        });
        format!(
            "HTTP/1.1 {}\r\nContent-Type: {}\r\nContent-Length: {}\r\n{file}Connection: close\r\nCache-Control: no-store\r\n\
             X-Content-Type-Options: nosniff\r\nX-Frame-Options: DENY\r\nReferrer-Policy: no-referrer\r\n\
             Cross-Origin-Resource-Policy: same-origin\r\n\r\n",
            self.status.text(),
            self.kind,
            self.body.len()
        )
    }
}

/// Answers requests until the user interrupts.
pub fn serve(
    listener: &TcpListener,
    interrupt: &Interrupt,
    answer: &(dyn Fn(&Request) -> Response + Sync),
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let open = AtomicUsize::new(0);
    thread::scope(|scope| {
        while !interrupt.requested() {
            let Ok((stream, _)) = listener.accept() else {
                // Nobody came, or somebody left at once.
                thread::sleep(PAUSE);
                continue;
            };
            let is_busy = open.fetch_add(1, Ordering::Relaxed) >= MOST_REQUESTS;
            let open = &open;
            let handle = move || {
                // A browser that goes away is no error.
                let _ = converse(stream, is_busy, answer);
                open.fetch_sub(1, Ordering::Relaxed);
            };
            let started = thread::Builder::new().spawn_scoped(scope, handle);
            if started.is_err() {
                open.fetch_sub(1, Ordering::Relaxed);
            }
        }
    });
    Ok(())
}

fn converse(
    mut stream: TcpStream,
    is_busy: bool,
    answer: &dyn Fn(&Request) -> Response,
) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_write_timeout(Some(LONGEST_WRITE))?;
    let received = receive(&mut stream)?;
    let mut is_head = false;
    let response = match received {
        _ if is_busy => Response::refusal(Status::Busy, "too many requests at once; try again"),
        None => Response::refusal(Status::TooLarge, "the request is too large, or did not end"),
        Some(text) => match parse(&text) {
            Ok((method, request)) => {
                is_head = method == Method::Head;
                answer(&request)
            }
            Err(refusal) => refusal,
        },
    };
    stream.write_all(response.head().as_bytes())?;
    if !is_head {
        stream.write_all(&response.body)?;
    }
    stream.flush()
}

/// The head of a request; `None` if it is too large or does not end in time.
fn receive(stream: &mut TcpStream) -> io::Result<Option<String>> {
    let deadline = Instant::now() + LONGEST_ARRIVAL;
    let mut received = Vec::new();
    let mut buffer = [0; 1024];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || received.len() > LARGEST_REQUEST {
            return Ok(None);
        }
        stream.set_read_timeout(Some(left))?;
        let read = match stream.read(&mut buffer) {
            Err(error) if is_timeout(&error) => return Ok(None),
            read => read?,
        };
        received.extend_from_slice(&buffer[..read]);
        if read == 0 || received.windows(4).any(|end| end == b"\r\n\r\n") {
            return Ok(Some(String::from_utf8_lossy(&received).into_owned()));
        }
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    Get,
    Head,
}

/// Method and target of a request, or the refusal of anything else than a request to read from here.
fn parse(text: &str) -> Result<(Method, Request), Response> {
    let refuse = |status, reason: &str| Err(Response::refusal(status, reason));
    let mut lines = text.split("\r\n");
    let words: Vec<&str> = lines.next().unwrap_or_default().split(' ').collect();
    let &[method, target, version] = words.as_slice() else {
        return refuse(Status::BadRequest, "expected a request line");
    };
    if !version.starts_with("HTTP/1.") || !target.starts_with('/') {
        return refuse(Status::BadRequest, "expected HTTP/1.1 and a path");
    }
    let method = match method {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        _ => return refuse(Status::MethodNotAllowed, "only GET and HEAD"),
    };
    let headers = lines.filter_map(|line| line.split_once(':'));
    let mut hosts = headers.filter(|(name, _)| name.eq_ignore_ascii_case("host"));
    match (hosts.next(), hosts.next()) {
        (Some((_, host)), None) if is_address(host.trim()) => {}
        (Some(_), None) => {
            return refuse(
                Status::Forbidden,
                "open this page as localhost, or by the address that was printed",
            );
        }
        _ => return refuse(Status::BadRequest, "expected one Host header"),
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let request = Request {
        path: path.to_owned(),
        query: pairs
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
    };
    Ok((method, request))
}

/// True for `localhost` and IP addresses, with or without a port: names that no foreign name server can answer for.
fn is_address(host: &str) -> bool {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, port),
        _ => (host, "0"),
    };
    let bracketed = name.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    let is_ip = match bracketed {
        Some(address) => address.parse().is_ok_and(|it: IpAddr| it.is_ipv6()),
        None => name.parse().is_ok_and(|it: IpAddr| it.is_ipv4()),
    };
    port.parse::<u16>().is_ok() && (is_ip || name.eq_ignore_ascii_case("localhost"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_and_localhost_are_hosts() {
        let good = [
            "localhost",
            "LOCALHOST:80",
            "127.0.0.1:8080",
            "[::1]:80",
            "[::1]",
            "192.168.0.7",
        ];
        for host in good {
            assert!(is_address(host), "{host}");
        }
        let bad = [
            "",
            "evil.example",
            "localhost.evil.example:80",
            "127.0.0.1.evil.example",
            "::1",
            "[127.0.0.1]",
            "[::1",
            "127.0.0.1:x",
            "127.0.0.1:99999",
            "user@127.0.0.1",
        ];
        for host in bad {
            assert!(!is_address(host), "{host}");
        }
    }

    #[test]
    fn anything_but_a_request_to_read_is_refused() {
        let status = |text: &str| parse(text).err().map(|refusal| refusal.status);
        let host = "Host: 127.0.0.1:1\r\n\r\n";
        for (line, expected) in [
            ("GET / HTTP/1.1", None),
            ("HEAD /a?b=c HTTP/1.0", None),
            ("POST / HTTP/1.1", Some(Status::MethodNotAllowed)),
            ("GET http://x/ HTTP/1.1", Some(Status::BadRequest)),
            ("GET /", Some(Status::BadRequest)),
            ("", Some(Status::BadRequest)),
        ] {
            assert_eq!(status(&format!("{line}\r\n{host}")), expected, "{line}");
        }
        let line = "GET / HTTP/1.1\r\n";
        assert_eq!(status(&format!("{line}\r\n")), Some(Status::BadRequest));
        let twice = format!("{line}Host: 127.0.0.1\r\n{host}");
        assert_eq!(status(&twice), Some(Status::BadRequest));
        let foreign = format!("{line}Host: evil.example\r\n\r\n");
        assert_eq!(status(&foreign), Some(Status::Forbidden));
    }
}
