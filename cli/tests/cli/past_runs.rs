//! What earlier runs left: their list, the files of killed ones, and what belongs to somebody else.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use photofinish_record::UtcTime;

use crate::support::{Finished, Sandbox, TINY, program, wait_for};

const NULL: [&str; 4] = ["run", "null", "--runtimes", "sync"];

/// A run that is killed after its first round, with files of a workload. Returns its directory.
fn killed_run(sandbox: &Sandbox) -> PathBuf {
    let mut run = sandbox.start(&[&NULL[..], &["--rounds", "500", "--duration", "30ms"]].concat());
    wait_for("a round", || (sandbox.rounds_so_far() > 0).then_some(()));
    run.signal("KILL");
    run.finish();
    let hidden = sandbox.hidden().expect("the hidden directory stays");
    fs::write(hidden.join("work/large"), vec![0; 3 << 20]).expect("written");
    hidden
}

fn tiny_run(sandbox: &Sandbox) -> Finished {
    sandbox.run(&[&NULL[..], &TINY[..]].concat()).check(0, &[])
}

/// Every path below a directory, with what it holds.
fn contents(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![directory.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a directory") {
            let path = entry.expect("an entry").path();
            let is_folder = path.is_dir() && !path.is_symlink();
            let content = if is_folder {
                Vec::new()
            } else {
                fs::read(&path).unwrap_or_default()
            };
            if is_folder {
                folders.push(path.clone());
            }
            found.insert(path, content);
        }
    }
    found
}

#[test]
fn the_next_run_removes_a_killed_runs_files_and_names_it_once() {
    let sandbox = Sandbox::new();
    let hidden = killed_run(&sandbox);
    let name = hidden
        .file_name()
        .and_then(|name| name.to_str())
        .expect("a name");
    let finished = tiny_run(&sandbox).check(
        0,
        &[
            "an earlier run was killed; 3.00MiB of its files",
            "kept: photofinish report",
            name,
        ],
    );
    assert!(!hidden.join("work").exists());
    // The advice is right.
    let (_, command) = finished
        .stderr
        .split_once("photofinish report ")
        .expect("a command");
    let path = command.lines().next().expect("a path");
    sandbox.run(&["report", path]).check(0, &[]);
    let again = tiny_run(&sandbox);
    assert!(!again.stderr.contains("killed"), "{}", again.stderr);
}

#[test]
fn a_run_in_progress_is_left_alone() {
    let sandbox = Sandbox::new();
    let mut run = sandbox.start(&[&NULL[..], &["--rounds", "500", "--duration", "30ms"]].concat());
    wait_for("a round", || (sandbox.rounds_so_far() > 0).then_some(()));
    let work = sandbox.hidden().expect("a run").join("work");
    let other = tiny_run(&sandbox);
    assert!(!other.stderr.contains("killed"), "{}", other.stderr);
    let list = sandbox
        .run(&["runs", "--prune"])
        .check(0, &["Nothing was left behind"]);
    assert!(list.stdout.contains("running"), "{}", list.stdout);
    assert!(work.is_dir());
    run.signal("INT");
    run.finish().check(130, &[]);
}

#[test]
fn past_runs_are_listed_and_killed_ones_removed_when_asked() {
    let sandbox = Sandbox::new();
    sandbox
        .run(&["runs"])
        .check(0, &["There are no runs in photofinish-runs"]);
    tiny_run(&sandbox);
    let hidden = killed_run(&sandbox);
    let server = format!(
        "exec {} serve http --listen 127.0.0.1:{{port}}",
        program().display()
    );
    let gate =
        "gate http-get --set path=/ --duration 20ms --max-pairs 10 --no-redo --concurrency 1";
    let mut gate: Vec<&str> = gate.split(' ').collect();
    gate.extend(["--base-server", &server, "--head-server", &server]);
    let gate = sandbox.run(&gate);
    assert!(
        gate.stderr
            .contains("pair 3 of 10 until look 1 done, about "),
        "{gate:?}"
    );
    let listed = sandbox.run(&["runs", "--json"]).check(0, &[]).json();
    let runs = listed["runs"].as_array().expect("runs");
    let of = |key: &str| Vec::from_iter(runs.iter().map(|run| run[key].clone()));
    assert_eq!(of("status"), ["complete", "killed", "complete"], "{listed}");
    assert!(
        runs[0]["verdict"].is_null() && runs[2]["verdict"].is_string(),
        "{listed}"
    );
    assert_eq!(runs[0]["scenarios"], serde_json::json!(["null"]));
    assert_eq!(runs[0]["rounds"], 2);
    assert!(runs[1]["rounds"].as_u64() > Some(0) && runs[1]["size_bytes"].as_u64() > Some(100));
    let finished = sandbox
        .run(&["runs", "--prune"])
        .check(0, &["removed", ".partial"]);
    assert!(!hidden.exists());
    let lines: Vec<_> = finished.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{}", finished.stdout);
    let id = runs[0]["id"].as_str().expect("an id");
    assert!(lines[0].contains("result") && lines[1].contains(id) && lines[1].ends_with("  null"));
}

