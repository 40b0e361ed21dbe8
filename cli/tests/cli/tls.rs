//! Servers of others that speak TLS: nginx, `openssl s_server`, Python. What fails before a measurement is named by the
//! probe.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::Command;

use photofinish_record::{Outcome, PlannedServer, Record};

use crate::certificates::Authority;
use crate::nginx::nginx_serving;
use crate::serve::served;
use crate::support::{Finished, Sandbox, Started, TINY, closed_address, python, wait_for};

const NAMES: &str = "DNS:localhost,IP:127.0.0.1";

fn port(address: &str) -> &str {
    address.rsplit_once(':').expect("a port").1
}

fn run(sandbox: &Sandbox, scenario: &str, targets: &[String]) -> Record {
    let mut arguments = vec!["run", scenario];
    for target in targets {
        arguments.extend(["--target", target]);
    }
    sandbox.run(&[&arguments, &TINY[..]].concat()).check(0, &[]);
    let record = sandbox.record();
    for round in &record.rounds {
        let Outcome::Ok(measured) = &round.outcome else {
            panic!("{:?}", round.outcome);
        };
        assert!(measured.worker.ops > 0, "{:?}", measured.worker);
        assert!(measured.worker.errors.is_empty(), "{:?}", measured.worker);
    }
    record
}

/// Requests of the workers, over all rounds.
fn requests(record: &Record) -> u64 {
    let each = record.rounds.iter().map(|round| match &round.outcome {
        Outcome::Ok(measured) => measured.worker.traffic["http"].requests,
        _ => 0,
    });
    each.sum()
}

/// Goal: the same bytes under every runtime, no request too many, connections and requests counted as nginx counts them.
#[test]
fn nginx_over_tls_is_measured_under_every_runtime_and_logs_exactly_the_requests() {
    let sandbox = Sandbox::new();
    let Some(authority) = Authority::new(&sandbox) else {
        return;
    };
    let server = authority.certificate("server", NAMES, 30);
    let secure = closed_address();
    let locations = format!(
        "listen {secure} ssl; {} location = /page {{ return 200 'hello'; }}\n\
         location = /status {{ access_log off; stub_status; }}",
        server.nginx()
    );
    let Some((_nginx, plain)) = nginx_serving(&sandbox, &locations) else {
        return;
    };
    let targets = [
        format!("http=https://localhost:{}/page", port(&secure)),
        format!("http-ca={}", authority.file().display()),
        format!("http-status=http://{plain}/status"),
    ];
    let log = || {
        let log = std::fs::read_to_string(sandbox.path().join("access.log"));
        let log = log.expect("its log");
        assert!(log.lines().all(|line| line == "/page"), "{log}");
        log.lines().count() as u64
    };
    let mut before = 0;
    for scenario in ["http-get", "http-connect"] {
        let record = run(&sandbox, scenario, &targets);
        let PlannedServer::External { tls, software, .. } =
            &record.plan.scenarios[0].servers["http"]
        else {
            panic!("an external server");
        };
        assert!(tls.as_ref().is_some_and(|tls| tls.ca.is_none()), "{tls:?}");
        assert!(software.is_some(), "no name from the probe");
        // The probe asks once.
        assert_eq!(log() - before, requests(&record) + 1, "{scenario}");
        before = log();
        for round in &record.rounds {
            let Outcome::Ok(measured) = &round.outcome else {
                unreachable!("all are measured");
            };
            let (worker, server) = (measured.worker.traffic["http"], measured.servers["http"]);
            assert_eq!(server.requests, Some(worker.requests));
            assert_eq!(server.connections, Some(worker.connections));
        }
    }
}

