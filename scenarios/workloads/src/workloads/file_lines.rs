//! `file-lines`: counts the lines of all files of a directory, a limited number of them concurrently.
//!
//! The directory is created once and reused over the rounds of a run; the number of lines of a file follows from its
//! number.

use std::io;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use photofinish_harness::no_session;
use photofinish_harness::runtime::{Runtime, Semaphore as _};
use photofinish_harness::workload::{About, Env, Failure, ParamError, Workload};
use photofinish_record::draw::draw_below;

use super::params::{count, params, require_at_most};
use super::parts::{self, joined};
use super::tallies::{Peak, exactly};

#[derive(Debug)]
pub struct FileLines {
    params: Params,
    /// Lines of all files.
    lines: u64,
}

params! {
    /// Files in the directory, 10,000 at most.
    files: NonZeroU32 = count(200),
    /// Files read at the same time.
    limit: NonZeroU32 = count(10),
}

impl Workload for FileLines {
    const ABOUT: About = About {
        name: "file-lines",
        class: "files",
        operation: "count the lines of files, a limited number at a time",
        targets: &[],
        needs: &[],
    };
    type Params = Params;
    type Shared<R: Runtime> = PathBuf;
    no_session!();

    fn new(params: Params, _: Duration) -> Result<Self, ParamError> {
        let files = params.files.get();
        require_at_most("files", files, 10_000)?;
        Ok(Self {
            params,
            lines: (0..files).map(lines_of).sum(),
        })
    }

    async fn prepare<R: Runtime>(&self, env: &Env<R>) -> Result<PathBuf, Failure> {
        Ok(directory_of_lines(&env.work_dir, self.params.files.get())?)
    }

    async fn operate<R: Runtime>(
        &self,
        env: &Env<R, PathBuf>,
        _: &mut (),
        _: u64,
    ) -> Result<(), Failure> {
        let directory = &env.shared;
        let paths = env.runtime.list_directory(directory).await?;
        let limit = env.runtime.semaphore(self.params.limit);
        let reading = Arc::new(Peak::default());
        let start = |path| {
            let part = count_lines(
                env.runtime.clone(),
                limit.clone(),
                Arc::clone(&reading),
                path,
            );
            parts::start(&env.runtime, part)
        };
        let counts = joined(paths.into_iter().map(start).collect()).await?;
        env.observed.number("files_at_once", reading.most() as f64);
        self.check(&counts, &reading)
    }
}

impl FileLines {
    fn check(&self, counts: &[u64], reading: &Peak) -> Result<(), Failure> {
        exactly(self.params.files.get() as usize, counts.len(), "files")?;
        exactly(self.lines, counts.iter().sum(), "lines in all files")?;
        reading.at_most(self.params.limit.get(), "files")
    }
}

async fn count_lines<R: Runtime>(
    runtime: R,
    limit: R::Semaphore,
    reading: Arc<Peak>,
    path: PathBuf,
) -> Result<u64, Failure> {
    let _permit = limit.acquire().await;
    // Dropped before the permit: a part without a permit no longer reads.
    let _reading = reading.enter();
    let mut contents = Vec::new();
    runtime.read_file(&path, &mut contents).await?;
    Ok(lines_in(&contents))
}

fn lines_in(contents: &[u8]) -> u64 {
    contents.iter().filter(|byte| **byte == b'\n').count() as u64
}

/// Lines of a file: 20 to 99, drawn by its number.
fn lines_of(file: u32) -> u64 {
    20 + draw_below(0, u64::from(file), 80)
}

/// The path of a directory with `files` files of known numbers of lines, created atomically if missing.
fn directory_of_lines(parent: &Path, files: u32) -> io::Result<PathBuf> {
    let path = parent.join(format!("lines-{files}"));
    if path.is_dir() {
        return Ok(path);
    }
    let unfinished = parent.join(format!("lines-{files}.{}.tmp", std::process::id()));
    std::fs::create_dir_all(&unfinished)?;
    for file in 0..files {
        let line = |number| format!("line {number} of file {file}\n");
        let text: String = (0..lines_of(file)).map(line).collect();
        std::fs::write(unfinished.join(format!("{file}.txt")), text)?;
    }
    std::fs::rename(&unfinished, &path)?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workload() -> FileLines {
        FileLines::new(Params::default(), Duration::ZERO).expect("sound")
    }

    #[test]
    fn the_directory_has_the_expected_lines_and_is_made_once() {
        let parent = tempfile::tempdir().expect("a directory");
        let made = directory_of_lines(parent.path(), 200).expect("made");
        let lines = |entry: io::Result<std::fs::DirEntry>| {
            lines_in(&std::fs::read(entry.expect("there").path()).expect("there"))
        };
        let counts: Vec<u64> = std::fs::read_dir(&made)
            .expect("there")
            .map(lines)
            .collect();
        assert_eq!(counts.iter().sum::<u64>(), workload().lines);
        assert!(workload().check(&counts, &Peak::default()).is_ok());
        assert_eq!(directory_of_lines(parent.path(), 200).ok(), Some(made));
        let entries = std::fs::read_dir(parent.path()).expect("there");
        assert_eq!(entries.count(), 1, "nothing unfinished is left");
    }
}
