//! The commands in the documents: each is understood by the program and run, with small loads. Their scenarios are planned,
//! and their links followed.
//!
//! A shell splits the lines, as a reader's would, with nothing in its path but a program that notes its arguments.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use photofinish_record::Completion;

use crate::certificates::Authority;
use crate::nginx::nginx_serving;
use crate::support::{Finished, Sandbox, TINY, program};

/// Notes its arguments, one a line and each ended by NUL.
const NOTING: &str = "#!/bin/sh\nfor word; do printf '%s\\0' \"$word\"; done > \"$NOTES\"\n";

/// Commands that read past runs or print something, and so need no load. `report --serve` goes on until it is stopped.
const QUICK: [&str; 10] = [
    "baseline", "compare", "export", "lanes", "list", "plan", "report", "runs", "show", "submit",
];

/// The files that the documents import.
const IMPORTED: [(&str, &str); 3] = [
    (
        "shop.har",
        r#"{"log":{"entries":[{"request":{"method":"GET","url":"http://127.0.0.1:8080/","headers":[]}}]}}"#,
    ),
    ("targets.txt", "GET http://127.0.0.1:8080/\n"),
    ("bank.sql", "SELECT 1;\n"),
];

/// A command, and where it is.
struct Documented {
    place: String,
    words: Vec<String>,
}

/// The lines in fenced blocks that start the program, continuation lines joined.
fn lines(text: &str) -> Vec<String> {
    let blocks = text.split("```").skip(1).step_by(2);
    let joined = blocks.map(|block| block.replace("\\\n", " "));
    let lines = joined.flat_map(|block| block.lines().map(str::to_owned).collect::<Vec<_>>());
    let starts_it = |line: &String| {
        let mut words = line
            .split_whitespace()
            .skip_while(|word| word.contains('='));
        let first = [words.next(), words.next()];
        (first[0] == Some("photofinish") && first[1] != Some("="))
            || first == [Some("cargo"), Some("run")]
    };
    lines.filter(starts_it).collect()
}

/// README and docs, by their path below the root, with their text.
fn documents() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let docs = fs::read_dir(root.join("docs")).expect("docs");
    let names = docs.map(|entry| entry.expect("an entry").file_name());
    let names = names.map(|name| format!("docs/{}", name.display()));
    let mut names: Vec<_> = names.filter(|name| name.ends_with(".md")).collect();
    names.push("README.md".to_owned());
    names.sort();
    let read = |name: String| {
        let text = fs::read_to_string(root.join(&name)).expect("a document");
        (name, text)
    };
    names.into_iter().map(read).collect()
}

/// The commands of README and docs; those that cargo runs belong to this program if it is not told of another.
fn documented(sandbox: &Sandbox) -> Vec<Documented> {
    for name in ["photofinish", "cargo"] {
        let path = sandbox.write(name, NOTING);
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("executable");
    }
    let mut commands: Vec<Documented> = Vec::new();
    for (name, text) in documents() {
        for line in lines(&text) {
            let words = split(sandbox, &line);
            let words = match words.iter().position(|word| word == "--") {
                Some(end) if words[0] == "run" && words[1] == "--release" && end == 2 => {
                    words[end + 1..].to_vec()
                }
                _ if line.trim_start().starts_with("cargo") => continue,
                _ => words,
            };
            let place = format!("{name}: {}", line.trim());
            commands.push(Documented { place, words });
        }
    }
    let mut seen = BTreeSet::new();
    commands.retain(|command| seen.insert(command.words.clone()));
    commands
}

/// The words of a line, as a shell splits them.
fn split(sandbox: &Sandbox, line: &str) -> Vec<String> {
    let notes = sandbox.path().join("notes");
    let output = Command::new("/bin/sh")
        .args(["-c", line])
        .current_dir(sandbox.path())
        .env_clear()
        .env("PATH", sandbox.path())
        .env("NOTES", &notes)
        .output();
    output.expect("a shell");
    let noted = fs::read_to_string(&notes).unwrap_or_else(|error| panic!("{line}: {error}"));
    fs::remove_file(notes).expect("removed");
    let words = noted.split_terminator('\0').map(str::to_owned);
    words.collect()
}

