//! `photofinish gate`: may the head take the place of the base? Measures both in turn, or recomputes from records.
//!
//! The order of things: where the arms come from, what is asked of them, whether that could fail at all, then pairs
//! until everything is decided. What is decided, and when, is `reports::gate`'s; what an arm is when it runs, `arms`'s.

use std::num::NonZeroU32;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::builder::PossibleValue;
use clap::builder::PossibleValuesParser;
use clap::{ArgGroup, Args};
use photofinish_harness::load::Load;
use photofinish_harness::record::{
    ArmKind, ArmSource, Completion, Gate as Gated, GateTerm, Plan, Record, Round,
};
use photofinish_reports::formats::{self, gate::GATE_FORMATS};
use photofinish_reports::gate::rule::{FLOOR, LIMIT, LOOKS};
use photofinish_reports::gate::{GateReport, GateVerdict, terms};
use photofinish_reports::{describe, terminal};
use photofinish_scenarios::plan::with_arms;
use photofinish_scenarios::scenario::GateSpec;
use sha2::{Digest, Sha256};

use crate::arm_server::PORT;
use crate::arms::{Arms, Both};
use crate::artifacts::PAGE;
use crate::baselines::{Baselines, DIRECTORY};
use crate::course::Planned;
use crate::exit::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::measuring::{self, Beginning, Measured, Measuring};
use crate::output;
use crate::request::{Beyond, Prepared, Request};
use crate::revision::{self, Artifact, Revision};
use crate::run_directory::{self, RECORD, RunFile, write_files};

/// The runtime of a gate where nobody names one: what is gated is mostly a server, and its client should stay the same.
const RUNTIME: &str = "tokio";

/// What stands for the built executable in a server's command.
const EXE: &str = "{exe}";

/// Set for a program that a gate has handed its work to, so that it does not hand it on.
const HANDED_OVER: &str = "PHOTOFINISH_GATE_HANDED_OVER";

/// Says whether a new build is slower than an old one, with an exit code for CI
///
/// Both arms are measured now, in pairs of fresh processes and balanced random order, with looks after 10, 16, 24 and 40
/// pairs. A metric fails when its slowdown is certainly beyond 2 %, and passes when a slowdown of the limit (10 %) is
/// ruled out. Exit codes: 0 pass, 3 regression, 4 inconclusive or unfit machine, 5 measured but wrong.
///
/// With a run directory instead of a scenario, the verdict is recomputed from its raw rounds.
#[derive(Args)]
#[command(
    group = ArgGroup::new("arms").args(["base_server", "base_exe", "base_rev", "baseline"]),
    mut_arg("rounds", |arg| arg.hide(true)),
    mut_arg("until_decided", |arg| arg.hide(true)),
    mut_arg("max_rounds", |arg| arg.hide(true)),
    mut_arg("find_max", |arg| arg.hide(true)),
    mut_arg("reference", |arg| arg.hide(true)),
    mut_arg("suite", |arg| arg.hide(true)),
    after_help = "\
Examples:
  photofinish gate http-get --set path=/ --base-server './old --port {port}' \\
      --head-server './new --port {port}'
  photofinish gate my.toml --base-exe ./old-bench --head-exe ./new-bench
  photofinish gate my.toml --base-rev origin/main --server '{exe} --port {port}'
  photofinish gate http-get --baseline main
  photofinish gate photofinish-runs/latest --format markdown"
)]
pub struct Gate {
    #[command(flatten)]
    request: Request,

