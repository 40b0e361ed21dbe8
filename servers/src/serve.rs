//! The life of a server process: bind, pin, start, announce, answer for its counts, stop.
//!
//! With a parent, stdin is a control channel (`counts`, `stop`; its end stops the server), so that the server ends with
//! the process that started it, however that ends. Without one, the server runs until SIGINT or SIGTERM. All output on
//! stdout is one JSON document per line. No protocol of any server lives here. Read `kind.rs` next.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use serde::{Deserialize, Serialize};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::tls::Identity;
use crate::{
    Counts, CountsSnapshot, Running, SERVERS, ServeError, ServerKind, Startup, Stop, find, os,
};

/// Protocol version of the lines on stdin and stdout.
pub const PROTOCOL: u32 = 1;

/// Options of a server process.
#[derive(Debug, Clone)]
pub struct ServeOptions {
    /// Address to listen on; port 0 takes any free port, reported in the ready line.
    pub listen: SocketAddr,
    /// The server's own script, as JSON; `{}` or null asks for every default.
    pub behaviour: serde_json::Value,
    /// Threads that serve.
    pub threads: NonZeroUsize,
    /// True if the server speaks TLS, with a certificate generated at startup.
    pub tls: bool,
    /// CPUs that the process may use; `None` for no change.
    pub cpus: Option<Vec<usize>>,
    /// True if a parent uses stdin as a control channel; the server ends with it.
    pub with_parent: bool,
}

impl Default for ServeOptions {
    fn default() -> Self {
        ServeOptions {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            behaviour: serde_json::Value::Null,
            threads: NonZeroUsize::MIN,
            tls: false,
            cpus: None,
            with_parent: false,
        }
    }
}

/// The line that announces that the server is listening.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// The server's name.
    pub ready: String,
    /// The version of the lines on stdin and stdout; see [`PROTOCOL`].
    pub protocol: u32,
    /// Address it listens on.
    pub address: SocketAddr,
    pub pid: u32,
    /// Certificate in PEM, with TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// The threads it serves with.
    pub threads: usize,
}

/// The response to `counts`.
#[derive(Debug, Serialize)]
struct CountsLine {
    counts: CountsSnapshot,
}

/// The response to an unknown command.
#[derive(Debug, Serialize)]
struct UnknownCommandLine<'a> {
    error: String,
    expected: &'a [&'a str],
}

/// An event in the life of a server process.
enum Event {
    Command(String),
    StdinEnded,
    StopSignal,
    ServerDied,
}

/// Runs the server named `kind` and returns once it has to stop.
///
/// Pins the calling thread, from which all others inherit, so call it from a process's main thread.
pub fn serve(
    kind: &str,
    options: ServeOptions,
    stdin: impl Read + Send + 'static,
    stdout: impl Write,
) -> Result<(), ServeError> {
    let kind = find(kind).ok_or_else(|| unknown_server(kind))?;
    check(kind, &options)?;
    prepare_process(&options)?;
    let (events, happened) = mpsc::channel();
    watch_signals(&events, options.with_parent).map_err(ServeError::start(kind.name))?;
    let server = Server::start(kind, &options, &events)?;
    let mut stdout = stdout;
    if options.with_parent {
        thread::Builder::new()
            .spawn(move || forward_commands(stdin, &events))
            .map_err(ServeError::start(kind.name))?;
    }
    server.announce(&mut stdout)?;
    let outcome = server.live(&happened, &mut stdout);
    server.stop();
    outcome
}

fn unknown_server(name: &str) -> ServeError {
    ServeError::UnknownServer {
        name: name.to_owned(),
        expected: SERVERS.iter().map(|kind| kind.name).collect(),
    }
}

fn check(kind: &ServerKind, options: &ServeOptions) -> Result<(), ServeError> {
    if options.tls && kind.alpn.is_none() {
        return Err(ServeError::NoTls { server: kind.name });
    }
    let requested = options.threads.get();
    match kind.most_threads.map(NonZeroUsize::get) {
        Some(most) if requested > most => Err(ServeError::TooManyThreads {
            server: kind.name,
            requested,
            most,
        }),
        _ => Ok((kind.check_behaviour)(&options.behaviour)?),
    }
}

fn prepare_process(options: &ServeOptions) -> Result<(), ServeError> {
    if options.with_parent {
        os::die_with_parent().map_err(|source| ServeError::Parent { source })?;
    }
    os::raise_open_files_limit();
    match &options.cpus {
        None => Ok(()),
        Some(cpus) => os::pin_to_cpus(cpus).map_err(|source| ServeError::Pin {
            cpus: cpus.clone(),
            source,
        }),
    }
}