/// Goal: nothing is removed that a run did not make. Method: neighbours with almost the right name, lock or record.
#[test]
fn files_not_made_by_a_run_are_never_removed() {
    let sandbox = Sandbox::new();
    let hidden = killed_run(&sandbox);
    let runs = sandbox.path().join("photofinish-runs");
    let outside = sandbox.path().join("outside");
    let copy = |to: &str, without: &[&str]| {
        let to = runs.join(to);
        fs::create_dir_all(to.join("work")).expect("made");
        fs::write(to.join("work/mine"), "mine").expect("written");
        for name in [".lock", "record.json"] {
            if !without.contains(&name) {
                fs::copy(hidden.join(name), to.join(name)).expect("copied");
            }
        }
    };
    copy(".mine.partial", &[]);
    copy("20261120T183000Z-3fa9c1.partial", &[]);
    copy(".20261120T183000Z-3fa9c2.partial", &[".lock"]);
    copy(".20261120T183000Z-3fa9c3.partial", &["record.json"]);
    copy("20261120T183000Z-3fa9c4", &[]);
    fs::create_dir_all(outside.join("work")).expect("made");
    fs::write(outside.join("work/mine"), "mine").expect("written");
    symlink(&outside, runs.join(".20261120T183000Z-3fa9c5.partial")).expect("linked");
    // Its own directory, whose directory for files leads elsewhere.
    fs::remove_dir_all(hidden.join("work")).expect("removed");
    symlink(outside.join("work"), hidden.join("work")).expect("linked");
    // Files that were about to be written, next to files of somebody else.
    fs::create_dir(hidden.join("charts")).expect("made");
    fs::write(
        hidden.join(".lock"),
        "report.html\ncharts/a.png\n../../outside/work/mine\n",
    )
    .expect("written");
    let own = [
        ".lock",
        "record.json",
        "rounds.partial.jsonl",
        "report.html",
        "charts/a.png",
        ".new-a1B2c3",
    ];
    for name in [
        "report.html",
        "charts/a.png",
        ".new-a1B2c3",
        "notes.txt",
        "charts/b.png",
        ".new-notes",
    ] {
        fs::write(hidden.join(name), "mine").expect("written");
    }
    let before = contents(sandbox.path());
    tiny_run(&sandbox);
    let named = ["removed", "except what no run made", "notes.txt"];
    sandbox.run(&["runs", "--prune"]).check(0, &named);
    let after = contents(sandbox.path());
    for name in own {
        assert!(!after.contains_key(&hidden.join(name)), "{name}");
    }
    for (path, content) in before {
        let own = own.iter().any(|name| path == hidden.join(name));
        assert!(
            own || after.get(&path) == Some(&content),
            "{}",
            path.display()
        );
    }
}

