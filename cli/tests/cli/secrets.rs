//! Secrets: what a worker needs, and what no file, output or process list may show.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;

use crate::reaching_targets::server;
use crate::serve::served;
use crate::support::{Finished, Sandbox, Started, TINY, arguments, children, program, wait_for};

const QUERY: &str = "?token=s3cret&api_key=s3cret&password=s3cret&sig=s3cret&x=1";

/// Checks that the word is in no file below a directory. Returns the number of files.
fn check_files(directory: &Path) -> usize {
    let mut checked = 0;
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            checked += check_files(&path);
        } else {
            let content = fs::read(&path).expect("a file");
            let found = content.windows(6).any(|part| part == b"s3cret");
            assert!(!found, "{}", path.display());
            checked += 1;
        }
    }
    checked
}

/// Checks the output, the run directory, and every export of the run.
#[track_caller]
fn check(sandbox: &Sandbox, finished: &Finished) {
    let Finished { stdout, stderr, .. } = finished;
    assert!(
        !stdout.contains("s3cret") && !stderr.contains("s3cret"),
        "{finished:#?}"
    );
    assert!(check_files(&sandbox.path().join("photofinish-runs")) > 2);
    let latest = "photofinish-runs/latest";
    for format in photofinish_reports::formats::of_runs() {
        let out = [
            "export",
            latest,
            "--format",
            format.name,
            "--out",
            "exports",
        ];
        sandbox.run(&out);
    }
    sandbox
        .run(&["report", latest, "--out", "exports"])
        .check(0, &[]);
    check_files(&sandbox.path().join("exports"));
}

#[test]
fn target_and_path_queries_reach_only_the_server() {
    let sandbox = Sandbox::new();
    let (_server, address) = served(&sandbox, &["http"]);
    for (path, code) in [("/bytes/5", 0), ("/nope", 1)] {
        let target = format!("--target=http=http://{address}{path}{QUERY}");
        let finished = sandbox.run(&[&["run", "http-get", &target], &TINY[..]].concat());
        check(&sandbox, &finished.check(code, &[]));
    }
    let path = format!("--set=params.path=/bytes/5{QUERY}");
    let finished = sandbox.run(&[&["run", "http-get", &path], &TINY[..]].concat());
    check(&sandbox, &finished.check(0, &[]));
    let hash = sandbox.record().plan_hash;
    let plan = sandbox.run(&[&["plan", "http-get", &path, "--format", "json"], &TINY[..]].concat());
    assert!(!plan.stdout.contains("s3cret"), "{}", plan.stdout);
    assert_eq!(plan.json()["plan_hash"], hash);
}

/// Goal: a secret reaches the server as it is. Method: a mock that answers only to this query.
#[test]
fn requests_to_the_server_are_not_redacted() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "mine.toml",
        "workload = 'http-get'\n[params]\npath = '/x?token=s3cret'\n[server.http]\nkind = 'wiremock'\n\
         [[server.http.mocks]]\nmethod = 'GET'\npath = '/x'\nquery = { token = 's3cret' }\n\
         [[server.http.mocks.respond]]\nstatus = 200\nbody = 'right'\n",
    );
    let finished = sandbox.run(&[&["run", "./mine.toml"], &TINY[..]].concat());
    check(&sandbox, &finished.check(0, &[]));
}

#[test]
fn passwords_of_mocks_are_in_no_process_list_and_no_record() {
    let sandbox = Sandbox::new();
    let password = [
        "--set=server.db.password=s3cret",
        "--set=server.db.auth=scram-sha-256",
    ];
    let long = [
        "run",
        "db-connect",
        "--runtimes",
        "sync",
        "--rounds",
        "50",
        "--no-redo",
    ];
    let mut run = sandbox.start(&[&long[..], &password].concat());
    let server = run.wait_for_child("serve");
    assert!(
        arguments(server)
            .iter()
            .all(|argument| !argument.contains("s3cret"))
    );
    run.signal("INT");
    check(&sandbox, &run.finish());
}

