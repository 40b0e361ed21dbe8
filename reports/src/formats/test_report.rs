//! Test reports: JUnit XML from suites of test cases.
//!
//! Elements and attributes are those of the schema of Jenkins' xUnit plugin (`junit-10.xsd`), which other readers accept too.
//! `junit` makes the test cases.

use jiff::Timestamp;

use super::xml::{element, text};

/// The outcome of a test case.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Passed,
    Skipped,
    Failed,
    /// Not tested.
    Error,
}

pub(super) struct Case {
    pub(super) name: String,
    pub(super) ending: Ending,
    /// A class of reasons in one word: `invalid`.
    pub(super) kind: &'static str,
    /// The reason for not passing, in one sentence.
    pub(super) reason: String,
    pub(super) time_s: f64,
    /// Further lines.
    pub(super) output: String,
}

/// Test cases of one subject.
pub(super) struct Suite {
    pub(super) name: String,
    pub(super) cases: Vec<Case>,
}

pub(super) struct TestReport<'a> {
    /// RFC 3339; omitted if it is not a valid time.
    pub(super) started_utc: &'a str,
    /// Facts with their names, in every suite.
    pub(super) properties: Vec<(&'static str, String)>,
    pub(super) suites: Vec<Suite>,
}

impl Suite {
    /// Adds a case to the suite of that name.
    pub(super) fn add(suites: &mut Vec<Self>, name: &str, case: Case) {
        match suites.iter_mut().find(|suite| suite.name == name) {
            Some(suite) => suite.cases.push(case),
            None => suites.push(Self {
                name: name.to_owned(),
                cases: vec![case],
            }),
        }
    }

    fn count(&self, ending: Ending) -> usize {
        let cases = self.cases.iter();
        cases.filter(|case| case.ending == ending).count()
    }
}

impl TestReport<'_> {
    /// The report as one document.
    pub(super) fn document(&self) -> String {
        let suites: String = self.suites.iter().map(|suite| self.suite(suite)).collect();
        let count = |ending| {
            let counts = self.suites.iter().map(|suite| suite.count(ending));
            counts.sum::<usize>().to_string()
        };
        let tests: usize = self.suites.iter().map(|suite| suite.cases.len()).sum();
        let attributes = [
            ("name", "photofinish"),
            ("tests", &*tests.to_string()),
            ("failures", &count(Ending::Failed)),
            ("errors", &count(Ending::Error)),
        ];
        let suites = element("testsuites", &attributes, &format!("\n{suites}"));
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{suites}")
    }

    fn suite(&self, suite: &Suite) -> String {
        let property = |(name, value): &(&str, String)| {
            element("property", &[("name", name), ("value", value)], "")
        };
        let properties: String = self.properties.iter().map(property).collect();
        let properties = element("properties", &[], &format!("\n{properties}"));
        let cases: String = suite
            .cases
            .iter()
            .map(|case| self::case(suite, case))
            .collect();
        let start: Option<Timestamp> = self.started_utc.parse().ok();
        let start = start.map(|start| start.strftime("%Y-%m-%dT%H:%M:%S").to_string());
        let time = seconds(suite.cases.iter().map(|case| case.time_s).sum());
        let tests = suite.cases.len().to_string();
        let [failures, errors, skipped] = [Ending::Failed, Ending::Error, Ending::Skipped]
            .map(|ending| suite.count(ending).to_string());
        let mut attributes = vec![
            ("name", &*suite.name),
            ("tests", &*tests),
            ("failures", &*failures),
            ("errors", &*errors),
            ("skipped", &*skipped),
            ("time", &*time),
        ];
        attributes.extend(start.as_deref().map(|start| ("timestamp", start)));
        element("testsuite", &attributes, &format!("\n{properties}{cases}"))
    }
}

fn case(suite: &Suite, case: &Case) -> String {
    let reason = [("message", &*case.reason), ("type", case.kind)];
    let why = match case.ending {
        Ending::Passed => String::new(),
        Ending::Skipped => element("skipped", &reason, ""),
        Ending::Failed => element("failure", &reason, &text(&case.reason)),
        Ending::Error => element("error", &reason, &text(&case.reason)),
    };
    let output = match case.output.as_str() {
        "" => String::new(),
        output => element("system-out", &[], &text(output)),
    };
    let time = seconds(case.time_s);
    let attributes = [
        ("classname", &*suite.name),
        ("name", &*case.name),
        ("time", &*time),
    ];
    element("testcase", &attributes, &(why + &output))
}

fn seconds(time_s: f64) -> String {
    format!("{time_s:.3}")
}
