//! Reads responses from bytes that arrive in arbitrary pieces.
//!
//! A response that arrives whole (the common case under load) costs one pass of `httparse` over its head and one copy of
//! its body. A head that arrives in pieces is buffered and parsed once its blank line is there, so that small pieces do
//! not make parsing quadratic. Both ways give the same results, errors included. Head fields are in `head.rs`, chunks in
//! `chunked.rs`.

use super::chunked::Dechunker;
use super::error::HttpError;
use super::head::{Framing, Head};
use super::limits::{Limits, MAX_HEADERS};
use super::method::Method;
use crate::protocol::Advance;

#[derive(Debug)]
enum State {
    Head,
    Length { left_bytes: u64, total_bytes: u64 },
    Chunked(Dechunker),
    UntilClose { received_bytes: u64 },
    Done,
    Failed(HttpError),
}

/// Reader of the responses of one connection, one at a time.
///
/// ```
/// use photofinish_workloads::protocol::http::{Limits, Method, ResponseReader};
///
/// let mut reader = ResponseReader::new(Limits::default());
/// let mut body = Vec::new();
/// reader.begin(Method::Get);
/// for piece in [&b"HTTP/1.1 200 OK\r\ntransfer-enc"[..], b"oding: chunked\r\n\r\n2\r\nhi\r\n", b"0\r\n\r\n"] {
///     let advance = reader.advance(piece, &mut body)?;
///     assert_eq!(advance.consumed, piece.len());
/// }
/// assert_eq!(body, b"hi");
/// reader.end_of_input()?; // Closing now is fine: the response is complete.
/// # Ok::<(), photofinish_workloads::protocol::http::HttpError>(())
/// ```
#[derive(Debug)]
pub struct ResponseReader {
    limits: Limits,
    answers_head_request: bool,
    state: State,
    head: Head,
    /// Bytes of complete interim responses, which count towards the head's limit.
    interim_bytes: usize,
    /// The beginning of an incomplete head.
    partial_head: Vec<u8>,
}

impl ResponseReader {
    /// A reader within `limits`; [`begin`](Self::begin) makes it ready for a response.
    ///
    /// # Panics
    ///
    /// If `limits.max_headers` is above [`MAX_HEADERS`].
    pub fn new(limits: Limits) -> Self {
        let Limits { max_headers, .. } = limits;
        assert!(
            max_headers <= MAX_HEADERS,
            "expected max_headers <= {MAX_HEADERS}, got {max_headers}"
        );
        ResponseReader {
            limits,
            answers_head_request: false,
            state: State::Head,
            head: Head::default(),
            interim_bytes: 0,
            partial_head: Vec::new(),
        }
    }