/// Runs the command as far as its arguments are read: `--help` ends that, after all that is before it was understood.
fn understand(sandbox: &Sandbox, words: &[String]) -> Finished {
    let end = words.iter().position(|word| word == "--");
    let mut words: Vec<&str> = words.iter().map(String::as_str).collect();
    // Takes the arguments of other programs, and so the help, too; it reads one file and writes one.
    if words[0] == "import" {
        let sandbox = Sandbox::new();
        for (name, text) in IMPORTED {
            sandbox.write(name, text);
        }
        return sandbox.run(&words);
    }
    words.insert(end.unwrap_or(words.len()), "--help");
    sandbox.run(&words)
}

#[test]
fn every_command_in_the_documents_is_understood() {
    let sandbox = Sandbox::new();
    let commands = documented(&sandbox);
    assert!(commands.len() > 70, "{}", commands.len());
    for Documented { place, words } in &commands {
        let finished = understand(&sandbox, words);
        assert_eq!(finished.code, Some(0), "{place}\n{}", finished.stderr);
    }
    for wrong in [
        "run http-get --runtime-s sync",
        "gate http-get --rounds-s 5",
        "shoe",
    ] {
        let words: Vec<String> = wrong.split(' ').map(str::to_owned).collect();
        understand(&sandbox, &words).check(2, &["error: "]);
    }
}

/// Goal: what the documents say about past runs, baselines and plans works. Method: a run and a baseline `main`, then every such
/// command; a run is planned instead.
#[test]
fn commands_without_load_work_as_documented() {
    let sandbox = Sandbox::new();
    let null = ["run", "http-get", "--runtimes", "tokio"];
    sandbox.run(&[&null[..], &TINY[..]].concat()).check(0, &[]);
    let mut ran = 0;
    for Documented { place, words } in documented(&sandbox) {
        let mut words: Vec<&str> = words.iter().map(String::as_str).collect();
        let is_quick = QUICK.contains(&words[0]) && !words.contains(&"--serve");
        let is_planned = words[0] == "run" && !words.iter().any(|word| needs_more(word));
        if is_planned {
            words[0] = "plan";
        } else if !is_quick || words[0] != "submit" && words.iter().any(|word| needs_more(word)) {
            continue;
        }
        if ["baseline", "compare"].contains(&words[0]) {
            let keep = ["baseline", "promote", "photofinish-runs/latest", "main"];
            sandbox.run(&keep).check(0, &[]);
        }
        let finished = sandbox.run(&words);
        assert_eq!(finished.code, Some(0), "{place}\n{}", finished.stderr);
        ran += 1;
    }
    assert!(ran > 40, "{ran}");
}

/// True for a word that asks for a file, a server, another program or a kind of machine that is not here, or that only a run
/// takes.
fn needs_more(word: &str) -> bool {
    let beginnings = [
        "--target",
        "--server",
        "--lane",
        "--shard",
        "--expect",
        "--save-baseline",
        "--fail-fast",
    ];
    word.ends_with(".toml")
        || word.contains("python")
        || beginnings.iter().any(|it| word.starts_with(it))
}

/// Commands that tests in other files run: the whole self-test takes minutes, packages come over a network, a merge needs
/// shards.
const IN_OTHER_FILES: [&str; 3] = ["selftest", "setup", "merge"];

/// Goal: each command is run by some test. Method: what is left by the tests of this file is run here or listed above.
#[test]
fn the_remaining_commands_work_as_documented() {
    let sandbox = Sandbox::new();
    let null = ["run", "http-get", "--runtimes", "tokio"];
    sandbox.run(&[&null[..], &TINY[..]].concat()).check(0, &[]);
    sandbox.script("browser", "#!/bin/sh\necho \"$1\" >> opened\n");
    let mut ran = BTreeSet::new();
    for Documented { place, words } in documented(&sandbox) {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let expected: &[i32] = match words[0] {
            "open" => &[0],
            // Whether this machine is fit is not the question.
            "doctor" => &[0, 4],
            "run" | "gate" | "import" | "init" => continue,
            word if QUICK.contains(&word) || IN_OTHER_FILES.contains(&word) => continue,
            _ => panic!("{place} is run by no test"),
        };
        let mut command = sandbox.command(&words);
        let finished = Finished::of(command.env("BROWSER", "./browser"));
        let code = finished.code.unwrap_or(-1);
        assert!(expected.contains(&code), "{place}\n{finished:?}");
        ran.insert(words[0].to_owned());
    }
    assert_eq!(Vec::from_iter(ran), ["doctor", "open"]);
    let opened = fs::read_to_string(sandbox.path().join("opened")).expect("opened");
    assert!(opened.contains("/report.html"), "{opened}");
}

