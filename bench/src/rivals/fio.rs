//! fio, with `pread` (psync) and with io_uring, on a file in the page cache.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use super::{Job, Reading, Rival, complaint};
use crate::child::Output;
use crate::failure::{Failure, OrFail as _};
use crate::programs::Program;
use crate::work::{FileAccess, FileWork, Work};

const FIO: Program = Program {
    name: "fio",
    install: "apt install fio",
    version: Some("--version"),
};

pub(super) static PSYNC: Rival = Rival {
    name: "fio psync",
    program: FIO,
    checks: "the length of a read",
    prepare,
    command: |job| {
        let work = file_work(job)?;
        // One call at a time and thread, so depth is a number of threads.
        command(
            job,
            work,
            &format!(
                "--ioengine=psync --numjobs={} --group_reporting",
                work.depth
            ),
        )
    },
    read,
};

pub(super) static IO_URING: Rival = Rival {
    name: "fio io_uring",
    program: FIO,
    checks: "the length of a read",
    prepare,
    command: |job| {
        let work = file_work(job).filter(|work| work.depth > 1)?;
        command(
            job,
            work,
            &format!("--ioengine=io_uring --iodepth={}", work.depth),
        )
    },
    read,
};

/// Size of the file of random reads, as Photofinish's.
const FILE_MIB: usize = 64;

fn file_work<'a>(job: &Job<'a>) -> Option<&'a FileWork> {
    match job.work {
        Work::File(work) if !matches!(work.access, FileAccess::Whole { .. }) => Some(work),
        _ => None,
    }
}

fn path(job: &Job<'_>) -> PathBuf {
    job.site.directory.join("fio.dat")
}

/// Makes the file and reads it, so that it is in the page cache.
fn prepare(job: &Job<'_>) -> Result<(), Failure> {
    let path = path(job);
    if !path.exists() {
        fs::write(&path, vec![b'x'; FILE_MIB << 20]).or_fail("write fio's file")?;
    }
    fs::read(&path).map(drop).or_fail("read fio's file")
}

fn command(job: &Job<'_>, work: &FileWork, engine: &str) -> Option<Vec<String>> {
    let (name, pattern) = match work.access {
        FileAccess::Random { block_kib } => (
            path(job),
            format!("--rw=randread --bs={block_kib}k --size={FILE_MIB}m --norandommap"),
        ),
        FileAccess::WriteSynced { kib } => (
            job.site.directory.join("fio-written.dat"),
            format!("--rw=write --bs={kib}k --size={kib}k --fsync=1"),
        ),
        FileAccess::Whole { .. } => return None,
    };
    let mut command = job.command_line(&format!(
        "--name=bench {pattern} {engine} --thread --invalidate=0 --time_based --runtime={} --output-format=json",
        job.seconds
    ));
    command.push(format!("--filename={}", name.display()));
    Some(command)
}

fn read(output: &Output) -> Result<Reading, String> {
    let report: Value = serde_json::from_str(&output.stdout).map_err(|_| complaint(output))?;
    let job = &report["jobs"][0];
    let error = job["error"]
        .as_i64()
        .ok_or("expected the results of a job, got none")?;
    if error != 0 || !output.success {
        return Err(format!("error {error} of the job"));
    }
    let done = ["read", "write"].into_iter().find_map(|kind| {
        let reading = Reading {
            operations: job[kind]["total_ios"].as_f64()?,
            rate_hz: job[kind]["iops"].as_f64()?,
        };
        (reading.operations > 0.0 && reading.rate_hz > 0.0).then_some(reading)
    });
    done.ok_or_else(|| "no operations".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rivals::printed;

    #[test]
    fn reads_and_writes_are_counted() {
        let reads = include_str!("../../captured/fio-read.json");
        assert_eq!(
            read(&printed(reads)),
            Ok(Reading {
                operations: 15_359.0,
                rate_hz: 15_343.656_344
            })
        );
        let writes = read(&printed(include_str!("../../captured/fio-write.json")));
        assert_eq!(writes.map(|reading| reading.operations), Ok(5_662.0));
    }

    #[test]
    fn a_job_that_failed_has_no_result() {
        let reads = include_str!("../../captured/fio-read.json");
        let failed = reads.replacen("\"error\" : 0", "\"error\" : 5", 1);
        assert_eq!(
            read(&printed(&failed)),
            Err("error 5 of the job".to_owned())
        );
        let engine = Output {
            stderr: "fio: engine nosuch not loadable\n".to_owned(),
            ..Output::default()
        };
        assert_eq!(
            read(&engine),
            Err("fio: engine nosuch not loadable".to_owned())
        );
    }
}
