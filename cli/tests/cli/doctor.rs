//! The doctor: it looks, says, ends as its findings say, and leaves everything as it was.
//!
//! What is found depends on the machine and on the build under test, so findings are compared with what follows from
//! them, never with what a good machine would say.

use std::fs;

use photofinish_harness::fitness::{Readings, findings};
use photofinish_record::{Finding, FindingLevel};
use photofinish_reports::diagnosis::{DIAGNOSIS_SCHEMA, Diagnosis};

use crate::schemas;
use crate::support::{Finished, Sandbox, TINY};

fn names(findings: &[Finding]) -> Vec<&str> {
    findings
        .iter()
        .map(|finding| finding.check.as_str())
        .collect()
}

fn every_check() -> Vec<String> {
    let findings = findings(&Readings::default());
    findings.into_iter().map(|finding| finding.check).collect()
}

#[track_caller]
fn diagnosis(finished: &Finished) -> Diagnosis {
    let document = finished.json();
    schemas::check("diagnosis", &document);
    let diagnosis: Diagnosis = serde_json::from_value(document).expect("a diagnosis");
    assert_eq!(diagnosis.schema, DIAGNOSIS_SCHEMA);
    let bad = |finding: &Finding| finding.level == FindingLevel::Bad;
    assert_eq!(diagnosis.fit, !diagnosis.findings.iter().any(bad));
    assert_eq!(finished.code, Some(if diagnosis.fit { 0 } else { 4 }));
    diagnosis
}

#[test]
fn every_check_finds_something_and_the_exit_code_says_whether_it_is_bad() {
    let finished = Sandbox::new().run(&["doctor", "--no-measure", "--json"]);
    let diagnosis = diagnosis(&finished);
    assert_eq!(names(&diagnosis.findings), every_check());
    assert_eq!(diagnosis.resolution, None);
    assert_eq!(finished.stderr, "");
}

#[test]
fn a_debug_build_is_found_unfit() {
    let finished = Sandbox::new().run(&["doctor", "--no-measure", "--json"]);
    let debug = diagnosis(&finished).findings.remove(0);
    let expected = match cfg!(debug_assertions) {
        true => FindingLevel::Bad,
        false => FindingLevel::Good,
    };
    assert_eq!(
        (debug.check.as_str(), debug.level),
        ("build-profile", expected)
    );
}

#[test]
fn the_text_output_has_every_finding_worst_first_in_80_columns() {
    let sandbox = Sandbox::new();
    let text = sandbox.run(&["doctor", "--no-measure", "--all"]).stdout;
    for line in text.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    for name in every_check() {
        let row = format!("\n  {name} ");
        assert_eq!(text.matches(&row).count(), 1, "{name} in: {text}");
    }
    let headings = ["\nBad:", "\nCaution:", "\nUnknown:", "\nGood\n"];
    let places: Vec<usize> = headings
        .iter()
        .filter_map(|heading| text.find(heading))
        .collect();
    assert!(!places.is_empty() && places.is_sorted(), "{text}");
    let (first, brief) = (
        text.lines().next(),
        sandbox.run(&["doctor", "--no-measure"]).stdout,
    );
    assert!(
        first.is_some_and(|line| line.contains("it for measuring: ")),
        "{text}"
    );
    assert!(
        brief
            .lines()
            .next()
            .is_some_and(|line| line.contains("it for measuring: "))
    );
    assert!(
        !brief.contains("\nGood\n") && brief.contains("doctor --all"),
        "{brief}"
    );
}

#[test]
fn comparing_a_runtime_with_itself_reports_the_smallest_detectable_difference() {
    let finished = Sandbox::new().run(&["doctor", "--json"]);
    let diagnosis = diagnosis(&finished);
    let resolution = diagnosis.resolution.expect("it was measured");
    assert_eq!(resolution.scenario, "http-get");
    assert_eq!(resolution.rounds, 12);
    for (name, metric) in &resolution.metrics {
        let smallest = metric.smallest_difference.expect("12 rounds are enough");
        assert!(
            metric.low <= metric.ratio && metric.ratio <= metric.high,
            "{name}: {metric:?}"
        );
        // The wider half of the interval, and the margin within which a difference does not matter.
        let half = (metric.high / metric.ratio).max(metric.ratio / metric.low);
        assert!(
            (smallest - (half * 1.02 - 1.0)).abs() < 1e-9,
            "{name}: {metric:?}"
        );
    }
    let said = diagnosis.findings.last().expect("findings");
    assert_eq!(said.check, "resolution");
    assert!(said.evidence.contains("in 12 rounds"), "{said:?}");
    assert!(
        finished.stderr.contains("--no-measure"),
        "{}",
        finished.stderr
    );
}