    /// The base: a server's command, with {port} where its port goes
    #[arg(
        long,
        value_name = "CMD",
        requires = "head_server",
        help_heading = "Arms"
    )]
    base_server: Option<String>,

    /// The head: a server's command, with {port} where its port goes
    #[arg(
        long,
        value_name = "CMD",
        requires = "base_server",
        help_heading = "Arms"
    )]
    head_server: Option<String>,

    /// Where an arm's server is met [default: http://127.0.0.1:{port}, and the like]
    #[arg(long, value_name = "URL", help_heading = "Arms")]
    server_url: Option<String>,

    /// The base: a build of your own workloads (a program around `photofinish::run_with`)
    #[arg(
        long,
        value_name = "PATH",
        requires = "head_exe",
        help_heading = "Arms"
    )]
    base_exe: Option<PathBuf>,

    /// The head: another build of the same program
    #[arg(
        long,
        value_name = "PATH",
        requires = "base_exe",
        help_heading = "Arms"
    )]
    head_exe: Option<PathBuf>,

    /// The base: another revision of the project around the current directory, built beside the working tree, which is
    /// the head
    #[arg(long, value_name = "REV", help_heading = "Arms")]
    base_rev: Option<String>,

    /// With --base-rev: the executable is a server; its command, with {exe} and {port}
    #[arg(long, value_name = "CMD", requires = "base_rev", help_heading = "Arms")]
    server: Option<String>,

    /// With --base-rev: which binary of the project
    #[arg(
        long,
        value_name = "NAME",
        requires = "base_rev",
        conflicts_with = "example",
        help_heading = "Arms"
    )]
    bin: Option<String>,

    /// With --base-rev: which example of the project
    #[arg(
        long,
        value_name = "NAME",
        requires = "base_rev",
        help_heading = "Arms"
    )]
    example: Option<String>,

    /// The base: a stored baseline or a record; numbers of another machine or boot make the verdict advice
    #[arg(long, value_name = "NAME|RECORD", help_heading = "Arms")]
    baseline: Option<String>,

    /// Where baselines are
    #[arg(long, value_name = "DIR", default_value = DIRECTORY, help_heading = "Arms")]
    baselines: PathBuf,

    /// What is asked of a metric: throughput=5% is a limit of the slowdown, "response_p99=< 20ms" an objective; goes over
    /// the scenario's [gate]; repeatable [default: 10% of throughput, or of response_p99 under open load]
    #[arg(
        long = "limit",
        value_name = "METRIC=TEXT",
        help_heading = "What must hold"
    )]
    limits: Vec<String>,

    /// The slowdown that does not matter yet [default: 2%]
    #[arg(long, value_name = "PERCENT", help_heading = "What must hold")]
    floor: Option<String>,

    /// Lets the arms answer with different content
    #[arg(long, help_heading = "What must hold")]
    content_may_differ: bool,

    /// Ends with 4 where the verdict would be advice only
    #[arg(long, help_heading = "What must hold")]
    strict: bool,

    /// The most pairs; looks are after 10, 16, 24 and 40, and after this many
    #[arg(long, value_name = "N", help_heading = "How long")]
    max_pairs: Option<NonZeroU32>,

    /// Keeps the record as a baseline of this name
    #[arg(long, value_name = "NAME", help_heading = "Output")]
    save_baseline: Option<String>,

    /// Where run directories go
    #[arg(
        long,
        value_name = "DIR",
        default_value = "photofinish-runs",
        help_heading = "Output"
    )]
    out: PathBuf,

    /// Writes the verdict in another format as well, such as junit=gate.xml; repeatable
    #[arg(long = "write", value_name = "FORMAT=FILE", help_heading = "Output")]
    writes: Vec<String>,

    /// How to print the verdict
    #[arg(long, value_parser = formats(), default_value = "table", help_heading = "Output")]
    format: String,
}

fn formats() -> PossibleValuesParser {
    let table = PossibleValue::new(TABLE).help("Tables for people");
    let others = GATE_FORMATS
        .iter()
        .map(|format| PossibleValue::new(format.name).help(format.summary));
    PossibleValuesParser::new([table].into_iter().chain(others))
}

/// The format for people.
const TABLE: &str = "table";

/// The verdict in a format of `reports`.
fn rendered(report: &GateReport, name: &str) -> Result<Vec<u8>, Failure> {
    let format = formats::gate::find(name).ok_or_else(|| {
        let names = GATE_FORMATS.iter().map(|format| format.name);
        Failure::usage(format!("there is no format `{name}` of a gate"))
            .hint(names.collect::<Vec<_>>().join(", "))
    })?;
    let file = (format.render)(report).map_err(|error| {
        Failure::could_not_run(format!("cannot write the verdict as {name}")).caused_by(error)
    })?;
    Ok(file.bytes)
}

/// What the arms are, and where they come from.
struct Sources {
    base: ArmSource,
    head: ArmSource,
    arms: Arms,
    /// The record of the base, where it is none of the arms that run.
    stored: Option<Record>,
    /// A worktree that must outlive the gate.
    _revision: Option<Revision>,
}

