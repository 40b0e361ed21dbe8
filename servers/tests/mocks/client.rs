//! A small HTTP/1.1 client on a plain socket, written apart from everything the servers use, that counts every byte.
//!
//! It panics on anything it does not expect: that is a failed test. Read `http.rs` next.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::driver::PATIENCE;

/// A connection.
pub(crate) struct Client {
    stream: BufReader<TcpStream>,
    pub(crate) written_bytes: u64,
    pub(crate) read_bytes: u64,
}

/// What came back.
#[derive(Debug, PartialEq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Client {
            stream: BufReader::new(stream),
            written_bytes: 0,
            read_bytes: 0,
        }
    }

    pub(crate) fn get(&mut self, target: &str) -> Response {
        self.request("GET", target, "", b"")
    }

    /// Sends one request, with `headers` as lines that each end in CRLF, and reads its response.
    pub(crate) fn request(
        &mut self,
        method: &str,
        target: &str,
        headers: &str,
        body: &[u8],
    ) -> Response {
        let length = if body.is_empty() {
            String::new()
        } else {
            format!("content-length: {}\r\n", body.len())
        };
        self.send(
            format!("{method} {target} HTTP/1.1\r\nhost: test\r\n{length}{headers}\r\n").as_bytes(),
        );
        self.send(body);
        self.receive(method)
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).unwrap();
        self.written_bytes += bytes.len() as u64;
    }

    /// Reads the response to a request of that method, which decides whether there is a body.
    pub(crate) fn receive(&mut self, method: &str) -> Response {
        let status_line = self.line();
        let status = status_line
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok());
        let status = status.unwrap_or_else(|| panic!("no status line: {status_line:?}"));
        let mut response = Response {
            status,
            headers: self.headers(),
            body: Vec::new(),
        };
        if method == "HEAD" || matches!(status, 204 | 304) {
            return response;
        }
        response.body = match (
            response.header("content-length"),
            response.header("transfer-encoding"),
        ) {
            (Some(length), None) => self.bytes(length.parse().unwrap()),
            (None, Some("chunked")) => self.chunks(),
            framing => panic!("unclear framing {framing:?} in {response:?}"),
        };
        response
    }

    /// Reads an interim response and returns its status line.
    pub(crate) fn interim(&mut self) -> String {
        let status_line = self.line();
        assert_eq!(
            self.headers(),
            [],
            "an interim response has no headers here"
        );
        status_line
    }

    /// Everything until the end of the connection.
    pub(crate) fn rest(&mut self) -> io::Result<Vec<u8>> {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest)?;
        Ok(rest)
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.read_bytes += self.stream.read_line(&mut line).unwrap() as u64;
        line.strip_suffix("\r\n")
            .unwrap_or_else(|| panic!("a line without end: {line:?}"))
            .to_owned()
    }

    fn headers(&mut self) -> Vec<(String, String)> {
        let lines = std::iter::from_fn(|| Some(self.line()).filter(|line| !line.is_empty()));
        let split = |line: String| {
            line.split_once(": ")
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
        };
        lines.map(|line| split(line).unwrap()).collect()
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes).unwrap();
        self.read_bytes += length as u64;
        bytes
    }

    fn chunks(&mut self) -> Vec<u8> {
        let mut whole = Vec::new();
        loop {
            let length = usize::from_str_radix(&self.line(), 16).unwrap();
            whole.extend(self.bytes(length));
            assert_eq!(
                self.line(),
                "",
                "a chunk of {length} bytes is followed by an empty line"
            );
            if length == 0 {
                return whole;
            }
        }
    }
}