#[test]
fn nothing_changes_on_disk() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path().join("work")).expect("made");
    sandbox.write("work/kept.txt", "as it was");
    let state = || {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let limits = read("/proc/self/limits");
        let settings = [
            "/proc/sys/net/core/somaxconn",
            "/proc/sys/net/ipv4/ip_local_port_range",
            "/proc/sys/kernel/randomize_va_space",
            "/sys/kernel/mm/transparent_hugepage/enabled",
        ];
        (limits, settings.map(read), files(&sandbox))
    };
    let before = state();
    let finished = sandbox.run(&["doctor", "--json", "--work-dir", "work"]);
    diagnosis(&finished);
    assert_eq!(state(), before);
}

/// Everything below the sandbox, with what is in it.
fn files(sandbox: &Sandbox) -> Vec<(String, String)> {
    let mut directories = vec![sandbox.path().to_owned()];
    let mut files = Vec::new();
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            let text = fs::read_to_string(&path).unwrap_or_default();
            files.push((path.display().to_string(), text));
            if path.is_dir() {
                directories.push(path);
            }
        }
    }
    files.sort();
    files
}

#[test]
fn a_low_open_files_limit_is_bad_and_has_a_remedy() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.command_after("ulimit -n 200", &["doctor", "--no-measure", "--json"]);
    let diagnosis = diagnosis(&Finished::of(&mut command));
    let found = diagnosis
        .findings
        .iter()
        .find(|finding| finding.check == "open-files")
        .expect("it was looked at");
    assert_eq!(found.level, FindingLevel::Bad, "{found:?}");
    assert!(found.evidence.contains("200"), "{found:?}");
    assert!(
        found
            .remedy
            .as_ref()
            .is_some_and(|remedy| remedy.contains("ulimit"))
    );
}

#[test]
fn only_the_cpus_asked_for_are_judged() {
    let finished = Sandbox::new().run(&["doctor", "--no-measure", "--json", "--cpus", "0"]);
    let diagnosis = diagnosis(&finished);
    let cpus = &diagnosis.findings[1];
    assert_eq!(
        (cpus.check.as_str(), cpus.level),
        ("cpu-count", FindingLevel::Caution)
    );
    assert!(cpus.evidence.contains("CPU 0 alone"), "{cpus:?}");
}

#[test]
fn a_usage_error_is_reported_before_anything_is_read() {
    let sandbox = Sandbox::new();
    let expected = ["--work-dir", "nowhere", "hint:"];
    sandbox
        .run(&["doctor", "--work-dir", "nowhere"])
        .check(2, &expected);
    sandbox
        .run(&["doctor", "--cpus", "4000"])
        .check(2, &["CPU 4000", "hint:"]);
}

#[test]
fn findings_travel_with_the_record_and_bad_ones_are_its_warnings() {
    let sandbox = Sandbox::new();
    let arguments = [&["run", "null", "--runtimes", "sync"], &TINY[..]].concat();
    sandbox.run(&arguments).check(0, &[]);
    let record = sandbox.record();
    assert_eq!(names(&record.fitness), every_check());
    for finding in &record.fitness {
        let mut warnings = record.warnings.iter();
        let is_told = warnings.any(|warning| warning.starts_with(&finding.evidence));
        assert_eq!(is_told, finding.level == FindingLevel::Bad, "{finding:?}");
    }
    let page = fs::read_to_string(sandbox.latest().join("report.html")).expect("the page");
    assert!(page.contains("id=\"fitness\""));
    for name in every_check() {
        assert!(page.contains(&format!("<dt>{name}</dt>")), "{name}");
    }
}