impl Gate {
    /// Decides.
    pub fn execute(self) -> Result<Exit, Failure> {
        if let Some(name) = self.request.unfit_for_a_gate() {
            return Err(Failure::usage(format!("{name} is not for a gate")).hint(
                "a gate measures pairs of base and head, with planned looks; --max-pairs bounds it",
            ));
        }
        // What is wrong with it must not be found out after minutes of measuring.
        self.writes()?;
        if let Some(run) = self.offline()? {
            return self.recompute(&run);
        }
        let sources = self.sources()?;
        let prepared = match self.prepare(&sources) {
            Ok(prepared) => prepared,
            Err(failure) => return Err(handed_over(&sources.arms, failure)),
        };
        if let Some(why) = terms::toothless(&prepared.plan) {
            return Err(
                Failure::new(Exit::Unfit, format!("this gate could never fail: {why}"))
                    .hint("what is asked is in the scenario's [gate] table and in --limit"),
            );
        }
        self.measure(sources, prepared)
    }

    /// The run whose verdict is to be recomputed.
    fn offline(&self) -> Result<Option<PathBuf>, Failure> {
        let is_record = |name: &&String| {
            let path = Path::new(name.as_str());
            path.join(RECORD).is_file() || path.extension().is_some_and(|ending| ending == "json")
        };
        let names = self.request.names();
        let Some(run) = names.iter().find(is_record) else {
            return Ok(None);
        };
        let live = self.base_server.is_some() || self.base_exe.is_some() || self.base_rev.is_some();
        if names.len() > 1 || live {
            return Err(Failure::usage(format!(
                "{run} is a run that was measured already, which goes with no scenario and no arms"
            ))
            .hint(
                "`photofinish gate RUN` recomputes its verdict, with --baseline against a record",
            ));
        }
        Ok(Some(PathBuf::from(run)))
    }

    fn recompute(&self, run: &Path) -> Result<Exit, Failure> {
        let mut record = run_directory::load(run)?;
        let stored = self.stored()?;
        if let Some(base) = &stored {
            self.regate(&mut record, base)?;
        }
        self.tell(&record, stored.as_ref(), None)
    }

    /// Has a record that was no gate, or another one, answer to what is asked now.
    fn regate(&self, record: &mut Record, base: &Record) -> Result<(), Failure> {
        let names = record.plan.scenarios.iter();
        let gates: Vec<_> = names
            .map(|scenario| (scenario.name.clone(), GateSpec::default()))
            .collect();
        let asked = record.plan.gate.take().filter(|_| self.limits.is_empty());
        let mut gated = self.gated(&gates, &record.plan, stored_sources(base))?;
        if let Some(asked) = asked {
            gated.terms = asked.terms;
            gated.floor = asked.floor;
        }
        record.plan.gate = Some(gated);
        if record.plan.looks.is_empty() {
            // It was measured to its end, and is looked at once.
            record.plan.looks = vec![u32::try_from(record.plan.blocks.len()).unwrap_or(u32::MAX)];
        }
        Ok(())
    }

    fn stored(&self) -> Result<Option<Record>, Failure> {
        let baselines = Baselines::of(&self.baselines);
        let name = self.baseline.as_ref();
        name.map(|name| baselines.find(name)).transpose()
    }

    fn sources(&self) -> Result<Sources, Failure> {
        if let (Some(base), Some(head)) = (&self.base_server, &self.head_server) {
            return servers(base, head);
        }
        if let (Some(base), Some(head)) = (&self.base_exe, &self.head_exe) {
            return executables(base, head);
        }
        if let Some(revision) = &self.base_rev {
            return self.revisions(revision);
        }
        match self.stored()? {
            Some(record) => {
                let (base, head) = stored_sources(&record);
                Ok(Sources {
                    base,
                    head,
                    arms: Arms::None,
                    stored: Some(record),
                    _revision: None,
                })
            }
            None => Err(Failure::usage("a gate needs two arms").hint(
                "--base-server CMD --head-server CMD, --base-exe PATH --head-exe PATH, --base-rev REV, or --baseline NAME",
            )),
        }
    }

    fn revisions(&self, revision: &str) -> Result<Sources, Failure> {
        let artifact = Artifact {
            bin: self.bin.clone(),
            example: self.example.clone(),
        };
        let revision = Revision::check_out(revision)?;
        let base = revision.build(&artifact)?;
        let head = revision::build_working_tree(&artifact)?;
        let mut sources = match &self.server {
            Some(command) => {
                let with = |exe: &Path| command.replace(EXE, &quoted(&exe.to_string_lossy()));
                servers(&with(&base.executable), &with(&head.executable))?
            }
            None => executables(&base.executable, &head.executable)?,
        };
        sources.base.identity = Some(base.commit);
        sources.head.identity = Some(head.commit);
        sources._revision = Some(revision);
        Ok(sources)
    }

