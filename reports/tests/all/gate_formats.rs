//! The formats of a gate: each renders every kind of report, and other programs read what comes out.
//!
//! The reports are literals: what a record comes to is tested in `gate`.

use photofinish_record::machine::Machine;
use photofinish_record::{ArmKind, ArmSource, Requirement, SourceLocation};
use photofinish_reports::formats::{self, File};
use photofinish_reports::gate::{
    Check, CheckVerdict, GATE_SCHEMA, GateReport, GateVerdict, Interval,
};
use photofinish_reports::rule::Look;
use serde_json::{Value, json};

use crate::json_schema::JsonSchema;
use crate::{fixtures, foreign};

/// What breaks tables, commands, tags and quotes where it is not escaped.
const HOSTILE: &str = "a|b`c`\\|*d*_e_<b>&amp;[f](g)~~h~~ @i #1 %0A::error::j,\"k\"=1 https://x.y/z $m$\r\n\t| - 1. l";

/// Every kind of report, by name.
fn reports() -> Vec<(&'static str, GateReport)> {
    let broken = || {
        vec![
            slower(0.15, "http.toml", 31),
            objective(),
            undecided(),
            errors(),
        ]
    };
    let report = |verdict, reason: &str, checks| report(verdict, reason, checks);
    let machine =
        "the machine was too busy to measure: 5 of 16 blocks were disturbed (none redone)";
    let wrong =
        "the arms answer differently: GET / is 64 bytes of the base and 65 bytes of the head";
    let mut wrong = report(GateVerdict::Wrong, wrong, broken());
    wrong.problems = vec![
        wrong.reason.clone(),
        "the head was measured, but wrong".to_owned(),
    ];
    let advisory = GateReport {
        paired: false,
        advisory: Some("the base was measured on another machine".to_owned()),
        ..report(GateVerdict::Regression, "http-get is slower", broken())
    };
    let many =
        (0_u32..15).map(|index| slower(0.5 - f64::from(index) / 100.0, "http.toml", index + 1));
    vec![
        (
            "pass",
            report(
                GateVerdict::Pass,
                "both checks hold",
                vec![held(), errors()],
            ),
        ),
        (
            "regression",
            report(GateVerdict::Regression, "http-get is 15% slower", broken()),
        ),
        (
            "inconclusive",
            report(
                GateVerdict::Inconclusive,
                "1 of 2 undecided",
                vec![undecided(), held()],
            ),
        ),
        (
            "empty",
            report(GateVerdict::Inconclusive, "the gate is empty", Vec::new()),
        ),
        ("unfit", report(GateVerdict::Unfit, machine, broken())),
        ("wrong", wrong),
        ("advisory", advisory),
        (
            "many",
            report(
                GateVerdict::Regression,
                "http-get is 50% slower",
                many.collect(),
            ),
        ),
        ("hostile", hostile()),
    ]
}

fn report(verdict: GateVerdict, reason: &str, checks: Vec<Check>) -> GateReport {
    let source = |what: &str| ArmSource {
        kind: ArmKind::Server,
        what: what.to_owned(),
        identity: Some("SHA-256 2c26b46b".to_owned()),
        sha256: None,
    };
    GateReport {
        schema: GATE_SCHEMA.to_owned(),
        id: "20261120T182743Z-k3f9".to_owned(),
        started_utc: "2026-11-20T18:27:43.25Z".to_owned(),
        machine: Machine {
            os: "Linux 6.1.0".to_owned(),
            arch: "x86_64".to_owned(),
            cpus_online: 2,
            ..Machine::default()
        },
        verdict,
        reason: reason.to_owned(),
        base: source("./old/server --port {port}"),
        head: source("./new/server --port {port}"),
        paired: true,
        advisory: None,
        blocks: 16,
        look: Look {
            number: 2,
            planned: 4,
        },
        tolerance: 0.02,
        checks,
        problems: Vec::new(),
        warnings: vec!["The load average was 1.7 on 2 CPUs when the run began.".to_owned()],
    }
}

fn held() -> Check {
    Check {
        scenario: "http-get".to_owned(),
        runtime: "tokio".to_owned(),
        load: fixtures::closed(16),
        metric: "throughput_ops_s".to_owned(),
        unit: "ops/s".to_owned(),
        requirement: Requirement::Slowdown { limit: 0.1 },
        text: "throughput = \"10%\"".to_owned(),
        place: None,
        verdict: CheckVerdict::Pass,
        reason: None,
        base: Some(61_234.5),
        head: Some(61_000.25),
        slowdown: Some(Interval {
            estimate: 0.004,
            low: -0.01,
            high: 0.03,
        }),
        value: None,
        samples: 16,
    }
}

