//! Gates of a project's revision against its working tree: both are built as they are, and the user's repository stays
//! as it was.

use std::path::{Path, PathBuf};
use std::process::Command;

use photofinish_record::Arm;

use crate::support::{Finished, Sandbox, Started, read_record, send, wait_for, wait_until_gone};

const SERVER: &str = include_str!("../../../examples/small_server.rs");

const MANIFEST: &str = "[package]\nname = 'small'\nedition = '2024'\n";

/// The gate of such a server, in few and short rounds.
const GATE: [&str; 9] = [
    "gate",
    "http-get",
    "--server={exe} {port} 10",
    "--set=params.path=/",
    "--duration=20ms",
    "--set=load.warmup=5ms",
    "--concurrency=1",
    "--no-redo",
    "--max-pairs=10",
];

/// The server with another answer than `ok`.
fn answering(answer: &str) -> String {
    let usual = "content-length: 2\\r\\n\\r\\nok";
    assert!(SERVER.contains(usual));
    let other = format!("content-length: {}\\r\\n\\r\\n{answer}", answer.len());
    SERVER.replace(usual, &other)
}

/// A project in a repository: a small server.
struct Project<'a> {
    sandbox: &'a Sandbox,
    path: PathBuf,
}

impl<'a> Project<'a> {
    fn new(sandbox: &'a Sandbox) -> Self {
        let path = sandbox.path().join("project");
        std::fs::create_dir_all(&path).expect("made");
        let project = Self { sandbox, path };
        project.git(&["init", "--quiet"]);
        project.write("Cargo.toml", MANIFEST);
        project.write("src/main.rs", SERVER);
        project
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path.join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        std::fs::write(path, text).expect("written");
    }

    fn git(&self, arguments: &[&str]) -> String {
        git(&self.path, arguments)
    }

    fn commit(&self) {
        self.git(&["add", "."]);
        self.git(&["commit", "--quiet", "--message=x"]);
    }

    fn command(&self, base: &str, more: &[&str]) -> Command {
        let base = format!("--base-rev={base}");
        let mut command = self.sandbox.command(&[&GATE[..], &[&base], more].concat());
        command
            .current_dir(&self.path)
            .env_remove("CARGO_TARGET_DIR")
            .env_remove("RUSTFLAGS");
        command
    }

    fn gate(&self, base: &str, more: &[&str]) -> Finished {
        Finished::of(&mut self.command(base, more))
    }

    /// Everything of the repository that a user could notice.
    fn state(&self) -> (Vec<u8>, String, String) {
        let index = std::fs::read(self.path.join(".git/index")).expect("an index");
        let status = [
            "--no-optional-locks",
            "status",
            "--porcelain",
            "--ignored",
            "--",
            ":!photofinish-runs",
        ];
        let status = self.git(&status);
        (index, status, self.git(&["worktree", "list"]))
    }
}

fn git(directory: &Path, arguments: &[&str]) -> String {
    let settings = [
        "-c",
        "user.name=a",
        "-c",
        "user.email=a@localhost",
        "-c",
        "protocol.file.allow=always",
    ];
    let mut git = Command::new("git");
    git.current_dir(directory).args(settings).args(arguments);
    Finished::of(&mut git).check(0, &[]).stdout
}

/// Checks that both were measured: they answer differently, which only two builds can.
#[track_caller]
fn two_builds(finished: &Finished, base_bytes: usize, head_bytes: usize) {
    assert_eq!(finished.code, Some(5), "{finished:#?}");
    let text = finished
        .stdout
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    let (base, head) = (
        format!("{base_bytes} bytes"),
        format!("and {head_bytes} bytes"),
    );
    assert!(text.contains(&base) && text.contains(&head), "{text}");
}

#[test]
fn building_a_revision_and_the_working_tree_leaves_the_repository_unchanged() {
    let sandbox = Sandbox::new();
    let project = Project::new(&sandbox);
    project.commit();
    project.write("src/main.rs", &answering("new"));
    // As in a pre-commit hook: there is staged work, and git's variables lead to it. Nothing is ignored.
    project.write("staged", "");
    project.git(&["add", "staged"]);
    let before = project.state();
    let mut command = project.command("HEAD", &[]);
    let names = git(&project.path, &["rev-parse", "--local-env-vars"]);
    for name in names.lines() {
        command.env(name, "/nonsense");
    }
    command.env("GIT_DIR", project.path.join(".git"));
    command.env("GIT_INDEX_FILE", project.path.join(".git/index"));
    let finished = Finished::of(&mut command);
    two_builds(&finished, 2, 3);
    assert!(
        finished.stdout.contains("with changes"),
        "{}",
        finished.stdout
    );
    assert!(
        finished.stderr.contains("has no Cargo.lock"),
        "{}",
        finished.stderr
    );
    assert_eq!(project.state(), before);
    let record = read_record(&project.path.join("photofinish-runs/latest/record.json"));
    let gated = record.plan.gate.expect("a gate");
    let sums = [gated.base.sha256, gated.head.sha256];
    assert!(
        sums[0] != sums[1]
            && sums
                .iter()
                .all(|sum| sum.as_ref().is_some_and(|sum| sum.len() == 64))
    );
    let nowhere = project.gate("nowhere", &[]);
    nowhere.check(2, &["unknown revision `nowhere`"]);
}

