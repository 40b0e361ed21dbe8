//! `photofinish gate`: the verdict on whether a head may replace its base, measured in turn or recomputed from records.
//!
//! The order of steps: plan, sources of the arms (`arms::sources`), terms (`arms::terms`), a check that the terms can
//! fail at all, then pairs until `reports::gate` finds everything decided.

use std::num::NonZeroU32;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;

use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::{ArgGroup, Args};
use photofinish_record::{Completion, Record};
use photofinish_reports::formats;
use photofinish_reports::gate::{GateReport, GateVerdict, terms};
use photofinish_reports::report::{Report, arms_disagree, gate_is_decided, unmatched_cell};
use photofinish_reports::rule::LOOKS;
use photofinish_reports::terminal;
use photofinish_scenarios::plan::in_pairs;
use photofinish_scenarios::scenario::GateSpec;

use crate::arms::sources::{ArmArguments, Sources, recorded, stored_sources};
use crate::arms::terms::TermArguments;
use crate::exit::{Exit, Failure, OrFail};
use crate::interrupt::Interrupt;
use crate::output;
use crate::request::{Additions, OwnServer, PreparedRun, Request, parse_positive};
use crate::run::course::PlannedCourse;
use crate::run::measuring::{self, FinishedRun, ReadyRun};
use crate::store::artifacts::PAGE;
use crate::store::files::write_user_file;
use crate::store::outputs::Outputs;
use crate::store::run_directory::{self, RECORD};

/// The default runtime: a gate is mostly about a server, and its client should stay the same.
const RUNTIME: &str = "tokio";

/// Environment variable set for the program that a gate hands over to, so that it does not hand over again.
const HANDED_OVER: &str = "PHOTOFINISH_GATE_HANDED_OVER";

/// `photofinish gate -h`, for a screen of 24 lines.
pub const BRIEF: &str = "\
Decide whether a new build is slower than an old one, with an exit code for CI

Usage: photofinish gate [SCENARIO|FILE.toml] [ARMS] [OPTIONS]
       photofinish gate RUN

Arms      --base-server CMD --head-server CMD   commands, {port} for the port
          --base-rev REV --server CMD           another revision of this project
          --base-exe PATH --head-exe PATH       builds with your own workloads
          --baseline NAME                       a stored record
What      --runtimes A,B      of the client [default: tokio]
          --concurrency N,N, --rate R,R, --set KEY=VALUE, --target NAME=URL
Limits    --limit METRIC=TEXT such as throughput=5% [default: 10%]
          --tolerance PERCENT slowdown that does not matter [default: 2%]
          --max-pairs N       instead of 40
Output    --write FORMAT=FILE such as junit=gate.xml
          --save-baseline NAME, --out DIR, --format FORMAT

Exit codes: 0 pass, 3 regression, 4 inconclusive or unfit machine, 5 wrong
results. `photofinish gate --help` shows every option, with examples.
";

/// Decide whether a new build is slower than an old one, with an exit code for CI
///
/// Both arms are measured now, in pairs of fresh processes in balanced random order, and the results are checked after
/// 10, 16, 24 and 40 pairs. A metric fails if it is slower by more than the tolerance (2 %) with confidence, and passes
/// if a slowdown as large as the limit (10 %) is ruled out. Exit codes: 0 pass, 3 regression, 4 inconclusive or unfit
/// machine, 5 measured but wrong.
///
/// Given a run directory instead of a scenario, the gate recomputes the verdict from its raw rounds.
#[derive(Args)]
#[command(
    group = ArgGroup::new("arms").args(["base_server", "base_exe", "base_rev", "baseline"]),
    mut_arg("runtimes", |arg| arg.help("Runtimes under which to compare the arms [default: the scenario's, or tokio]")),
    mut_arg("rounds", |arg| arg.hide(true)),
    mut_arg("until_decided", |arg| arg.hide(true)),
    mut_arg("max_rounds", |arg| arg.hide(true)),
    mut_arg("find_max", |arg| arg.hide(true)),
    mut_arg("reference", |arg| arg.hide(true)),
    mut_arg("twin", |arg| arg.hide(true)),
    mut_arg("expect", |arg| arg.hide(true)),
    mut_arg("fail_fast", |arg| arg.hide(true)),
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
    terms: TermArguments,

    /// Exit with 4 if the verdict is only advice
    #[arg(long, help_heading = "What must hold")]
    strict: bool,

    /// Maximum number of pairs; results are checked after 10, 16, 24 and 40 pairs and after this many
    #[arg(
        long,
        value_name = "N",
        value_parser = parse_positive::<NonZeroU32>,
        allow_hyphen_values = true,
        help_heading = "How long"
    )]
    max_pairs: Option<NonZeroU32>,

    /// Save the record as a baseline with this name
    #[arg(long, value_name = "NAME", help_heading = "Output")]
    save_baseline: Option<String>,

    /// Parent of the run directories
    #[arg(
        long,
        value_name = "DIR",
        default_value = "photofinish-runs",
        help_heading = "Output"
    )]
    out: PathBuf,

    /// Write the verdict in another format as well, such as junit=gate.xml; repeatable
    #[arg(long = "write", value_name = "FORMAT=FILE", help_heading = "Output")]
    writes: Vec<String>,

    /// Output format
    #[arg(long, value_parser = formats(), default_value = "table", help_heading = "Output")]
    format: String,
}