/// Turns SIGTERM, and SIGINT without a parent, into an event. With a parent, a Ctrl-C that reaches the whole process
/// group is ignored: the parent still needs the counts, and sends `stop` itself.
fn watch_signals(events: &Sender<Event>, with_parent: bool) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (mut interrupt, mut terminate) = {
        let _reactor = runtime.enter();
        (
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
        )
    };
    let events = events.clone();
    let wait = async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => if !with_parent { break },
                _ = terminate.recv() => break,
            }
        }
    };
    thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            runtime.block_on(wait);
            // The receiver is gone if the server is already stopping.
            let _ = events.send(Event::StopSignal);
        })?;
    Ok(())
}

fn forward_commands(stdin: impl Read, events: &Sender<Event>) {
    for line in BufReader::new(stdin).lines() {
        let Ok(line) = line else { break };
        if events.send(Event::Command(line)).is_err() {
            return;
        }
    }
    let _ = events.send(Event::StdinEnded);
}

/// A started server, as its process sees it.
struct Server {
    kind: &'static ServerKind,
    address: SocketAddr,
    threads: usize,
    certificate: Option<String>,
    counts: Arc<Counts>,
    stop: watch::Sender<bool>,
    /// One per thread of the server: waits for the thread to end, and reports it if it panicked.
    watchers: Vec<thread::JoinHandle<()>>,
}

impl Server {
    fn start(
        kind: &'static ServerKind,
        options: &ServeOptions,
        events: &Sender<Event>,
    ) -> Result<Self, ServeError> {
        let listen = |source| ServeError::Listen {
            address: options.listen,
            source,
        };
        let threads = options.threads.get();
        let listeners = os::listen(options.listen, threads).map_err(listen)?;
        let address = listeners[0].local_addr().map_err(listen)?;
        let counts = Arc::new(Counts::default());
        let (stop_sender, stop) = Stop::new();
        let behaviour = options.behaviour.clone();
        let alpn = kind.alpn.filter(|_| options.tls);
        let identity = alpn.map(Identity::new).transpose();
        let identity = identity.map_err(|source| ServeError::Certificate { source })?;
        let certificate = identity.as_ref().map(|it| it.certificate.clone());
        let running = (kind.start)(Startup {
            behaviour,
            listeners,
            counts: counts.clone(),
            identity,
            stop,
        })?;
        let watchers = watch_threads(running, events).map_err(ServeError::start(kind.name))?;
        Ok(Server {
            kind,
            address,
            threads,
            certificate,
            counts,
            stop: stop_sender,
            watchers,
        })
    }

    fn announce(&self, stdout: &mut impl Write) -> Result<(), ServeError> {
        let (ready, pid) = (self.kind.name.to_owned(), std::process::id());
        say(
            stdout,
            &Ready {
                ready,
                protocol: PROTOCOL,
                address: self.address,
                pid,
                certificate: self.certificate.clone(),
                threads: self.threads,
            },
        )
    }

    fn live(&self, happened: &Receiver<Event>, stdout: &mut impl Write) -> Result<(), ServeError> {
        loop {
            match happened.recv() {
                Ok(Event::Command(line)) if line.trim() == "stop" => return Ok(()),
                Ok(Event::Command(line)) => self.answer(line.trim(), stdout)?,
                Ok(Event::StdinEnded | Event::StopSignal) | Err(_) => return Ok(()),
                Ok(Event::ServerDied) => {
                    return Err(ServeError::Died {
                        server: self.kind.name,
                    });
                }
            }
        }
    }

    fn answer(&self, command: &str, stdout: &mut impl Write) -> Result<(), ServeError> {
        match command {
            "" => Ok(()),
            "counts" => say(
                stdout,
                &CountsLine {
                    counts: self.counts.snapshot(self.kind.counted),
                },
            ),
            _ => {
                let error = format!("unknown command `{command}`");
                say(
                    stdout,
                    &UnknownCommandLine {
                        error,
                        expected: &["counts", "stop"],
                    },
                )
            }
        }
    }

    fn stop(self) {
        // Without a receiver, every thread has already ended.
        let _ = self.stop.send(true);
        for watcher in self.watchers {
            // A watcher itself cannot panic; a death among the server's threads has reached `live` as an event.
            let _ = watcher.join();
        }
    }
}

/// Only a panic is reported: threads end normally after the stop signal.
fn watch_threads(
    running: Running,
    events: &Sender<Event>,
) -> io::Result<Vec<thread::JoinHandle<()>>> {
    let watch = |server_thread: thread::JoinHandle<()>| {
        let events = events.clone();
        thread::Builder::new().spawn(move || {
            if server_thread.join().is_err() {
                let _ = events.send(Event::ServerDied);
            }
        })
    };
    running.threads.into_iter().map(watch).collect()
}

fn say(stdout: &mut impl Write, line: &impl Serialize) -> Result<(), ServeError> {
    let control = |source| ServeError::Control { source };
    let mut text = serde_json::to_vec(line).map_err(|error| control(error.into()))?;
    text.push(b'\n');
    stdout
        .write_all(&text)
        .and_then(|()| stdout.flush())
        .map_err(control)
}
