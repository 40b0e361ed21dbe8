//! Faulty files and responses, through the program: a faulty file is reported with its line and the expected value before
//! anything runs; a faulty response is a failure with its first example, and no results are lost.

use photofinish_record::Outcome;

use crate::support::Sandbox;

#[test]
fn a_faulty_scenario_is_refused_with_its_file_line_and_the_expected_value() {
    let sandbox = Sandbox::new();
    sandbox.write("users.csv", "email,password\nann,1\nbob\n");
    sandbox.write("twice.csv", "email,email\nann,1\n");
    sandbox.write("good.csv", "email\nann\n");
    sandbox.write("rows.jsonl", "{\"id\": 1}\n{\"key\": 2}\n");
    sandbox.write("latin.csv", "name\nann\n");
    std::fs::write(sandbox.path().join("latin.csv"), b"name\nann\nzo\xEB\n").expect("written");
    sandbox.write("slots.json", "{ \"id\": {{idd}} }\n");
    for (text, line, expected) in [
        (
            "draw.id = { from = 1, to = 9 }\n[[request]]\nsend = \"GET /{{idd}}\"",
            3,
            &[
                "expected the name of a column, draw",
                "`idd`",
                "did you mean `id`?",
            ][..],
        ),
        (
            "feed.user = { file = \"users.csv\" }\n[[request]]\nsend = \"GET /\"",
            1,
            &["users.csv, line 3", "expected 2 values", "got 1"],
        ),
        (
            "feed.user = { file = \"twice.csv\" }\n[[request]]\nsend = \"GET /\"",
            1,
            &["twice.csv, line 1", "`email` twice"],
        ),
        (
            "feed.user = { file = \"latin.csv\" }\n[[request]]\nsend = \"GET /\"",
            1,
            &["latin.csv, line 3", "expected UTF-8"],
        ),
        (
            "feed.user = { file = \"rows.jsonl\" }\n[[request]]\nsend = \"GET /\"",
            1,
            &["rows.jsonl, line 2", "keys of the first line", "got `key`"],
        ),
        (
            "feed.user = { file = \"none.csv\" }\n[[request]]\nsend = \"GET /\"",
            1,
            &["cannot read `none.csv`"],
        ),
        (
            "feed.user = { file = \"good.csv\" }\n[[request]]\nsend = \"GET /\"\njson = { a = \"{{user.mail}}\" }",
            4,
            &["`user.mail`", "did you mean `user.email`?"],
        ),
        (
            "[[request]]\nsend = \"POST /\"\nbody = { file = \"none.json\" }",
            3,
            &["cannot read `none.json`"],
        ),
        (
            "draw.id = { from = 1, to = 9 }\n[[request]]\nsend = \"POST /\"\nbody = { file = \"slots.json\" }",
            4,
            &["`idd`", "did you mean `id`?"],
        ),
        (
            "[[request]]\nsend = \"GET /{{env.NOT_SET_ANYWHERE}}\"",
            2,
            &[
                "environment variable `NOT_SET_ANYWHERE`",
                "export NOT_SET_ANYWHERE=",
            ],
        ),
        (
            "[[request]]\nsend = \"GET /\"\nexpect = { json = { \"id\" = 1 } }",
            3,
            &["expected a JSON pointer such as `/items/0/id`, got `id`"],
        ),
        (
            "[[flow]]\n[[flow.request]]\nsend = \"GET /\"\ncapture = { x = \"regex (\" }",
            4,
            &["expected a regular expression, got `(`"],
        ),
        (
            "[[request]]\nname = \"log in\"\nsend = \"GET /\"\n[gate]\nrequest.log_in.service_p99 = \"5%\"",
            5,
            &["unknown part `log_in`", "did you mean `\"log in\"`?"],
        ),
        (
            "[[request]]\nname = \"log in\"\nsend = \"GET /\"\n[expect]\nrequest.log_in.service_p99 = \"< 1s\"",
            5,
            &["unknown part `log_in`", "did you mean `\"log in\"`?"],
        ),
    ] {
        sandbox.write("mine.toml", &format!("{text}\n"));
        let place = format!("mine.toml:{line}:");
        let finished = sandbox.run(&["run", "mine.toml", "--target=http=http://127.0.0.1:1"]);
        finished.check(2, &[&[place.as_str()], expected].concat());
    }
    assert!(!sandbox.path().join("photofinish-runs").exists());
}

