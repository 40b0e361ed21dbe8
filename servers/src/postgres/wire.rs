//! One connection's messages: framed and bounded on the way in, appended to a buffer on the way out.
//!
//! The buffer is sent when everything that has arrived is answered, so a pipeline of messages gets its answers in one
//! write. A message is read where it arrived; nothing is copied. What messages mean is in `session.rs`.

use std::io;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::error::{CLIENT_IS_GONE, SqlError, SqlResult, malformed};
use super::types::Type;
use crate::CountedStream;
use crate::tls::Identity;

/// Bytes to read from the socket at once.
const READ_BYTES: usize = 8 << 10;

/// Length of pending answers above which they are sent early.
pub(crate) const FLUSH_BYTES: usize = 256 << 10;

/// Maximum length of a message before login, as in PostgreSQL.
pub(crate) const MAX_LOGIN_BYTES: usize = 10_000;

/// Maximum length of a message after login.
pub(crate) const MAX_MESSAGE_BYTES: usize = 16 << 20;

#[derive(Debug)]
pub(crate) struct Wire {
    /// `None` after a TLS handshake that failed.
    stream: Option<CountedStream>,
    /// Received but not processed yet.
    input: BytesMut,
    /// To be sent.
    pub(crate) out: Vec<u8>,
}

impl Wire {
    pub(crate) fn new(stream: CountedStream) -> Self {
        Wire {
            stream: Some(stream),
            input: BytesMut::new(),
            out: Vec::new(),
        }
    }

    /// The type and the body of the next message.
    pub(crate) async fn next(&mut self, max_bytes: usize) -> SqlResult<(u8, Bytes)> {
        while self.input.is_empty() {
            self.receive().await?;
        }
        let kind = self.input.get_u8();
        Ok((kind, self.next_untyped(max_bytes).await?))
    }

    /// The body of the next message without a type, as the first ones are.
    pub(crate) async fn next_untyped(&mut self, max_bytes: usize) -> SqlResult<Bytes> {
        loop {
            let length = self.input.first_chunk().copied();
            let length = length.map_or(4, u32::from_be_bytes) as usize;
            if !(4..=max_bytes).contains(&length) {
                return Err(malformed("invalid message length"));
            }
            if self.input.len() >= length {
                return Ok(self.input.split_to(length).freeze().slice(4..));
            }
            self.receive().await?;
        }
    }

    /// Sends the pending answers, then waits for more input.
    async fn receive(&mut self) -> SqlResult<()> {
        self.flush().await?;
        if self.input.is_empty() && self.input.capacity() > FLUSH_BYTES {
            self.input = BytesMut::new();
        }
        self.input.reserve(READ_BYTES);
        let stream = self.stream.as_mut().ok_or_else(gone)?;
        match stream.read_buf(&mut self.input).await? {
            0 => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            _ => Ok(()),
        }
    }

    pub(crate) async fn flush(&mut self) -> SqlResult<()> {
        let stream = self.stream.as_mut().ok_or_else(gone)?;
        stream.write_all(&self.out).await?;
        self.out.clear();
        self.out.shrink_to(FLUSH_BYTES);
        Ok(())
    }

    /// Accepts a TLS request and performs the handshake. Bytes that came with the request are not encrypted, and may be an
    /// attacker's.
    pub(crate) async fn secure(&mut self, identity: &Identity) -> SqlResult<()> {
        if !self.input.is_empty() {
            return Err(malformed("unencrypted bytes after a TLS request"));
        }
        self.out.push(b'S');
        self.flush().await?;
        let stream = self.stream.take().ok_or_else(gone)?;
        self.stream = Some(stream.secure(identity).await?);
        Ok(())
    }

    /// Sends the pending answers and ends the connection, for this reason.
    pub(crate) async fn close(&mut self, reason: SqlResult<()>) {
        let error = reason.err().filter(|error| error.state != CLIENT_IS_GONE);
        error.iter().for_each(|error| report(&mut self.out, error));
        // Fails if the client has left first.
        let _ = self.flush().await;
        if let Some(stream) = &mut self.stream {
            let _ = stream.shutdown().await;
        }
    }
}

