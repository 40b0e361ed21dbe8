//! The server's first frames: its SETTINGS, which distinguish HTTP/2 from other protocols, and its acknowledgement of the
//! client's.

use super::Http2Error;

/// Length of a frame's header.
const HEADER_BYTES: usize = 9;

/// Type of the frame SETTINGS.
const SETTINGS: u8 = 4;

/// Watches the frames of a connection until it is settled.
#[derive(Debug, Default)]
pub(super) struct Greeting {
    header: [u8; HEADER_BYTES],
    filled: usize,
    /// Remaining bytes of the current frame's payload.
    payload_bytes: usize,
    has_settings: bool,
    is_acknowledged: bool,
}

impl Greeting {
    /// True once both sides' settings are in force.
    pub(super) fn is_settled(&self) -> bool {
        self.has_settings && self.is_acknowledged
    }

    /// True once the server's SETTINGS have arrived.
    pub(super) fn has_settings(&self) -> bool {
        self.has_settings
    }

    /// Examines the next bytes from the server.
    pub(super) fn watch(&mut self, mut bytes: &[u8]) -> Result<(), Http2Error> {
        while !bytes.is_empty() && !self.is_settled() {
            let skipped = self.payload_bytes.min(bytes.len());
            self.payload_bytes -= skipped;
            bytes = &bytes[skipped..];
            let taken = (HEADER_BYTES - self.filled).min(bytes.len());
            self.header[self.filled..self.filled + taken].copy_from_slice(&bytes[..taken]);
            self.filled += taken;
            bytes = &bytes[taken..];
            self.check_first()?;
            if self.filled == HEADER_BYTES {
                self.take_header();
            }
        }
        Ok(())
    }

    /// Refuses bytes that cannot begin the server's SETTINGS, which must come first (RFC 9113, section 3.4).
    fn check_first(&self) -> Result<(), Http2Error> {
        let header = &self.header[..self.filled];
        let is_settings = header.first().is_none_or(|byte| *byte == 0)
            && header.get(3).is_none_or(|it| *it == SETTINGS);
        if self.has_settings || is_settings {
            return Ok(());
        }
        Err(Http2Error::AnotherProtocol)
    }

    fn take_header(&mut self) {
        let [high, middle, low, kind, flags, ..] = self.header;
        self.payload_bytes = u32::from_be_bytes([0, high, middle, low]) as usize;
        self.filled = 0;
        if kind == SETTINGS {
            self.is_acknowledged |= flags & 1 == 1;
            self.has_settings |= flags & 1 == 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS_FRAME: &[u8] = b"\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x02";
    const PING: &[u8] = b"\0\0\x08\x06\0\0\0\0\0payload.";
    const ACKNOWLEDGEMENT: &[u8] = b"\0\0\0\x04\x01\0\0\0\0";

    #[test]
    fn a_connection_is_settled_by_settings_and_their_acknowledgement_however_they_are_split() {
        let all = [SETTINGS_FRAME, PING, ACKNOWLEDGEMENT].concat();
        for size in 1..=all.len() {
            let mut greeting = Greeting::default();
            for (index, piece) in all.chunks(size).enumerate() {
                assert!(!greeting.is_settled(), "pieces of {size}, before {index}");
                greeting.watch(piece).expect("HTTP/2");
            }
            assert!(greeting.is_settled(), "pieces of {size}");
        }
    }

    #[test]
    fn another_protocol_is_recognised_by_its_first_bytes() {
        for other in [
            &b"HTTP/1.1 400 Bad Request\r\n"[..],
            b"220 ftp",
            b"\x15\x03\x01",
            PING,
        ] {
            let mut greeting = Greeting::default();
            assert_eq!(greeting.watch(other), Err(Http2Error::AnotherProtocol));
            assert!(!greeting.has_settings());
        }
    }
}
