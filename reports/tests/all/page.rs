//! The page: one file, nothing from elsewhere, nothing of a record taken for markup; and a real browser agrees.
//!
//! The pages stay in the target folder, under `tmp/pages`, to be looked at.

use std::path::{Path, PathBuf};
use std::process::Command;

use photofinish_record::Record;

use crate::{charts, fixtures, page};

fn fixture(name: &str) -> &'static Record {
    let mut fixtures = fixtures::all().iter();
    let (_, record) = fixtures
        .find(|(fixture, _)| *fixture == name)
        .expect("a fixture");
    record
}

fn write_page(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pages");
    std::fs::create_dir_all(&folder).expect("the target folder is writable");
    let path = folder.join(format!("{name}.html"));
    std::fs::write(&path, page(fixture(name))).expect("the target folder is writable");
    path
}

#[test]
fn every_page_is_one_file_without_script_or_anything_from_elsewhere() {
    for (name, record) in fixtures::all() {
        write_page(name);
        let html = page(record);
        for forbidden in [
            "<script",
            "<link",
            "<img",
            "<iframe",
            "src=\"",
            "@import",
            "url(",
            "href=\"http",
            "onerror=\"",
        ] {
            // Escaped text may say anything; only markup counts.
            assert!(!html.contains(forbidden), "{name}: {forbidden}");
        }
        assert!(
            html.starts_with("<!DOCTYPE html>") && html.ends_with("</html>"),
            "{name}"
        );
        let namespaces = html.matches("http://www.w3.org/2000/svg").count();
        let addresses = html.matches("http://").count();
        assert_eq!(namespaces, addresses, "{name}: only namespaces");
    }
}

#[test]
fn a_heading_names_few_scenarios_and_counts_many() {
    let mut record = fixtures::tour();
    let heading = |record: &Record| {
        let html = page(record);
        let (_, rest) = html.split_once("<h1>").expect("a heading");
        rest.split_once("</h1>").expect("its end").0.to_owned()
    };
    assert_eq!(heading(&record), "http-get, file-read, db-select");
    for number in 4..=7 {
        let mut another = record.plan.scenarios[0].clone();
        another.name = format!("another-{number}");
        let sweep = fixtures::Sweep {
            concurrency: &[1],
            rounds: 1,
            operation_ns: 1e6,
            ops: 100,
        };
        fixtures::add(&mut record, another, &["sync"], sweep);
    }
    assert_eq!(heading(&record), "7 scenarios");
}

#[test]
fn text_from_a_record_is_never_markup() {
    let html = page(&fixtures::hostile());
    for said in [
        "&lt;script&gt;alert('title')&lt;/script&gt;",
        "&lt;script&gt;alert('warning')&lt;/script&gt;",
        "&lt;script&gt;alert(4)&lt;/script&gt;",
        "&lt;img src=x onerror=alert(2)&gt;",
        "&lt;/details&gt;&lt;script&gt;alert(3)&lt;/script&gt;",
        "&lt;b&gt;sync&lt;/b&gt;",
    ] {
        assert!(html.contains(said), "{said}");
    }
    assert!(!html.contains("<b>sync") && !html.contains("<img"));
}

#[test]
fn a_page_has_everything_needed_to_repeat_the_run() {
    let record = fixtures::tour();
    let html = page(&record);
    let versions = record
        .dependencies
        .iter()
        .map(|(name, version)| format!("{name} {version}"));
    let facts = [
        "photofinish run --seed 42",
        &record.plan_hash,
        &record.id,
        "AMD EPYC 7763",
        "split: server on CPU 0",
    ];
    for fact in facts
        .map(str::to_owned)
        .into_iter()
        .chain(versions)
        .chain(record.warnings)
    {
        assert!(html.contains(&fact), "{fact}");
    }
}

#[test]
fn observed_values_have_their_own_tables() {
    let html = page(&fixtures::open_loads());
    for shown in [
        "<th scope=\"col\">probe lag</th><th scope=\"col\">p50</th><th scope=\"col\">p99</th><th scope=\"col\">max</th>",
        "<th scope=\"col\">idle task</th><th scope=\"col\">bytes</th>",
        "1.21KiB",
    ] {
        assert!(html.contains(shown), "{shown}");
    }
    assert!(!page(&fixtures::tour()).contains("probe lag"));
}

#[test]
fn cells_without_numbers_are_on_the_page_with_their_reasons() {
    let html = page(&fixtures::failures());
    for said in [
        "producers and consumers at once need more than one thread",
        "the server was gone: connection refused",
        "the server counted 4003 requests, the worker 4002",
        "18.37% of operations failed; the limit is 1%",
        "operation 17: expected 2 bytes, got 3",
        "1 of 5 rounds failed: the worker was killed by signal 9",
    ] {
        assert!(html.contains(said), "{said}");
    }
    let interrupted = page(&fixtures::interrupted());
    assert!(interrupted.contains("The run was interrupted"));
}

#[test]
fn the_page_of_a_search_has_its_results_and_steps_and_no_group_of_a_step() {
    let html = page(fixture("search"));
    for said in [
        "smol at ≥ 4.50k/s with response_p99 &lt; 50ms",
        "highest rate with response_p99 &lt; 50ms, 64 sessions",
        "threads: unfinished: the objective is not met at the lowest rate",
        "Steps of the search",
        "of 7600 operations did not end",
    ] {
        assert!(html.contains(said), "{said}");
    }
    assert!(!html.contains("open, 800/s") && !html.contains("Cost per operation"));
    assert_eq!(html.matches("<figure>").count(), 1);
}

#[test]
fn a_rate_not_held_is_prominent_and_unknown_costs_are_marked() {
    let html = page(fixture("open-loads"));
    assert_eq!(html.matches("<strong> not held</strong>").count(), 1);
    assert!(html.contains("sync did not hold the rate in 10 of 10 rounds"));
    assert_eq!(html.matches("Cost per operation").count(), 2);
    assert!(html.contains("overhead of the loop</th>") && html.contains("<td>n/a</td>"));
    let closed = page(fixture("tour"));
    assert!(!closed.contains("Open load:") && closed.contains("Closed load:"));
    assert!(html.contains("Open load:") && !html.contains("Closed load:"));
}

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
        let (path, figures) = (write_page(name), charts(fixture(name)).len());
        let Some(shown) = browse(&path) else {
            return;
        };
        assert_eq!(
            shown.dom.matches("<table class=\"results\">").count(),
            tables,
            "{name}"
        );
        assert_eq!(shown.dom.matches("<figure>").count(), figures, "{name}");
        assert!(!shown.dom.contains("<script"), "{name}");
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
    let output = ["chromium", "chromium-browser", "google-chrome"]
        .into_iter()
        .find_map(|browser| {
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
