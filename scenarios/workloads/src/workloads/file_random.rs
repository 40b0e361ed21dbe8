//! `file-random`: reads a block at a seeded random offset of a large file, and checks it by its offset.

use std::path::PathBuf;
use std::time::Duration;

use photofinish_harness::runtime::{File as _, OpenMode, Runtime};
use photofinish_harness::workload::{About, Env, Failure, ParamError, Workload};
use photofinish_record::draw::draw_below;

use super::known_file::{WORD_BYTES, is_known, known_file, spoil};
use super::params::{params, require};
use super::tallies::{ensure, exactly};
use crate::quantity::Size;

#[derive(Debug)]
pub struct FileRandom {
    params: Params,
}

params! {
    /// Size of the file, made once and reused.
    file_size: Size = Size::mib(256),
    /// Bytes of one read; offsets are multiples of it.
    block: Size = Size::kib(4),
}

/// An open file and the block read last.
pub struct Session<R: Runtime> {
    file: R::File,
    block: Vec<u8>,
}

impl Workload for FileRandom {
    const ABOUT: About = About {
        name: "file-random",
        class: "files",
        operation: "read a block at a seeded random offset of a file; content checked",
        targets: &[],
        needs: &[],
    };
    type Params = Params;
    type Shared<R: Runtime> = PathBuf;
    type Session<R: Runtime> = Session<R>;

    fn new(params: Params, _: Duration) -> Result<Self, ParamError> {
        let Params { file_size, block } = &params;
        let whole_words = block.bytes > 0 && block.bytes.is_multiple_of(WORD_BYTES);
        require(whole_words, "block", || {
            format!("{block} is not a multiple of {WORD_BYTES} bytes")
        })?;
        require(block <= file_size, "block", || {
            format!("{block} is more than the file's {file_size}")
        })?;
        Ok(Self { params })
    }

    async fn prepare<R: Runtime>(&self, env: &Env<R>) -> Result<PathBuf, Failure> {
        Ok(known_file(&env.work_dir, self.params.file_size.bytes)?)
    }

    async fn open<R: Runtime>(&self, env: &Env<R, PathBuf>, _: u32) -> Result<Session<R>, Failure> {
        Ok(Session {
            file: env.runtime.open(&env.shared, OpenMode::Read).await?,
            block: Vec::with_capacity(self.params.block.as_len()),
        })
    }

    async fn operate<R: Runtime>(
        &self,
        env: &Env<R, PathBuf>,
        session: &mut Session<R>,
        op: u64,
    ) -> Result<(), Failure> {
        let Params { file_size, block } = &self.params;
        let offset = draw_below(env.seed, op, file_size.bytes / block.bytes) * block.bytes;
        // The result of the previous read must not pass for that of this one.
        spoil(&mut session.block);
        let read = session
            .file
            .read_at(offset, block.as_len(), &mut session.block);
        read.await?;
        exactly(block.as_len(), session.block.len(), "bytes of a block")?;
        ensure(is_known(&session.block, offset), || {
            format!("the {block} at offset {offset} are wrong")
        })
    }
}