#[test]
fn the_heads_settings_do_not_affect_the_base() {
    let sandbox = Sandbox::new();
    let project = Project::new(&sandbox);
    project.write(".gitignore", "/target\nCargo.lock\nphotofinish-runs\n");
    let line = SERVER
        .lines()
        .find(|line| line.starts_with("const RESPONSE"))
        .expect("its answer");
    let other = answering("configured");
    let other = other
        .lines()
        .find(|line| line.starts_with("const RESPONSE"))
        .expect("its answer");
    let both = format!("#[cfg(not(other))]\n{line}\n#[cfg(other)]\n{other}");
    project.write("src/main.rs", &SERVER.replace(line, &both));
    project.commit();
    // A workspace as well: the base, which is none, must not become a member.
    project.write(
        ".cargo/config.toml",
        "[build]\nrustflags = ['--cfg', 'other']\n",
    );
    project.write("Cargo.toml", &format!("{MANIFEST}[workspace]\n"));
    project.commit();
    two_builds(&project.gate("HEAD~1", &[]), 2, 10);
    // What the base has of its own counts, and the head's lack of it does too.
    project.git(&["rm", "--quiet", ".cargo/config.toml"]);
    two_builds(&project.gate("HEAD", &[]), 10, 2);
    assert_eq!(
        project.git(&["status", "--porcelain"]),
        "D  .cargo/config.toml\n"
    );
}

#[test]
fn submodules_are_built_and_paths_outside_the_repository_are_reported() {
    let sandbox = Sandbox::new();
    let library = sandbox.path().join("library");
    std::fs::create_dir_all(library.join("src")).expect("made");
    let manifest = "[package]\nname = 'library'\nedition = '2024'\n";
    std::fs::write(library.join("Cargo.toml"), manifest).expect("written");
    std::fs::write(library.join("src/lib.rs"), "").expect("written");
    git(&library, &["init", "--quiet"]);
    git(&library, &["add", "."]);
    git(&library, &["commit", "--quiet", "--message=x"]);
    let project = Project::new(&sandbox);
    project.git(&["submodule", "--quiet", "add", "../library", "sub"]);
    project.write(
        "Cargo.toml",
        &format!("{MANIFEST}[dependencies]\nlibrary.path = 'sub'\n"),
    );
    project.commit();
    project.write("src/main.rs", &answering("new"));
    let before = project.state();
    two_builds(&project.gate("HEAD", &[]), 2, 3);
    assert_eq!(project.state(), before);

    project.write(
        "Cargo.toml",
        &format!("{MANIFEST}[dependencies]\nlibrary.path = '../library'\n"),
    );
    project.commit();
    let expected = [
        "the base: ",
        "hint: the working tree builds",
        "--base-server",
    ];
    project.gate("HEAD", &[]).check(1, &expected);
}

