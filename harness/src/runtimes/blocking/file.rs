//! Files of the standard library: every call blocks.

use std::fs::OpenOptions;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

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

/// Reads a whole file into `contents`, replacing any previous contents; blocks.
pub(in crate::runtimes) fn read(path: &Path, contents: &mut Vec<u8>) -> io::Result<()> {
    contents.clear();
    std::fs::File::open(path)?.read_to_end(contents)?;
    Ok(())
}

/// The most that is moved at once; the kernel's own limit is just below 2 GiB.
pub(in crate::runtimes) const MOST_AT_ONCE: usize = 1 << 30;

/// Reads a whole file with as few calls as a regular one needs: a read that leaves room has found its end, so that nothing asks
/// for its length. The length of `contents` is the guess at it. Blocks.
pub(in crate::runtimes) fn read_frugally(path: &Path, contents: &mut Vec<u8>) -> io::Result<()> {
    let mut file = std::fs::File::open(path)?;
    let mut filled = 0;
    loop {
        make_room(contents, filled);
        let room = contents.len() - filled;
        let count = file.read(&mut contents[filled..])?;
        filled += count;
        if count < room.min(MOST_AT_ONCE) {
            contents.truncate(filled);
            return Ok(());
        }
    }
}

/// Room for what follows the first `filled` bytes: one byte more than the guess at first, then twice as much.
pub(in crate::runtimes) fn make_room(contents: &mut Vec<u8>, filled: usize) {
    let length = match (contents.len(), filled) {
        (0, _) => 8192,
        (guess, 0) => guess + 1,
        (full, _) => 2 * full,
    };
    contents.resize(length, 0);
}

/// The entries of a directory; blocks.
pub(in crate::runtimes) fn list(path: &Path) -> io::Result<Vec<PathBuf>> {
    std::fs::read_dir(path)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect()
}
