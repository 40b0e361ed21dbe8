//! The first line that a newcomer types, against servers of others: a number, or one sentence that says what to type.

use std::collections::BTreeSet;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use photofinish_record::PlannedServer;

use crate::nginx::nginx;
use crate::support::{Finished, Sandbox, closed_address, python, skip_without, wait_for};

/// Longest wait for a number or a sentence: ten seconds on an idle machine, and tests share theirs.
const PATIENCE: Duration = Duration::from_secs(60);

/// As few rounds as `--quick`, and fewer runtimes.
const QUICK: [&str; 3] = ["--runtimes=sync,tokio", "--rounds=1", "--no-redo"];

#[track_caller]
fn first_line(sandbox: &Sandbox, scenario: &str, target: &str, more: &[&str]) -> Finished {
    let target = format!("--target=http={target}");
    let begun = Instant::now();
    let arguments = [&["run", scenario, &target], &QUICK[..], more].concat();
    let short = ["--duration=100ms"];
    let length = match arguments
        .iter()
        .any(|argument| argument.starts_with("--duration"))
    {
        true => &[][..],
        false => &short,
    };
    let finished = sandbox.run(&[&arguments, length].concat());
    assert!(begun.elapsed() < PATIENCE, "{finished:#?}");
    finished
}

/// A server of others, ended when dropped. Its log goes nowhere: one that fills a pipe would stop it.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A server that accepts connections at the address.
fn started(mut command: Command, sandbox: &Sandbox, address: &str) -> Server {
    command.current_dir(sandbox.path());
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let server = Server(command.spawn().expect("the server starts"));
    wait_for("a server", || std::net::TcpStream::connect(address).ok());
    server
}

fn port(address: &str) -> &str {
    address.rsplit_once(':').expect("a port").1
}

#[test]
fn the_http_server_of_python_is_measured_under_both_protocols() {
    let sandbox = Sandbox::new();
    let Some(python) = python("http.server", "its library") else {
        return;
    };
    sandbox.write("index.html", "<title>Hello</title>");
    for protocol in ["HTTP/1.0", "HTTP/1.1"] {
        let address = closed_address();
        let mut command = Command::new(&python);
        command.args(["-m", "http.server", port(&address), "--protocol", protocol]);
        let _server = started(command, &sandbox, &address);
        // As the server prints its own address.
        let printed = format!("http://0.0.0.0:{}/", port(&address));
        first_line(&sandbox, "http-get", &printed, &["--concurrency=1"]).check(0, &[]);
        let planned = sandbox.record().plan;
        let PlannedServer::External { url, .. } = &planned.scenarios[0].servers["http"] else {
            panic!("an external server");
        };
        assert_eq!(*url, format!("http://{address}/"));
        let title = &planned.scenarios[0].title;
        assert!(!title.contains("64"), "{title}");
        let missing = format!("http://{address}/nowhere");
        let refused = first_line(&sandbox, "http-get", &missing, &[]);
        refused.check(
            1,
            &[
                "GET /nowhere answered 404",
                "hint: name a path",
                "--set status=404",
            ],
        );
        first_line(&sandbox, "http-get", &missing, &["--set=status=404"]).check(0, &[]);
    }
}

/// Goal: 44 ms are explained. Method: the server of Python sends head and body in two pieces, with Nagle's algorithm
/// on.
#[test]
fn a_delayed_ack_is_recognised() {
    let sandbox = Sandbox::new();
    let Some(python) = python("http.server", "its library") else {
        return;
    };
    let address = closed_address();
    sandbox.write("index.html", "<title>Hello</title>");
    let mut command = Command::new(&python);
    command.args([
        "-m",
        "http.server",
        port(&address),
        "--protocol",
        "HTTP/1.1",
    ]);
    let _server = started(command, &sandbox, &address);
    let target = format!("http://{address}/");
    let more = ["--concurrency=1", "--duration=500ms", "--format=json"];
    let measured = || first_line(&sandbox, "http-get", &target, &more);
    let named = |finished: &Finished| finished.stdout.contains("TCP_NODELAY");
    let begun = Instant::now();
    let mut finished = measured();
    // A busy machine may push the median out of the range in which the cause is certain.
    while !named(&finished) && begun.elapsed() < PATIENCE {
        finished = measured();
    }
    assert!(named(&finished), "{finished:#?}");
}

#[test]
fn nginx_is_measured_at_its_root_and_at_a_list_of_files() {
    let sandbox = Sandbox::new();
    std::fs::create_dir_all(sandbox.path().join("site/list")).expect("a directory");
    sandbox.write("site/index.html", "<title>Welcome to nginx!</title>");
    sandbox.write("site/list/index.html", "<a href=a>a</a>");
    let Some((_nginx, address)) = nginx(&sandbox) else {
        return;
    };
    for target in ["", "/", "/list/", "/?a=b"] {
        first_line(
            &sandbox,
            "http-get",
            &format!("http://{address}{target}"),
            &[],
        )
        .check(0, &[]);
    }
    let redirected = first_line(&sandbox, "http-get", &format!("http://{address}/list"), &[]);
    redirected.check(
        1,
        &[
            "GET /list answered 301",
            "it redirects to `http",
            "/list/`",
            "--set status=301",
        ],
    );
}

