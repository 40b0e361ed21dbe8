//! A loop in C that makes the same system calls and nothing else, compiled here.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::{Job, Reading, Rival, reading};
use crate::child::Output;
use crate::failure::{Failure, OrFail as _};
use crate::programs::Program;
use crate::text::{first_line, number_after, number_before};
use crate::work::{FileAccess, Work};

pub(super) static LOOP_IN_C: Rival = Rival {
    name: "loop in C",
    program: Program {
        name: "cc",
        install: "apt install gcc",
        version: Some("--version"),
    },
    checks: "the length of a read",
    prepare,
    command,
    read,
};

const SOURCE: &str = include_str!("loop_in_c.c");

fn executable(job: &Job<'_>) -> PathBuf {
    job.site.directory.join("loop-in-c")
}

/// Compiles the loop and makes the file that it reads, once.
fn prepare(job: &Job<'_>) -> Result<(), Failure> {
    if let Some((_, path, bytes)) = access(job).filter(|(_, path, _)| !path.exists()) {
        let directory = path.parent().expect("it is in a directory");
        fs::create_dir_all(directory).or_fail("make a directory")?;
        fs::write(path, vec![b'x'; bytes]).or_fail("write a file")?;
    }
    if executable(job).exists() {
        return Ok(());
    }
    let source = job.site.directory.join("loop.c");
    fs::write(&source, SOURCE).or_fail("write the loop in C")?;
    let mut compiler = Command::new(job.program);
    compiler
        .arg("-O2")
        .arg("-o")
        .arg(executable(job))
        .arg(&source)
        .stdin(Stdio::null());
    let output = compiler.output().or_fail("run the C compiler")?;
    if output.status.success() {
        return Ok(());
    }
    let message = first_line(&String::from_utf8_lossy(&output.stderr));
    Err(Failure::new(format!(
        "the C compiler failed: {}",
        message.unwrap_or_default()
    )))
}

/// The kind of loop, its file, and the bytes of an operation.
fn access(job: &Job<'_>) -> Option<(&'static str, PathBuf, usize)> {
    let Work::File(work) = job.work else {
        return None;
    };
    // As many directories as on the way to a file of Photofinish: the kernel looks each of them up.
    let file = |name| job.site.directory.join("in/c/work").join(name);
    match work.access {
        // It does one thing at a time.
        _ if work.depth > 1 => None,
        FileAccess::Whole { kib } => {
            Some(("read", file(format!("read-{kib}k")), (kib as usize) << 10))
        }
        FileAccess::WriteSynced { kib } => {
            Some(("write", file("written".to_owned()), (kib as usize) << 10))
        }
        FileAccess::Random { .. } => None,
    }
}

fn command(job: &Job<'_>) -> Option<Vec<String>> {
    let (kind, path, bytes) = access(job)?;
    let words = [
        executable(job).display().to_string(),
        kind.to_owned(),
        path.display().to_string(),
    ];
    Some(
        words
            .into_iter()
            .chain([bytes.to_string(), job.seconds.to_string()])
            .collect(),
    )
}

fn read(output: &Output) -> Result<Reading, String> {
    let operations = number_before(&output.stdout, " operations in");
    let seconds = number_after(&output.stdout, " operations in");
    let rate_hz = operations
        .zip(seconds)
        .map(|(operations, seconds)| operations / seconds);
    reading(
        output,
        operations,
        rate_hz.filter(|rate_hz| rate_hz.is_finite()),
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::child;
    use crate::interrupt::Interrupt;
    use crate::rivals::printed;
    use crate::work::{FileWork, Site};

    #[test]
    fn the_rate_is_that_of_its_own_clock() {
        let result = read(&printed("1000 operations in 2.000000 s\n"));
        assert_eq!(
            result,
            Ok(Reading {
                operations: 1000.0,
                rate_hz: 500.0
            })
        );
        assert!(read(&printed("1000 operations in 0.000000 s\n")).is_err());
    }

    #[test]
    fn the_loop_compiles_and_reads_and_writes() {
        let Ok(program) = LOOP_IN_C.program.find() else {
            return;
        };
        let directory = tempfile::tempdir().expect("a directory");
        let site = Site {
            directory: directory.path().to_owned(),
            ..Site::default()
        };
        for access in [
            FileAccess::Whole { kib: 4 },
            FileAccess::WriteSynced { kib: 4 },
        ] {
            let work = Work::File(FileWork { access, depth: 1 });
            let job = Job {
                work: &work,
                site: &site,
                program: &program,
                seconds: 1,
            };
            prepare(&job).expect("compiled");
            let mut words = command(&job).expect("a command");
            // Shorter than any job: the clock is read after each operation.
            *words.last_mut().expect("seconds") = "0.05".to_owned();
            let mut command = Command::new(&words[0]);
            command.args(&words[1..]);
            let output = child::run(
                command,
                None,
                Duration::from_secs(60),
                &Interrupt::default(),
            )
            .expect("ran");
            assert!(
                read(&output).is_ok_and(|reading| reading.operations >= 1.0),
                "{output:?}"
            );
        }
    }
}
