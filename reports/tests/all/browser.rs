//! Pages in a real browser: it builds them as meant, finds nothing to complain of, and axe finds no barrier.
//!
//! Both need Chromium; axe also needs Node.js with axe-core and ws, which `.ci/run` installs.

use std::path::Path;
use std::process::Command;

use photofinish_reports::compare::RecordComparison;
use photofinish_reports::comparison_page;
use serde_json::Value;

use crate::page::{fixture, write, write_page};
use crate::{adversarial, charts, fixtures, foreign, page};

const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// Goal: a browser builds the page as meant, and finds nothing to complain of. Method: headless Chromium dumps the
/// document it made; its complaints would be on stderr.
#[test]
fn a_browser_shows_every_table_and_chart_without_errors() {
    for (name, tables) in [
        ("tour", 3),
        ("sweep", 5),
        ("open-loads", 2),
        ("search", 1),
        ("hostile", 1),
        ("empty", 0),
    ] {
        let figures = charts(fixture(name))
            .iter()
            .filter(|chart| !chart.is_card)
            .count();
        let path = write_page(name);
        let Some(shown) = browse(&path) else {
            return;
        };
        assert_eq!(
            shown.dom.matches("<table class=\"results\"").count(),
            tables,
            "{name}"
        );
        assert_eq!(shown.dom.matches("<figure>").count(), figures, "{name}");
        assert!(!shown.said.contains("CONSOLE"), "{name}: {}", shown.said);
    }
}

struct Shown {
    dom: String,
    said: String,
}

/// What Chromium makes of a page; skips aloud, and in CI fails, where there is no Chromium.
fn browse(path: &Path) -> Option<Shown> {
    let profile = tempfile::tempdir().expect("a temporary folder");
    let output = BROWSERS.into_iter().find_map(|browser| {
        Command::new(browser)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--no-first-run",
            ])
            .args([
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
            ])
            .args(["--enable-logging=stderr", "--v=0", "--dump-dom"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg(format!("file://{}", path.display()))
            .output()
            .ok()
    });
    let Some(output) = output else {
        crate::skip("chromium");
        return None;
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}", text(&output.stderr));
    Some(Shown {
        dom: text(&output.stdout),
        said: text(&output.stderr),
    })
}

/// A page with a fault of each kind.
const FAULTY: &str = "<!DOCTYPE html><title>Faulty</title><img src=\"nothing.png\"><p style=\"width: 3000px\">wide</p>\
                      <table class=\"matrix\" style=\"height: 900px\"></table>\
                      <script>console.log(1)</script>";

/// Goal: no barrier, no complaint of the browser, no request, no page wider than its window, wide and narrow, light and dark,
/// and the matrix on the first screen. Method: axe in headless Chromium over pages of each form; a page with faults shows that
/// they would be found.
#[test]
fn axe_finds_no_barrier_and_the_browser_nothing_to_complain_of() {
    let (Some(node), Some(browser)) = (foreign::node("axe-core"), browser()) else {
        return;
    };
    let sweep = fixture("sweep");
    let mut slower = sweep.clone();
    fixtures::each_measured(&mut slower, |_, _, measured| {
        measured.worker.throughput_ops_s *= 0.5;
    });
    let compared = comparison_page(&RecordComparison::of(sweep, &slower));
    let pages = [
        write("faulty", FAULTY),
        write_page("tour"),
        write_page("open-loads"),
        write_page("failures"),
        write_page("search"),
        write("gate", &page(&adversarial::gate(10, 0.2))),
        write("compared", &compared),
    ];
    let profile = tempfile::tempdir().expect("a temporary folder");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/all/axe.cjs");
    let output = Command::new(node)
        .arg(script)
        .arg(browser)
        .arg(profile.path())
        .args(&pages)
        .output()
        .expect("node runs");
    assert!(output.status.success(), "{output:?}");
    let problems: Vec<Value> = serde_json::from_slice(&output.stdout).expect("JSON");
    let is_faulty = |problem: &&Value| problem["page"].as_str() == pages[0].to_str();
    let (faults, others): (Vec<&Value>, Vec<&Value>) = problems.iter().partition(is_faulty);
    for kind in ["violation", "console", "request", "overflow", "scroll"] {
        assert!(
            faults.iter().any(|fault| fault["kind"] == kind),
            "{kind}: {faults:#?}"
        );
    }
    assert!(others.is_empty(), "{others:#?}");
}

/// Goal: every control does what it says, by keyboard alone, and the page is whole without them. Method: a page is used in
/// headless Chromium; what it then shows is compared with what it said before.
#[test]
fn the_controls_of_a_page_do_what_they_say() {
    let (Some(node), Some(browser)) = (foreign::node("ws"), browser()) else {
        return;
    };
    let mut record = fixtures::steady(&["sync", "threads", "tokio"], 10);
    fixtures::each_measured(&mut record, |cell, _, measured| {
        measured.worker.throughput_ops_s *= [1.0, 0.5, 4.0][cell];
    });
    let path = write("controls", &page(&record));
    let profile = tempfile::tempdir().expect("a temporary folder");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/all/controls.cjs");
    let output = Command::new(node)
        .args([script.as_path(), Path::new(browser), profile.path(), &path])
        .output()
        .expect("node runs");
    assert!(output.status.success(), "{output:?}");
    let problems: Vec<Value> = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(problems.is_empty(), "{problems:#?}");
}

fn browser() -> Option<&'static str> {
    let runs = |browser: &&str| Command::new(browser).arg("--version").output().is_ok();
    let found = BROWSERS.into_iter().find(runs);
    if found.is_none() {
        crate::skip("chromium");
    }
    found
}
