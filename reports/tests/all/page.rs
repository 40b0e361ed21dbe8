//! The page: one file, nothing from elsewhere, nothing of a record taken for markup.
//!
//! The pages stay in the target folder, under `tmp/pages`, to be looked at.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use photofinish_record::Record;
use photofinish_reports::compare::RecordComparison;
use photofinish_reports::terminal::{self, Style};
use photofinish_reports::{comparison_page, embedded};

use crate::{adversarial, fixtures, page};

pub(crate) fn fixture(name: &str) -> &'static Record {
    let mut fixtures = fixtures::all().iter();
    let (_, record) = fixtures
        .find(|(fixture, _)| *fixture == name)
        .expect("a fixture");
    record
}

pub(crate) fn write_page(name: &str) -> PathBuf {
    write(name, &page(fixture(name)))
}

/// Writes a page to be looked at.
pub(crate) fn write(name: &str, html: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pages");
    std::fs::create_dir_all(&folder).expect("the target folder is writable");
    let path = folder.join(format!("{name}.html"));
    std::fs::write(&path, html).expect("the target folder is writable");
    path
}

#[test]
fn every_page_is_one_file_with_one_script_and_nothing_from_elsewhere() {
    for (name, record) in fixtures::all() {
        write_page(name);
        let html = page(record);
        // Data blocks, and the page's own script, which alone its policy allows.
        let data = html
            .matches("<script type=\"application/x-photofinish-")
            .count();
        assert_eq!(html.matches("<script>").count(), 1, "{name}");
        assert_eq!(html.matches("<script").count(), 1 + data, "{name}");
        assert_eq!(html.matches("script-src 'sha256-").count(), 1, "{name}");
        for forbidden in [
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

/// Goal: a page contains its record. Method: every fixture, there and back.
#[test]
fn a_record_comes_back_out_of_its_page() {
    for (name, record) in fixtures::all() {
        let json = embedded::extract(&page(record)).expect(name);
        let read = Record::read(&json).expect(name);
        assert_eq!(&read, record, "{name}");
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
        "<caption>probe lag: how late a task that asks to run every millisecond was scheduled</caption><thead><tr><th scope=\"col\">runtime</th><th scope=\"col\">p50</th>",
        "<caption>idle task: memory of a task that waits</caption><thead><tr><th scope=\"col\">runtime</th><th scope=\"col\">bytes</th>",
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
        "<caption>Highest rate with response_p99 &lt; 50ms</caption>",
        "<b>≥ 4.50k/s</b>",
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

/// Expectations of a request say nothing about operations of several requests.
#[test]
fn system_calls_stand_beside_the_design_only_where_an_operation_is_one_request() {
    let mut record = fixtures::tour();
    let html = page(&record);
    assert!(html.contains("<caption>System calls per request</caption>"));
    assert!(html.contains(
        "2 + 1/k</td><td class=\"name\">send and recv, and one wait for k responses</td>"
    ));
    fixtures::each_measured(&mut record, |_, _, measured| {
        for traffic in measured.worker.traffic.values_mut() {
            traffic.requests *= 3;
        }
    });
    assert!(!page(&record).contains("System calls per request"));
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
            if ["record.json", "rounds.hlog"].contains(&link) {
                continue;
            }
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
    assert!(links > 200, "{links}");
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

#[test]
fn a_gates_page_has_its_verdict_as_heading_and_both_arms_in_one_table() {
    let html = page(&adversarial::gate(10, 0.5));
    assert!(html.contains("<h1>Gate <span class=\"verdict regression\">regression</span>"));
    assert!(html.contains("<svg class=\"interval\""));
    assert_eq!(html.matches("<table class=\"results cards\"").count(), 1);
    let tables = html.split("<table class=\"results\"").skip(1);
    let results: Vec<&str> = tables
        .filter_map(|table| table.split("</table>").next())
        .collect();
    assert_eq!(results.len(), 1);
    for arm in ["base", "head"] {
        assert!(results[0].contains(&format!("data-arm=\"{arm}\"")), "{arm}");
    }
}

/// Goal: the page of a comparison has counts and largest changes first. Method: two changes, then what differs besides.
#[test]
fn a_comparison_page_counts_the_changes_and_begins_with_the_largest() {
    let base = fixtures::steady(&["sync", "tokio", "smol"], 10);
    let mut head = base.clone();
    head.machine.cpu_model = Some("another <CPU>".to_owned());
    fixtures::each_measured(&mut head, |cell, _, measured| {
        measured.worker.throughput_ops_s *= [1.0, 0.5, 4.0][cell];
    });
    let comparison = RecordComparison::of(&base, &head);
    let html = comparison_page(&comparison);
    assert!(html.contains("<h1>1 faster, 1 slower, "), "{html}");
    let changes = values(&html, "data-metric");
    assert_eq!(changes[..2], ["throughput_ops_s", "throughput_ops_s"]);
    assert_eq!(values(&html, "data-runtime")[..2], ["smol", "tokio"]);
    assert!(html.contains("another &lt;CPU&gt;"));
    let text = terminal::comparison(
        &comparison,
        Style {
            width: 120,
            colour: false,
        },
    );
    let (counts, changes) = (
        text.find("1 faster, 1 slower"),
        text.find("Changes, the largest first"),
    );
    assert!(counts.is_some() && counts < changes, "{text}");
}
