//! `file-read`: reads a whole file and checks every byte.

use std::path::PathBuf;
use std::time::Duration;

use photofinish_harness::runtime::Runtime;
use photofinish_harness::workload::{About, Env, Failure, ParamError, Workload};

use super::known_file::{is_known, known_file};
use super::params::{params, require};
use super::tallies::{ensure, exactly};
use crate::quantity::Size;

#[derive(Debug)]
pub struct FileRead {
    size: Size,
}

params! {
    /// Size of the file, 1 GiB at most.
    size: Size = Size::kib(64),
}

impl Workload for FileRead {
    const ABOUT: About = About {
        name: "file-read",
        class: "files",
        operation: "read a file; every byte checked",
        targets: &[],
        needs: &[],
    };
    type Params = Params;
    type Shared<R: Runtime> = PathBuf;
    /// A reusable buffer for the contents.
    type Session<R: Runtime> = Vec<u8>;

    fn new(params: Params, _: Duration) -> Result<Self, ParamError> {
        let size = params.size;
        require((1..=1 << 30).contains(&size.bytes), "size", || {
            format!("{size} is not between 1B and 1GiB")
        })?;
        Ok(Self { size })
    }

    async fn prepare<R: Runtime>(&self, env: &Env<R>) -> Result<PathBuf, Failure> {
        Ok(known_file(&env.work_dir, self.size.bytes)?)
    }

    async fn open<R: Runtime>(&self, _: &Env<R, PathBuf>, _: u32) -> Result<Vec<u8>, Failure> {
        // A read that leaves room has found the end.
        Ok(Vec::with_capacity(self.size.as_len() + 1))
    }

    async fn operate<R: Runtime>(
        &self,
        env: &Env<R, PathBuf>,
        contents: &mut Vec<u8>,
        _: u64,
    ) -> Result<(), Failure> {
        // The result of the previous read must not pass for that of this one.
        contents.clear();
        env.runtime.read_file(&env.shared, contents).await?;
        exactly(self.size.as_len(), contents.len(), "bytes")?;
        ensure(is_known(contents, 0), || {
            "the contents are wrong".to_owned()
        })
    }
}
