//! h2load: HTTP/1.1 and HTTP/2, closed or at a rate, one thread.

use super::{Job, Reading, Rival, nothing_to_prepare, reading};
use crate::child::Output;
use crate::programs::Program;
use crate::text::{line_with, number_before};
use crate::work::Work;

pub(super) static H2LOAD: Rival = Rival {
    name: "h2load",
    program: Program {
        name: "h2load",
        install: "apt install nghttp2-client",
        version: Some("--version"),
    },
    checks: "status only",
    prepare: nothing_to_prepare,
    command,
    read,
};

fn command(job: &Job<'_>) -> Option<Vec<String>> {
    // It has no option for a connection per request.
    let Work::Http(http) = job.work else {
        return None;
    };
    if !http.keep_alive {
        return None;
    }
    let mut command = job.command_line(&format!("-t1 -c{} -D{}", http.connections, job.seconds));
    match http.streams {
        // Windows of 1 MiB per stream and 2 MiB per connection, as Photofinish grants.
        Some(streams) => {
            command.extend([format!("-m{streams}"), "-w20".to_owned(), "-W21".to_owned()])
        }
        None => command.push("--h1".to_owned()),
    }
    if let Some(rate_hz) = http.rate_hz {
        // Its rate is that of one connection.
        command.push(format!(
            "--rps={}",
            f64::from(rate_hz) / f64::from(http.connections)
        ));
    }
    command.push(job.site.url.clone());
    Some(command)
}

fn read(output: &Output) -> Result<Reading, String> {
    let text = &output.stdout;
    let requests = line_with(text, "requests: ").unwrap_or_default();
    let bad = [" failed", " errored", " timeout"].map(|label| number_before(requests, label));
    match bad.into_iter().flatten().sum::<f64>() {
        bad if bad > 0.0 => Err(requests.to_owned()),
        _ => reading(
            output,
            number_before(requests, " succeeded"),
            number_before(text, " req/s"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rivals::printed;

    #[test]
    fn a_result_and_its_failures() {
        let result = read(&printed(include_str!("../../captured/h2load.txt")));
        assert_eq!(
            result,
            Ok(Reading {
                operations: 98_329.0,
                rate_hz: 98_329.0
            })
        );
        let failed = read(&printed(include_str!("../../captured/h2load-404.txt")));
        assert!(failed.is_err_and(|line| line.contains("69172 failed")));
        let refused = read(&printed(include_str!("../../captured/h2load-refused.txt")));
        assert_eq!(
            refused,
            Err("expected results, got `starting benchmark...`".to_owned())
        );
    }
}
