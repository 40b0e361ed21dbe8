//! An existing HTTP server: probed once, and asked for nginx's own counts if it offers them.
//!
//! The probe is one plain request over a separate socket, before anything is measured: it distinguishes a server that
//! is not running from one that is slow, and reads its name from the `Server` header. Answers are read as workers read
//! them, with the same reader. The worker does the measuring.

use photofinish_record::{PeerAddress, ServerCounts, TlsSettings};
use photofinish_workloads::protocol::http::{
    HttpError, HttpTarget, Limits, Method, ResponseReader,
};
use url::Url;

use super::http2;
use super::tls::{self, Tls};
use super::{HttpVersions, Target, TargetKind, TargetServer, Values, connect, forms, server_url};
use crate::exit::Failure;
use crate::interrupt::Interrupt;
use crate::store::redaction;

/// Maximum length of an answer to a probe.
const LONGEST_ANSWER: usize = 64 * 1024;

pub(super) static KIND: TargetKind = TargetKind {
    name: "http",
    server: "http",
    schemes: &["http", "https"],
    url: "http://{address}",
    secure_url: Some("https://{address}"),
    options: &[STATUS, "ca", "cert", "key", "server-name", "insecure"],
    forms: "http=http[s]://HOST:PORT[/PATH], http=unix:SOCKET[:/PATH], http-status=URL of nginx's stub_status, \
            http-ca=FILE, http-cert=FILE and http-key=FILE, http-server-name=NAME, http-insecure=true",
    beginnings: &[
        ("http=http://127.0.0.1:", "an HTTP server"),
        ("http-status=http://127.0.0.1:", "nginx's stub_status"),
    ],
    parse: Some(parse),
};

/// Option for the URL of a status page.
const STATUS: &str = "status";

fn parse(values: &Values<'_>) -> Result<Box<dyn Target>, Failure> {
    let page = page(values.url)?;
    let tls = tls::of(&KIND, &page, values)?;
    let status = values.options.get(STATUS);
    let status = status.map(|url| server_url("http", url)).transpose()?;
    if status.as_ref().is_some_and(|url| url.scheme() == "https") {
        let message = "--target http-status: expected a URL without TLS";
        return Err(Failure::usage(message).hint(forms()));
    }
    Ok(Box::new(HttpUrls {
        page,
        tls,
        status,
        versions: HttpVersions::default(),
    }))
}

/// The URL of a page: of TCP, or of a Unix socket.
fn page(text: &str) -> Result<Url, Failure> {
    if !text.starts_with(PeerAddress::UNIX) {
        return server_url("http", text);
    }
    let wrong = |message: String| Failure::usage(format!("--target http: {message}")).hint(forms());
    HttpTarget::parse(text).map_err(|error| wrong(error.to_string()))?;
    Url::parse(text).map_err(|error| wrong(error.to_string()))
}

/// A server and its status page.
#[derive(Debug)]
struct HttpUrls {
    page: Url,
    tls: Option<Tls>,
    status: Option<Url>,
    versions: HttpVersions,
}

impl Target for HttpUrls {
    fn set_http_versions(&mut self, versions: HttpVersions) {
        self.versions = versions;
    }

    fn urls(&self) -> Vec<&Url> {
        [&self.page].into_iter().chain(&self.status).collect()
    }

    fn safe_url(&self) -> String {
        redaction::url(&self.page)
    }

    fn start(
        self: Box<Self>,
        _: &[usize],
        interrupt: &Interrupt,
    ) -> Result<Box<dyn TargetServer>, Failure> {
        let Finding { software, address } = self.probe(interrupt)?;
        let status = self.status.map(|url| StatusPage::probe(url, interrupt));
        Ok(Box::new(Http {
            software,
            status: status.transpose()?,
            url: self.page,
            tls: self.tls,
            address,
        }))
    }
}

impl HttpUrls {
    /// Probes the server with every HTTP version that the scenarios need.
    fn probe(&self, interrupt: &Interrupt) -> Result<Finding, Failure> {
        let tls = self.tls.as_ref();
        let mut finding = None;
        if self.versions.http1 {
            let Answer { text, address } = get(&self.page, tls, interrupt)?;
            let software = header(&text, "server").map(str::to_owned);
            finding = Some(Finding { software, address });
        }
        if self.versions.http2 {
            let answer = http2::get(&self.page, tls, interrupt)?;
            finding = Some(Finding {
                software: answer.software,
                address: answer.connection.address().clone(),
            });
        }
        Ok(finding.expect("at least one version"))
    }
}

