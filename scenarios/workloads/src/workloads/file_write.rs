//! `file-write`: writes a file, syncs it, and reads it back.

use std::path::PathBuf;
use std::time::Duration;

use photofinish_harness::nothing_shared;
use photofinish_harness::runtime::{File as _, OpenMode, Runtime};
use photofinish_harness::workload::{About, Env, Failure, ParamError, Workload};

use super::known_file::known_bytes;
use super::params::{params, require};
use super::tallies::ensure;
use crate::quantity::Size;

#[derive(Debug)]
pub struct FileWrite {
    params: Params,
}

params! {
    /// Size of the file, 8 B to 1 GiB.
    size: Size = Size::kib(64),
    /// Waits for the device after each write; without, data may stay in the page cache.
    sync: bool = true,
}

/// The session's own file, the data written to it, and the data read back.
#[derive(Debug)]
pub struct Session {
    path: PathBuf,
    written: Vec<u8>,
    read: Vec<u8>,
}

impl Workload for FileWrite {
    const ABOUT: About = About {
        name: "file-write",
        class: "files",
        operation: "write a file, sync it, read it back; content checked",
        targets: &[],
        needs: &[],
    };
    type Params = Params;
    nothing_shared!();
    type Session<R: Runtime> = Session;

    fn new(params: Params, _: Duration) -> Result<Self, ParamError> {
        let size = params.size;
        require((8..=1 << 30).contains(&size.bytes), "size", || {
            format!("{size} is not between 8B and 1GiB")
        })?;
        Ok(Self { params })
    }

    async fn open<R: Runtime>(&self, env: &Env<R>, index: u32) -> Result<Session, Failure> {
        std::fs::create_dir_all(&env.work_dir)?;
        Ok(Session {
            path: env.work_dir.join(format!("written-{index}.bin")),
            written: known_bytes(self.params.size.as_len()),
            read: Vec::with_capacity(self.params.size.as_len() + 1),
        })
    }

    async fn operate<R: Runtime>(
        &self,
        env: &Env<R>,
        session: &mut Session,
        op: u64,
    ) -> Result<(), Failure> {
        // Each operation writes different data, so that reading back older data is detected.
        session.written[..8].copy_from_slice(&op.to_le_bytes());
        let mut file = env.runtime.open(&session.path, OpenMode::Create).await?;
        file.write_all(&mut session.written).await?;
        if self.params.sync {
            file.sync_all().await?;
        }
        drop(file);
        session.read.clear();
        env.runtime
            .read_file(&session.path, &mut session.read)
            .await?;
        ensure(session.read == session.written, || {
            "what was read back is not what was written".to_owned()
        })
    }

    async fn close<R: Runtime>(&self, _: &Env<R>, session: &mut Session) {
        // No longer needed; a leftover is overwritten by the next round.
        let _ = std::fs::remove_file(&session.path);
    }
}
