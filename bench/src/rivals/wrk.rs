//! wrk: a closed loop over keep-alive connections, one thread.

use super::{Job, Reading, Rival, nothing_to_prepare, reading};
use crate::child::Output;
use crate::programs::Program;
use crate::text::{line_with, number_after, number_before};

pub(super) static WRK: Rival = Rival {
    name: "wrk",
    program: Program {
        name: "wrk",
        install: "apt install wrk",
        version: Some("-v"),
    },
    checks: "status only",
    prepare: nothing_to_prepare,
    command,
    read,
};

fn command(job: &Job<'_>) -> Option<Vec<String>> {
    let http = job.http1().filter(|http| http.rate_hz.is_none())?;
    let mut command = job.command_line(&format!("-t1 -c{} -d{}s", http.connections, job.seconds));
    if !http.keep_alive {
        command.extend(["-H", "Connection: close"].map(str::to_owned));
    }
    command.push(job.site.url.clone());
    Some(command)
}

fn read(output: &Output) -> Result<Reading, String> {
    let text = &output.stdout;
    let failed =
        line_with(text, "Non-2xx or 3xx responses").or_else(|| line_with(text, "Socket errors"));
    match failed {
        Some(line) => Err(line.to_owned()),
        None => reading(
            output,
            number_before(text, " requests in"),
            number_after(text, "Requests/sec:"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rivals::printed;

    #[test]
    fn a_result_and_its_failures() {
        let result = read(&printed(include_str!("../../captured/wrk.txt")));
        assert_eq!(
            result,
            Ok(Reading {
                operations: 83_334.0,
                rate_hz: 83_103.64
            })
        );
        let failed = read(&printed(include_str!("../../captured/wrk-404.txt")));
        assert_eq!(failed, Err("Non-2xx or 3xx responses: 53895".to_owned()));
        let refused = include_str!("../../captured/wrk-refused.txt").to_owned();
        let refused = read(&Output {
            stderr: refused,
            ..Output::default()
        });
        assert_eq!(
            refused,
            Err("unable to connect to 127.0.0.1:1 Connection refused".to_owned())
        );
    }
}
