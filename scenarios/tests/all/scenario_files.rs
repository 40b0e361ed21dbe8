//! Scenario files: reading, error messages, overrides, the catalogue and the schema.
//!
//! A small stand-in checks behaviours in place of the servers, which are another crate, with the same messages.

use std::path::{Path, PathBuf};
use std::time::Duration;

use insta::assert_snapshot;
use photofinish_record::load::Stop;
use photofinish_scenarios::catalogue::{ScenarioRef, catalogue, locate};
use photofinish_scenarios::diagnostic::{Diagnostics, Source};
use photofinish_scenarios::registry::WORKLOADS;
use photofinish_scenarios::scenario::{
    Checks, GateProblem, Override, Scenario, ServerProblem, schema,
};
use photofinish_scenarios::suite::{self, Suite};
use proptest::prelude::*;
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

/// For the catalogue: the tests of the CLI check its behaviours against the real servers.
const ANY: Checks<'static> = Checks {
    server: &|_, _| Ok(()),
    default_server: &default_server,
    gate: &|_, _| Ok(()),
    threshold: &|_, _, _| Ok(()),
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
fn a_misspelt_key_gets_its_line_and_a_suggestion() {
    assert_snapshot!(refusal("workload = 'null'\ntitel = 'x'\n", &[]), @r"
    error: unknown key `titel`
     --> mine.toml:2:1
      |
    2 | titel = 'x'
      | ^^^^^ did you mean `title`?
      |
      = help: expected `title`, `workload`, `unit`, `runtimes`, `params`, `server`, `tls`, `load`, `lag_probe`, `expect` or `gate`
    ");
    assert_snapshot!(refusal("workload = 'null'\n\n[load]\ndurration = '2s'\n", &[]), @r"
    error: unknown key `durration` in `load`
     --> mine.toml:4:1
      |
    4 | durration = '2s'
      | ^^^^^^^^^ did you mean `duration`?
      |
      = help: expected `model`, `concurrency`, `rate`, `arrivals`, `stages`, `duration`, `ops`, `warmup` or `warmup_ops`
    ");
    assert_snapshot!(without_lists(&refusal("workload = 'http-get'\n[params]\npth = '/'\n", &[])), @r"
    error: unknown key `pth` in `params`
     --> mine.toml:3:1
      |
    3 | pth = '/'
      | ^^^ did you mean `path`?
      |
    ");
    assert_snapshot!(refusal("workload = 'null'\nfoo = 1\n", &[]), @r"
    error: unknown key `foo`
     --> mine.toml:2:1
      |
    2 | foo = 1
      | ^^^ expected `title`, `workload`, `unit`, `runtimes`, `params`, `server`, `tls`, `load`, `lag_probe`, `expect` or `gate`
    ");
}

#[test]
fn the_conditions_of_a_gate_are_read_with_their_lines_and_checked() {
    let text = "workload = 'null'\n[gate]\ntolerance = '3%'\nthroughput = ['5%', '< 1']\nresponse_p99 = '<20ms'\n";
    let gate = read(text, &["gate.response_p99=9%"]).gate;
    assert_eq!(gate.tolerance, Some(0.03));
    let former = read("workload = 'null'\ngate.floor = '4%'", &[]).gate;
    assert_eq!(former.tolerance, Some(0.04));
    let terms: Vec<_> = gate
        .terms
        .iter()
        .map(|term| {
            (
                term.metric.as_str(),
                term.text.as_str(),
                term.place.as_ref(),
            )
        })
        .map(|(metric, text, place)| (metric, text, place.map(|place| place.line)))
        .collect();
    let expected = [
        ("response_p99", "9%", None),
        ("throughput", "5%", Some(4)),
        ("throughput", "< 1", Some(4)),
    ];
    assert_eq!(terms, expected);
    let refused = refusal(
        "workload = 'null'\n[gate]\nthruput = '5%'\nthroughput = '5'\ntolerance = '200%'\n",
        &[],
    );
    for part in [
        "mine.toml:3:1",
        "throughput",
        "mine.toml:4",
        "is not a condition on throughput",
        "mine.toml:5",
        "below 100",
    ] {
        assert!(refused.contains(part), "{part}: {refused}");
    }
}

#[test]
fn a_misplaced_key_gets_a_suggestion_with_its_section() {
    assert_snapshot!(refusal("workload = 'null'\nduration = '2s'\n", &[]), @r"
    error: unknown key `duration`
     --> mine.toml:2:1
      |
    2 | duration = '2s'
      | ^^^^^^^^ did you mean `load.duration`?
      |
      = help: expected `title`, `workload`, `unit`, `runtimes`, `params`, `server`, `tls`, `load`, `lag_probe`, `expect` or `gate`
    ");
    assert_snapshot!(without_lists(&refusal("workload = 'http-get'\npath = '/'\n", &[])), @r"
    error: unknown key `path`
     --> mine.toml:2:1
      |
    2 | path = '/'
      | ^^^^ did you mean `params.path`?
      |
    ");
}

#[test]
fn a_misspelt_key_deep_in_a_servers_behaviour_gets_its_line() {
    let text = shipped("http-delay").replace("delay = \"1 unit\"", "dely = \"1 unit\"");
    assert_snapshot!(refusal(&text, &[]), @r#"
    error: unknown key `dely` in `server.http.mocks.0.respond.0`
      --> mine.toml:14:80
       |
    14 |     { method = "GET", path = "/delay", respond = [{ status = 200, body = "ok", dely = "1 unit" }] },
       |                                                                                ^^^^ did you mean `delay`?
       |
       = help: expected `status`, `body` or `delay`
    "#);
}

#[test]
fn a_wrong_type_differs_from_a_wrong_value() {
    assert_snapshot!(refusal("workload = 1\n", &[]), @r"
    error: wrong type for `workload`: integer `1`
     --> mine.toml:1:12
      |
    1 | workload = 1
      |            ^ expected a string
    ");
    assert_snapshot!(refusal("workload = 'null'\nload = 5\n", &[]), @r"
    error: wrong type for `load`: integer `5`
     --> mine.toml:2:8
      |
    2 | load = 5
      |        ^ expected a table
    ");
    assert_snapshot!(refusal("workload = 'null'\nload.concurrency = [1, 0]\n", &[]), @r"
    error: wrong value for `load.concurrency.1`: integer `0`
     --> mine.toml:2:24
      |
    2 | load.concurrency = [1, 0]
      |                        ^ expected a number of sessions from 1 to 1,000,000
    ");
    assert_snapshot!(refusal("workload = 'null'\nload.concurrency = [2, 2]\n", &[]), @r"
    error: wrong value for `load.concurrency`: 2 is listed twice
     --> mine.toml:2:20
      |
    2 | load.concurrency = [2, 2]
      |                    ^^^^^^
    ");
    assert_snapshot!(refusal("workload = 'null'\nload.concurrency = []\n", &[]), @r"
    error: wrong length for `load.concurrency`: 0
     --> mine.toml:2:20
      |
    2 | load.concurrency = []
      |                    ^^ expected at least one number
    ");
    assert_snapshot!(refusal("workload = 'http-delay'\nparams.requests = 'five'\n", &[]), @r#"
    error: wrong type for `params.requests`: string "five"
     --> mine.toml:2:19
      |
    2 | params.requests = 'five'
      |                   ^^^^^^ expected a whole number from 1 up
    "#);
    assert_snapshot!(refusal("workload = 'http-get'\nserver.http.delay = 5\n", &[]), @r"
    error: wrong type for `server.http.delay`: integer `5`
     --> mine.toml:2:21
      |
    2 | server.http.delay = 5
      |                     ^ expected a string
    ");
    assert_snapshot!(refusal("workload = 'http-get'\nserver.http.kind = 5\n", &[]), @r"
    error: wrong type for `server.http.kind`: `5`
     --> mine.toml:2:20
      |
    2 | server.http.kind = 5
      |                    ^ expected a string
    ");
    assert_snapshot!(refusal("workload = 'null'\nexpect.errors = 1\n", &[]), @r#"
    error: wrong value for `expect.errors`: integer `1`
     --> mine.toml:2:17
      |
    2 | expect.errors = 1
      |                 ^ expected 0, a percentage such as "1%", or a share such as 0.01
    "#);
}

#[test]
fn thresholds_are_read_with_their_lines_and_a_percentile_needs_no_quotes() {
    let text = "workload = 'null'\n[expect]\nerrors = ['1%', '< 2%']\nservice_p99.5 = ['< 1ms', '< 2ms']\n";
    let scenario = read(text, &["expect.throughput='> 5'"]);
    assert_eq!(scenario.error_budget, Some(0.01));
    let mut thresholds: Vec<_> = scenario
        .thresholds
        .iter()
        .map(|threshold| {
            let line = threshold.place.as_ref().map(|place| place.line);
            (&*threshold.metric, &*threshold.text, line)
        })
        .collect();
    thresholds.sort_unstable();
    let expected = [
        ("errors", "< 2%", Some(3)),
        ("service_p99.5", "< 1ms", Some(4)),
        ("service_p99.5", "< 2ms", Some(4)),
        ("throughput", "> 5", None),
    ];
    assert_eq!(thresholds, expected);
    // A threshold on errors alone sets no budget.
    let scenario = read("workload = 'null'\nexpect.errors = '< 2%'\n", &[]);
    assert_eq!(scenario.error_budget, None);
    let check = |expect: &str, expected_text: &str| {
        let refused = refusal(&format!("workload = 'null'\nexpect.{expect}\n"), &[]);
        assert!(refused.contains("mine.toml:2:"), "{refused}");
        assert!(
            refused.contains(expected_text),
            "`{expected_text}` is not in {refused}"
        );
    };
    check("service_p99 = '< 1ms'", "did you mean `service_p99.5`?");
    check("request.buy.errors = '< 1%'", "unknown part `buy`");
    check("errors = ['1%', '2%']", "more than one budget");
    check(
        "throughput = ['> 1', true]",
        "wrong type for `expect.throughput`",
    );
    check("throughput = '1%'", "`1%` is not a limit on throughput");
}

#[test]
fn a_time_needs_its_unit() {
    assert_snapshot!(refusal("workload = 'null'\nload.duration = 2\nunit = '20'\n", &[]), @r#"
    error: wrong type for `load.duration`: integer `2`
     --> mine.toml:2:17
      |
    2 | load.duration = 2
      |                 ^ expected a time with its unit (ns, us, ms, s, m or h), such as "300ms", at most a day

    error: wrong value for `unit`: string "20"
     --> mine.toml:3:8
      |
    3 | unit = '20'
      |        ^^^^ expected a time with its unit (ns, us, ms, s, m or h), such as "300ms", at most a day
    "#);
    assert_snapshot!(refusal("workload = 'null'\nload.duration = '0s'\nunit = '0ms'\n", &[]), @r"
    error: `load.duration` is zero
     --> mine.toml:2:17
      |
    2 | load.duration = '0s'
      |                 ^^^^ expected a time above zero

    error: `unit` is zero
     --> mine.toml:3:8
      |
    3 | unit = '0ms'
      |        ^^^^^ expected a time above zero
    ");
}

#[test]
fn an_unknown_name_gets_a_suggestion_and_all_names() {
    assert_snapshot!(without_lists(&refusal("workload = 'http-gett'\n", &[])), @r"
    error: unknown workload `http-gett`
     --> mine.toml:1:12
      |
    1 | workload = 'http-gett'
      |            ^^^^^^^^^^^ did you mean `http-get`?
      |
    ");
    assert_snapshot!(without_lists(&refusal("workload = 'null'\nruntimes = ['sync', 'tokyo', 'sync']\n", &[])), @r"
    error: unknown runtime `tokyo`
     --> mine.toml:2:21
      |
    2 | runtimes = ['sync', 'tokyo', 'sync']
      |                     ^^^^^^^ did you mean `tokio`?
      |

    error: runtime `sync` is listed twice
     --> mine.toml:2:30
      |
    2 | runtimes = ['sync', 'tokyo', 'sync']
      |                              ^^^^^^
    ");
    assert_snapshot!(refusal("workload = 'http-get'\n[server.http]\nkind = 'htp'\n", &[]), @r"
    error: unknown server `htp`
     --> mine.toml:3:8
      |
    3 | kind = 'htp'
      |        ^^^^^ did you mean `http`?
      |
      = help: expected `http`, `wiremock` or `postgres`
    ");
    assert_snapshot!(refusal("workload = 'http-get'\n[server.htpp]\nkind = 'http'\n", &[]), @r"
    error: workload `http-get` has no target `htpp`
     --> mine.toml:2:9
      |
    2 | [server.htpp]
      |         ^^^^ did you mean `http`?
    ");
    assert_snapshot!(refusal("workload = 'http-get'\nload.model = 'closd'\n", &[]), @r"
    error: unknown value `closd`
     --> mine.toml:2:14
      |
    2 | load.model = 'closd'
      |              ^^^^^^^ did you mean `closed`?
      |
      = help: expected `closed` or `open`
    ");
}

#[test]
fn an_impossible_combination_is_refused() {
    assert_snapshot!(refusal("workload = 'null'\n[load]\nduration = '2s'\nops = 5\n", &[]), @r"
    error: `duration` and `ops` exclude each other
     --> mine.toml:4:1
      |
    4 | ops = 5
      | ^^^ keep one of the two
    ");
    assert_snapshot!(refusal("workload = 'null'\n[load]\nwarmup = '2s'\nwarmup_ops = 5\n", &[]), @r"
    error: `warmup` and `warmup_ops` exclude each other
     --> mine.toml:4:1
      |
    4 | warmup_ops = 5
      | ^^^^^^^^^^ keep one of the two
    ");
    assert_snapshot!(refusal("workload = 'file-read'\n[server.http]\nkind = 'http'\n", &[]), @r"
    error: workload `file-read` has no target `http`
     --> mine.toml:2:9
      |
    2 | [server.http]
      |         ^^^^ it talks to no server
    ");
    assert_snapshot!(refusal("workload = 'null'\nload.model = 'open'\n", &[]), @r"
    error: open load without a rate
     --> mine.toml:2:14
      |
    2 | load.model = 'open'
      |              ^^^^^^ add `rate`, in arrivals per second
    ");
    assert_snapshot!(refusal("workload = 'null'\nload.arrivals = 'poisson'\n", &[]), @r"
    error: `arrivals` is for open loads
     --> mine.toml:2:6
      |
    2 | load.arrivals = 'poisson'
      |      ^^^^^^^^ this load is closed
    ");
    assert_snapshot!(refusal("workload = 'null'\nload = { rate = 0 }\n", &[]), @r"
    error: wrong value for `load.rate`: integer `0`
     --> mine.toml:2:17
      |
    2 | load = { rate = 0 }
      |                 ^ expected a rate in arrivals per second, such as 1000, above 0 and at most 10,000,000
    ");
    assert_snapshot!(refusal("workload = 'null'\n[load]\nrate = 5\nduration = '1s'\nstages = [{ duration = '0s', from = 0 }]\n", &[]), @r"
    error: `stages` and `duration` exclude each other
     --> mine.toml:4:1
      |
    4 | duration = '1s'
      | ^^^^^^^^ keep one of the two

    error: `load.stages.0.duration` is zero
     --> mine.toml:5:24
      |
    5 | stages = [{ duration = '0s', from = 0 }]
      |                        ^^^^ expected a time above zero
    ");
    assert_snapshot!(refusal("workload = 'null'\n[load]\nrate = 5\nstages = [{ duration = '1s', from = 0 }]\n", &[]), @r"
    error: stages without arrivals
     --> mine.toml:4:10
      |
    4 | stages = [{ duration = '1s', from = 0 }]
      |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ expected at least one stage with `from` or `to` above 0
    ");
    assert_snapshot!(refusal("workload = 'null'\nruntimes = []\n", &[]), @r"
    error: `runtimes` is empty
     --> mine.toml:2:12
      |
    2 | runtimes = []
      |            ^^ expected at least one; leave the key out to run all of them
    ");
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

#[test]
fn a_mistake_in_a_section_is_reported_at_its_line() {
    let request = "[[request]]\nsend = 'GET /a'\n";
    let with = |more: &str| format!("{request}{more}");
    for (text, overrides, place, expected_text) in [
        (
            with("sned = 1"),
            &[][..],
            "mine.toml:3:1",
            "did you mean `send`?",
        ),
        (
            with("timeout = 5"),
            &[],
            "mine.toml:3:11",
            "a time with its unit",
        ),
        (
            with("headers = { expect = '100-continue' }"),
            &[],
            "mine.toml:3:22",
            "is not supported",
        ),
        (
            with("[[request]]\nsend = 'GET /{{ido}}'\n[draw.id]\nfrom = 1\nto = 2"),
            &[],
            "mine.toml:4:8",
            "did you mean `id`?",
        ),
        (
            with("[http]\nredirect = 1"),
            &[],
            "mine.toml:4:1",
            "did you mean `redirects`?",
        ),
        (
            with("[draw.id]\nfrom = 2\nto = 1"),
            &[],
            "mine.toml:",
            "draw.id",
        ),
        (
            with("[feed.u]\nfile = 'no-such.csv'"),
            &[],
            "mine.toml:4:8",
            "cannot read `no-such.csv`",
        ),
        (
            with("body = { file = 'no-such.json' }"),
            &[],
            "mine.toml:3:17",
            "cannot read `no-such.json`",
        ),
        (
            format!("workload = 'http-get'\n{request}"),
            &[],
            "mine.toml:2",
            "the workload `http-get` has no section `request`",
        ),
        (
            "workload = 'null'\n[draw.id]\nto = 2".to_owned(),
            &[],
            "mine.toml:2",
            "the workload `null` has no section `draw`",
        ),
        (
            with(""),
            &["request.0.send=GET"],
            "--set request.0.send=GET",
            "expected a method and a path",
        ),
        (
            with(""),
            &["request.1.send=GET /"],
            "--set request.1.send=GET /",
            "`request` has no `1`",
        ),
        (
            "workload = 'http-get'".to_owned(),
            &["request.0.send=GET /"],
            "--set request.0.send=GET /",
            "unknown key",
        ),
        (
            with("[params]\nrequests = 1"),
            &[],
            "mine.toml:4:1",
            "unknown key `requests`",
        ),
    ] {
        let refused = refusal(&text, overrides);
        assert!(
            refused.contains(place) && refused.contains(expected_text),
            "{text}\n{refused}"
        );
    }
}

#[test]
fn a_file_without_a_workload_gets_the_list_of_workloads() {
    let refused = refusal("title = 'x'\n", &[]);
    let first_lines: Vec<_> = refused.lines().take(2).collect();
    assert_eq!(
        first_lines,
        ["error: missing key `workload`", "--> mine.toml"]
    );
    for entry in WORKLOADS {
        assert!(refused.contains(entry.about.name), "{refused}");
    }
}

#[test]
fn broken_syntax_looks_like_any_other_mistake() {
    assert_snapshot!(refusal("workload = 'null\n[load\nops = = 3\n", &[]), @r"
    error: invalid literal string
     --> mine.toml:1:17
      |
    1 | workload = 'null
      |                 ^ expected `'`

    error: unclosed table
     --> mine.toml:2:6
      |
    2 | [load
      |      ^ expected `]`

    error: extra `=`
     --> mine.toml:3:7
      |
    3 | ops = = 3
      |       ^
    ");
    assert_snapshot!(refusal("workload = 'null'\nworkload = 'null'\n", &[]), @r"
    error: duplicate key
     --> mine.toml:2:1
      |
    2 | workload = 'null'
      | ^^^^^^^^
    ");
    assert_snapshot!(refusal("workload = 'null'\nload.ops = 99999999999999999999\n", &[]), @r"
    error: number out of range
     --> mine.toml:2:12
      |
    2 | load.ops = 99999999999999999999
      |            ^^^^^^^^^^^^^^^^^^^^ expected a finite number of at most 64 bits
    ");
}

/// Spaces and quotes that were pasted from a page look right, so they are named.
#[test]
fn letters_that_look_like_others_are_named() {
    let refused = refusal("workload\u{a0}= 'null'\ntitle = \u{201c}x\u{201d}\n", &[]);
    assert!(
        refused.contains("U+00A0, which is not a space in TOML"),
        "{refused}"
    );
    assert!(
        refused.contains("U+201C, which is not a quote in TOML"),
        "{refused}"
    );
}

#[test]
fn all_independent_errors_are_reported_at_once() {
    let text = r#"
titel = "x"
workload = "http-delay"
unit = "20"
runtimes = ["tokyo"]
params = { requests = "five", pth = "/" }
[server.http]
kind = "wiremock"
mocks = [{ method = "GET", path = 1, respond = [{ status = "ok", dely = "1 unit" }] }]
[server.bd]
[load]
concurrency = 0
duration = "2s"
ops = 100
[expect]
errors = "all"
"#;
    let refused = parse(text, &[]).expect_err("refused");
    let lines: Vec<_> = refused
        .iter()
        .filter_map(|flaw| Some(flaw.line_and_column()?.0))
        .collect();
    assert_eq!(lines, [2, 4, 5, 6, 6, 9, 9, 9, 10, 12, 14, 16], "{refused}");
}

#[test]
fn overrides_reach_everything() {
    let check = |overrides: &[&str], seen: fn(&Scenario) -> Value, expected: Value| {
        let scenario = read(shipped("http-delay"), overrides);
        assert_eq!(seen(&scenario), expected, "{overrides:?}");
    };
    let delay = |scenario: &Scenario| {
        scenario.servers["http"].behaviour["mocks"][0]["respond"][0]["delay"].clone()
    };
    let points = |scenario: &Scenario| json!(scenario.load.concurrency);
    check(&[], delay, json!("20ms"));
    check(&["unit=1s"], delay, json!("1s"));
    check(&["unit = 1s"], delay, json!("1s"));
    check(&["unit='1s'"], delay, json!("1s"));
    check(
        &["server.http.mocks.0.respond.0.delay=7ms"],
        delay,
        json!("7ms"),
    );
    check(
        &["requests=9"],
        |scenario| scenario.params["requests"].clone(),
        json!(9),
    );
    check(
        &["params.requests=9"],
        |scenario| scenario.params["requests"].clone(),
        json!(9),
    );
    check(
        &["requests=9", "requests=8"],
        |scenario| scenario.params["requests"].clone(),
        json!(8),
    );
    check(
        &["path=/a/b"],
        |scenario| scenario.params["path"].clone(),
        json!("/a/b"),
    );
    check(
        &["title=A, b = c"],
        |scenario| json!(scenario.title),
        json!("A, b = c"),
    );
    check(&["load.concurrency=[2, 4]"], points, json!([2, 4]));
    check(&["load={ concurrency = 3 }"], points, json!([3]));
    check(
        &["expect.errors=2%"],
        |scenario| json!(scenario.error_budget),
        json!(0.02),
    );
    check(
        &["runtimes=['smol']"],
        |scenario| json!(scenario.runtimes),
        json!(["smol"]),
    );
    check(
        &["workload=null", "server={}", "params={}"],
        |scenario| json!(scenario.about.name),
        json!("null"),
    );
}

#[test]
fn an_override_of_a_stop_rule_replaces_the_one_in_the_file() {
    let text = "workload = 'null'\nload = { duration = '2s', warmup_ops = 3 }\n";
    let scenario = read(text, &["load.ops=10", "load.warmup=1s"]);
    assert_eq!(scenario.load.stop, Stop::Ops(10.try_into().unwrap()));
    assert_eq!(scenario.load.warmup, Stop::after(Duration::from_secs(1)));
    assert_snapshot!(refusal(text, &["load.ops=10", "load.duration=1s"]), @r"
    error: `duration` and `ops` exclude each other
    --> in `--set load.ops=10`
     = help: keep one of the two
    ");
}

#[test]
fn an_error_in_an_override_is_reported_there() {
    let text = shipped("http-get");
    assert_snapshot!(refusal(text, &["unit=5"]), @r#"
    error: wrong type for `unit`: integer `5`
    --> in `--set unit=5`
     = help: expected a time with its unit (ns, us, ms, s, m or h), such as "300ms", at most a day
    "#);
    assert_snapshot!(without_lists(&refusal(text, &["duration=5s"])), @r"
    error: unknown key `duration`
    --> in `--set duration=5s`
     = help: did you mean `load.duration`?
    ");
    assert_snapshot!(refusal(text, &["load.durration=5s"]), @r"
    error: unknown key `durration` in `load`
    --> in `--set load.durration=5s`
     = help: did you mean `duration`?
     = help: expected `model`, `concurrency`, `rate`, `arrivals`, `stages`, `duration`, `ops`, `warmup` or `warmup_ops`
    ");
    assert_snapshot!(without_lists(&refusal(text, &["pth=/"])), @r"
    error: unknown key `pth`
    --> in `--set pth=/`
     = help: did you mean `path`?
    ");
    assert_snapshot!(refusal(text, &["path=5"]), @r"
    error: wrong type for `params.path`: integer `5`
    --> in `--set path=5`
     = help: expected a string
    ");
    assert_snapshot!(refusal(text, &["server.http.dely=5ms"]), @r"
    error: unknown key `dely` in `server.http`
    --> in `--set server.http.dely=5ms`
     = help: did you mean `delay`?
     = help: expected `delay` or `seed`
    ");
    assert_snapshot!(refusal(text, &["server.db.preload=['items']"]), @r"
    error: workload `http-get` has no target `db`
    --> in `--set server.db.preload=['items']`
     = help: expected `http`
    ");
    assert_snapshot!(refusal(text, &["server.http.mocks.0.path=/"]), @r"
    error: unknown key `mocks` in `server.http`
    --> in `--set server.http.mocks.0.path=/`
     = help: expected `delay` or `seed`
    ");
    assert_snapshot!(refusal(text, &["unit.x=5"]), @r#"
    error: wrong type for `unit`: a table
    --> in `--set unit.x=5`
     = help: expected a time with its unit (ns, us, ms, s, m or h), such as "300ms", at most a day
    "#);
}

#[test]
fn an_override_must_have_a_key_and_a_value() {
    let refusal = |argument| Override::parse(argument).expect_err("refused").to_string();
    assert_snapshot!(refusal("unit"), @r"
    error: override without a value
    --> in `--set unit`
     = help: expected `key=value`, such as `unit=1s` or `load.concurrency=[1, 16]`
    ");
    assert_snapshot!(refusal("=1s"), @r"
    error: override without a valid key
    --> in `--set =1s`
     = help: expected `key=value`, such as `unit=1s` or `load.concurrency=[1, 16]`
    ");
    assert_snapshot!(refusal("a..b=1s"), @r"
    error: override without a valid key
    --> in `--set a..b=1s`
     = help: expected `key=value`, such as `unit=1s` or `load.concurrency=[1, 16]`
    ");
}

#[test]
fn an_override_applies_where_it_fits_and_must_fit_somewhere() {
    let sources = || vec![source(shipped("http-get")), source(shipped("db-select"))];
    let parse_all = |overrides: &[&str]| {
        let overrides: Vec<_> = overrides
            .iter()
            .map(|text| Override::parse(text).unwrap())
            .collect();
        Scenario::parse_all(sources(), &overrides, CHECKS)
    };
    let all = parse_all(&["rows=5", "server.http.delay=1ms", "load.concurrency=2"]).unwrap();
    assert_eq!(all[0].params.get("rows"), None);
    assert_eq!(all[1].params["rows"], 5);
    assert_eq!(all[0].servers["http"].behaviour["delay"], "1ms");
    assert_eq!(
        all[1].servers["db"].behaviour,
        json!({"preload": ["items"]})
    );
    assert!(
        all.iter()
            .all(|scenario| scenario.load.concurrency[0].get() == 2)
    );

    assert_snapshot!(without_lists(&parse_all(&["rows=5", "rws=5"]).unwrap_err().to_string()), @r"
    error: unknown key `rws`
    --> in `--set rws=5`
     = help: did you mean `rows`?
    ");
    // An error that occurs everywhere is reported once.
    assert_eq!(parse_all(&["unit=5"]).unwrap_err().iter().count(), 1);
}

#[test]
fn every_scenario_of_the_catalogue_is_valid() {
    let names: Vec<_> = catalogue().iter().map(|entry| entry.name).collect();
    for name in [
        "null",
        "http-get",
        "http-fanout",
        "http-delay",
        "file-read",
        "file-random",
        "file-write",
        "db-select",
        "db-crud",
    ] {
        assert!(names.contains(&name), "{name} is missing of {names:?}");
    }
    for entry in catalogue() {
        let scenario = Scenario::parse(entry.source(), &[], ANY);
        let scenario = scenario.unwrap_or_else(|refused| panic!("{refused}"));
        assert_eq!(scenario.name, entry.name);
        assert!(
            entry.text.starts_with("# "),
            "{} opens with a comment",
            entry.name
        );
    }
}

#[test]
fn every_workload_has_a_scenario_of_its_name() {
    for entry in WORKLOADS {
        let named = |shipped: &photofinish_scenarios::catalogue::CatalogueEntry| {
            shipped.name == entry.about.name
        };
        assert!(catalogue().iter().any(named), "{}", entry.about.name);
    }
}

#[test]
fn a_name_is_a_catalogue_entry_a_file_or_gets_a_suggestion() {
    let check = |name: &str, expected: Result<&str, Option<&str>>| {
        let found = match locate(name) {
            Ok(ScenarioRef::Catalogue(entry)) => Ok(PathBuf::from(entry.name)),
            Ok(ScenarioRef::File(path)) => Ok(path),
            Err(unknown) => Err(unknown.suggestion),
        };
        assert_eq!(found, expected.map(PathBuf::from), "{name}");
    };
    check("http-get", Ok("http-get"));
    check("http_get", Err(Some("http-get")));
    check("http-gte", Err(Some("http-get")));
    check("mine.toml", Ok("mine.toml"));
    check("./http-get", Ok("./http-get"));
    check("folder/mine", Ok("folder/mine"));
    check("mine", Err(None));
}

#[test]
fn every_suite_names_scenarios_that_accept_its_overrides() {
    let suites = suite::names().map(|name| suite::suite(name).expect("it ships"));
    let scenarios: Vec<_> = suites.flat_map(|suite| suite.scenarios).collect();
    assert!(scenarios.len() > catalogue().len());
    for listed in scenarios {
        let Ok(ScenarioRef::Catalogue(entry)) = locate(&listed.name) else {
            panic!("{} is not in the catalogue", listed.name);
        };
        let scenario = Scenario::parse(entry.source(), &listed.overrides, ANY);
        scenario.unwrap_or_else(|refused| panic!("{refused}"));
    }
}

#[test]
fn errors_in_a_suite_have_their_lines() {
    let text =
        "rounds = 0\n[[scenarios]]\nnam = 'x'\n[[scenarios]]\nname = 'null'\nset = ['unit']\n";
    assert_snapshot!(Suite::parse(source(text)).unwrap_err(), @r"
    error: wrong value for `rounds`: integer `0`
     --> mine.toml:1:10
      |
    1 | rounds = 0
      |          ^ expected a whole number from 1 up

    error: unknown key `nam` in `scenarios.0`
     --> mine.toml:3:1
      |
    3 | nam = 'x'
      | ^^^ did you mean `name`?
      |
      = help: expected `name` or `set`
    ");
    let text = "[[scenarios]]\nname = 'null'\nset = ['unit=1s', 'unit']\n";
    assert_snapshot!(Suite::parse(source(text)).unwrap_err(), @r"
    error: override without a value
     --> mine.toml:3:19
      |
    3 | set = ['unit=1s', 'unit']
      |                   ^^^^^^ expected `key=value`, such as `unit=1s` or `load.concurrency=[1, 16]`
    ");
}

#[test]
fn the_schema_accepts_the_catalogue_and_refuses_what_the_reader_refuses() {
    let schema = Value::from(schema());
    let validator = jsonschema::validator_for(&schema).expect("a valid schema");
    let check = |text: &str, expected: bool| {
        let value: Value = toml::from_str(text).expect("valid TOML");
        let errors: Vec<_> = validator
            .iter_errors(&value)
            .map(|error| error.to_string())
            .collect();
        assert_eq!(errors.is_empty(), expected, "{text}: {errors:?}");
        let read = Scenario::parse(source(text), &[], ANY);
        assert_eq!(read.is_ok(), expected, "{text}");
    };
    for entry in catalogue() {
        check(entry.text, true);
    }
    check("title = 'x'", false);
    check("workload = 'http-gett'", false);
    check("workload = 'null'\ntitel = 'x'", false);
    check("workload = 'null'\nunit = '20'", false);
    check("workload = 'null'\nload.durration = '1s'", false);
    check("workload = 'null'\nload.concurrency = 0", false);
    check("workload = 'null'\nload.concurrency = [1, 1]", false);
    check("workload = 'null'\nexpect.errors = '1%'", true);
    check("workload = 'null'\nexpect.errors = 'all'", false);
    check("workload = 'null'\nexpect.errors = ['1%', '< 2%']", true);
    check("workload = 'null'\nexpect.throughput = '> 5'", true);
    check("workload = 'http-delay'\nparams.requests = 'five'", false);
    check("workload = 'http-delay'\nparams.reqests = 5", false);
}

#[test]
fn colour_is_optional() {
    let refused = parse("workload = 1", &[]).expect_err("refused");
    assert!(refused.render(true).contains('\u{1b}'));
    assert!(!refused.render(false).contains('\u{1b}'));
}

/// Near-valid scenarios, which reach beyond the TOML parser.
fn nearly_a_scenario() -> impl Strategy<Value = String> {
    let key = prop_oneof![
        Just("title"),
        Just("workload"),
        Just("unit"),
        Just("runtimes"),
        Just("params.path"),
        Just("params"),
        Just("server.http.kind"),
        Just("server.http.mocks"),
        Just("server.db.x"),
        Just("server"),
        Just("load.model"),
        Just("load.concurrency"),
        Just("load.duration"),
        Just("load.ops"),
        Just("load"),
        Just("expect.errors"),
        Just("\"\\u001b é\""),
    ];
    let value = prop_oneof![
        Just("'http-get'"),
        Just("'null'"),
        Just("'tokio'"),
        Just("['sync', 'é']"),
        Just("'wiremock'"),
        Just("'2 units'"),
        Just("0"),
        Just("-1"),
        Just("1.5"),
        Just("inf"),
        Just("true"),
        Just("[]"),
        Just("[1, 16]"),
        Just("{}"),
        Just("{ a = 1 }"),
        Just("[{ method = 'GET', b = [{}] }]"),
        Just("'1%'"),
        Just("'20ms'"),
        Just("2024-01-02"),
    ];
    let line = (key, value).prop_map(|(key, value)| format!("{key} = {value}\n"));
    prop::collection::vec(line, 0..8).prop_map(|lines| lines.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn arbitrary_text_never_panics(text in "\\PC*|(?s:.*)") {
        let _ = parse(&text, &[]).map_err(|refused| refused.render(true));
    }

    #[test]
    fn arbitrary_keys_and_overrides_never_panic(
        text in nearly_a_scenario(),
        overrides in prop::collection::vec("[a-z]{1,8}(\\.[a-z0-9]{1,8}){0,3}=.*|load\\.ops=[0-9]{1,3}|unit=[0-9]m?s", 0..3),
    ) {
        let overrides: Vec<_> = overrides.iter().filter_map(|text| Override::parse(text).ok()).collect();
        let parsed = Scenario::parse(source(&text), &overrides, CHECKS);
        if let Err(refused) = parsed {
            prop_assert!(!refused.render(false).is_empty());
        }
    }

    #[test]
    fn arbitrary_override_arguments_never_panic(text in ".*") {
        let _ = Override::parse(&text).map_err(|refused| refused.render(true));
    }
}

/// A built-in title tells sizes and counts; it holds only for the scenario's own parameters and servers.
#[test]
fn a_title_that_names_sizes_is_dropped_when_they_change() {
    let check = |name: &str, overrides: &[&str], title: &str, of_target: &str| {
        let source = catalogue().iter().find(|entry| entry.name == name);
        let overrides: Vec<_> = overrides
            .iter()
            .map(|text| Override::parse(text).expect("an override"))
            .collect();
        let source = source.expect("it ships").source();
        let scenario = Scenario::parse(source, &overrides, CHECKS).expect("a scenario");
        assert_eq!(scenario.title, title, "{name} {overrides:?}");
        assert_eq!(scenario.title_of_target, of_target, "{name} {overrides:?}");
        assert!(!of_target.contains("256"), "{of_target}");
    };
    let general = "One POST of a JSON document, response checked";
    let sized = "POST a JSON document of 256 bytes, echoed";
    check("http-post", &[], sized, general);
    check("http-post", &["unit=1s"], sized, general);
    check("http-post", &["size=32MiB"], general, general);
    check("http-post", &["params.size=32MiB"], general, general);
    check("http-post", &["size=32MiB", "title=Mine"], "Mine", "Mine");
    let own = read("workload = 'http-post'\ntitle = 'Mine'", &["size=1KiB"]);
    assert_eq!([own.title, own.title_of_target], ["Mine", "Mine"]);
}