/// Goal: settings come from the scenario's file, with paths relative to it, and a client certificate is sent; none of it
/// is in the record.
#[test]
fn a_scenario_file_sets_ca_client_certificate_and_versions() {
    let sandbox = Sandbox::new();
    let Some(authority) = Authority::new(&sandbox) else {
        return;
    };
    let server = authority.certificate("server", "DNS:shop.test", 30);
    let client = authority.certificate("client", "DNS:client", 30);
    let secure = closed_address();
    let locations = format!(
        "listen {secure} ssl; {} ssl_verify_client on; ssl_client_certificate {}; ssl_protocols TLSv1.2;\n\
         location = /page {{ return 200 'hello'; }}",
        server.nginx(),
        authority.file().display()
    );
    let Some((_nginx, _)) = nginx_serving(&sandbox, &locations) else {
        return;
    };
    let file = |tls: &str| {
        let text = format!("[[request]]\nname = \"page\"\nsend = \"GET /page\"\n[tls]\n{tls}\n");
        let path = sandbox.write("own.toml", &text);
        path.display().to_string()
    };
    let right = "ca = \"ca.pem\"\ncert = \"client.pem\"\nkey = \"client.key\"\nserver_name = \"shop.test\"\n\
                 resumption = false\nversions = [\"1.2\"]";
    let target = format!("http=https://{secure}");
    let record = run(&sandbox, &file(right), std::slice::from_ref(&target));
    let PlannedServer::External { tls: Some(tls), .. } = &record.plan.scenarios[0].servers["http"]
    else {
        panic!("TLS settings");
    };
    assert!(tls.full_handshakes && tls.server_name.as_deref() == Some("shop.test"));
    let key = std::fs::read_to_string(&client.key).expect("the key");
    let body = key.lines().nth(1).expect("its body");
    let text = std::fs::read_to_string(sandbox.latest().join("record.json")).expect("the record");
    assert!(!text.contains(body), "the key is in the record");

    let without_tls = format!("http=http://{secure}");
    for (tls, target, code, expected) in [
        (
            "ca = \"ca.pem\"\nserver_name = \"shop.test\"",
            &target,
            1,
            &[
                "or expected one",
                "hint: name yours with --target http-cert=FILE",
            ][..],
        ),
        (
            "ca = \"ca.pem\"\ncert = \"client.pem\"\nkey = \"client.key\"\nserver_name = \"shop.test\"\nversions = [\"1.3\"]",
            &target,
            1,
            &["no TLS connection to https://", "hint: "],
        ),
        (
            "ca = \"none.pem\"",
            &target,
            2,
            &["own.toml:5:", "cannot read `none.pem`"],
        ),
        (
            "ca = \"ca.key\"",
            &target,
            2,
            &["own.toml:5:", "with certificates in `ca`"],
        ),
        (
            "cert = \"client.pem\"",
            &target,
            2,
            &["own.toml:4:", "belong together"],
        ),
        ("insecur = true", &target, 2, &["own.toml:5:", "insecure"]),
        (right, &without_tls, 2, &["section `[tls]`", "https://"]),
    ] {
        let arguments = ["run", &file(tls), "--target", target, "--runtimes=sync"];
        sandbox
            .run(&[&arguments[..], &TINY].concat())
            .check(code, expected);
    }
}

/// Goal: the embedded servers speak TLS under every runtime, and both sides' counts agree. Method: a WebSocket, and HTTP with
/// a new connection and a full handshake for each request; the certificate of each round is verified.
#[test]
fn embedded_servers_speak_tls_under_every_runtime() {
    let sandbox = Sandbox::new();
    let embedded = |text: &str| {
        let file = sandbox.write("own.toml", text).display().to_string();
        let record = run(&sandbox, &file, &[]);
        for round in &record.rounds {
            let Outcome::Ok(measured) = &round.outcome else {
                unreachable!("all are measured");
            };
            assert_eq!(measured.mismatches, [""; 0]);
        }
        let mut servers = record.plan.scenarios[0].servers.values();
        let secured = |server| matches!(server, &PlannedServer::Mock { tls: Some(_), .. });
        assert!(servers.all(secured));
        record
    };
    embedded("workload = \"ws-echo\"\n[tls]\n[server.ws]\nkind = \"ws\"\n");
    let record = embedded(
        "workload = \"http-connect\"\n[params]\npath = \"/bytes/64\"\n[tls]\nresumption = false\nversions = [\"1.2\"]\n\
         [server.http]\nkind = \"http\"\n[load]\nops = 20\nwarmup_ops = 2\n",
    );
    for round in &record.rounds {
        let Outcome::Ok(measured) = &round.outcome else {
            unreachable!("all are measured");
        };
        let traffic = measured.worker.traffic["http"];
        let handshakes = (traffic.full_handshakes, traffic.resumed_handshakes);
        assert_eq!(handshakes, (traffic.connections, 0));
        let times = &measured.worker.observed["tls_full_handshake"];
        assert_eq!(times.count(), measured.worker.ops);
    }
    let refused = |text: &str, expected: &[&str]| {
        let file = sandbox.write("own.toml", text).display().to_string();
        sandbox.run(&["run", &file]).check(2, expected);
    };
    refused(
        "workload = \"serve-http\"\n[tls]\n",
        &[
            "`client`",
            "does not speak TLS",
            "hint: remove the section `[tls]`",
        ],
    );
    let own = sandbox.write("own.toml", "[[request]]\nsend = \"GET /\"\n[tls]\n");
    sandbox
        .run(&[
            "run",
            &own.display().to_string(),
            "--server",
            "./server {port}",
        ])
        .check(
            2,
            &[
                "section `[tls]`",
                "server started for it",
                "hint: remove the section",
            ],
        );
    sandbox
        .run(&["serve", "client", "--tls"])
        .check(2, &["`client` does not speak TLS", "hint: leave out --tls"]);
}

