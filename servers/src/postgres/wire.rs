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

/// Read from the socket at once.
const READ_BYTES: usize = 8 << 10;

/// Answers are sent early once they are longer than this.
const FLUSH_BYTES: usize = 256 << 10;

/// A buffer that has grown beyond this is given back once it is empty.
const KEPT_BYTES: usize = 1 << 20;

/// Longest message of a client that has not logged in, as in PostgreSQL.
pub(crate) const MAX_LOGIN_BYTES: usize = 10_000;

/// Longest message of one that has.
pub(crate) const MAX_MESSAGE_BYTES: usize = 64 << 20;

/// Why a connection ends.
#[derive(Debug)]
pub(crate) enum WireError {
    /// The client is gone.
    Io,
    /// The client is told, and disconnected.
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
    /// Bytes of `input` that have been dealt with.
    consumed: usize,
    /// To be sent.
    pub(crate) out: Vec<u8>,
}

impl Wire {
    pub(crate) fn new(stream: CountedStream) -> Self {
        Wire {
            stream,
            input: Vec::new(),
            consumed: 0,
            out: Vec::new(),
        }
    }

    /// The next message of a client that has started: its type, and the range of its body in `input`; `None` at the end.
    pub(crate) async fn next(
        &mut self,
        max_bytes: usize,
    ) -> Result<Option<(u8, Range<usize>)>, WireError> {
        loop {
            if let Some(&kind) = self.input.get(self.consumed)
                && let Some(body) = self.framed(self.consumed + 1, max_bytes)?
            {
                self.consumed = body.end;
                return Ok(Some((kind, body)));
            }
            if !self.receive().await? {
                return Ok(None);
            }
        }
    }

    /// The next message of a client that has not started, which has no type.
    pub(crate) async fn next_untyped(&mut self) -> Result<Option<Range<usize>>, WireError> {
        loop {
            if let Some(body) = self.framed(self.consumed, MAX_LOGIN_BYTES)? {
                self.consumed = body.end;
                return Ok(Some(body));
            }
            if !self.receive().await? {
                return Ok(None);
            }
        }
    }

    /// The body after the length at `at`, if all of it is there.
    fn framed(&self, at: usize, max_bytes: usize) -> SqlResult<Option<Range<usize>>> {
        let Some(length) = self.input.get(at..at + 4) else {
            return Ok(None);
        };
        let length = u32::from_be_bytes([length[0], length[1], length[2], length[3]]) as usize;
        if !(4..=max_bytes).contains(&length) {
            return Err(malformed("invalid message length"));
        }
        Ok((self.input.len() >= at + length).then_some(at + 4..at + length))
    }

    /// Sends what is there, then waits for more; false at the end.
    async fn receive(&mut self) -> Result<bool, WireError> {
        self.flush().await?;
        self.input.drain(..self.consumed);
        self.consumed = 0;
        if self.input.is_empty() && self.input.capacity() > KEPT_BYTES {
            self.input = Vec::new();
        }
        self.input.reserve(READ_BYTES);
        Ok(self.stream.read_buf(&mut self.input).await? > 0)
    }

    pub(crate) async fn flush_if_large(&mut self) -> Result<(), WireError> {
        if self.out.len() > FLUSH_BYTES {
            self.flush().await?;
        }
        Ok(())
    }

    pub(crate) async fn flush(&mut self) -> Result<(), WireError> {
        if !self.out.is_empty() {
            self.stream.write_all(&self.out).await?;
            self.out.clear();
            if self.out.capacity() > KEPT_BYTES {
                self.out = Vec::new();
            }
        }
        Ok(())
    }

    /// Sends what is there and ends the connection.
    pub(crate) async fn close(&mut self) {
        // The client may have gone first.
        let _ = self.flush().await;
        let _ = self.stream.shutdown().await;
    }
}

/// The body of a message, read from its start.
pub(crate) struct Body<'a>(pub(crate) &'a [u8]);

