//! A PostgreSQL server of a test's own: made from the installed binaries, gone with the test.
//!
//! One role per method of authentication (`trust_user`, `cleartext_user`, `md5_user`, `scram_user`; tests create
//! them, with the password [`PASSWORD`]); `pg_hba.conf` tells them apart. Where no PostgreSQL is installed, a test says so and passes,
//! except under `CI=true`, where it fails. Tests of one process share a server.

use std::io::{BufRead, BufReader, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User, geteuid};
use tempfile::TempDir;

/// Of every role. It needs quoting in a URL, and normalising in SCRAM.
pub(crate) const PASSWORD: &str = "p@ss/wörd%";

/// Who is let in how; the first line that fits decides.
const HBA: &str = "\
    host all postgres,trust_user,limited_user 127.0.0.1/32 trust\n\
    host all cleartext_user 127.0.0.1/32 password\n\
    host all md5_user 127.0.0.1/32 md5\n\
    host all scram_user 127.0.0.1/32 scram-sha-256\n";

/// A running server; stopped when dropped.
pub(crate) struct ThrowawayPostgres {
    pub(crate) port: u16,
    process: Child,
    _directory: TempDir,
}

impl ThrowawayPostgres {
    /// The server that tests running at this moment share, started for the first of them; `None`, with a word on
    /// stderr, where PostgreSQL is not installed.
    pub(crate) fn shared() -> Option<Arc<Self>> {
        static SHARED: Mutex<Weak<ThrowawayPostgres>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(server) = shared.upgrade() {
            return Some(server);
        }
        let server = Arc::new(Self::start()?);
        *shared = Arc::downgrade(&server);
        Some(server)
    }

    fn start() -> Option<Self> {
        let Some(binaries) = find_binaries() else {
            let ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
            assert!(
                !ci,
                "PostgreSQL is not installed, and CI=true asks for its tests"
            );
            // Not by a macro of the test harness, which would keep it to itself when the test passes.
            let skipped = "SKIPPED: no PostgreSQL on PATH or under /usr/lib/postgresql/*/bin";
            let _unheard = writeln!(std::io::stderr(), "{skipped}");
            return None;
        };
        let directory = tempfile::Builder::new()
            .prefix("photofinish-pg-")
            .tempdir()
            .unwrap();
        let owner = unprivileged_user();
        if let Some(owner) = &owner {
            let (uid, gid) = (owner.uid.as_raw(), owner.gid.as_raw());
            chown(directory.path(), Some(uid), Some(gid)).unwrap();
        }
        let command = |name: &str| command(&binaries.join(name), owner.as_ref(), directory.path());
        let data = directory.path().join("data");
        initialise(command("initdb"), &data);
        // The port is free now, and could be taken before the server binds it; then starting fails, and is tried anew.
        let (process, port) = (0..5)
            .find_map(|_| listen(command("postgres"), &data))
            .unwrap();
        let server = ThrowawayPostgres {
            port,
            process,
            _directory: directory,
        };
        Some(server)
    }
}

impl Drop for ThrowawayPostgres {
    /// SIGQUIT is PostgreSQL's immediate shutdown: its children go with it.
    fn drop(&mut self) {
        let pid = Pid::from_raw(i32::try_from(self.process.id()).unwrap());
        let _gone_already = kill(pid, Signal::SIGQUIT);
        let _status = self.process.wait();
    }
}

/// The directory with `initdb` and `postgres`: of the newest version installed, or on PATH.
fn find_binaries() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let mut versions: Vec<PathBuf> = versions.map(|version| version.path()).collect();
    versions.sort_by_key(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.parse::<u32>().unwrap_or(0)
    });
    let installed = versions
        .into_iter()
        .rev()
        .map(|version| version.join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let has_both = |directory: &PathBuf| {
        ["initdb", "postgres"]
            .iter()
            .all(|name| directory.join(name).is_file())
    };
    installed.chain(on_path).find(has_both)
}

/// PostgreSQL refuses to run as root; then it runs as `postgres`, or as `nobody`.
fn unprivileged_user() -> Option<User> {
    if !geteuid().is_root() {
        return None;
    }
    let find = |name| User::from_name(name).ok().flatten();
    Some(
        find("postgres")
            .or_else(|| find("nobody"))
            .expect("a user to run PostgreSQL as"),
    )
}

fn command(program: &Path, owner: Option<&User>, directory: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .current_dir(directory)
        .env("LC_ALL", "C")
        .stdin(Stdio::null());
    if let Some(owner) = owner {
        command.uid(owner.uid.as_raw()).gid(owner.gid.as_raw());
    }
    command
}

fn initialise(mut initdb: Command, data: &Path) {
    let arguments = [
        "--username=postgres",
        "--auth=trust",
        "--encoding=UTF8",
        "--locale=C",
        "--no-sync",
    ];
    let output = initdb.args(arguments).arg("-D").arg(data).output().unwrap();
    assert!(
        output.status.success(),
        "initdb: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    // Written in place, so that the file keeps its owner.
    std::fs::write(data.join("pg_hba.conf"), HBA).unwrap();
}

/// Starts the server and waits until it says that it is ready; `None` if it stops instead.
fn listen(mut postgres: Command, data: &Path) -> Option<(Child, u16)> {
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    postgres.arg("-D").arg(data).args(["-p", &port.to_string()]);
    for setting in [
        "listen_addresses=127.0.0.1",
        "unix_socket_directories=",
        "fsync=off",
        "max_connections=20",
    ] {
        postgres.args(["-c", setting]);
    }
    let mut process = postgres
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(process.stderr.take().unwrap())
        .lines()
        .map_while(Result::ok);
    if !log.any(|line| line.contains("database system is ready to accept connections")) {
        process.wait().unwrap();
        return None;
    }
    // Somebody has to empty the pipe, or a chatty server would block on it.
    std::thread::spawn(move || log.for_each(|_line| {}));
    Some((process, port))
}
