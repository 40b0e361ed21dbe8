//! Sources of a gate's arms: two commands, two programs, two revisions of a project, or a record.
//!
//! Defines the arguments, and for each arm its description in the record and the variant that it runs.

use std::path::{Path, PathBuf};

use clap::Args;
use photofinish_record::{Arm, ArmKind, ArmSource, Record, Variant, hex};
use photofinish_reports::describe;
use sha2::{Digest, Sha256};

use crate::arms::gate_directory::GateDirectory;
use crate::arms::programs::{ArmPrograms, is_interpreter};
use crate::arms::revision::{Artifact, Built, Revisions};
use crate::arms::server::{PORT, check_port};
use crate::exit::{Exit, Failure, OrFail};
use crate::interrupt::Interrupt;
use crate::process::worker;
use crate::request::ServerUrl;
use crate::store::baselines::{Baselines, DIRECTORY};
use crate::store::run_directory;
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

    /// The base: another revision of the project in the current directory, built in a checkout of its own; the head is
    /// the working tree
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
    /// The file that identifies the arm, if it can be replaced during the measurement.
    file: Option<PathBuf>,
}

pub struct Sources {
    pub base: GateArm,
    pub head: GateArm,
    /// The base, if it is a record.
    pub stored: Option<Record>,
    /// A reason to expect no difference between the arms.
    pub warning: Option<&'static str>,
    /// Directories that must outlive the gate.
    _places: Vec<GateDirectory>,
}

