//! An HTTP/2 server's frames: no panic, nothing without end, and the same responses for any division of the bytes.
//!
//! The first byte selects the number of requests and whether the greeting is among the fuzzed bytes, the second where they are
//! divided. Only runs without a failure are compared: how much of a response is read before a broken frame may depend on the
//! division.

#![no_main]

use http::{Request, Version};
use libfuzzer_sys::fuzz_target;
use photofinish_harness::buffer::Buffer;
use photofinish_workloads::protocol::http2::{Event, Exchange, Http2Client};

/// Empty SETTINGS, and the acknowledgement of the client's.
const GREETING: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0];

/// Most rounds of input and output after the last byte: far more than the parts of the responses in it.
const MOST_ROUNDS: usize = 10_000;

/// More output than a short input can ask for.
const MOST_OUTPUT_BYTES: usize = 1 << 20;

fuzz_target!(|data: &[u8]| {
    let Some((&[choice, cut], bytes)) = data.split_first_chunk::<2>() else {
        return;
    };
    let requests = 1 + usize::from(choice) % 4;
    let greeting = if choice < 192 { GREETING } else { &[] };
    let (start, end) = bytes.split_at(usize::from(cut) * bytes.len() / 256);
    let whole = receive(requests, greeting, &[bytes]);
    let parts = receive(requests, greeting, &[start, end]);
    if let (Some(whole), Some(parts)) = (whole, parts) {
        assert_eq!(whole, parts);
    }
});

/// Status codes, body and end of a response, as far as they have arrived.
#[derive(Debug, Default, PartialEq, Eq)]
struct Response {
    statuses: Vec<u16>,
    body: Vec<u8>,
    is_complete: bool,
}

/// The responses in the pieces; `None` if anything failed, or if no request could be sent at once.
fn receive(requests: usize, greeting: &[u8], pieces: &[&[u8]]) -> Option<Vec<Response>> {
    let mut connection = Connection {
        client: Http2Client::new(),
        input: Buffer::with_capacity(4096),
        output_bytes: 0,
        has_failed: false,
    };
    connection.feed(greeting, false);
    let mut exchanges = Vec::new();
    for (index, piece) in pieces.iter().enumerate() {
        if exchanges.is_empty() {
            exchanges = connection.begin(requests);
        }
        connection.feed(piece, false);
        connection.read_all(&mut exchanges, index + 1 == pieces.len());
    }
    let is_whole = !connection.has_failed && !exchanges.is_empty() && !greeting.is_empty();
    connection.feed(&[], true);
    connection.read_all(&mut exchanges, true);
    let responses = exchanges.into_iter().map(|(_, response)| response);
    is_whole.then(|| responses.collect())
}

/// A client and what it has exchanged.
struct Connection {
    client: Http2Client,
    input: Buffer,
    output_bytes: usize,
    has_failed: bool,
}

impl Connection {
    fn feed(&mut self, bytes: &[u8], is_ended: bool) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let spare = self.input.spare();
            let count = rest.len().min(spare.len());
            spare[..count].copy_from_slice(&rest[..count]);
            self.input.commit(count);
            rest = &rest[count..];
        }
        let mut output = Vec::new();
        for _ in 0..MOST_ROUNDS {
            let advanced = self.client.advance(&mut self.input, is_ended, &mut output);
            self.has_failed |= advanced.is_err() || self.client.is_over();
            self.output_bytes += output.len();
            assert!(
                self.output_bytes < MOST_OUTPUT_BYTES,
                "{}",
                self.output_bytes
            );
            let has_more = Http2Client::has_more_output(&output);
            output.clear();
            if !has_more {
                return;
            }
        }
        panic!("output without end");
    }

    /// As many requests as the server allows.
    fn begin(&mut self, requests: usize) -> Vec<(Exchange, Response)> {
        let allowed = requests.min(self.client.most_streams());
        let request = |_| {
            let head = Request::get("http://127.0.0.1/").version(Version::HTTP_2);
            let head = head.body(()).expect("a request");
            let exchange = self.client.begin(head, None).ok()?;
            Some((exchange, Response::default()))
        };
        (0..allowed).filter_map(request).collect()
    }

    /// Reads what has arrived, and lets the server know.
    fn read_all(&mut self, exchanges: &mut [(Exchange, Response)], is_last: bool) {
        for (exchange, response) in exchanges.iter_mut() {
            for round in 0.. {
                assert!(round < MOST_ROUNDS, "a response without end");
                match exchange.event() {
                    Ok(Some(Event::Head(status, _))) => response.statuses.push(status.as_u16()),
                    Ok(Some(Event::Data(data))) => response.body.extend_from_slice(&data),
                    Ok(Some(Event::End)) => response.is_complete = true,
                    Ok(None) => break,
                    Err(_) => {
                        self.has_failed = true;
                        break;
                    }
                }
            }
        }
        self.feed(&[], false);
        let _retired = is_last && self.client.is_retired();
    }
}
