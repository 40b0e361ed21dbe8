//! A server that remembers what it was asked for: the other side of a worker under test.
//!
//! It answers GET requests over kept connections with one body, or as its script says: late, with another body, or not at all.
//! It serves one worker on this machine for a second or two.

use std::io::{self, BufRead, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use socket2::SockRef;

const BODY: &[u8] = b"one small body, the same in each honest answer";
const LIE: &[u8] = b"another small body, of the same length as that";

/// Time after which a silent connection is given up.
const PATIENCE: Duration = Duration::from_secs(30);

/// The behaviour of a server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Script {
    /// Number of requests that are answered as they should be.
    pub(super) honest: usize,
    /// The answer to all further ones.
    pub(super) after: Misconduct,
    /// A pause of the whole server.
    pub(super) stall: Option<Pause>,
}

/// An answer that no client should have to expect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Misconduct {
    /// Another body.
    Lie,
    /// A reset of the connection.
    Reset,
    Silence,
}

/// A pause that begins with the request of an operation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pause {
    pub(super) op: u64,
    pub(super) length: Duration,
}

impl Script {
    pub(super) const HONEST: Self = Self {
        honest: usize::MAX,
        after: Misconduct::Lie,
        stall: None,
    };

    /// Honest for the first `honest` requests.
    pub(super) const fn until(honest: usize, after: Misconduct) -> Self {
        Self {
            honest,
            after,
            ..Self::HONEST
        }
    }
}

/// The requests and connections so far.
#[derive(Clone, Debug, Default)]
pub(super) struct RequestLog {
    pub(super) paths: Vec<String>,
    pub(super) connections: u64,
    stalled_until: Option<Instant>,
}

#[derive(Debug)]
pub(super) struct RecordingServer {
    pub(super) address: SocketAddr,
    seen: Arc<Mutex<RequestLog>>,
}

impl RecordingServer {
    pub(super) fn start(script: Script) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        let seen = Arc::new(Mutex::new(RequestLog::default()));
        let shared = Arc::clone(&seen);
        thread::Builder::new().spawn(move || {
            for stream in listener.incoming().flatten() {
                let seen = Arc::clone(&shared);
                lock(&seen).connections += 1;
                // A connection without a thread is closed, and the worker says so.
                let _ = thread::Builder::new().spawn(move || {
                    let _ = serve(stream, &seen, script);
                });
            }
        })?;
        Ok(Self { address, seen })
    }

    /// True if an operation with a number below `limit` was asked for last.
    pub(super) fn is_below(&self, limit: u64) -> bool {
        let log = lock(&self.seen);
        let last = log.paths.last().and_then(|path| operation(path));
        last.is_some_and(|number| number < limit)
    }

    pub(super) fn seen(&self) -> RequestLog {
        lock(&self.seen).clone()
    }
}

fn lock(seen: &Mutex<RequestLog>) -> MutexGuard<'_, RequestLog> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The number of the operation that asks for a numbered path.
pub(super) fn operation(path: &str) -> Option<u64> {
    path.rsplit_once("op=")?.1.parse().ok()
}

fn serve(stream: TcpStream, seen: &Mutex<RequestLog>, script: Script) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    let mut answers = stream.try_clone()?;
    let mut requests = BufReader::new(stream);
    while let Some(path) = path_of_next(&mut requests)? {
        let (count, pause) = note(&path, &mut lock(seen), script.stall);
        thread::sleep(pause.max(requested_delay(&path)));
        let body = match script.after {
            _ if count <= script.honest => BODY,
            Misconduct::Lie => LIE,
            Misconduct::Reset => return SockRef::from(&answers).set_linger(Some(Duration::ZERO)),
            Misconduct::Silence => {
                requests.read_to_end(&mut Vec::new())?;
                return Ok(());
            }
        };
        let mut answer =
            format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len()).into_bytes();
        answer.extend_from_slice(body);
        answers.write_all(&answer)?;
    }
    Ok(())
}

/// Notes a request. Returns the number of requests so far, and the rest of a stall.
fn note(path: &str, log: &mut RequestLog, stall: Option<Pause>) -> (usize, Duration) {
    log.paths.push(path.to_owned());
    if let Some(Pause { op, length }) = stall
        && operation(path) == Some(op)
    {
        log.stalled_until = Some(Instant::now() + length);
    }
    let until = log.stalled_until.unwrap_or_else(Instant::now);
    let pause = until.saturating_duration_since(Instant::now());
    (log.paths.len(), pause)
}

/// The delay that a path such as `/delay/5000ns` asks for.
fn requested_delay(path: &str) -> Duration {
    let ns = path
        .strip_prefix("/delay/")
        .and_then(|rest| rest.split_once("ns"))
        .and_then(|(ns, _)| ns.parse().ok());
    Duration::from_nanos(ns.unwrap_or(0)).min(PATIENCE)
}

/// The path of the next request; `None` at the end of the connection.
fn path_of_next(requests: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut first = String::new();
    if requests.read_line(&mut first)? == 0 {
        return Ok(None);
    }
    let mut line = String::new();
    while requests.read_line(&mut line)? > 2 {
        line.clear();
    }
    let path = first.split(' ').nth(1).unwrap_or_default();
    Ok(Some(path.to_owned()))
}