fn slower(by: f64, file: &str, line: u32) -> Check {
    Check {
        place: Some(SourceLocation {
            file: file.to_owned(),
            line,
        }),
        verdict: CheckVerdict::Regression,
        slowdown: Some(Interval {
            estimate: by,
            low: by - 0.03,
            high: by + 0.03,
        }),
        ..held()
    }
}

fn objective() -> Check {
    Check {
        metric: "service_p99_ns".to_owned(),
        unit: "ns".to_owned(),
        requirement: Requirement::Below { value: 20e6 },
        text: "service_p99 = \"< 20ms\"".to_owned(),
        place: Some(SourceLocation {
            file: "./bench/a:b,c%.toml".to_owned(),
            line: 7,
        }),
        verdict: CheckVerdict::Regression,
        base: None,
        head: Some(31e6),
        slowdown: None,
        value: Some(Interval {
            estimate: 31e6,
            low: 29e6,
            high: 33e6,
        }),
        ..held()
    }
}

fn undecided() -> Check {
    Check {
        verdict: CheckVerdict::Inconclusive,
        reason: Some("undecided at look 2 of 4, when the gate ended".to_owned()),
        slowdown: None,
        base: None,
        head: None,
        ..held()
    }
}

fn errors() -> Check {
    Check {
        metric: "errors".to_owned(),
        unit: String::new(),
        requirement: Requirement::Errors { most: 0.0 },
        text: "errors = \"0\"".to_owned(),
        reason: Some("0 of 240000 operations failed".to_owned()),
        base: None,
        head: Some(0.0),
        slowdown: None,
        value: Some(Interval {
            estimate: 0.0,
            low: 0.0,
            high: 0.0,
        }),
        ..held()
    }
}

fn hostile() -> GateReport {
    let check = Check {
        scenario: HOSTILE.to_owned(),
        runtime: HOSTILE.to_owned(),
        metric: HOSTILE.to_owned(),
        text: HOSTILE.to_owned(),
        reason: Some(HOSTILE.to_owned()),
        ..undecided()
    };
    let broken = Check {
        scenario: HOSTILE.to_owned(),
        ..slower(0.2, HOSTILE, 3)
    };
    let mut report = report(GateVerdict::Regression, HOSTILE, vec![broken, check]);
    report.base.what = HOSTILE.to_owned();
    report.base.identity = Some(HOSTILE.to_owned());
    report.advisory = Some(HOSTILE.to_owned());
    report.problems = vec![HOSTILE.to_owned() + "2"];
    report.warnings = vec![HOSTILE.to_owned()];
    report.machine.os = HOSTILE.to_owned();
    report
}

fn render(format: &str, report: &GateReport) -> File {
    formats::export_gate(format, report).expect("a report renders")
}

fn text(format: &str, report: &GateReport) -> String {
    String::from_utf8(render(format, report).bytes).expect("UTF-8")
}

/// The file of every report, by the report's name.
fn every(format: &str) -> Vec<File> {
    let file = |(name, report): (&str, GateReport)| File {
        name: name.to_owned(),
        ..render(format, &report)
    };
    reports().into_iter().map(file).collect()
}

fn find(name: &str) -> GateReport {
    let mut reports = reports().into_iter();
    let found = reports.find(|(listed, _)| *listed == name);
    found.expect("listed").1
}

fn list(value: &Value) -> &Vec<Value> {
    value.as_array().expect("a list")
}

#[test]
fn every_gate_format_renders_every_report_into_a_plain_file_name() {
    for format in formats::of_gates() {
        for (name, report) in reports() {
            let file = formats::export_gate(format.name, &report)
                .unwrap_or_else(|error| panic!("{name}: {error}"));
            let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
            assert!(file.name.chars().all(plain), "{}", file.name);
            assert!(file.name.contains('.'), "{}", file.name);
        }
    }
}

