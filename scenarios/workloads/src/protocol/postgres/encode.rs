//! Writes the client's messages after the login into a buffer that the caller reuses.
//!
//! Each function appends whole messages or, if it fails, nothing. Everything up to a Sync (or a simple query) is one
//! cycle, whose response is read by [`ResponseReader`](super::ResponseReader).

use thiserror::Error;

/// An invalid message. Nothing was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum EncodeError {
    /// A NUL in a name or statement; the protocol ends its strings with it.
    #[error("text contains a NUL character")]
    Nul,
    #[error("expected at most 65535 parameters, got {count}")]
    TooManyParameters { count: usize },
    #[error("message is longer than 2 GiB")]
    TooLong,
}

/// A value bound to a parameter of a prepared statement.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Parameter<'a> {
    /// Text, or the textual form of any other type.
    Text(&'a str),
    /// Sent in binary, as drivers do, so the statement must be parsed with the OID of `int4`.
    Int4(i32),
}

impl Parameter<'_> {
    fn format_code(self) -> i16 {
        match self {
            Parameter::Text(_) => 0,
            Parameter::Int4(_) => 1,
        }
    }
}

/// Appends a simple query: one or more statements without parameters.
pub fn simple(sql: &str, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    message(b'Q', out, |out| text(sql, out))
}

/// Appends a simple query whose text, without NUL, `write` appends.
pub fn simple_pieces<E: From<EncodeError>>(
    out: &mut Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    message::<E>(b'Q', out, |out| {
        write(out)?;
        out.push(0);
        Ok(())
    })
}

/// Appends a request to prepare `sql` under `name` (empty: the unnamed statement), without a Sync. The server infers the
/// types of parameters without an OID, or with 0.
///
/// ```
/// use photofinish_workloads::protocol::postgres::encode;
///
/// let mut out = Vec::new();
/// encode::parse("point", "SELECT name FROM item WHERE id = $1", &[23], &mut out)?;
/// encode::sync(&mut out);
/// # Ok::<(), photofinish_workloads::protocol::postgres::EncodeError>(())
/// ```
pub fn parse(
    name: &str,
    sql: &str,
    parameter_oids: &[u32],
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    message(b'P', out, |out| {
        text(name, out)?;
        text(sql, out)?;
        count(parameter_oids.len(), out)?;
        for oid in parameter_oids {
            out.extend_from_slice(&oid.to_be_bytes());
        }
        Ok(())
    })
}

/// Appends the execution of a prepared statement and a Sync. Rows are returned as text.
pub fn bind_execute(
    name: &str,
    parameters: &[Parameter<'_>],
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    bind_execute_unsynced(name, parameters, out)?;
    sync(out);
    Ok(())
}

/// Like [`bind_execute`], but without a Sync, so that more can follow in the same cycle.
pub fn bind_execute_unsynced(
    name: &str,
    parameters: &[Parameter<'_>],
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let formats = parameters.iter().map(|parameter| parameter.format_code());
    bind_execute_values(name, formats, out, |index, out| {
        match parameters[index] {
            Parameter::Text(text) => out.extend_from_slice(text.as_bytes()),
            Parameter::Int4(number) => out.extend_from_slice(&number.to_be_bytes()),
        }
        Ok(())
    })
}

/// Like [`bind_execute_unsynced`], for parameters of these `formats` (0: text, 1: binary) whose values `write` appends,
/// by index.
pub fn bind_execute_values<E: From<EncodeError>>(
    name: &str,
    formats: impl ExactSizeIterator<Item = i16>,
    out: &mut Vec<u8>,
    mut write: impl FnMut(usize, &mut Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    message::<E>(b'B', out, |out| {
        out.push(0); // The unnamed portal.
        text(name, out)?;
        let parameters = formats.len();
        count(parameters, out)?;
        for format in formats {
            out.extend_from_slice(&format.to_be_bytes());
        }
        count(parameters, out)?;
        for index in 0..parameters {
            let start = out.len();
            out.extend_from_slice(&[0; 4]);
            write(index, out)?;
            let length_bytes = length(out.len() - start - 4)?;
            out[start..start + 4].copy_from_slice(&length_bytes.to_be_bytes());
        }
        count(0, out)?; // No formats of columns: all of them are text.
        Ok(())
    })?;
    // Execute: the unnamed portal, no limit of rows.
    out.extend_from_slice(b"E\0\0\0\x09\0\0\0\0\0");
    Ok(())
}

/// Appends a request for the types of the parameters of a prepared statement, without a Sync.
pub fn describe(name: &str, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    message(b'D', out, |out| {
        out.push(b'S');
        text(name, out)
    })
}

/// Appends a Sync, which ends a cycle of the extended protocol.
pub fn sync(out: &mut Vec<u8>) {
    out.extend_from_slice(b"S\0\0\0\x04");
}

/// Appends a Terminate, after which the server closes the connection.
pub fn terminate(out: &mut Vec<u8>) {
    out.extend_from_slice(b"X\0\0\0\x04");
}

/// Appends a message, with its length filled in after the body is written.
fn message<E: From<EncodeError>>(
    tag: u8,
    out: &mut Vec<u8>,
    body: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    let start = out.len();
    out.extend_from_slice(&[tag, 0, 0, 0, 0]);
    let written = body(out).and_then(|()| Ok(length(out.len() - start - 1)?));
    match written {
        Ok(length_bytes) => out[start + 1..start + 5].copy_from_slice(&length_bytes.to_be_bytes()),
        Err(_) => out.truncate(start),
    }
    written.map(|_| ())
}

fn text(text: &str, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    if text.as_bytes().contains(&0) {
        return Err(EncodeError::Nul);
    }
    out.extend_from_slice(text.as_bytes());
    out.push(0);
    Ok(())
}

fn count(count: usize, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let wire = u16::try_from(count).map_err(|_| EncodeError::TooManyParameters { count })?;
    out.extend_from_slice(&wire.to_be_bytes());
    Ok(())
}

fn length(bytes: usize) -> Result<i32, EncodeError> {
    i32::try_from(bytes).map_err(|_| EncodeError::TooLong)
}
