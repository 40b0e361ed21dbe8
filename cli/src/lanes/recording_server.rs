//! A server that remembers what it was asked for: the other side of a worker under test.
//!
//! It answers GET requests over kept connections with one body; told to lie, it answers with another one from some request
//! on. It serves one worker on this machine for a second or two.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

const BODY: &[u8] = b"one small body, the same in each honest answer";
const LIE: &[u8] = b"another small body, of the same length as that";

/// Time after which a silent connection is given up.
const PATIENCE: Duration = Duration::from_secs(30);

/// The requests and connections so far.
#[derive(Clone, Debug, Default)]
pub(super) struct RequestLog {
    pub(super) paths: Vec<String>,
    pub(super) connections: u64,
}

#[derive(Debug)]
pub(super) struct RecordingServer {
    pub(super) address: SocketAddr,
    seen: Arc<Mutex<RequestLog>>,
}

impl RecordingServer {
    /// A server whose answers are honest for the first `honest` requests.
    pub(super) fn start(honest: usize) -> io::Result<Self> {
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
                    let _ = serve(stream, &seen, honest);
                });
            }
        })?;
        Ok(Self { address, seen })
    }

    pub(super) fn seen(&self) -> RequestLog {
        lock(&self.seen).clone()
    }
}

fn lock(seen: &Mutex<RequestLog>) -> MutexGuard<'_, RequestLog> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(stream: TcpStream, seen: &Mutex<RequestLog>, honest: usize) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    let mut answers = stream.try_clone()?;
    let mut requests = BufReader::new(stream);
    while let Some(path) = path_of_next(&mut requests)? {
        let count = {
            let mut seen = lock(seen);
            seen.paths.push(path);
            seen.paths.len()
        };
        let body = if count > honest { LIE } else { BODY };
        let mut answer =
            format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len()).into_bytes();
        answer.extend_from_slice(body);
        answers.write_all(&answer)?;
    }
    Ok(())
}

/// The path of the next request; `None` at the end of the connection.
fn path_of_next(requests: &mut BufReader<TcpStream>) -> io::Result<Option<String>> {
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
