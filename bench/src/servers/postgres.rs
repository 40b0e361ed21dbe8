//! PostgreSQL in a temporary directory, with the tables of pgbench; as the user `postgres` if this is root.
//!
//! Commits do not wait for the disk and autovacuum is off: the generators are compared, not the disk.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::unistd::{User, chown, geteuid};

use super::{Server, Settings, directory_of, free_port, wait_until};
use crate::child::Background;
use crate::failure::{Failure, OrFail as _};
use crate::photofinish::SCALE;
use crate::programs::Program;
use crate::text;

const fn of_postgres(name: &'static str, install: &'static str) -> Program {
    Program {
        name,
        install,
        version: Some("--version"),
    }
}

const POSTGRES: Program = of_postgres("postgres", "apt install postgresql");
const INITDB: Program = of_postgres("initdb", "apt install postgresql");
const PSQL: Program = of_postgres("psql", "apt install postgresql-client");
const PG_ISREADY: Program = of_postgres("pg_isready", "apt install postgresql-client");
const PGBENCH: Program = of_postgres("pgbench", "apt install postgresql-contrib");

pub(super) const PROGRAMS: [Program; 5] = [POSTGRES, INITDB, PSQL, PG_ISREADY, PGBENCH];

const SETTINGS: [&str; 4] = [
    "fsync=off",
    "synchronous_commit=off",
    "autovacuum=off",
    "max_connections=200",
];

pub(super) fn start(settings: &Settings) -> Result<Server, Failure> {
    let user = server_user()?;
    let directory = directory_of(settings, "postgres")?;
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o700))
        .or_fail("protect a directory")?;
    if let Some(user) = &user {
        chown(&directory, Some(user.uid), Some(user.gid))
            .or_fail("give a directory to the user postgres")?;
    }
    let as_user = |program: Program| -> Result<Command, Failure> {
        let mut command = Command::new(program.find()?);
        command
            .current_dir(&directory)
            .stdin(Stdio::null())
            .arg("-D")
            .arg(directory.join("data"));
        if let Some(user) = &user {
            command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
        }
        Ok(command)
    };
    let mut initdb = as_user(INITDB)?;
    initdb.args(["-A", "trust", "-U", "bench", "--no-sync"]);
    finish(initdb, "initdb")?;
    serve(as_user(POSTGRES)?, &directory, settings.cpu)
}

/// Starts the server and fills its tables.
fn serve(mut command: Command, directory: &Path, cpu: usize) -> Result<Server, Failure> {
    let port = free_port()?;
    command
        .arg("-k")
        .arg(directory)
        .args(["-h", "127.0.0.1", "-p", &port.to_string()]);
    for setting in SETTINGS {
        command.args(["-c", setting]);
    }
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let pg_isready = PG_ISREADY.find()?;
    let mut process = Background::spawn(command, Some(cpu))?;
    wait_until(&mut process, "PostgreSQL", || {
        let mut command = Command::new(&pg_isready);
        command.args(["-q", "-h", "127.0.0.1", "-p", &port.to_string()]);
        command.status().is_ok_and(|status| status.success())
    })?;
    let mut fill = Command::new(PGBENCH.find()?);
    fill.args([
        "-h",
        "127.0.0.1",
        "-p",
        &port.to_string(),
        "-U",
        "bench",
        "-i",
        "-q",
    ]);
    fill.args(["-s", &SCALE.to_string(), "postgres"]);
    finish(fill, "pgbench -i")?;
    Ok(Server::new(process, port))
}

/// Runs a statement.
pub(super) fn execute(port: u16, statement: &str) -> Result<(), Failure> {
    let mut command = Command::new(PSQL.find()?);
    command.args([
        "-q",
        "-h",
        "127.0.0.1",
        "-p",
        &port.to_string(),
        "-U",
        "bench",
        "-c",
        statement,
        "postgres",
    ]);
    finish(command, "psql")
}

fn finish(mut command: Command, name: &str) -> Result<(), Failure> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .or_fail(&format!("run {name}"))?;
    if output.status.success() {
        return Ok(());
    }
    let message = text::first_line(&String::from_utf8_lossy(&output.stderr));
    Err(Failure::new(format!(
        "{name} failed: {}",
        message.unwrap_or_default()
    )))
}

/// PostgreSQL refuses to run as root.
fn server_user() -> Result<Option<User>, Failure> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    let user = User::from_name("postgres").or_fail("look up the user postgres")?;
    let user = user.ok_or_else(|| {
        Failure::new("PostgreSQL refuses to run as root, and there is no user postgres")
            .hint(POSTGRES.install)
    });
    user.map(Some)
}
