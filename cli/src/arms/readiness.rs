//! Readiness of an arm's server: an answered request if it speaks HTTP, else an accepted connection.
//!
//! Accepting connections is not enough: many servers listen before they can respond, and send 503 or close connections
//! meanwhile. Any other answer is left to the scenario, unless the user named a path that must succeed.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::ops::RangeInclusive;
use std::time::Duration;

/// Timeout of one attempt.
const LOOK: Duration = Duration::from_millis(100);

/// Statuses of a server, or of a proxy in front of it, that is starting.
const STARTING: RangeInclusive<u16> = 502..=504;

/// Bytes up to the end of the status: `HTTP/1.1 200`.
const STATUS_LINE: usize = 12;

/// The state of an attempt to find a server ready.
pub struct Readiness {
    address: SocketAddr,
    /// The path to request; `None` without HTTP.
    path: Option<String>,
    must_succeed: bool,
    /// A connection with a pending request, and the bytes received so far.
    pending: Option<(TcpStream, Vec<u8>)>,
    problem: String,
}

impl Readiness {
    /// The readiness of the server at `address`, whose URL is `url`; only an answer with success counts if
    /// `must_succeed`.
    pub fn of(address: SocketAddr, url: &str, must_succeed: bool) -> Self {
        let path = url.strip_prefix("http://").map(|rest| {
            let path = rest.find('/').map_or("/", |start| &rest[start..]);
            path.to_owned()
        });
        Self {
            address,
            path,
            must_succeed,
            pending: None,
            problem: String::new(),
        }
    }

    /// The reason it was not ready at the last attempt.
    pub fn problem(&self) -> &str {
        &self.problem
    }

    /// Makes one attempt, with a timeout.
    pub fn is_ready(&mut self) -> bool {
        let ready = self.look();
        if let Err(problem) = &ready {
            self.problem.clone_from(problem);
        }
        ready.is_ok()
    }

    fn look(&mut self) -> Result<(), String> {
        let refused = || format!("nothing accepted connections at {}", self.address);
        let Some(path) = &self.path else {
            return TcpStream::connect_timeout(&self.address, LOOK)
                .map(drop)
                .map_err(|_| refused());
        };
        let (mut stream, mut answer) = match self.pending.take() {
            Some(pending) => pending,
            None => (self.ask(path).map_err(|_| refused())?, Vec::new()),
        };
        let closed = || format!("GET {path} got no response: the connection was closed");
        let mut part = [0; 4096];
        while answer.len() < STATUS_LINE {
            match stream.read(&mut part) {
                Ok(read @ 1..) => answer.extend_from_slice(&part[..read]),
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    let problem = format!("GET {path} got no response");
                    self.pending = Some((stream, answer));
                    return Err(problem);
                }
                // Closed, at the latest after the answer of something that does not speak HTTP.
                _ if answer.is_empty() => return Err(closed()),
                _ => break,
            }
        }
        // Closing with unread bytes would be an error for the server.
        while let Ok(1..) = stream.read(&mut part) {}
        match status(&answer) {
            Some(status) if STARTING.contains(&status) => {
                Err(format!("GET {path} answered {status}"))
            }
            Some(status) if self.must_succeed && !(200..300).contains(&status) => {
                Err(format!("GET {path} answered {status}, expected 2xx"))
            }
            None if self.must_succeed => Err(format!("GET {path} got no HTTP response")),
            _ => Ok(()),
        }
    }

    fn ask(&self, path: &str) -> std::io::Result<TcpStream> {
        let mut stream = TcpStream::connect_timeout(&self.address, LOOK)?;
        stream.set_read_timeout(Some(LOOK))?;
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nUser-Agent: photofinish\r\nConnection: close\r\n\r\n",
            self.address
        );
        // A server that has closed already says so when it is read from.
        let _ = stream.write_all(request.as_bytes());
        Ok(stream)
    }
}

fn status(answer: &[u8]) -> Option<u16> {
    let text = str::from_utf8(answer.get(..STATUS_LINE)?).ok()?;
    text.strip_prefix("HTTP/1.")?.get(2..)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::sync::mpsc;
    use std::thread;

    /// Goal: only an answer makes a server ready. Method: one that closes, then says 503, then answers in two parts,
    /// the second of them once the client has told that it waits.
    #[test]
    fn a_server_is_ready_once_it_answers() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let (waits, told) = mpsc::channel();
        let server = thread::spawn(move || {
            let accept = || listener.accept().expect("a client").0;
            drop(accept());
            let mut client = accept();
            let read = client.read(&mut [0; 1024]).expect("a request");
            assert!(read > 0);
            client
                .write_all(b"HTTP/1.1 503 Starting\r\ncontent-length: 0\r\n\r\n")
                .expect("read");
            drop(client);
            let mut client = accept();
            client.write_all(b"HTTP/1.").expect("read");
            told.recv().expect("it waits");
            client
                .write_all(b"1 404 No\r\ncontent-length: 0\r\n\r\n")
                .expect("read");
            client
        });
        let waiting = "GET /x got no response";
        let closed = "GET /x got no response: the connection was closed";
        let starting = "GET /x answered 503";
        let mut readiness = Readiness::of(address, &format!("http://{address}/x"), false);
        let mut problems = Vec::new();
        while !readiness.is_ready() {
            let problem = readiness.problem().to_owned();
            // A slow server may be waited for at any attempt; the answer's second half follows the first that comes after 503.
            let was_starting = problems.last().is_some_and(|last| last == starting);
            match (problem == waiting, was_starting) {
                (true, false) => continue,
                (true, true) => waits.send(()).expect("it listens"),
                (false, _) => {}
            }
            problems.push(problem);
        }
        server.join().expect("it answers");
        assert_eq!(problems, [closed, starting, waiting]);
    }
}
