//! An existing HTTP server: probed once, and asked for nginx's own counts if it offers them.
//!
//! The probe is one plain request over a separate socket, before anything is measured: it distinguishes a server that
//! is not running from one that is slow, and reads its name from the `Server` header. The worker does the measuring.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use photofinish_record::ServerCounts;
use photofinish_scenarios::protocol::http::{Limits, Method, ResponseReader};
use url::Url;

use super::{Target, TargetKind, TargetServer, Values, forms, loopback};
use crate::exit::Failure;
use crate::interrupt::Interrupt;
use crate::store::redaction;

/// Timeout for the answer to the probe.
const PATIENCE: Duration = Duration::from_secs(10);

/// Maximum length of an answer to a probe.
const LONGEST_ANSWER: usize = 64 * 1024;

pub(super) static KIND: TargetKind = TargetKind {
    name: "http",
    server: "http",
    url: "http://{address}",
    options: &[STATUS],
    forms: "http=http://HOST:PORT[/PATH], http-status=URL of nginx's stub_status",
    parse: Some(parse),
};

/// Option for the URL of a status page.
const STATUS: &str = "status";

fn parse(values: &Values<'_>) -> Result<Box<dyn Target>, Failure> {
    let status = values.options.get(STATUS);
    Ok(Box::new(HttpUrls {
        page: parse_url(values.url)?,
        status: status.map(|url| parse_url(url)).transpose()?,
    }))
}

/// A server and its status page.
#[derive(Debug)]
struct HttpUrls {
    page: Url,
    status: Option<Url>,
}

impl Target for HttpUrls {
    fn urls(&self) -> Vec<&Url> {
        [&self.page].into_iter().chain(&self.status).collect()
    }

    fn safe_url(&self) -> String {
        redaction::url(&self.page)
    }

    fn start(
        self: Box<Self>,
        _: &[usize],
        _: &Interrupt,
    ) -> Result<Box<dyn TargetServer>, Failure> {
        Ok(Box::new(Http::probe(self.page, self.status)?))
    }
}

/// Reads a URL that a plain HTTP client can use.
fn parse_url(text: &str) -> Result<Url, Failure> {
    let wrong = |message: &str| Failure::usage(format!("--target http: {message}")).hint(forms());
    let url = Url::parse(text).map_err(|error| wrong(&format!("not a URL: {error}")))?;
    match url.scheme() {
        "http" if url.password().is_some() || !url.username().is_empty() => {
            Err(wrong("a user name in the URL is not supported"))
        }
        "http" => Ok(url),
        "https" => Err(wrong(
            "TLS is not supported; measure the server behind it over plain HTTP",
        )),
        _ => Err(wrong("the URL must begin with http://")),
    }
}

/// A server that answered the probe.
struct Http {
    url: Url,
    software: Option<String>,
    status: Option<StatusPage>,
}

impl Http {
    fn probe(url: Url, status: Option<Url>) -> Result<Self, Failure> {
        let answer = get(&url)?;
        let software = header(&answer, "server").map(str::to_owned);
        let status = status.map(StatusPage::probe).transpose()?;
        Ok(Self {
            url,
            software,
            status,
        })
    }
}

impl TargetServer for Http {
    fn url(&self) -> &str {
        self.url.as_str()
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
}

impl StatusPage {
    fn probe(url: Url) -> Result<Self, Failure> {
        let mut page = Self { url, own: 0 };
        page.counts()?;
        Ok(page)
    }

