//! The formats of other programs: each is read by what it was made for, or judged by its published schema.
//!
//! Every fixture is read, since what breaks a reader is rarely in the usual record; of the usual ones the numbers are
//! compared too.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use photofinish_record::{Arm, Outcome, Record};
use photofinish_reports::formats::{self, File};
use photofinish_reports::metrics;
use photofinish_reports::report::Report;
use photofinish_reports::summary::{CellSummary, Status, Summary};
use photofinish_reports::thresholds::ThresholdVerdict;
use serde_json::{Value, json};

use crate::json_schema::JsonSchema;
use crate::{fixtures, foreign};

fn render(format: &str, record: &Record) -> Vec<File> {
    formats::export(format, &Report::of(record)).expect("a fixture renders")
}

/// Every fixture's file of a format that has one, by the fixture's name.
fn every(format: &str) -> Vec<File> {
    let render = |(name, record): &(&str, Record)| {
        let files = render(format, record);
        assert_eq!(files.len(), 1, "{format} of {name} is one file");
        File {
            name: (*name).to_owned(),
            bytes: files[0].bytes.clone(),
        }
    };
    fixtures::all().iter().map(render).collect()
}

/// Each fixture with what a reader made of it.
fn each(read: &Value) -> impl Iterator<Item = (&'static str, &'static Record, &Value)> {
    let read = read.as_array().expect("a list");
    assert_eq!(read.len(), fixtures::all().len());
    let fixtures = fixtures::all().iter().zip(read);
    fixtures.map(|((name, record), read)| (*name, record, read))
}

/// Of each fixture its summary, made once.
fn summary(fixture: &str) -> &'static Summary {
    static ALL: LazyLock<BTreeMap<&str, Summary>> = LazyLock::new(|| {
        let all = fixtures::all().iter();
        all.map(|(name, record)| (*name, Summary::of(record)))
            .collect()
    });
    &ALL[fixture]
}

fn cells(fixture: &str, status: Status) -> usize {
    let cells = summary(fixture).cells.iter();
    cells.filter(|cell| cell.status == status).count()
}

fn number(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}

#[test]
fn prometheus_reads_every_run_as_openmetrics() {
    let Some(python) = foreign::python(
        "prometheus_client.openmetrics",
        "the package prometheus_client",
    ) else {
        return;
    };
    let files = every("openmetrics");
    let read = foreign::read(&python, READ_OPENMETRICS, &files);
    for ((name, _, families), file) in each(&read).zip(&files) {
        let text = std::str::from_utf8(&file.bytes).expect("UTF-8");
        assert!(text.ends_with("# EOF\n"), "{name}");
        let lines = text.lines().filter(|line| !line.starts_with('#')).count();
        let families = families.as_array().expect("families");
        let samples = families.iter().map(|family| family["samples"].as_array());
        let read: usize = samples.map(|samples| samples.map_or(0, Vec::len)).sum();
        // The reader drops what is there twice without a word.
        assert_eq!(read, lines, "{name}");
        let status = find(families, "photofinish_cell_status");
        assert_eq!(status["type"], "stateset");
        let set = status["samples"].as_array().expect("samples").iter();
        let ok = set.filter(|sample| {
            sample["labels"]["photofinish_cell_status"] == "ok" && number(&sample["value"]) == 1.0
        });
        assert_eq!(ok.count(), cells(name, Status::Ok), "{name}");
    }
}

