//! `--set`: reach, errors, titles.

use std::time::Duration;

use insta::assert_snapshot;
use photofinish_record::load::Stop;
use photofinish_scenarios::catalogue::catalogue;
use photofinish_scenarios::scenario::{Override, Scenario};
use serde_json::{Value, json};

use super::{CHECKS, read, refusal, shipped, source, without_lists};

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
