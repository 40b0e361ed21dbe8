//! The end of a run's output: the path of the report, and three commands to try next.
//!
//! Pure text from the record. Commands can be pasted: they use cargo if this run did.

use std::ffi::OsStr;
use std::path::Path;

use photofinish_record::{Outcome, PlannedScenario, PlannedServer, Record};

use photofinish_reports::search_table::met_by_all;

use crate::store::artifacts::PAGE;
use crate::store::run_directory::RECORD;

/// Number of rounds for a 95 % interval that tolerates an outlier.
const MORE_ROUNDS: usize = 15;

/// Workloads that any HTTP server can answer, simplest first; the others need their mock.
const FOR_ANY_SERVER: [&str; 5] = [
    "http-get",
    "http-connect",
    "http-stream",
    "http-fanout",
    "http-limited",
];

/// The end of the output of a run whose directory is `directory`.
pub fn after(record: &Record, directory: &Path) -> String {
    let program = &program(record);
    let report = directory.join(PAGE);
    let steps = [
        (
            "look at the report",
            format!("{program} open {}", quoted(&directory.to_string_lossy())),
        ),
        second(record, program),
        third(record, program),
    ];
    let steps = steps.map(|(why, command)| format!("  {why}:\n    {command}"));
    format!(
        "Report: {}\nRecord: {}\n\nNext:\n{}",
        report.display(),
        directory.join(RECORD).display(),
        steps.join("\n")
    )
}

/// The command that started this program; cargo sets `CARGO` for the programs it runs.
fn program(record: &Record) -> String {
    let called = record.command_line.first().map(Path::new);
    let name = called.and_then(Path::file_name).map(OsStr::to_string_lossy);
    match (std::env::var_os("CARGO"), called.and_then(example)) {
        (Some(_), Some(example)) => format!("cargo run --release --example {} --", quoted(example)),
        (Some(_), None) => "cargo run --release --".to_owned(),
        (None, _) => quoted(&name.unwrap_or("photofinish".into())),
    }
}

/// The name of the example whose program this is: cargo keeps those in a directory of their own.
fn example(program: &Path) -> Option<&str> {
    let is_example = program.parent()?.ends_with("examples");
    program.file_name()?.to_str().filter(|_| is_example)
}

/// More rounds, or, after a search, rounds at a rate that all runtimes can sustain.
fn second(record: &Record, program: &str) -> (&'static str, String) {
    match (&record.search, met_by_all(record)) {
        (None, _) if was_nothing_due(record) => {
            let command = again(record, &["--duration 1m".to_owned()]);
            (
                "lengthen the rounds, so that each has operations",
                format!("{program} {command}"),
            )
        }
        (None, _) => {
            let rounds = (record.plan.blocks.len() * 2).max(MORE_ROUNDS);
            let command = again(record, &[format!("--rounds {rounds}")]);
            ("narrow the intervals", format!("{program} {command}"))
        }
        (Some(_), Some(rate_hz)) => {
            let load = [
                format!("--rate {rate_hz}"),
                format!("--rounds {MORE_ROUNDS}"),
            ];
            let command = again(record, &load);
            let why = "compare the runtimes at a rate that all of them meet";
            (why, format!("{program} {command}"))
        }
        (Some(search), None) => {
            let search = format!("--find-max {}", quoted(&search.objective));
            let command = again(record, &[search, "--duration 10s".to_owned()]);
            ("search with longer rounds", format!("{program} {command}"))
        }
    }
}

/// True if no round of an open load had an arrival.
fn was_nothing_due(record: &Record) -> bool {
    let arrivals = record
        .rounds
        .iter()
        .filter_map(|round| match &round.outcome {
            Outcome::Ok(measured) => Some(measured.worker.open.as_ref()?.scheduled),
            _ => None,
        });
    let mut arrivals = arrivals.peekable();
    arrivals.peek().is_some() && arrivals.all(|scheduled| scheduled == 0)
}

/// Options for the number of rounds; true for those with a value.
const ROUND_OPTIONS: [(&str, bool); 5] = [
    ("--rounds", true),
    ("--max-rounds", true),
    ("--find-max", true),
    ("--until-decided", false),
    ("--quick", false),
];

