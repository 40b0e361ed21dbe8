//! What to do after a run: where the report is, and three commands that are most likely wanted next.
//!
//! Pure text from the record. Commands are written so that they can be pasted: through cargo where this run was.

use std::ffi::OsStr;
use std::path::Path;

use photofinish_record::{PlannedScenario, PlannedServer, Record};

use photofinish_reports::search_table::met_by_all;

use crate::store::artifacts::PAGE;
use crate::store::run_directory::RECORD;

/// Rounds that give an interval of 95 % with room for an outlier.
const MORE_ROUNDS: usize = 15;

/// Workloads that any HTTP server can answer, the plainest first; the others ask for what only their mock has.
const ASKS_ANY_SERVER: [&str; 5] = [
    "http-get",
    "http-connect",
    "http-stream",
    "http-fanout",
    "http-limited",
];

/// The last words of a run that left its directory in `place`.
pub fn after(record: &Record, place: &Path) -> String {
    let program = &program(record);
    let report = place.join(PAGE);
    let steps = [
        (
            "look at the report",
            format!("{} {}", opener(), report.display()),
        ),
        second(record, program),
        third(record, program),
    ];
    let steps = steps.map(|(why, command)| format!("  {why}:\n    {command}"));
    format!(
        "Report: {}\nRecord: {}\n\nNext:\n{}",
        report.display(),
        place.join(RECORD).display(),
        steps.join("\n")
    )
}

/// How this program was called; cargo tells the programs it runs where it is.
fn program(record: &Record) -> String {
    let called = record.command_line.first().map(Path::new);
    let name = called.and_then(Path::file_name).map(OsStr::to_string_lossy);
    match std::env::var_os("CARGO") {
        Some(_) => "cargo run --release --".to_owned(),
        None => quoted(&name.unwrap_or("photofinish".into())),
    }
}

fn opener() -> &'static str {
    if cfg!(target_os = "macos") {
        "open"
    } else {
        "xdg-open"
    }
}

/// More of the same: more rounds, or, where a search found out what all runtimes hold, rounds at that rate.
fn second(record: &Record, program: &str) -> (&'static str, String) {
    match (&record.search, met_by_all(record)) {
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

/// Options that say how much is measured, and whether an argument follows.
const HOW_MUCH: [(&str, bool); 5] = [
    ("--rounds", true),
    ("--max-rounds", true),
    ("--find-max", true),
    ("--until-decided", false),
    ("--quick", false),
];

/// The same command with these options instead of those that say how much is measured, which they might contradict.
fn again(record: &Record, options: &[String]) -> String {
    let replaced = |argument: &str| {
        let name = argument.split('=').next().unwrap_or(argument);
        let known = HOW_MUCH.iter().find(|(option, _)| *option == name);
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

/// Quotes what a shell would take apart.
fn quoted(argument: &str) -> String {
    let plain = |letter: char| letter.is_alphanumeric() || "-_=.,:/@%+[]".contains(letter);
    match !argument.is_empty() && argument.chars().all(plain) {
        true => argument.to_owned(),
        false => format!("'{}'", argument.replace('\'', r"'\''")),
    }
}

/// The same against a server of the user's; or, where it was one already, more of it.
fn third(record: &Record, program: &str) -> (&'static str, String) {
    let http = mocked_http(record).map(|scenario| {
        let target = "--target http=http://127.0.0.1:8080/";
        ("measure your own server", scenario, target)
    });
    let step = http.or_else(|| {
        let scenario = mocked(record, "db").next()?;
        Some(("measure a real database", scenario, "--target db=local"))
    });
    match step {
        Some((why, scenario, target)) => {
            let scenario = as_asked(record, &scenario.name);
            (why, format!("{program} run {scenario} {target}"))
        }
        None => {
            let scenarios: Vec<_> = record
                .plan
                .scenarios
                .iter()
                .map(|scenario| as_asked(record, &scenario.name))
                .collect();
            let command = format!("{program} run {} --concurrency 1,8,64", scenarios.join(" "));
            ("see how it scales", with_targets(record, command))
        }
    }
}

/// The scenario as it was asked for: a file of the user's has its name's stem for a name, and is found by its path.
fn as_asked(record: &Record, scenario: &str) -> String {
    let mut arguments = record.command_line.iter();
    let path = arguments.find(|argument| {
        let path = Path::new(argument);
        path.extension().is_some() && path.file_stem().is_some_and(|stem| stem == scenario)
    });
    quoted(path.map_or(scenario, String::as_str))
}

/// The plainest scenario that ran against an embedded HTTP server and that another server can answer as well.
fn mocked_http(record: &Record) -> Option<&PlannedScenario> {
    let mut plain = ASKS_ANY_SERVER.iter();
    plain.find_map(|workload| mocked(record, "http").find(|it| it.workload == *workload))
}

/// Scenarios that ran against an embedded server behind this target.
fn mocked<'a>(record: &'a Record, target: &'a str) -> impl Iterator<Item = &'a PlannedScenario> {
    let scenarios = record.plan.scenarios.iter();
    scenarios.filter(move |scenario| {
        let server = scenario.servers.get(target);
        matches!(server, Some(PlannedServer::Mock { .. }))
    })
}

/// The command with the targets that this run had.
fn with_targets(record: &Record, mut command: String) -> String {
    let servers = record
        .plan
        .scenarios
        .iter()
        .flat_map(|scenario| &scenario.servers);
    let mut external: Vec<_> = servers
        .filter_map(|(target, server)| match server {
            PlannedServer::External { url, .. } => {
                Some(format!(" --target {}", quoted(&format!("{target}={url}"))))
            }
            PlannedServer::Mock { .. } | PlannedServer::Arm { .. } => None,
        })
        .collect();
    external.sort();
    external.dedup();
    command.extend(external);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_quoted_where_a_shell_would_take_them_apart() {
        let check = |given, expected| assert_eq!(quoted(given), expected);
        check("--set=unit=1s", "--set=unit=1s");
        check("title=a b", "'title=a b'");
        check("it's", r"'it'\''s'");
    }
}
