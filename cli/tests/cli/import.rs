//! Imports: commands and files of others become scenarios, whose runs make exactly the requests that were meant.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::services::Service;
use crate::support::{Finished, Sandbox, python};

/// A server that logs each request whole: its line, its header fields, its body.
fn logging_server(sandbox: &Sandbox) -> Option<Service> {
    let python = python("http.server", "its standard library")?;
    Some(Service::start(Command::new(python), "any_http.py", sandbox))
}

/// Runs a scenario at tiny size under two runtimes. Returns each different request, once.
fn requests_of_run(
    sandbox: &Sandbox,
    service: &Service,
    file: &str,
    variables: &[(&str, &str)],
) -> Vec<Value> {
    let target = format!("http=http://{}", service.address);
    let arguments = [
        "run",
        file,
        "--target",
        &target,
        "--runtimes=sync,tokio",
        "--rounds=2",
        "--concurrency=2",
        "--set=load.ops=40",
        "--set=load.warmup_ops=2",
        "--no-redo",
    ];
    let mut command = sandbox.command(&arguments);
    command.envs(variables.iter().copied());
    Finished::of(&mut command).check(0, &[]);
    let mut seen = BTreeSet::new();
    let mut requests = service.requests();
    requests.retain(|request| seen.insert(request.to_string()));
    requests
}

#[test]
fn a_curl_command_runs_as_the_request_it_makes() {
    let sandbox = Sandbox::new();
    let Some(service) = logging_server(&sandbox) else {
        return;
    };
    let url = format!(
        "http://ann:pw@{}/items?id=7&token=s3cret#top",
        service.address
    );
    let command = format!(
        "curl -sSL -X PUT '{url}' \\\n -H 'X-Trace: a {{b}}' --cookie 'sid=s3cret' -A \"me/1\" \\\n \
         -H $'content-type: application/json' --data-raw $'{{\"note\":\"it\\'s \\u00e9\",\"password\":\"s3cret\"}}' -m 10"
    );
    let imported = sandbox
        .run(&["import", "curl", &command, "--out", "items.toml"])
        .check(
            0,
            &[
                "Ignored: -s, -S.",
                "export COOKIE=",
                "export TOKEN=",
                &format!(
                    "photofinish run items.toml --target http=http://{}\n",
                    service.address
                ),
            ],
        );
    assert_eq!(imported.stdout, "");
    let text = fs::read_to_string(sandbox.path().join("items.toml")).expect("written");
    assert!(!text.contains("s3cret") && !text.contains(":pw"), "{text}");
    let variables = [
        ("AUTHORIZATION", "YW5uOnB3"),
        ("COOKIE", "sid=1"),
        ("TOKEN", "a&b"),
        ("PASSWORD", "p\"w"),
    ];
    let requests = requests_of_run(&sandbox, &service, "items.toml", &variables);
    let [request] = &requests[..] else {
        panic!("{requests:#?}");
    };
    assert_eq!(request["line"], "PUT /items?id=7&token=a%26b");
    assert_eq!(
        request["body"],
        "{\"note\":\"it's \u{e9}\",\"password\":\"p\\\"w\"}"
    );
    let headers = &request["headers"];
    for (name, value) in [
        ("authorization", "Basic YW5uOnB3"),
        ("cookie", "sid=1"),
        ("content-type", "application/json"),
        ("user-agent", "me/1"),
        ("x-trace", "a {b}"),
    ] {
        assert_eq!(headers[name], value, "{headers}");
    }
    // The shell has split the words: the command is typed as it is, behind `photofinish import`.
    let words = [
        "import",
        "curl",
        &url,
        "-X",
        "DELETE",
        "-H",
        "accept: */*",
        "-sS",
    ];
    let printed = sandbox.run(&words).check(0, &["export AUTHORIZATION="]);
    assert!(
        printed
            .stdout
            .contains("send = \"DELETE /items?id=7&token={{env.TOKEN}}\""),
        "{printed:#?}"
    );
    assert!(
        printed.stdout.contains("headers.accept = \"*/*\""),
        "{printed:#?}"
    );
}

