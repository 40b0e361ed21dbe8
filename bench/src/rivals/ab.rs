//! ab, Apache's benchmark: a closed loop of HTTP/1.0 requests, one thread.

use super::{Job, Reading, Rival, nothing_to_prepare, reading};
use crate::child::Output;
use crate::programs::Program;
use crate::text::{line_with, number_after};

pub(super) static AB: Rival = Rival {
    name: "ab",
    program: Program {
        name: "ab",
        install: "apt install apache2-utils",
        version: Some("-V"),
    },
    checks: "status, length of the body",
    prepare: nothing_to_prepare,
    command,
    read,
};

/// More requests per second than it makes: without a number `-t` stops at 50,000, and memory is reserved for each.
const MOST_REQUESTS_HZ: u32 = 500_000;

fn command(job: &Job<'_>) -> Option<Vec<String>> {
    let http = job.http1().filter(|http| http.rate_hz.is_none())?;
    let keep_alive = if http.keep_alive { "-k" } else { "" };
    let (seconds, connections) = (job.seconds, http.connections);
    let requests = u64::from(seconds) * u64::from(MOST_REQUESTS_HZ);
    let mut command = job.command_line(&format!(
        "{keep_alive} -q -c {connections} -t {seconds} -n {requests}"
    ));
    command.push(job.site.url.clone());
    Some(command)
}

fn read(output: &Output) -> Result<Reading, String> {
    let text = &output.stdout;
    if let Some(line) = line_with(text, "Non-2xx responses") {
        return Err(line.to_owned());
    }
    match number_after(text, "Failed requests:") {
        Some(failed) if failed > 0.0 => Err(format!("{failed} failed requests")),
        _ => reading(
            output,
            number_after(text, "Complete requests:"),
            number_after(text, "Requests per second:"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rivals::printed;

    #[test]
    fn a_result_and_its_failures() {
        let text = include_str!("../../captured/ab.txt");
        let result = Reading {
            operations: 81_099.0,
            rate_hz: 81_098.76,
        };
        assert_eq!(read(&printed(text)), Ok(result));
        let failed = read(&printed(include_str!("../../captured/ab-404.txt")));
        assert_eq!(failed, Err("Non-2xx responses:      66751".to_owned()));
        let some = text.replace("Failed requests:        0", "Failed requests:        7");
        assert_eq!(read(&printed(&some)), Err("7 failed requests".to_owned()));
    }

    #[test]
    fn connections_per_request_are_read_alike() {
        let result = read(&printed(include_str!("../../captured/ab-close.txt")));
        assert_eq!(
            result,
            Ok(Reading {
                operations: 16_559.0,
                rate_hz: 16_544.11
            })
        );
    }
}
