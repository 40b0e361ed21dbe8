//! Help and manual page: there for every command, and readable at 80 columns.

use crate::support::Sandbox;

/// The commands that the overview shows, but for clap's own `help`.
fn commands(overview: &str) -> Vec<&str> {
    let listed = overview.lines().skip_while(|line| *line != "Commands:");
    let names = listed
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  ")?.split_once(' '))
        .map(|(name, _)| name);
    let commands: Vec<_> = names.filter(|name| !["", "help"].contains(name)).collect();
    assert!(commands.contains(&"run"), "{overview}");
    commands
}

#[track_caller]
fn check_width(text: &str, what: &str) {
    for line in text.lines() {
        assert!(line.chars().count() <= 80, "{what}: {line}");
    }
}

#[test]
fn the_help_of_every_command_fits_80_columns() {
    let sandbox = Sandbox::new();
    let overview = sandbox.run(&["--help"]).check(0, &[]).stdout;
    check_width(&overview, "--help");
    for command in commands(&overview) {
        for flag in ["-h", "--help"] {
            let help = sandbox.run(&[command, flag]).check(0, &[]).stdout;
            check_width(&help, command);
            assert!(help.contains("Usage: photofinish"), "{help}");
        }
    }
}

/// Goal: the first help of every command fits a screen and is true. Method: its lines, and its options in the long one.
#[test]
fn the_short_help_of_every_command_fits_a_screen() {
    let sandbox = Sandbox::new();
    let overview = sandbox.run(&["--help"]).check(0, &[]).stdout;
    for command in commands(&overview) {
        let short = sandbox.run(&[command, "-h"]).check(0, &[]).stdout;
        let long = sandbox.run(&[command, "--help"]).check(0, &[]).stdout;
        assert!(short.lines().count() <= 24, "{command}: {short}");
        assert!(short.lines().count() < long.lines().count(), "{command}");
        let options = |text: &str| {
            let words = text.split([' ', ',', '`', '[', ']', '=', '\n']);
            let options = words.filter(|word| word.starts_with("--") && word.len() > 2);
            options.map(str::to_owned).collect::<Vec<_>>()
        };
        let known = options(&long);
        for option in options(&short) {
            assert!(known.contains(&option), "{command} has no {option}");
        }
    }
    let explained = sandbox.run(&["help", "run"]).check(0, &[]).stdout;
    assert_eq!(
        explained,
        sandbox.run(&["run", "--help"]).check(0, &[]).stdout
    );
}

#[test]
fn internal_commands_are_not_in_the_overview() {
    let overview = Sandbox::new().run(&["--help"]).check(0, &[]).stdout;
    let commands = overview
        .lines()
        .filter_map(|line| line.trim().split(' ').next());
    let shown: Vec<&str> = commands.collect();
    for internal in ["worker", "launch", "arm-server", "throwaway-postgres"] {
        assert!(!shown.contains(&internal), "{internal}: {overview}");
    }
}

#[test]
fn the_manual_page_has_every_command() {
    let sandbox = Sandbox::new();
    let overview = sandbox.run(&["--help"]).check(0, &[]).stdout;
    let page = sandbox.run(&["man"]).check(0, &[]).stdout;
    for command in commands(&overview) {
        let heading = format!(".SH PHOTOFINISH {}", command.to_uppercase());
        assert!(
            page.contains(&heading)
                || page.contains(&heading.replace("PHOTOFINISH ", "\"PHOTOFINISH ")),
            "{command}"
        );
    }
}

#[test]
fn the_list_has_every_runtime_and_marks_the_discontinued_one() {
    let list = Sandbox::new().run(&["list", "--all"]).check(0, &[]).stdout;
    check_width(&list, "list --all");
    for name in [
        "sync",
        "threads",
        "pool",
        "tokio",
        "tokio-current-thread",
        "async-std",
        "smol",
        "http-get",
        "wiremock",
    ] {
        assert!(
            list.contains(&format!("\n  {name} ")),
            "{name} is not in: {list}"
        );
    }
    assert!(list.contains("discontinued"), "{list}");
}

/// Goal: names fit a screen, details are a filter away. Method: the catalogue's own names.
#[test]
fn the_list_fits_a_screen_and_takes_a_filter() {
    let sandbox = Sandbox::new();
    let overview = sandbox.run(&["list"]).check(0, &[]).stdout;
    check_width(&overview, "list");
    assert!(overview.lines().count() <= 50, "{overview}");
    for entry in photofinish_scenarios::catalogue::catalogue() {
        assert!(overview.contains(entry.name), "{}", entry.name);
    }
    let files = sandbox.run(&["list", "FILE-"]).check(0, &[]).stdout;
    assert!(files.contains("\n  file-read "), "{files}");
    assert!(
        !files.contains("http-get") && !files.contains("Runtimes"),
        "{files}"
    );
    let expected = ["nothing has `nosuch`", "hint: `photofinish list`"];
    sandbox.run(&["list", "nosuch"]).check(2, &expected);
}

/// Goal: the first help fits a screen and leads everywhere. Method: its size, and the commands of the overview.
#[test]
fn the_brief_help_fits_a_screen_and_names_every_command() {
    let sandbox = Sandbox::new();
    let brief = sandbox.run(&["-h"]).check(0, &[]).stdout;
    check_width(&brief, "-h");
    assert!(brief.lines().count() <= 24, "{brief}");
    let overview = sandbox.run(&["--help"]).check(0, &[]).stdout;
    let words: Vec<&str> = brief.split([' ', ',', '\n']).collect();
    for command in commands(&overview) {
        assert!(words.contains(&command), "{command} is not in: {brief}");
    }
    let alone = sandbox.run(&[]).check(2, &[]);
    assert_eq!(
        (alone.stderr.trim(), alone.stdout.as_str()),
        (brief.trim(), "")
    );
}
