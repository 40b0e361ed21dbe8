//! Defaults of options: from `photofinish.toml` and the environment, below the command line.
//!
//! `keys` lists the options that may have a default, `file` reads the configuration file, `environment` the variables.
//! A default becomes an argument, as if it had been typed right behind the command, so it is checked and documented in
//! one place: the definition of its option. An option on the command line replaces it.

mod environment;
mod file;
mod keys;
mod schema;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::OnceLock;

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Args, Command};
use photofinish_record::DefaultOption;

use crate::config::keys::{KEYS, Key, Kind};
use crate::exit::Failure;
use crate::store::redaction;

pub use environment::VARIABLES;
pub use schema::schema;

/// The configuration file, the same options for every command.
#[derive(Args)]
#[command(next_help_heading = "Configuration")]
pub struct ConfigArguments {
    /// Read default options from this file [default: the nearest photofinish.toml, up to the root of the repository]
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        hide_short_help = true,
        conflicts_with = "no_config"
    )]
    config: Option<PathBuf>,

    /// Take no defaults from a file
    #[arg(long, global = true, hide_short_help = true)]
    no_config: bool,
}

/// Commands that work without any default, so that a broken file cannot keep them from helping to mend it.
const WITHOUT_DEFAULTS: [&str; 5] = ["completions", "init", "man", "schema", "help"];

/// A default for an option of the command.
struct Candidate {
    key: &'static Key,
    /// The name in a table: `http` in `target = { http = "…" }`.
    part: Option<String>,
    /// As it would be typed.
    option: String,
    source: String,
}

/// Set once, from the command line.
static IN_EFFECT: OnceLock<Vec<DefaultOption>> = OnceLock::new();

/// The defaults of this process, without secrets.
pub fn in_effect() -> &'static [DefaultOption] {
    IN_EFFECT.get().map_or(&[], Vec::as_slice)
}

/// The arguments with the defaults of the environment and of the configuration file put in.
pub fn with_defaults(
    program: &Command,
    matches: &ArgMatches,
    mut arguments: Vec<OsString>,
) -> Result<Vec<OsString>, Failure> {
    let mut program = program.clone();
    program.build();
    let Some((name, given)) = matches.subcommand() else {
        return Ok(arguments);
    };
    let Some(command) = program.find_subcommand(name) else {
        return Ok(arguments);
    };
    if command.is_hide_set() || WITHOUT_DEFAULTS.contains(&name) {
        return Ok(arguments);
    }
    let layers = [
        environment::defaults(&program, name)?,
        file::defaults(&program, name, given)?,
    ];
    let mut taken = Taken::of(command, given);
    let mut all = Vec::new();
    for layer in layers {
        let fitting: Vec<_> = layer.into_iter().filter(|it| taken.leaves(it)).collect();
        taken.add(&fitting);
        all.extend(fitting);
    }
    all.retain(|it| taken.satisfies(it));
    let at = position_behind(&program, name, &arguments);
    let options = all.iter().map(|it| OsString::from(&it.option));
    arguments.splice(at..at, options);
    // Fails only if it is already set.
    let _ = IN_EFFECT.set(all.into_iter().map(recorded).collect());
    Ok(arguments)
}

fn recorded(candidate: Candidate) -> DefaultOption {
    let option = redaction::command_line([candidate.option].into_iter());
    DefaultOption {
        option: option.concat(),
        source: candidate.source,
    }
}

/// The index behind the name of the subcommand, which only options of the program may precede.
fn position_behind(program: &Command, name: &str, arguments: &[OsString]) -> usize {
    let takes_value = |option: &str| {
        let mut options = program.get_arguments();
        let option = options.find(|arg| arg.get_long().is_some_and(|long| long == option));
        option.is_some_and(|arg| arg.get_action().takes_values())
    };
    let mut at = 1;
    while let Some(argument) = arguments.get(at).and_then(|it| it.to_str()) {
        at += match argument.strip_prefix("--") {
            None if argument == name => return at + 1,
            Some(option) if takes_value(option) => 2,
            _ => 1,
        };
    }
    arguments.len()
}

