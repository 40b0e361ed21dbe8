//! The head of a response: status, framing, persistence and two fields.
//!
//! One pass of `httparse` into an array on the stack, then one look at each field. The texts are reused, so nothing is
//! allocated once they have their capacity. Other fields are kept only if they are watched. `response.rs` collects the
//! bytes of a split head.

use std::mem::MaybeUninit;
use std::ops::Range;

use super::error::{BadField, HttpError};
use super::limits::MAX_HEADERS;
use super::syntax::{is_text, is_token};

/// Maximum length of a name in an error.
const MAX_NAME: usize = 64;

/// The delimiter of a body (RFC 9112, section 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    NoBody,
    /// A number of bytes.
    Length(u64),
    Chunked,
    UntilClose,
}

#[derive(Debug, Default)]
pub(super) struct Head {
    pub(super) status: u16,
    content_length: Option<u64>,
    pub(super) content_type: Vec<u8>,
    pub(super) location: Vec<u8>,
    minor_version: u8,
    chunked: bool,
    says_close: bool,
    says_keep_alive: bool,
    /// Names of the fields to keep.
    watched: Vec<Box<str>>,
    /// Their values, one after the other.
    kept: Vec<u8>,
    /// For each value, the position of its name in `watched`, and its place in `kept`.
    values: Vec<(usize, Range<usize>)>,
}

impl Head {
    /// Keeps the fields with these names, of this and later responses.
    pub(super) fn watch(&mut self, names: impl Iterator<Item = Box<str>>) {
        self.watched = names.collect();
    }

    /// The values of a watched field, in order.
    pub(super) fn values(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        let position = self
            .watched
            .iter()
            .position(|watched| watched.eq_ignore_ascii_case(name));
        let values = self.values.iter();
        values
            .filter(move |(field, _)| Some(*field) == position)
            .map(|(_, place)| &self.kept[place.clone()])
    }

