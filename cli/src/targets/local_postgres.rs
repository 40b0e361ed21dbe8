//! A throwaway PostgreSQL: `--target db=local`.
//!
//! The orchestrator starts this same program as a guard, and the guard starts the server from the machine's binaries:
//! in its own directory, on a free port of 127.0.0.1, with a random password, and as another user if it would otherwise
//! be root. The guard speaks the protocol of an embedded server and ends with its stdin, so the server and its
//! directory are gone afterwards, however the orchestrator ends. Durability keeps its defaults: commits wait for the
//! disk, as they would anywhere.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User, chown, geteuid};
use photofinish_harness::os;
use photofinish_record::{PeerAddress, PlannedServer, ServerCounts, cpu_list, hex};
use serde_json::json;
use tempfile::TempDir;
use url::Url;

use super::postgres::Postgres;
use super::postgres_client::Client;
use super::{Target, TargetServer};
use crate::exit::{Failure, OrFail};
use crate::interrupt::Interrupt;
use crate::output;
use crate::process::guard::{self, ReservedAddress};
use crate::process::server::ServerProcess;
use crate::process::this_program;

/// Timeout for the server to accept connections.
const READY: Duration = Duration::from_secs(50);

/// Timeout for an orderly shutdown.
const LEAVING: Duration = Duration::from_secs(8);

/// Polling interval while the server starts or ends.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Polling interval while the server runs.
const LOOK_AFTER: Duration = Duration::from_millis(500);

/// Maximum number of sessions; the default of 100 is fewer than a sweep may need.
const MOST_CONNECTIONS: u32 = 1000;

/// Query for the server's version as a number: 150018 is 15.18.
const VERSION: &str = "SELECT current_setting('server_version_num')";

/// First version in which a session has been counted by the time its connection is closed; earlier ones leave that to a
/// collector process, and the delay would look like a lost request.
const FIRST_THAT_COUNTS_AT_ONCE: u64 = 150_000;

/// Query for the number of closed sessions of the measured database.
const SESSIONS: &str = "SELECT sessions FROM pg_stat_database WHERE datname = 'postgres'";

/// Query for the number of transactions of closed sessions, one of which is the server's own for each login. The server
/// does not count exchanges.
const TRANSACTIONS: &str =
    "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = 'postgres'";

/// The one role and its database.
const ROLE: &str = "photofinish";

/// The request for a throwaway server.
#[derive(Debug)]
pub struct ThrowawayPostgres;

impl Target for ThrowawayPostgres {
    fn urls(&self) -> Vec<&Url> {
        Vec::new()
    }

    fn safe_url(&self) -> String {
        PlannedServer::LOCAL.to_owned()
    }

    fn start(
        self: Box<Self>,
        cpus: &[usize],
        interrupt: &Interrupt,
    ) -> Result<Box<dyn TargetServer>, Failure> {
        Ok(Box::new(LocalPostgres::start(cpus, interrupt)?))
    }
}

/// A throwaway server, seen from the orchestrator.
struct LocalPostgres {
    server: Postgres,
    /// A session in a database in which nothing is measured, so that its own activity is not counted.
    monitor: Client,
    /// Ends the server when dropped.
    _guard: ServerProcess,
}

impl LocalPostgres {
    /// Starts one on the `cpus`, and waits until it accepts connections.
    fn start(cpus: &[usize], interrupt: &Interrupt) -> Result<Self, Failure> {
        // Searched for here as well as by the guard, so that the error message can name what is missing.
        let binaries = find_binaries()?;
        let mut command = Command::new(this_program()?);
        command.args([
            "throwaway-postgres",
            "--cpus",
            &cpu_list(cpus),
            "--binaries",
        ]);
        command.arg(&binaries);
        let guard = ServerProcess::start_command("PostgreSQL", command, interrupt)?;
        let url = guard
            .ready()
            .get("url")
            .and_then(serde_json::Value::as_str)
            .unwrap_or_default();
        let server = Postgres::probe(super::postgres::parse(url, None)?, interrupt)?;
        let monitor = server.database.connect_to("template1", interrupt)?;
        Ok(Self {
            server,
            monitor,
            _guard: guard,
        })
    }
}

impl TargetServer for LocalPostgres {
    fn url(&self) -> &str {
        self.server.url()
    }

    fn software(&self) -> Option<String> {
        self.server.software()
    }

    fn address(&self) -> PeerAddress {
        self.server.address()
    }

    fn processes(&self) -> Option<Vec<u32>> {
        Some(Vec::new())
    }