fn formats() -> PossibleValuesParser {
    let table = PossibleValue::new(TABLE).help("Human-readable tables");
    let others =
        formats::of_gates().map(|format| PossibleValue::new(format.name).help(format.summary));
    PossibleValuesParser::new([table].into_iter().chain(others))
}

/// The human-readable format.
const TABLE: &str = "table";

fn rendered(report: &GateReport, name: &str) -> Result<Vec<u8>, Failure> {
    let file = formats::export_gate(name, report)
        .or_fail(format!("cannot write the verdict as {name}"))?;
    Ok(file.bytes)
}

impl Gate {
    pub fn execute(self) -> Result<Exit, Failure> {
        if let Some(name) = self.request.option_unfit_for_a_gate() {
            return Err(Failure::usage(format!("{name} is not for a gate")).hint(
                "a gate measures pairs of base and head, with planned looks; --max-pairs bounds it, and --limit sets its limits",
            ));
        }
        // Wrong arguments must be reported before minutes of building and measuring.
        let run = self.offline()?;
        self.check_outputs(run.as_deref())?;
        if let Some(run) = run {
            return self.recompute(&run);
        }
        self.arms.check()?;
        let interrupt = Interrupt::on_signals()?;
        let gated = self.gate(&interrupt);
        match gated {
            // Tools that receive the same signal fail with messages of their own.
            Err(failure) if interrupt.requested() && failure.exit() == Exit::CouldNotRun => {
                Err(Failure::new(Exit::Interrupted, "interrupted").caused_by(failure.in_one_line()))
            }
            gated => gated,
        }
    }

    /// Checks the files to be written.
    fn check_outputs(&self, run: Option<&Path>) -> Result<(), Failure> {
        let mut outputs = Outputs::default();
        if let Some(name) = &self.save_baseline {
            outputs.write("--save-baseline", &self.arms.path_of(name)?)?;
        }
        // A baseline may replace the one it was compared with; nothing else may.
        let scenarios = self.request.names().iter().map(PathBuf::from);
        let read = scenarios.chain(self.arms.stored_path());
        for path in read
            .filter(|path| path.is_file())
            .chain(run.map(Path::to_owned))
        {
            outputs.keep(&path);
        }
        for (format, file) in self.writes()? {
            outputs.write(&format!("--write {format}={file}"), Path::new(file))?;
        }
        Ok(())
    }

    fn gate(&self, interrupt: &Interrupt) -> Result<Exit, Failure> {
        let mut prepared = match self.prepare() {
            Ok(prepared) => prepared,
            Err(failure) => return Err(self.hand_over(failure, interrupt)),
        };
        if let Some(reason) = terms::toothless(&prepared.plan) {
            return Err(
                Failure::new(Exit::Unfit, format!("this gate could never fail: {reason}"))
                    .hint("its terms are in the scenario's [gate] table and in --limit"),
            );
        }
        if let Some(base) = self.arms.stored()?
            && let Some(reason) = unmatched_cell(&prepared.plan, &base)
        {
            output::advise(&format!(
                "warning: this gate can fail but not pass, since the baseline has other cells: {reason}; gate the same \
                 ones with --runtimes and --concurrency or --rate (`photofinish baseline show NAME` lists them)"
            ));
        }
        // Errors in the scenario must be reported before minutes of compiling, so building comes last.
        let sources = self.arms.sources(interrupt)?;
        enter_arms(&mut prepared, &sources);
        self.measure(&sources, prepared, interrupt)
    }

