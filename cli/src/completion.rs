//! Values that a shell completes: scenarios, runtimes, metrics, parameters, runs and baselines.
//!
//! The shell asks this program (`commands::completions` prints how), so the values are those of this version and of the
//! working directory. [`COMPLETERS`] says which option has which; clap completes commands, options and closed sets.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use clap::{Arg, Command};
use clap_complete::engine::{
    ArgValueCompleter, CompletionCandidate, PathCompleter, ValueCompleter,
};
use photofinish_harness::runtimes::DESCRIPTORS;
use photofinish_reports::gate::terms;
use photofinish_reports::thresholds;
use photofinish_scenarios::catalogue::{CatalogueEntry, catalogue};
use photofinish_scenarios::scenario::override_keys;

use crate::cleaning;
use crate::lanes::SHIPPED;
use crate::store::baselines::{Baselines, DIRECTORY};
use crate::store::past_runs;
use crate::targets;

/// Completes the beginning of a value.
type Completer = fn(&OsStr) -> Vec<CompletionCandidate>;

/// The completer of each argument, by its id.
const COMPLETERS: [(&str, Completer); 14] = [
    ("scenarios", scenarios),
    ("runtimes", |start| filtered(start, runtimes())),
    ("reference", |start| filtered(start, runtimes())),
    ("twin", |start| filtered(start, runtimes())),
    ("overrides", |start| filtered(start, parameters())),
    ("targets", |start| filtered(start, targets())),
    ("expect", |start| {
        filtered(start, thresholds::names(false).into_iter().map(plain))
    }),
    ("limits", |start| {
        filtered(
            start,
            terms::names().into_iter().map(|name| plain(name + "=")),
        )
    }),
    ("find_max", |start| filtered(start, objectives())),
    ("run", runs),
    ("runs", runs),
    ("base", runs),
    ("head", runs),
    ("baseline", runs),
];

/// The program with its completers.
pub fn with_values(program: Command) -> Command {
    program.mut_subcommands(|command| with_values(command.mut_args(with_value)))
}

fn with_value(arg: Arg) -> Arg {
    let completer = COMPLETERS.iter().find(|(id, _)| arg.get_id() == id);
    match completer {
        // A flag or a subcommand of this name has no value.
        Some((_, completer)) if arg.get_action().takes_values() => {
            arg.add(ArgValueCompleter::new(*completer))
        }
        _ => arg,
    }
}

/// Those that begin like the value typed so far.
fn filtered(
    start: &OsStr,
    candidates: impl IntoIterator<Item = CompletionCandidate>,
) -> Vec<CompletionCandidate> {
    let Some(start) = start.to_str() else {
        return Vec::new();
    };
    let begins = |it: &CompletionCandidate| it.get_value().to_string_lossy().starts_with(start);
    candidates.into_iter().filter(begins).collect()
}

fn plain(value: impl Into<String>) -> CompletionCandidate {
    CompletionCandidate::new(value.into())
}

/// A value with a help text, of which shells show one line.
fn described(value: impl Into<String>, help: &str) -> CompletionCandidate {
    let help = cleaning::one_line(help);
    plain(value).help(Some(help.into()))
}

/// The catalogue, the user's files, and, for a gate, past runs.
fn scenarios(start: &OsStr) -> Vec<CompletionCandidate> {
    let known = catalogue()
        .iter()
        .map(|entry| described(entry.name, &title(entry)));
    let mut found = filtered(start, known);
    let is_scenario = |path: &Path| path.extension().is_some_and(|ending| ending == "toml");
    found.extend(PathCompleter::any().filter(is_scenario).complete(start));
    if words().any(|word| word == "gate") {
        found.extend(runs(start));
    }
    found
}

fn title(entry: &CatalogueEntry) -> String {
    let table: Option<toml::Table> = entry.text.parse().ok();
    let title = table.and_then(|table| Some(table.get("title")?.as_str()?.to_owned()));
    title.unwrap_or_default()
}

fn runtimes() -> impl Iterator<Item = CompletionCandidate> {
    let own = DESCRIPTORS.iter();
    let own = own.map(|runtime| described(runtime.name, runtime.summary));
    let lanes = SHIPPED.iter();
    let lanes = lanes.map(|lane| described(lane.name, lane.summary));
    own.chain(lanes)
}

fn targets() -> impl Iterator<Item = CompletionCandidate> {
    targets::beginnings().map(|(value, help)| described(value, help))
}

/// Metrics with a percentile in the units of time.
fn objectives() -> impl Iterator<Item = CompletionCandidate> {
    let names = thresholds::names(false).into_iter();
    names
        .filter(|name| name.starts_with("response_p"))
        .map(plain)
}

/// Keys of a scenario, and the parameters of the scenarios on the command line, or of all.
fn parameters() -> impl Iterator<Item = CompletionCandidate> {
    let named: Vec<String> = words().filter_map(|word| workload(&word)).collect();
    let keys = override_keys(&named);
    keys.into_iter()
        .map(|(key, help)| described(key + "=", &help))
}

/// The workload of a scenario, from the catalogue or a file.
fn workload(scenario: &str) -> Option<String> {
    let shipped = catalogue().iter().find(|entry| entry.name == scenario);
    let own = || fs::read_to_string(scenario).ok();
    let text = match shipped {
        Some(entry) => entry.text.to_owned(),
        None => own().filter(|_| scenario.ends_with(".toml"))?,
    };
    let table: toml::Table = text.parse().ok()?;
    Some(table.get("workload")?.as_str()?.to_owned())
}

/// Past runs, newest first, `latest`, and the names of baselines; then paths.
fn runs(start: &OsStr) -> Vec<CompletionCandidate> {
    let parent = parent_of_runs();
    let ids = past_runs::ids(&parent).into_iter().rev().map(plain);
    let latest = parent.join("latest");
    let latest = latest.exists().then(|| latest.display().to_string());
    let baselines = Baselines::of(Path::new(DIRECTORY)).names();
    let baselines = baselines.unwrap_or_default().into_iter();
    let baselines = baselines.map(|name| described(name, "baseline"));
    let takes_names = words().any(|word| ["compare", "--baseline", "baseline"].contains(&&*word));
    let mut found = filtered(start, latest.into_iter().map(plain).chain(ids));
    found.extend(filtered(start, baselines.filter(|_| takes_names)));
    found.extend(PathCompleter::any().complete(start));
    found
}

/// The value of `--out` on the command line, or its default.
fn parent_of_runs() -> PathBuf {
    let words: Vec<String> = words().collect();
    let behind = words.windows(2).find(|pair| pair[0] == "--out");
    let joined = words.iter().find_map(|word| word.strip_prefix("--out="));
    let named = behind.map(|pair| pair[1].as_str()).or(joined);
    PathBuf::from(named.unwrap_or("photofinish-runs"))
}

/// The words of the command line that is being completed.
fn words() -> impl Iterator<Item = String> {
    let behind = env::args_os().skip_while(|word| word != "--").skip(1);
    behind.filter_map(|word| word.into_string().ok())
}
