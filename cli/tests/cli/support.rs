//! What every test needs: a directory of its own, the program in it, and a look at its processes and records.
//!
//! Processes are looked at through `/proc`, and only those that a test has started are ever signalled.

use std::ffi::OsString;
use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use photofinish_record::Record;
use serde_json::Value;
use tempfile::TempDir;

/// Longest wait for anything; only a failing test comes near.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Short rounds, few of them. Tests disturb one another's rounds, and count rounds.
pub const TINY: [&str; 8] = [
    "--rounds",
    "2",
    "--duration",
    "50ms",
    "--concurrency",
    "2",
    "--set=load.warmup=20ms",
    "--no-redo",
];

/// The built program.
pub fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_photofinish"))
}

/// A directory in which the program runs.
pub struct Sandbox {
    directory: TempDir,
}

impl Sandbox {
    pub fn new() -> Self {
        Self {
            directory: tempfile::tempdir().expect("a directory"),
        }
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The program with its arguments, in here, with its temporary files in here as well.
    pub fn command(&self, arguments: &[&str]) -> Command {
        self.command_of(program(), arguments)
    }

    /// The same of another build of the program.
    pub fn command_of(&self, program: &Path, arguments: &[&str]) -> Command {
        self.prepared(Command::new(program), arguments)
    }

    /// The same behind a line of shell, which sets limits and then becomes the program.
    pub fn command_after(&self, shell: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new("sh");
        command
            .args(["-c", &format!("{shell}; exec \"$0\" \"$@\"")])
            .arg(program());
        self.prepared(command, arguments)
    }

    fn prepared(&self, mut command: Command, arguments: &[&str]) -> Command {
        command
            .args(arguments)
            .current_dir(self.path())
            .stdin(Stdio::null());
        command
            .env("TMPDIR", self.path())
            .env("XDG_CACHE_HOME", self.path().join("cache"))
            .env("XDG_DATA_HOME", self.path().join("data"))
            .env_remove("PGPASSWORD")
            .env_remove("CARGO");
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Finished {
        Finished::of(&mut self.command(arguments))
    }

    pub fn start(&self, arguments: &[&str]) -> Started {
        Started::of(self.command(arguments))
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        fs::write(&path, text).expect("written");
        path
    }

    /// A program.
    pub fn script(&self, name: &str, text: &str) -> PathBuf {
        let path = self.write(name, text);
        let may_run = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(&path, may_run).expect("permitted");
        path
    }

    /// The newest run.
    pub fn latest(&self) -> PathBuf {
        self.path().join("photofinish-runs/latest")
    }

    pub fn record(&self) -> Record {
        read_record(&self.latest().join("record.json"))
    }

    /// The hidden directory of a run that goes on.
    pub fn hidden(&self) -> Option<PathBuf> {
        let runs = fs::read_dir(self.path().join("photofinish-runs")).ok()?;
        let paths = runs.filter_map(|entry| Some(entry.ok()?.path()));
        paths
            .into_iter()
            .find(|path| path.extension().is_some_and(|ending| ending == "partial"))
    }

    /// Rounds that a run which goes on has finished.
    pub fn rounds_so_far(&self) -> usize {
        let file = self
            .hidden()
            .map(|hidden| hidden.join("rounds.partial.jsonl"));
        let text = file
            .and_then(|file| fs::read_to_string(file).ok())
            .unwrap_or_default();
        text.lines().count()
    }
}

pub fn read_record(path: &Path) -> Record {
    let text =
        fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).expect("a record")
}

/// A program that came to its end.
#[derive(Debug)]
pub struct Finished {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Finished {
    pub fn of(command: &mut Command) -> Self {
        Self::from(command.output().expect("the program starts"))
    }

    /// Checks the exit code, and that the error holds all of `told`.
    #[track_caller]
    pub fn check(self, code: i32, expected: &[&str]) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        for part in expected {
            assert!(
                self.stderr.contains(part),
                "`{part}` is not in: {}",
                self.stderr
            );
        }
        self
    }