/// Goal: what the documents tell cargo exists. Method: the packages, test targets, examples and scripts that lines of code name.
#[test]
fn what_cargo_is_told_in_the_documents_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let workspace = fs::read_to_string(root.join("Cargo.toml")).expect("a manifest");
    let workspace: toml::Table = workspace.parse().expect("TOML");
    let members = workspace["workspace"]["members"]
        .as_array()
        .expect("members");
    let members: Vec<&str> = members.iter().filter_map(toml::Value::as_str).collect();
    let packages: BTreeSet<(String, &str)> = members
        .iter()
        .map(|folder| {
            let text =
                fs::read_to_string(root.join(folder).join("Cargo.toml")).expect("a manifest");
            let manifest: toml::Table = text.parse().expect("TOML");
            let name = manifest["package"]["name"].as_str().expect("a name");
            (name.to_owned(), *folder)
        })
        .collect();
    let mut checked = 0;
    for (name, text) in documents() {
        let code = text.replace("\\\n", " ");
        // Fences are pairs of three.
        let code = code.split('`').skip(1).step_by(2).flat_map(str::lines);
        for line in code.filter(|line| line.contains("cargo ")) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let after = |option: &str| {
                let at = words.iter().position(|word| *word == option);
                at.and_then(|at| words.get(at + 1).copied())
            };
            let package = after("-p");
            let folder = package.map(|package| {
                let found = packages.iter().find(|(name, _)| name == package);
                let (_, folder) = found.unwrap_or_else(|| panic!("{name}: {line}"));
                *folder
            });
            let exists = |path: String| {
                let places = [
                    path.clone() + ".rs",
                    path.clone() + "/main.rs",
                    path.clone(),
                ];
                let is_there = places.iter().any(|path| root.join(path).exists());
                assert!(is_there, "{name}: {line}: {path}");
            };
            if let Some(test) = after("--test") {
                exists(format!("{}/tests/{test}", folder.expect("a package")));
            }
            if let Some(example) = after("--example") {
                exists(format!("examples/{}", example.replace('-', "_")));
            }
            if let Some(script) = after("python3") {
                exists(script.to_owned());
            }
            checked += 1;
        }
    }
    assert!(checked > 15, "{checked}");
}

/// Requests with the names that parts of scenarios in the documents use.
const NAMED_REQUESTS: &str = "
[[request]]
name = \"read\"
send = \"GET /\"
[[request]]
name = \"write\"
send = \"GET /\"
[[request]]
name = \"log in\"
send = \"GET /\"
[[request]]
name = \"buy\"
send = \"GET /\"
";