    /// The plan with its arms, and with what is asked of them.
    fn prepare(&self, sources: &Sources) -> Result<Prepared, Failure> {
        let own = self.server_url.clone();
        let url = move |target: &str| server_url(own.as_deref(), target);
        let beyond = Beyond {
            runtimes: vec![RUNTIME.to_owned()],
            looks: self.looks(),
            server_url: match sources.arms {
                Arms::Servers(_) => Some(Box::new(url)),
                _ => None,
            },
        };
        let mut prepared = self.request.prepare_with(&beyond)?;
        let both = (sources.base.clone(), sources.head.clone());
        let gated = self.gated(&prepared.gates, &prepared.plan, both)?;
        match sources.stored {
            Some(_) => prepared.plan.gate = Some(gated),
            None => prepared.plan = with_arms(prepared.plan, gated, prepared.seed),
        }
        if sources.base.what == sources.head.what {
            prepared
                .warnings
                .push("base and head are the same command: a test of the gate itself".to_owned());
        }
        Ok(prepared)
    }

    /// What is asked: each scenario's own terms, and over them those of the command line.
    fn gated(
        &self,
        gates: &[(String, GateSpec)],
        plan: &Plan,
        (base, head): (ArmSource, ArmSource),
    ) -> Result<Gated, Failure> {
        let asked = self.asked()?;
        let mut terms = Vec::new();
        for (scenario, spec) in gates {
            let over = |name: &str| asked.iter().any(|(metric, _)| same_metric(metric, name));
            let own = spec.terms.iter().filter(|text| !over(&text.metric));
            let own = own.map(|text| (text.metric.clone(), text.text.clone(), text.place.clone()));
            let given = asked
                .iter()
                .map(|(metric, text)| (metric.clone(), text.clone(), spec.place.clone()));
            let mut all: Vec<_> = own.chain(given).collect();
            if all.is_empty() {
                let usual = (usual_metric(plan, scenario), format!("{}%", 100.0 * LIMIT));
                all.push((usual.0.to_owned(), usual.1, spec.place.clone()));
            }
            for (metric, text, place) in all {
                let asked = terms::parse(&metric, &text).map_err(|error| {
                    Failure::usage(error.to_string())
                        .hint(format!("metrics to gate: {}", terms::names().join(", ")))
                })?;
                terms.push(GateTerm {
                    scenario: scenario.clone(),
                    metric: asked.metric,
                    requirement: asked.requirement,
                    text: format!("{metric} = \"{text}\""),
                    place,
                });
            }
        }
        let floors = gates.iter().filter_map(|(_, spec)| spec.floor);
        Ok(Gated {
            base,
            head,
            floor: match &self.floor {
                Some(text) => percent(text)?,
                None => floors.reduce(f64::min).unwrap_or(FLOOR),
            },
            terms,
            content_may_differ: self.content_may_differ,
        })
    }

    /// The limits of the command line.
    fn asked(&self) -> Result<Vec<(String, String)>, Failure> {
        let split = |limit: &String| {
            let (metric, text) = limit.split_once('=').ok_or_else(|| {
                Failure::usage(format!("`--limit {limit}` is not of the form METRIC=TEXT"))
                    .hint("such as --limit throughput=5% or --limit 'response_p99=< 20ms'")
            })?;
            Ok((metric.trim().to_owned(), text.trim().to_owned()))
        };
        self.limits.iter().map(split).collect()
    }

    fn looks(&self) -> Vec<NonZeroU32> {
        let planned = LOOKS.into_iter().filter_map(NonZeroU32::new);
        match self.max_pairs {
            None => planned.collect(),
            Some(most) => planned.filter(|look| *look < most).chain([most]).collect(),
        }
    }

