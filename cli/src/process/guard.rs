//! Guards: processes between the orchestrator and an external server, which end the server when their stdin closes.
//!
//! However the orchestrator ends, its end of the pipe closes, and the guard leaves nothing behind.
//! `targets::local_postgres` and `arms::server` run under guards.

use std::io::{self, BufRead};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::ops::RangeInclusive;
#[cfg(target_os = "linux")]
use std::os::linux::net::SocketAddrExt as _;
#[cfg(target_os = "linux")]
use std::os::unix::net::{SocketAddr as UnixAddr, UnixDatagram};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use photofinish_harness::os::RAISE_THREAD_LIMIT;
use serde::{Deserialize, Serialize};

use crate::exit::{Failure, OrFail};
use crate::interrupt::{Interrupt, Listener};
use crate::output;

/// Reports the end of stdin, or a signal, for as long as the listener exists.
pub fn end(interrupt: &Interrupt) -> Result<(Arc<Listener>, Receiver<()>), Failure> {
    let (sender, end) = mpsc::channel();
    let on_interrupt: Arc<Listener> = {
        let sender = sender.clone();
        Arc::new(move || {
            let _ = sender.send(());
        })
    };
    interrupt.subscribe(&on_interrupt);
    let read = move || {
        for line in io::stdin().lock().lines() {
            if !line.is_ok_and(|line| line.trim() != "stop") {
                break;
            }
        }
        let _ = sender.send(());
    };
    thread::Builder::new()
        .spawn(read)
        .or_fail("cannot listen for the end")
        .map_err(|failure| failure.hint(RAISE_THREAD_LIMIT))?;
    Ok((on_interrupt, end))
}

/// Waits for the `end`, checking at every `interval` that the server still lives.
pub fn look_after(
    end: &Receiver<()>,
    interval: Duration,
    mut check: impl FnMut() -> Result<(), Failure>,
) -> Result<(), Failure> {
    while let Err(RecvTimeoutError::Timeout) = end.recv_timeout(interval) {
        check()?;
    }
    Ok(())
}

/// Reports the reason for the guard's end to the orchestrator, for its own messages.
pub fn report(failure: &Failure) -> Result<(), Failure> {
    output::emit_json_line(&FailureLine {
        failed: failure.in_one_line(),
        hint: failure.advice().map(str::to_owned),
    })
}

/// The last line of a guard that has failed.
#[derive(Serialize, Deserialize)]
pub struct FailureLine {
    pub failed: String,
    pub hint: Option<String>,
}

/// Ports below the ephemeral ones of common systems, and above those of common services.
const UNASSIGNED: RangeInclusive<u16> = 15_000..=30_000;

/// Number of these ports to try.
const ATTEMPTS: u32 = 100;

/// An address of this machine that no other guard chooses while this value lives.
pub struct ReservedAddress {
    pub address: SocketAddr,
    _reservation: Reservation,
}

impl ReservedAddress {
    /// An address that is currently free, on a port that systems do not assign automatically; a server that finds it
    /// taken reports that and does not start.
    pub fn choose() -> io::Result<Self> {
        for _ in 0..ATTEMPTS {
            let ports = u32::from(UNASSIGNED.end() - UNASSIGNED.start()) + 1;
            let random = getrandom::u32().map_err(|error| io::Error::other(error.to_string()))?;
            let offset = u16::try_from(random % ports).expect("less than the last port");
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, UNASSIGNED.start() + offset));
            let Ok(reservation) = reserve(address.port()) else {
                continue;
            };
            if TcpListener::bind(address).is_ok() {
                return Ok(Self {
                    address,
                    _reservation: reservation,
                });
            }
        }
        Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            format!("{ATTEMPTS} ports tried, all in use"),
        ))
    }
}

/// A name in the namespace of abstract sockets, which belongs to the same network as the port and goes with its
/// process.
#[cfg(target_os = "linux")]
type Reservation = UnixDatagram;

#[cfg(target_os = "linux")]
fn reserve(port: u16) -> io::Result<Reservation> {
    let name = format!("photofinish-port-{port}");
    UnixDatagram::bind_addr(&UnixAddr::from_abstract_name(name)?)
}

/// Without abstract sockets, a server whose port another guard has taken meanwhile does not start.
#[cfg(not(target_os = "linux"))]
type Reservation = ();

#[cfg(not(target_os = "linux"))]
fn reserve(_: u16) -> io::Result<Reservation> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserved_address_can_be_bound_and_is_free() {
        let ReservedAddress { address, .. } = ReservedAddress::choose().expect("one of so many");
        assert!(UNASSIGNED.contains(&address.port()), "{address}");
        TcpListener::bind(address).expect("it is free");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_port_stays_reserved_until_it_is_released() {
        let reserved = ReservedAddress::choose().expect("one of so many");
        let port = reserved.address.port();
        reserve(port).expect_err("reserved");
        drop(reserved);
        reserve(port).expect("given back");
    }
}
