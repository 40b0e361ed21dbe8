//! Guards: processes between the orchestrator and a server that is not ours, which end the server with their stdin.
//!
//! However the orchestrator ends, its end of the pipe closes, and the guard leaves nothing behind. What is guarded is the
//! business of `targets::local_postgres` and `arm_server`.

use std::io::{self, BufRead};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::thread;

use crate::interrupt::{Interrupt, Listener};

/// Hears of the end of stdin, or of a signal, as long as the listener is held.
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

/// A port that is free now. Somebody may take it before the server does; then the server says so and does not start.
pub fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}
