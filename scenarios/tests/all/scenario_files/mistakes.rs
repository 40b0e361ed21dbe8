//! Error messages: line, suggestion, all at once.

use insta::assert_snapshot;
use photofinish_workloads::registry::WORKLOADS;

use super::{parse, read, refusal, shipped, without_lists};

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
fn colour_is_optional() {
    let refused = parse("workload = 1", &[]).expect_err("refused");
    assert!(refused.render(true).contains('\u{1b}'));
    assert!(!refused.render(false).contains('\u{1b}'));
}