#[test]
fn gate_json_follows_its_schema_and_round_trips() {
    let schema = include_str!("../../../docs/schemas/gate.schema.json");
    let schema = serde_json::from_str(schema).expect("JSON");
    let schema = JsonSchema::new(schema);
    for (name, report) in reports() {
        let document: Value = serde_json::from_str(&text("json", &report)).expect("JSON");
        schema.check(&document, name);
        let read: GateReport = serde_json::from_value(document).expect("own output");
        assert!(read == report, "{name}");
    }
}

#[test]
fn a_gates_csv_is_read_with_every_check_and_number() {
    let Some(python) = foreign::python("csv", "its own library") else {
        return;
    };
    let read = foreign::read(&python, READ_CSV, &every("csv"));
    for ((name, report), lines) in reports().iter().zip(list(&read)) {
        assert_eq!(list(lines).len(), report.checks.len(), "{name}");
        for (line, check) in list(lines).iter().zip(&report.checks) {
            assert_eq!(line["scenario"], check.scenario, "{name}");
            assert_eq!(line["verdict"], check.verdict.name(), "{name}");
            assert_eq!(line["gate"], report.verdict.name(), "{name}");
        }
    }
    let lines = list(&read[1]);
    let fields = |line: &Value, names: &[&str]| -> Vec<String> {
        names
            .iter()
            .map(|name| line[name].as_str().expect("text").to_owned())
            .collect()
    };
    let names = [
        "metric",
        "requirement",
        "limit",
        "file",
        "line",
        "base",
        "head",
        "slowdown",
        "value_high",
        "samples",
    ];
    assert_eq!(
        fields(&lines[0], &names),
        [
            "throughput_ops_s",
            "slowdown",
            "0.1",
            "http.toml",
            "31",
            "61234.5",
            "61000.25",
            "0.15",
            "",
            "16"
        ]
    );
    assert_eq!(
        fields(&lines[1], &names),
        [
            "service_p99_ns",
            "below",
            "20000000",
            "./bench/a:b,c%.toml",
            "7",
            "",
            "31000000",
            "",
            "33000000",
            "16"
        ]
    );
}

const READ_CSV: &str = r#"
import csv, json, sys
def read(path):
    lines = list(csv.DictReader(open(path, encoding="utf-8", newline=""), strict=True))
    assert all(None not in line and None not in line.values() for line in lines), "a line of another length"
    return lines
print(json.dumps([read(path) for path in sys.argv[1:]]))
"#;

/// Goal: a CI system's test tab is red exactly where the exit code is not 0, and shows the checks that are to blame.
#[test]
fn junit_is_red_exactly_where_a_gate_did_not_pass() {
    let Some(python) = foreign::junit_reader() else {
        return;
    };
    let mut files = every("junit");
    files.push(foreign::junit_schema());
    let read = foreign::read(&python, foreign::READ_JUNIT, &files);
    for ((name, report), suites) in reports().iter().zip(list(&read)) {
        let cases: Vec<&Value> = list(suites).iter().flat_map(list).collect();
        assert_eq!(cases.len(), 1 + report.checks.len(), "{name}");
        let red = |case: &&&Value| case["result"] == "Failure" || case["result"] == "Error";
        let any = cases.iter().any(|case| red(&case));
        assert_eq!(any, report.verdict != GateVerdict::Pass, "{name}");
        let failures = cases[1..]
            .iter()
            .filter(|case| case["result"] == "Failure")
            .count();
        let broken = report
            .checks
            .iter()
            .filter(|check| check.verdict == CheckVerdict::Regression);
        let believed = !matches!(report.verdict, GateVerdict::Wrong | GateVerdict::Unfit);
        assert_eq!(
            failures,
            if believed { broken.count() } else { 0 },
            "{name}"
        );
        assert_eq!(cases[0]["name"], "decided");
    }
    let results = |index: usize| -> Vec<&str> {
        let cases = list(&read[index]).iter().flat_map(list);
        cases
            .map(|case| case["result"].as_str().expect("text"))
            .collect()
    };
    assert_eq!(results(0), ["Passed", "Passed", "Passed"]);
    assert_eq!(
        results(1),
        ["Passed", "Failure", "Failure", "Skipped", "Passed"]
    );
    assert_eq!(results(3), ["Error"]);
    assert_eq!(
        results(4),
        ["Error", "Skipped", "Skipped", "Skipped", "Skipped"]
    );
    assert_eq!(results(5)[0], "Failure");
    let first = &read[1][1][0];
    assert_eq!(
        first["name"],
        "tokio · closed, 16 in flight · throughput < +10%"
    );
    assert_eq!(
        first["message"],
        "it is 0.870× the base: +15% time per operation (+12% to +18%), expected < +10%"
    );
}