const SAME_COMMAND: &str = "base and head are the same command: a test of the gate itself";
const SAME_PROGRAM: &str =
    "base and head are the same program, byte for byte: any difference between them is noise";

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
            if program == EXE && !command.contains(EXE) {
                return Err(Failure::usage(format!(
                    "{name}: the command has no {EXE}, so it would start the same program for both revisions"
                ))
                .hint(format!("such as '{program} --port {PORT}'")));
            }
            check_port(name, command, program)?;
        }
        Ok(())
    }

    /// The file to store a baseline in.
    pub fn path_of(&self, name: &str) -> Result<PathBuf, Failure> {
        Baselines::of(&self.baselines).path(name)
    }

    /// Stores a record as a baseline.
    pub fn keep(&self, name: &str, record: &Record) -> Result<PathBuf, Failure> {
        Baselines::of(&self.baselines).keep(name, record)
    }

    /// The file of the base, if it is a baseline or a record.
    pub fn stored_path(&self) -> Option<PathBuf> {
        let name = self.baseline.as_ref()?;
        let path = Baselines::of(&self.baselines).path_of(name);
        Some(run_directory::record_file(&path))
    }

    /// The base, if it is a record.
    pub fn stored(&self) -> Result<Option<Record>, Failure> {
        let baselines = Baselines::of(&self.baselines);
        let name = self.baseline.as_ref();
        name.map(|name| baselines.find(name)).transpose()
    }

    /// Finds the arms, and builds them if necessary.
    pub fn sources(&self, interrupt: &Interrupt) -> Result<Sources, Failure> {
        if let (Some(base), Some(head)) = (&self.base_server, &self.head_server) {
            return Ok(Sources::live(server(base), server(head), Vec::new()));
        }
        if let (Some(base), Some(head)) = (&self.base_exe, &self.head_exe) {
            let place = GateDirectory::of_run(None)?;
            let arm = |arm: Arm, path: &Path| {
                executable(
                    &path.display().to_string(),
                    &copied(path, arm, &place)?,
                    interrupt,
                )
            };
            let (base, head) = (arm(Arm::Base, base)?, arm(Arm::Head, head)?);
            return Ok(Sources::live(base, head, vec![place]));
        }
        if let Some(revision) = &self.base_rev {
            return self.revisions(revision, interrupt);
        }
        let stored = self.stored()?;
        let [base, head] = stored_sources(stored.as_ref()).map(|source| GateArm {
            source,
            variant: Variant::default(),
            file: None,
        });
        Ok(Sources {
            stored,
            warning: None,
            ..Sources::live(base, head, Vec::new())
        })
    }

    fn revisions(&self, revision: &str, interrupt: &Interrupt) -> Result<Sources, Failure> {
        let revisions = Revisions::find(revision, interrupt)?;
        let place = GateDirectory::of_run(Some(revisions.root()))?;
        let [base, head] = revisions.build(&self.artifact())?;
        let arm = |arm: Arm, built: &Built| {
            let program = copied(&built.executable, arm, &place)?;
            let name = built.executable.file_name().unwrap_or_default();
            let mut arm = match &self.server {
                Some(command) => GateArm {
                    variant: run_by(&command.replace(EXE, &quoted(&program.to_string_lossy()))),
                    source: ArmSource {
                        sha256: sha256(&program),
                        ..source(ArmKind::Server, command)
                    },
                    file: None,
                },
                None => executable(&name.to_string_lossy(), &program, interrupt)?,
            };
            arm.source.identity = Some(built.commit.clone());
            Ok::<_, Failure>(arm)
        };
        let (base, head) = (arm(Arm::Base, &base)?, arm(Arm::Head, &head)?);
        Ok(Sources::live(
            base,
            head,
            vec![place, revisions.into_place()],
        ))
    }

    /// The head's program, at the path where cargo or the user put it.
    pub fn head_program(&self, interrupt: &Interrupt) -> Result<Option<PathBuf>, Failure> {
        if let Some(revision) = &self.base_rev {
            let revisions = Revisions::find(revision, interrupt)?;
            let (built, _) = revisions.build_head(&self.artifact())?;
            return Ok(Some(built.executable));
        }
        Ok(self
            .head_exe
            .as_ref()
            .and_then(|path| path.canonicalize().ok()))
    }

    fn artifact(&self) -> Artifact {
        Artifact {
            bin: self.bin.clone(),
            example: self.example.clone(),
        }
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
    fn live(base: GateArm, head: GateArm, places: Vec<GateDirectory>) -> Self {
        let same_program = base.source.sha256.is_some() && base.source.sha256 == head.source.sha256;
        // One program with two sets of arguments is a comparison like any other.
        let two_files = base.file.is_none() || base.file != head.file;
        let warning = if same_program && two_files {
            Some(SAME_PROGRAM)
        } else {
            (base.variant == head.variant).then_some(SAME_COMMAND)
        };
        Self {
            base,
            head,
            stored: None,
            warning,
            _places: places,
        }
    }

    /// The failure for two builds whose server command started the same program.
    pub fn not_run(&self, programs: &ArmPrograms) -> Option<Failure> {
        let (base, head) = (&self.base.source, &self.head.source);
        let are_built = base.what == head.what && self.base.variant != self.head.variant;
        let program = programs
            .only_one()
            .filter(|_| are_built && base.sha256 != head.sha256)?;
        let program = program.path.display();
        Some(
            Failure::new(
                Exit::Unfit,
                format!("both arms ran {program}, although their builds differ"),
            )
            .hint(format!(
                "--server must start {EXE}, such as '{EXE} --port {PORT}'"
            )),
        )
    }

    /// The warning for two commands that name different files but started the same program.
    pub fn alike(&self, programs: &ArmPrograms) -> Option<String> {
        let (base, head) = (&self.base.source, &self.head.source);
        let differ = base.what != head.what && base.sha256.is_some() && base.sha256 != head.sha256;
        let program = programs.only_one().filter(|_| differ)?;
        Some(format!(
            "both arms ran {}, although their commands name different programs: any difference comes from arguments, \
             environment or files",
            program.path.display()
        ))
    }

    /// The failure for an arm whose program was replaced since the start.
    pub fn replaced(&self) -> Option<Failure> {
        [(Arm::Base, &self.base), (Arm::Head, &self.head)]
            .into_iter()
            .find_map(|(arm, side)| {
                let file = side.file.as_ref()?;
                (sha256(file) != side.source.sha256).then(|| {
                    let (arm, file) = (arm.name(), file.display());
                    Failure::could_not_run(format!(
                        "the {arm}: {file} was replaced during the measurement"
                    ))
                    .hint("measure a copy that no build or editor touches, and run the gate again")
                })
            })
    }
}

fn source(kind: ArmKind, what: &str) -> ArmSource {
    ArmSource {
        kind,
        what: what.to_owned(),
        identity: None,
        sha256: None,
    }
}

fn run_by(command: &str) -> Variant {
    Variant {
        server: Some(command.to_owned()),
        ..Variant::default()
    }
}

fn server(command: &str) -> GateArm {
    let file = program_of(command);
    let sha256 = file.as_deref().and_then(sha256);
    GateArm {
        source: ArmSource {
            identity: sha256.as_deref().map(fingerprint),
            sha256,
            ..source(ArmKind::Server, command)
        },
        variant: run_by(command),
        file,
    }
}

