//! Files of the ring.

use std::future::Future;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use send_wrapper::SendWrapper;

use super::ring::{Operation, Ring, Submission, Work};
use crate::runtimes::blocking::file::MOST_AT_ONCE;

pub(in crate::runtimes) struct File(SendWrapper<Opened>);

struct Opened {
    file: Rc<OwnedFd>,
    ring: Rc<Ring>,
}

impl File {
    pub(super) fn new(ring: &Rc<Ring>, file: std::fs::File) -> Self {
        Self(SendWrapper::new(Opened {
            file: Rc::new(file.into()),
            ring: Rc::clone(ring),
        }))
    }

    /// Reads a whole file with as few operations as [`read`](crate::runtimes::blocking::file::read).
    pub(super) fn read_whole(
        &mut self,
        contents: &mut Vec<u8>,
    ) -> impl Future<Output = io::Result<()>> + Send {
        SendWrapper::new(async move {
            contents.clear();
            let mut filled = 0;
            loop {
                if contents.capacity() == filled {
                    contents.reserve(filled.max(8192));
                }
                contents.resize(contents.capacity(), 0);
                let room = contents.len() - filled;
                let count = self.0.read(contents, filled, filled as u64).await?;
                filled += count;
                if count < room.min(MOST_AT_ONCE) {
                    contents.truncate(filled);
                    return Ok(());
                }
            }
        })
    }
}

impl Opened {
    fn submit(&self, work: Work, bytes: Vec<u8>) -> Submission {
        self.ring.submit(Operation {
            descriptor: Rc::clone(&self.file),
            work,
            bytes,
        })
    }

    /// Reads from `offset` of the file into the bytes from `filled` on; returns the number of bytes, 0 at the end.
    async fn read(&self, bytes: &mut Vec<u8>, filled: usize, offset: u64) -> io::Result<usize> {
        let work = Work::Read(filled, offset);
        let completed = self.submit(work, std::mem::take(bytes)).await;
        *bytes = completed.bytes;
        completed.result
    }
}

impl crate::runtime::File for File {
    fn read_at(
        &mut self,
        offset: u64,
        length: usize,
        bytes: &mut Vec<u8>,
    ) -> impl Future<Output = io::Result<()>> + Send {
        SendWrapper::new(async move {
            bytes.resize(length, 0);
            let mut filled = 0;
            while filled < length {
                match self.0.read(bytes, filled, offset + filled as u64).await? {
                    0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                    count => filled += count,
                }
            }
            Ok(())
        })
    }

    fn write_all(&mut self, bytes: &mut Vec<u8>) -> impl Future<Output = io::Result<()>> + Send {
        SendWrapper::new(async move {
            let mut written = 0;
            while written < bytes.len() {
                let work = Work::Write(written);
                let completed = self.0.submit(work, std::mem::take(bytes)).await;
                *bytes = completed.bytes;
                match completed.result? {
                    0 => return Err(io::ErrorKind::WriteZero.into()),
                    count => written += count,
                }
            }
            Ok(())
        })
    }

    fn sync_all(&mut self) -> impl Future<Output = io::Result<()>> + Send {
        SendWrapper::new(async move {
            let synced = self.0.submit(Work::Sync, Vec::new()).await;
            synced.result.map(drop)
        })
    }
}
