//! `file-process`: three files concurrently, each read and followed by a wait that stands for processing.
//!
//! It takes about one unit if files are processed concurrently, about three in sequence. `file_scope` is the time of
//! each file from start to end, measured by a scope when it is dropped.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use photofinish_harness::no_session;
use photofinish_harness::observed::Observed;
use photofinish_harness::runtime::Runtime;
use photofinish_harness::workload::{About, Env, Failure, ParamError, Workload};
use photofinish_record::nanoseconds;

use super::known_file::{is_known, known_file};
use super::params::{params, require};
use super::parts::{self, joined, wait};
use super::tallies::{ensure, exactly, no_shorter};
use crate::quantity::Size;

#[derive(Debug)]
pub struct FileProcess {
    size: Size,
    unit: Duration,
}

params! {
    /// Size of each file, 1 MiB at most.
    size: Size = Size::kib(16),
}

const FILES: u64 = 3;

impl Workload for FileProcess {
    const ABOUT: About = About {
        name: "file-process",
        class: "files",
        operation: "3 files concurrently: read each, then wait for 1 unit",
        targets: &[],
        needs: &[],
    };
    type Params = Params;
    type Shared<R: Runtime> = Vec<PathBuf>;
    no_session!();

    fn new(params: Params, unit: Duration) -> Result<Self, ParamError> {
        let size = params.size;
        require((1..=1 << 20).contains(&size.bytes), "size", || {
            format!("{size} is not between 1B and 1MiB")
        })?;
        Ok(Self { size, unit })
    }

    async fn prepare<R: Runtime>(&self, env: &Env<R>) -> Result<Vec<PathBuf>, Failure> {
        // Each a byte longer than the one before, so that all three differ.
        let path = |longer| known_file(&env.work_dir, self.size.bytes + longer);
        let paths = (0..FILES).map(path).collect::<Result<_, _>>()?;
        Ok(paths)
    }

    async fn operate<R: Runtime>(
        &self,
        env: &Env<R, Vec<PathBuf>>,
        _: &mut (),
        _: u64,
    ) -> Result<(), Failure> {
        let paths = &env.shared;
        let start = |path: &PathBuf| {
            let scope = Scope {
                entered: Instant::now(),
                observed: env.observed.clone(),
            };
            let part = process(env.runtime.clone(), path.clone(), self.unit, scope);
            parts::start(&env.runtime, part)
        };
        let processed = joined(paths.iter().map(start).collect()).await?;
        self.check(&processed)
    }
}

impl FileProcess {
    /// Checks each file's content, in the requested order, and for a wait of one unit within each scope.
    fn check(&self, processed: &[ProcessedFile]) -> Result<(), Failure> {
        exactly(FILES as usize, processed.len(), "files")?;
        for (longer, ProcessedFile { content, scope }) in (0..).zip(processed) {
            let expected = self.size.bytes + longer;
            exactly(expected, content.len() as u64, "bytes of a file")?;
            ensure(is_known(content, 0), || {
                format!("the file of {expected} bytes has another content")
            })?;
            no_shorter(self.unit, *scope, "the scope of a file")?;
        }
        Ok(())
    }
}

async fn process<R: Runtime>(
    runtime: R,
    path: PathBuf,
    time: Duration,
    scope: Scope,
) -> Result<ProcessedFile, Failure> {
    let mut content = Vec::new();
    runtime.read_file(&path, &mut content).await?;
    wait(&runtime, time).await?;
    let scope = scope.entered.elapsed();
    Ok(ProcessedFile { content, scope })
}

/// A processed file.
#[derive(Clone, Debug)]
struct ProcessedFile {
    content: Vec<u8>,
    /// The duration of its scope.
    scope: Duration,
}

/// Measures its own lifetime.
struct Scope {
    entered: Instant,
    observed: Observed,
}

impl Drop for Scope {
    fn drop(&mut self) {
        let time_ns = nanoseconds(self.entered.elapsed());
        self.observed.time_ns("file_scope", time_ns);
    }
}

#[cfg(test)]
mod tests {
    use super::super::known_file::known_bytes;
    use super::super::tallies::detail;
    use super::*;

    #[test]
    fn lost_short_swapped_changed_and_unawaited_files_are_caught() {
        let params = Params { size: Size::kib(1) };
        let unit = Duration::from_millis(20);
        let workload = FileProcess::new(params, unit).expect("sound");
        let sound = [1024, 1025, 1026].map(|length| ProcessedFile {
            content: known_bytes(length),
            scope: unit,
        });
        let message = |processed: &[ProcessedFile]| detail(workload.check(processed));
        assert_eq!(message(&sound), "");
        assert_eq!(message(&sound[..2]), "expected 3 files, got 2");
        let mut swapped = sound.clone();
        swapped.swap(0, 1);
        assert_eq!(message(&swapped), "expected 1024 bytes of a file, got 1025");
        let mut hasty = sound.clone();
        hasty[1].scope = unit / 20;
        assert_eq!(
            message(&hasty),
            "expected the scope of a file to take at least 20ms, took 1ms"
        );
        let mut changed = sound;
        changed[2].content[0] ^= 1;
        assert_eq!(
            message(&changed),
            "the file of 1026 bytes has another content"
        );
    }
}