/// Goal: the gates' cache is listed and cleaned, except for what a gate uses or no gate made. Method: directories as
/// gates leave them, one of them locked by this process.
#[test]
fn gate_directories_are_listed_and_removed_unless_they_are_in_use() {
    let sandbox = Sandbox::new();
    let cache = sandbox.path().join("cache/photofinish/gate");
    let place = |name: &str| {
        fs::create_dir_all(cache.join(name)).expect("made");
        fs::write(cache.join(name).join("built"), vec![0; 2 << 20]).expect("written");
        cache.join(name)
    };
    let [unused, used, foreign] = ["unused-0", "used-0", "foreign"].map(place);
    let lock = |place: &Path| File::create(place.join("lock")).expect("made");
    lock(&unused);
    let held = lock(&used);
    held.lock().expect("locked");
    let listed = sandbox.run(&["runs", "--json"]).check(0, &[]).json();
    let leftovers = listed["leftovers"].as_array().expect("leftovers");
    assert_eq!(leftovers.len(), 1, "{listed}");
    assert_eq!(leftovers[0]["path"], unused.to_str().expect("UTF-8"));
    assert!(
        leftovers[0]["size_bytes"].as_u64() >= Some(2 << 20),
        "{listed}"
    );
    assert!(leftovers[0]["age_s"].is_u64(), "{listed}");
    let expected = [
        "left behind: ",
        "unused-0 (2.00MiB, 0 min old)",
        "hint: `photofinish runs --prune`",
    ];
    sandbox.run(&["runs"]).check(0, &expected);
    sandbox
        .run(&["runs", "--prune"])
        .check(0, &["removed", "unused-0"]);
    assert!(!unused.exists() && used.join("built").exists() && foreign.join("built").exists());
}

/// Goal: a report replaces only a report of the same run. Method: two records in one directory, and one run named
/// twice.
#[test]
fn reports_of_two_runs_do_not_replace_each_other() {
    let sandbox = Sandbox::new();
    for name in ["a.json", "b.json"] {
        tiny_run(&sandbox);
        fs::copy(
            sandbox.latest().join("record.json"),
            sandbox.path().join(name),
        )
        .expect("copied");
    }
    let expected = ["b.json would replace", "hint: add --out DIR"];
    sandbox
        .run(&["report", "a.json", "b.json"])
        .check(2, &expected);
    assert!(!sandbox.path().join("report.html").exists());
    sandbox
        .run(&["report", "a.json", "b.json", "--out", "all"])
        .check(0, &[]);
    sandbox.run(&["report", "a.json", "./a.json"]).check(0, &[]);
}

#[test]
fn a_directory_named_latest_causes_a_warning() {
    let sandbox = Sandbox::new();
    fs::create_dir_all(sandbox.path().join("photofinish-runs/latest")).expect("made");
    tiny_run(&sandbox).check(
        0,
        &["warning: photofinish-runs/latest does not point to this run"],
    );
}

#[test]
fn an_endless_record_is_refused() {
    let sandbox = Sandbox::new();
    for (name, expected) in [
        ("zero", "it begins neither with `{` nor like a page"),
        ("large", "larger than 512 MiB"),
    ] {
        let run = sandbox.path().join(name);
        fs::create_dir(&run).expect("made");
        let record = run.join("record.json");
        if name == "zero" {
            symlink("/dev/zero", &record).expect("linked");
        } else {
            let file = File::create(&record).expect("made");
            file.set_len(600 << 20).expect("sparse");
        }
        for command in ["report", "gate"] {
            let limited = &mut sandbox.command_after("ulimit -v 4000000", &[command, name]);
            Finished::of(limited).check(1, &["is not a record of this version", expected]);
        }
    }
}

/// Goal: the tables of a past run come back, by whatever name it is called. Method: a run, and its output.
#[test]
fn a_past_run_is_shown_again() {
    let sandbox = Sandbox::new();
    let printed = tiny_run(&sandbox).stdout;
    let (tables, _) = printed.split_once("Report: ").expect("tables");
    let table = tables.split_once("runtime ").expect("a table").1;
    let id = sandbox.record().id;
    let directory = format!("photofinish-runs/{id}");
    let record = format!("{directory}/record.json");
    for arguments in [
        &["show"][..],
        &["show", &id],
        &["show", &directory],
        &["show", &record],
    ] {
        let shown = sandbox.run(arguments).check(0, &[]).stdout;
        let first = table.lines().nth(1).expect("a row");
        assert!(shown.contains(first), "{first} in {shown}");
        assert!(shown.contains("Report: photofinish-runs/"), "{shown}");
    }
}

#[test]
fn the_newest_run_is_shown_without_a_link_to_it() {
    let sandbox = Sandbox::new();
    tiny_run(&sandbox);
    let older = sandbox.latest().canonicalize().expect("a run");
    let newer = older.with_file_name("99991231T235959Z-000000");
    fs::create_dir(&newer).expect("made");
    fs::copy(older.join("record.json"), newer.join("record.json")).expect("copied");
    fs::write(newer.join("report.html"), "").expect("written");
    let latest = sandbox.path().join("photofinish-runs/latest");
    let check = || {
        let shown = sandbox.run(&["show"]).check(0, &[]).stdout;
        let report = "Report: photofinish-runs/99991231T235959Z-000000/";
        assert!(shown.contains(report), "{shown}");
    };
    fs::remove_file(&latest).expect("removed");
    check();
    symlink("nowhere", &latest).expect("linked");
    check();
}

