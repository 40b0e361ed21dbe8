//! A small HTTP server to try the gate with: `small-server PORT [WORK]`.
//!
//! It responds to every request with `ok` after `WORK` steps of arithmetic, by default 100,000 (some 100 µs). Two of them with
//! different work stand for two builds, one slower by a known amount:
//!
//! ```text
//! photofinish gate http-get --base-server 'small-server {port} 100000' --head-server 'small-server {port} 115000'
//! ```

use std::hint::black_box;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;

const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// Default number of steps per request.
const WORK: u64 = 100_000;

fn main() -> io::Result<()> {
    let mut numbers = std::env::args()
        .skip(1)
        .filter_map(|argument| argument.parse().ok());
    let port = numbers.next().unwrap_or(0);
    let work = numbers.next().unwrap_or(WORK);
    let port = u16::try_from(port).unwrap_or(0);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    eprintln!("listening on {}", listener.local_addr()?);
    for stream in listener.incoming() {
        let stream = stream?;
        // A client that disconnects in the middle of a request ends only its own thread.
        thread::spawn(move || serve(&stream, work));
    }
    Ok(())
}

fn serve(stream: &TcpStream, work: u64) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut lines = BufReader::new(stream).lines();
    while lines.next().transpose()?.is_some() {
        // Skip the rest of the head, up to its empty line; requests have no body.
        while lines
            .next()
            .transpose()?
            .is_some_and(|line| !line.is_empty())
        {}
        toil(work);
        (&*stream).write_all(RESPONSE)?;
    }
    Ok(())
}

/// Does `steps` dependent steps of xorshift.
fn toil(steps: u64) -> u64 {
    let mut state = black_box(0x9E37_79B9_7F4A_7C15_u64);
    for _ in 0..steps {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
    }
    black_box(state)
}
