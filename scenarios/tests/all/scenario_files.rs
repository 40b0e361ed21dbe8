//! Scenario files: what is read from them; `mistakes` has the error messages, `overrides` those of `--set`, and
//! `catalogue` the scenarios and suites that ship, with the schema.
//!
//! A small stand-in checks behaviours in place of the servers, which are another crate, with the same messages.

mod arbitrary;
mod catalogue;
mod mistakes;
mod overrides;

use std::path::Path;
use std::time::Duration;

use photofinish_record::load::Stop;
use photofinish_scenarios::catalogue::catalogue;
use photofinish_scenarios::diagnostic::{Diagnostics, Source};
use photofinish_scenarios::scenario::{Checks, GateProblem, Override, Scenario, ServerProblem};
use serde::Deserialize;
use serde_json::{Value, json};

/// The behaviours of the stand-in servers.
mod behaviours {
    use super::*;

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read by serde")]
    pub(super) struct Http {
        delay: Option<String>,
        seed: Option<u64>,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read by serde")]
    pub(super) struct Wiremock {
        mocks: Option<Vec<Mock>>,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read by serde")]
    pub(super) struct Mock {
        method: String,
        path: String,
        respond: Vec<Respond>,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read by serde")]
    pub(super) struct Respond {
        status: u16,
        body: Option<String>,
        delay: Option<String>,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read by serde")]
    pub(super) struct Postgres {
        preload: Option<Vec<String>>,
    }
}

fn understood<T: serde::de::DeserializeOwned>(behaviour: &Value) -> Result<(), ServerProblem> {
    let problem = |error: serde_path_to_error::Error<serde_json::Error>| {
        let path = error.path().to_string();
        let keys = path.split(['.', '[', ']']).filter(|key| !key.is_empty());
        ServerProblem {
            path: keys.map(str::to_owned).collect(),
            message: error.into_inner().to_string(),
            expected: Vec::new(),
        }
    };
    serde_path_to_error::deserialize::<_, T>(behaviour).map_err(problem)?;
    Ok(())
}

fn check_server(kind: &str, behaviour: &Value) -> Result<(), ServerProblem> {
    match kind {
        "http" => understood::<behaviours::Http>(behaviour),
        "wiremock" => understood::<behaviours::Wiremock>(behaviour),
        "postgres" => understood::<behaviours::Postgres>(behaviour),
        _ => Err(ServerProblem {
            path: vec!["kind".to_owned()],
            message: "unknown".to_owned(),
            expected: ["http", "wiremock", "postgres"].map(str::to_owned).to_vec(),
        }),
    }
}

/// Knows two metrics, and that a limit ends in a percent sign.
fn check_gate(metric: &str, text: &str) -> Result<(), GateProblem> {
    let known = ["throughput", "response_p99"];
    if !known.contains(&metric) {
        return Err(GateProblem::UnknownMetric {
            known: known.map(str::to_owned).to_vec(),
        });
    }
    let sound = text.ends_with('%') || text.starts_with('<');
    sound.then_some(()).ok_or_else(|| GateProblem::Text {
        message: format!("`{text}` is not a condition on {metric}"),
    })
}

/// Knows two metrics, one of them of parts as well, and that a threshold begins with a sign.
fn check_threshold(metric: &str, text: &str, of_part: bool) -> Result<(), GateProblem> {
    let known = ["service_p99.5", "errors", "throughput"];
    let known = &known[..if of_part { 2 } else { 3 }];
    if !known.contains(&metric) {
        return Err(GateProblem::UnknownMetric {
            known: known.iter().map(|name| (*name).to_owned()).collect(),
        });
    }
    let sound = text.starts_with(['<', '>']);
    sound.then_some(()).ok_or_else(|| GateProblem::Text {
        message: format!("`{text}` is not a limit on {metric}"),
    })
}

const CHECKS: Checks<'static> = Checks {
    server: &check_server,
    default_server: &default_server,
    gate: &check_gate,
    threshold: &check_threshold,
};

pub(crate) fn default_server(target: &str) -> Option<&'static str> {
    match target {
        "http" => Some("http"),
        "db" => Some("postgres"),
        "ws" => Some("ws"),
        _ => Some("client"),
    }
}

fn source(text: &str) -> Source {
    Source::of_file(Path::new("mine.toml"), text.to_owned())
}

fn parse(text: &str, overrides: &[&str]) -> Result<Scenario, Diagnostics> {
    let overrides: Vec<_> = overrides
        .iter()
        .map(|argument| Override::parse(argument).expect("an override"))
        .collect();
    Scenario::parse(source(text), &overrides, CHECKS)
}

fn read(text: &str, overrides: &[&str]) -> Scenario {
    parse(text, overrides).unwrap_or_else(|refused| panic!("{refused}"))
}

/// The errors of a text, without colours.
fn refusal(text: &str, overrides: &[&str]) -> String {
    parse(text, overrides).expect_err("refused").to_string()
}

/// Removes the lists of valid names that grow with the workloads.
fn without_lists(refused: &str) -> String {
    refused
        .lines()
        .filter(|line| !line.trim_start().starts_with("= help: expected"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// A catalogue scenario's text.
fn shipped(name: &str) -> &'static str {
    let entry = catalogue().iter().find(|entry| entry.name == name);
    entry.expect("it ships").text
}

#[test]
fn a_minimal_file_has_every_default() {
    let scenario = read("workload = 'http-get'", &[]);
    assert_eq!(scenario.name, "mine");
    assert!(
        scenario
            .title
            .eq_ignore_ascii_case(scenario.about.operation)
    );
    assert_eq!(scenario.unit, Duration::from_millis(20));
    assert_eq!(scenario.runtimes, None);
    assert_eq!(scenario.params["path"], "/bytes/64");
    assert_eq!(scenario.servers["http"].kind, "http");
    assert_eq!(scenario.load.concurrency.len(), 1);
    assert_eq!(scenario.load.concurrency[0].get(), 1);
    assert_eq!(
        scenario.load.warmup,
        Stop::after(Duration::from_millis(300))
    );
    assert_eq!(scenario.load.stop, Stop::after(Duration::from_secs(2)));
    assert_eq!(scenario.error_budget, None);
    assert_eq!(scenario.in_flight, None);
}

#[test]
fn a_complete_scenario_file_is_read() {
    let text = r#"
        title = "Mine"
        workload = "http-delay"
        unit = "1s"
        runtimes = ["tokio", "sync"]
        params.requests = 3
        [server.http]
        kind = "wiremock"
        mocks = [{ method = "GET", path = "/", respond = [{ status = 200, body = "2 units", delay = "2 units" }] }]
        [load]
        model = "closed"
        concurrency = [4, 1]
        ops = 100
        warmup_ops = 10
        [expect]
        errors = "1.5%"
        in_flight = { most = 5, reached = true }
    "#;
    let scenario = read(text, &[]);
    assert_eq!(scenario.title, "Mine");
    assert_eq!(
        scenario.runtimes,
        Some(vec!["tokio".to_owned(), "sync".to_owned()])
    );
    assert_eq!(scenario.params["requests"], 3);
    assert_eq!(
        scenario
            .load
            .concurrency
            .iter()
            .map(|point| point.get())
            .collect::<Vec<_>>(),
        [4, 1]
    );
    assert_eq!(scenario.load.stop, Stop::Ops(100.try_into().unwrap()));
    assert_eq!(scenario.load.warmup, Stop::Ops(10.try_into().unwrap()));
    assert_eq!(scenario.error_budget, Some(0.015));
    let in_flight = scenario.in_flight.expect("an expectation");
    assert_eq!((in_flight.most.get(), in_flight.reached), (5, true));
    // Delays in units are times now; content that looks like one is unchanged.
    let respond = &scenario.servers["http"].behaviour["mocks"][0]["respond"][0];
    assert_eq!(
        *respond,
        json!({"status": 200, "body": "2 units", "delay": "2s"})
    );
}

#[test]
fn sections_of_a_workload_are_its_parameters_and_say_which_it_is() {
    let text = "[[request]]\nsend = 'GET /a'\n[[flow]]\nrequest = [{ send = 'GET /b' }]\n[http]\nredirects = 2\n\
                [draw.id]\nfrom = 1\nto = 2\n";
    let scenario = read(text, &["request.0.send=GET /{{id}}", "http.tries=3"]);
    assert_eq!(scenario.about.name, "http");
    assert_eq!(scenario.params["request"][0]["send"], "GET /{{id}}");
    assert_eq!(scenario.params["flow"][0]["request"][0]["send"], "GET /b");
    assert_eq!(scenario.params["http"]["redirects"], 2);
    assert_eq!(scenario.params["http"]["tries"], 3);
    // A record has them as parameters, and reads them again.
    let again = format!("workload = 'http'\nparams.request = [{{ send = 'GET /a' }}]\n{text}");
    let refused = refusal(&again, &[]);
    assert!(
        refused.contains("`request` and `params.request` are the same parameter"),
        "{refused}"
    );
    let params = "workload = 'http'\n[params]\nrequest = [{ send = 'GET /a' }]\n";
    assert_eq!(read(params, &[]).params["request"][0]["send"], "GET /a");
}
