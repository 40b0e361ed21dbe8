//! Decoder of the chunked transfer coding (RFC 9112, section 7.1).
//!
//! Data is copied in bulk; size lines, extensions and trailers, a few bytes each, go through a state machine byte by
//! byte, so the result cannot depend on the splits of the input. Extensions and trailers are checked and dropped. Line
//! ends must be CRLF: leniency here enables response smuggling.

use super::error::HttpError;
use super::limits::Limits;
use super::syntax::{is_text, is_token};
use crate::protocol::Advance;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    SizeFirstDigit,
    SizeDigits,
    SizePadding,
    Extension,
    SizeLf,
    Data { left_bytes: u64 },
    DataCr,
    DataLf,
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerLf,
    LastLf,
    Done,
}

/// Decoder of one chunked body.
#[derive(Debug)]
pub(super) struct Dechunker {
    state: State,
    size_bytes: u64,
    body_bytes: u64,
    /// Bytes since the last data: one size line, or the last one with the trailers.
    overhead_bytes: usize,
}

impl Dechunker {
    pub(super) fn new() -> Self {
        Dechunker {
            state: State::SizeFirstDigit,
            size_bytes: 0,
            body_bytes: 0,
            overhead_bytes: 0,
        }
    }

    /// Bytes of body decoded so far.
    pub(super) fn body_bytes(&self) -> u64 {
        self.body_bytes
    }

    /// Appends the part of the body in `input` to `body`.
    pub(super) fn advance(
        &mut self,
        input: &[u8],
        body: &mut Vec<u8>,
        limits: &Limits,
    ) -> Result<Advance, HttpError> {
        let mut consumed = 0;
        while consumed < input.len() && self.state != State::Done {
            if let State::Data { left_bytes } = self.state {
                consumed += self.copy(left_bytes, &input[consumed..], body);
            } else {
                self.step(input[consumed], limits)?;
                consumed += 1;
            }
        }
        let done = self.state == State::Done;
        Ok(Advance { consumed, done })
    }

    fn copy(&mut self, left_bytes: u64, input: &[u8], body: &mut Vec<u8>) -> usize {
        let count = usize::try_from(left_bytes).map_or(input.len(), |left| left.min(input.len()));
        body.extend_from_slice(&input[..count]);
        self.body_bytes += count as u64;
        self.state = match left_bytes - count as u64 {
            0 => State::DataCr,
            left_bytes => State::Data { left_bytes },
        };
        count
    }

    /// Takes one byte that is not data.
    fn step(&mut self, byte: u8, limits: &Limits) -> Result<(), HttpError> {
        self.overhead_bytes += 1;
        if self.overhead_bytes > limits.max_head_bytes {
            return Err(self.bad("size line or trailers larger than a head may be"));
        }
        self.state = match (self.state, byte) {
            (State::SizeFirstDigit, _) if byte.is_ascii_hexdigit() => self.digit(byte)?,
            (State::SizeDigits, _) if byte.is_ascii_hexdigit() => self.digit(byte)?,
            (State::SizeDigits | State::SizePadding, b';') => State::Extension,
            (State::SizeDigits | State::SizePadding, b' ' | b'\t') => State::SizePadding,
            (State::SizeDigits | State::SizePadding | State::Extension, b'\r') => State::SizeLf,
            (State::Extension, _) if is_text(byte) => State::Extension,
            (State::SizeLf, b'\n') => self.start_chunk(limits)?,
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::SizeFirstDigit,
            (State::TrailerStart, b'\r') => State::LastLf,
            (State::TrailerStart | State::TrailerName, _) if is_token(byte) => State::TrailerName,
            (State::TrailerName, b':') => State::TrailerValue,
            (State::TrailerValue, b'\r') => State::TrailerLf,
            (State::TrailerValue, _) if is_text(byte) => State::TrailerValue,
            (State::TrailerLf, b'\n') => State::TrailerStart,
            (State::LastLf, b'\n') => State::Done,
            (state, _) => return Err(self.bad(error_in(state))),
        };
        Ok(())
    }

    fn digit(&mut self, byte: u8) -> Result<State, HttpError> {
        let digit = char::from(byte).to_digit(16).map_or(0, u64::from);
        self.size_bytes = self
            .size_bytes
            .checked_mul(16)
            .map(|size_bytes| size_bytes + digit)
            .ok_or_else(|| self.bad("size larger than 64 bits"))?;
        Ok(State::SizeDigits)
    }

    /// Ends a size line. The limit is checked here, before the data, so that a false size costs no memory.
    fn start_chunk(&mut self, limits: &Limits) -> Result<State, HttpError> {
        let left_bytes = std::mem::take(&mut self.size_bytes);
        if left_bytes == 0 {
            return Ok(State::TrailerStart);
        }
        let at_least_bytes = self.body_bytes.saturating_add(left_bytes);
        if at_least_bytes > limits.max_body_bytes {
            return Err(HttpError::BodyTooLarge {
                at_least_bytes,
                limit_bytes: limits.max_body_bytes,
            });
        }
        self.overhead_bytes = 0;
        Ok(State::Data { left_bytes })
    }

    fn bad(&self, reason: &'static str) -> HttpError {
        HttpError::BadChunk {
            after_body_bytes: self.body_bytes,
            reason,
        }
    }
}

/// The error in this state.
fn error_in(state: State) -> &'static str {
    match state {
        State::SizeFirstDigit => "no hexadecimal size",
        State::SizeDigits | State::SizePadding => "size followed by neither extension nor CRLF",
        State::Extension => "control character in an extension",
        State::SizeLf => "CR without LF after the size",
        State::DataCr | State::DataLf => "data not followed by CRLF",
        State::TrailerStart | State::TrailerName => "malformed name of a trailer",
        State::TrailerValue => "control character in a trailer",
        State::TrailerLf | State::LastLf => "CR without LF in the trailers",
        State::Data { .. } | State::Done => "no byte expected",
    }
}
