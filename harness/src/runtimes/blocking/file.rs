//! Files of the standard library: every call blocks.

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
    let mut options = std::fs::OpenOptions::new();
    match mode {
        OpenMode::Read => options.read(true),
        OpenMode::Create => options.write(true).create(true).truncate(true),
        OpenMode::Append => options.append(true).create(true),
    };
    let file = options.open(path)?;
    Ok(File { file })
}

/// Reads a whole file into `contents`, replacing any previous contents; blocks.
pub(in crate::runtimes) fn read(path: &Path, contents: &mut Vec<u8>) -> io::Result<()> {
    contents.clear();
    std::fs::File::open(path)?.read_to_end(contents)?;
    Ok(())
}

/// The entries of a directory; blocks.
pub(in crate::runtimes) fn list(path: &Path) -> io::Result<Vec<PathBuf>> {
    std::fs::read_dir(path)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect()
}
