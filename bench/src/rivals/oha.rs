//! oha: tokio and hyper, one worker thread; closed, or at a rate with response times from when a request was due.

use serde_json::Value;

use super::{Job, Reading, Rival, complaint, nothing_to_prepare};
use crate::child::Output;
use crate::programs::Program;
use crate::work::Work;

pub(super) static OHA: Rival = Rival {
    name: "oha",
    program: Program {
        name: "oha",
        install: "cargo install --locked oha",
        version: Some("--version"),
    },
    checks: "nothing: statuses are counted",
    prepare: nothing_to_prepare,
    command,
    read,
};

/// The kind of error of the requests that are under way when the time is over.
const UNFINISHED: &str = "aborted due to deadline";

fn command(job: &Job<'_>) -> Option<Vec<String>> {
    let Work::Http(http) = job.work else {
        return None;
    };
    let (seconds, connections) = (job.seconds, http.connections);
    let mut command = job.command_line(&format!(
        "--no-tui --output-format json --worker-threads 1 -z {seconds}s -c {connections}"
    ));
    if let Some(streams) = http.streams {
        command.extend(["--http2".to_owned(), "-p".to_owned(), streams.to_string()]);
    }
    if !http.keep_alive {
        command.push("--disable-keepalive".to_owned());
    }
    if http.tls {
        command.push("--insecure".to_owned());
    }
    if let Some(rate_hz) = http.rate_hz {
        command.extend([
            "-q".to_owned(),
            rate_hz.to_string(),
            "--latency-correction".to_owned(),
        ]);
    }
    command.push(job.site.url.clone());
    Some(command)
}

fn read(output: &Output) -> Result<Reading, String> {
    let report: Value = serde_json::from_str(&output.stdout).map_err(|_| complaint(output))?;
    let bad =
        counts(&report["statusCodeDistribution"]).find(|(status, _)| !status.starts_with('2'));
    let error = counts(&report["errorDistribution"]).find(|(kind, _)| *kind != UNFINISHED);
    if let Some((what, count)) = error.or(bad) {
        return Err(format!("{count} times {what}"));
    }
    let operations: f64 = counts(&report["statusCodeDistribution"])
        .map(|(_, count)| count)
        .sum();
    // Its own rate includes the unfinished requests.
    let seconds = report["summary"]["total"]
        .as_f64()
        .filter(|seconds| *seconds > 0.0);
    match seconds {
        Some(seconds) if operations > 0.0 => Ok(Reading {
            operations,
            rate_hz: operations / seconds,
        }),
        _ => Err("no responses".to_owned()),
    }
}

fn counts(distribution: &Value) -> impl Iterator<Item = (&str, f64)> {
    let counts = distribution.as_object().into_iter().flatten();
    counts.filter_map(|(name, count)| Some((name.as_str(), count.as_f64()?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rivals::printed;

    #[test]
    fn a_result_and_its_failures() {
        let result = read(&printed(include_str!("../../captured/oha.json"))).expect("a result");
        assert_eq!(result.operations, 4999.0);
        assert!((result.rate_hz - 4934.28).abs() < 0.01, "{result:?}");
        let failed = read(&printed(include_str!("../../captured/oha-404.json")));
        assert_eq!(failed, Err("3570 times 404".to_owned()));
        let refused = read(&printed(include_str!("../../captured/oha-refused.json")));
        assert_eq!(
            refused,
            Err("6175 times Connection refused (os error 111)".to_owned())
        );
    }
}