/// Results of a probe.
struct Finding {
    software: Option<String>,
    address: PeerAddress,
}

/// A server that answered the probe.
struct Http {
    url: Url,
    tls: Option<Tls>,
    address: PeerAddress,
    software: Option<String>,
    status: Option<StatusPage>,
}

impl TargetServer for Http {
    fn url(&self) -> &str {
        self.url.as_str()
    }

    fn address(&self) -> PeerAddress {
        self.address.clone()
    }

    fn tls(&self) -> Option<&TlsSettings> {
        self.tls.as_ref().map(|tls| &tls.settings)
    }

    fn software(&self) -> Option<String> {
        self.software.clone()
    }

    fn counts(&mut self) -> Result<Option<ServerCounts>, Failure> {
        self.status.as_mut().map(StatusPage::counts).transpose()
    }
}

/// nginx's `stub_status`. Its counts include the requests of this program for the page.
struct StatusPage {
    url: Url,
    /// Number of requests for the page itself so far: one connection and one request each.
    own: u64,
    interrupt: Interrupt,
}

impl StatusPage {
    fn probe(url: Url, interrupt: &Interrupt) -> Result<Self, Failure> {
        let mut page = Self {
            url,
            own: 0,
            interrupt: interrupt.clone(),
        };
        page.counts()?;
        Ok(page)
    }

    fn counts(&mut self) -> Result<ServerCounts, Failure> {
        let answer = get(&self.url, None, &self.interrupt)?;
        self.own += 1;
        let (connections, requests) = stub_status(&answer.text).ok_or_else(|| {
            Failure::could_not_run(format!(
                "{} is not a stub_status page",
                redaction::url(&self.url)
            ))
            .hint("in nginx's configuration: location = /status { stub_status; }")
        })?;
        Ok(ServerCounts {
            requests: Some(requests.saturating_sub(self.own)),
            connections: Some(connections.saturating_sub(self.own)),
            ..ServerCounts::default()
        })
    }
}

/// The numbers of connections and requests, from the totals below `server accepts handled requests`.
fn stub_status(answer: &str) -> Option<(u64, u64)> {
    let (_, below) = answer.split_once("server accepts handled requests")?;
    let mut totals = below.split_whitespace().map_while(|word| word.parse().ok());
    Some((totals.next()?, totals.nth(1)?))
}

/// The answer to a probe: its head and anything received with it, and the address that gave it.
struct Answer {
    text: String,
    address: PeerAddress,
}

/// Sends one request on a separate connection.
fn get(url: &Url, tls: Option<&Tls>, interrupt: &Interrupt) -> Result<Answer, Failure> {
    let mut connection = connect(url, "HTTP/1.1", tls, interrupt)?;
    let target =
        HttpTarget::parse(url.as_str()).map_err(|error| Failure::usage(error.to_string()))?;
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: photofinish\r\nConnection: close\r\n\r\n",
        target.path_and_query.as_deref().unwrap_or("/"),
        target.authority,
    );
    connection.write(request.as_bytes())?;
    let (answer, flaw) = read_answer(|part| connection.read(part))?;
    if let Some(failure) = refusal(url, &answer) {
        return Err(failure);
    }
    let Some(flaw) = flaw else {
        return Ok(Answer {
            text: String::from_utf8_lossy(&answer).into_owned(),
            address: connection.address().clone(),
        });
    };
    let url = redaction::url(url);
    if answer.starts_with(b"HTTP/1.") {
        let message = format!("{url} gave an invalid response");
        return Err(Failure::could_not_run(message).caused_by(flaw));
    }
    let failure = Failure::could_not_run(format!("{url} does not speak HTTP/1.1")).caused_by(flaw);
    Err(if http2::is_greeting(&answer) {
        failure.hint("it speaks HTTP/2: use the workload `http` with `version = \"2\"` in `[http]`")
    } else {
        failure
    })
}