/// Goal: a page is read like its record, by content. Method: a copy under another name, other pages, and a damaged one.
#[test]
fn a_page_is_read_like_its_record() {
    let sandbox = Sandbox::new();
    tiny_run(&sandbox);
    let record = "photofinish-runs/latest/record.json";
    let page = fs::read_to_string(sandbox.latest().join("report.html")).expect("a page");
    sandbox.write("mailed.txt", &page);
    let exported = |run: &str| {
        let export = sandbox.run(&["export", run, "--format", "csv"]);
        export.check(0, &[]).stdout
    };
    assert_eq!(exported("mailed.txt"), exported(record));
    let shown = sandbox.run(&["show", "mailed.txt"]).check(0, &[]).stdout;
    assert!(shown.contains("Report: mailed.txt"), "{shown}");
    sandbox
        .run(&["compare", "mailed.txt", record, "--html", "two.html"])
        .check(0, &[]);
    sandbox
        .run(&["report", "mailed.txt", "--out", "again"])
        .check(0, &[]);
    let again = fs::read_to_string(sandbox.path().join("again/report.html"));
    assert_eq!(again.expect("a page"), page);
    sandbox.write("other.html", "<!DOCTYPE html><title>Something else</title>");
    let start = page.find("H4sI").expect("compressed");
    let damaged = [&page[..start + 40], "!", &page[start + 41..]].concat();
    sandbox.write("damaged.html", &damaged);
    for (file, expected) in [
        ("other.html", "there is no record in this page"),
        (
            "two.html",
            "pages of earlier versions, of large runs and of `compare` have none",
        ),
        ("damaged.html", "is damaged"),
    ] {
        for command in ["report", "show"] {
            sandbox
                .run(&[command, file])
                .check(1, &[expected, "hint: "]);
        }
    }
}

/// Goal: the browser gets the report, which is made if it is missing. Method: a script that notes its arguments.
#[test]
fn a_report_is_opened_in_the_browser_and_made_if_it_is_missing() {
    let sandbox = Sandbox::new();
    tiny_run(&sandbox);
    let page = sandbox.latest().join("report.html");
    fs::remove_file(&page).expect("there was a page");
    sandbox.write("browser", "#!/bin/sh\necho \"$@\" > opened\n");
    let open = |browser: &str| {
        let mut command = sandbox.command(&["open"]);
        command.env("BROWSER", browser).env_remove("DISPLAY");
        command.env_remove("WAYLAND_DISPLAY");
        Finished::of(&mut command).check(0, &[])
    };
    let quiet = open("nosuch:sh browser --new %s");
    assert_eq!(quiet.stdout, "photofinish-runs/latest/report.html\n");
    let opened = fs::read_to_string(sandbox.path().join("opened")).expect("it was started");
    assert!(
        opened.starts_with("--new /") && opened.ends_with("/latest/report.html\n"),
        "{opened}"
    );
    assert!(page.is_file() && quiet.stderr.is_empty(), "{quiet:?}");
    if cfg!(target_os = "linux") {
        let told = open("false");
        assert!(
            told.stderr.contains("no browser could be started"),
            "{told:?}"
        );
    }
}

#[test]
fn a_missing_run_is_reported_as_such() {
    let sandbox = Sandbox::new();
    for command in ["gate", "report", "show", "open"] {
        let expected = [
            "no run at photofinish-runs/nosuch",
            "hint: `photofinish runs`",
        ];
        sandbox
            .run(&[command, "photofinish-runs/nosuch"])
            .check(1, &expected);
    }
}

#[test]
fn baselines_are_listed_within_the_width_and_as_json() {
    let sandbox = Sandbox::new();
    sandbox
        .run(&[&NULL[..], &TINY[..], &["--save-baseline", "main"]].concat())
        .check(0, &[]);
    sandbox.write("photofinish-baselines/broken.json", "{}");
    let list = sandbox.run(&["baseline", "list"]).check(0, &[]).stdout;
    assert!(
        list.contains("main: ") && list.contains("2 rounds"),
        "{list}"
    );
    assert!(
        list.lines().all(|line| line.chars().count() <= 80),
        "{list}"
    );
    let json = sandbox
        .run(&["baseline", "list", "--json"])
        .check(0, &[])
        .json();
    let baselines = json["baselines"].as_array().expect("baselines");
    assert!(baselines[0]["error"].is_string(), "{json}");
    assert_eq!(baselines[1]["name"], "main");
    assert_eq!(baselines[1]["rounds"], 2);
}