/// Goal: what the documents show of scenarios and of the configuration is valid. Method: each block of TOML is planned, with
/// the files that it names; parts of a scenario with requests added.
#[test]
fn every_scenario_in_the_documents_is_planned() {
    let sandbox = Sandbox::new();
    let Some(authority) = Authority::new(&sandbox) else {
        return;
    };
    // The files `client.pem` and `client.key`.
    authority.certificate("client", "DNS:client", 30);
    fs::copy(authority.file(), sandbox.path().join("authority.pem")).expect("copied");
    sandbox.write("users.csv", "email,password\na@b.test,x\n");
    sandbox.write("schema.sql", "CREATE TABLE accounts (id int);\n");
    let (mut planned, mut configured) = (0, 0);
    for (name, text) in documents() {
        let blocks = text.split("```toml\n").skip(1);
        for block in blocks.map(|rest| rest.split("```").next().expect("a block")) {
            let table: toml::Table = block
                .parse()
                .unwrap_or_else(|error| panic!("{name}: {error}"));
            if table.contains_key("dependencies") {
                continue;
            }
            let is_configuration = table.contains_key("run");
            let is_whole = ["run", "workload", "request", "flow", "transaction"]
                .iter()
                .any(|key| table.contains_key(*key));
            let added = if is_whole { "" } else { NAMED_REQUESTS };
            let (file, scenario) = if is_configuration {
                ("photofinish.toml", "http-get")
            } else {
                ("shown.toml", "shown.toml")
            };
            let file = sandbox.write(file, &format!("{block}{added}"));
            let mut plan = vec!["plan", scenario];
            if table.contains_key("sql") {
                plan.extend(["--target", "db=postgres://me@127.0.0.1/shop"]);
            }
            if block.contains("response_p99") && table.contains_key("expect") {
                plan.extend(["--rate", "1000"]);
            }
            let mut command = sandbox.command(&plan);
            let Finished { code, stderr, .. } = Finished::of(command.env("TOKEN", "secret"));
            assert_eq!(code, Some(0), "{name}\n{block}\n{stderr}");
            fs::remove_file(file).expect("removed");
            planned += 1;
            configured += usize::from(is_configuration);
        }
    }
    assert!(planned > 10 && configured == 1, "{planned} {configured}");
}

/// The anchor that a heading gets: lower case, blanks as hyphens, without punctuation.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().chars().filter_map(|letter| match letter {
        ' ' => Some('-'),
        '-' | '_' => Some(letter),
        _ if letter.is_alphanumeric() => Some(letter.to_ascii_lowercase()),
        _ => None,
    });
    kept.collect()
}

#[test]
fn every_link_between_the_documents_leads_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut followed = 0;
    for (name, text) in documents() {
        let prose: String = text.split("```").step_by(2).collect();
        for link in prose.split("](").skip(1) {
            let link = link.split(')').next().unwrap_or_default();
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (file, section) = link.split_once('#').unwrap_or((link, ""));
            let from = root.join(&name);
            let path = match file {
                "" => from,
                _ => from.parent().expect("a folder").join(file),
            };
            assert!(path.exists(), "{name} leads to {link}");
            if !section.is_empty() {
                let text = fs::read_to_string(path).expect("a document");
                let headings = text.lines().filter(|line| line.starts_with('#'));
                let mut anchors = headings.map(|line| anchor(line.trim_start_matches('#')));
                assert!(anchors.any(|it| it == section), "{name} leads to {link}");
            }
            followed += 1;
        }
    }
    assert!(followed > 50, "{followed}");
}

/// Options that say how long or how often something is measured, each followed by its value.
const LENGTHS: [&str; 3] = ["--rounds", "--duration", "--concurrency"];

const SMALL: [&str; 5] = [
    "--duration=30ms",
    "--concurrency=2",
    "--set=load.warmup=5ms",
    "--set=unit=2ms",
    "--quiet",
];

/// What bounds the rounds, by a word of the command; the last fits all others.
const FEW_ROUNDS: [(&str, &[&str]); 4] = [
    ("gate", &["--max-pairs=8"]),
    ("--find-max", &[]),
    ("--until-decided", &["--max-rounds=8"]),
    ("run", &["--rounds=1", "--no-redo"]),
];

const EXAMPLE_WORKER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/worker.pl");

/// What is small by a parameter that only some scenarios have, by the beginning of a word that names them.
const SMALLER: [(&str, &str); 3] = [
    ("idle-", "--set=count=20"),
    ("cpu-", "--set=repeats=1"),
    ("where-async-pays", "--set=repeats=1"),
];

/// Words of runs that need what is not here, and that other tests make with lines of their own: machines on a network (shards),
/// a repository with a service (revisions), two builds of one (own_server), a database with certificates (database_tls).
const ELSEWHERE: [&str; 4] = [
    "--allow-remote",
    "--base-rev",
    "--base-server",
    "sslmode=verify-full",
];

