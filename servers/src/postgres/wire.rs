//! One connection's messages: framed and bounded on the way in, appended to a buffer on the way out.
//!
//! The buffer is sent when everything that has arrived is answered, so a pipeline of messages gets its answers in one
//! write. A message is read where it arrived; nothing is copied. What messages mean is in `session.rs`.

use std::io;
use std::ops::Range;

use bytes::BufMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::error::{SqlError, SqlResult};
use super::types::Type;
use crate::CountedStream;

/// Bytes to read from the socket at once.
const READ_BYTES: usize = 8 << 10;

/// Length of pending answers above which they are sent early.
const FLUSH_BYTES: usize = 256 << 10;

/// Maximum length of a message before login, as in PostgreSQL.
pub(crate) const MAX_LOGIN_BYTES: usize = 10_000;

/// Maximum length of a message after login.
pub(crate) const MAX_MESSAGE_BYTES: usize = 64 << 20;

/// Reasons to end a connection.
#[derive(Debug)]
pub(crate) enum WireError {
    /// The client is gone.
    Io,
    /// The client is sent the error, and disconnected.
    Protocol(SqlError),
}

impl From<io::Error> for WireError {
    fn from(_: io::Error) -> Self {
        WireError::Io
    }
}

impl From<SqlError> for WireError {
    fn from(error: SqlError) -> Self {
        WireError::Protocol(error)
    }
}

pub(crate) fn malformed(message: &str) -> SqlError {
    SqlError::fatal("08P01", message)
}

#[derive(Debug)]
pub(crate) struct Wire {
    stream: CountedStream,
    /// Received; a message in it is given by its range.
    pub(crate) input: Vec<u8>,
    /// Number of bytes of `input` that have been processed.
    consumed: usize,
    /// To be sent.
    pub(crate) out: Vec<u8>,
}

impl Wire {
    pub(crate) fn new(stream: CountedStream) -> Self {
        let (input, out) = (Vec::new(), Vec::new());
        Wire {
            stream,
            input,
            consumed: 0,
            out,
        }
    }

    /// The next message: its type, and the range of its body in `input`; `None` at the end.
    pub(crate) async fn next(
        &mut self,
        max_bytes: usize,
    ) -> Result<Option<(u8, Range<usize>)>, WireError> {
        while self.consumed == self.input.len() {
            if !self.receive().await? {
                return Ok(None);
            }
        }
        let kind = self.input[self.consumed];
        self.consumed += 1;
        let body = self.next_untyped(max_bytes).await?;
        Ok(body.map(|body| (kind, body)))
    }

    /// The next message without a type, as the first ones are.
    pub(crate) async fn next_untyped(
        &mut self,
        max_bytes: usize,
    ) -> Result<Option<Range<usize>>, WireError> {
        loop {
            let rest = &self.input[self.consumed..];
            let length = rest.first_chunk().copied().map_or(4, u32::from_be_bytes) as usize;
            if !(4..=max_bytes).contains(&length) {
                return Err(malformed("invalid message length").into());
            }
            if rest.len() >= length {
                let start = self.consumed + 4;
                self.consumed += length;
                return Ok(Some(start..self.consumed));
            }
            if !self.receive().await? {
                return Ok(None);
            }
        }
    }

    /// Sends the pending answers, then waits for more input; false at the end.
    async fn receive(&mut self) -> Result<bool, WireError> {
        self.flush().await?;
        self.input.drain(..self.consumed);
        self.consumed = 0;
        if self.input.is_empty() {
            self.input.shrink_to(FLUSH_BYTES);
        }
        self.input.reserve(READ_BYTES);
        Ok(self.stream.read_buf(&mut self.input).await? > 0)
    }

    pub(crate) async fn flush_if_large(&mut self) -> Result<(), WireError> {
        if self.out.len() > FLUSH_BYTES {
            self.flush().await
        } else {
            Ok(())
        }
    }

    pub(crate) async fn flush(&mut self) -> Result<(), WireError> {
        if !self.out.is_empty() {
            self.stream.write_all(&self.out).await?;
            self.out.clear();
            self.out.shrink_to(FLUSH_BYTES);
        }
        Ok(())
    }

    /// Sends the pending answers and ends the connection.
    pub(crate) async fn close(&mut self) {
        // Fails if the client has left first.
        let _ = self.flush().await;
        let _ = self.stream.shutdown().await;
    }
}

/// The body of a message, read from its start.
pub(crate) struct Body<'a>(pub(crate) &'a [u8]);

