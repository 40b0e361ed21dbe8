//! A minimal HTTP responder: the same 13 B to every request, from one thread around epoll.
//!
//! It does as little as a server can, so that the generators are the limit. It reads a request up to its empty line,
//! looks for the two fields that decide about keep-alive, and never at the path. It runs as a process of its own
//! (`photofinish-bench responder`), which ends when its stdin closes.

use std::io::{self, BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread;

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use socket2::{Domain, Socket, Type};

use super::{Server, Settings};
use crate::child::Background;
use crate::failure::{Failure, OrFail as _};
use crate::output;

/// Name of the subcommand.
pub(crate) const COMMAND: &str = "responder";

const KEPT: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\nHello, World!";
/// HTTP/1.0 clients keep a connection only if the server says so.
const KEPT_1_0: &[u8] =
    b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 13\r\n\r\nHello, World!";
const CLOSED: &[u8] =
    b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 13\r\n\r\nHello, World!";

/// Token of the listener; connections have their index.
const LISTENER: u64 = u64::MAX;

const BACKLOG: i32 = 4096;

const MOST_EVENTS: usize = 256;

/// Largest request that is answered, and size of one read.
const LARGEST_REQUEST_BYTES: usize = 16 << 10;

/// Starts the responder as a process on the server's CPU.
pub(super) fn start(settings: &Settings) -> Result<Server, Failure> {
    let this_program = std::env::current_exe().or_fail("find this program")?;
    let mut command = Command::new(this_program);
    command
        .arg(COMMAND)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut process = Background::spawn(command, Some(settings.cpu))?;
    let stdout = process.take_stdout().expect("stdout is piped");
    let mut line = String::new();
    BufReader::new(stdout)
        .read_line(&mut line)
        .or_fail("read the responder's port")?;
    let port = line.trim().parse().or_fail("read the responder's port")?;
    Ok(Server::new(process, port))
}

/// The process: prints its port and serves until stdin closes.
pub(crate) fn serve_until_stdin_closes() -> Result<(), Failure> {
    let listener = listen().or_fail("listen")?;
    output::say(
        &listener
            .local_addr()
            .or_fail("read the address")?
            .port()
            .to_string(),
    );
    thread::spawn(move || Responder::new(listener).and_then(|mut responder| responder.serve()));
    io::copy(&mut io::stdin(), &mut io::sink()).or_fail("read stdin")?;
    Ok(())
}

/// A listener with room for as many connections as any comparison opens at once: the standard library's has 128, and what
/// exceeds it waits for a second.
fn listen() -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM.cloexec(), None)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

struct Responder {
    epoll: rustix::fd::OwnedFd,
    listener: TcpListener,
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
}

struct Connection {
    stream: TcpStream,
    /// The beginning of a request whose end has not arrived.
    rest: Vec<u8>,
}

impl Responder {
    fn new(listener: TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(
            &epoll,
            &listener,
            EventData::new_u64(LISTENER),
            EventFlags::IN,
        )?;
        Ok(Self {
            epoll,
            listener,
            connections: Vec::new(),
            free: Vec::new(),
        })
    }

    fn serve(&mut self) -> io::Result<()> {
        let mut events: Vec<Event> = Vec::with_capacity(MOST_EVENTS);
        let mut buffer = vec![0; LARGEST_REQUEST_BYTES];
        loop {
            events.clear();
            match epoll::wait(
                &self.epoll,
                rustix::buffer::spare_capacity(&mut events),
                None,
            ) {
                Err(rustix::io::Errno::INTR) => continue,
                waited => waited?,
            };
            for event in &events {
                match event.data.u64() {
                    LISTENER => self.accept(),
                    index => self.answer(index as usize, &mut buffer),
                }
            }
        }
    }

    /// Accepts all waiting connections. One that cannot be served is dropped.
    fn accept(&mut self) {
        while let Ok((stream, _)) = self.listener.accept() {
            let index = self.free.pop().unwrap_or(self.connections.len());
            let data = EventData::new_u64(index as u64);
            let is_ready = stream.set_nonblocking(true).is_ok()
                && stream.set_nodelay(true).is_ok()
                && epoll::add(&self.epoll, &stream, data, EventFlags::IN).is_ok();
            if index == self.connections.len() {
                self.connections.push(None);
            }
            if is_ready {
                self.connections[index] = Some(Connection {
                    stream,
                    rest: Vec::new(),
                });
            } else {
                self.free.push(index);
            }
        }
    }

    /// Answers what has arrived; closes the connection if the client did, or asked for it.
    fn answer(&mut self, index: usize, buffer: &mut [u8]) {
        let Some(connection) = &mut self.connections[index] else {
            return;
        };
        if !connection.answer(buffer) {
            self.connections[index] = None;
            self.free.push(index);
        }
    }
}