/// A service that answers everything, at the port in its last argument.
fn service(sandbox: &Sandbox) {
    let program = program().display();
    sandbox.script(
        "service",
        &format!("#!/bin/sh\nfor port; do :; done\nexec {program} serve http --listen 127.0.0.1:\"$port\"\n"),
    );
    sandbox.write(
        "app.js",
        "require('http').createServer((_, answer) => answer.end('ok')).listen(process.argv[2], '127.0.0.1');\n",
    );
}

/// The words of a run that is as short as can be, with addresses that answer.
fn shortened(words: &[String], address: &str) -> Vec<String> {
    let mut short = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let is_setting = word == "--set";
        let value = if is_setting || LENGTHS.contains(&word.as_str()) {
            words.next()
        } else {
            None
        };
        match value {
            Some(value)
                if is_setting && !value.starts_with("load.") && !value.starts_with("unit=") =>
            {
                short.extend([word.clone(), value.clone()]);
            }
            Some(_) => {}
            None => short.push(
                word.replace("127.0.0.1:8080", address)
                    .replace("examples/worker.pl", EXAMPLE_WORKER),
            ),
        }
    }
    if !short
        .iter()
        .any(|word| word == "--runtimes" || word == "--reference")
    {
        short.push("--runtimes=sync,threads,tokio".to_owned());
    }
    short.extend(SMALL.map(str::to_owned));
    let has = |it: &str| short.iter().any(|word| word == it);
    let rounds = FEW_ROUNDS.iter().find(|(word, _)| has(word));
    let (_, rounds) = rounds.expect("a run or a gate");
    short.extend(rounds.iter().map(|&word| word.to_owned()));
    for (beginning, setting) in SMALLER {
        if short.iter().any(|word| word.starts_with(beginning)) {
            short.push(setting.to_owned());
        }
    }
    short
}

/// Goal: what the documents say about runs works. Method: every `run` and `gate` but those of [`ELSEWHERE`], with less to do;
/// of each four one after the other, so that this part and three like it share the time.
fn runs_work_as_documented(part: usize) {
    let sandbox = Sandbox::new();
    let pages = "location / { return 200 'hello'; }";
    let Some((_nginx, address)) = nginx_serving(&sandbox, pages) else {
        return;
    };
    service(&sandbox);
    for name in ["items.toml", "bank.toml"] {
        sandbox.write(name, "[[request]]\nsend = \"GET /\"\n");
    }
    sandbox.run(&["init", "mine.toml"]).check(0, &[]);
    let baseline = [
        "run",
        "http-get",
        "--runtimes=tokio",
        "--rounds=8",
        "--save-baseline=main",
    ];
    let baseline = sandbox.run(&[&baseline[..], &SMALL].concat());
    baseline.check(0, &[]);
    let mut runs = documented(&sandbox);
    runs.retain(|Documented { words, .. }| {
        let has = |beginning: &str| words.iter().any(|word| word.contains(beginning));
        ["run", "gate"].contains(&words[0].as_str()) && !ELSEWHERE.iter().any(|word| has(word))
    });
    assert!(runs.len() > 50, "{}", runs.len());
    for Documented { place, words } in runs.iter().skip(part).step_by(4) {
        let short = shortened(words, &address);
        let short: Vec<&str> = short.iter().map(String::as_str).collect();
        let finished = sandbox.run(&short);
        // So little decides nothing: a threshold may be missed, and a verdict is one of three.
        let decides = words
            .iter()
            .any(|word| word == "gate" || word == "--expect");
        let is_right = match finished.code {
            Some(0) => true,
            Some(3 | 4) => decides,
            _ => false,
        };
        assert!(is_right, "{place}\n{short:?}\n{finished:?}");
        if words[0] == "run" {
            assert_eq!(sandbox.record().completion, Completion::Complete, "{place}");
        }
    }
}

#[test]
fn runs_work_as_documented_1() {
    runs_work_as_documented(0);
}

#[test]
fn runs_work_as_documented_2() {
    runs_work_as_documented(1);
}

#[test]
fn runs_work_as_documented_3() {
    runs_work_as_documented(2);
}

#[test]
fn runs_work_as_documented_4() {
    runs_work_as_documented(3);
}