    fn counts(&mut self) -> Result<Option<ServerCounts>, Failure> {
        let version = self.monitor.number(VERSION)?;
        if version.is_none_or(|version| version < FIRST_THAT_COUNTS_AT_ONCE) {
            return Ok(None);
        }
        let connections = self.monitor.number(SESSIONS)?;
        let transactions = self.monitor.number(TRANSACTIONS)?;
        let beside_logins = |transactions: u64| transactions.checked_sub(connections?);
        Ok(Some(ServerCounts {
            connections,
            transactions: transactions.and_then(beside_logins),
            ..ServerCounts::default()
        }))
    }
}

/// The directory of PostgreSQL's programs: on `PATH`, or where distributions keep them, the newest version there.
fn find_binaries() -> Result<PathBuf, Failure> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).find(|directory| holds_server(directory));
    let directory = on_path.or_else(|| newest(Path::new("/usr/lib/postgresql")));
    directory.ok_or_else(|| {
        Failure::could_not_run("there is no PostgreSQL server on this machine").hint(
            "install one: `apt install postgresql`, `dnf install postgresql-server` or `brew install postgresql`; \
             its programs are looked for on PATH and under /usr/lib/postgresql/*/bin",
        )
    })
}

fn holds_server(directory: &Path) -> bool {
    ["postgres", "initdb"]
        .iter()
        .all(|program| directory.join(program).is_file())
}

/// The `bin` of the highest version below `root`.
fn newest(root: &Path) -> Option<PathBuf> {
    let versions = fs::read_dir(root).ok()?.filter_map(Result::ok);
    let installed = versions.filter_map(|entry| {
        let version: f64 = entry.file_name().to_str()?.parse().ok()?;
        let directory = entry.path().join("bin");
        holds_server(&directory).then_some((version, directory))
    });
    installed
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, directory)| directory)
}

/// Runs the guard: starts the server, reports its address, waits for the end of stdin, and leaves nothing behind.
pub fn guard(cpus: &[usize], binaries: &Path) -> Result<(), Failure> {
    let interrupt = Interrupt::on_signals()?;
    os::pin_process(cpus).or_fail("cannot pin PostgreSQL")?;
    let (_on_interrupt, end) = guard::end(&interrupt)?;
    let cluster = Cluster::create(binaries)?;
    let mut server = Server::start(cluster)?;
    server.announce()?;
    guard::look_after(&end, LOOK_AFTER, || server.lives("ended"))
}

/// A directory with an initialised cluster, owned by the user the server runs as.
struct Cluster {
    /// `None` if this process is not root and needs no other user.
    user: Option<User>,
    directory: TempDir,
    password: String,
    postgres: PathBuf,
}

impl Cluster {
    fn create(binaries: &Path) -> Result<Self, Failure> {
        let failed = |error: io::Error| {
            Failure::could_not_run("cannot create a directory for PostgreSQL").caused_by(error)
        };
        let user = server_user()?;
        let directory = tempfile::Builder::new()
            .prefix("photofinish-postgres-")
            .tempdir()
            .map_err(failed)?;
        let cluster = Self {
            user,
            directory,
            password: random_password()?,
            postgres: binaries.join("postgres"),
        };
        fs::set_permissions(cluster.path(), Permissions::from_mode(0o700)).map_err(failed)?;
        let password_file = cluster.path().join("password");
        fs::write(&password_file, &cluster.password).map_err(failed)?;
        for path in [cluster.path(), &password_file] {
            cluster.hand_over(path).map_err(failed)?;
        }
        cluster.initialise(&binaries.join("initdb"), &password_file)?;
        fs::remove_file(&password_file).map_err(failed)?;
        Ok(cluster)
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn data(&self) -> PathBuf {
        self.path().join("cluster")
    }

    fn hand_over(&self, path: &Path) -> io::Result<()> {
        match &self.user {
            Some(user) => Ok(chown(path, Some(user.uid), Some(user.gid))?),
            None => Ok(()),
        }
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.path()).stdin(Stdio::null());
        if let Some(user) = &self.user {
            command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
        }
        command
    }

    fn initialise(&self, initdb: &Path, password_file: &Path) -> Result<(), Failure> {
        let mut command = self.command(initdb);
        command
            .arg("--pgdata")
            .arg(self.data())
            .arg("--pwfile")
            .arg(password_file);
        command.args([
            "--username",
            ROLE,
            "--auth",
            "scram-sha-256",
            "--encoding",
            "UTF8",
            "--locale",
            "C",
        ]);
        // Only the creation of the cluster skips the disk; the server itself does not.
        command.arg("--no-sync");
        let output = command.output().or_fail("cannot run initdb")?;
        match output.status.success() {
            true => Ok(()),
            false => Err(Failure::could_not_run("PostgreSQL's initdb failed")
                .caused_by(String::from_utf8_lossy(&output.stderr).trim().to_owned())),
        }
    }
}

