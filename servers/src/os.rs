//! Everything that depends on the operating system: pinning, limits, CPU time, alarms, parent-death signal, listening.
//!
//! If the system cannot provide something, the result is `None` or an "unsupported" error, never a guess. No protocol
//! and no policy live here. Read `serve.rs` next for the callers.

use std::io;
use std::net::{SocketAddr, TcpListener};

use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage, setrlimit};
use nix::sys::time::TimeValLike;
use socket2::{Domain, Protocol, Socket, Type};

/// Connections that may wait to be accepted; the default of 128 drops SYNs when hundreds of sessions connect at once.
const LISTEN_BACKLOG: i32 = 4096;

/// CPU time of the whole process, all threads.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CpuTime {
    pub(crate) user_ns: u64,
    pub(crate) system_ns: u64,
}

/// CPU time so far, if the system provides it.
pub(crate) fn cpu_time() -> Option<CpuTime> {
    let usage = getrusage(UsageWho::RUSAGE_SELF).ok()?;
    Some(CpuTime {
        user_ns: u64::try_from(usage.user_time().num_nanoseconds()).ok()?,
        system_ns: u64::try_from(usage.system_time().num_nanoseconds()).ok()?,
    })
}

/// Raises the soft limit of open files to the hard limit, if permitted.
pub(crate) fn raise_open_files_limit() {
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        // A failure here costs nothing yet: a server that runs out of descriptors reports it when it accepts.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

/// Pins the calling thread, and every thread it starts from now on, to `cpus`.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn pin_to_cpus(cpus: &[usize]) -> io::Result<()> {
    use nix::sched::{CpuSet, sched_setaffinity};
    use nix::unistd::Pid;
    let mut set = CpuSet::new();
    for &cpu in cpus {
        set.set(cpu)?;
    }
    Ok(sched_setaffinity(Pid::from_raw(0), &set)?)
}

/// Pins the calling thread, and every thread it starts from now on, to `cpus`.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn pin_to_cpus(_cpus: &[usize]) -> io::Result<()> {
    Err(io::Error::from(io::ErrorKind::Unsupported))
}

/// Has the kernel kill this process when its parent dies, since not every death closes the pipe in time.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn die_with_parent() -> io::Result<()> {
    use nix::sys::{prctl::set_pdeathsig, signal::Signal};
    use nix::unistd::getppid;
    let parent = getppid();
    set_pdeathsig(Signal::SIGKILL)?;
    // A parent that died before the request sends no signal, but shows up as a new parent.
    if getppid() != parent {
        return Err(io::Error::other("the parent process is already gone"));
    }
    Ok(())
}

/// Has the kernel kill this process when its parent dies; elsewhere the end of stdin is the only sign.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn die_with_parent() -> io::Result<()> {
    Ok(())
}

/// An alarm on the kernel's high-resolution clock, awaited in a tokio runtime, if the system has one.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) struct Alarm(tokio::io::unix::AsyncFd<Timer>);

#[cfg(any(target_os = "linux", target_os = "android"))]
impl Alarm {
    /// An alarm that is not set yet, for the current runtime.
    #[allow(
        deprecated,
        reason = "its successor is unsafe, for types whose descriptor may change; this one owns its descriptor"
    )]
    pub(crate) fn new() -> io::Result<Self> {
        use nix::sys::timerfd::{ClockId, TimerFd, TimerFlags};
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let timer = Timer(TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?);
        Ok(Alarm(tokio::io::unix::AsyncFd::with_interest(
            timer,
            tokio::io::Interest::READABLE,
        )?))
    }

    /// Sets the alarm, replacing any previous setting.
    pub(crate) fn ring_after(&self, delay: std::time::Duration) -> io::Result<()> {
        use nix::sys::timerfd::{Expiration, TimerSetTimeFlags};
        // A timer set to zero would never fire.
        let delay = delay.max(std::time::Duration::from_nanos(1));
        Ok(self.0.get_ref().0.set(
            Expiration::OneShot(delay.into()),
            TimerSetTimeFlags::empty(),
        )?)
    }

    /// Returns when the alarm fires.
    pub(crate) async fn rings(&self) -> io::Result<()> {
        // The timer need not be read: setting it again clears its expiration.
        self.0.readable().await?.clear_ready();
        Ok(())
    }
}

/// The kernel's timer, in the form that tokio takes.
#[cfg(any(target_os = "linux", target_os = "android"))]
struct Timer(nix::sys::timerfd::TimerFd);

#[cfg(any(target_os = "linux", target_os = "android"))]
impl std::os::fd::AsRawFd for Timer {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        use std::os::fd::AsFd;
        self.0.as_fd().as_raw_fd()
    }
}

/// An alarm on the kernel's high-resolution clock: not available here.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) enum Alarm {}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
impl Alarm {
    pub(crate) fn new() -> io::Result<Self> {
        Err(io::Error::from(io::ErrorKind::Unsupported))
    }

    pub(crate) fn ring_after(&self, _delay: std::time::Duration) -> io::Result<()> {
        match *self {}
    }

    pub(crate) async fn rings(&self) -> io::Result<()> {
        match *self {}
    }
}

/// Opens `how_many` listening, non-blocking sockets on one address; with several, the kernel spreads connections.
pub(crate) fn listen(address: SocketAddr, how_many: usize) -> io::Result<Vec<TcpListener>> {
    assert!(
        how_many >= 1,
        "asked for {how_many} listening sockets, a server needs at least 1"
    );
    if how_many > 1 {
        refuse_taken_port(address)?;
    }
    let first = listen_once(address, how_many > 1)?;
    let address = first.local_addr()?;
    let mut listeners = vec![first];
    for _ in 1..how_many {
        listeners.push(listen_once(address, true)?);
    }
    Ok(listeners)
}

/// With SO_REUSEPORT a second server could silently join a taken port and share its connections; a plain bind fails.
fn refuse_taken_port(address: SocketAddr) -> io::Result<()> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())
}

fn listen_once(address: SocketAddr, share_port: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    if share_port {
        socket.set_reuse_port(true)?;
    }
    // On Linux accepted sockets inherit it, including those of servers with another accept loop.
    socket.set_tcp_nodelay(true)?;
    socket.bind(&address.into())?;
    socket.listen(LISTEN_BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}
