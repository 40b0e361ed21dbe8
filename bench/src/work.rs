//! The work of a comparison: requests, transactions, messages, or file operations. No program's name and no address.

use std::num::NonZeroU32;
use std::path::PathBuf;

/// One kind of operation, at one number in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    Http(HttpWork),
    Sql(SqlWork),
    File(FileWork),
    Ws(WsWork),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HttpWork {
    pub(crate) server: HttpServer,
    pub(crate) page: Page,
    pub(crate) connections: u32,
    /// False for a connection per request.
    pub(crate) keep_alive: bool,
    /// Requests per second of an open load; `None` for a closed loop.
    pub(crate) rate_hz: Option<u32>,
    /// True if the requests of 10 ms are due together, as h2load sends them.
    pub(crate) bursts: bool,
    pub(crate) tls: bool,
    /// Concurrent streams of each connection over HTTP/2; `None` for HTTP/1.1.
    pub(crate) streams: Option<NonZeroU32>,
}

impl HttpWork {
    /// Keep-alive GETs of 13 B over HTTP/1.1 in a closed loop.
    pub(crate) const fn new(server: HttpServer, connections: u32) -> Self {
        Self {
            server,
            page: Page::Small,
            connections,
            keep_alive: true,
            rate_hz: None,
            bursts: false,
            tls: false,
            streams: None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum HttpServer {
    /// The minimal responder of this crate.
    Responder,
    Nginx,
    /// Photofinish's embedded server.
    Mock,
}

/// A resource of the servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Page {
    /// 13 B.
    Small,
    /// 64 B, which the embedded server has as well.
    Bytes64,
    Kib10,
    Mib1,
    /// A JSON document of 100 B.
    Json,
}

impl Page {
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Small => "/13",
            Self::Bytes64 => "/bytes/64",
            Self::Kib10 => "/10k",
            Self::Mib1 => "/1m",
            Self::Json => "/json",
        }
    }

    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Small => "13 B",
            Self::Bytes64 => "64 B",
            Self::Kib10 => "10 KiB",
            Self::Mib1 => "1 MiB",
            Self::Json => "JSON",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SqlWork {
    pub(crate) server: SqlServer,
    pub(crate) transaction: Transaction,
    pub(crate) protocol: Protocol,
    pub(crate) clients: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SqlServer {
    Postgres,
    /// Photofinish's embedded server.
    Mock,
}

/// A transaction on the tables of pgbench.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transaction {
    /// `pgbench -S`.
    SelectByKey,
    Insert,
    /// pgbench's default, five statements.
    TpcB,
    /// The row of an item, from a table of its own of 10,000 rows.
    Item,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Simple,
    Extended,
    Prepared,
}

impl Protocol {
    /// The name that pgbench and scenario files have for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Simple => "simple",
            Self::Extended => "extended",
            Self::Prepared => "prepared",
        }
    }
}

/// A text message and its echo, from Photofinish's embedded server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WsWork {
    pub(crate) connections: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileWork {
    pub(crate) access: FileAccess,
    /// Operations in flight.
    pub(crate) depth: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileAccess {
    /// Read blocks of an open file, at random offsets.
    Random { block_kib: u32 },
    /// Open a file, read it, close it.
    Whole { kib: u32 },
    /// Write a file and sync it.
    WriteSynced { kib: u32 },
}

/// Address of the work of a generator.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Site {
    /// URL of the page or the database; empty for files.
    pub(crate) url: String,
    pub(crate) port: u16,
    /// Certificate of the server's ca_file, with TLS.
    pub(crate) ca_file: Option<PathBuf>,
    /// Directory for files.
    pub(crate) directory: PathBuf,
}