impl Connection {
    /// Reads once and answers each whole request; `false` to close the connection.
    fn answer(&mut self, buffer: &mut [u8]) -> bool {
        let read = match self.stream.read(buffer) {
            Ok(0) => return false,
            Ok(read) => read,
            Err(error) => {
                return matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted);
            }
        };
        if self.rest.is_empty()
            && buffer[..read].ends_with(b"\r\n\r\n")
            && ends(&buffer[..read]) == 1
        {
            return self.reply(answer_to(&buffer[..read]));
        }
        self.rest.extend_from_slice(&buffer[..read]);
        while let Some(end) = end_of_request(&self.rest) {
            let answer = answer_to(&self.rest[..end]);
            self.rest.drain(..end);
            if !self.reply(answer) {
                return false;
            }
        }
        self.rest.len() < LARGEST_REQUEST_BYTES
    }

    fn reply(&mut self, answer: &[u8]) -> bool {
        self.stream.write_all(answer).is_ok() && answer != CLOSED
    }
}

/// Number of whole requests.
fn ends(bytes: &[u8]) -> usize {
    bytes
        .windows(4)
        .filter(|window| window == b"\r\n\r\n")
        .count()
}

fn end_of_request(bytes: &[u8]) -> Option<usize> {
    bytes
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .map(|at| at + 4)
}

/// HTTP/1.1 keeps a connection unless told otherwise, HTTP/1.0 closes it unless told otherwise.
fn answer_to(request: &[u8]) -> &'static [u8] {
    const FIELD: &[u8] = b"connection:";
    let mut lines = request.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let is_1_0 = lines.next().is_some_and(|line| line.ends_with(b"HTTP/1.0"));
    let mut connection = lines.filter_map(|line| {
        let (name, value) = line.split_at_checked(FIELD.len())?;
        name.eq_ignore_ascii_case(FIELD).then(|| value.trim_ascii())
    });
    let value = connection.next().unwrap_or_default();
    let is_closed = if is_1_0 {
        !value.eq_ignore_ascii_case(b"keep-alive")
    } else {
        value.eq_ignore_ascii_case(b"close")
    };
    if is_closed {
        CLOSED
    } else if is_1_0 {
        KEPT_1_0
    } else {
        KEPT
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A responder on a thread that lasts as long as the test's process.
    fn responder() -> SocketAddr {
        let listener = listen().expect("bound");
        let address = listener.local_addr().expect("an address");
        thread::spawn(move || Responder::new(listener).and_then(|mut responder| responder.serve()));
        address
    }

    /// Sends the parts, with a pause between them, and returns as many bytes as are expected and whether it was closed.
    fn exchange(parts: &[&str], expected: &[u8]) -> (Vec<u8>, bool) {
        let mut stream = TcpStream::connect(responder()).expect("connected");
        stream.set_nodelay(true).expect("set");
        for part in parts {
            stream.write_all(part.as_bytes()).expect("sent");
            thread::sleep(Duration::from_millis(20));
        }
        let mut answer = vec![0; expected.len()];
        stream.read_exact(&mut answer).expect("an answer");
        stream
            .set_read_timeout(Some(Duration::from_millis(100)))
            .expect("set");
        let is_closed = matches!(stream.read(&mut [0]), Ok(0));
        (answer, is_closed)
    }

    #[test]
    fn connections_are_kept_or_closed_as_the_client_says() {
        for (request, expected, closes) in [
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", KEPT, false),
            (
                "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
                CLOSED,
                true,
            ),
            ("GET / HTTP/1.0\r\nHost: a\r\n\r\n", CLOSED, true),
            (
                "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\nHost: a\r\n\r\n",
                KEPT_1_0,
                false,
            ),
        ] {
            assert_eq!(
                exchange(&[request], expected),
                (expected.to_vec(), closes),
                "{request}"
            );
        }
    }

    #[test]
    fn requests_in_pieces_and_several_at_once_are_answered_once_each() {
        let pieces = [
            "GET / HT",
            "TP/1.1\r\nHost: a\r",
            "\n\r\nGET / HTTP/1.1\r\n\r\n",
        ];
        let two = [KEPT, KEPT].concat();
        assert_eq!(exchange(&pieces, &two), (two.clone(), false));
        let together = ["GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n"];
        assert_eq!(exchange(&together, &two), (two.clone(), false));
    }

    #[test]
    fn an_endless_request_is_not_kept() {
        let mut stream = TcpStream::connect(responder()).expect("connected");
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .expect("set");
        // Fails once the connection is closed.
        let _ = (0..64).try_for_each(|_| stream.write_all(&[b'a'; 1024]));
        let end = stream.read(&mut [0]).map_err(|error| error.kind());
        assert!(
            matches!(end, Ok(0) | Err(ErrorKind::ConnectionReset)),
            "{end:?}"
        );
    }
}
