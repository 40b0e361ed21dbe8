//! Guards: processes between the orchestrator and an external server, which end the server when their stdin closes.
//!
//! However the orchestrator ends, its end of the pipe closes, and the guard leaves nothing behind.
//! `targets::local_postgres` and `arms::server` run under guards.

use std::io::{self, BufRead};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::thread;

use crate::interrupt::{Interrupt, Listener};

/// Reports the end of stdin, or a signal, for as long as the listener exists.
pub fn end(interrupt: &Interrupt) -> (Arc<Listener>, Receiver<()>) {
    let (sender, end) = mpsc::channel();
    let on_interrupt: Arc<Listener> = {
        let sender = sender.clone();
        Arc::new(move || {
            let _ = sender.send(());
        })
    };
    interrupt.subscribe(&on_interrupt);
    thread::spawn(move || {
        for line in io::stdin().lock().lines() {
            if !line.is_ok_and(|line| line.trim() != "stop") {
                break;
            }
        }
        let _ = sender.send(());
    });
    (on_interrupt, end)
}

/// Ports below the ephemeral ones of common systems, and above those of common services.
const UNASSIGNED: RangeInclusive<u16> = 15_000..=30_000;

/// Number of these ports to try before taking any.
const ATTEMPTS: u32 = 100;

/// An address that is currently free, on a port that systems do not assign automatically; a server that finds it taken
/// reports that and does not start.
pub fn free_address() -> io::Result<SocketAddr> {
    for _ in 0..ATTEMPTS {
        let ports = u32::from(UNASSIGNED.end() - UNASSIGNED.start()) + 1;
        let random = getrandom::u32().map_err(|error| io::Error::other(error.to_string()))?;
        let offset = u16::try_from(random % ports).expect("less than the last port");
        let port = UNASSIGNED.start() + offset;
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            return listener.local_addr();
        }
    }
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_free_address_can_be_listened_on_and_is_nobodys_by_chance() {
        let address = free_address().expect("one of so many");
        assert!(UNASSIGNED.contains(&address.port()), "{address}");
        TcpListener::bind(address).expect("it is free");
    }
}
