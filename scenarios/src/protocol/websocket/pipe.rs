//! A stream in memory in place of the socket: bytes in, bytes out, and `WouldBlock` if there are none.

use std::io::{self, ErrorKind, Read, Write};

#[derive(Debug, Default)]
pub(super) struct Pipe {
    incoming: Vec<u8>,
    /// Number of bytes of `incoming` that were read.
    read: usize,
    /// True if nothing will follow `incoming`.
    pub(super) ended: bool,
    pub(super) outgoing: Vec<u8>,
}

impl Pipe {
    pub(super) fn feed(&mut self, input: &[u8]) {
        if self.read == self.incoming.len() {
            self.incoming.clear();
            self.read = 0;
        }
        self.incoming.extend_from_slice(input);
    }

    pub(super) fn unread(&self) -> &[u8] {
        &self.incoming[self.read..]
    }
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut unread = self.unread();
        if unread.is_empty() && !self.ended {
            return Err(ErrorKind::WouldBlock.into());
        }
        let count = unread.read(buffer)?;
        self.read += count;
        Ok(count)
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.outgoing.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