    /// Its output as one JSON document.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }
}

impl From<Output> for Finished {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("output is UTF-8");
        Self {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }
}

/// A program that runs; killed when dropped.
pub struct Started {
    child: Option<Child>,
}

impl Started {
    pub fn of(mut command: Command) -> Self {
        let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Self {
            child: Some(command.spawn().expect("the program starts")),
        }
    }

    pub fn child(&mut self) -> &mut Child {
        self.child.as_mut().expect("it was not waited for yet")
    }

    pub fn id(&mut self) -> u32 {
        self.child().id()
    }

    /// Waits for its child whose command line holds `word`.
    pub fn wait_for_child(&mut self, word: &str) -> u32 {
        let parent = self.id();
        wait_for(word, || {
            children(parent)
                .into_iter()
                .find(|child| arguments(*child).iter().any(|argument| argument == word))
        })
    }

    pub fn signal(&mut self, signal: &str) {
        send(signal, self.id());
    }

    pub fn finish(mut self) -> Finished {
        let child = self.child.take().expect("it was not waited for yet");
        Finished::from(child.wait_with_output().expect("it ends"))
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let output = child.wait_with_output();
            // It may say why the test that waits for it has failed.
            if std::thread::panicking()
                && let Ok(output) = output
            {
                eprintln!("{:?}", Finished::from(output));
            }
        }
    }
}

/// Waits until `ready` has an answer.
#[track_caller]
pub fn wait_for<T>(what: &str, mut ready: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ready() {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited too long for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Sends a signal to a process that a test has started.
pub fn send(signal: &str, process: u32) {
    let status = Command::new("kill")
        .args(["-s", signal, &process.to_string()])
        .status();
    assert!(
        status.is_ok_and(|status| status.success()),
        "cannot signal {process}"
    );
}

/// The direct children of a process.
pub fn children(parent: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").expect("Linux").filter_map(Result::ok);
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.filter(|id| parent_of(*id) == Some(parent)).collect()
}

fn parent_of(process: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name in parentheses may hold anything.
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_whitespace().nth(1)?.parse().ok()
}

pub fn arguments(process: u32) -> Vec<String> {
    let line = fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
    let parts = line
        .split(|byte| *byte == 0)
        .map(|part| String::from_utf8_lossy(part).into_owned());
    parts.filter(|part| !part.is_empty()).collect()
}

/// Whether a process is gone, or dead and waiting to be noticed.
pub fn is_gone(process: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit_once(')')
        .is_none_or(|(_, after_name)| after_name.trim_start().starts_with('Z'))
}

#[track_caller]
pub fn wait_until_gone(processes: &[u32]) {
    wait_for("processes to be gone", || {
        processes
            .iter()
            .all(|process| is_gone(*process))
            .then_some(())
    });
}

/// An address at which nobody listens, and which nobody else is given: this process counts, and systems give ports away from
/// a range above.
pub fn closed_address() -> String {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    const FIRST: u32 = 15_000;
    const PORTS: u32 = 15_000;
    // Tests of another process begin elsewhere.
    let own = std::process::id().wrapping_mul(61);
    loop {
        let number = own.wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed));
        let address = format!("127.0.0.1:{}", FIRST + number % PORTS);
        if TcpListener::bind(&address).is_ok() {
            return address;
        }
    }
}

/// Says that a test cannot run without a program; where CI installs it, that is a failure.
#[track_caller]
pub fn skip_without(program: &str) {
    assert!(
        std::env::var("CI").as_deref() != Ok("true"),
        "{program} is not installed"
    );
    // Not `eprintln!`, which is kept from those who run the tests.
    let _ = writeln!(std::io::stderr(), "SKIPPED: {program} is not installed");
}

/// A Python that can import all of these; `package` says what it takes, for people.
#[track_caller]
pub fn python(imports: &str, package: &str) -> Option<PathBuf> {
    let own = std::env::var_os("PHOTOFINISH_PYTHON");
    let mut candidates = own.into_iter().chain(["python3".into()]);
    let has = |python: &OsString| {
        let import = format!("import {imports}");
        let output = Command::new(python).args(["-c", &import]).output();
        output.is_ok_and(|output| output.status.success())
    };
    let found = candidates.find(has).map(PathBuf::from);
    if found.is_none() {
        skip_without(&format!("python3 with {package}"));
    }
    found
}
