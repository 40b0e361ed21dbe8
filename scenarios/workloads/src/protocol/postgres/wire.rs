//! The frame of backend messages, and a cursor over its content.
//!
//! A type byte, a length that includes itself, a body. Messages are read in place, in the caller's buffer; an
//! incomplete one stays there, at the cost of reading five bytes again.

use super::error::{PgError, ServerError};

/// Length of the type byte and the length field.
pub(super) const HEADER_BYTES: usize = 5;

/// One complete message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame<'a> {
    pub(super) tag: u8,
    pub(super) body: &'a [u8],
    /// The whole message, including the header.
    pub(super) bytes: &'a [u8],
}

impl<'a> Frame<'a> {
    /// The message at the start of `input`, or `None` if it is incomplete.
    #[inline]
    pub(super) fn split(
        input: &'a [u8],
        max_message_bytes: usize,
    ) -> Result<Option<Self>, PgError> {
        let Some((&[tag, a, b, c, d], rest)) = input.split_first_chunk::<HEADER_BYTES>() else {
            return Ok(None);
        };
        let length_bytes = u32::from_be_bytes([a, b, c, d]);
        let Some(body_bytes) = length_bytes.checked_sub(4).map(|bytes| bytes as usize) else {
            let reason = "length below 4";
            return Err(PgError::Malformed { tag, reason });
        };
        if body_bytes > max_message_bytes {
            return Err(PgError::TooLarge {
                tag,
                length_bytes,
                limit_bytes: max_message_bytes,
            });
        }
        Ok(rest.get(..body_bytes).map(|body| Frame {
            tag,
            body,
            bytes: &input[..HEADER_BYTES + body_bytes],
        }))
    }

    pub(super) fn malformed(&self, reason: &'static str) -> PgError {
        let tag = self.tag;
        PgError::Malformed { tag, reason }
    }

    /// Reads the body of an ErrorResponse, as text that can be kept and printed. Unknown fields are skipped, as the
    /// protocol requires.
    pub(super) fn server_error(&self) -> Result<ServerError, PgError> {
        let mut cursor = Cursor(self.body);
        let mut error = ServerError::default();
        let mut untranslated = None;
        loop {
            let field = cursor.u8().ok_or(self.malformed("no end of fields"))?;
            if field == 0 {
                break;
            }
            let bytes = cursor.text().ok_or(self.malformed("field without end"))?;
            let text = cleaned(bytes);
            match field {
                b'S' => error.severity = text,
                b'V' => untranslated = Some(text),
                b'C' => error.code = text,
                b'M' => error.message = text,
                b'D' => error.detail = Some(text),
                b'H' => error.hint = Some(text),
                _ => {}
            }
        }
        error.severity = untranslated.unwrap_or(error.severity);
        Ok(error)
    }
}

/// Maximum stored length of an ErrorResponse's field; the rest is replaced by an ellipsis.
const FIELD_BYTES: usize = 512;

/// The beginning of a server's text on one line, without control characters: it ends up in records and on terminals.
pub(super) fn cleaned(bytes: &[u8]) -> String {
    let kept = &bytes[..bytes.len().min(FIELD_BYTES)];
    let plain = |letter: char| if letter.is_control() { ' ' } else { letter };
    let mut text: String = match std::str::from_utf8(kept) {
        // Cut in the middle of a character.
        Err(error) if error.error_len().is_none() => {
            String::from_utf8_lossy(&kept[..error.valid_up_to()])
        }
        _ => String::from_utf8_lossy(kept),
    }
    .chars()
    .map(plain)
    .collect();
    if kept.len() < bytes.len() {
        text.push('…');
    }
    text
}

/// Reads from the front; `None` if there is too little left.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'a>(pub(super) &'a [u8]);

impl<'a> Cursor<'a> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    #[inline]
    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    #[inline]
    pub(super) fn i32(&mut self) -> Option<i32> {
        self.array().map(i32::from_be_bytes)
    }

    #[inline]
    pub(super) fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(taken)
    }

    /// Bytes up to a NUL, which is skipped.
    pub(super) fn text(&mut self) -> Option<&'a [u8]> {
        let end = self.0.iter().position(|&byte| byte == 0)?;
        let text = self.take(end)?;
        self.0 = &self.0[1..];
        Some(text)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*array)
    }
}
