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

    /// Reduces `Connection: keep-alive, Upgrade` in the head that is next to `Connection: Upgrade`: RFC 6455, 4.1 allows a
    /// list, and the parser does not.
    pub(super) fn reduce_connection(&mut self) {
        let unread = self.incoming.split_off(self.read);
        let end = unread.windows(4).position(|window| window == b"\r\n\r\n");
        let (head, rest) = unread.split_at(end.unwrap_or(0));
        let lines = head.split(|byte| *byte == b'\n').map(|line| match line {
            line if !upgrades(line) => line,
            [.., b'\r'] => b"Connection: Upgrade\r",
            _ => b"Connection: Upgrade",
        });
        let lines: Vec<_> = lines.collect();
        self.incoming.extend(lines.join(&b'\n'));
        self.incoming.extend_from_slice(rest);
    }
}

/// True for a `Connection` field with the option `Upgrade`.
fn upgrades(line: &[u8]) -> bool {
    let mut parts = line.splitn(2, |byte| *byte == b':');
    let is_connection = parts
        .next()
        .is_some_and(|name| name.eq_ignore_ascii_case(b"connection"));
    let mut options = parts.next().unwrap_or_default().split(|byte| *byte == b',');
    is_connection && options.any(|option| option.trim_ascii().eq_ignore_ascii_case(b"upgrade"))
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