impl<'a> Body<'a> {
    pub(crate) fn bytes(&mut self, count: usize) -> SqlResult<&'a [u8]> {
        let (bytes, rest) = self
            .0
            .split_at_checked(count)
            .ok_or_else(|| malformed("a message is shorter than its contents"))?;
        self.0 = rest;
        Ok(bytes)
    }

    pub(crate) fn u8(&mut self) -> SqlResult<u8> {
        Ok(self.bytes(1)?[0])
    }

    pub(crate) fn i16(&mut self) -> SqlResult<i16> {
        let bytes = self.bytes(2)?;
        Ok(i16::from_be_bytes([bytes[0], bytes[1]]))
    }

    pub(crate) fn i32(&mut self) -> SqlResult<i32> {
        let bytes = self.bytes(4)?;
        Ok(i32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    /// The text up to the next zero byte.
    pub(crate) fn text(&mut self) -> SqlResult<&'a str> {
        let end = self.0.iter().position(|&byte| byte == 0);
        let bytes = self.bytes(end.ok_or_else(|| malformed("a text without its end"))?)?;
        self.0 = &self.0[1..];
        std::str::from_utf8(bytes)
            .map_err(|_| SqlError::new("22021", "invalid byte sequence for encoding \"UTF8\""))
    }

    /// True if the format that comes next is binary.
    pub(crate) fn is_binary(&mut self) -> SqlResult<bool> {
        match self.i16()? {
            code @ (0 | 1) => Ok(code == 1),
            other => Err(malformed(&format!("unsupported format code {other}"))),
        }
    }

    /// A list with its count before it.
    pub(crate) fn list<T>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> SqlResult<T>,
    ) -> SqlResult<Vec<T>> {
        let count = self.i16()?;
        (0..count as u16).map(|_| item(self)).collect()
    }
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

fn put_text(out: &mut Vec<u8>, text: &str) {
    out.put_slice(text.as_bytes());
    out.put_u8(0);
}

pub(crate) fn authentication(out: &mut Vec<u8>, code: i32, data: &[u8]) {
    message(out, b'R', |out| {
        out.put_i32(code);
        out.put_slice(data);
    });
}

pub(crate) fn parameter_status(out: &mut Vec<u8>, name: &str, value: &str) {
    message(out, b'S', |out| {
        put_text(out, name);
        put_text(out, value);
    });
}

pub(crate) fn backend_key(out: &mut Vec<u8>, pid: i32, secret: i32) {
    message(out, b'K', |out| {
        out.put_i32(pid);
        out.put_i32(secret);
    });
}

/// Says which minor version of the protocol is spoken, and which options are not known.
pub(crate) fn negotiate_version(out: &mut Vec<u8>, unknown_options: &[&str]) {
    message(out, b'v', |out| {
        out.put_i32(3 << 16);
        out.put_i32(unknown_options.len() as i32);
        unknown_options.iter().for_each(|name| put_text(out, name));
    });
}

pub(crate) fn command_complete(out: &mut Vec<u8>, tag: &str) {
    message(out, b'C', |out| put_text(out, tag));
}

pub(crate) fn error(out: &mut Vec<u8>, error: &SqlError) {
    message(out, b'E', |out| put_fields(out, error.fields()));
}

/// A remark that changes nothing.
pub(crate) fn warning(out: &mut Vec<u8>, state: &str, text: &str) {
    let severity = "WARNING";
    let fields = [
        (b'S', severity),
        (b'V', severity),
        (b'C', state),
        (b'M', text),
    ];
    message(out, b'N', |out| put_fields(out, fields.into_iter()));
}

fn put_fields<'a>(out: &mut Vec<u8>, fields: impl Iterator<Item = (u8, &'a str)>) {
    for (code, text) in fields {
        out.put_u8(code);
        // A zero byte would end the text early.
        put_text(out, &text.replace('\0', ""));
    }
    out.put_u8(0);
}

/// Describes the columns of rows to come.
pub(crate) fn row_description(out: &mut Vec<u8>, columns: &[(String, Type)], formats: &[bool]) {
    message(out, b'T', |out| {
        out.put_i16(columns.len() as i16);
        for (at, (name, ty)) in columns.iter().enumerate() {
            put_text(out, name);
            // No table and no column of it.
            out.put_slice(&[0; 6]);
            out.put_u32(ty.oid());
            out.put_i16(ty.width());
            out.put_i32(-1);
            out.put_i16(is_binary(formats, at).into());
        }
    });
}

/// The format of a value: none means text, one is for all, or there is one for each.
pub(crate) fn is_binary(formats: &[bool], at: usize) -> bool {
    let at = if formats.len() == 1 { 0 } else { at };
    formats.get(at).copied().unwrap_or(false)
}
