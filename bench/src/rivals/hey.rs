//! hey: a goroutine per connection, on one CPU.

use super::{Job, Reading, Rival, nothing_to_prepare, reading};
use crate::child::Output;
use crate::programs::Program;
use crate::text::{line_with, number_after, number_before};

pub(super) static HEY: Rival = Rival {
    name: "hey",
    program: Program {
        name: "hey",
        install: "apt install hey",
        version: None,
    },
    checks: "nothing: statuses are counted",
    prepare: nothing_to_prepare,
    command,
    read,
};

fn command(job: &Job<'_>) -> Option<Vec<String>> {
    let http = job.http1()?;
    let mut command = job.command_line(&format!(
        "-z {}s -c {} -cpus 1",
        job.seconds, http.connections
    ));
    if !http.keep_alive {
        command.push("-disable-keepalive".to_owned());
    }
    if let Some(rate_hz) = http.rate_hz {
        // Its rate is that of one connection.
        command.extend([
            "-q".to_owned(),
            (f64::from(rate_hz) / f64::from(http.connections)).to_string(),
        ]);
    }
    command.push(job.site.url.clone());
    Some(command)
}

fn read(output: &Output) -> Result<Reading, String> {
    let text = &output.stdout;
    if let Some((_, errors)) = text.split_once("Error distribution:") {
        let line = errors.lines().map(str::trim).find(|line| !line.is_empty());
        return Err(line.unwrap_or("errors").replace('\t', " "));
    }
    let statuses = text
        .split_once("Status code distribution:")
        .map_or("", |(_, rest)| rest);
    let other = statuses
        .lines()
        .map(str::trim)
        .find(|line| line.starts_with('[') && !line.starts_with("[2"));
    match other {
        Some(line) => Err(line.replace('\t', " ")),
        None => {
            let responses = line_with(statuses, "[200]").unwrap_or_default();
            reading(
                output,
                number_before(responses, " responses"),
                number_after(text, "Requests/sec:"),
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rivals::printed;

    #[test]
    fn a_result_and_its_failures() {
        let result = read(&printed(include_str!("../../captured/hey.txt")));
        assert_eq!(
            result,
            Ok(Reading {
                operations: 29_369.0,
                rate_hz: 29_332.432_2
            })
        );
        let failed = read(&printed(include_str!("../../captured/hey-404.txt")));
        assert_eq!(failed, Err("[404] 39353 responses".to_owned()));
        let text = include_str!("../../captured/hey-refused.txt");
        let refused = |text: &str| read(&printed(text)).expect_err("refused");
        assert!(
            refused(text).starts_with("[30153] Get")
                && refused(text).ends_with("connection refused")
        );
        // A number of errors may look like a status.
        assert!(refused(&text.replace("30153", "200")).starts_with("[200] Get"));
    }
}