    fn measure(&self, sources: Sources, prepared: Prepared) -> Result<Exit, Failure> {
        let interrupt = Interrupt::on_signals().map_err(|error| {
            Failure::could_not_run("cannot listen for signals").caused_by(error)
        })?;
        let beginning = Beginning {
            redo: self.request.redo(&prepared.plan),
            prepared,
            arms: sources.arms.clone(),
            out: &self.out,
            interrupt: &interrupt,
        };
        let measuring = Measuring::begin(beginning, &|text| {
            output::advise(text);
            Ok(())
        })?;
        let blank = measuring.record().clone();
        let stored = sources.stored.as_ref();
        let decided = |_: &Plan, rounds: &[Round]| {
            let record = Record {
                rounds: rounds.to_vec(),
                completion: Completion::Complete,
                ..blank.clone()
            };
            report(&record, stored).is_ok_and(|report| report.is_decided())
        };
        let Measured {
            record,
            directory,
            failure,
        } = measuring.run(&mut Planned::new(&decided));
        let written = measuring::write(&record, directory);
        if let Some(failure) = failure {
            return Err(failure);
        }
        if record.completion == Completion::Interrupted {
            self.tell(&record, stored, None)?;
            return Err(Failure::new(
                Exit::Interrupted,
                "interrupted before the verdict; what was measured is kept",
            ));
        }
        let place = written?;
        if let Some(name) = &self.save_baseline {
            Baselines::of(&self.baselines).keep(name, &record)?;
        }
        self.tell(&record, stored, Some(&place))
    }

    /// Prints the verdict, and ends as it says.
    fn tell(
        &self,
        record: &Record,
        stored: Option<&Record>,
        place: Option<&Path>,
    ) -> Result<Exit, Failure> {
        let report = report(record, stored)?;
        for (format, file) in self.writes()? {
            write_whole(Path::new(file), rendered(&report, format)?)?;
        }
        match self.format.as_str() {
            name if name != TABLE => output::emit(&rendered(&report, name)?)?,
            _ => {
                let style = terminal::Style {
                    width: output::width(),
                    colour: output::stdout_has_colour(),
                };
                output::say(&terminal::gate(&report, style))?;
            }
        }
        if let Some(place) = place {
            output::advise(&format!(
                "Report: {}\nRecord: {}",
                place.join(PAGE).display(),
                place.join(RECORD).display()
            ));
        }
        Ok(self.exit(&report))
    }

    /// Formats and files to write.
    fn writes(&self) -> Result<Vec<(&str, &str)>, Failure> {
        let split = |write: &'_ String| -> Result<(), Failure> {
            match write.split_once('=') {
                Some((format, file))
                    if formats::gate::find(format).is_some() && !file.is_empty() =>
                {
                    Ok(())
                }
                _ => {
                    let names = GATE_FORMATS.iter().map(|format| format.name);
                    Err(
                        Failure::usage(format!("`--write {write}` is not of the form FORMAT=FILE"))
                            .hint(format!("formats: {}", names.collect::<Vec<_>>().join(", "))),
                    )
                }
            }
        };
        self.writes.iter().try_for_each(split)?;
        Ok(self
            .writes
            .iter()
            .filter_map(|write| write.split_once('='))
            .collect())
    }

    fn exit(&self, report: &GateReport) -> Exit {
        match (report.verdict, &report.advisory) {
            (GateVerdict::Wrong, _) => Exit::Wrong,
            (_, Some(_)) if self.strict => Exit::Unfit,
            (_, Some(_)) => Exit::Done,
            (GateVerdict::Pass, None) => Exit::Done,
            (GateVerdict::Regression, None) => Exit::Regression,
            (GateVerdict::Inconclusive | GateVerdict::Unfit, None) => Exit::Unfit,
        }
    }
}

fn write_whole(place: &Path, contents: Vec<u8>) -> Result<(), Failure> {
    let path = place.file_name().map(PathBuf::from).unwrap_or_default();
    let directory = place.parent().unwrap_or(Path::new(""));
    write_files(directory, &[RunFile { path, contents }])
}

fn report(record: &Record, stored: Option<&Record>) -> Result<GateReport, Failure> {
    let report = match stored {
        Some(base) => GateReport::against(base, record),
        None => GateReport::of(record),
    };
    report.map_err(|error| {
        Failure::usage(error.to_string())
            .hint("`photofinish gate RUN --baseline BASE` holds a plain run against another one")
    })
}

/// The metric that is gated where nothing is said: what results are ranked by.
fn usual_metric(plan: &Plan, scenario: &str) -> &'static str {
    let mut loads = plan.cells.iter().filter(|cell| cell.scenario == scenario);
    match loads.any(|cell| matches!(cell.load, Load::Open { .. })) {
        true => "response_p99",
        false => "throughput",
    }
}

fn same_metric(a: &str, b: &str) -> bool {
    let full = |name: &str| terms::find(name).map(|(metric, _)| metric.name.clone());
    a == b || full(a).is_some_and(|name| Some(name) == full(b))
}

