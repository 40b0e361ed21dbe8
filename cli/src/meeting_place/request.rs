//! One HTTP request after another to an object store, over a connection that is kept.
//!
//! The connection is the one under the probes of targets, with its deadline; a body may take as long as it makes progress.

use std::sync::{Mutex, PoisonError};

use photofinish_record::TlsSettings;
use photofinish_workloads::protocol::http::{Limits, Method, ResponseReader};
use photofinish_workloads::protocol::tls::{TlsConfig, system_roots};
use url::Url;

use crate::exit::{Failure, OrFail};
use crate::interrupt::Interrupt;
use crate::targets::{Connection, Peer, addresses};

/// Bytes for which a connection has its deadline.
const PORTION: usize = 256 * 1024;

/// Maximum length of a body.
const LARGEST_BODY: u64 = 1 << 30;

/// A server, and the connection to it.
pub(super) struct Client {
    url: Url,
    host: String,
    tls: Option<TlsConfig>,
    open: Mutex<Option<Connection>>,
}

/// A request, ready to be sent.
pub(super) struct Request<'a> {
    pub(super) method: Method,
    /// With its query.
    pub(super) target: String,
    /// Without `host`.
    pub(super) fields: Vec<(&'static str, String)>,
    pub(super) body: &'a [u8],
}

pub(super) struct Response {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
    /// Fields of the response that matter, by name.
    fields: Vec<(&'static str, String)>,
}

impl Response {
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        let known = self.fields.iter().find(|(known, _)| *known == name);
        known.map(|(_, value)| value.as_str())
    }
}

/// Names of the fields that matter.
pub(super) const DATE: &str = "date";
pub(super) const LAST_MODIFIED: &str = "last-modified";
pub(super) const REGION: &str = "x-amz-bucket-region";

impl Client {
    /// A client of the server at `url`, whose certificate is checked against the authorities in the PEM text `ca`, or
    /// against those that this system trusts.
    pub(super) fn new(url: Url, ca: Option<String>) -> Result<Self, Failure> {
        let name = url.host_str().unwrap_or_default().to_owned();
        let host = match url.port() {
            Some(port) => format!("{name}:{port}"),
            None => name.clone(),
        };
        let settings = TlsSettings {
            ca,
            ..TlsSettings::default()
        };
        let tls = if url.scheme() == "https" {
            let name = name.trim_start_matches('[').trim_end_matches(']');
            let config = TlsConfig::new(&settings, name, system_roots);
            Some(config.or_fail("no TLS to the store")?)
        } else {
            None
        };
        let open = Mutex::default();
        Ok(Self {
            url,
            host,
            tls,
            open,
        })
    }

    /// The value of the field `host`.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// Sends a request and reads the response to it.
    pub(super) fn exchange(&self, request: &Request<'_>) -> Result<Response, Failure> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        // Kept only if nothing goes wrong.
        let mut connection = match open.take() {
            Some(mut connection) => {
                connection.renew();
                connection
            }
            None => self.connect()?,
        };
        self.send(&mut connection, request)?;
        let (response, keep) = self.receive(&mut connection, request.method)?;
        *open = keep.then_some(connection);
        Ok(response)
    }

    fn connect(&self) -> Result<Connection, Failure> {
        let peer = Peer {
            name: self.url.origin().ascii_serialization(),
            protocol: "HTTP/1.1",
            hint: "is it the endpoint of the store?",
        };
        // An interrupt must not keep a shard from telling the others and leaving its record.
        let interrupt = Interrupt::default();
        let connection = Connection::open(peer, &addresses(&self.url)?, &interrupt)?;
        match &self.tls {
            None => Ok(connection),
            Some(tls) => connection.secure(tls),
        }
    }

    fn send(&self, connection: &mut Connection, request: &Request<'_>) -> Result<(), Failure> {
        let Request {
            method,
            target,
            fields,
            body,
        } = request;
        let mut head = format!(
            "{} {target} HTTP/1.1\r\nhost: {}\r\n",
            method.as_str(),
            self.host
        );
        for (name, value) in fields {
            head += &format!("{name}: {value}\r\n");
        }
        head += &format!("content-length: {}\r\n\r\n", body.len());
        connection.write(head.as_bytes())?;
        for portion in body.chunks(PORTION) {
            connection.renew();
            connection.write(portion)?;
        }
        Ok(())
    }

    /// The response, and whether the connection can be used again.
    fn receive(
        &self,
        connection: &mut Connection,
        method: Method,
    ) -> Result<(Response, bool), Failure> {
        let failed = || {
            format!(
                "{} gave an invalid response",
                self.url.origin().ascii_serialization()
            )
        };
        let mut reader = ResponseReader::new(Limits {
            max_body_bytes: LARGEST_BODY,
            ..Limits::default()
        });
        const WATCHED: [&str; 3] = [DATE, LAST_MODIFIED, REGION];
        reader.watch(WATCHED);
        reader.begin(method);
        let (mut body, mut since_renewal) = (Vec::new(), 0);
        let mut part = vec![0; 64 * 1024];
        loop {
            let count = connection.read(&mut part)?;
            if count == 0 {
                reader.end_of_input().or_fail(failed())?;
                break;
            }
            let advance = reader
                .advance(&part[..count], &mut body)
                .or_fail(failed())?;
            if advance.done {
                break;
            }
            since_renewal += count;
            if since_renewal >= PORTION {
                since_renewal = 0;
                connection.renew();
            }
        }
        let value = |name| {
            let value = reader.fields(name).next()?;
            Some((name, String::from_utf8_lossy(value).trim().to_owned()))
        };
        let response = Response {
            status: reader.status(),
            fields: WATCHED.into_iter().filter_map(value).collect(),
            body,
        };
        Ok((response, reader.keep_alive()))
    }
}