/// A build that waits for as long as there is a file, having written down its process.
const WAITING: &str = "fn main() {
    let (slow, pid) = (std::env::var(\"SLOW\").unwrap(), std::env::var(\"PID\").unwrap());
    println!(\"cargo::rerun-if-changed={slow}\");
    while std::path::Path::new(&slow).exists() {
        std::fs::write(&pid, format!(\"{}\\n\", std::process::id())).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}
";

#[test]
fn an_interrupted_or_killed_build_leaves_the_repository_as_it_was_and_the_next_gate_works() {
    let sandbox = Sandbox::new();
    let project = Project::new(&sandbox);
    project.write("build.rs", WAITING);
    project.commit();
    project.write("src/main.rs", &answering("new"));
    let before = project.state();
    let (slow, pid) = (sandbox.path().join("slow"), sandbox.path().join("pid"));
    let command = || {
        let mut command = project.command("HEAD", &[]);
        command.env("SLOW", &slow).env("PID", &pid);
        command
    };
    std::fs::write(&slow, "").expect("written");
    let start = || {
        let _ = std::fs::remove_file(&pid);
        let run = Started::of(command());
        let build: u32 = wait_for("a build", || {
            let text = std::fs::read_to_string(&pid).ok()?;
            text.strip_suffix('\n')?.parse().ok()
        });
        (run, build)
    };
    for signal in ["INT", "TERM"] {
        let (mut run, build) = start();
        let cargo = run.wait_for_child("build");
        run.signal(signal);
        run.finish().check(130, &["interrupted"]);
        wait_until_gone(&[build, cargo]);
        assert_eq!(project.state(), before, "{signal}");
    }
    let (mut run, build) = start();
    run.signal("KILL");
    // Cargo, which waits for it, holds the gate's stderr open.
    send("KILL", build);
    run.finish();
    let (index, _, worktrees) = project.state();
    assert_eq!((index, worktrees), (before.0.clone(), before.2.clone()));
    // Cargo made it, and nobody was left to remove it.
    std::fs::remove_file(project.path.join("Cargo.lock")).expect("made");
    std::fs::remove_file(&slow).expect("removed");
    two_builds(&Finished::of(&mut command()), 2, 3);
    // One place of builds has served them all.
    let kept = std::fs::read_dir(sandbox.path().join("cache/photofinish/gate")).expect("a cache");
    let names = kept.map(|entry| entry.expect("readable").file_name().into_string());
    let of_project = |name: &String| name.starts_with("project-");
    assert_eq!(
        names
            .filter(|name| name.as_ref().is_ok_and(of_project))
            .count(),
        1
    );
}

#[test]
fn concurrent_gates_of_a_project_keep_their_builds_apart() {
    let sandbox = Sandbox::new();
    let project = Project::new(&sandbox);
    project.write(".gitignore", "/target\nCargo.lock\nphotofinish-runs\n");
    project.write("src/main.rs", &answering("former"));
    project.commit();
    project.write("src/main.rs", SERVER);
    project.commit();
    // Base and head are equal in the first, so it ends neither early nor as wrong.
    let more = [
        "--out=../photofinish-runs",
        "--limit=throughput=1%",
        "--tolerance=0.5%",
    ];
    let first = Started::of(project.command("HEAD", &more));
    wait_for("rounds", || (sandbox.rounds_so_far() >= 2).then_some(()));
    two_builds(&project.gate("HEAD~1", &[]), 6, 2);
    let finished = first.finish();
    assert!(matches!(finished.code, Some(0 | 3 | 4)), "{finished:#?}");
    let record = sandbox.record();
    let is_base = |cell: usize| record.plan.cells[cell].arm == Some(Arm::Base);
    assert_eq!(
        record
            .rounds
            .iter()
            .filter(|round| is_base(round.cell))
            .count(),
        10
    );
}

/// Goal: a gate of two builds never measures a third program. Method: a command that names the build and starts another
/// server; both builds differ.
#[test]
fn a_command_that_does_not_run_the_build_leaves_a_gate_inconclusive() {
    let sandbox = Sandbox::new();
    let project = Project::new(&sandbox);
    project.commit();
    project.write("src/main.rs", &answering("another"));
    let other = crate::support::program().display();
    let server =
        format!("--server=true {{exe}}; exec {other} serve http --listen 127.0.0.1:{{port}}");
    let mut gate = Vec::from(GATE);
    gate[2] = &server;
    gate.extend([
        "--base-rev=HEAD",
        "--save-baseline=x",
        "--write=json=verdict.json",
    ]);
    let mut command = sandbox.command(&gate);
    command
        .current_dir(&project.path)
        .env_remove("CARGO_TARGET_DIR");
    let expected = [
        "error: both arms ran",
        "although their builds differ",
        "hint: --server must start {exe}",
    ];
    Finished::of(&mut command).check(4, &expected);
    let latest = project.path.join("photofinish-runs/latest");
    let record = read_record(&latest.join("record.json"));
    assert_eq!(record.rounds.len(), 2, "it ends after the first pair");
    assert!(!project.path.join("photofinish-baselines").exists());
    assert!(
        std::fs::read_to_string(project.path.join("verdict.json"))
            .is_ok_and(|it| it.contains("inconclusive"))
    );
    let latest = latest.display().to_string();
    let again = sandbox.run(&["gate", &latest]);
    assert_eq!(again.code, Some(4), "{again:#?}");
    assert!(again.stdout.contains("both arms ran"), "{again:#?}");
}