fn gone() -> SqlError {
    io::Error::from(io::ErrorKind::NotConnected).into()
}

/// Takes the first `count` bytes of a message.
pub(crate) fn bytes<'m>(body: &mut &'m [u8], count: usize) -> SqlResult<&'m [u8]> {
    let bytes = body.split_off(..count);
    bytes.ok_or_else(|| malformed("a message is cut off"))
}

/// Takes the text up to the next zero byte.
pub(crate) fn text<'m>(body: &mut &'m [u8]) -> SqlResult<&'m str> {
    let end = body.iter().position(|&byte| byte == 0);
    let text = bytes(body, end.unwrap_or(body.len()))?;
    body.try_get_u8()?;
    std::str::from_utf8(text).map_err(|_| SqlError::new("22021", "invalid UTF-8"))
}

/// Takes a list of formats: true for each that is binary.
pub(crate) fn formats(body: &mut &[u8]) -> SqlResult<Vec<bool>> {
    let count = body.try_get_u16()?;
    let mut format = || match body.try_get_u16()? {
        code @ (0 | 1) => Ok(code == 1),
        _ => Err(malformed("unsupported format code")),
    };
    (0..count).map(|_| format()).collect()
}

/// The format of a value: none means text, one is for all, or there is one for each.
pub(crate) fn is_binary(formats: &[bool], at: usize) -> bool {
    let at = if formats.len() == 1 { 0 } else { at };
    formats.get(at).copied().unwrap_or(false)
}

/// Appends a message whose body `write` appends.
pub(crate) fn message(out: &mut Vec<u8>, kind: u8, write: impl FnOnce(&mut Vec<u8>)) {
    out.put_u8(kind);
    let start = out.len();
    out.put_u32(0);
    write(out);
    let length = (out.len() - start) as u32;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

/// Appends texts, each with a zero byte after it; one in the middle would end it early.
pub(crate) fn put_texts(out: &mut Vec<u8>, texts: &[&str]) {
    for text in texts {
        out.extend(text.bytes().filter(|&byte| byte != 0));
        out.put_u8(0);
    }
}

/// A message that consists of texts.
pub(crate) fn texts(out: &mut Vec<u8>, kind: u8, texts: &[&str]) {
    message(out, kind, |out| put_texts(out, texts));
}

pub(crate) fn authentication(out: &mut Vec<u8>, code: i32, data: &[u8]) {
    message(out, b'R', |out| {
        out.put_i32(code);
        out.put_slice(data);
    });
}

/// Reports an error or a warning.
pub(crate) fn report(out: &mut Vec<u8>, error: &SqlError) {
    let is_warning = error.severity == "WARNING";
    let fields = [
        (b'S', error.severity),
        (b'V', error.severity),
        (b'C', error.state),
        (b'M', error.message.as_str()),
    ];
    let details = error.details.iter();
    let details = details.map(|(code, text)| (*code, text.as_str()));
    message(out, if is_warning { b'N' } else { b'E' }, |out| {
        for (code, text) in fields.into_iter().chain(details) {
            out.put_u8(code);
            put_texts(out, &[text]);
        }
        out.put_u8(0);
    });
}

/// Describes the columns of the rows that follow.
pub(crate) fn row_description(out: &mut Vec<u8>, columns: &[(String, Type)], formats: &[bool]) {
    message(out, b'T', |out| {
        out.put_i16(columns.len() as i16);
        for (at, (name, ty)) in columns.iter().enumerate() {
            put_texts(out, &[name]);
            // No table and no column of it.
            out.put_slice(&[0; 6]);
            out.put_u32(*ty as u32);
            out.put_i16(ty.width());
            out.put_i32(-1);
            out.put_i16(is_binary(formats, at).into());
        }
    });
}
