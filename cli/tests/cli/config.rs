//! Defaults of options: `photofinish.toml` and the environment, below the command line, and told in plan and record.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::schemas;
use crate::support::{Finished, Sandbox, read_record};

const FILE: &str = "\
runtimes = [\"threads\", \"sync\"]
rounds = 12
color = \"never\"
target = { http = \"http://127.0.0.1:9/\" }

[run]
set.load.warmup = \"20ms\"
set.load.concurrency = [1, 2]
seed = 7
no-redo = true

[gate]
tolerance = \"3%\"
limit = { throughput = \"5%\" }
";

/// The plan of these arguments, as JSON.
#[track_caller]
fn plan(sandbox: &Sandbox, arguments: &[&str], variables: &[(&str, &str)]) -> Value {
    let arguments = [&["plan", "http-get", "--format", "json"], arguments].concat();
    let mut command = sandbox.command(&arguments);
    command.envs(variables.iter().copied());
    Finished::of(&mut command).check(0, &[]).json()
}

fn options(plan: &Value) -> Vec<&str> {
    let defaults = plan["defaults"].as_array().expect("defaults");
    let options = defaults.iter().map(|it| it["option"].as_str());
    options.map(|it| it.expect("a text")).collect()
}

fn blocks(plan: &Value) -> usize {
    plan["plan"]["blocks"].as_array().expect("blocks").len()
}

/// Goal: each level replaces the one below it. Method: the same option at each of them.
#[test]
fn command_line_precedes_environment_precedes_file_precedes_built_in() {
    let sandbox = Sandbox::new();
    assert_eq!(blocks(&plan(&sandbox, &[], &[])), 10);
    sandbox.write("photofinish.toml", FILE);
    let by_file = plan(&sandbox, &[], &[]);
    assert_eq!(blocks(&by_file), 12);
    assert_eq!(by_file["seed"], 7);
    assert_eq!(
        options(&by_file),
        [
            "--color=never",
            "--rounds=12",
            "--runtimes=threads,sync",
            "--target=http=http://127.0.0.1:9/",
            "--no-redo",
            "--seed=7",
            "--set=load.concurrency=[1, 2]",
            "--set=load.warmup=\"20ms\"",
        ]
    );
    let cells = by_file["plan"]["cells"].as_array().expect("cells");
    let cells = cells.iter().map(|cell| {
        let load = &cell["load"];
        (cell["runtime"].as_str(), load["concurrency"].as_u64())
    });
    let [threads, sync] = [Some("threads"), Some("sync")];
    let expected = [
        (threads, Some(1)),
        (threads, Some(2)),
        (sync, Some(1)),
        (sync, Some(2)),
    ];
    let cells = Vec::from_iter(cells);
    assert!(
        cells.len() == 4 && expected.iter().all(|it| cells.contains(it)),
        "{cells:?}"
    );
    let variables = [
        ("PHOTOFINISH_ROUNDS", "14"),
        ("PHOTOFINISH_NO_REDO", "0"),
        ("PHOTOFINISH_SEED", ""),
    ];
    let by_variable = plan(&sandbox, &[], &variables);
    assert_eq!(blocks(&by_variable), 14);
    assert_eq!(by_variable["seed"], 7);
    let rounds = &by_variable["defaults"][0];
    assert_eq!(
        *rounds,
        json!({ "option": "--rounds=14", "source": "PHOTOFINISH_ROUNDS" })
    );
    let typed = ["--rounds", "16", "--set=load.concurrency=3"];
    let typed = plan(&sandbox, &typed, &variables);
    assert_eq!(blocks(&typed), 16);
    assert!(
        !options(&typed)
            .iter()
            .any(|it| it.contains("rounds") || it.contains("concurrency")),
        "{typed}"
    );
    assert!(options(&typed).contains(&"--set=load.warmup=\"20ms\""));
}

/// Goal: a default never stands in the way of an option. Method: options that replace others, or exclude them.
#[test]
fn an_option_replaces_the_defaults_that_it_excludes() {
    let sandbox = Sandbox::new();
    let text = "rounds = 12\nduration = \"5s\"\nrate = 100\nmax-rounds = 30\n";
    sandbox.write("photofinish.toml", text);
    let check = |arguments: &[&str], expected: &[&str]| {
        assert_eq!(options(&plan(&sandbox, arguments, &[])), expected);
    };
    check(&[], &["--duration=5s", "--rate=100", "--rounds=12"]);
    check(&["--quick"], &["--rate=100"]);
    check(
        &["--until-decided"],
        &["--duration=5s", "--max-rounds=30", "--rate=100"],
    );
    check(&["--find-max", "response_p99 < 10ms"], &["--duration=5s"]);
    sandbox.write("photofinish.toml", "rounds = 12\nuntil-decided = true\n");
    let both = sandbox.run(&["plan", "http-get"]);
    both.check(
        2,
        &[
            "--until-decided",
            "cannot be used with",
            "defaults in effect: ",
        ],
    );
}

/// Goal: the nearest file counts, up to the repository's root; its directories are its own; record and report tell.
#[test]
fn the_file_is_found_upwards_and_the_record_names_it() {
    let sandbox = Sandbox::new();
    let file = "out = \"results\"\nruntimes = \"sync\"\nrounds = 1\nduration = \"20ms\"\nno-redo = true\nset.load.warmup = \"1ms\"\n";
    sandbox.write("photofinish.toml", file);
    let inner = sandbox.path().join("a/b");
    fs::create_dir_all(&inner).expect("made");
    let within = |arguments: &[&str]| {
        let mut command = sandbox.command(arguments);
        Finished::of(command.current_dir(&inner))
    };
    let told = "Defaults: --duration=20ms --no-redo --out=../../results";
    let run = within(&["run", "null", "--concurrency", "1"]).check(0, &[]);
    assert!(run.stdout.contains(told), "{}", run.stdout);
    let latest = sandbox.path().join("results/latest");
    let record = read_record(&latest.join("record.json"));
    let [first, ..] = &record.defaults[..] else {
        panic!("{:?}", record.defaults)
    };
    assert_eq!(
        (first.option.as_str(), first.source.as_str()),
        ("--duration=20ms", "../../photofinish.toml")
    );
    assert_eq!(record.plan.blocks.len(), 1);
    let page = fs::read_to_string(latest.join("report.html")).expect("a page");
    assert!(page.contains("from ../../photofinish.toml"));
    // `show` finds the run where the file says.
    let shown = within(&["show"]).check(0, &[]);
    assert!(shown.stdout.contains("../../results/latest/report.html"));
    let plan = |arguments: &[&str], variables: &[(&str, &str)]| {
        let mut command = sandbox.command(&[&["plan", "null"], arguments].concat());
        let command = command.current_dir(&inner).envs(variables.iter().copied());
        let plan = Finished::of(command).check(0, &[]).stdout;
        plan.lines()
            .find_map(|line| Some(line.strip_prefix("Defaults: ")?.to_owned()))
    };
    assert_eq!(plan(&["--no-config"], &[]), None);
    assert_eq!(plan(&[], &[("PHOTOFINISH_CONFIG", "")]), None);
    fs::write(inner.join("other.toml"), "rounds = 3").expect("written");
    let other = Some("--rounds=3 from other.toml".to_owned());
    assert_eq!(plan(&["--config", "other.toml"], &[]), other);
    assert_eq!(plan(&[], &[("PHOTOFINISH_CONFIG", "other.toml")]), other);
    fs::create_dir(sandbox.path().join("a/.git")).expect("made");
    assert_eq!(plan(&[], &[]), None);
}

/// Goal: an error points at its line and says what to type instead. Method: one flaw each, in a file for another command.
#[test]
fn errors_in_the_file_point_at_the_line() {
    let sandbox = Sandbox::new();
    let check = |text: &str, expected: &[&str]| {
        sandbox.write("photofinish.toml", &format!("color = \"auto\"\n{text}\n"));
        let failed = sandbox.run(&["show"]).check(2, &["photofinish.toml:2:"]);
        failed.check(2, expected);
    };
    check(
        "round = 3",
        &["unknown key `round`", "did you mean `rounds`?"],
    );
    check("gat = {}", &["unknown key `gat`", "did you mean `gate`?"]);
    check(
        "zzz = 3",
        &["unknown key `zzz`", "keys: runtimes, reference"],
    );
    check("rounds = 0", &["invalid value '0'", "from 1 to 1,000,000"]);
    check(
        "rounds = [1]",
        &["`rounds` is a list", "expected a text or number"],
    );
    check(
        "runtimes = []",
        &["`runtimes` is an empty list", "at least one text or number"],
    );
    check(
        "concurrency = [1, true]",
        &[
            "`concurrency[1]` is true or false",
            "expected a text or number",
        ],
    );
    check(
        "limit = { throughput = [\"5%\", \"> 1k\"] }",
        &["`limit.throughput` is a list", "expected a text or number"],
    );
    check("duration = \"5\"", &["a time with its unit"]);
    check(
        "run.placement = \"sam\"",
        &["invalid value 'sam'", "split, same"],
    );
    check("gate.rounds = 3", &["`rounds` is not an option of `gate`"]);
    check(
        "target = \"http\"",
        &["`target` is a text", "expected a table"],
    );
    check(
        "no-redo = 1",
        &["`no-redo` is a number", "expected true or false"],
    );
    check("gate = 1", &["expected a table"]);
    check("rounds = ", &["photofinish.toml:2:"]);
    let command_line = "give --server on the command line";
    check(
        "server = \"rm -r .\"",
        &["`server` cannot have a default", command_line],
    );
    check(
        "allow-remote = true",
        &["`allow-remote` cannot have a default"],
    );
    // What helps to mend it works all the same.
    sandbox.run(&["schema", "config"]).check(0, &[]);
    sandbox.run(&["plan", "null", "--no-config"]).check(0, &[]);
    sandbox
        .run(&["plan", "null", "--config", "no.toml"])
        .check(2, &["no configuration file at no.toml", "hint: "]);
}

#[test]
fn errors_in_the_environment_name_the_variable() {
    let sandbox = Sandbox::new();
    for (name, value, expected) in [
        ("PHOTOFINISH_ROUNDS", "0", "from 1 to 1,000,000"),
        ("PHOTOFINISH_QUIET", "maybe", "expected 1, true, 0 or false"),
    ] {
        let mut command = sandbox.command(&["plan", "null"]);
        let finished = Finished::of(command.env(name, value));
        finished.check(2, &[&format!("error: {name}: "), expected, "hint: "]);
    }
    let mut command = sandbox.command(&["plan", "null"]);
    let finished = Finished::of(command.env("PHOTOFINISH_RUNTIMES", "tokyo"));
    finished.check(
        2,
        &[
            "did you mean `tokio`?",
            "--runtimes=tokyo from PHOTOFINISH_RUNTIMES",
        ],
    );
}

/// Goal: no secret of a default is recorded or printed. Method: a target with a password.
#[test]
fn passwords_in_defaults_are_not_told() {
    let sandbox = Sandbox::new();
    let file = "target = { db = \"postgres://ann:s3cret@127.0.0.1/shop\" }";
    sandbox.write("photofinish.toml", file);
    let planned = sandbox.run(&["plan", "db-select"]).check(0, &[]);
    assert!(
        planned
            .stdout
            .contains("--target=db=postgres://ann@127.0.0.1/shop")
    );
    assert!(!format!("{planned:?}").contains("s3cret"));
}

/// Goal: schema, guide and program have the same keys and variables. Method: the schema's properties.
#[test]
fn the_guide_names_every_key_and_variable() {
    let example: Value = toml::from_str(FILE).expect("TOML");
    schemas::check("config", &example);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/CONFIGURATION.md");
    let guide = fs::read_to_string(path).expect("the guide");
    let sandbox = Sandbox::new();
    let schema = sandbox.run(&["schema", "config"]).check(0, &[]).json();
    let keys = schema["properties"].as_object().expect("properties");
    assert!(keys.len() > 20, "{schema}");
    for (key, schema) in keys {
        assert!(schema["description"].is_string(), "{key} is no option");
        assert!(guide.contains(&format!("`{key}`")), "{key}");
    }
    let help = sandbox.run(&["--help"]).check(0, &[]).stdout;
    let (_, variables) = help.split_once("Environment variables:").expect("a list");
    let manual = sandbox.run(&["man"]).check(0, &[]).stdout;
    let names = variables
        .lines()
        .filter_map(|line| line.split("  ").find(|it| !it.is_empty()));
    let names: Vec<_> = names.collect();
    assert!(names.contains(&"NO_COLOR"), "{variables}");
    for name in names {
        assert!(
            guide.contains(&format!("`{name}`")) || name == "any other",
            "{name}"
        );
        assert!(manual.contains(&format!("\\fB{name}\\fR")), "{name}");
    }
}