/// Goal: names, units and labels are what a user of Prometheus expects, and numbers are those of the summary in base units.
#[test]
fn openmetrics_has_the_summarys_numbers_in_base_units() {
    let Some(python) = foreign::python(
        "prometheus_client.openmetrics",
        "the package prometheus_client",
    ) else {
        return;
    };
    let read = foreign::read(&python, READ_OPENMETRICS, &every("openmetrics"));
    let (name, _, families) = each(&read)
        .find(|(name, ..)| *name == "open-loads")
        .expect("listed");
    let families = families.as_array().expect("families");
    let summary = summary(name);
    let cell = summary.cells.last().expect("a cell");
    for (name, unit, metric, factor) in [
        (
            "photofinish_service_p50_seconds",
            "seconds",
            "service_p50_ns",
            1e9,
        ),
        (
            "photofinish_throughput_ops_per_second",
            "ops_per_second",
            "throughput_ops_s",
            1.0,
        ),
        (
            "photofinish_cpu_seconds_per_op",
            "seconds_per_op",
            "cpu_ns_per_op",
            1e9,
        ),
        ("photofinish_peak_rss_bytes", "bytes", "peak_rss_bytes", 1.0),
        (
            "photofinish_context_switches_per_op",
            "switches_per_op",
            "context_switches_per_op",
            1.0,
        ),
        ("photofinish_late_ops", "ops", "late", 1.0),
        (
            "photofinish_idle_task_bytes",
            "bytes",
            "idle_task_bytes",
            1.0,
        ),
    ] {
        let family = find(families, name);
        assert_eq!(
            (&family["type"], &family["unit"]),
            (&json!("gauge"), &json!(unit))
        );
        let found = cell.metric(metric).expect(metric);
        for (estimate, expected) in [
            ("median", found.median),
            ("low", found.low),
            ("high", found.high),
        ] {
            let labels = json!({
                "scenario": "http-get", "runtime": "smol", "model": "open", "concurrency": "64",
                "arrivals": "poisson", "rate_hz": "6000", "estimate": estimate,
            });
            let mut samples = family["samples"].as_array().expect("samples").iter();
            let sample = samples.find(|sample| sample["labels"] == labels);
            let sample = sample.unwrap_or_else(|| panic!("{name} of {labels}"));
            assert_eq!(
                number(&sample["value"]),
                expected / factor,
                "{name} {estimate}"
            );
        }
    }
    let start = &find(families, "photofinish_run_start_timestamp_seconds")["samples"][0];
    assert_eq!(number(&start["value"]), 1_795_199_263.25);
    let (.., hostile) = each(&read)
        .find(|(name, ..)| *name == "hostile")
        .expect("listed");
    let status = find(
        hostile.as_array().expect("families"),
        "photofinish_cell_status",
    );
    let scenario = &status["samples"][0]["labels"]["scenario"];
    assert_eq!(*scenario, "../<script>alert(1)</script>,\"x\"");
}

#[test]
fn openmetrics_keeps_names_of_workloads_own_apart() {
    let Some(python) = foreign::python(
        "prometheus_client.openmetrics",
        "the package prometheus_client",
    ) else {
        return;
    };
    let mut record = fixtures::single();
    let own = [
        ("queue depth", 1.0),
        ("queue-depth", 2.0),
        ("a.b_ns", 3e9),
        ("a-b_ns", 4e9),
    ];
    for round in &mut record.rounds {
        let Outcome::Ok(measured) = &mut round.outcome else {
            panic!("measured")
        };
        let own = own.map(|(name, value)| (name.to_owned(), value));
        measured.worker.gauges.extend(own);
    }
    let read = foreign::read(&python, READ_OPENMETRICS, &render("openmetrics", &record));
    let families = read[0].as_array().expect("families");
    for (name, expected) in [
        ("photofinish_queue_depth", 1.0),
        ("photofinish_queue_depth_2", 2.0),
        ("photofinish_a_b_seconds", 4.0),
        ("photofinish_a_b_2_seconds", 3.0),
    ] {
        let value = &find(families, name)["samples"][0]["value"];
        assert_eq!(number(value), expected, "{name}");
    }
}

fn find<'a>(families: &'a [Value], name: &str) -> &'a Value {
    let mut families = families.iter();
    let found = families.find(|family| family["name"] == name);
    found.unwrap_or_else(|| panic!("no family {name}"))
}

const READ_OPENMETRICS: &str = r#"
import json, sys
from prometheus_client.openmetrics.parser import text_fd_to_metric_families
read = lambda path: [{
    "name": family.name, "type": family.type, "unit": family.unit, "help": family.documentation,
    "samples": [{"name": s.name, "labels": s.labels, "value": s.value} for s in family.samples],
} for family in text_fd_to_metric_families(open(path, encoding="utf-8", newline="\n"))]
print(json.dumps([read(path) for path in sys.argv[1:]]))
"#;