    fn counts(&mut self) -> Result<ServerCounts, Failure> {
        let answer = get(&self.url)?;
        self.own += 1;
        let totals = stub_status(&answer).ok_or_else(|| {
            Failure::could_not_run(format!(
                "{} is not a stub_status page",
                redaction::url(&self.url)
            ))
            .hint("in nginx's configuration: location = /status { stub_status; }")
        })?;
        Ok(ServerCounts {
            requests: Some(totals.requests.saturating_sub(self.own)),
            connections: Some(totals.accepts.saturating_sub(self.own)),
            ..ServerCounts::default()
        })
    }
}

struct Totals {
    accepts: u64,
    requests: u64,
}

/// The three totals below `server accepts handled requests`.
fn stub_status(answer: &str) -> Option<Totals> {
    let (_, below) = answer.split_once("server accepts handled requests")?;
    let mut totals = below.split_whitespace().map_while(|word| word.parse().ok());
    let accepts = totals.next()?;
    let requests = totals.nth(1)?;
    Some(Totals { accepts, requests })
}

/// Sends one request on a separate connection; returns the head of the answer and anything received with it.
fn get(url: &Url) -> Result<String, Failure> {
    let failed = |error: io::Error| unreachable_at(url, &error);
    let addresses = loopback::addresses(url)?;
    let mut stream = TcpStream::connect(&addresses[..]).map_err(failed)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: photofinish\r\nConnection: close\r\n\r\n",
        &url[url::Position::BeforePath..url::Position::AfterQuery],
        &url[url::Position::BeforeHost..url::Position::AfterPort],
    );
    stream.write_all(request.as_bytes()).map_err(failed)?;
    let answer = read_answer(stream).map_err(failed)?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    match answer.starts_with("HTTP/1.") {
        true => Ok(answer),
        false => Err(Failure::could_not_run(format!(
            "{} does not speak HTTP/1.1",
            redaction::url(url)
        ))),
    }
}

/// Reads an answer up to its own end: not every server closes the connection when asked to.
fn read_answer(mut stream: impl Read) -> io::Result<Vec<u8>> {
    let mut reader = ResponseReader::new(Limits::default());
    reader.begin(Method::Get);
    let (mut answer, mut body) = (Vec::new(), Vec::new());
    let mut part = [0; 8 * 1024];
    while answer.len() < LONGEST_ANSWER {
        let part = match stream.read(&mut part)? {
            0 => break,
            count => &part[..count],
        };
        answer.extend_from_slice(part);
        // Any errors in it are reported by the worker.
        if reader
            .advance(part, &mut body)
            .is_ok_and(|advance| advance.done)
        {
            break;
        }
    }
    Ok(answer)
}

fn unreachable_at(url: &Url, error: &io::Error) -> Failure {
    let told = match error.kind() {
        ErrorKind::WouldBlock => format!("it took longer than {} s", PATIENCE.as_secs()),
        _ => error.to_string(),
    };
    Failure::could_not_run(format!("no answer from {}", redaction::url(url)))
        .caused_by(io::Error::new(error.kind(), told))
        .hint("start the server, or omit --target to use the embedded one")
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

    /// Goal: an answer ends at its declared length, not only when its server closes. Method: anything after it is an
    /// error.
    #[test]
    fn an_answer_is_read_to_its_own_end() {
        struct Stalled;
        impl Read for Stalled {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(ErrorKind::WouldBlock.into())
            }
        }
        let whole = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
        assert_eq!(read_answer(whole.chain(Stalled)).expect("whole"), whole);
        let half = &whole[..whole.len() - 1];
        assert!(read_answer(half.chain(Stalled)).is_err());
        assert_eq!(read_answer(half).expect("closed"), half);
        let nonsense = b"220 mail.test ESMTP\r\n";
        assert_eq!(read_answer(&nonsense[..]).expect("closed"), nonsense);
    }

    #[test]
    fn a_stub_status_page_is_read() {
        let page =
            "Active connections: 1 \nserver accepts handled requests\n 16 15 310 \nReading: 0";
        let totals = stub_status(page).expect("totals");
        assert_eq!((totals.accepts, totals.requests), (16, 310));
        assert!(stub_status("<html>").is_none());
    }

    #[test]
    fn a_server_that_is_not_there_is_told_with_a_hint() {
        let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}/", closed.local_addr().expect("an address"));
        drop(closed);
        let failure = Http::probe(parse_url(&url).expect("a URL"), None)
            .err()
            .expect("refused");
        assert_eq!(failure.exit(), crate::exit::Exit::CouldNotRun);
        assert!(
            failure.to_string().contains("hint: start the server"),
            "{failure}"
        );
    }
}
