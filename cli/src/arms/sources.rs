//! Sources of a gate's arms: two commands, two programs, two revisions of a project, or a record.
//!
//! Defines the arguments, and for each arm its description in the record and the variant that it runs.

use std::path::{Path, PathBuf};

use clap::Args;
use photofinish_record::{ArmKind, ArmSource, Record, Variant, hex};
use photofinish_reports::describe;
use sha2::{Digest, Sha256};

use crate::arms::revision::{self, Artifact, Built, Revision};
use crate::arms::server::PORT;
use crate::exit::Failure;
use crate::request::ServerUrl;
use crate::store::baselines::{Baselines, DIRECTORY};
use crate::targets;

/// Placeholder for the built executable in a server's command.
const EXE: &str = "{exe}";

/// Arguments that name the arms.
#[derive(Args)]
#[command(next_help_heading = "Arms")]
pub struct ArmArguments {
    /// The base: a server's command, with {port} where its port goes
    #[arg(long, value_name = "CMD", requires = "head_server")]
    base_server: Option<String>,

    /// The head: a server's command, with {port} where its port goes
    #[arg(long, value_name = "CMD", requires = "base_server")]
    head_server: Option<String>,

    /// URL of an arm's server [default: http://127.0.0.1:{port}, or its equivalent for the target]
    #[arg(long, value_name = "URL")]
    server_url: Option<String>,

    /// The base: a build of your own workloads (a program around `photofinish::run_with`)
    #[arg(long, value_name = "PATH", requires = "head_exe")]
    base_exe: Option<PathBuf>,

    /// The head: another build of the same program
    #[arg(long, value_name = "PATH", requires = "base_exe")]
    head_exe: Option<PathBuf>,

    /// The base: another revision of the project in the current directory, built in a worktree of its own; the head is the
    /// working tree
    #[arg(long, value_name = "REV")]
    base_rev: Option<String>,

    /// With --base-rev, if the program is a server: its command, with {exe} and {port}
    #[arg(long, value_name = "CMD", requires = "base_rev")]
    server: Option<String>,

    /// With --base-rev: the binary to build and run
    #[arg(
        long,
        value_name = "NAME",
        requires = "base_rev",
        conflicts_with = "example"
    )]
    bin: Option<String>,

    /// With --base-rev: the example to build and run
    #[arg(long, value_name = "NAME", requires = "base_rev")]
    example: Option<String>,

    /// The base: a stored baseline or a record; if it is from another machine or boot, the verdict is only advice
    #[arg(long, value_name = "NAME|RECORD")]
    baseline: Option<String>,

    /// Directory of the baselines
    #[arg(long, value_name = "DIR", default_value = DIRECTORY)]
    baselines: PathBuf,
}

/// An arm: its description in the record, and what it runs.
pub struct GateArm {
    pub source: ArmSource,
    pub variant: Variant,
}

pub struct Sources {
    pub base: GateArm,
    pub head: GateArm,
    /// The base, if it is a record.
    pub stored: Option<Record>,
    /// True if both arms run the same program, byte for byte, from two files.
    pub same_program: bool,
    /// A worktree that must outlive the gate.
    _revision: Option<Revision>,
}

impl ArmArguments {
    /// True if both arms are measured now.
    pub fn are_live(&self) -> bool {
        self.are_servers() || self.are_executables()
    }

    /// True if the arms are two servers, measured by the same worker.
    pub fn are_servers(&self) -> bool {
        self.base_server.is_some() || self.server.is_some()
    }

    /// True if the arms are two workers.
    pub fn are_executables(&self) -> bool {
        self.base_exe.is_some() || self.are_built() && self.server.is_none()
    }

    /// True if the arms have to be built.
    pub fn are_built(&self) -> bool {
        self.base_rev.is_some()
    }

    /// Checks what can be checked before anything is built.
    pub fn check(&self) -> Result<(), Failure> {
        if !self.are_live() && self.baseline.is_none() {
            return Err(Failure::usage("a gate needs two arms").hint(
                "--base-server CMD --head-server CMD, --base-exe PATH --head-exe PATH, --base-rev REV, or --baseline NAME",
            ));
        }
        let commands = [
            ("--base-server", &self.base_server, "./server"),
            ("--head-server", &self.head_server, "./server"),
            ("--server", &self.server, EXE),
        ];
        for (name, command, program) in commands {
            let Some(command) = command else { continue };
            let hint = format!("such as '{program} --port {PORT}', or 'PORT={PORT} {program}'");
            if program == EXE && !command.contains(EXE) {
                return Err(Failure::usage(format!(
                    "{name}: the command has no {EXE}, so it would start the same program for both revisions"
                ))
                .hint(hint));
            }
            if !command.contains(PORT) {
                return Err(Failure::usage(format!(
                    "{name}: the command has no {PORT} where its port goes"
                ))
                .hint(hint));
            }
        }
        Ok(())
    }

    /// Stores a record as a baseline.
    pub fn keep(&self, name: &str, record: &Record) -> Result<PathBuf, Failure> {
        Baselines::of(&self.baselines).keep(name, record)
    }

    /// The base, if it is a record.
    pub fn stored(&self) -> Result<Option<Record>, Failure> {
        let baselines = Baselines::of(&self.baselines);
        let name = self.baseline.as_ref();
        name.map(|name| baselines.find(name)).transpose()
    }

