//! The head of a response: the fields that decide what follows it.
//!
//! One pass of `httparse` into an array on the stack, then one look at each field. What is kept are facts (status,
//! framing, persistence) and two reusable texts, so nothing is allocated once the texts have their capacity. How the
//! bytes of a split head are collected is the business of `response.rs`.

use std::mem::MaybeUninit;

use super::error::HttpError;
use super::limits::MAX_HEADERS;

/// How the end of a body is found (RFC 9112, section 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// There is none.
    NoBody,
    /// After this many bytes.
    Length(u64),
    /// By the last chunk.
    Chunked,
    /// When the connection closes.
    UntilClose,
}

/// What the head of one response said.
#[derive(Debug, Default)]
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) content_length: Option<u64>,
    pub(super) content_type: Vec<u8>,
    pub(super) location: Vec<u8>,
    minor_version: u8,
    chunked: bool,
    says_close: bool,
    says_keep_alive: bool,
}

impl Head {
    /// Forgets the last response, but keeps the capacity of its texts.
    pub(super) fn clear(&mut self) {
        self.status = 0;
        self.content_length = None;
        self.content_type.clear();
        self.location.clear();
        self.minor_version = 0;
        self.chunked = false;
        self.says_close = false;
        self.says_keep_alive = false;
    }

    /// Reads the head at the start of `bytes` and returns its length, or `None` if it is not all there.
    pub(super) fn parse(
        &mut self,
        bytes: &[u8],
        max_headers: usize,
    ) -> Result<Option<usize>, HttpError> {
        // Uninitialised, because clearing 128 entries would cost more than parsing the usual five.
        let mut fields = [const { MaybeUninit::uninit() }; MAX_HEADERS];
        let mut response = httparse::Response::new(&mut []);
        let status = httparse::ParserConfig::default()
            .parse_response_with_uninit_headers(&mut response, bytes, &mut fields[..max_headers])
            .map_err(|reason| malformed(reason, max_headers))?;
        let httparse::Status::Complete(head_bytes) = status else {
            return Ok(None);
        };
        self.clear();
        self.status = response.code.unwrap_or_default();
        self.minor_version = response.version.unwrap_or_default();
        if self.status < 100 {
            return Err(HttpError::BadStatus {
                status: self.status,
            });
        }
        for field in response.headers.iter() {
            self.note(field.name, field.value)?;
        }
        Ok(Some(head_bytes))
    }

    /// Whether this is an interim response, to be followed by the real one.
    pub(super) fn is_interim(&self) -> bool {
        self.status < 200
    }

    /// Whether the peer keeps the connection open after this response, as far as the head alone can tell.
    pub(super) fn is_persistent(&self) -> bool {
        !self.says_close && (self.minor_version >= 1 || self.says_keep_alive)
    }

    /// How the body is delimited.
    pub(super) fn framing(&self, answers_head_request: bool) -> Result<Framing, HttpError> {
        if self.chunked && self.content_length.is_some() {
            return Err(HttpError::ConflictingFraming);
        }
        if self.chunked && self.minor_version == 0 {
            let reason = "HTTP/1.0 has none";
            return Err(HttpError::BadTransferEncoding { reason });
        }
        if answers_head_request || matches!(self.status, 204 | 304) {
            return Ok(Framing::NoBody);
        }
        Ok(match (self.chunked, self.content_length) {
            (true, _) => Framing::Chunked,
            (false, Some(length_bytes)) => Framing::Length(length_bytes),
            (false, None) => Framing::UntilClose,
        })
    }

    /// Looks at one field; the length of its name settles almost every case before a byte is compared.
    fn note(&mut self, name: &str, value: &[u8]) -> Result<(), HttpError> {
        match name.len() {
            8 if name.eq_ignore_ascii_case("location") => keep_first(&mut self.location, value),
            10 if name.eq_ignore_ascii_case("connection") => self.note_connection(value),
            12 if name.eq_ignore_ascii_case("content-type") => {
                keep_first(&mut self.content_type, value)
            }
            14 if name.eq_ignore_ascii_case("content-length") => self.note_content_length(value)?,
            17 if name.eq_ignore_ascii_case("transfer-encoding") => {
                self.note_transfer_encoding(value)?
            }
            _ => {}
        }
        Ok(())
    }

    fn note_connection(&mut self, value: &[u8]) {
        for token in list(value) {
            self.says_close |= token.eq_ignore_ascii_case(b"close");
            self.says_keep_alive |= token.eq_ignore_ascii_case(b"keep-alive");
        }
    }

    /// Repetitions are tolerated where they agree, as RFC 9110, section 8.6, allows.
    fn note_content_length(&mut self, value: &[u8]) -> Result<(), HttpError> {
        for digits in list(value) {
            let length_bytes = decimal(digits)?;
            if self
                .content_length
                .is_some_and(|first| first != length_bytes)
            {
                let reason = "given twice with different values";
                return Err(HttpError::BadContentLength { reason });
            }
            self.content_length = Some(length_bytes);
        }
        Ok(())
    }

    /// No coding but `chunked` was offered (this client sends no TE), so any other is an error, `identity` included.
    fn note_transfer_encoding(&mut self, value: &[u8]) -> Result<(), HttpError> {
        for coding in list(value) {
            if self.chunked {
                let reason = "more than one coding";
                return Err(HttpError::BadTransferEncoding { reason });
            }
            if !coding.eq_ignore_ascii_case(b"chunked") {
                let reason = "a coding other than chunked";
                return Err(HttpError::BadTransferEncoding { reason });
            }
            self.chunked = true;
        }
        Ok(())
    }
}

fn malformed(reason: httparse::Error, max_headers: usize) -> HttpError {
    match reason {
        httparse::Error::TooManyHeaders => HttpError::TooManyHeaders { limit: max_headers },
        reason => HttpError::MalformedHead { reason },
    }
}

/// The elements of a comma-separated field value, trimmed.
fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii)
}

/// A field that matters once: later ones are ignored, as browsers do.
fn keep_first(text: &mut Vec<u8>, value: &[u8]) {
    if text.is_empty() {
        text.extend_from_slice(value);
    }
}

/// 1*DIGIT without overflow; `+5`, which the standard library would take, is refused.
fn decimal(digits: &[u8]) -> Result<u64, HttpError> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        let reason = "not a decimal number";
        return Err(HttpError::BadContentLength { reason });
    }
    digits.iter().try_fold(0_u64, |number, digit| {
        number
            .checked_mul(10)
            .and_then(|number| number.checked_add(u64::from(digit - b'0')))
            .ok_or(HttpError::BadContentLength {
                reason: "larger than 64 bits",
            })
    })
}
