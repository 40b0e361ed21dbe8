//! The servers under load: started when a comparison first needs one, stopped when the program ends.
//!
//! All run on the server's CPU and listen on 127.0.0.1. A server that cannot be started is reported for each comparison
//! that needs it, and the others go on.

mod mock;
mod nginx;
mod postgres;
pub(crate) mod responder;

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::child::Background;
use crate::cpus;
use crate::failure::{Failure, OrFail as _};
use crate::programs::Program;
use crate::work::{HttpServer, HttpWork, Site, SqlServer, SqlWork, Transaction, Work};

/// Timeout for a server to accept connections.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// Polling interval while a server starts.
const CHECK_INTERVAL: Duration = Duration::from_millis(20);

/// Conditions under which a server starts.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Path of `photofinish`.
    pub(crate) program: PathBuf,
    /// A directory that servers of other users can enter.
    pub(crate) directory: PathBuf,
    pub(crate) cpu: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Responder,
    Nginx { tls: bool },
    HttpMock,
    Postgres,
    SqlMock,
    WsMock,
}

impl Kind {
    /// The server of a work; none for files.
    fn of(work: &Work) -> Option<Self> {
        match work {
            Work::Http(HttpWork { server, tls, .. }) => Some(match server {
                HttpServer::Responder => Self::Responder,
                HttpServer::Nginx => Self::Nginx { tls: *tls },
                HttpServer::Mock => Self::HttpMock,
            }),
            Work::Sql(SqlWork { server, .. }) => Some(match server {
                SqlServer::Postgres => Self::Postgres,
                SqlServer::Mock => Self::SqlMock,
            }),
            Work::Ws(_) => Some(Self::WsMock),
            Work::File(_) => None,
        }
    }

    fn programs(self) -> &'static [Program] {
        match self {
            Self::Responder | Self::HttpMock | Self::SqlMock | Self::WsMock => &[],
            Self::Nginx { tls: false } => &[nginx::NGINX],
            Self::Nginx { tls: true } => &[nginx::NGINX, nginx::OPENSSL],
            Self::Postgres => &postgres::PROGRAMS,
        }
    }

    fn start(self, settings: &Settings) -> Result<Server, Failure> {
        match self {
            Self::Responder => responder::start(settings),
            Self::Nginx { tls } => nginx::start(settings, tls),
            Self::HttpMock => mock::start(settings, "http", "{}"),
            Self::Postgres => postgres::start(settings),
            Self::SqlMock => mock::start(settings, "postgres", r#"{"preload": ["pgbench"]}"#),
            Self::WsMock => mock::start(settings, "ws", "{}"),
        }
    }
}

/// The programs that the server of a work needs.
pub(crate) fn programs(work: &Work) -> &'static [Program] {
    Kind::of(work).map_or(&[], Kind::programs)
}

/// A running server.
#[derive(Debug)]
struct Server {
    process: Background,
    port: u16,
    /// Port of HTTP/2, if separate.
    http2_port: Option<u16>,
    ca_file: Option<PathBuf>,
}

impl Server {
    fn new(process: Background, port: u16) -> Self {
        Self {
            process,
            port,
            http2_port: None,
            ca_file: None,
        }
    }
}

/// The servers started so far.
#[derive(Debug)]
pub(crate) struct Servers {
    settings: Settings,
    started: Vec<(Kind, Result<Server, Failure>)>,
}

impl Servers {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            settings,
            started: Vec::new(),
        }
    }

    /// The site of a work; starts its server if it does not run yet.
    pub(crate) fn site(&mut self, work: &Work) -> Result<Site, Failure> {
        let directory = self.settings.directory.clone();
        let Some(kind) = Kind::of(work) else {
            return Ok(Site {
                directory,
                ..Site::default()
            });
        };
        if self.find(kind).is_none() {
            self.started.push((kind, kind.start(&self.settings)));
        }
        let server = self
            .find(kind)
            .expect("started above")
            .as_ref()
            .map_err(Failure::clone)?;
        let (url, port) = match work {
            Work::Http(http) => http_url(http, server),
            Work::Ws(_) => (format!("ws://127.0.0.1:{}/echo", server.port), server.port),
            Work::Sql(_) | Work::File(_) => (
                format!("postgres://bench@127.0.0.1:{}/postgres", server.port),
                server.port,
            ),
        };
        Ok(Site {
            url,
            port,
            ca_file: server.ca_file.clone(),
            directory,
        })
    }

    /// Empties or vacuums the tables that a run has written.
    pub(crate) fn refresh(&self, work: &Work, site: &Site) -> Result<(), Failure> {
        match work {
            Work::Sql(SqlWork {
                server: SqlServer::Postgres,
                transaction,
                ..
            }) => match transaction {
                Transaction::SelectByKey | Transaction::Item => Ok(()),
                Transaction::Insert => postgres::execute(site.port, "TRUNCATE pgbench_history"),
                Transaction::TpcB => postgres::execute(site.port, "VACUUM"),
            },
            _ => Ok(()),
        }
    }

    /// CPU time that the server of a work has used.
    pub(crate) fn cpu(&self, work: &Work) -> Option<Duration> {
        let server = self.find(Kind::of(work)?)?.as_ref().ok()?;
        Some(cpus::of_process_tree(server.process.id()))
    }

    fn find(&self, kind: Kind) -> Option<&Result<Server, Failure>> {
        let (_, server) = self.started.iter().find(|(started, _)| *started == kind)?;
        Some(server)
    }
}

/// The URL of a page, and its port. Certificates name both `localhost` and the address.
fn http_url(http: &HttpWork, server: &Server) -> (String, u16) {
    let port = http.streams.and(server.http2_port).unwrap_or(server.port);
    let scheme = if http.tls { "https" } else { "http" };
    (
        format!("{scheme}://127.0.0.1:{port}{}", http.page.path()),
        port,
    )
}

/// A port that is free now.
fn free_port() -> Result<u16, Failure> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let address = listener
        .and_then(|listener| listener.local_addr())
        .or_fail("find a free port")?;
    Ok(address.port())
}

/// Waits until a server accepts connections.
fn wait_for(process: &mut Background, port: u16, name: &str) -> Result<(), Failure> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    wait_until(process, name, || {
        TcpStream::connect_timeout(&address, CHECK_INTERVAL).is_ok()
    })
}

/// Waits until `is_ready`, as long as the process lives.
fn wait_until(
    process: &mut Background,
    name: &str,
    is_ready: impl Fn() -> bool,
) -> Result<(), Failure> {
    let deadline = Instant::now() + START_TIMEOUT;
    while Instant::now() < deadline {
        if is_ready() {
            return Ok(());
        }
        if !process.lives() {
            return Err(Failure::new(format!("{name} exited before it listened")));
        }
        thread::sleep(CHECK_INTERVAL);
    }
    Err(Failure::new(format!(
        "{name} did not start within {} s",
        START_TIMEOUT.as_secs()
    )))
}

/// Creates a server's directory.
fn directory_of(settings: &Settings, name: &str) -> Result<PathBuf, Failure> {
    let directory = Path::new(&settings.directory).join(name);
    std::fs::create_dir_all(&directory).or_fail("create a directory")?;
    Ok(directory)
}