/// Goal: other programs can use a TLS server: the ready line has the certificate that verifies it.
#[test]
fn a_tls_server_prints_its_certificate() {
    let sandbox = Sandbox::new();
    let Some(python) = python("ssl", "its standard library") else {
        return;
    };
    let mut server = sandbox.start(&["serve", "http", "--tls"]);
    let mut line = String::new();
    let mut stdout = BufReader::new(server.child().stdout.take().expect("piped"));
    stdout.read_line(&mut line).expect("a ready line");
    let fetch = "import json, ssl, sys, urllib.request as r\n\
                 ready = json.loads(sys.argv[1])\n\
                 context = ssl.create_default_context(cadata=ready['certificate'])\n\
                 url = 'https://' + ready['address'] + '/bytes/5'\n\
                 assert len(r.urlopen(url, context=context).read()) == 5";
    let mut client = Command::new(python);
    Finished::of(client.args(["-c", fetch, &line])).check(0, &[]);
}

/// Goal: whatever is wrong with a server is named before anything is measured, in one sentence with a hint.
#[test]
fn a_probe_names_what_is_wrong_with_tls() {
    let sandbox = Sandbox::new();
    let Some(authority) = Authority::new(&sandbox) else {
        return;
    };
    let right = authority.certificate("server", NAMES, 30);
    let other = authority.certificate("other", "DNS:other.test", 30);
    let expired = authority.expired("expired", NAMES);
    let [secure, elsewhere, late, strict] = std::array::from_fn(|_| closed_address());
    let locations = format!(
        "listen {secure} ssl; {} location = /page {{ return 200 'hello'; }} }}\n\
         server {{ listen {elsewhere} ssl; {} }}\n\
         server {{ listen {late} ssl; {}",
        right.nginx(),
        other.nginx(),
        expired.nginx()
    );
    let Some((_nginx, plain)) = nginx_serving(&sandbox, &locations) else {
        return;
    };
    let _strict = s_server(&strict, &right.cert, &right.key, &authority.file());
    let ca = format!("http-ca={}", authority.file().display());
    for (url, with_ca, expected) in [
        (
            format!("https://{elsewhere}/"),
            true,
            ["not valid for name", "http-server-name=NAME"],
        ),
        (
            format!("https://{late}/"),
            true,
            ["expired", "renew the server's certificate"],
        ),
        (
            format!("https://{secure}/page"),
            false,
            ["UnknownIssuer", "http-ca=FILE"],
        ),
        (
            format!("https://{strict}/"),
            true,
            ["CertificateRequired", "http-cert=FILE"],
        ),
        (
            format!("https://{plain}/page"),
            true,
            ["no TLS connection", "speak TLS at this port?"],
        ),
        (
            format!("http://{secure}/page"),
            false,
            ["speaks TLS at this port", "begin the URL with https://"],
        ),
    ] {
        let target = format!("http={url}");
        let mut arguments = vec![
            "run",
            "http-get",
            "--runtimes=sync",
            "--quick",
            "--target",
            &target,
        ];
        if with_ca {
            arguments.extend(["--target", &ca]);
        }
        let expected = [expected[0], expected[1], "hint: "];
        sandbox.run(&arguments).check(1, &expected);
    }
    // The certificate of another name, accepted by its name, and one of no authority, accepted aloud.
    let target = format!("http=https://{secure}/page");
    let insecure = "http-insecure=true";
    let arguments = [
        "run",
        "http-get",
        "--runtimes=sync",
        "--target",
        &target,
        "--target",
        insecure,
    ];
    let expected = "the certificate of the target `http` was not verified (insecure)";
    let finished = sandbox.run(&[&arguments[..], &TINY].concat()).check(0, &[]);
    let words: Vec<_> = finished.stdout.split_whitespace().collect();
    assert!(words.join(" ").contains(expected), "{finished:?}");
    let page = std::fs::read_to_string(sandbox.latest().join("report.html")).expect("the page");
    assert!(page.contains("was not verified (insecure)"));
}

