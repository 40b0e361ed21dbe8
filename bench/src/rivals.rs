//! The other programs: one file each, and a line in [`ALL`].
//!
//! A rival says which command does a given work, if it can do it at all, and reads its own output. A result that is not
//! entirely successful is an error: failed requests are often faster than good ones.

mod ab;
mod fio;
mod h2load;
mod hey;
mod loop_in_c;
mod oha;
mod pgbench;
mod wrk;

use std::path::Path;

use crate::child::Output;
use crate::failure::Failure;
use crate::programs::Program;
use crate::text;
use crate::work::{HttpWork, Site, Work};

/// A load generator other than Photofinish.
#[derive(Debug)]
pub(crate) struct Rival {
    pub(crate) name: &'static str,
    pub(crate) program: Program,
    /// The part of a result that it checks.
    pub(crate) checks: &'static str,
    /// Prepares what the command needs; called before each run.
    pub(crate) prepare: fn(&Job<'_>) -> Result<(), Failure>,
    /// The command for a job, program first; `None` if it cannot do this work.
    pub(crate) command: fn(&Job<'_>) -> Option<Vec<String>>,
    pub(crate) read: fn(&Output) -> Result<Reading, String>,
}

/// One run of a rival.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Job<'a> {
    pub(crate) work: &'a Work,
    pub(crate) site: &'a Site,
    pub(crate) program: &'a Path,
    pub(crate) seconds: u32,
}

impl Job<'_> {
    /// The command with these arguments, which are separated by spaces.
    fn command_line(&self, arguments: &str) -> Vec<String> {
        let program = self.program.display().to_string();
        let arguments = arguments.split_whitespace().map(str::to_owned);
        [program].into_iter().chain(arguments).collect()
    }

    /// The HTTP/1.1 work of this job.
    fn http1(&self) -> Option<&HttpWork> {
        match self.work {
            Work::Http(http) if http.streams.is_none() => Some(http),
            _ => None,
        }
    }
}

/// The result of one run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Reading {
    /// Operations completed, by which CPU time is divided.
    pub(crate) operations: f64,
    /// Operations per second, as the rival computes it.
    pub(crate) rate_hz: f64,
}

pub(crate) static ALL: [&Rival; 9] = [
    &wrk::WRK,
    &ab::AB,
    &h2load::H2LOAD,
    &oha::OHA,
    &hey::HEY,
    &pgbench::PGBENCH,
    &fio::PSYNC,
    &fio::IO_URING,
    &loop_in_c::LOOP_IN_C,
];

/// The rivals that can do a work.
pub(crate) fn for_work(work: &Work) -> impl Iterator<Item = &'static Rival> {
    let site = Site::default();
    ALL.into_iter().filter(move |rival| {
        let job = Job {
            work,
            site: &site,
            program: Path::new(rival.program.name),
            seconds: 1,
        };
        (rival.command)(&job).is_some()
    })
}

/// A rival by its name.
pub(crate) fn named(name: &str) -> &'static Rival {
    let rival = ALL.into_iter().find(|rival| rival.name == name);
    rival.unwrap_or_else(|| panic!("expected a rival in the list, got `{name}`"))
}

fn nothing_to_prepare(_: &Job<'_>) -> Result<(), Failure> {
    Ok(())
}

/// The reading, if both numbers were found and are positive; otherwise the first line of what was printed instead.
fn reading(
    output: &Output,
    operations: Option<f64>,
    rate_hz: Option<f64>,
) -> Result<Reading, String> {
    match (operations, rate_hz) {
        (Some(operations), Some(rate_hz))
            if output.success && operations > 0.0 && rate_hz > 0.0 =>
        {
            Ok(Reading {
                operations,
                rate_hz,
            })
        }
        _ => Err(complaint(output)),
    }
}

fn complaint(output: &Output) -> String {
    let line = text::first_line(&output.stderr).or_else(|| text::first_line(&output.stdout));
    match (line, output.success) {
        (Some(line), false) => line,
        (Some(line), true) => format!("expected results, got `{line}`"),
        (None, _) => "expected results, got no output".to_owned(),
    }
}

#[cfg(test)]
fn printed(stdout: &str) -> Output {
    Output {
        stdout: stdout.to_owned(),
        success: true,
        ..Output::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::work::HttpServer;

    #[test]
    fn no_rival_takes_foreign_output_for_a_result() {
        for rival in ALL {
            for text in [
                "",
                "\u{0}\u{ff}",
                "Requests/sec:",
                "{",
                "{\"jobs\": []}",
                "tps = inf",
                "a\nb req/s",
            ] {
                assert!(
                    (rival.read)(&printed(text)).is_err(),
                    "{} accepts {text:?}",
                    rival.name
                );
            }
        }
    }

    #[test]
    fn failures_are_quoted_by_their_first_line() {
        let output = Output {
            stderr: "\nno such host\nbye".to_owned(),
            ..Output::default()
        };
        assert_eq!(
            reading(&output, Some(1.0), Some(1.0)),
            Err("no such host".to_owned())
        );
        let silent = Output {
            success: true,
            ..Output::default()
        };
        assert_eq!(
            reading(&silent, None, None),
            Err("expected results, got no output".to_owned())
        );
        assert!(reading(&printed("fine"), Some(0.0), Some(1.0)).is_err());
    }

    #[test]
    fn rivals_do_only_what_they_can() {
        let names = |http: HttpWork| -> Vec<_> {
            for_work(&Work::Http(http))
                .map(|rival| rival.name)
                .collect()
        };
        let plain = HttpWork::new(HttpServer::Nginx, 64);
        assert_eq!(names(plain), ["wrk", "ab", "h2load", "oha", "hey"]);
        assert_eq!(
            names(HttpWork {
                keep_alive: false,
                ..plain
            }),
            ["wrk", "ab", "oha", "hey"]
        );
        assert_eq!(
            names(HttpWork {
                rate_hz: Some(20_000),
                ..plain
            }),
            ["h2load", "oha", "hey"]
        );
        assert_eq!(
            names(HttpWork {
                streams: std::num::NonZeroU32::new(8),
                ..plain
            }),
            ["h2load", "oha"]
        );
    }
}