/// Goal: a JSON check on a body that is not JSON fails its request, and the others keep their figures. Method: bytes from
/// the embedded server.
#[test]
fn a_json_check_on_another_body_fails_with_an_example_and_loses_no_results() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "mine.toml",
        "[[request]]\nname = \"plain\"\nsend = \"GET /bytes/5\"\nexpect = { bytes = 5 }\n\
         [[request]]\nname = \"no json\"\nsend = \"GET /bytes/6\"\nexpect = { json = { \"/id\" = 7 } }\n\
         [[flow]]\n[[flow.request]]\nname = \"uncaught\"\nsend = \"GET /bytes/7\"\ncapture = { x = \"json /id\" }\n\
         [[flow.request]]\nname = \"never sent\"\nsend = \"GET /bytes/8?{{x}}\"\n",
    );
    let run = [
        "run",
        "mine.toml",
        "--runtimes=tokio",
        "--set=load.ops=60",
        "--set=load.warmup_ops=2",
    ];
    let end = ["--rounds=1", "--no-redo", "--concurrency=2"];
    let finished = sandbox.run(&[&run[..], &end].concat());
    finished.check(5, &["measured, but wrong"]);
    let record = sandbox.record();
    let Outcome::Ok(measured) = &record.rounds[0].outcome else {
        panic!("{:?}", record.rounds);
    };
    let worker = &measured.worker;
    let failures = &worker.errors["wrong-content"];
    assert_eq!(worker.ops + failures.count, 60);
    let examples = [
        "no json: expected JSON, got something else",
        "uncaught: nothing to capture as `x`: expected JSON",
    ];
    assert!(
        examples
            .iter()
            .any(|begin| failures.example.contains(begin)),
        "{failures:?}"
    );
    for (part, failing) in worker.parts.iter().zip([false, true, true]) {
        let counts = [part.succeeded, part.failed];
        assert!(counts[usize::from(failing)] > 0, "{part:?}");
        assert_eq!(counts[usize::from(!failing)], 0, "{part:?}");
    }
    assert_eq!(
        (&*worker.parts[3].name, worker.parts[3].failed),
        ("never sent", 0)
    );
    // A limit on errors covers failures only: wrong content makes the measurement wrong whatever the limit.
    let finished = sandbox.run(&[&run[..], &end, &["--expect=errors < 99%"]].concat());
    finished.check(
        5,
        &["measured, but wrong", "expected JSON, got something else"],
    );
}

/// Goal: the plan announces, and the run reports, that a feed read `once` may end rounds early. Method: a round of a minute,
/// and twenty rows.
#[test]
fn a_feed_that_runs_out_is_announced_and_reported() {
    let sandbox = Sandbox::new();
    let rows: String = (0..20).map(|row| format!("u{row}\n")).collect();
    sandbox.write("users.csv", &format!("name\n{rows}"));
    sandbox.write(
        "mine.toml",
        "feed.user = { file = \"users.csv\", order = \"once\" }\n[[request]]\nsend = \"GET /bytes/5?u={{user.name}}\"\n",
    );
    let arguments = [
        "mine.toml",
        "--runtimes=tokio",
        "--duration=1m",
        "--set=load.warmup_ops=4",
    ];
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let planned = sandbox
        .run(&[&["plan"], &arguments[..]].concat())
        .check(0, &[]);
    let expected =
        "a round ends after 16 operations, when the feed `user` (order `once`) has no more rows";
    assert!(words(&planned.stdout).contains(expected), "{planned:#?}");
    let short = ["--rounds=1", "--no-redo"];
    let ran = sandbox
        .run(&[&["run"], &arguments[..], &short].concat())
        .check(0, &[]);
    let expected = "the feed `user` ran out of rows in 1 of 1 round";
    assert!(words(&ran.stdout).contains(expected), "{ran:#?}");
    let Outcome::Ok(measured) = &sandbox.record().rounds[0].outcome else {
        panic!("a measured round");
    };
    assert_eq!(measured.worker.ops, 16);
}