/// A server that expects a client certificate, with a TLS alert.
fn s_server(address: &str, cert: &Path, key: &Path, ca: &Path) -> Started {
    let mut command = Command::new("openssl");
    command.args([
        "s_server",
        "-quiet",
        "-www",
        "-accept",
        address,
        "-Verify",
        "1",
        "-verify_return_error",
    ]);
    command
        .arg("-cert")
        .arg(cert)
        .arg("-key")
        .arg(key)
        .arg("-CAfile")
        .arg(ca);
    let started = Started::of(command);
    wait_for("openssl", || {
        std::net::TcpStream::connect(address).ok().map(drop)
    });
    started
}

/// Ends each connection after one response, whose body has a length or lasts until the end; with TLS's announcement of the
/// end only at `/clean`.
const ENDS: &str = "
import socket, ssl, sys, threading
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[2], sys.argv[3])
def serve(raw):
    try:
        stream = context.wrap_socket(raw, server_side=True)
        asked = b''
        while b'\\r\\n\\r\\n' not in asked: asked += stream.recv(4096) or exit()
        length = b'content-length: 5\\r\\n' if b'/length' in asked else b''
        stream.sendall(b'HTTP/1.1 200 OK\\r\\nconnection: close\\r\\n' + length + b'\\r\\nhello')
        if b'/clean' in asked: stream.unwrap()
        stream.close()
    except (OSError, SystemExit): pass
listener = socket.create_server(('127.0.0.1', int(sys.argv[1])), backlog=64)
while True: threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
";

/// Goal: an end of the connection without TLS's announcement truncates only what lasts until the end.
#[test]
fn a_missing_close_notify_truncates_only_close_delimited_bodies() {
    let sandbox = Sandbox::new();
    let Some(authority) = Authority::new(&sandbox) else {
        return;
    };
    let Some(python) = python("ssl", "its standard library") else {
        return;
    };
    let certificate = authority.certificate("server", NAMES, 30);
    let address = closed_address();
    let mut command = Command::new(python);
    command
        .arg(sandbox.write("ends.py", ENDS))
        .arg(port(&address));
    command.arg(&certificate.cert).arg(&certificate.key);
    let _server = Started::of(command);
    wait_for("the server", || {
        std::net::TcpStream::connect(&address).ok().map(drop)
    });
    let targets = |path: &str| {
        [
            format!("http=https://{address}{path}"),
            format!("http-ca={}", authority.file().display()),
        ]
    };
    run(&sandbox, "http-get", &targets("/clean"));
    run(&sandbox, "http-get", &targets("/length"));
    let [target, ca] = targets("/cut");
    let arguments = ["run", "http-get", "--target", &target, "--target", &ca];
    sandbox
        .run(&[&arguments[..], &TINY].concat())
        .check(1, &["the body may be cut off"]);
}

/// Goal: a WebSocket over TLS. Method: nginx ends the TLS of the program's own server.
#[test]
fn websockets_over_tls_are_measured_under_every_runtime() {
    let sandbox = Sandbox::new();
    let Some(authority) = Authority::new(&sandbox) else {
        return;
    };
    let certificate = authority.certificate("server", NAMES, 30);
    let (_server, behind) = served(&sandbox, &["ws"]);
    let secure = closed_address();
    let locations = format!(
        "listen {secure} ssl; {} location / {{ proxy_pass http://{behind}; proxy_http_version 1.1;\n\
         proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; }}",
        certificate.nginx()
    );
    let Some((_nginx, _)) = nginx_serving(&sandbox, &locations) else {
        return;
    };
    let targets = [
        format!("ws=wss://localhost:{}/echo", port(&secure)),
        format!("ws-ca={}", authority.file().display()),
    ];
    run(&sandbox, "ws-echo", &targets);
    let unknown = [
        "run",
        "ws-echo",
        "--quick",
        "--runtimes=sync",
        "--target",
        &targets[0],
    ];
    sandbox.run(&unknown).check(1, &["UnknownIssuer", "hint: "]);
}
