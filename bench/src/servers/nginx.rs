//! nginx with one worker: small pages from its configuration, large ones as files; HTTP/1.1 on one port, HTTP/2 on another.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::{Server, Settings, directory_of, free_port, wait_for};
use crate::child::Background;
use crate::failure::{Failure, OrFail as _};
use crate::programs::Program;
use crate::text;
use crate::work::Page;

pub(super) const NGINX: Program = Program {
    name: "nginx",
    install: "apt install nginx-light",
    version: Some("-v"),
};

pub(super) const OPENSSL: Program = Program {
    name: "openssl",
    install: "apt install openssl",
    version: Some("version"),
};

/// Files and their sizes.
const FILES: [(Page, usize); 2] = [(Page::Kib10, 10 << 10), (Page::Mib1, 1 << 20)];

/// Pages served from the configuration.
const PAGES: [(Page, &str); 3] = [
    (Page::Small, "Hello, World!"),
    (
        Page::Bytes64,
        "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijkl",
    ),
    (
        Page::Json,
        r#"{"id": 7, "token": "0123456789abcdef", "items": [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]}"#,
    ),
];

pub(super) fn start(settings: &Settings, tls: bool) -> Result<Server, Failure> {
    let program = NGINX.find()?;
    let directory = directory_of(settings, if tls { "nginx-tls" } else { "nginx" })?;
    for (page, bytes) in FILES {
        let path = directory.join(page.path().trim_start_matches('/'));
        fs::write(path, vec![b'x'; bytes]).or_fail("write nginx's pages")?;
    }
    let ports = [free_port()?, free_port()?];
    if tls {
        make_certificate(&directory)?;
    }
    let file = directory.join("nginx.conf");
    fs::write(&file, configuration(&directory, ports, tls))
        .or_fail("write nginx's configuration")?;
    let mut command = Command::new(program);
    command
        .arg("-e")
        .arg(directory.join("error.log"))
        .arg("-c")
        .arg(&file)
        .arg("-p")
        .arg(&directory);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut process = Background::spawn(command, Some(settings.cpu))?;
    for port in ports {
        wait_for(&mut process, port, "nginx")?;
    }
    let ca_file = tls.then(|| directory.join("cert.pem"));
    Ok(Server {
        process,
        port: ports[0],
        http2_port: Some(ports[1]),
        ca_file,
    })
}

fn configuration(directory: &Path, [http1, http2]: [u16; 2], tls: bool) -> String {
    let directory = directory.display();
    let ssl = if tls { " ssl" } else { "" };
    let certificate =
        format!("ssl_certificate {directory}/cert.pem; ssl_certificate_key {directory}/key.pem;");
    let certificate = if tls { certificate } else { String::new() };
    let kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let temporary: String = kinds
        .iter()
        .map(|kind| format!("{kind}_temp_path {directory}; "))
        .collect();
    let page = |(page, body): &(Page, &str)| {
        let kind = if *page == Page::Json {
            "application/json"
        } else {
            "text/plain"
        };
        format!(
            "location = {} {{ default_type {kind}; return 200 '{body}'; }}\n",
            page.path()
        )
    };
    let pages: String = PAGES.iter().map(page).collect();
    format!(
        "worker_processes 1; daemon off; error_log {directory}/error.log; pid {directory}/nginx.pid;\n\
         events {{ worker_connections 4096; }}\n\
         http {{ access_log off; keepalive_requests 1000000000; http2_max_concurrent_streams 1000; sendfile on;\n\
         tcp_nopush on; open_file_cache max=10; {temporary} {certificate} default_type text/plain;\n\
         server {{ listen 127.0.0.1:{http1}{ssl} backlog=4096; listen 127.0.0.1:{http2}{ssl} http2 backlog=4096;\n\
         root {directory};\n{pages} }} }}\n"
    )
}

/// Writes a self-signed `cert.pem` and `key.pem`.
fn make_certificate(directory: &Path) -> Result<(), Failure> {
    let mut command = Command::new(OPENSSL.find()?);
    command.args([
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
    ]);
    command.args([
        "-days",
        "30",
        "-subj",
        "/CN=localhost",
        "-addext",
        "subjectAltName=DNS:localhost,IP:127.0.0.1",
    ]);
    command.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
    command
        .arg("-keyout")
        .arg(directory.join("key.pem"))
        .arg("-out")
        .arg(directory.join("cert.pem"));
    let output = command
        .stdin(Stdio::null())
        .output()
        .or_fail("run openssl")?;
    if output.status.success() {
        return Ok(());
    }
    let message = text::first_line(&String::from_utf8_lossy(&output.stderr));
    Err(Failure::new(format!(
        "openssl failed: {}",
        message.unwrap_or_default()
    )))
}