    /// Resets everything but the capacity of the texts.
    pub(super) fn clear(&mut self) {
        self.status = 0;
        self.content_length = None;
        self.content_type.clear();
        self.location.clear();
        self.minor_version = 0;
        self.chunked = false;
        self.says_close = false;
        self.says_keep_alive = false;
        self.kept.clear();
        self.values.clear();
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
        let mut parser = httparse::ParserConfig::default();
        // As RFC 9112, section 5.2, requires of user agents.
        parser.allow_obsolete_multiline_headers_in_responses(true);
        let status = parser
            .parse_response_with_uninit_headers(&mut response, bytes, &mut fields[..max_headers])
            .map_err(|reason| malformed(reason, bytes, max_headers))?;
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

    /// True for an interim response, which precedes the final one.
    pub(super) fn is_interim(&self) -> bool {
        self.status < 200
    }

    /// True if the peer keeps the connection open after this response, according to the head alone.
    pub(super) fn is_persistent(&self) -> bool {
        !self.says_close && (self.minor_version >= 1 || self.says_keep_alive)
    }

    pub(super) fn framing(&self, answers_head_request: bool) -> Result<Framing, HttpError> {
        if self.chunked && self.content_length.is_some() {
            return Err(HttpError::ConflictingFraming);
        }
        if self.chunked && self.minor_version == 0 {
            let reason = "not allowed in HTTP/1.0";
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

    /// Reads one field. The length of its name decides almost every case before a byte is compared.
    pub(super) fn note(&mut self, name: &str, value: &[u8]) -> Result<(), HttpError> {
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
        if !self.watched.is_empty() {
            self.keep_watched(name, value);
        }
        Ok(())
    }

    fn keep_watched(&mut self, name: &str, value: &[u8]) {
        let mut watched = self.watched.iter();
        if let Some(field) = watched.position(|watched| watched.eq_ignore_ascii_case(name)) {
            let start = self.kept.len();
            append_unfolded(&mut self.kept, value);
            self.values.push((field, start..self.kept.len()));
        }
    }

    fn note_connection(&mut self, value: &[u8]) {
        for token in list(value) {
            self.says_close |= token.eq_ignore_ascii_case(b"close");
            self.says_keep_alive |= token.eq_ignore_ascii_case(b"keep-alive");
        }
    }

    /// Accepts equal repetitions, as RFC 9110, section 8.6, allows.
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

    /// Accepts `chunked` only: this client sends no TE, so any other coding is an error, even `identity`.
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

#[cold]
fn malformed(reason: httparse::Error, bytes: &[u8], max_headers: usize) -> HttpError {
    let field = match reason {
        httparse::Error::TooManyHeaders => {
            return HttpError::TooManyHeaders { limit: max_headers };
        }
        httparse::Error::HeaderName => bad_field(bytes, bad_name),
        httparse::Error::HeaderValue => bad_field(bytes, bad_value),
        _ => None,
    };
    HttpError::MalformedHead { reason, field }
}

/// The first field for which `check` finds an invalid byte, and that byte. Nothing after it is looked at, so the result
/// does not depend on the splits of the input.
fn bad_field(bytes: &[u8], check: BadByte) -> Option<BadField> {
    let mut name: &[u8] = b"";
    let lines = bytes
        .trim_ascii_start()
        .split_inclusive(|&byte| byte == b'\n');
    for whole_line in lines.skip(1) {
        let line = whole_line.strip_suffix(b"\n").unwrap_or(whole_line);
        let folded = matches!(line.first(), Some(b' ' | b'\t'));
        let token = line.iter().take_while(|&&byte| is_token(byte)).count();
        // At the end of the head, or at a field that is folded before it begins, there is none.
        if matches!(line, b"" | b"\r") || folded && name.is_empty() {
            return None;
        }
        if !folded {
            name = &line[..token];
        }
        // The rest of this line has not come, and what has come is valid.
        if token == whole_line.len() {
            return None;
        }
        if let Some(byte) = check(line.get(token..).filter(|_| !folded), line) {
            let name = String::from_utf8_lossy(&name[..name.len().min(MAX_NAME)]);
            return Some(BadField {
                name: name.into_owned(),
                byte,
            });
        }
    }
    None
}

/// Finds an invalid byte in what follows a name, and in a whole line; `None` instead of the former for a folded line.
type BadByte = fn(Option<&[u8]>, &[u8]) -> Option<u8>;

/// The byte that ends a name, unless it is a colon after at least one other byte.
fn bad_name(after_name: Option<&[u8]>, line: &[u8]) -> Option<u8> {
    let after_name = after_name?;
    let byte = after_name.first().copied().unwrap_or(b'\n');
    (byte != b':' || after_name.len() == line.len()).then_some(byte)
}

/// The first control character of a value.
fn bad_value(_: Option<&[u8]>, line: &[u8]) -> Option<u8> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    line.iter().copied().find(|&byte| !is_text(byte))
}

/// The elements of a comma-separated field value, trimmed.
fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii)
}

/// Ignores repeated fields, as browsers do.
fn keep_first(text: &mut Vec<u8>, value: &[u8]) {
    if text.is_empty() {
        append_unfolded(text, value);
    }
}

/// Appends a value; the lines of a folded one are joined with a space (RFC 9112, section 5.2).
fn append_unfolded(text: &mut Vec<u8>, value: &[u8]) {
    let start = text.len();
    for line in value.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii) {
        if text.len() > start && !line.is_empty() {
            text.push(b' ');
        }
        text.extend_from_slice(line);
    }
}

/// Parses 1*DIGIT; unlike the standard library, it does not accept `+5`.
fn decimal(digits: &[u8]) -> Result<u64, HttpError> {
    let bad = |reason| HttpError::BadContentLength { reason };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(bad("not a decimal number"));
    }
    digits
        .iter()
        .try_fold(0_u64, |number, digit| {
            number.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
        })
        .ok_or(bad("larger than 64 bits"))
}
