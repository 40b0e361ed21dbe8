//! Shipped lanes without interpreter, packages or program: unsupported, with the command that helps.

use std::path::Path;
use std::process::Command;

use super::{every_round_is_proved, node_is_missing};
use crate::support::{Finished, Sandbox, TINY, python};

/// An interpreter without packages runs what the standard library is enough for; the rest is unsupported, with the remedy.
#[test]
fn a_lane_without_its_packages_is_unsupported() {
    if python("asyncio", "asyncio").is_none() {
        return;
    }
    let sandbox = Sandbox::new();
    let bare = sandbox.script("bare-python3", "#!/bin/sh\nexec python3 -S \"$@\"\n");
    let run = [
        "run",
        "http-delay",
        "db-select",
        "--runtimes=asyncio,aiohttp",
        "--set=unit=1ms",
    ];
    let mut command = sandbox.command(&[&run[..], &TINY].concat());
    command.env("PHOTOFINISH_PYTHON", bare);
    let stdout = Finished::of(&mut command).check(0, &[]).stdout;
    for part in ["aiohttp cannot run here", "`photofinish setup python`"] {
        assert!(stdout.contains(part), "`{part}` is not in: {stdout}");
    }
    let record = sandbox.record();
    let supported: Vec<_> = record
        .plan
        .cells
        .iter()
        .filter(|cell| cell.unsupported.is_none())
        .collect();
    assert!(!supported.is_empty());
    for cell in supported {
        assert_eq!((&*cell.scenario, &*cell.runtime), ("http-delay", "asyncio"));
    }
}

/// Node finds its packages where it is told to, and says what is missing otherwise; go says that it is not built.
#[test]
fn lanes_without_packages_or_program_name_the_command() {
    if node_is_missing() {
        return;
    }
    let sandbox = Sandbox::new();
    let run = ["run", "db-select", "http-get", "--runtimes=node,go"];
    let run = [&run[..], &TINY].concat();
    let without = |modules: Option<&Path>| {
        let mut command = sandbox.command(&run);
        match modules {
            Some(modules) => command.env("NODE_PATH", modules),
            None => command.env_remove("NODE_PATH"),
        };
        Finished::of(&mut command).check(0, &[]);
        let record = sandbox.record();
        every_round_is_proved(&record);
        let cells = record.plan.cells.into_iter();
        let reasons =
            cells.filter_map(|cell| Some((cell.scenario, cell.runtime, cell.unsupported?)));
        reasons.collect::<Vec<_>>()
    };
    let reasons = without(None);
    let has = |scenario: &str, lane: &str, command: &str| {
        reasons
            .iter()
            .any(|it| (&*it.0, &*it.1) == (scenario, lane) && it.2.contains(command))
    };
    assert!(
        has("db-select", "node", "`photofinish setup node`"),
        "{reasons:?}"
    );
    assert!(
        has("http-get", "go", "`photofinish setup go`"),
        "{reasons:?}"
    );
    assert!(!has("http-get", "node", ""), "{reasons:?}");

    let finding = "console.log(require.resolve('pg/package.json'))";
    let output = Command::new("node")
        .args(["-e", finding])
        .output()
        .expect("node runs");
    let package = String::from_utf8(output.stdout).expect("text");
    let modules = Path::new(package.trim())
        .ancestors()
        .nth(2)
        .expect("node_modules");
    let reasons = without(Some(modules));
    assert!(
        reasons.iter().all(|(_, lane, _)| lane == "go"),
        "{reasons:?}"
    );
}

#[test]
fn without_an_interpreter_the_remedy_is_told() {
    let sandbox = Sandbox::new();
    for (lanes, variable) in [
        ("python", "PHOTOFINISH_PYTHON"),
        ("node", "PHOTOFINISH_NODE"),
    ] {
        let mut command = sandbox.command(&["run", "null", "--runtimes", lanes]);
        command.env(variable, "/nowhere/interpreter");
        let expected = ["/nowhere/interpreter", &format!("{variable}=")];
        Finished::of(&mut command).check(2, &expected);
    }
}
