//! `photofinish gate`: may the head take the place of the base? Measures both in turn, or recomputes from records.
//!
//! The order of things: where the arms come from (`arms::sources`), what is asked of them (`arms::terms`), whether that could
//! fail at all, then pairs until everything is decided. What is decided, and when, is `reports::gate`'s.

use std::num::NonZeroU32;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::{ArgGroup, Args};
use photofinish_record::{Completion, Plan, Record, Round};
use photofinish_reports::formats;
use photofinish_reports::gate::{GateReport, GateVerdict, terms};
use photofinish_reports::report::gate_is_decided;
use photofinish_reports::rule::LOOKS;
use photofinish_reports::terminal;
use photofinish_scenarios::plan::with_arms;
use photofinish_scenarios::scenario::GateSpec;

use crate::arms::Arms;
use crate::arms::sources::{ArmArguments, Sources, stored_sources};
use crate::arms::terms::TermArguments;
use crate::exit::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::output;
use crate::request::{Beyond, Prepared, Request};
use crate::run::course::Planned;
use crate::run::measuring::{self, Beginning, Measured, Measuring};
use crate::store::artifacts::PAGE;
use crate::store::run_directory::{self, RECORD, RunFile, write_files};

/// The runtime of a gate where nobody names one: what is gated is mostly a server, and its client should stay the same.
const RUNTIME: &str = "tokio";

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

    #[command(flatten)]
    arms: ArmArguments,

    #[command(flatten)]
    asked: TermArguments,

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
    let others =
        formats::of_gates().map(|format| PossibleValue::new(format.name).help(format.summary));
    PossibleValuesParser::new([table].into_iter().chain(others))
}

/// The format for people.
const TABLE: &str = "table";

/// The verdict in a format of `reports`.
fn rendered(report: &GateReport, name: &str) -> Result<Vec<u8>, Failure> {
    let file = formats::export_gate(name, report).map_err(|error| {
        Failure::could_not_run(format!("cannot write the verdict as {name}")).caused_by(error)
    })?;
    Ok(file.bytes)
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
        self.arms.check()?;
        let mut prepared = match self.prepare() {
            Ok(prepared) => prepared,
            Err(failure) => return Err(self.handed_over(failure)),
        };
        if let Some(why) = terms::toothless(&prepared.plan) {
            return Err(
                Failure::new(Exit::Unfit, format!("this gate could never fail: {why}"))
                    .hint("what is asked is in the scenario's [gate] table and in --limit"),
            );
        }
        // Building comes last: what is wrong with the scenario must not cost minutes of compiling.
        let sources = self.arms.sources()?;
        name_arms(&mut prepared, &sources);
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
        if names.len() > 1 || self.arms.are_live() {
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
        let stored = self.arms.stored()?;
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
        let asked = record.plan.gate.take().filter(|_| self.asked.is_empty());
        let mut gated = self
            .asked
            .gated(&gates, &record.plan, stored_sources(Some(base)))?;
        if let Some(asked) = asked {
            gated.terms = asked.terms;
            gated.tolerance = asked.tolerance;
            gated.content_may_differ |= asked.content_may_differ;
        }
        record.plan.gate = Some(gated);
        if record.plan.looks.is_empty() {
            // It was measured to its end, and is looked at once.
            record.plan.looks = vec![u32::try_from(record.plan.blocks.len()).unwrap_or(u32::MAX)];
        }
        Ok(())
    }

    /// The plan with what is asked of the arms; what they are is not known before they are built.
    fn prepare(&self) -> Result<Prepared, Failure> {
        let beyond = Beyond {
            runtimes: vec![RUNTIME.to_owned()],
            looks: self.looks(),
            server_url: if self.arms.are_servers() {
                Some(Box::new(self.arms.server_url()))
            } else {
                None
            },
        };
        let mut prepared = self.request.prepare_with(&beyond)?;
        let gates = &prepared.gates;
        let gated = self
            .asked
            .gated(gates, &prepared.plan, stored_sources(None))?;
        if self.arms.are_live() {
            prepared.plan = with_arms(prepared.plan, gated, prepared.seed);
        } else {
            prepared.plan.gate = Some(gated);
        }
        Ok(prepared)
    }

    /// A scenario whose workload is the user's own is known to their program only: that one then does the gate's work.
    fn handed_over(&self, failure: Failure) -> Failure {
        // Nothing else that is wrong is worth a build.
        let may_be_known =
            !self.arms.are_built() || failure.to_string().contains("unknown workload");
        let asked_already = std::env::var_os(HANDED_OVER).is_some();
        if asked_already || !self.arms.are_executables() || !may_be_known {
            return failure;
        }
        let head = match self.arms.sources() {
            Ok(Sources {
                arms: Arms::Executables(programs),
                ..
            }) => programs.head,
            Ok(_) => return failure,
            Err(unbuilt) => return unbuilt,
        };
        let here = std::env::current_exe().and_then(|path| path.canonicalize());
        if here.is_ok_and(|here| here == head) {
            return failure;
        }
        let error = Command::new(&head)
            .args(std::env::args_os().skip(1))
            .env(HANDED_OVER, "1")
            .exec();
        Failure::could_not_run(format!("{} cannot be started", head.display())).caused_by(error)
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
        let stored = sources.stored.as_ref();
        let decided = |plan: &Plan, rounds: &[Round]| gate_is_decided(plan, rounds, stored);
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
            self.arms.keep(name, &record)?;
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
                output::say(&terminal::gate(&report, output::style()))?;
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
                    if formats::of_gates().any(|known| known.name == format)
                        && !file.is_empty() =>
                {
                    Ok(())
                }
                _ => {
                    let names = formats::of_gates().map(|format| format.name);
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

/// Enters what the arms are, once that is known.
fn name_arms(prepared: &mut Prepared, sources: &Sources) {
    let Sources { base, head, .. } = sources;
    if let Some(gate) = &mut prepared.plan.gate {
        gate.base = base.clone();
        gate.head = head.clone();
    }
    let warning = if base.what == head.what {
        "base and head are the same command: a test of the gate itself"
    } else if sources.same_program {
        "base and head are the same program, byte for byte: what differs between them is noise"
    } else {
        return;
    };
    prepared.warnings.push(warning.to_owned());
}