#[test]
fn a_node_server_with_changing_json_is_measured_with_content_any() {
    let sandbox = Sandbox::new();
    let Ok(true) = Command::new("node")
        .arg("--version")
        .output()
        .map(|output| output.status.success())
    else {
        return skip_without("node");
    };
    let address = closed_address();
    let source = format!(
        "let n = 0; require('http').createServer((q, s) => s.end(JSON.stringify({{now: new Date(), n: n++ % 9}})))\
         .listen({}, '127.0.0.1')",
        port(&address)
    );
    let mut command = Command::new("node");
    command.args(["-e", &source]);
    let _server = started(command, &sandbox, &address);
    let target = format!("http://{address}/");
    let scenarios = [
        "http-get",
        "http-connect",
        "http-delay",
        "http-fanout",
        "http-limited",
        "http-queue",
        "http-stream",
        "download",
    ];
    for scenario in scenarios {
        let expected = ["differs between two responses", "--set content=any"];
        let refused = first_line(&sandbox, scenario, &target, &[]).check(5, &expected);
        // The reason and the record, and no table of nothing.
        let lines: BTreeSet<_> = refused.stdout.lines().collect();
        assert!(
            lines.iter().any(|line| line.starts_with("Record: ")),
            "{refused:#?}"
        );
        for word in ["narrow the intervals", "see how it scales", "ops/s"] {
            assert!(!refused.stdout.contains(word), "{refused:#?}");
        }
        first_line(&sandbox, scenario, &target, &["--set=content=any"]).check(0, &[]);
    }
}

/// Odd answers, by path, from a server that keeps its connections unless asked to close them.
const ODD: &str = r#"
import socket, sys, threading
H = b"HTTP/1.1 200 OK\r\n"
ANSWERS = {
    b"/fold": H + b"Content-Security-Policy: default-src 'self'\r\n  https://a.test\r\nContent-Length: 2\r\n\r\nok",
    b"/204": b"HTTP/1.1 204 No Content\r\n\r\n",
    b"/201": b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok",
    b"/space-colon": H + b"Allow-Credentials : true\r\nContent-Length: 2\r\n\r\nok",
    b"/dup-cl-bad": H + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nok",
    b"/large": H + b"Content-Length: 70000000\r\n\r\n",
}
def serve(c):
    f = c.makefile("rb"); close = False
    while not close and (line := f.readline()):
        size = 0
        while (l := f.readline()) not in (b"\r\n", b""):
            if l.lower().startswith(b"content-length:"): size = int(l.split(b":")[1])
            close = close or l.lower() == b"connection: close\r\n"
        f.read(size)
        c.sendall(ANSWERS.get(line.split()[1], H + b"Content-Length: 2\r\n\r\n{}"))
    c.shutdown(1)
l = socket.socket(); l.setsockopt(1, 2, 1); l.bind(("127.0.0.1", int(sys.argv[1]))); l.listen(99)
while True: threading.Thread(target=serve, args=(l.accept()[0],), daemon=True).start()
"#;

#[test]
fn unusual_responses_are_accepted_or_named() {
    let sandbox = Sandbox::new();
    let Some(python) = python("socket", "its library") else {
        return;
    };
    let address = closed_address();
    let mut command = Command::new(&python);
    command.args(["-c", ODD, port(&address)]);
    let _server = started(command, &sandbox, &address);
    let check = |scenario: &str, path: &str, more: &[&str], code: i32, expected: &[&str]| {
        let target = format!("http://{address}{path}");
        first_line(&sandbox, scenario, &target, more).check(code, expected);
    };
    check("http-get", "/fold", &[], 0, &[]);
    check(
        "http-get",
        "/space-colon",
        &[],
        1,
        &["`Allow-Credentials` is followed by a space"],
    );
    check(
        "http-get",
        "/dup-cl-bad",
        &[],
        1,
        &["given twice with different values"],
    );
    check(
        "http-get",
        "/large",
        &[],
        1,
        &["70000000 bytes", "fixed limit of 67108864 bytes"],
    );
    for status in ["201", "2xx", "[200, 201]"] {
        let set = format!("--set=status={status}");
        check("http-get", "/201", &[&set], 0, &[]);
    }
    check(
        "http-get",
        "/204",
        &[],
        1,
        &["GET /204 answered 204", "--set status=204"],
    );
    check("http-get", "/204", &["--set=status=['2xx', 304]"], 0, &[]);
    check(
        "http-get",
        "/",
        &["--set=status=204"],
        1,
        &["GET / answered 200", "--set status=200"],
    );
    check(
        "http-get",
        "/",
        &["--set=status=600"],
        2,
        &["a class such as \"2xx\""],
    );
    check(
        "http-get",
        "/",
        &["--set=content=some"],
        2,
        &["some", "same"],
    );
    check(
        "http-post",
        "/",
        &[],
        5,
        &["--set content=any accepts any response"],
    );
    check("http-post", "/", &["--set=content=any"], 0, &[]);
    check(
        "http-post",
        "/201",
        &[],
        1,
        &["POST /201 answered 201", "--set status=201"],
    );
    check(
        "http-post",
        "/201",
        &["--set=content=any", "--set=status=201"],
        0,
        &[],
    );
    check(
        "scrape",
        "/204",
        &[],
        1,
        &["GET /204 answered 204", "--set 'pages="],
    );
    check("scrape", "/204", &["--set=status=204"], 0, &[]);
}