/// Goal: what reads JUnit finds every cell once, with the outcome that it had. Method: Python's `junitparser` reads it, and
/// lxml holds it against a schema.
#[test]
fn junit_readers_find_every_cell_with_its_outcome() {
    let Some(python) = foreign::junit_reader() else {
        return;
    };
    let mut files = every("junit");
    files.push(foreign::junit_schema());
    let read = foreign::read(&python, foreign::READ_JUNIT, &files);
    for (name, _, suites) in each(&read) {
        let cases: Vec<&Value> = all_cases(suites);
        let summary = summary(name);
        let judged = |verdict| {
            let checks = summary.thresholds.iter();
            checks.filter(|check| check.verdict == verdict).count()
        };
        let all = 1 + summary.cells.len() + summary.thresholds.len();
        assert_eq!(cases.len(), all, "{name}");
        let incomplete = usize::from(cases[0]["result"] == "Error");
        let of = |result: &str| cases.iter().filter(|case| case["result"] == result).count();
        assert_eq!(of("Skipped"), cells(name, Status::Unsupported), "{name}");
        assert_eq!(
            of("Failure"),
            cells(name, Status::Invalid) + judged(ThresholdVerdict::Missed),
            "{name}"
        );
        assert_eq!(
            of("Error"),
            incomplete + cells(name, Status::Failed) + judged(ThresholdVerdict::CannotTell),
            "{name}"
        );
        for cell in &summary.cells {
            let reason = cell.reason.clone().unwrap_or_default();
            let its = |case: &&&Value| {
                case["classname"] == cell.scenario
                    && case["name"].as_str().is_some_and(|name| {
                        name.rsplit_once(' ')
                            .is_some_and(|(runtime, _)| runtime == cell.runtime)
                    })
                    && case["message"] == reason
            };
            assert!(cases.iter().any(|case| its(&case)), "{name}: {cell:?}");
        }
    }
    let (.., empty) = each(&read)
        .find(|(name, ..)| *name == "empty")
        .expect("listed");
    assert_eq!(all_cases(empty)[0]["result"], "Error");
}

#[test]
fn junit_replaces_what_xml_cannot_hold() {
    let Some(python) = foreign::junit_reader() else {
        return;
    };
    let mut record = fixtures::single();
    record.plan.cells[0].runtime = "a\u{1b}[31m\"<&>'\r\n\tb\u{0}\u{ffff}".to_owned();
    record.warnings = vec!["]]> <![CDATA[".to_owned()];
    let mut files = render("junit", &record);
    files.push(foreign::junit_schema());
    let read = foreign::read(&python, foreign::READ_JUNIT, &files);
    let cases = all_cases(&read[0]);
    assert_eq!(
        cases[1]["name"],
        "a\u{fffd}[31m\"<&>'\r\n\tb\u{fffd}\u{fffd} c1"
    );
    assert!(
        cases[0]["output"]
            .as_str()
            .is_some_and(|output| output.contains("]]> <![CDATA["))
    );
}

fn all_cases(suites: &Value) -> Vec<&Value> {
    let suites = suites.as_array().expect("suites").iter();
    let cases = suites.flat_map(|suite| suite.as_array().expect("cases"));
    cases.collect()
}