    /// The run whose verdict is to be recomputed, if one was named.
    fn offline(&self) -> Result<Option<PathBuf>, Failure> {
        let is_record = |name: &&String| {
            let path = Path::new(name.as_str());
            let ending = path.extension().unwrap_or_default();
            // No scenario is called like that, so it is a run even if there is none.
            let below_a_directory = path.components().count() > 1 && ending != "toml";
            path.join(RECORD).exists() || ending == "json" || below_a_directory
        };
        let names = self.request.names();
        let Some(run) = names.iter().find(is_record) else {
            return Ok(None);
        };
        if names.len() > 1 || self.arms.are_live() {
            return Err(Failure::usage(format!(
                "{run} is a finished run; it cannot be combined with scenarios or arms"
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

    /// Applies the terms of this gate to a record, replacing any that it had before.
    fn regate(&self, record: &mut Record, base: &Record) -> Result<(), Failure> {
        let scenarios = record.plan.scenarios.iter();
        let specs: Vec<_> = scenarios
            .map(|scenario| (scenario.name.clone(), GateSpec::default()))
            .collect();
        let own = record.plan.gate.take().filter(|_| self.terms.is_empty());
        let [base, _] = stored_sources(Some(base));
        let arms = [base, recorded(record)];
        let mut gate = self.terms.gate(&specs, &record.plan, arms)?;
        if let Some(own) = own {
            gate.terms = own.terms;
            gate.tolerance = own.tolerance;
            gate.content_may_differ |= own.content_may_differ;
        }
        record.plan.gate = Some(gate);
        if record.plan.looks.is_empty() {
            // It was measured to its end, which is one look.
            record.plan.looks = vec![u32::try_from(record.plan.blocks.len()).unwrap_or(u32::MAX)];
        }
        Ok(())
    }

    /// The plan with its terms; its arms are not known before they are built.
    fn prepare(&self) -> Result<PreparedRun, Failure> {
        let mut prepared = self.request.prepare_with(&Additions {
            runtimes: vec![RUNTIME.to_owned()],
            looks: self.looks(),
            own_server: self
                .arms
                .server_url()
                .map(|url| OwnServer { url, ready: None }),
            is_gate: true,
        })?;
        let gate = self
            .terms
            .gate(&prepared.gates, &prepared.plan, stored_sources(None))?;
        prepared.plan.gate = Some(gate);
        Ok(prepared)
    }

    /// Replaces this process with the head, if it is another program: its scenario may use a workload that only the
    /// head knows. Returns a failure if that is not possible.
    fn hand_over(&self, failure: Failure, interrupt: &Interrupt) -> Failure {
        // For any other error a build would be wasted.
        let may_be_known =
            !self.arms.are_built() || failure.to_string().contains("unknown workload");
        let handed_over = std::env::var_os(HANDED_OVER).is_some();
        if handed_over || !self.arms.are_executables() || !may_be_known {
            return failure;
        }
        let program = match self.arms.head_program(interrupt) {
            Ok(program) => program,
            Err(not_built) => return not_built,
        };
        let this = std::env::current_exe().and_then(|path| path.canonicalize());
        let Some(program) = program.filter(|program| !this.is_ok_and(|this| this == *program))
        else {
            return failure;
        };
        let error = Command::new(&program)
            .args(std::env::args_os().skip(1))
            .env(HANDED_OVER, "1")
            .exec();
        Failure::could_not_run(format!("{} cannot be started", program.display())).caused_by(error)
    }

    fn looks(&self) -> Vec<NonZeroU32> {
        let planned = LOOKS.into_iter().filter_map(NonZeroU32::new);
        match self.max_pairs {
            None => planned.collect(),
            Some(most) => planned.filter(|look| *look < most).chain([most]).collect(),
        }
    }

    fn measure(
        &self,
        sources: &Sources,
        prepared: PreparedRun,
        interrupt: &Interrupt,
    ) -> Result<Exit, Failure> {
        let run = ReadyRun::begin(prepared, &self.out, interrupt, &|text| {
            output::advise(text);
            Ok(())
        })?;
        let stored = sources.stored.as_ref();
        let decided = |record: &Record| gate_is_decided(&record.plan, &record.rounds, stored);
        let programs = Rc::clone(&run.programs);
        let not_run = || sources.not_run(&programs.borrow());
        let pointless = |record: &Record| {
            arms_disagree(&record.plan, &record.rounds, stored) || not_run().is_some()
        };
        let mut course = PlannedCourse::new(&decided);
        course.pointless = Some(&pointless);
        let FinishedRun {
            mut record,
            directory,
            mut failure,
            ..
        } = run.run(&mut course);
        if failure.is_none()
            && let Some(unproven) = sources.replaced().or_else(not_run)
        {
            let reason = unproven.in_one_line();
            record.completion = Completion::Failed { reason };
            failure = Some(unproven);
        }
        let alike = sources.alike(&programs.borrow());
        record.warnings.extend(alike);
        let written = measuring::write(&Report::of(&record), directory);
        // A failure that says nothing about the arms comes without a verdict.
        if let Some(failure) = failure.take_if(|failure| failure.exit() != Exit::Unfit) {
            say_where(&written);
            return Err(failure);
        }
        let exit = self.tell(&record, stored, Some(written))?;
        match record.completion {
            _ if failure.is_some() => failure.map_or(Ok(exit), Err),
            Completion::Interrupted => Err(Failure::new(
                Exit::Interrupted,
                "interrupted before the verdict; results so far are kept",
            )),
            _ => Ok(exit),
        }
    }

    /// Prints the verdict, then saves everything. Returns the verdict's exit code: even if a file cannot be written,
    /// the user must learn of a regression. `written` is the directory of a run measured by this gate.
    fn tell(
        &self,
        record: &Record,
        stored: Option<&Record>,
        written: Option<Result<PathBuf, Failure>>,
    ) -> Result<Exit, Failure> {
        let report = report(record, stored)?;
        if self.format == TABLE {
            output::say(&terminal::gate(&report, output::style()))?;
        } else {
            output::emit(&rendered(&report, &self.format)?)?;
        }
        if let Some(written) = &written {
            say_where(written);
        }
        let mut failures = Vec::new();
        let kept = |name: &String| self.arms.keep(name, record).err();
        let is_whole = written.is_some() && record.completion == Completion::Complete;
        let baseline = self
            .save_baseline
            .as_ref()
            .filter(|_| is_whole)
            .and_then(kept);
        failures.extend(baseline.map(|failure| failure.to_string()));
        for (format, file) in self.writes()? {
            let written =
                rendered(&report, format).and_then(|text| write_user_file(Path::new(file), &text));
            let hint = "choose a writable place: --write FORMAT=FILE";
            failures.extend(written.err().map(|failure| failure.hint(hint).to_string()));
        }
        for failure in failures {
            output::advise(&failure);
        }
        Ok(self.exit(&report))
    }

    /// Formats and files to write.
    fn writes(&self) -> Result<Vec<(&str, &str)>, Failure> {
        self.writes.iter().map(|write| split_write(write)).collect()
    }

    fn exit(&self, report: &GateReport) -> Exit {
        match (report.verdict, &report.advisory) {
            (GateVerdict::Wrong, _) => Exit::Wrong,
            (_, Some(_)) if self.strict => Exit::Unfit,
            (_, Some(_)) => Exit::Done,
            (GateVerdict::Pass, None) => Exit::Done,
            (GateVerdict::Regression, None) => Exit::Missed,
            (GateVerdict::Inconclusive | GateVerdict::Unfit, None) => Exit::Unfit,
        }
    }
}

/// Says where the run was written, or why it was not.
fn say_where(written: &Result<PathBuf, Failure>) {
    match written {
        Ok(_) if output::is_quiet() => {}
        Ok(path) => output::advise(&format!(
            "Report: {}\nRecord: {}",
            path.join(PAGE).display(),
            path.join(RECORD).display()
        )),
        Err(failure) => output::advise(&failure.to_string()),
    }
}

fn split_write(write: &str) -> Result<(&str, &str), Failure> {
    let is_known = |format: &str| formats::of_gates().any(|known| known.name == format);
    match write.split_once('=') {
        Some((format, "-")) if is_known(format) => Err(Failure::usage(format!(
            "--write {write}: expected a file, got stdout"
        ))
        .hint(format!(
            "--format {format} prints it; a file of that name is --write {format}=./-"
        ))),
        Some((format, file)) if !file.is_empty() && is_known(format) => Ok((format, file)),
        _ => {
            let names = formats::of_gates().map(|format| format.name);
            Err(
                Failure::usage(format!("`--write {write}` is not of the form FORMAT=FILE"))
                    .hint(format!("formats: {}", names.collect::<Vec<_>>().join(", "))),
            )
        }
    }
}

fn report(record: &Record, stored: Option<&Record>) -> Result<GateReport, Failure> {
    let report = match stored {
        Some(base) => GateReport::against(base, record),
        None => GateReport::of(record),
    };
    report.map_err(|error| {
        Failure::usage(error.to_string())
            .hint("`photofinish gate RUN --baseline BASE` compares a plain run with another one")
    })
}

/// Puts the arms into the plan, once they are known.
fn enter_arms(prepared: &mut PreparedRun, sources: &Sources) {
    let Sources { base, head, .. } = sources;
    if let Some(gate) = &mut prepared.plan.gate {
        gate.base = base.source.clone();
        gate.head = head.source.clone();
    }
    if sources.stored.is_none() {
        let plan = prepared.plan.clone();
        let (base, head) = (Some(&base.variant), Some(&head.variant));
        prepared.plan = in_pairs(plan, base, head, prepared.seed);
    }
    prepared.warnings.extend(sources.warning.map(str::to_owned));
}