#[test]
fn passwords_in_the_commands_of_arms_are_not_reported() {
    let sandbox = Sandbox::new();
    let server = |database: &str| {
        let program = program().display();
        format!(
            "export DBURL=postgres://u:s3cret@h/{database} TOKEN='s3 cret' API_KEY=s3cret; exec {program} serve http --listen 127.0.0.1:{{port}}"
        )
    };
    let (base, head) = (server("a"), server("b"));
    let gate = "gate http-get --set params.path=/bytes/5 --duration 20ms --max-pairs 10 --no-redo --concurrency 1 \
        --write json=w/a.json --write junit=w/a.xml --write markdown=w/a.md";
    let mut gate: Vec<&str> = gate.split_whitespace().collect();
    gate.extend(["--base-server", &base, "--head-server", &head]);
    let mut run = sandbox.start(&gate);
    let orchestrator = run.id();
    wait_for("both guards", || {
        let guards = children(orchestrator).into_iter().map(arguments);
        let guards: Vec<_> = guards
            .filter(|all| all.iter().any(|it| it == "arm-server"))
            .collect();
        assert!(
            guards
                .concat()
                .iter()
                .all(|argument| !argument.contains("s3")),
            "{guards:?}"
        );
        (!guards.is_empty()).then_some(())
    });
    let finished = run.finish();
    assert!(matches!(finished.code, Some(0 | 3 | 4)), "{finished:#?}");
    assert!(
        finished.stdout.contains("DBURL=postgres://u@h/a"),
        "{finished:#?}"
    );
    check(&sandbox, &finished);
    assert_eq!(check_files(&sandbox.path().join("w")), 3);
    for format in ["table", "json", "markdown", "junit"] {
        let again = sandbox.run(&["gate", "photofinish-runs/latest", "--format", format]);
        assert!(!again.stdout.contains("s3"), "{again:#?}");
    }
    // The failure of an arm that does not start has no secrets either.
    let mut gate = Vec::from(["gate", "http-get", "--base-server", &base, "--head-server"]);
    let broken = "echo token=s3cret >&2; TOKEN=s3cret false {port}";
    gate.push(broken);
    let failed = sandbox.run(&gate);
    assert!(failed.stderr.contains("TOKEN=***"), "{failed:#?}");
    check(&sandbox, &failed);
}

/// Texts with one secret each, in the forms that commands, servers and their messages use.
const TELLING: [&str; 14] = [
    "-p s3cret",
    "-u ann:s3cret",
    "--password s3cret",
    "Authorization: Bearer s3cret",
    "Cookie: id=s3cret; theme=s3cret",
    "login failed, password: s3cret",
    "code=s3cret",
    "session=s3cret",
    "sid=s3cret",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.s3cret",
    "ghp_s3cretABCDEFGHIJKLMNOP",
    "-----BEGIN PRIVATE KEY----- s3cret -----END PRIVATE KEY-----",
    "postgres://ann:s3cret@127.0.0.1/shop",
    "from the environment: not-s3cret-1",
];

/// Goal: no secret of the list gets out by any route. Method: each is in the command of an arm that is measured, and
/// is printed by one that fails.
#[test]
fn no_form_of_a_secret_leaves_the_process() {
    let sandbox = Sandbox::new();
    let program = program().display();
    let quoted = TELLING.map(|text| format!("'{text}'")).join(" ");
    let works = |name: &str| {
        format!("true {name} {quoted}; exec {program} serve http --listen 127.0.0.1:{{port}}")
    };
    let gate = |base: &str, head: &str, seen: &[&str]| {
        let gate = "gate http-get --set params.path=/bytes/5 --duration 20ms --max-pairs 10 --no-redo --concurrency 1 \
            --write json=w/a.json --write junit=w/a.xml --write markdown=w/a.md --write annotations=w/a.txt";
        let mut gate: Vec<&str> = gate.split_whitespace().collect();
        gate.extend(["--base-server", base, "--head-server", head]);
        let mut command = sandbox.command(&gate);
        command.env("PF_TOKEN", "not-s3cret-1");
        let finished = Finished::of(&mut command);
        for text in seen {
            assert!(finished.stderr.contains(text), "{finished:#?}");
        }
        check(&sandbox, &finished);
        finished
    };
    let finished = gate(&works("base"), &works("head"), &[]);
    assert!(matches!(finished.code, Some(0 | 3 | 4)), "{finished:#?}");
    assert_eq!(check_files(&sandbox.path().join("w")), 4);
    let broken = format!("printf '%s\\n' {quoted} \"$PF_TOKEN\" >&2; false {{port}}");
    let expected = [
        "the head",
        "end of its stderr",
        "-u ann:***",
        "hint: run the command by hand",
    ];
    let failed = gate(&works("base"), &broken, &expected);
    assert_eq!(failed.code, Some(1), "{failed:#?}");
}