/// Goal: Bencher takes it. Method: the published schema of the format, `https://bencher.dev/bmf.json`, made to refuse what
/// the format has no place for.
#[test]
fn bencher_metric_format_follows_its_schema_and_has_the_summarys_numbers() {
    let schema = json!({
        "$schema": "http://json-schema.org/draft-07/schema",
        "type": "object",
        "additionalProperties": {
            "type": "object",
            "minProperties": 1,
            "propertyNames": { "minLength": 1, "maxLength": 64 },
            "additionalProperties": {
                "type": "object",
                "properties": {
                    "value": { "type": "number" },
                    "lower_value": { "type": "number" },
                    "upper_value": { "type": "number" },
                },
                "required": ["value"],
                "additionalProperties": false,
            },
        },
    });
    let schema = JsonSchema::new(schema);
    for (name, record) in fixtures::all() {
        let document: Value =
            serde_json::from_slice(&render("bmf", record)[0].bytes).expect("JSON");
        schema.check(&document, name);
        let benchmarks = document.as_object().expect("an object");
        assert_eq!(benchmarks.len(), cells(name, Status::Ok), "{name}");
        let measures = benchmarks
            .values()
            .flat_map(|it| it.as_object().expect("measures"));
        for (measure, value) in measures {
            let median = number(&value["value"]);
            let bound = |key: &str| value.get(key).map_or(median, number);
            let (low, high) = (bound("lower_value"), bound("upper_value"));
            assert!(low <= median && median <= high, "{name}: {measure}");
        }
    }
    let record = fixtures::tour();
    let document: Value = serde_json::from_slice(&render("bmf", &record)[0].bytes).expect("JSON");
    let summary = summary("tour");
    let tokio = cell(summary, "http-get", "tokio");
    let expected = tokio.metric("throughput_ops_s").expect("known");
    assert_eq!(
        document["http-get/tokio/c64"]["throughput"],
        json!({"value": expected.median, "lower_value": expected.low, "upper_value": expected.high})
    );
}

/// Goal: no program that raises alarms is given a number that the summary calls a hint.
#[test]
fn percentiles_with_too_few_operations_are_not_exported_to_judging_tools() {
    let record = fixtures::short_rounds();
    let summary = summary("short-rounds");
    assert!(
        summary.cells[0]
            .metric("service_p99_ns")
            .is_some_and(|p99| p99.advisory.is_some())
    );
    for format in ["bmf", "github-action-benchmark", "benchstat", "openmetrics"] {
        let files = render(format, &record);
        let text = files
            .iter()
            .map(|file| String::from_utf8_lossy(&file.bytes));
        let text: String = text.collect();
        assert!(!text.is_empty(), "{format}");
        assert!(
            !text.contains("service_p99") && !text.contains("service-p99"),
            "{format}: {text}"
        );
    }
}

#[test]
fn unmeasured_cells_are_absent_from_judging_formats() {
    let record = fixtures::failures();
    let summary = summary("failures");
    for cell in summary
        .cells
        .iter()
        .filter(|cell| cell.status != Status::Ok)
    {
        for format in ["bmf", "github-action-benchmark", "benchstat"] {
            for file in render(format, &record) {
                let text = String::from_utf8(file.bytes).expect("UTF-8");
                for name in [
                    format!("/{}/", cell.runtime),
                    format!("runtime={}/", cell.runtime),
                ] {
                    assert!(!text.contains(&name), "{format}: {name}");
                }
            }
        }
    }
}

/// Goal: the arms of a gate are told apart, since everything else about their cells is the same.
#[test]
fn the_arms_of_a_gate_are_benchmarks_of_their_own() {
    let mut record = fixtures::tour();
    record.plan.cells.truncate(2);
    record.rounds.retain(|round| round.cell < 2);
    for (cell, arm) in record.plan.cells.iter_mut().zip([Arm::Base, Arm::Head]) {
        cell.runtime = "tokio".to_owned();
        cell.arm = Some(arm);
    }
    let text = |format| {
        let files = render(format, &record);
        String::from_utf8(files[0].bytes.clone()).expect("UTF-8")
    };
    for arm in ["base", "head"] {
        let name = format!(
            "BenchmarkCell/scenario=http-get/runtime=tokio/model=closed/arm={arm}/load=c64 "
        );
        assert_eq!(text("benchstat").matches(&name).count(), 10, "{name}");
        let labels = format!("concurrency=\"64\",arm=\"{arm}\",estimate=\"median\"}} ");
        assert!(text("openmetrics").contains(&labels), "{labels}");
        assert!(text("bmf").contains(&format!("\"http-get/tokio/c64.{arm}\": {{")));
        assert!(text("junit").contains(&format!("name=\"tokio c64.{arm}\"")));
    }
}