#[test]
fn nothing_is_overwritten_and_nothing_unknown_is_ignored() {
    let sandbox = Sandbox::new();
    sandbox.write("mine.toml", "mine");
    let import = |words: &[&str]| sandbox.run(&[&["import", "curl"], words].concat());
    import(&["http://h/", "--out", "mine.toml"]).check(2, &["mine.toml already exists", "--force"]);
    assert_eq!(
        fs::read_to_string(sandbox.path().join("mine.toml")).expect("kept"),
        "mine"
    );
    import(&["http://h/", "--out", "mine.toml", "--force"]).check(0, &[]);
    let spaced = ["--unix-socket", "/a b", "http://h/", "--out", "my own.toml"];
    let expected = "run 'my own.toml' --target 'http=unix:/a b'";
    import(&spaced).check(0, &[expected]);
    assert_ne!(
        fs::read_to_string(sandbox.path().join("mine.toml")).expect("written"),
        "mine"
    );
    import(&["http://h/", "--out", "mine.txt"]).check(2, &["does not end in .toml"]);
    import(&["http://h/", "--proxy", "p:1"]).check(2, &["`--proxy`", "hint:"]);
    import(&["curl http://h/ --compresed"]).check(2, &["`--compresed`", "`--compressed`"]);
    import(&["curl ^\"http://h/^\" ^\r\n -X ^\"GET^\""]).check(2, &["cmd.exe", "bash"]);
    import(&["wget http://h/"]).check(2, &["`wget`"]);
    import(&["http://h/", "--form", "a=@file"]).check(2, &["`--form`", "--data-binary"]);
    sandbox.run(&["import", "postman", "x"]).check(2, &["curl"]);
}

#[test]
fn imported_scenarios_find_the_files_that_curl_and_vegeta_read() {
    let sandbox = Sandbox::new();
    sandbox.write("b.txt", "body");
    let inside = sandbox.path().join("b.txt").display().to_string();
    let import = |file: &str, out: &str| {
        let data = format!("@{file}");
        let words = [
            "import",
            "curl",
            "curl",
            "-k",
            "http://h/",
            "--data-binary",
            &data,
        ];
        sandbox.run(&[&words[..], &["--out", out]].concat())
    };
    for (file, out, expected) in [
        ("b.txt", "a.toml", "b.txt"),
        ("b.txt", "new/d/a.toml", "../../b.txt"),
        (&inside, "b.toml", "b.txt"),
    ] {
        import(file, out).check(0, &["Ignored: -k."]);
        let text = fs::read_to_string(sandbox.path().join(out)).expect("written");
        let expected = format!("body.file = \"{expected}\"\n");
        assert!(text.contains(&expected), "{file}, {out}: {text}");
        let target = ["--target", "http=http://127.0.0.1:9/"];
        sandbox
            .run(&[&["plan", out], &target[..]].concat())
            .check(0, &[]);
    }
    let elsewhere = ["expected a file below the scenario's directory", "--out"];
    import(&inside, "d/a.toml").check(2, &elsewhere);
    sandbox.write("targets.txt", "POST http://h/\n@/nope\n");
    let vegeta = ["import", "vegeta", "targets.txt"];
    sandbox.run(&vegeta).check(2, &elsewhere);
    sandbox
        .run(&[&vegeta[..], &["--out", "v.toml"]].concat())
        .check(2, &elsewhere);
}

/// Recorded by Chromium 156 through Playwright: a page, its style sheet, a `fetch` of JSON, and one that posts with a token.
const RECORDED: &str = include_str!("support/browser.har");