fn percent(text: &str) -> Result<f64, Failure> {
    let number = text
        .trim()
        .strip_suffix('%')
        .and_then(|number| number.trim().parse::<f64>().ok());
    let share = number
        .map(|percent| percent / 100.0)
        .filter(|share| (0.0..1.0).contains(share));
    share.ok_or_else(|| {
        Failure::usage(format!("`--floor {text}` is no percentage")).hint("such as --floor 2%")
    })
}

fn servers(base: &str, head: &str) -> Result<Sources, Failure> {
    for (name, command) in [("--base-server", base), ("--head-server", head)] {
        if !command.contains(PORT) {
            return Err(Failure::usage(format!(
                "{name}: the command has no {PORT} where its port goes"
            ))
            .hint("such as './server --port {port}', or 'PORT={port} ./server'"));
        }
    }
    let source = |command: &str| ArmSource {
        kind: ArmKind::Server,
        what: command.to_owned(),
        identity: program_of(command).and_then(|program| fingerprint(&program)),
    };
    Ok(Sources {
        base: source(base),
        head: source(head),
        arms: Arms::Servers(Both {
            base: base.to_owned(),
            head: head.to_owned(),
        }),
        stored: None,
        _revision: None,
    })
}

fn executables(base: &Path, head: &Path) -> Result<Sources, Failure> {
    let whole = |path: &Path| {
        path.canonicalize().map_err(|error| {
            Failure::usage(format!("there is no executable {}", path.display())).caused_by(error)
        })
    };
    let source = |path: &Path| ArmSource {
        kind: ArmKind::Executable,
        what: path.display().to_string(),
        identity: fingerprint(path),
    };
    Ok(Sources {
        base: source(base),
        head: source(head),
        arms: Arms::Executables(Both {
            base: whole(base)?,
            head: whole(head)?,
        }),
        stored: None,
        _revision: None,
    })
}

fn stored_sources(record: &Record) -> (ArmSource, ArmSource) {
    let base = ArmSource {
        kind: ArmKind::Record,
        what: record.id.clone(),
        identity: Some(format!("measured {}", describe::time(&record.started_utc))),
    };
    let head = ArmSource {
        kind: ArmKind::Now,
        what: "measured now".to_owned(),
        identity: None,
    };
    (base, head)
}

/// The file that a command begins with, where it is one.
fn program_of(command: &str) -> Option<PathBuf> {
    let first = command
        .split_whitespace()
        .find(|word| *word != "exec" && !word.contains('='))?;
    let path = PathBuf::from(first.trim_matches(['\'', '"']));
    path.is_file().then_some(path)
}

/// What tells one build from another.
fn fingerprint(path: &Path) -> Option<String> {
    let digest = Sha256::digest(std::fs::read(path).ok()?);
    let hex: String = digest
        .iter()
        .take(6)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Some(format!("SHA-256 {hex}…"))
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Where an arm's server is met.
fn server_url(own: Option<&str>, target: &str) -> Result<String, Failure> {
    let url = match (own, target) {
        (Some(own), _) => own.to_owned(),
        (None, "http") => "http://127.0.0.1:{port}".to_owned(),
        (None, "ws") => "ws://127.0.0.1:{port}/".to_owned(),
        (None, "db") => "postgres://photofinish@127.0.0.1:{port}/photofinish".to_owned(),
        (None, other) => {
            return Err(
                Failure::usage(format!("it is not known how to reach `{other}`"))
                    .hint("say it with --server-url"),
            );
        }
    };
    match url.contains(PORT) && url.contains("127.0.0.1") {
        true => Ok(url),
        false => Err(
            Failure::usage("--server-url must lead to 127.0.0.1 and the port {port}")
                .hint("such as http://127.0.0.1:{port}/items"),
        ),
    }
}

/// A scenario whose workload is the user's own is known to their program only: that one then does the gate's work.
fn handed_over(arms: &Arms, failure: Failure) -> Failure {
    let Arms::Executables(both) = arms else {
        return failure;
    };
    let here = std::env::current_exe()
        .ok()
        .and_then(|path| path.canonicalize().ok());
    let same = here.as_deref() == Some(both.head.as_path());
    if same || std::env::var_os(HANDED_OVER).is_some() {
        return failure;
    }
    let error = Command::new(&both.head)
        .args(std::env::args_os().skip(1))
        .env(HANDED_OVER, "1")
        .exec();
    Failure::could_not_run(format!("{} cannot be started", both.head.display())).caused_by(error)
}
