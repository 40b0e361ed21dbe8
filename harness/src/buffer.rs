//! The read buffer that sessions own and runtimes fill.
//!
//! One `Vec<u8>` that is initialised once and then reused, with a window of unread bytes in it, so that a read neither
//! allocates nor clears memory. Readiness runtimes read into [`Buffer::spare`]; completion runtimes (io_uring) take the
//! storage with [`Buffer::lend`], let the kernel fill it, and give it back.

/// Bytes read from a connection and not yet consumed.
#[derive(Debug, Default)]
pub struct Buffer {
    /// Initialised over its whole length.
    storage: Vec<u8>,
    /// First unread byte.
    start: usize,
    /// One past the last unread byte.
    end: usize,
    /// Range of the unread bytes in lent storage.
    lent: (usize, usize),
}

impl Buffer {
    /// An empty buffer with room for `capacity_bytes`.
    pub fn with_capacity(capacity_bytes: usize) -> Self {
        Self {
            storage: vec![0; capacity_bytes],
            start: 0,
            end: 0,
            lent: (0, 0),
        }
    }

    /// The unread bytes.
    #[inline]
    pub fn unread(&self) -> &[u8] {
        &self.storage[self.start..self.end]
    }

    /// Drops the first `count` unread bytes.
    #[inline]
    pub fn consume(&mut self, count: usize) {
        let unread = self.end - self.start;
        assert!(count <= unread, "consumed {count} of {unread} unread bytes");
        self.start += count;
        if self.start == self.end {
            self.clear();
        }
    }

    /// Drops all unread bytes.
    #[inline]
    pub fn clear(&mut self) {
        self.start = 0;
        self.end = 0;
    }

    /// Room to read into; at least one byte, moving or growing the storage if it is full.
    #[inline]
    pub fn spare(&mut self) -> &mut [u8] {
        self.make_room();
        &mut self.storage[self.end..]
    }

    /// Marks the first `count` bytes of [`Buffer::spare`] as read.
    #[inline]
    pub fn commit(&mut self, count: usize) {
        let spare = self.storage.len() - self.end;
        assert!(count <= spare, "committed {count} of {spare} spare bytes");
        self.end += count;
    }

    /// Lends out the storage and the offset from which it may be overwritten, for kernels that own a buffer while they
    /// fill it. Unread bytes stay in it; a cancelled read loses them together with its connection, and leaves an empty
    /// buffer that allocates new storage.
    pub fn lend(&mut self) -> (Vec<u8>, usize) {
        self.make_room();
        self.lent = (self.start, self.end);
        self.clear();
        (std::mem::take(&mut self.storage), self.lent.1)
    }

    /// Takes the storage back after `count` bytes were read at the offset.
    pub fn give_back(&mut self, storage: Vec<u8>, count: usize) {
        self.storage = storage;
        (self.start, self.end) = self.lent;
        self.commit(count);
    }

    /// Enlarges the storage to `capacity_bytes`, for reads that bring more at once.
    pub fn enlarge(&mut self, capacity_bytes: usize) {
        if self.storage.len() < capacity_bytes {
            self.storage.resize(capacity_bytes, 0);
        }
    }

    fn make_room(&mut self) {
        if self.end < self.storage.len() {
            return;
        }
        if self.start > 0 {
            self.storage.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        } else {
            let grown = (self.storage.len() * 2).max(4096);
            self.storage.resize(grown, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(buffer: &mut Buffer, bytes: &[u8]) {
        for &byte in bytes {
            buffer.spare()[0] = byte;
            buffer.commit(1);
        }
    }

    #[test]
    fn unread_bytes_survive_moving_and_growing() {
        let mut buffer = Buffer::with_capacity(4);
        fill(&mut buffer, b"abcd");
        buffer.consume(2);
        fill(&mut buffer, b"efgh");
        assert_eq!(buffer.unread(), b"cdefgh");
        buffer.consume(6);
        assert_eq!(buffer.unread(), b"");
    }

    #[test]
    fn an_enlarged_buffer_has_its_unread_bytes_and_more_room() {
        let mut buffer = Buffer::with_capacity(4);
        fill(&mut buffer, b"abc");
        buffer.enlarge(2);
        assert_eq!(buffer.spare().len(), 1);
        buffer.enlarge(10);
        assert_eq!(buffer.spare().len(), 7);
        assert_eq!(buffer.unread(), b"abc");
    }

    #[test]
    fn lent_storage_returns_with_the_bytes_read() {
        let mut buffer = Buffer::with_capacity(8);
        fill(&mut buffer, b"ab");
        let (mut storage, offset) = buffer.lend();
        storage[offset..offset + 2].copy_from_slice(b"cd");
        buffer.give_back(storage, 2);
        assert_eq!(buffer.unread(), b"abcd");
    }

    #[test]
    fn a_buffer_that_lost_its_storage_is_empty_and_usable() {
        let mut buffer = Buffer::with_capacity(8);
        fill(&mut buffer, b"ab");
        drop(buffer.lend());
        assert_eq!(buffer.unread(), b"");
        fill(&mut buffer, b"cd");
        assert_eq!(buffer.unread(), b"cd");
    }
}