/// An arm that runs the copy `program` of the executable `what`.
fn executable(what: &str, program: &Path, interrupt: &Interrupt) -> Result<GateArm, Failure> {
    if !worker::is_worker(program, interrupt) {
        return Err(Failure::could_not_run(format!("{what} is not a Photofinish program")).hint(format!(
            "if it is a server, give its command: --server '{EXE} --port {PORT}' with --base-rev, else --base-server and \
             --head-server"
        )));
    }
    let sha256 = sha256(program);
    Ok(GateArm {
        source: ArmSource {
            identity: sha256.as_deref().map(fingerprint),
            sha256,
            ..source(ArmKind::Executable, what)
        },
        variant: Variant {
            program: Some(program.to_owned()),
            ..Variant::default()
        },
        file: None,
    })
}

/// A copy of an arm's executable, unaffected by builds during the measurement.
fn copied(path: &Path, arm: Arm, place: &GateDirectory) -> Result<PathBuf, Failure> {
    let missing = || {
        Failure::usage(format!("no executable at {}", path.display()))
            .hint("name the file that the build made, such as target/release/NAME")
    };
    let name = path.file_name().ok_or_else(missing)?;
    let directory = place.path().join(arm.name());
    let copy = directory.join(name);
    std::fs::create_dir_all(&directory).or_fail(format!("cannot make {}", directory.display()))?;
    match std::fs::copy(path, &copy) {
        Ok(_) => Ok(copy),
        Err(error) if path.is_file() => Err(Failure::could_not_run(format!(
            "cannot copy {}",
            path.display()
        ))
        .caused_by(error)
        .hint("set XDG_CACHE_HOME to a directory with free space")),
        Err(error) => Err(missing().caused_by(error)),
    }
}

/// Arm sources for a stored base and a head measured now. The base's is empty until its record is read.
pub fn stored_sources(base: Option<&Record>) -> [ArmSource; 2] {
    let empty = || source(ArmKind::Record, "");
    [
        base.map_or_else(empty, recorded),
        source(ArmKind::Now, "measured now"),
    ]
}

/// The source of an arm that was measured earlier.
pub fn recorded(record: &Record) -> ArmSource {
    ArmSource {
        identity: Some(format!("measured {}", describe::time(&record.started_utc))),
        ..source(ArmKind::Record, &record.id)
    }
}

/// The file that decides what a command does: its program, or the script of an interpreter.
fn program_of(command: &str) -> Option<PathBuf> {
    let words = command
        .split_whitespace()
        .skip_while(|word| *word == "exec" || word.contains('='))
        .map(|word| Path::new(word.trim_matches(['\'', '"'])));
    let mut words = words.peekable();
    let program = *words.peek()?;
    if is_interpreter(program) {
        return words
            .skip(1)
            .find(|word| word.is_file() && !is_interpreter(word))
            .map(Path::to_owned);
    }
    program.is_file().then(|| program.to_owned())
}

fn sha256(path: &Path) -> Option<String> {
    Some(hex(Sha256::digest(std::fs::read(path).ok()?)))
}

/// A short form of a checksum.
fn fingerprint(sha256: &str) -> String {
    format!("SHA-256 {}…", sha256.get(..12).unwrap_or(sha256))
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// URL of an arm's server, with [`PORT`] in place of its port.
pub fn server_url(own: Option<&str>, target: &str) -> Result<String, Failure> {
    let usual = targets::url_at(target, &format!("127.0.0.1:{PORT}"));
    let Some(own) = own else {
        return usual.ok_or_else(|| {
            Failure::usage(format!("no default URL for target `{target}`")).hint("add --server-url")
        });
    };
    let usual = usual.unwrap_or_else(|| "a URL".to_owned());
    let wrong = |message: &str| {
        Failure::usage(format!("--server-url: {message}")).hint(format!("such as {usual}"))
    };
    if !own.contains(PORT) || !own.contains("127.0.0.1") {
        return Err(wrong("expected a URL with 127.0.0.1 and {port}"));
    }
    if !targets::is_url_of(target, &own.replace(PORT, "1")) {
        return Err(wrong(&format!("not a URL of the target `{target}`")));
    }
    Ok(own.to_owned())
}
