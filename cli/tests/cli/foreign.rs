//! The workloads against servers that nobody here wrote: a static site of nginx with rules of its own, and a WebSocket
//! server in Python.
//!
//! Each skips aloud where the server is not installed, and fails where CI is. What the foreign server itself saw is read
//! from its log where it has one.

use std::fs;
use std::process::Command;

use photofinish_record::{Outcome, Record};

use crate::nginx::nginx;
use crate::support::{Sandbox, Started, TINY, closed_address, python, wait_for};

/// Rules as they are found in the wild: a byte-order mark, both kinds of line ends, comments, groups of others before and
/// after, two agents over one group, names in any case, wildcards, an end mark, an escape, and rules that overlap.
const ROBOTS: &str = "\u{feff}# Who may look at what\r\n\
    User-agent: googlebot\r\nDisallow: /pages/\r\n\r\n\
    User-Agent: *   # all the others\r\nDisallow: /\r\n\r\n\
    user-agent: otherbot\nuser-agent: PhotoFinish # and we\r\n\
    DISALLOW: /private/\r\nAllow: /private/open\r\n\
    Disallow: /*.bak$\r\nDisallow: /*/draft-\r\n\
    disallow:/search*sort=\r\nAllow: /search?page=1&sort=up$\r\n\
    Disallow: /caf%C3%A9/\r\nDisallow:\r\nCrawl-delay: 10\r\n\r\n\
    User-agent: lastbot\r\nDisallow: /\r\n\
    Sitemap: /pages/sitemap.xml\r\n";

/// Pages by path, with their file, and whether a crawler may read them.
const PAGES: [(&str, &str, bool); 14] = [
    ("/", "index.html", true),
    ("/pages/one", "pages/one", true),
    ("/pages/two", "pages/two", true),
    ("/private/", "private/index.html", false),
    ("/private/secret", "private/secret", false),
    ("/private/open", "private/open", true),
    ("/pages/old.bak", "pages/old.bak", false),
    ("/pages/old.bak.html", "pages/old.bak.html", true),
    ("/pages/draft-1", "pages/draft-1", false),
    ("/draft-2", "draft-2", true),
    ("/search?page=2&sort=up", "search", false),
    ("/search?page=1&sort=up", "search", true),
    ("/search?page=1", "search", true),
    ("/caf%C3%A9/menu", "caf\u{e9}/menu", false),
];

/// Beside the pages: one that leads around the rules, one elsewhere, one that is nowhere, and one in other words.
const MORE_LINKS: &str = "<a href=/private>x</a> <a href='http://192.0.2.1/'>x</a> <a href=/nowhere>x</a> \
    <a href='/caf\u{e9}/menu#top'>x</a> <a href='pages/../pages/one#again'>x</a>";

fn write_site(sandbox: &Sandbox) {
    let site = sandbox.path().join("site");
    let links = PAGES.map(|(path, ..)| format!("<a href='{path}'>x</a> "));
    let body = format!("<p>{} {MORE_LINKS}", links.concat());
    for (_, file, _) in PAGES {
        let file = site.join(file);
        fs::create_dir_all(file.parent().expect("a directory")).expect("made");
        let page = format!("<!doctype html><meta charset=utf-8><title>A page</title>{body}");
        fs::write(file, page).expect("written");
    }
    fs::write(site.join("robots.txt"), ROBOTS).expect("written");
    let pages = PAGES.map(|(path, _, allowed)| {
        serde_json::json!({"path": path, "title": "A page", "allowed": allowed})
    });
    let report = serde_json::json!({ "pages": pages });
    fs::write(site.join("site-report"), report.to_string()).expect("written");
}

#[test]
fn a_crawl_of_a_third_party_site_obeys_robots_txt() {
    // A site of static files that says in one of them what a crawl must find; nginx's log says what was asked for.
    let sandbox = Sandbox::new();
    write_site(&sandbox);
    let Some((server, address)) = nginx(&sandbox) else {
        return;
    };
    let target = format!("http=http://{address}/");
    sandbox
        .run(&[&["run", "crawl", "--target", &target], &TINY[..]].concat())
        .check(0, &[]);
    every_operation_was_right(&sandbox.record());
    drop(server);

    its_rules_were_obeyed(&sandbox);
}