impl<'a> Body<'a> {
    pub(crate) fn bytes(&mut self, count: usize) -> SqlResult<&'a [u8]> {
        let split = self.0.split_at_checked(count);
        let (bytes, rest) = split.ok_or_else(|| malformed("a message is cut off"))?;
        self.0 = rest;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> SqlResult<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.bytes(N)?);
        Ok(array)
    }

    pub(crate) fn u8(&mut self) -> SqlResult<u8> {
        self.array().map(u8::from_be_bytes)
    }

    pub(crate) fn u16(&mut self) -> SqlResult<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn i32(&mut self) -> SqlResult<i32> {
        self.array().map(i32::from_be_bytes)
    }

    /// The text up to the next zero byte.
    pub(crate) fn text(&mut self) -> SqlResult<&'a str> {
        let end = self.0.iter().position(|&byte| byte == 0);
        let end = end.unwrap_or(self.0.len());
        let bytes = self.bytes(end)?;
        self.u8()?;
        std::str::from_utf8(bytes).map_err(|_| SqlError::new("22021", "invalid UTF-8"))
    }

    /// A list with its count before it.
    pub(crate) fn list<T>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> SqlResult<T>,
    ) -> SqlResult<Vec<T>> {
        let count = self.u16()?;
        (0..count).map(|_| item(self)).collect()
    }

    /// True for each format that is binary.
    pub(crate) fn formats(&mut self) -> SqlResult<Vec<bool>> {
        self.list(|body| match body.u16()? {
            code @ (0 | 1) => Ok(code == 1),
            _ => Err(malformed("unsupported format code")),
        })
    }
}

/// The format of a value: none means text, one is for all, or there is one for each.
pub(crate) fn is_binary(formats: &[bool], at: usize) -> bool {
    let at = if formats.len() == 1 { 0 } else { at };
    formats.get(at).copied().unwrap_or(false)
}

/// Appends a message whose body `write` appends.
pub(crate) fn message<T>(out: &mut Vec<u8>, kind: u8, write: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    out.put_u8(kind);
    let start = out.len();
    out.put_u32(0);
    let written = write(out);
    let length = (out.len() - start) as u32;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
    written
}

/// Appends texts, each with a zero byte after it; one in the middle would end it early.
fn put_texts<'a>(out: &mut Vec<u8>, texts: impl IntoIterator<Item = &'a str>) {
    for text in texts {
        out.extend(text.bytes().filter(|&byte| byte != 0));
        out.put_u8(0);
    }
}

/// A message that consists of texts.
pub(crate) fn texts(out: &mut Vec<u8>, kind: u8, texts: &[&str]) {
    message(out, kind, |out| put_texts(out, texts.iter().copied()));
}

pub(crate) fn authentication(out: &mut Vec<u8>, code: i32, data: &[u8]) {
    message(out, b'R', |out| {
        out.put_i32(code);
        out.put_slice(data);
    });
}

/// Reports the minor version of the protocol, and the unknown options.
pub(crate) fn negotiate_version(out: &mut Vec<u8>, unknown_options: &[&str]) {
    message(out, b'v', |out| {
        out.put_i32(3 << 16);
        out.put_i32(unknown_options.len() as i32);
        put_texts(out, unknown_options.iter().copied());
    });
}

/// Reports an error or a warning.
pub(crate) fn report(out: &mut Vec<u8>, error: &SqlError) {
    let kind = if error.severity == "WARNING" {
        b'N'
    } else {
        b'E'
    };
    let fields = [
        (b'S', error.severity),
        (b'V', error.severity),
        (b'C', error.state),
        (b'M', error.message.as_str()),
    ];
    let details = error
        .details
        .iter()
        .map(|(code, text)| (*code, text.as_str()));
    message(out, kind, |out| {
        for (code, text) in fields.into_iter().chain(details) {
            out.put_u8(code);
            put_texts(out, [text]);
        }
        out.put_u8(0);
    });
}

/// Describes the columns of the rows that follow.
pub(crate) fn row_description(out: &mut Vec<u8>, columns: &[(String, Type)], formats: &[bool]) {
    message(out, b'T', |out| {
        out.put_i16(columns.len() as i16);
        for (at, (name, ty)) in columns.iter().enumerate() {
            put_texts(out, [name.as_str()]);
            // No table and no column of it.
            out.put_slice(&[0; 6]);
            out.put_u32(ty.oid());
            out.put_i16(ty.width());
            out.put_i32(-1);
            out.put_i16(is_binary(formats, at).into());
        }
    });
}