#[test]
fn a_har_that_a_browser_recorded_runs() {
    let sandbox = Sandbox::new();
    let Some(service) = logging_server(&sandbox) else {
        return;
    };
    sandbox.write(
        "shop.har",
        &RECORDED.replace("127.0.0.1:8123", &service.address),
    );
    sandbox
        .run(&["import", "har", "shop.har", "--out", "shop.toml"])
        .check(0, &["export AUTHORIZATION="]);
    let requests = requests_of_run(
        &sandbox,
        &service,
        "shop.toml",
        &[("AUTHORIZATION", "t0ken")],
    );
    let lines: Vec<_> = requests
        .iter()
        .filter_map(|it| it["line"].as_str())
        .collect();
    // The page itself, at `/`, is not told from what a target is tried with.
    let expected = ["GET /style.css", "GET /api/items?page=2", "POST /api/cart"];
    assert_eq!(lines, expected);
    let (sheet, cart) = (&requests[0], &requests[2]);
    assert!(
        sheet["headers"]["user-agent"]
            .as_str()
            .is_some_and(|it| it.contains("Chrome/156"))
    );
    assert_eq!(cart["headers"]["authorization"], "Bearer t0ken");
    assert_eq!(cart["body"], "{\"item\":7,\"count\":2}");
}

#[test]
fn a_har_runs_as_one_flow_and_a_vegeta_list_as_a_mix() {
    let sandbox = Sandbox::new();
    let Some(service) = logging_server(&sandbox) else {
        return;
    };
    let at = format!("http://{}", service.address);
    let har = format!(
        r#"{{"log":{{"entries":[
        {{"request":{{"method":"POST","url":"{at}/login","headers":[{{"name":"content-type","value":"application/x-www-form-urlencoded"}}],
          "postData":{{"mimeType":"application/x-www-form-urlencoded","text":"user=ann&password=s3cret"}}}},
          "response":{{"status":200,"headers":[{{"name":"Set-Cookie","value":"sid=s3cret; Path=/"}}]}}}},
        {{"request":{{"method":"GET","url":"https://cdn.test/a.js","headers":[]}},"response":{{"status":200,"headers":[]}}}},
        {{"request":{{"method":"PUT","url":"{at}/moved?x=1","headers":[{{"name":"Cookie","value":"sid=s3cret"}}],
          "postData":{{"mimeType":"application/octet-stream","text":"/wA=","encoding":"base64"}}}},"response":{{"status":302,"headers":[]}}}}]}}}}"#
    );
    sandbox.write("shop.har", &har);
    sandbox
        .run(&["import", "har", "shop.har"])
        .check(2, &["`body-1.bin`", "--out"]);
    let expected = [
        "Left out: 1 request to https://cdn.test.",
        "export PASSWORD=",
    ];
    sandbox
        .run(&["import", "har", "shop.har", "--out", "shop.toml"])
        .check(0, &expected);
    let requests = requests_of_run(&sandbox, &service, "shop.toml", &[("PASSWORD", "a b")]);
    let lines: Vec<_> = requests
        .iter()
        .map(|it| (&it["line"], &it["body"], &it["headers"]["cookie"]))
        .collect();
    let expected = [
        (
            Value::from("POST /login"),
            Value::from("user=ann&password=a+b"),
            Value::Null,
        ),
        (
            Value::from("PUT /moved?x=1"),
            Value::from("\\xff\u{0}"),
            Value::from("sid=fresh"),
        ),
    ];
    assert_eq!(
        lines,
        expected
            .each_ref()
            .map(|(line, body, cookie)| (line, body, cookie))
    );

    fs::write(&service.log, "").expect("a new log");
    sandbox.write("order.json", "{\"a\": 1}");
    sandbox.write("targets.txt", &format!("GET {at}/a?b=c\nX-Id: 7\n\nPOST {at}/order\nContent-Type: application/json\n@order.json\n"));
    let imported = sandbox
        .run(&["import", "vegeta", "targets.txt"])
        .check(0, &["Next:"]);
    sandbox.write("targets.toml", &imported.stdout);
    let requests = requests_of_run(&sandbox, &service, "targets.toml", &[]);
    let mut lines: Vec<_> = requests
        .iter()
        .map(|it| (it["line"].as_str(), it["body"].as_str()))
        .collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            (Some("GET /a?b=c"), Some("")),
            (Some("POST /order"), Some("{\"a\": 1}"))
        ]
    );
}