/// Goal: the Go team's own comparing tool reads our lines. Method: benchcmp over a run and one of half the speed.
#[test]
fn benchcmp_sees_a_run_of_half_the_speed_as_twice_the_time() {
    let Some(mut benchcmp) = foreign::go_run("golang.org/x/tools/cmd/benchcmp") else {
        return;
    };
    let fast = fixtures::tour();
    let mut slow = fast.clone();
    for round in &mut slow.rounds {
        if let Outcome::Ok(measured) = &mut round.outcome {
            measured.worker.throughput_ops_s /= 2.0;
        }
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, record) in [("fast", &fast), ("slow", &slow)] {
        let files = render("benchstat", record);
        std::fs::write(folder.path().join(name), &files[0].bytes).expect("written");
    }
    let output = benchcmp
        .arg("-mag")
        .args(["fast", "slow"].map(|name| folder.path().join(name)))
        .output()
        .expect("go runs");
    let stdout = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(stdout.contains("old ns/op"), "{stdout}");
    let lines: Vec<&str> = stdout
        .lines()
        .filter(|line| line.starts_with("BenchmarkCell/scenario=http-get/"))
        .collect();
    // A line for each pair of rounds of the seven runtimes.
    assert_eq!(lines.len(), 70, "{stdout}");
    assert!(
        lines.iter().all(|line| line.ends_with("+100.00%")),
        "{stdout}"
    );
}

/// Goal: the action takes both files. Method: its own validator, zod, with its own schema, and its own expression for the
/// range.
#[test]
fn github_action_benchmark_takes_both_directions() {
    let Some(node) = foreign::node("zod") else {
        return;
    };
    for (name, record) in fixtures::all() {
        let files = render("github-action-benchmark", record);
        let read = foreign::read(&node, READ_BENCHMARKS, &files);
        let entries: usize = read
            .as_array()
            .expect("files")
            .iter()
            .map(|file| {
                let entries = file.as_array().expect("entries");
                assert!(
                    !entries.is_empty(),
                    "{name}: the action refuses an empty file"
                );
                entries.len()
            })
            .sum();
        let document: Value =
            serde_json::from_slice(&render("bmf", record)[0].bytes).expect("JSON");
        let benchmarks = document.as_object().expect("an object").values();
        let measures = benchmarks.map(|it| it.as_object().map_or(0, serde_json::Map::len));
        assert_eq!(entries, measures.sum::<usize>(), "{name}");
    }
    let record = fixtures::tour();
    let files = render("github-action-benchmark", &record);
    let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names, ["bigger-is-better.json", "smaller-is-better.json"]);
    let read = foreign::read(&node, READ_BENCHMARKS, &files);
    let units = |file: usize| -> Vec<&Value> {
        read[file]
            .as_array()
            .expect("entries")
            .iter()
            .map(|entry| &entry["unit"])
            .collect()
    };
    assert!(units(0).iter().all(|unit| **unit == "ops/s"));
    assert!(
        units(1)
            .iter()
            .all(|unit| **unit == "ns" || **unit == "ns/op")
    );
    let summary = summary("tour");
    let first = cell(summary, "http-get", "sync")
        .metric("throughput_ops_s")
        .expect("known");
    assert_eq!(read[0][0]["name"], "http-get/sync/c64/throughput_ops_s");
    assert_eq!(number(&read[0][0]["value"]), first.median);
    let reach = (first.high - first.median).max(first.median - first.low);
    assert_eq!(number(&read[0][0]["spread"]), reach);
}

const READ_BENCHMARKS: &str = r#"
const fs = require('fs'), { z } = require('zod');
const result = z.object({
    name: z.coerce.string(), value: z.coerce.number(), range: z.coerce.string().optional(),
    unit: z.coerce.string(), extra: z.coerce.string().optional(),
});
const read = path => {
    const entries = z.array(result).parse(JSON.parse(fs.readFileSync(path, 'utf8')));
    if (new Set(entries.map(entry => entry.name)).size !== entries.length) throw new Error('a name is there twice');
    return entries.map(entry => {
        // Too few rounds have no interval.
        if (entry.range === undefined) return entry;
        const range = entry.range.match(/(?<prefix>(\+-|±)\s*)(?<value>\d.*)/);
        if (!range || isNaN(Number(range.groups.value))) throw new Error('no range: ' + entry.range);
        return { ...entry, spread: Number(range.groups.value) };
    });
};
console.log(JSON.stringify(process.argv.slice(1).map(read)));
"#;