/// Goal: the summary's table is a table with the checks' own words in it, and nothing in a name is markup. Method:
/// Python's
/// `markdown-it-py` reads it with GitHub's tables.
#[test]
fn markdown_is_one_table_and_names_are_escaped() {
    let Some(python) = foreign::python("markdown_it", "the package markdown-it-py") else {
        return;
    };
    let read = foreign::read(&python, READ_MARKDOWN, &every("markdown"));
    for ((name, report), document) in reports().iter().zip(list(&read)) {
        let tables = usize::from(!report.checks.is_empty());
        assert_eq!(document["tables"], tables, "{name}");
        let rows = list(&document["rows"]);
        assert_eq!(rows.len(), tables + report.checks.len(), "{name}");
        assert!(rows.iter().all(|row| list(row).len() == 8), "{name}");
        assert_eq!(document["foreign"], json!([]), "{name}");
        assert_eq!(
            document["heading"],
            format!("Gate: {}", report.verdict.name().to_uppercase())
        );
    }
    assert_eq!(
        read[1]["rows"][1],
        json!([
            "http-get / tokio · closed, 16 in flight · throughput",
            "61.2k",
            "61.0k",
            "0.870×",
            "+15%",
            "+12% to +18%",
            "< +10%",
            "regression"
        ])
    );
    assert_eq!(read[1]["rows"][2][6], "< 20.0ms");
    let plain = HOSTILE.split_whitespace().collect::<Vec<_>>().join(" ");
    let hostile = &list(&read)[8];
    let cell = hostile["rows"][1][0].as_str().expect("text");
    assert_eq!(
        cell,
        format!("{plain} / tokio · closed, 16 in flight · throughput")
    );
    let paragraphs = list(&hostile["paragraphs"]);
    assert!(
        paragraphs.contains(&json!(format!("Why: {plain}."))),
        "{paragraphs:?}"
    );
    assert_eq!(hostile["code"][0], plain);
}

#[test]
fn markdown_stays_below_githubs_limit_and_says_what_it_dropped() {
    let checks: Vec<Check> = (0_u32..20_000)
        .map(|index| match index {
            0 => slower(0.4, "http.toml", 1),
            _ => Check {
                scenario: format!("scenario-{index}"),
                ..held()
            },
        })
        .collect();
    let mut huge = report(GateVerdict::Regression, &"|".repeat(3_000_000), checks);
    huge.problems = vec!["<".repeat(2_000_000); 1000];
    huge.warnings = (0..100_000)
        .map(|index| format!("{index}: {}", HOSTILE.repeat(10)))
        .collect();
    let text = text("markdown", &huge);
    assert!(
        (900_000..=1_000_000).contains(&text.len()),
        "{}",
        text.len()
    );
    let rows = text.lines().filter(|line| line.starts_with("| ")).count() - 1;
    let dropped = format!("\n{} further checks left out here", 20_000 - rows);
    assert!(text.contains(&dropped), "{rows} rows, but not {dropped:?}");
    assert!(text.contains("regression |\n"), "the worst is kept");
    assert!(text.contains("- and 980 more\n") && text.contains("- and 99980 more\n"));
}

const READ_MARKDOWN: &str = r#"
import json, sys
from markdown_it import MarkdownIt
KNOWN = {"text", "softbreak", "code_inline", "strong_open", "strong_close", "text_special"}
def plain(inline):
    return "".join(child.content for child in inline.children)
def read(path):
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(open(path, encoding="utf-8", newline="").read())
    document = {"tables": 0, "rows": [], "foreign": [], "paragraphs": [], "code": [], "heading": None}
    for index, token in enumerate(tokens):
        document["tables"] += token.type == "table_open"
        if token.type == "tr_open":
            document["rows"].append([])
        if token.type in ("html_block", "fence", "code_block", "blockquote_open", "hr"):
            document["foreign"].append(token.type)
        if token.type == "inline":
            kinds = {child.type for child in token.children}
            document["foreign"] += sorted(kinds - KNOWN)
            document["code"] += [child.content for child in token.children if child.type == "code_inline"]
            before = tokens[index - 1].type
            if before in ("th_open", "td_open"):
                document["rows"][-1].append(plain(token))
            elif before == "heading_open":
                document["heading"] = plain(token)
            else:
                document["paragraphs"].append(plain(token))
    return document