/// The same command with these options in place of its [`ROUND_OPTIONS`], which they might contradict.
fn again(record: &Record, options: &[String]) -> String {
    let replaced = |argument: &str| {
        let name = argument.split('=').next().unwrap_or(argument);
        let known = ROUND_OPTIONS.iter().find(|(option, _)| *option == name);
        let added = |option: &&String| option.split(' ').next() == Some(name);
        let known = known
            .copied()
            .or_else(|| options.iter().find(added).map(|_| (name, true)));
        known.map(|(_, has_value)| has_value && name == argument)
    };
    let mut command = Vec::new();
    let mut arguments = record.command_line.iter().skip(1);
    while let Some(argument) = arguments.next() {
        match replaced(argument) {
            None => command.push(quoted(argument)),
            Some(true) => drop(arguments.next()),
            Some(false) => {}
        }
    }
    command.extend_from_slice(options);
    command.join(" ")
}

/// Quotes an argument for a shell, if necessary.
pub fn quoted(argument: &str) -> String {
    let plain = |letter: char| letter.is_alphanumeric() || "-_=.,:/@%+[]".contains(letter);
    if !argument.is_empty() && argument.chars().all(plain) {
        argument.to_owned()
    } else {
        format!("'{}'", argument.replace('\'', r"'\''"))
    }
}

/// The same against the user's own server; or, if it already was one, at several levels of concurrency.
fn third(record: &Record, program: &str) -> (&'static str, String) {
    let http = mocked_http(record).map(|scenario| {
        let target = "--target http=http://127.0.0.1:8080/";
        ("measure your own server", scenario, target)
    });
    let step = http.or_else(|| {
        let scenario = mocked(record, "db").find(|scenario| makes_its_tables(scenario))?;
        Some(("measure a real database", scenario, "--target db=local"))
    });
    let step = step.or_else(|| {
        let scenario = mocked(record, "db").next()?;
        let target = "--target db=postgres://USER@127.0.0.1/DATABASE";
        Some(("measure a database that has these tables", scenario, target))
    });
    match step {
        Some((why, scenario, target)) => {
            let scenario = as_named(record, &scenario.name);
            (why, format!("{program} run {scenario} {target}"))
        }
        None => {
            let command = again(record, &["--concurrency 1,8,64".to_owned()]);
            ("see how it scales", format!("{program} {command}"))
        }
    }
}

/// The scenario as named on the command line: a user's file by its path.
fn as_named(record: &Record, scenario: &str) -> String {
    let mut arguments = record.command_line.iter();
    let path = arguments.find(|argument| {
        let path = Path::new(argument);
        path.extension().is_some() && path.file_stem().is_some_and(|stem| stem == scenario)
    });
    quoted(path.map_or(scenario, String::as_str))
}

/// The simplest scenario on an embedded HTTP server that another server can answer as well.
fn mocked_http(record: &Record) -> Option<&PlannedScenario> {
    let mut plain = FOR_ANY_SERVER.iter();
    plain.find_map(|workload| mocked(record, "http").find(|it| it.workload == *workload))
}

/// False for user-defined transactions without `setup`: only the user can create their tables.
fn makes_its_tables(scenario: &PlannedScenario) -> bool {
    scenario.workload != "sql" || !scenario.params["sql"]["setup"].is_null()
}

/// Scenarios with an embedded server behind this target.
fn mocked<'a>(record: &'a Record, target: &'a str) -> impl Iterator<Item = &'a PlannedScenario> {
    let scenarios = record.plan.scenarios.iter();
    scenarios.filter(move |scenario| {
        let server = scenario.servers.get(target);
        matches!(server, Some(PlannedServer::Mock { .. }))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_example_of_cargo_is_started_by_its_name() {
        let of = |path: &'static str| example(Path::new(path));
        assert_eq!(
            of("target/release/examples/own-workload"),
            Some("own-workload")
        );
        assert_eq!(of("target/release/photofinish"), None);
    }

    #[test]
    fn arguments_are_quoted_for_a_shell_if_necessary() {
        let check = |given, expected| assert_eq!(quoted(given), expected);
        check("--set=unit=1s", "--set=unit=1s");
        check("title=a b", "'title=a b'");
        check("it's", r"'it'\''s'");
    }
}