/// The options that are given already, by the command line or a higher layer.
struct Taken<'a> {
    command: &'a Command,
    options: BTreeSet<&'a str>,
    /// Names in tables.
    parts: BTreeSet<(&'static str, String)>,
}

impl<'a> Taken<'a> {
    fn of(command: &'a Command, given: &ArgMatches) -> Self {
        let is_given = |arg: &&Arg| {
            // Asking for an unknown id is a bug that clap punishes; those of subcommands' subcommands are unknown.
            let id = arg.get_id().as_str();
            let known = given.try_contains_id(id).is_ok();
            known && given.value_source(id) == Some(ValueSource::CommandLine)
        };
        let arguments = command.get_arguments().filter(is_given);
        let options: BTreeSet<&str> = arguments.filter_map(Arg::get_long).collect();
        let mut parts = BTreeSet::new();
        for key in KEYS.iter().filter(|key| options.contains(key.name)) {
            let Some(arg) = option(command, key.name).filter(|_| key.kind.has_parts()) else {
                continue;
            };
            let values = given.get_many::<String>(arg.get_id().as_str());
            let names = values.into_iter().flatten();
            let names = names.filter_map(|value| value.split_once('='));
            parts.extend(names.map(|(part, _)| (key.name, part.trim().to_owned())));
        }
        Self {
            command,
            options,
            parts,
        }
    }

    /// True if no option above replaces or excludes the candidate.
    fn leaves(&self, candidate: &Candidate) -> bool {
        let key = candidate.key;
        let replaced = match &candidate.part {
            Some(part) => self.parts.contains(&(key.name, part.clone())),
            None => self.options.contains(key.name),
        };
        let yields = key.yields_to.iter().any(|it| self.options.contains(it));
        !replaced && !yields && !self.excludes(key.name)
    }

    /// True if an option above cannot be used together with this one.
    fn excludes(&self, name: &str) -> bool {
        let Some(own) = option(self.command, name) else {
            return false;
        };
        let conflict = |one: &Arg, other: &Arg| {
            let conflicts = self.command.get_arg_conflicts_with(one);
            conflicts.iter().any(|arg| arg.get_id() == other.get_id())
        };
        let mut others = self.options.iter();
        others.any(|other| {
            let other = option(self.command, other).filter(|_| *other != name);
            other.is_some_and(|other| conflict(own, other) || conflict(other, own))
        })
    }

    fn add(&mut self, candidates: &[Candidate]) {
        for candidate in candidates {
            self.options.insert(candidate.key.name);
            let part = candidate.part.clone();
            self.parts
                .extend(part.map(|part| (candidate.key.name, part)));
        }
    }

    /// True if the option that the candidate needs is there.
    fn satisfies(&self, candidate: &Candidate) -> bool {
        let needs = candidate.key.needs;
        needs.is_none_or(|needed| self.options.contains(needed))
    }
}

/// The option of that long name.
fn option<'a>(command: &'a Command, long: &str) -> Option<&'a Arg> {
    let mut options = command.get_arguments();
    options.find(|arg| arg.get_long() == Some(long))
}

/// The error in an option of a command, in one line; `None` if it is correct by itself.
fn flaw(program: &Command, command: &str, option: &str) -> Option<String> {
    use clap::error::ErrorKind::{
        InvalidUtf8, InvalidValue, NoEquals, TooFewValues, TooManyValues, ValueValidation,
        WrongNumberOfValues,
    };
    let line = [program.get_name(), command, option];
    let error = program.clone().try_get_matches_from(line).err()?;
    let is_own = matches!(
        error.kind(),
        InvalidUtf8
            | InvalidValue
            | NoEquals
            | TooFewValues
            | TooManyValues
            | ValueValidation
            | WrongNumberOfValues
    );
    let text = error.render().to_string();
    let lines = text
        .split("\n\n")
        .next()?
        .lines()
        .map(str::trim)
        .collect::<Vec<_>>();
    let message = lines.join(" ");
    is_own.then(|| message.trim_start_matches("error: ").to_owned())
}