    /// Keeps the header fields with these names, for [`fields`](Self::fields).
    pub fn watch<'a>(&mut self, names: impl IntoIterator<Item = &'a str>) {
        self.head.watch(names.into_iter().map(Box::from));
    }

    /// The values of a [watched](Self::watch) field of the response, in order; an absent one has none.
    pub fn fields(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.head.values(name)
    }

    /// Changes the limit on the body's length, from the next response on.
    pub fn limit_body(&mut self, bytes: u64) {
        self.limits.max_body_bytes = bytes;
    }

    /// Starts reading the response to a request of `method`.
    pub fn begin(&mut self, method: Method) {
        self.answers_head_request = method == Method::Head;
        self.state = State::Head;
        self.head.clear();
        self.interim_bytes = 0;
        self.partial_head.clear();
    }

    /// Takes a head that was parsed elsewhere, such as by HTTP/2, as if it had been read here.
    ///
    /// # Errors
    ///
    /// An [`HttpError`] if a field is invalid.
    pub fn take_head<'a>(
        &mut self,
        status: u16,
        fields: impl Iterator<Item = (&'a str, &'a [u8])>,
    ) -> Result<(), HttpError> {
        self.head.clear();
        self.head.status = status;
        self.state = State::Done;
        for (name, value) in fields {
            self.head
                .note(name, value)
                .map_err(|error| self.fail(error))?;
        }
        Ok(())
    }

    /// Reads `input` and appends the part of the body in it to `body`.
    ///
    /// All of `input` is consumed unless the response ends in it. Once done, it does nothing until the next
    /// [`begin`](Self::begin); once failed, it repeats its error. The content of `body` after an error is unspecified.
    ///
    /// # Errors
    ///
    /// Any [`HttpError`] except those of truncation, which only [`end_of_input`](Self::end_of_input) can detect.
    pub fn advance(&mut self, input: &[u8], body: &mut Vec<u8>) -> Result<Advance, HttpError> {
        let mut consumed = 0;
        while consumed < input.len() && !self.is_done() {
            match self.step(&input[consumed..], body) {
                Ok(used) => consumed += used,
                Err(error) => return Err(self.fail(error)),
            }
        }
        let done = self.is_done();
        Ok(Advance { consumed, done })
    }

    /// Takes the beginning of `available_bytes` of input as body, which the caller reads where it lies instead of passing it
    /// to [`advance`](Self::advance); returns its length. It is 0 unless a body with a length has begun.
    pub fn take_body(&mut self, available_bytes: usize) -> usize {
        let State::Length { left_bytes, .. } = &mut self.state else {
            return 0;
        };
        let count =
            usize::try_from(*left_bytes).map_or(available_bytes, |left| left.min(available_bytes));
        *left_bytes -= count as u64;
        if *left_bytes == 0 {
            self.state = State::Done;
        }
        count
    }

    /// Length of the part of the body that has not arrived; 0 if it is unknown.
    pub fn left_bytes(&self) -> u64 {
        match self.state {
            State::Length { left_bytes, .. } => left_bytes,
            _ => 0,
        }
    }

    /// Handles the peer's close: the end of a body without a length, a truncation of any other response.
    ///
    /// # Errors
    ///
    /// [`HttpError::ClosedBeforeResponse`], [`HttpError::TruncatedHead`] or [`HttpError::TruncatedBody`], or the error of
    /// an unfinished head that could never have become valid.
    pub fn end_of_input(&mut self) -> Result<(), HttpError> {
        let error = match &self.state {
            State::Done => return Ok(()),
            State::UntilClose { .. } => {
                self.state = State::Done;
                return Ok(());
            }
            State::Head => self.unfinished_head(),
            State::Length {
                left_bytes,
                total_bytes,
            } => HttpError::TruncatedBody {
                received_bytes: total_bytes - left_bytes,
                expected_bytes: Some(*total_bytes),
            },
            State::Chunked(dechunker) => HttpError::TruncatedBody {
                received_bytes: dechunker.body_bytes(),
                expected_bytes: None,
            },
            State::Failed(error) => error.clone(),
        };
        Err(self.fail(error))
    }

    /// Checks that nothing is left in the caller's buffer after a response, when no other request is outstanding.
    ///
    /// # Errors
    ///
    /// [`HttpError::ExtraBytes`]: the server framed its response wrongly, or responded twice.
    pub fn expect_no_more(&self, rest: &[u8]) -> Result<(), HttpError> {
        match rest.len() {
            0 => Ok(()),
            extra_bytes => Err(HttpError::ExtraBytes { extra_bytes }),
        }
    }

    /// True if any byte of the response has arrived.
    pub fn has_begun(&self) -> bool {
        match &self.state {
            State::Head => self.interim_bytes > 0 || !self.partial_head.is_empty(),
            State::Failed(error) => *error != HttpError::ClosedBeforeResponse,
            _ => true,
        }
    }

    /// The status code; 0 before the head is complete.
    pub fn status(&self) -> u16 {
        self.head.status
    }

    /// True if the connection can serve another request after this response.
    pub fn keep_alive(&self) -> bool {
        !matches!(self.state, State::Head | State::Failed(_))
            && self.head.is_persistent()
            && !self.lasts_until_close()
    }

    pub fn content_type(&self) -> Option<&[u8]> {
        Some(self.head.content_type.as_slice()).filter(|value| !value.is_empty())
    }

    pub fn location(&self) -> Option<&[u8]> {
        Some(self.head.location.as_slice()).filter(|value| !value.is_empty())
    }

    /// True at the end of the response.
    pub fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// True even after the close, when the state is done.
    fn lasts_until_close(&self) -> bool {
        self.head.framing(self.answers_head_request) == Ok(Framing::UntilClose)
    }

    fn fail(&mut self, error: HttpError) -> HttpError {
        self.state = State::Failed(error.clone());
        error
    }

    /// Consumes at least one byte of a non-empty `input`, or fails.
    fn step(&mut self, input: &[u8], body: &mut Vec<u8>) -> Result<usize, HttpError> {
        match &mut self.state {
            State::Head if self.partial_head.is_empty() => self.read_head(input),
            State::Head => self.read_split_head(input),
            State::Length { .. } => {
                let count = self.take_body(input.len());
                body.extend_from_slice(&input[..count]);
                Ok(count)
            }
            State::Chunked(dechunker) => {
                let advance = dechunker.advance(input, body, &self.limits)?;
                if advance.done {
                    self.state = State::Done;
                }
                Ok(advance.consumed)
            }
            State::UntilClose { received_bytes } => {
                *received_bytes += input.len() as u64;
                // One byte above the limit, to be independent of the splits of the input.
                let at_least_bytes =
                    (*received_bytes).min(self.limits.max_body_bytes.saturating_add(1));
                self.check_body(at_least_bytes)?;
                body.extend_from_slice(input);
                Ok(input.len())
            }
            State::Failed(error) => Err(error.clone()),
            State::Done => unreachable!("advance() stops at the end of a response"),
        }
    }

    /// Reads a head that is probably complete.
    fn read_head(&mut self, input: &[u8]) -> Result<usize, HttpError> {
        let window = &input[..input.len().min(self.head_budget_bytes())];
        if let Some(head_bytes) = self.head.parse(window, self.limits.max_headers)? {
            self.end_head(head_bytes)?;
            return Ok(head_bytes);
        }
        if window.len() == self.head_budget_bytes() {
            return Err(self.head_too_large());
        }
        self.partial_head.extend_from_slice(window);
        Ok(window.len())
    }

    /// Continues a partial head. Parsing waits for a blank line.
    fn read_split_head(&mut self, input: &[u8]) -> Result<usize, HttpError> {
        let buffered = self.partial_head.len();
        let room = self.head_budget_bytes() - buffered;
        self.partial_head
            .extend_from_slice(&input[..input.len().min(room)]);
        // A blank line may have begun in the last two bytes buffered before.
        let mut from = buffered.saturating_sub(2);
        while let Some(end) = end_of_blank_line(&self.partial_head, from) {
            // It may not be the end of the head: the parser skips blank lines before the status line.
            if let Some(head_bytes) = self
                .head
                .parse(&self.partial_head[..end], self.limits.max_headers)?
            {
                self.partial_head.clear();
                self.end_head(head_bytes)?;
                return Ok(head_bytes - buffered);
            }
            from = end;
        }
        if self.partial_head.len() == self.head_budget_bytes() {
            self.head
                .parse(&self.partial_head, self.limits.max_headers)?;
            return Err(self.head_too_large());
        }
        Ok(self.partial_head.len() - buffered)
    }

    /// Selects the state after a complete head.
    fn end_head(&mut self, head_bytes: usize) -> Result<(), HttpError> {
        if self.head.status == 101 {
            return Err(HttpError::SwitchedProtocols);
        }
        if self.head.is_interim() {
            self.interim_bytes += head_bytes;
            self.head.clear();
            return Ok(());
        }
        self.state = match self.head.framing(self.answers_head_request)? {
            Framing::NoBody | Framing::Length(0) => State::Done,
            Framing::Length(total_bytes) => {
                self.check_body(total_bytes)?;
                let left_bytes = total_bytes;
                State::Length {
                    left_bytes,
                    total_bytes,
                }
            }
            Framing::Chunked => State::Chunked(Dechunker::new()),
            Framing::UntilClose => State::UntilClose { received_bytes: 0 },
        };
        Ok(())
    }

    fn unfinished_head(&mut self) -> HttpError {
        let received_bytes = self.partial_head.len();
        if received_bytes == 0 && self.interim_bytes == 0 {
            return HttpError::ClosedBeforeResponse;
        }
        let parsed = self.head.parse(&self.partial_head, self.limits.max_headers);
        parsed
            .err()
            .unwrap_or(HttpError::TruncatedHead { received_bytes })
    }

    fn head_budget_bytes(&self) -> usize {
        self.limits.max_head_bytes - self.interim_bytes
    }

    fn head_too_large(&self) -> HttpError {
        let limit_bytes = self.limits.max_head_bytes;
        HttpError::HeadTooLarge { limit_bytes }
    }

    /// Checks a body's length against the limit, as far as it is known.
    pub(crate) fn check_body(&self, at_least_bytes: u64) -> Result<(), HttpError> {
        let limit_bytes = self.limits.max_body_bytes;
        if at_least_bytes > limit_bytes {
            return Err(HttpError::BodyTooLarge {
                at_least_bytes,
                limit_bytes,
            });
        }
        Ok(())
    }
}

/// The end of the first blank line whose preceding line ends at `from` or later.
fn end_of_blank_line(bytes: &[u8], from: usize) -> Option<usize> {
    (from..bytes.len()).find_map(|at| match &bytes[at..] {
        [b'\n', b'\n', ..] => Some(at + 2),
        [b'\n', b'\r', b'\n', ..] => Some(at + 3),
        _ => None,
    })
}
