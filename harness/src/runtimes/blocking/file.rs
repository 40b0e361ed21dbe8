//! Files of the standard library.

use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;

use crate::runtime;

#[derive(Debug)]
pub(in crate::runtimes) struct File {
    pub(super) file: std::fs::File,
}

impl runtime::File for File {
    async fn read_at(&mut self, offset: u64, length: usize, bytes: &mut Vec<u8>) -> io::Result<()> {
        bytes.resize(length, 0);
        self.file.read_exact_at(bytes, offset)
    }

    async fn write_all(&mut self, bytes: &mut Vec<u8>) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    async fn sync_all(&mut self) -> io::Result<()> {
        self.file.sync_all()
    }
}
