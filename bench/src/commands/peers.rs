//! `peers`: measures the selected comparisons one after the other. Each is printed, and the files are rewritten, as soon as
//! it is complete.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::select;
use crate::arguments::Peers;
use crate::blocks::Bench;
use crate::comparisons::{self, Comparison};
use crate::cpus::Cpus;
use crate::failure::{Failure, OrFail as _};
use crate::interrupt::Interrupt;
use crate::output;
use crate::photofinish;
use crate::render::{self, Conditions};
use crate::results::Results;
use crate::rivals::Rival;
use crate::servers::{Servers, Settings};

/// Load average from which on other processes disturb the measurement.
const BUSY: f64 = 0.5;

pub(super) fn execute(peers: &Peers) -> Result<(), Failure> {
    let selected = select(&peers.selection)?;
    let interrupt = Interrupt::on_signals()?;
    let cpus = Cpus::choose()?;
    let load_average = load_average();
    warn(&selected, load_average);
    let program = program(peers)?;
    let has_runtime = |name: &str| photofinish::has_runtime(&program, name);
    let has_rival = |rival: &Rival| rival.program.find().is_ok();
    let comparisons: Vec<Comparison> = selected
        .into_iter()
        .map(|comparison| comparison.available(&has_runtime, &has_rival))
        .filter(|comparison| !comparison.contestants.is_empty())
        .collect();
    let conditions = conditions(peers, cpus, &program, load_average, &comparisons);
    let scratch = scratch_directory()?;
    let settings = Settings {
        program: program.clone(),
        directory: scratch.path().to_owned(),
        cpu: cpus.server,
    };
    let bench = Bench {
        program,
        cpus,
        blocks: peers.blocks,
        seconds: peers.seconds,
        seed: peers.seed,
        interrupt,
        servers: Servers::new(settings),
    };
    measure_all(bench, &comparisons, peers, &conditions)
}

/// Says what is missing, and what disturbs.
fn warn(comparisons: &[Comparison], load_average: Option<f64>) {
    if let Some(missing) = render::missing(&comparisons::missing_programs(comparisons)) {
        output::complain(&missing);
    }
    if let Some(load) = load_average.filter(|load| *load > BUSY) {
        output::complain(&format!(
            "warning: load average {load}: other processes take time from some runs"
        ));
    }
}

fn measure_all(
    mut bench: Bench,
    comparisons: &[Comparison],
    peers: &Peers,
    conditions: &Conditions,
) -> Result<(), Failure> {
    let mut results: Vec<Results> = Vec::new();
    // A file that cannot be written is found out before anything is measured.
    write_files(peers, conditions, &results)?;
    for (number, comparison) in (1..).zip(comparisons) {
        output::complain(&format!(
            "[{number}/{}] {}",
            comparisons.len(),
            comparison.id
        ));
        let measured = Results::new(comparison, bench.measure(comparison)?);
        output::say(&render::text(&measured));
        results.push(measured);
        write_files(peers, conditions, &results)?;
    }
    if results.iter().all(|results| results.reference.is_none()) {
        return Err(Failure::new("nothing was measured").hint("the tables above say why"));
    }
    Ok(())
}

fn write_files(peers: &Peers, conditions: &Conditions, results: &[Results]) -> Result<(), Failure> {
    let write = |path: &Option<PathBuf>, text: String| match path {
        Some(path) => fs::write(path, text).or_fail(&format!("write {}", path.display())),
        None => Ok(()),
    };
    write(&peers.json, render::json(conditions, results))?;
    write(&peers.markdown, render::markdown(conditions, results))
}

fn conditions(
    peers: &Peers,
    cpus: Cpus,
    program: &Path,
    load_average: Option<f64>,
    comparisons: &[Comparison],
) -> Conditions {
    let programs = comparisons::programs(comparisons);
    let versions = programs
        .into_iter()
        .filter_map(|program| Some((program.name, program.version_text()?)));
    Conditions {
        photofinish: version_of(program),
        blocks: peers.blocks,
        seconds: peers.seconds,
        seed: peers.seed,
        cpus,
        cpu_model: cpu_model(),
        kernel: fs::read_to_string("/proc/sys/kernel/osrelease")
            .map(|text| text.trim().to_owned())
            .ok(),
        load_average,
        versions: versions.collect(),
    }
}

/// The photofinish to measure: the named one, or one that is built now.
fn program(peers: &Peers) -> Result<PathBuf, Failure> {
    if let Some(program) = &peers.program {
        return fs::canonicalize(program).or_fail(&format!("find {}", program.display()));
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("a workspace");
    output::complain("building photofinish");
    let mut cargo = Command::new("cargo");
    cargo
        .args(["build", "--release", "--quiet", "-p", "photofinish"])
        .current_dir(root);
    if !cargo.status().or_fail("run cargo")?.success() {
        return Err(Failure::new("cargo cannot build photofinish")
            .hint("name one that is built with --program"));
    }
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    fs::canonicalize(root.join(target).join("release/photofinish"))
        .or_fail("find the photofinish that was built")
}

fn version_of(program: &Path) -> Option<String> {
    let output = Command::new(program).arg("--version").output().ok()?;
    crate::text::first_line(&String::from_utf8_lossy(&output.stdout))
}

/// A temporary directory that servers of other users can enter.
fn scratch_directory() -> Result<tempfile::TempDir, Failure> {
    let directory = tempfile::Builder::new()
        .prefix("photofinish-bench-")
        .tempdir();
    let directory = directory.or_fail("make a temporary directory")?;
    let readable = fs::Permissions::from_mode(0o755);
    fs::set_permissions(directory.path(), readable)
        .or_fail("open a temporary directory to servers")?;
    Ok(directory)
}

/// Load average of the last minute.
fn load_average() -> Option<f64> {
    let text = fs::read_to_string("/proc/loadavg").ok()?;
    text.split_whitespace().next()?.parse().ok()
}

fn cpu_model() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