/// Goal: every sample of every round can be recovered from the text. Method: a reading of the published grammar
/// (`golang.org/design/14313-benchmark-format`) in Python, since the Go proxy is not everywhere.
#[test]
fn the_go_benchmark_format_has_every_sample_of_every_round() {
    let Some(python) = foreign::python("json", "its own library") else {
        return;
    };
    let read = foreign::read(&python, READ_GO, &every("benchstat"));
    for (name, record, read) in each(&read) {
        let summary = summary(name);
        let lines = read["results"].as_array().expect("results");
        let rounds = record.rounds.iter().filter(|round| {
            summary.cells[round.cell].status == Status::Ok
                && matches!(round.outcome, Outcome::Ok(_))
        });
        assert_eq!(lines.len(), rounds.count(), "{name}");
    }
    let (_, record, read) = each(&read)
        .find(|(name, ..)| *name == "tour")
        .expect("listed");
    assert_eq!(
        read["config"],
        json!({"os": "Linux 6.1.0 (Debian GNU/Linux 12)", "arch": "x86_64",
               "cpu": record.machine.cpu_model, "placement": read["config"]["placement"]})
    );
    assert_eq!(
        read["units"],
        json!({"ops/s": {"better": "higher"}, "service-p50-ns": {"better": "lower"},
               "service-p99-ns": {"better": "lower"}, "cpu-ns/op": {"better": "lower"}})
    );
    for (line, round) in read["results"]
        .as_array()
        .expect("results")
        .iter()
        .zip(&record.rounds)
    {
        let Outcome::Ok(measured) = &round.outcome else {
            panic!("all rounds of this fixture are measured")
        };
        let cell = &record.plan.cells[round.cell];
        assert_eq!(
            line["name"],
            format!(
                "Cell/scenario={}/runtime={}/model=closed/load=c64",
                cell.scenario, cell.runtime
            )
        );
        assert_eq!(line["iterations"], measured.worker.ops);
        for (unit, metric) in [
            ("ops/s", "throughput_ops_s"),
            ("service-p50-ns", "service_p50_ns"),
            ("service-p99-ns", "service_p99_ns"),
            ("cpu-ns/op", "cpu_ns_per_op"),
        ] {
            let metric = metrics::named(metric).expect("listed");
            assert_eq!(
                line["values"][unit].as_f64(),
                metric.read(&measured.worker),
                "{unit}"
            );
        }
    }
}

const READ_GO: &str = r#"
import json, re, sys
def read(path):
    config, units, results = {}, {}, []
    for line in open(path, encoding="utf-8", newline="\n"):
        fields = line.split()
        if line.startswith("Benchmark"):
            name, iterations, *values = fields
            assert name == "Benchmark" or name[len("Benchmark")].isupper(), line
            assert not re.search(r"-[0-9]+$", name), f"{name} would say how many processors it ran on"
            assert values and len(values) % 2 == 0, line
            pairs = dict(zip(values[1::2], map(float, values[::2])))
            assert len(pairs) * 2 == len(values), f"a unit is there twice: {line}"
            results.append({"name": name[len("Benchmark"):], "iterations": int(iterations), "values": pairs})
        elif fields and fields[0] == "Unit":
            units[fields[1]] = dict(field.split("=", 1) for field in fields[2:])
        elif match := re.match(r"([^\W\dA-Z_][^\sA-Z:]*):[ \t]+(.*)\n", line):
            config[match[1]] = match[2]
        else:
            raise ValueError(f"no reader would make anything of {line!r}")
    # The unit of Go itself needs no line that explains it.
    assert all(unit in units or unit == "ns/op" for result in results for unit in result["values"])
    return {"config": config, "units": units, "results": results}
print(json.dumps([read(path) for path in sys.argv[1:]]))
"#;

fn cell<'a>(summary: &'a Summary, scenario: &str, runtime: &str) -> &'a CellSummary {
    let mut cells = summary.cells.iter();
    let cell = cells.find(|cell| cell.scenario == scenario && cell.runtime == runtime);
    cell.expect("a planned cell")
}
