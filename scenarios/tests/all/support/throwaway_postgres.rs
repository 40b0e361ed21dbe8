//! A temporary PostgreSQL server from the installed binaries, shared by concurrent tests.
//!
//! `pg_hba.conf` has one role per method of authentication (`trust_user`, `cleartext_user`, `md5_user`, `scram_user`);
//! tests create them with the password [`PASSWORD`], and roles of other names
//! in the role `guests`. Without PostgreSQL a test prints `SKIPPED` and passes, but fails
//! under `CI=true`.

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

/// The password of every role. It needs quoting in a URL, and normalising in SCRAM.
pub(crate) const PASSWORD: &str = "p@ss/wörd%";

/// Methods of authentication by role; the first matching line counts.
const HBA: &str = "\
    host all postgres,trust_user,limited_user 127.0.0.1/32 trust\n\
    host all cleartext_user 127.0.0.1/32 password\n\
    host all md5_user 127.0.0.1/32 md5\n\
    host all scram_user 127.0.0.1/32 scram-sha-256\n\
    host all +guests 127.0.0.1/32 trust\n\
    local all postgres,trust_user trust\n";

/// A running server; stopped when dropped.
pub(crate) struct ThrowawayPostgres {
    pub(crate) port: u16,
    process: Child,
    log: Log,
    _directory: TempDir,
}

impl ThrowawayPostgres {
    /// The server shared by the tests running at the moment; `None`, with a line on stderr, without PostgreSQL.
    pub(crate) fn shared() -> Option<Arc<Self>> {
        static SHARED: Mutex<Weak<ThrowawayPostgres>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(server) = shared.upgrade() {
            return Some(server);
        }
        let server = Arc::new(Self::start(|_| ())?);
        *shared = Arc::downgrade(&server);
        Some(server)
    }

    /// A separate server, whose data directory `prepare` may change; `None` without PostgreSQL.
    pub(crate) fn start(prepare: impl FnOnce(&Path)) -> Option<Self> {
        let Some(binaries) = find_binaries() else {
            let ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
            assert!(
                !ci,
                "PostgreSQL is not installed, and CI=true asks for its tests"
            );
            // Not `eprintln!`, whose output the test harness hides if the test passes.
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
        prepare(&data);
        // The free port could be taken before the server binds it; then starting fails and is retried.
        let (process, port, log) = (0..5)
            .find_map(|_| listen(command("postgres"), &data))
            .unwrap();
        let server = ThrowawayPostgres {
            port,
            process,
            log,
            _directory: directory,
        };
        Some(server)
    }

    /// The lines that the server has logged since it was ready.
    #[allow(
        dead_code,
        reason = "not every test that includes this module reads it"
    )]
    pub(crate) fn log(&self) -> Vec<String> {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.clone()
    }
}

type Log = Arc<Mutex<Vec<String>>>;

impl Drop for ThrowawayPostgres {
    /// SIGQUIT is PostgreSQL's immediate shutdown, which includes its children.
    fn drop(&mut self) {
        let pid = Pid::from_raw(i32::try_from(self.process.id()).unwrap());
        let _gone_already = kill(pid, Signal::SIGQUIT);
        let _status = self.process.wait();
    }
}

/// The directory with `initdb` and `postgres`: the newest installed version, or one on PATH.
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

/// The user to run PostgreSQL as, which refuses to run as root.
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
    // Overwritten in place, to keep its owner.
    std::fs::write(data.join("pg_hba.conf"), HBA).unwrap();
}

/// Starts the server and waits until it is ready; `None` if it stops instead.
fn listen(mut postgres: Command, data: &Path) -> Option<(Child, u16, Log)> {
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    postgres.arg("-D").arg(data).args(["-p", &port.to_string()]);
    for setting in [
        "listen_addresses=127.0.0.1",
        // The file is named after the port.
        "unix_socket_directories=/tmp",
        "fsync=off",
        "max_connections=100",
    ] {
        postgres.args(["-c", setting]);
    }
    let mut process = postgres
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(process.stderr.take().unwrap())
        .lines()
        .map_while(Result::ok);
    if !lines.any(|line| line.contains("database system is ready to accept connections")) {
        process.wait().unwrap();
        return None;
    }
    // The pipe has to be drained, or the server would block on it.
    let log = Log::default();
    let logged = Arc::clone(&log);
    std::thread::spawn(move || {
        for line in lines {
            let mut log = logged.lock().unwrap_or_else(PoisonError::into_inner);
            log.push(line);
        }
    });
    Some((process, port, log))
}
