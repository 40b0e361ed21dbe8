//! Test reports: JUnit XML from suites of test cases.
//!
//! Elements and attributes are those of the schema of Jenkins' xUnit plugin (`junit-10.xsd`), which other readers accept too.
//! `junit` makes the test cases. XML 1.0 cannot represent most control characters, so these become U+FFFD; line breaks and
//! tabs become references, since a reader would turn them into spaces in an attribute.

use maud::{Escaper, Markup, PreEscaped, html};
use photofinish_record::UtcTime;
use std::fmt::Write as _;

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
        let count = |ending| -> usize { self.suites.iter().map(|suite| suite.count(ending)).sum() };
        let tests: usize = self.suites.iter().map(|suite| suite.cases.len()).sum();
        let suites = html! {
            testsuites name="photofinish" tests=(tests) failures=(count(Ending::Failed)) errors=(count(Ending::Error)) {
                @for suite in &self.suites { "\n" (self.suite(suite)) }
            }
        };
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}\n",
            suites.into_string()
        )
    }

    fn suite(&self, suite: &Suite) -> Markup {
        let start = self.started_utc.parse().ok().map(UtcTime::date_and_time);
        let start = start.map(|(date, time)| format!("{date}T{time}"));
        let time_s: f64 = suite.cases.iter().map(|case| case.time_s).sum();
        let [failures, errors, skipped] =
            [Ending::Failed, Ending::Error, Ending::Skipped].map(|ending| suite.count(ending));
        html! {
            testsuite name=(text(&suite.name)) tests=(suite.cases.len()) failures=(failures) errors=(errors)
                skipped=(skipped) time=(seconds(time_s)) timestamp=[start] {
                "\n"
                properties { @for (name, value) in &self.properties { property name=(name) value=(text(value)) {} } }
                @for case in &suite.cases { "\n" (self::case(suite, case)) }
            }
        }
    }
}

fn case(suite: &Suite, case: &Case) -> Markup {
    let reason = text(&case.reason);
    html! {
        testcase classname=(text(&suite.name)) name=(text(&case.name)) time=(seconds(case.time_s)) {
            @match case.ending {
                Ending::Passed => {},
                Ending::Skipped => skipped message=(reason) type=(case.kind) {},
                Ending::Failed => failure message=(reason) type=(case.kind) { (reason) },
                Ending::Error => error message=(reason) type=(case.kind) { (reason) },
            }
            @if !case.output.is_empty() { system-out { (text(&case.output)) } }
        }
    }
}

fn seconds(time_s: f64) -> String {
    format!("{time_s:.3}")
}

/// Text, for an attribute or between tags, that no name can break out of.
fn text(text: &str) -> Markup {
    let mut escaped = String::new();
    for character in text.chars() {
        let written = match character {
            '\n' | '\r' | '\t' => write!(escaped, "&#{};", character as u32),
            '\0'..' ' | '\u{fffe}' | '\u{ffff}' => escaped.write_char('\u{fffd}'),
            plain => Escaper::new(&mut escaped).write_char(plain),
        };
        written.expect("writing to a string");
    }
    PreEscaped(escaped)
}