/// PostgreSQL refuses to run as root.
fn server_user() -> Result<Option<User>, Failure> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    let named = |name| User::from_name(name).ok().flatten();
    named("postgres").or_else(|| named("nobody")).map(Some).ok_or_else(|| {
        Failure::could_not_run("PostgreSQL refuses to run as root, and there is neither a user `postgres` nor `nobody`")
    })
}

fn random_password() -> Result<String, Failure> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).map_err(|error| {
        Failure::could_not_run("cannot make a password").caused_by(error.to_string())
    })?;
    Ok(hex(bytes))
}

/// A running server; dropping it shuts it down, and its [`Cluster`] removes the directory.
struct Server {
    process: Child,
    reserved: ReservedAddress,
    cluster: Cluster,
}

impl Server {
    fn start(cluster: Cluster) -> Result<Self, Failure> {
        let failed = |error| Failure::could_not_run("cannot start PostgreSQL").caused_by(error);
        let reserved = ReservedAddress::choose().map_err(failed)?;
        let mut command = cluster.command(&cluster.postgres);
        command
            .arg("-D")
            .arg(cluster.data())
            .arg("-k")
            .arg(cluster.path());
        command.args([
            "-h",
            "127.0.0.1",
            "-p",
            &reserved.address.port().to_string(),
        ]);
        command.args(["-c", &format!("max_connections={MOST_CONNECTIONS}")]);
        // Autovacuum would start at unpredictable times, in some rounds and not in others, and its transactions would
        // be counted with those of the workload.
        command.args(["-c", "autovacuum=off"]);
        command.stdout(Stdio::null());
        let process = command.spawn().map_err(failed)?;
        let mut server = Self {
            process,
            reserved,
            cluster,
        };
        server.wait_until_ready()?;
        Ok(server)
    }

    /// The server writes its state into the last line of its lock file.
    fn wait_until_ready(&mut self) -> Result<(), Failure> {
        let lock_file = self.cluster.data().join("postmaster.pid");
        let deadline = Instant::now() + READY;
        while Instant::now() < deadline {
            let state = fs::read_to_string(&lock_file).unwrap_or_default();
            if state
                .lines()
                .last()
                .is_some_and(|line| line.trim() == "ready")
            {
                return Ok(());
            }
            self.lives("did not start")?;
            thread::sleep(LOOK_AGAIN);
        }
        Err(Failure::could_not_run(format!(
            "PostgreSQL did not start within {} s",
            READY.as_secs()
        )))
    }

    /// The URL contains the password: this line only travels through a pipe.
    fn announce(&self) -> Result<(), Failure> {
        let (address, password) = (self.reserved.address, &self.cluster.password);
        let url = format!("postgres://{ROLE}:{password}@{address}/postgres");
        output::emit_json_line(&json!({ "ready": "postgres", "address": address, "url": url }))
    }

    /// Fails if the server has exited; `how` says whether that was before or after it was ready.
    fn lives(&mut self, how: &str) -> Result<(), Failure> {
        match self.process.try_wait() {
            Ok(Some(status)) => Err(Failure::could_not_run(format!(
                "PostgreSQL {how}: {status}"
            ))),
            _ => Ok(()),
        }
    }

    /// SIGINT ends every session and shuts down cleanly; SIGQUIT shuts down at once.
    fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.process.id()).expect("process ids fit");
        // Fails only if the process is gone.
        let _ = kill(Pid::from_raw(id), signal);
    }

    fn ended_within(&mut self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            if !matches!(self.process.try_wait(), Ok(None)) {
                return true;
            }
            thread::sleep(LOOK_AGAIN);
        }
        false
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for signal in [Signal::SIGINT, Signal::SIGQUIT] {
            if !matches!(self.process.try_wait(), Ok(None)) {
                return;
            }
            self.signal(signal);
            if self.ended_within(LEAVING) {
                return;
            }
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_is_taken_by_number_not_by_name() {
        let root = tempfile::tempdir().expect("a directory");
        for version in ["9.6", "15", "17", "common"] {
            let bin = root.path().join(version).join("bin");
            fs::create_dir_all(&bin).expect("made");
            for program in ["postgres", "initdb"] {
                fs::write(bin.join(program), "").expect("written");
            }
        }
        assert_eq!(newest(root.path()), Some(root.path().join("17/bin")));
        assert_eq!(newest(&root.path().join("none")), None);
    }

    #[test]
    fn no_two_passwords_are_alike() {
        let [a, b] = [(); 2].map(|()| random_password().expect("randomness"));
        assert_ne!(a, b);
        assert_eq!(a.len(), 32);
    }
}
