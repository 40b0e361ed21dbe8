//! What goes where: one JSON document on stdout when asked, text for people otherwise, advice on stderr, records that
//! last.

use serde_json::Value;

use crate::support::{Finished, Sandbox, TINY};

fn json(finished: &Finished) -> Value {
    finished.json()
}

#[test]
fn json_on_stdout_is_the_summary_and_nothing_else() {
    let sandbox = Sandbox::new();
    let arguments = [
        &[
            "run",
            "http-get",
            "--runtimes",
            "sync,tokio",
            "--format",
            "json",
        ],
        &TINY[..],
    ]
    .concat();
    let finished = sandbox.run(&arguments).check(0, &["Placement", "Report:"]);
    let summary = json(&finished);
    assert_eq!(summary["schema"], "photofinish-summary/1");
    let cells = summary["cells"].as_array().expect("cells");
    assert_eq!(cells.len(), 2);
    for cell in cells {
        assert_eq!(cell["status"], "ok", "{cell}");
        assert!(
            cell["metrics"]["throughput_ops_s"]["median"].as_f64() > Some(0.0),
            "{cell}"
        );
    }
}

#[test]
fn no_colour_goes_where_there_is_no_terminal() {
    let sandbox = Sandbox::new();
    let finished = sandbox
        .run(&[&["run", "null", "--runtimes", "sync"], &TINY[..]].concat())
        .check(0, &[]);
    assert!(!finished.stdout.contains('\u{1b}') && !finished.stderr.contains('\u{1b}'));
}

#[test]
fn the_table_fits_80_columns() {
    let sandbox = Sandbox::new();
    let finished = sandbox
        .run(&[&["run", "http-get"], &TINY[..]].concat())
        .check(0, &[]);
    let (results, _commands_to_paste) = finished.stdout.split_once("Next:").expect("next steps");
    let too_long: Vec<&str> = results
        .lines()
        .filter(|line| line.chars().count() > 80)
        .collect();
    assert_eq!(too_long, [""; 0]);
}

#[test]
fn a_report_of_many_cells_says_that_it_draws() {
    let sandbox = Sandbox::new();
    sandbox
        .run(&[&["run", "null", "--runtimes", "sync"], &TINY[..]].concat())
        .check(0, &[]);
    let mut record = sandbox.record();
    let cell = record.plan.cells[0].clone();
    for (cells, says) in [(49, false), (50, true)] {
        record.plan.cells.resize(cells, cell.clone());
        let text = serde_json::to_string(&record).expect("plain data");
        sandbox.write("many.json", &text);
        let report = sandbox.run(&["report", "many.json"]).check(0, &[]);
        let line = format!("drawing the charts of {cells} cells");
        assert_eq!(report.stderr.contains(&line), says, "{report:#?}");
        let quiet = sandbox.run(&["report", "many.json", "--quiet"]);
        assert!(!quiet.check(0, &[]).stderr.contains("drawing"));
    }
}

#[test]
fn the_same_command_makes_the_same_plan() {
    let sandbox = Sandbox::new();
    let hash = |arguments: &[&str]| {
        let arguments = [&["plan", "http-get", "--format", "json"], arguments].concat();
        json(&sandbox.run(&arguments).check(0, &[]))["plan_hash"].clone()
    };
    assert_eq!(hash(&[]), hash(&[]));
    assert_ne!(hash(&[]), hash(&["--seed", "2"]));
    assert_ne!(hash(&[]), hash(&["--rounds", "7"]));
}

#[test]
fn a_report_is_rendered_again_from_the_record_alone() {
    let sandbox = Sandbox::new();
    sandbox
        .run(&[&["run", "null", "--runtimes", "sync,threads"], &TINY[..]].concat())
        .check(0, &[]);
    let page = std::fs::read(sandbox.latest().join("report.html")).expect("a page");
    let record = sandbox.path().join("moved.json");
    std::fs::copy(sandbox.latest().join("record.json"), &record).expect("copied");
    sandbox
        .run(&["report", "moved.json", "--out", "again"])
        .check(0, &[]);
    let again = std::fs::read(sandbox.path().join("again/report.html")).expect("a page");
    assert!(page == again, "the page differs from the run's own");
    assert_eq!(pictures(&sandbox, "again", "svg"), [""; 0]);
    sandbox
        .run(&["report", "moved.json", "--svg", "--out", "again"])
        .check(0, &[]);
    let svg = pictures(&sandbox, "again", "svg");
    assert_eq!(svg, pictures(&sandbox, "again", "png"));
    for stem in svg {
        let path = sandbox.path().join(format!("again/charts/{stem}.svg"));
        let text = std::fs::read_to_string(path).expect("a picture");
        assert!(
            text.starts_with("<svg") && text.ends_with("</svg>\n"),
            "{text}"
        );
        assert!(
            text.contains("xmlns=\"http://www.w3.org/2000/svg\""),
            "{text}"
        );
    }
}