/// Goal: old runs go as asked, and nothing else. Method: one run, and copies of it under other ids; some of them belong to
/// another program, have another name, or hold a file of the user's.
#[test]
fn old_runs_are_removed_by_number_and_by_age() {
    let sandbox = Sandbox::new();
    tiny_run(&sandbox);
    let runs = sandbox.path().join("photofinish-runs");
    let newest = sandbox.record().id;
    let copy = |name: &str, id: &str, started: &str, tool: &str| {
        let to = runs.join(name);
        fs::create_dir_all(to.join("charts")).expect("made");
        for file in ["report.html", "rounds.hlog", "charts/a.png"] {
            fs::write(to.join(file), "made by a run").expect("written");
        }
        let mut record = sandbox.record();
        record.id = id.to_owned();
        record.tool.name = tool.to_owned();
        record.started_utc = started.to_owned();
        let text = serde_json::to_string(&record).expect("JSON");
        fs::write(to.join("record.json"), text).expect("written");
    };
    let name = |number: usize| format!("2026010{number}T000000Z-00000{number}");
    let own = |number: usize, started: &str| {
        copy(&name(number), &name(number), started, "photofinish");
    };
    own(1, "2026-01-01T00:00:00Z");
    own(2, "2026-01-02T00:00:00Z");
    fs::write(runs.join(name(2)).join("notes.txt"), "mine").expect("written");
    own(3, "2026-01-03T00:00:00Z");
    copy(&name(4), &name(4), "2026-01-04T00:00:00Z", "elsewhere");
    copy("mine", &name(5), "2026-01-05T00:00:00Z", "photofinish");
    let young = UtcTime::from(SystemTime::now() - Duration::from_hours(5));
    own(6, &young.to_string());
    fs::create_dir_all(sandbox.path().join("outside")).expect("made");
    symlink(runs.join("mine"), runs.join(name(7))).expect("linked");
    let before = contents(sandbox.path());
    let prune = |arguments: &[&str], expected: &[&str]| {
        let command = [&["runs", "--prune"], arguments].concat();
        sandbox.run(&command).check(0, expected).stderr
    };
    let [first, second, third] = [1, 2, 3].map(name);
    let dry = prune(
        &["--keep", "3", "--dry-run"],
        &[
            "would remove photofinish-runs/",
            &first,
            &second,
            "in all",
            "without --dry-run",
        ],
    );
    assert!(!dry.contains(&third), "{dry}");
    prune(&["--keep", "5"], &["Nothing to remove"]);
    prune(
        &["--keep", "1", "--older-than", "10000w"],
        &["Nothing to remove"],
    );
    prune(&[], &["Nothing was left behind"]);
    assert_eq!(contents(sandbox.path()), before);
    let removed = prune(&["--keep", "4"], &["removed photofinish-runs/", &first]);
    assert!(!removed.contains(&second) && !runs.join(&first).exists());
    // The newest stays, however old it is; a file of the user's stays too.
    let both = [
        second.as_str(),
        &third,
        "except what no run made: ",
        "notes.txt",
    ];
    prune(&["--older-than", "4h"], &both);
    let gone = [1, 2, 3, 6].map(|number| runs.join(name(number)));
    let kept = [runs.join(&second), runs.join(&second).join("notes.txt")];
    let after = contents(sandbox.path());
    for (path, content) in before {
        let is_gone = gone.iter().any(|run| path.starts_with(run)) && !kept.contains(&path);
        let expected = Some(&content).filter(|_| !is_gone);
        assert_eq!(after.get(&path), expected, "{}", path.display());
    }
    assert!(sandbox.record().id == newest);
    let refused = sandbox.run(&["runs", "--keep", "3"]);
    refused.check(2, &["--prune", "hint: "]);
    let refused = sandbox.run(&["runs", "--prune", "--older-than", "3"]);
    refused.check(2, &["such as 12h, 30d or 8w"]);
}
