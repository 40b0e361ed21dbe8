//! Files of the standard library: every call blocks.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use rustix::buffer::spare_capacity;
use rustix::io::retry_on_intr;

use crate::runtime::{self, OpenMode};

#[derive(Debug)]
pub(in crate::runtimes) struct File {
    file: std::fs::File,
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

/// Opens a file; blocks.
pub(in crate::runtimes) fn open(path: &Path, mode: OpenMode) -> io::Result<File> {
    let file = options(mode).open(path)?;
    Ok(File { file })
}

/// The standard library's options for a mode.
pub(in crate::runtimes) fn options(mode: OpenMode) -> OpenOptions {
    let mut options = OpenOptions::new();
    match mode {
        OpenMode::Read => options.read(true),
        OpenMode::Create => options.write(true).create(true).truncate(true),
        OpenMode::Append => options.append(true).create(true),
    };
    options
}

/// The most that is moved at once; the kernel's own limit is just below 2 GiB.
pub(in crate::runtimes) const MOST_AT_ONCE: usize = 1 << 30;

/// Reads a whole regular file into `contents`, replacing any previous contents; blocks. A read that leaves room has found the
/// end, so with a vector that is larger than the file the calls are open, read and close. One without room is given the file's
/// length.
pub(in crate::runtimes) fn read(path: &Path, contents: &mut Vec<u8>) -> io::Result<()> {
    let file = std::fs::File::open(path)?;
    contents.clear();
    if contents.capacity() == 0 {
        let length = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
        contents.try_reserve_exact(length.saturating_add(1))?;
    }
    loop {
        if contents.len() == contents.capacity() {
            contents.reserve(contents.len());
        }
        let room = contents.capacity() - contents.len();
        let count = retry_on_intr(|| rustix::io::read(&file, spare_capacity(contents)))?;
        if count < room.min(MOST_AT_ONCE) {
            return Ok(());
        }
    }
}

/// The entries of a directory; blocks.
pub(in crate::runtimes) fn list(path: &Path) -> io::Result<Vec<PathBuf>> {
    std::fs::read_dir(path)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect()
}
