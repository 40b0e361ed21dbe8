//! `uring`: a floor over completions, tasks on one hand-written event loop over io_uring, behind the cargo feature of the same
//! name.
//!
//! Does the least that a completion loop can do under the same trait: one system call per turn submits everything queued and
//! collects everything completed. A small message is copied and sent while its session already waits
//! for the answer, so an operation takes one turn and not two. Files are read and written through the ring; opening one
//! blocks the loop.

mod file;
mod ring;
mod socket;

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use self::file::File;
use self::ring::Ring;
use self::socket::{Listener, Stream};
use super::blocking::file::options;
use super::floor::{Driver, Floor};
use super::ring_flags::{RingFlags, built};
use crate::runtime::{Descriptor, OpenMode, RuntimeConfig, StartError, SystemCalls};

pub(super) static DESCRIPTOR: Descriptor = Descriptor {
    name: "uring",
    summary: "a task per session on a minimal loop of our own over io_uring: a floor",
    system_calls: SystemCalls {
        per_request: "1/k",
        reason: "one io_uring_enter sends k requests, and waits for responses",
    },
    ..super::epoll::DESCRIPTOR
};

pub(super) fn start(_: RuntimeConfig) -> Result<Floor<Uring>, StartError> {
    Floor::new(Uring::new)
}

pub(super) struct Uring {
    ring: Rc<Ring>,
    flags: RingFlags,
}

impl Uring {
    fn new(inbox: &OwnedFd) -> Result<Self, StartError> {
        let (ring, flags) = built(&RingFlags::PREFERRED, |flags| Ring::new(flags, inbox))?;
        // As old as receives that poll first, and as sends that the kernel finishes.
        if !flags.coop_taskrun {
            let reason = "it needs io_uring as Linux has it from 5.19 on";
            return Err(StartError::Unsupported(reason.to_owned()));
        }
        Ok(Self {
            ring: Rc::new(ring),
            flags,
        })
    }
}

impl Driver for Uring {
    type Stream = Stream;
    type Listener = Listener;
    type File = File;

    /// On a non-blocking descriptor operations would fail with `EAGAIN` instead of waiting.
    const NONBLOCKING: bool = false;

    fn facts(&self) -> BTreeMap<String, String> {
        let facts = [("driver", "io_uring"), ("ring_flags", self.flags.names())];
        facts
            .map(|(name, fact)| (name.to_owned(), fact.to_owned()))
            .into()
    }

    fn wait(&self, limit: Option<Duration>) {
        self.ring.wait(limit);
    }

    fn flush(&self) {
        self.ring.flush();
    }

    fn connect(
        runtime: &Floor<Self>,
        address: SocketAddr,
    ) -> impl Future<Output = io::Result<Stream>> + Send {
        Stream::connect(runtime, address)
    }

    fn connect_unix(runtime: &Floor<Self>, path: &Path) -> io::Result<Stream> {
        Stream::connect_unix(runtime, path)
    }

    fn listen(runtime: &Floor<Self>, listener: TcpListener) -> io::Result<Listener> {
        Ok(Listener::new(runtime, listener))
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<File> {
        Ok(File::new(&self.ring, options(mode).open(path)?))
    }

    async fn read_file(
        runtime: &Floor<Self>,
        path: &Path,
        contents: &mut Vec<u8>,
    ) -> io::Result<()> {
        let file = options(OpenMode::Read).open(path)?;
        let mut file = File::new(&runtime.driver().ring, file);
        file.read_whole(contents).await
    }
}