/// A site that is as it is, and tells nothing of what a crawl must find; its rules lie where a redirect leads to.
#[test]
fn a_site_without_a_report_is_crawled_first() {
    let sandbox = Sandbox::new();
    write_site(&sandbox);
    let site = sandbox.path().join("site");
    fs::remove_file(site.join("site-report")).expect("there");
    fs::create_dir(site.join("rules")).expect("made");
    fs::rename(site.join("robots.txt"), site.join("rules/robots.txt")).expect("moved");
    let Some((server, address)) = nginx(&sandbox) else {
        return;
    };
    let target = format!("http=http://{address}/");
    let run = |scenario: &[&str]| {
        sandbox
            .run(&[&["run"], scenario, &["--target", &target], &TINY].concat())
            .check(0, &[]);
        every_operation_was_right(&sandbox.record());
    };
    run(&["crawl"]);
    its_rules_were_obeyed(&sandbox);
    run(&["scrape", "--set=pages=[\"/\", \"/pages/one\"]"]);
    run(&["download", "--set=documents=[\"/pages/two\"]"]);
    // Without a page of the user's, it is the address that is asked for.
    run(&["scrape"]);
    let nowhere = "--set=pages=['/pages/7']";
    let there = [
        "run",
        "scrape",
        "--runtimes=tokio",
        "--target",
        &target,
        nowhere,
    ];
    let expected = ["GET /pages/7 answered 404", "--set 'pages=[\"/\"]'"];
    sandbox
        .run(&[&there, &TINY[..]].concat())
        .check(1, &expected);
    fs::write(site.join("robots.txt"), "user-agent: *\ndisallow: /\n").expect("written");
    let closed = ["run", "crawl", "--runtimes=tokio", "--target", &target];
    let expected = ["there is nothing to crawl", "disallowed by robots.txt"];
    sandbox
        .run(&[&closed, &TINY[..]].concat())
        .check(1, &expected);
    drop(server);
}

/// Every page that a crawler may read was asked for once in each crawl, and no other one.
fn its_rules_were_obeyed(sandbox: &Sandbox) {
    let log = fs::read_to_string(sandbox.path().join("access.log")).expect("a log");
    let times = |path: &str| log.lines().filter(|line| *line == path).count();
    let crawls = times("/robots.txt");
    assert!(crawls > 0, "{log}");
    for (path, _, allowed) in PAGES.into_iter().filter(|(path, ..)| *path != "/") {
        let expected = if allowed { crawls } else { 0 };
        assert_eq!(times(path), expected, "{path} in {crawls} crawls");
    }
    assert_eq!(
        times("/private"),
        crawls,
        "a redirect to what is disallowed"
    );
}

#[test]
fn a_page_missed_on_a_third_party_site_is_reported() {
    let sandbox = Sandbox::new();
    write_site(&sandbox);
    let report = sandbox.path().join("site/site-report");
    let report_text = fs::read_to_string(&report).expect("a report");
    let more = report_text.replacen(
        "[{",
        "[{\"path\":\"/unlinked\",\"title\":\"x\",\"allowed\":true},{",
        1,
    );
    fs::write(&report, more).expect("written");
    let Some((_server, address)) = nginx(&sandbox) else {
        return;
    };
    let target = format!("http=http://{address}/");
    let tokio = ["run", "crawl", "--runtimes", "tokio", "--target", &target];
    let expected = "/unlinked is not in the results";
    sandbox
        .run(&[&tokio, &TINY[..]].concat())
        .check(5, &[expected]);
}

fn every_operation_was_right(record: &Record) {
    for round in &record.rounds {
        let cell = &record.plan.cells[round.cell];
        let Outcome::Ok(measured) = &round.outcome else {
            panic!("{cell:?}: {:?}", round.outcome)
        };
        let worker = &measured.worker;
        assert!(
            worker.ops > 0 && worker.errors.is_empty(),
            "{cell:?}: {:?}",
            worker.errors
        );
        assert_eq!(worker.violations, [""; 0], "{cell:?}");
    }
}

/// An echo, and rooms in which everybody hears what anybody says.
const WEBSOCKETS: &str = r#"
import asyncio, sys
from collections import defaultdict
from websockets.asyncio.server import serve

rooms = defaultdict(set)

async def client(socket):
    if socket.request.path.startswith("/echo"):
        async for message in socket:
            await socket.send(message)
        return
    room = rooms[socket.request.path]
    room.add(socket)
    try:
        async for message in socket:
            for other in list(room):
                try:
                    await other.send(message)
                except Exception:
                    pass
    finally:
        room.discard(socket)

async def main():
    async with serve(client, "127.0.0.1", int(sys.argv[1])):
        await asyncio.get_running_loop().create_future()

asyncio.run(main())
"#;

#[test]
fn python_echo_and_chat_servers_are_measured_like_the_mock() {
    let Some(python) = python("websockets.asyncio.server", "the package websockets") else {
        return;
    };
    let sandbox = Sandbox::new();
    let script = sandbox.write("server.py", WEBSOCKETS);
    let address = closed_address();
    let port = address.rsplit(':').next().expect("a port");
    let mut command = Command::new(python);
    command.arg(script).arg(port);
    let _server = Started::of(command);
    wait_for("the Python server", || {
        std::net::TcpStream::connect(&address).ok().map(drop)
    });
    for (workload, path) in [("ws-echo", "echo"), ("ws-chat", "chat")] {
        let target = format!("ws=ws://{address}/{path}");
        let run = ["run", workload, "--target", &target];
        sandbox.run(&[&run, &TINY[..]].concat()).check(0, &[]);
        every_operation_was_right(&sandbox.record());
    }
}
