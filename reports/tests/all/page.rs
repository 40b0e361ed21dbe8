//! The page: one file, nothing from elsewhere, nothing of a record taken for markup; and a real browser agrees.
//!
//! The pages stay in the target folder, under `tmp/pages`, to be looked at.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use photofinish_record::Record;

use crate::{adversarial, charts, fixtures, page};

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
        "<caption>probe lag</caption><thead><tr><th scope=\"col\">runtime</th><th scope=\"col\">p50</th>",
        "<caption>idle task</caption><thead><tr><th scope=\"col\">runtime</th><th scope=\"col\">bytes</th>",
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
fn a_rate_not_held_is_prominent_and_costs_are_under_each_load() {
    let html = page(fixture("open-loads"));
    assert_eq!(html.matches("<strong> not held</strong>").count(), 1);
    assert!(html.contains("sync did not hold the rate in 10 of 10 rounds"));
    assert_eq!(html.matches("<summary>Cost per operation").count(), 2);
    assert!(html.contains("overhead of the loop</th>"));
    let closed = page(fixture("tour"));
    assert!(!closed.contains("Open load:") && closed.contains("Closed load:"));
    assert!(html.contains("Open load:") && !html.contains("Closed load:"));
}

/// The values of an attribute, in order.
fn values<'a>(html: &'a str, attribute: &str) -> Vec<&'a str> {
    let start = format!(" {attribute}=\"");
    let rest = html.split(&start).skip(1);
    rest.map(|rest| rest.split('"').next().unwrap_or_default())
        .collect()
}

#[test]
fn every_link_leads_somewhere_and_every_id_and_region_is_unique() {
    let records = adversarial::records();
    let all = fixtures::all().iter().chain(&records);
    let mut links = 0;
    for (name, record) in all {
        let html = page(record);
        let ids = values(&html, "id");
        let unique: BTreeSet<&str> = ids.iter().copied().collect();
        assert_eq!(ids.len(), unique.len(), "{name}: {ids:?}");
        for link in values(&html, "href") {
            links += 1;
            let id = link.strip_prefix('#').expect("a link within the page");
            assert!(unique.contains(id), "{name}: {link}");
        }
        let regions = html.matches("role=\"region\"").count();
        let labels = values(&html, "aria-label");
        let labels: Vec<&str> = labels
            .into_iter()
            .filter(|label| !label.starts_with("warning "))
            .collect();
        let distinct: BTreeSet<&str> = labels.iter().copied().collect();
        assert!(labels.len() >= regions, "{name}");
        assert_eq!(labels.len(), distinct.len(), "{name}: {labels:?}");
        assert_eq!(
            html.matches("<table").count(),
            html.matches("<caption>").count(),
            "{name}"
        );
    }
    assert!(links > 250, "{links}");
}

/// Goal: the first screen has the answer. Method: the order of the parts, and a cell of the matrix for each of the plan.
#[test]
fn the_verdict_matrix_comes_first_and_the_text_of_warnings_after_the_scenarios() {
    let record = fixtures::tour();
    let html = page(&record);
    let at = |text: &str| html.find(text).unwrap_or_else(|| panic!("no {text}"));
    let order = [
        "class=\"fitness",
        "href=\"#warnings\">1 warning<",
        "class=\"findings\"",
        "class=\"matrix\"",
        "id=\"http-get\"",
        "The load average was 1.7",
        "id=\"run\"",
        "id=\"reading\"",
    ];
    let positions = order.map(at);
    assert!(positions.is_sorted(), "{positions:?}");
    let (_, matrix) = html.split_once("class=\"matrix\"").expect("a matrix");
    let (matrix, _) = matrix.split_once("</table>").expect("its end");
    for cell in &record.plan.cells {
        let labelled = format!(" data-label=\"{}\"", cell.runtime);
        assert_eq!(matrix.matches(&labelled).count(), 3, "{}", cell.runtime);
    }
    assert_eq!(matrix.matches("class=\"faster s4\"").count(), 18);
    assert!(matrix.contains("href=\"#http-get:c64\"") && html.contains("id=\"http-get:c64\""));
}

#[test]
fn a_run_too_short_for_verdicts_says_so_once_and_calls_nothing_faster() {
    let mut record = fixtures::tour();
    record.rounds.retain(|round| round.block < 2);
    let html = page(&record);
    assert_eq!(html.to_lowercase().matches("no verdict").count(), 1);
    assert!(!html.contains("class=\"faster") && html.contains("class=\"undecided\""));
}

#[test]
fn operations_failures_and_disturbed_rounds_are_counted_in_the_tables() {
    let mut record = fixtures::failures();
    for round in record
        .rounds
        .iter_mut()
        .filter(|round| round.cell == 5 && round.block < 2)
    {
        round.conditions.disturbance = Some("other processes used 40% of the CPUs".to_owned());
    }
    let html = page(&record);
    assert!(
        html.contains("<small class=\"bad\">20 failed</small>"),
        "{html}"
    );
    assert!(html.contains("<small>2 disturbed</small>"));
    assert!(html.contains("2 of 24 rounds disturbed"));
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
            shown.dom.matches("<table class=\"results\"").count(),
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
