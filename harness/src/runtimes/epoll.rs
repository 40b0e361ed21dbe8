//! `epoll`: the floor that runtimes are compared with, tasks on one hand-written event loop over readiness.
//!
//! Does the least that a readiness loop can do under the same trait: one registration per socket, and no call to the kernel
//! that a short read or write makes superfluous. Files block the loop: there is nothing cheaper on a cached file.

mod socket;
mod source;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use photofinish_record::RuntimeFamily;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData};
use rustix::io::Errno;
use slab::Slab;

use self::socket::{Listener, Stream};
use self::source::Source;
use super::blocking::file::{self, File};
use super::floor::{Driver, Floor};
use crate::runtime::{Descriptor, OpenMode, RuntimeConfig, StartError, SystemCalls};

pub(super) static DESCRIPTOR: Descriptor = Descriptor {
    name: "epoll",
    summary: "a task per session on a minimal loop of our own: a floor, files block it",
    note: Some("floor"),
    family: RuntimeFamily::Floor,
    queues_before_service: false,
    takes_worker_threads: false,
    cannot: &[],
    system_calls: SystemCalls::EDGE_TRIGGERED,
};

pub(super) fn start(_: RuntimeConfig) -> Result<Floor<Epoll>, StartError> {
    Floor::new(|inbox| Epoll::new(inbox).map_err(start_error))
}

/// Distinguishes an older kernel from one that has run out of a resource.
fn start_error(error: io::Error) -> StartError {
    match error.raw_os_error() {
        Some(nix::libc::ENOSYS) => StartError::Unsupported(
            "it needs epoll_pwait2, which Linux has from 5.11 on".to_owned(),
        ),
        _ => StartError::System(error),
    }
}

/// Events taken from the kernel at once.
const EVENTS_PER_TURN: usize = 256;

/// The key of the eventfd; sockets have their place in the slab.
const INBOX: u64 = u64::MAX;

pub(super) struct Epoll {
    epoll: OwnedFd,
    sources: RefCell<Slab<Rc<Source>>>,
    events: RefCell<Vec<Event>>,
}

impl Epoll {
    fn new(inbox: &OwnedFd) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let interest = epoll::EventFlags::IN | epoll::EventFlags::ET;
        epoll::add(&epoll, inbox, EventData::new_u64(INBOX), interest)?;
        // Fails here if the kernel has no such call, not in the first wait.
        let mut none = Vec::with_capacity(1);
        let spare = rustix::buffer::spare_capacity::<Event>(&mut none);
        epoll::wait(&epoll, spare, Some(&Timespec::default()))?;
        Ok(Self {
            epoll,
            sources: RefCell::default(),
            events: RefCell::new(Vec::with_capacity(EVENTS_PER_TURN)),
        })
    }

    /// Registers a non-blocking socket; returns its place beside its source.
    fn register(&self, socket: &impl AsFd) -> io::Result<(usize, Rc<Source>)> {
        let source = Rc::new(Source::default());
        let place = self.sources.borrow_mut().insert(Rc::clone(&source));
        let data = EventData::new_u64(place as u64);
        if let Err(error) = epoll::add(&self.epoll, socket, data, Source::INTEREST) {
            self.forget(place);
            return Err(error.into());
        }
        Ok((place, source))
    }

    /// Gives up the source at `place`; closing the socket ends its registration.
    fn forget(&self, place: usize) {
        self.sources.borrow_mut().remove(place);
    }
}

impl Driver for Epoll {
    type Stream = Stream;
    type Listener = Listener;
    type File = File;

    const NONBLOCKING: bool = true;

    fn facts(&self) -> BTreeMap<String, String> {
        BTreeMap::from([("driver".to_owned(), "epoll, edge-triggered".to_owned())])
    }

    fn wait(&self, limit: Option<Duration>) {
        let timeout = limit.map(|limit| Timespec {
            tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: limit.subsec_nanos().into(),
        });
        let mut events = self.events.borrow_mut();
        let spare = rustix::buffer::spare_capacity(&mut *events);
        match epoll::wait(&self.epoll, spare, timeout.as_ref()) {
            // Interrupted by a signal: as if nothing had happened.
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => panic!("epoll_pwait2 failed: {error}"),
        }
        for event in events.drain(..) {
            let (key, flags) = (event.data.u64(), event.flags);
            if key == INBOX {
                continue; // It has done its work: the loop is awake.
            }
            // A source that left in this turn may have an event left; its place then is empty, or has a new source, which
            // finds that it isn't ready after all.
            if let Some(source) = self.sources.borrow().get(key as usize) {
                source.notify(flags);
            }
        }
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
        Listener::new(runtime, listener)
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<File> {
        file::open(path, mode)
    }

    async fn read_file(_: &Floor<Self>, path: &Path, contents: &mut Vec<u8>) -> io::Result<()> {
        file::read(path, contents)
    }
}