/// The failure of an answer that says that the server speaks TLS at this port, or wants a certificate.
fn refusal(url: &Url, answer: &[u8]) -> Option<Failure> {
    let url = redaction::url(url);
    let text = String::from_utf8_lossy(answer);
    let says = |phrases: &[&str]| {
        text.starts_with("HTTP/1.1 400 ") && phrases.iter().any(|phrase| text.contains(phrase))
    };
    // The beginning of an alert, or the words of nginx, Apache and Go.
    if answer.starts_with(b"\x15\x03")
        || says(&[
            "plain HTTP request was sent to HTTPS port",
            "plain HTTP to an SSL-enabled server port",
            "HTTP request to an HTTPS server",
        ])
    {
        let failure = Failure::could_not_run(format!("{url} speaks TLS at this port"));
        return Some(failure.hint("begin the URL with https://"));
    }
    // nginx, after a complete handshake.
    says(&["No required SSL certificate was sent", "SSL certificate error"]).then(|| {
        let message = format!("{url} refused the client certificate, or expected one");
        Failure::could_not_run(message).hint(
            "name yours with --target http-cert=FILE and --target http-key=FILE, or `cert` and `key` in `[tls]`",
        )
    })
}

/// Reads an answer up to its own end: not every server closes the connection when asked to. An error in it is returned
/// beside what was read.
fn read_answer(
    mut read: impl FnMut(&mut [u8]) -> Result<usize, Failure>,
) -> Result<(Vec<u8>, Option<HttpError>), Failure> {
    let mut reader = ResponseReader::new(Limits::default());
    reader.begin(Method::Get);
    let (mut answer, mut body) = (Vec::new(), Vec::new());
    let mut part = [0; 8 * 1024];
    while answer.len() < LONGEST_ANSWER {
        let part = match read(&mut part)? {
            0 => return Ok((answer, reader.end_of_input().err())),
            count => &part[..count],
        };
        answer.extend_from_slice(part);
        match reader.advance(part, &mut body) {
            Ok(advance) if advance.done => break,
            Ok(_) => {}
            Err(error) => return Ok((answer, Some(error))),
        }
    }
    Ok((answer, None))
}

fn header<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let head = answer.split("\r\n\r\n").next()?;
    head.lines().skip(1).find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_name_is_read_from_its_answer() {
        let answer = "HTTP/1.1 200 OK\r\nDate: x\r\nserver: nginx/1.22.1\r\n\r\nServer: body";
        assert_eq!(header(answer, "server"), Some("nginx/1.22.1"));
        assert_eq!(
            header("HTTP/1.1 200 OK\r\n\r\nServer: body", "server"),
            None
        );
    }

    /// Goal: a response ends at its declared length, and an error in it is reported at once. Method: reading on is an
    /// error of another kind.
    #[test]
    fn a_response_is_read_to_its_end_and_not_beyond_an_error() {
        let read = |answer: &'static [u8], kept: bool| {
            let mut rest = Some(answer);
            read_answer(|part| match rest.take() {
                Some(answer) => {
                    part[..answer.len()].copy_from_slice(answer);
                    Ok(answer.len())
                }
                None if kept => Err(Failure::could_not_run("read on")),
                None => Ok(0),
            })
        };
        let whole = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
        assert_eq!(read(whole, true).expect("whole"), (whole.to_vec(), None));
        let half = &whole[..whole.len() - 1];
        read(half, true).expect_err("there is more to come");
        let (_, flaw) = read(half, false).expect("closed");
        assert!(matches!(flaw, Some(HttpError::TruncatedBody { .. })));
        let twice = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok";
        let (_, flaw) = read(twice, true).expect("reported at once");
        assert!(matches!(flaw, Some(HttpError::BadContentLength { .. })));
        let (nonsense, flaw) = read(b"220 mail.test ESMTP\r\n", true).expect("reported at once");
        assert!(nonsense.starts_with(b"220") && flaw.is_some());
    }

    #[test]
    fn a_stub_status_page_is_read() {
        let page =
            "Active connections: 1 \nserver accepts handled requests\n 16 15 310 \nReading: 0";
        assert_eq!(stub_status(page), Some((16, 310)));
        assert!(stub_status("<html>").is_none());
    }
}