/// Answers each request with a token and everything that was sent, and redirects a GET to its own path.
fn repeat(mut connection: TcpStream) {
    let mut lines = BufReader::new(connection.try_clone().expect("a clone"));
    loop {
        let (mut head, mut length) = (String::new(), 0);
        while !head.ends_with("\r\n\r\n") {
            if !matches!(lines.read_line(&mut head), Ok(1..)) {
                return;
            }
            let last = head.lines().last().unwrap_or_default();
            if let Some(value) = last.strip_prefix("content-length: ") {
                length = value.parse().expect("a number");
            }
        }
        let mut body = vec![0; length];
        lines.read_exact(&mut body).expect("the body");
        let sent = format!("{head}{}", String::from_utf8_lossy(&body));
        let answer =
            serde_json::json!({ "token": "token-of-the-service/s3cret", "sent": sent }).to_string();
        let target = head.split(' ').nth(1).expect("a target");
        let status = if head.starts_with("GET /api/moved") {
            format!("302 Found\r\nLocation: //elsewhere.test{target}")
        } else {
            "200 OK".to_owned()
        };
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n",
            answer.len()
        );
        connection
            .write_all((head + &answer).as_bytes())
            .expect("written");
    }
}

/// Goal: values that user-defined requests take from the environment, a file or a response stay between worker and server,
/// whatever fails. Method: a server that echoes everything, and every kind of failure that quotes it.
#[test]
fn request_values_appear_in_no_record_output_or_process_list() {
    let sandbox = Sandbox::new();
    let address = server(repeat);
    sandbox.write("users.csv", "name,password\nann,password-of-ann/s3cret\n");
    let file = |name: &str, last: &str| {
        let text = format!(
            r#"
            feed.user = {{ file = "users.csv" }}
            http = {{ redirects = 1, headers = {{ x-shop = "{{{{env.SHOP}}}}" }} }}
            [[flow]]
            [[flow.request]]
            name = "log in"
            send = "POST /api/{{{{env.SHOP}}}}/login?k={{{{env.SHOP}}}}"
            json = {{ name = "{{{{user.name}}}}", password = "{{{{user.password}}}}" }}
            capture = {{ token = "json /token" }}
            [[flow.request]]
            {last}
            "#
        );
        sandbox.write(&format!("{name}.toml"), &text);
    };
    let echo = r#"send = "POST /api/{{env.SHOP}}/x/{{token}}"
            form = { t = "{{token}}", p = "{{user.password}}" }"#;
    file(
        "checked",
        &format!("{echo}\nexpect = {{ json = {{ \"/sent\" = \"{{{{user.password}}}}\" }} }}"),
    );
    file(
        "texts",
        &format!("{echo}\nexpect = {{ text = \"no {{{{token}}}} {{{{env.SHOP}}}}\" }}"),
    );
    file(
        "uncaught",
        &format!("{echo}\ncapture = {{ x = \"json /none\" }}"),
    );
    file(
        "moved",
        "send = \"GET /api/moved/{{env.SHOP}}?t={{token}}&p={{user.password}}\"",
    );
    file("refused", &format!("{echo}\nexpect = {{ status = 404 }}"));
    let target = format!("http=http://{address}/");
    let names = ["checked", "texts", "uncaught", "moved", "refused"];
    let files = names.map(|name| format!("{name}.toml"));
    let mut arguments = vec!["run"];
    arguments.extend(files.iter().map(String::as_str));
    arguments.extend(["--target", &target, "--runtimes=tokio"]);
    arguments.extend(TINY);
    let mut command = sandbox.command(&arguments);
    command.env("SHOP", "value-of-the-environment/s3cret");
    let mut run = Started::of(command);
    let worker = run.wait_for_child("worker");
    let told = crate::support::arguments(worker).concat();
    assert!(!told.contains("s3cret"), "{told}");
    let finished = run.finish();
    check(&sandbox, &finished);
    let finished = finished.check(5, &[]);
    // The failures quote the request, without the values.
    let record = fs::read_to_string(sandbox.latest().join("record.json")).expect("a record");
    for text in [
        "***",
        "elsewhere.test/api/moved/***",
        "/api/{{env.SHOP}}/login",
    ] {
        assert!(
            record.contains(text),
            "`{text}` is not in the record: {finished:#?}"
        );
    }
    let mut plan = sandbox.command(&["plan", "checked.toml", "--target", &target, "--format=json"]);
    let planned = Finished::of(plan.env("SHOP", "value-of-the-environment/s3cret"));
    assert!(!planned.check(0, &[]).stdout.contains("s3cret"));
}