print(json.dumps([read(path) for path in sys.argv[1:]]))
"#;

/// A workflow command as GitHub's runner reads it.
#[derive(Debug, PartialEq, Eq)]
struct Command {
    name: String,
    properties: Vec<(String, String)>,
    message: String,
}

/// Reads one line by the documented grammar: `::name key=value,key=value::message`, with what is escaped put back. The
/// runner splits at the first of `::`, ` `, `,` and `=` it meets, so anything else in a value would show here.
fn command(line: &str) -> Option<Command> {
    let (head, message) = line.strip_prefix("::")?.split_once("::")?;
    let (name, properties) = head.split_once(' ').unwrap_or((head, ""));
    let back = |text: &str| {
        text.replace("%0D", "\r")
            .replace("%0A", "\n")
            .replace("%3A", ":")
            .replace("%2C", ",")
            .replace("%25", "%")
    };
    let properties = properties
        .split(',')
        .filter(|property| !property.is_empty());
    let properties: Option<Vec<(String, String)>> = properties
        .map(|property| {
            let (key, value) = property.split_once('=')?;
            Some((key.trim().to_owned(), back(value)))
        })
        .collect();
    Some(Command {
        name: name.to_owned(),
        properties: properties?,
        message: message
            .replace("%0D", "\r")
            .replace("%0A", "\n")
            .replace("%25", "%"),
    })
}

fn commands(report: &GateReport) -> Vec<Command> {
    let text = text("annotations", report);
    let command = |line: &str| command(line).unwrap_or_else(|| panic!("no command: {line}"));
    text.lines().map(command).collect()
}

#[test]
fn annotations_are_on_the_lines_of_the_limits_worst_first() {
    let found = commands(&find("regression"));
    let reported: Vec<(&str, String)> = found
        .iter()
        .map(|command| {
            let properties = command
                .properties
                .iter()
                .map(|(key, value)| format!("{key}={value}"));
            (
                command.name.as_str(),
                properties.collect::<Vec<_>>().join(";"),
            )
        })
        .collect();
    assert_eq!(
        reported,
        [
            (
                "error",
                "file=http.toml;line=31;title=regression: http-get".to_owned()
            ),
            (
                "error",
                "file=bench/a:b,c%.toml;line=7;title=regression: http-get".to_owned()
            ),
            ("warning", "title=inconclusive: http-get".to_owned()),
        ]
    );
    assert_eq!(
        found[0].message,
        "tokio · closed, 16 in flight · throughput is 0.870× the base: +15% time per operation (+12% to +18%), expected < +10%"
    );
    assert_eq!(
        found[1].message,
        "tokio · closed, 16 in flight · service_p99 is 31.0ms (29.0ms to 33.0ms), expected < 20.0ms"
    );
    assert!(commands(&find("pass")).is_empty());
    let advice = commands(&find("advisory"));
    assert!(
        advice.iter().all(|command| command.name == "warning"),
        "{advice:?}"
    );
}

#[test]
fn there_are_at_most_ten_annotations_and_the_last_says_how_many_more() {
    let found = commands(&find("many"));
    assert_eq!(found.len(), 10);
    assert!(
        found[0].message.contains("+50% time per operation"),
        "{found:?}"
    );
    assert!(
        found[9].message.ends_with("(5 more in the report)"),
        "{found:?}"
    );
}

#[test]
fn a_gate_without_a_result_is_annotated_with_its_reason_only() {
    for (name, level) in [
        ("wrong", "error"),
        ("unfit", "warning"),
        ("empty", "warning"),
    ] {
        let report = find(name);
        let found = commands(&report);
        assert_eq!(found.len(), 1, "{name}");
        assert_eq!(
            (found[0].name.as_str(), &found[0].message),
            (level, &report.reason),
            "{name}"
        );
    }
}

#[test]
fn a_name_never_ends_or_starts_an_annotation() {
    let report = hostile();
    let found = commands(&report);
    assert_eq!(found.len(), 2);
    let expected = vec![
        ("file".to_owned(), HOSTILE.to_owned()),
        ("line".to_owned(), "3".to_owned()),
        ("title".to_owned(), format!("regression: {HOSTILE}")),
    ];
    assert_eq!(found[0].properties, expected);
    assert!(found[1].message.ends_with(HOSTILE), "{found:?}");
}