    /// Finds the arms, and builds them if necessary.
    pub fn sources(&self) -> Result<Sources, Failure> {
        if let (Some(base), Some(head)) = (&self.base_server, &self.head_server) {
            let programs = program_of(base).zip(program_of(head));
            return Ok(Sources {
                same_program: programs.is_some_and(|(base, head)| are_copies(&base, &head)),
                ..Sources::live(server(base), server(head))
            });
        }
        if let (Some(base), Some(head)) = (&self.base_exe, &self.head_exe) {
            return Ok(Sources {
                same_program: are_copies(base, head),
                ..Sources::live(executable(base)?, executable(head)?)
            });
        }
        if let Some(revision) = &self.base_rev {
            return self.revisions(revision);
        }
        let stored = self.stored()?;
        let [base, head] = stored_sources(stored.as_ref()).map(|source| GateArm {
            source,
            variant: Variant::default(),
        });
        Ok(Sources {
            stored,
            ..Sources::live(base, head)
        })
    }

    fn revisions(&self, revision: &str) -> Result<Sources, Failure> {
        let artifact = Artifact {
            bin: self.bin.clone(),
            example: self.example.clone(),
        };
        let revision = Revision::check_out(revision)?;
        let base = revision.build(&artifact)?;
        let head = revision::build_working_tree(&artifact)?;
        let same_program = are_copies(&base.executable, &head.executable);
        let arm = |built: Built| {
            let mut arm = match &self.server {
                Some(command) => {
                    let program = quoted(&built.executable.to_string_lossy());
                    server(&command.replace(EXE, &program))
                }
                None => executable(&built.executable)?,
            };
            arm.source.identity = Some(built.commit);
            Ok::<_, Failure>(arm)
        };
        Ok(Sources {
            same_program,
            _revision: Some(revision),
            ..Sources::live(arm(base)?, arm(head)?)
        })
    }

    /// The URL of an arm's server behind a target; `None` if the arms are not servers.
    pub fn server_url(&self) -> Option<Box<ServerUrl>> {
        if !self.are_servers() {
            return None;
        }
        let own = self.server_url.clone();
        Some(Box::new(move |target| server_url(own.as_deref(), target)))
    }
}

impl Sources {
    fn live(base: GateArm, head: GateArm) -> Self {
        Self {
            base,
            head,
            stored: None,
            same_program: false,
            _revision: None,
        }
    }
}

fn server(command: &str) -> GateArm {
    GateArm {
        source: ArmSource {
            kind: ArmKind::Server,
            what: command.to_owned(),
            identity: program_of(command).and_then(|program| fingerprint(&program)),
        },
        variant: Variant {
            server: Some(command.to_owned()),
            ..Variant::default()
        },
    }
}

fn executable(path: &Path) -> Result<GateArm, Failure> {
    let program = path.canonicalize().map_err(|error| {
        Failure::usage(format!("there is no executable {}", path.display())).caused_by(error)
    })?;
    Ok(GateArm {
        source: ArmSource {
            kind: ArmKind::Executable,
            what: path.display().to_string(),
            identity: fingerprint(path),
        },
        variant: Variant {
            program: Some(program),
            ..Variant::default()
        },
    })
}

/// Arm sources for a stored base and the head. The base's is empty until its record is read.
pub fn stored_sources(record: Option<&Record>) -> [ArmSource; 2] {
    let measured = |record: &Record| format!("measured {}", describe::time(&record.started_utc));
    let base = ArmSource {
        kind: ArmKind::Record,
        what: record.map_or_else(String::new, |record| record.id.clone()),
        identity: record.map(measured),
    };
    let head = ArmSource {
        kind: ArmKind::Now,
        what: "measured now".to_owned(),
        identity: None,
    };
    [base, head]
}

/// The program of a command, if it is a file.
fn program_of(command: &str) -> Option<PathBuf> {
    let first = command
        .split_whitespace()
        .find(|word| *word != "exec" && !word.contains('='))?;
    let path = PathBuf::from(first.trim_matches(['\'', '"']));
    path.is_file().then_some(path)
}

/// True if both files have the same contents.
fn are_copies(one: &Path, other: &Path) -> bool {
    let contents = |path| std::fs::read(path).ok();
    one != other && contents(one).is_some_and(|one| contents(other) == Some(one))
}

/// A fingerprint of a build.
fn fingerprint(path: &Path) -> Option<String> {
    let digest = Sha256::digest(std::fs::read(path).ok()?);
    Some(format!("SHA-256 {}…", hex(&digest[..6])))
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// URL of an arm's server, with [`PORT`] in place of its port.
fn server_url(own: Option<&str>, target: &str) -> Result<String, Failure> {
    let usual = || targets::url_at(target, &format!("127.0.0.1:{PORT}"));
    let url = own.map(str::to_owned).or_else(usual).ok_or_else(|| {
        Failure::usage(format!("no default URL for target `{target}`")).hint("add --server-url")
    })?;
    if !url.contains(PORT) || !url.contains("127.0.0.1") {
        return Err(
            Failure::usage("--server-url must lead to 127.0.0.1 and the port {port}")
                .hint("such as http://127.0.0.1:{port}/items"),
        );
    }
    Ok(url)
}