/// The names of the charts in one format, sorted.
fn pictures(sandbox: &Sandbox, directory: &str, extension: &str) -> Vec<String> {
    let files = std::fs::read_dir(sandbox.path().join(directory).join("charts")).expect("charts");
    let files = files.map(|file| file.expect("a file").path());
    let mut stems: Vec<String> = files
        .filter(|path| path.extension().is_some_and(|it| it == extension))
        .map(|path| {
            path.file_stem()
                .expect("a name")
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    stems.sort();
    stems
}

#[test]
fn every_format_exports() {
    let sandbox = Sandbox::new();
    sandbox
        .run(&[&["run", "null", "--runtimes", "sync,threads"], &TINY[..]].concat())
        .check(0, &[]);
    let latest = sandbox.latest();
    let latest = latest.to_str().expect("UTF-8");
    for format in photofinish_reports::formats::of_runs() {
        sandbox
            .run(&[
                "export",
                latest,
                "--format",
                format.name,
                "--out",
                format.name,
            ])
            .check(0, &[]);
        let files = std::fs::read_dir(sandbox.path().join(format.name))
            .expect("files")
            .count();
        assert!(files > 0, "{}", format.name);
    }
    let csv = sandbox
        .run(&["export", latest, "--format", "csv"])
        .check(0, &[]);
    assert!(csv.stdout.lines().count() >= 3, "{}", csv.stdout);
}

#[test]
fn a_file_that_is_not_a_record_is_reported() {
    let sandbox = Sandbox::new();
    sandbox.write("other.json", "{\"schema\": \"something/9\"}");
    sandbox
        .run(&["report", "other.json"])
        .check(1, &["other.json", "photofinish-record/"]);
    sandbox
        .run(&["report", "nowhere"])
        .check(1, &["no run at nowhere", "hint:"]);
}

#[test]
fn a_summary_that_cannot_be_printed_tells_where_the_run_is() {
    let sandbox = Sandbox::new();
    let arguments = ["run", "null", "--runtimes", "sync", "--format", "json"];
    let mut command = sandbox.command(&[&arguments[..], &TINY[..]].concat());
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full");
    command.stdout(full.expect("Linux"));
    let expected = [
        "cannot write to stdout",
        "hint: the run is complete: photofinish-runs/20",
    ];
    Finished::of(&mut command).check(1, &expected);
}

#[test]
fn a_closed_output_pipe_is_not_an_error() {
    let sandbox = Sandbox::new();
    let mut started = sandbox.start(&["list"]);
    drop(started.child().stdout.take());
    started.finish().check(0, &[]);
}

#[test]
fn an_answer_that_cannot_be_printed_is_an_error() {
    let sandbox = Sandbox::new();
    for arguments in [&["--version"][..], &["--help"], &["run", "-h"], &["list"]] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full");
        let mut command = sandbox.command(arguments);
        command.stdout(full.expect("a full device"));
        Finished::of(&mut command).check(1, &["cannot write to stdout"]);
    }
}

#[test]
fn the_next_steps_name_a_users_file_by_its_path() {
    let sandbox = Sandbox::new();
    sandbox.write("mine.toml", "workload = 'http-get'\n");
    let arguments = [&["run", "./mine.toml", "--runtimes", "sync"], &TINY[..]].concat();
    let asked = "run ./mine.toml --target http=";
    let finished = sandbox.run(&arguments).check(0, &[]);
    assert!(finished.stdout.contains(asked), "{}", finished.stdout);
}

#[test]
fn the_next_steps_after_transactions_need_a_database_with_their_tables() {
    let sandbox = Sandbox::new();
    sandbox.write("bank.sql", "CREATE TABLE tills (id int)");
    let text = "[[transaction]]\nstatements = [\"SELECT 1\"]\n";
    sandbox.write("own.toml", text);
    sandbox.write("made.toml", &format!("{text}[sql]\nsetup = \"bank.sql\"\n"));
    for (scenario, expected) in [
        ("own.toml", "own.toml --target db=postgres://USER@"),
        ("made.toml", "made.toml --target db=local"),
    ] {
        let arguments = [&["run", scenario, "--runtimes", "sync"], &TINY[..]].concat();
        let finished = sandbox.run(&arguments).check(0, &[]);
        assert!(finished.stdout.contains(expected), "{}", finished.stdout);
    }
}

/// Goal: colour and amount of output are the user's choice. Method: a tiny run, shown again in each way.
#[test]
fn colour_and_amount_of_output_can_be_chosen() {
    let sandbox = Sandbox::new();
    let run = [&["run", "null", "--runtimes", "sync,threads"], &TINY[..]].concat();
    let quiet = sandbox
        .run(&[&run[..], &["--quiet"]].concat())
        .check(0, &[]);
    for absent in ["Placement", "Next:", "Record:"] {
        assert!(!quiet.stdout.contains(absent), "{absent} in {quiet:?}");
    }
    assert!(
        quiet.stderr.is_empty() && !quiet.stdout.is_empty(),
        "{quiet:?}"
    );
    let show = |options: &[&str]| {
        sandbox
            .run(&[&["show"], options].concat())
            .check(0, &[])
            .stdout
    };
    assert!(show(&["--color", "always"]).contains("\x1b["));
    assert!(!show(&[]).contains("\x1b[") && !show(&[]).contains("Overhead of the loop"));
    assert!(show(&["-v"]).contains("Overhead of the loop"));
    let mut command = sandbox.command(&["show", "--color", "always"]);
    let told = Finished::of(command.env("NO_COLOR", "1")).check(0, &[]);
    assert!(
        told.stdout.contains("\x1b["),
        "the option goes before the environment"
    );
    sandbox
        .run(&["show", "-v", "-q"])
        .check(2, &["cannot be used with"]);
}
