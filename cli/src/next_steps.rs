//! What to do after a run: where the report is, and three commands that are most likely wanted next.
//!
//! Pure text from the record. Commands are written so that they can be pasted: through cargo where this run was.

use std::path::Path;

use photofinish_harness::record::Record;

use crate::artifacts::PAGE;
use crate::run_directory::RECORD;

/// Rounds that give an interval of 95 % with room for an outlier.
const MORE_ROUNDS: usize = 15;

/// The last words of a run that left its directory in `place`.
pub fn after(record: &Record, place: &Path) -> String {
    let program = program();
    let report = place.join(PAGE);
    let steps = [
        (
            "look at the report",
            format!("{} {}", opener(), report.display()),
        ),
        (
            "narrow the intervals",
            format!("{program} {}", with_more_rounds(record)),
        ),
        (
            "measure your own server",
            format!("{program} {}", against_own_server(record)),
        ),
    ];
    let steps = steps.map(|(why, command)| format!("  {why}:\n    {command}"));
    format!(
        "Report: {}\nRecord: {}\n\nNext:\n{}",
        report.display(),
        place.join(RECORD).display(),
        steps.join("\n")
    )
}

/// Cargo tells the programs it runs where it is.
fn program() -> &'static str {
    match std::env::var_os("CARGO") {
        Some(_) => "cargo run --release --",
        None => "photofinish",
    }
}

fn opener() -> &'static str {
    if cfg!(target_os = "macos") {
        "open"
    } else {
        "xdg-open"
    }
}

/// The same command with more rounds.
fn with_more_rounds(record: &Record) -> String {
    let rounds = (record.plan.blocks.len() * 2).max(MORE_ROUNDS).to_string();
    let mut command = Vec::new();
    let mut arguments = record.command_line.iter().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--rounds" => {
                arguments.next();
            }
            "--quick" => {}
            kept if kept.starts_with("--rounds=") => {}
            kept => command.push(quoted(kept)),
        }
    }
    command.extend(["--rounds".to_owned(), rounds]);
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

fn against_own_server(record: &Record) -> String {
    let talks_to = |target: &str| {
        let mut scenarios = record.plan.scenarios.iter();
        scenarios
            .find(|scenario| scenario.servers.contains_key(target))
            .map(|scenario| scenario.name.as_str())
    };
    match (talks_to("http"), talks_to("db")) {
        (None, Some(scenario)) => format!("run {scenario} --target db=local"),
        (scenario, _) => {
            let scenario = scenario.unwrap_or("http-get");
            format!("run {scenario} --target http=http://127.0.0.1:8080/")
        }
    }
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
