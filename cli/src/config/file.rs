//! The configuration file: finding it, reading it, and errors that point at its lines.
//!
//! A key at the top is a default of every command that has the option, one in a table such as `[gate]` of that command,
//! where it comes first.

use std::env;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{ArgMatches, Command};
use photofinish_scenarios::diagnostic::{Diagnostic, Diagnostics, Location, Source};
use photofinish_workloads::names::did_you_mean;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys::TABLES;
use super::{Candidate, KEYS, Key, Kind, flaw, option};
use crate::exit::Failure;
use crate::output;

/// The name of the file that is looked for.
const NAME: &str = "photofinish.toml";

/// The environment variable with the path of the file.
const VARIABLE: &str = "PHOTOFINISH_CONFIG";

/// Defaults for the command from its configuration file, checked as a whole.
pub(super) fn defaults(
    program: &Command,
    command: &str,
    given: &ArgMatches,
) -> Result<Vec<Candidate>, Failure> {
    let Some(path) = chosen(given)? else {
        return Ok(Vec::new());
    };
    let text = fs::read_to_string(&path).map_err(|error| {
        Failure::usage(format!("cannot read the configuration {}", path.display()))
            .caused_by(error)
            .hint("save it as UTF-8, readable by you, or leave it out with --no-config")
    })?;
    let file = File {
        program,
        directory: path.parent().map(Path::to_owned).unwrap_or_default(),
        source: Arc::new(Source::of_file(&path, text)),
    };
    let settings = file.settings().map_err(|wrong| {
        Failure::rendered(Diagnostics::new(wrong).render(output::stderr_has_colour()))
    })?;
    Ok(file.candidates(settings, command))
}

/// The path of the file to use: the one that was named, or the nearest.
fn chosen(given: &ArgMatches) -> Result<Option<PathBuf>, Failure> {
    if given.get_flag("no_config") {
        return Ok(None);
    }
    let by_option = given.get_one::<PathBuf>("config").cloned();
    let by_variable = || env::var_os(VARIABLE).map(PathBuf::from);
    match by_option.or_else(by_variable) {
        None => Ok(nearest()),
        Some(path) if path.as_os_str().is_empty() => Ok(None),
        Some(path) if path.is_file() => Ok(Some(path)),
        Some(path) => Err(
            Failure::usage(format!("no configuration file at {}", path.display()))
                .hint("name a file with --config FILE, or use --no-config"),
        ),
    }
}

/// The file in the working directory or the nearest one above it, within the same repository.
fn nearest() -> Option<PathBuf> {
    let directory = env::current_dir().ok()?;
    let mut above = PathBuf::new();
    for folder in directory.ancestors() {
        if folder.join(NAME).is_file() {
            return Some(above.join(NAME));
        }
        if folder.join(".git").exists() {
            return None;
        }
        above.push("..");
    }
    None
}

/// A text that is being read.
struct File<'a> {
    program: &'a Command,
    directory: PathBuf,
    source: Arc<Source>,
}

/// A part, and the option in it; either may be absent.
type PartOption = (Option<String>, Option<String>);

/// One default in the file.
struct Setting {
    key: &'static Key,
    /// The table it is in; `None` for the top.
    table: Option<&'static str>,
    part: Option<String>,
    /// As it would be typed; `None` for a flag that is off.
    option: Option<String>,
}

impl File<'_> {
    fn settings(&self) -> Result<Vec<Setting>, Vec<Diagnostic>> {
        let root = DeTable::parse(&self.source.text).map_err(|error| {
            let span = error.span().unwrap_or(0..0);
            vec![self.wrong(span, error.message())]
        })?;
        let (mut settings, mut wrong) = (Vec::new(), Vec::new());
        for (name, value) in root.get_ref() {
            let table = TABLES
                .iter()
                .find(|(table, _)| *table == name.get_ref().as_ref());
            match (table, value.get_ref()) {
                (Some((table, _)), DeValue::Table(entries)) => {
                    for (name, value) in entries {
                        collect(
                            self.setting(Some(table), name, value),
                            &mut settings,
                            &mut wrong,
                        );
                    }
                }
                (Some(_), _) => wrong.push(self.wrong(value.span(), "expected a table")),
                (None, _) => {
                    collect(self.setting(None, name, value), &mut settings, &mut wrong);
                }
            }
        }
        if wrong.is_empty() {
            Ok(settings)
        } else {
            Err(wrong)
        }
    }

    fn wrong(&self, span: Range<usize>, message: &str) -> Diagnostic {
        Diagnostic {
            message: message.to_owned(),
            location: Location::Text {
                source: self.source.clone(),
                span,
            },
            label: None,
            help: None,
        }
    }

    /// The defaults under one key.
    fn setting<S: AsRef<str>>(
        &self,
        table: Option<&'static str>,
        name: &Spanned<S>,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<Vec<Setting>, Diagnostic> {
        let key = self.key(table, name)?;
        let options = self.options(key, value)?;
        let settings = options.into_iter().map(|(part, option)| Setting {
            key,
            table,
            part,
            option,
        });
        let settings: Vec<_> = settings.collect();
        let commands = self.program.get_subcommands();
        let commands = commands.filter(|command| used_by(key, table, command.get_name()));
        let has_it = |command: &&Command| option(command, key.name).is_some();
        if let Some(command) = commands.filter(has_it).map(Command::get_name).next() {
            let options = settings.iter().filter_map(|it| it.option.as_ref());
            let mut flaws = options.filter_map(|option| flaw(self.program, command, option));
            if let Some(message) = flaws.next() {
                return Err(self.wrong(value.span(), &message));
            }
        }
        Ok(settings)
    }

    fn key<S: AsRef<str>>(
        &self,
        table: Option<&'static str>,
        name: &Spanned<S>,
    ) -> Result<&'static Key, Diagnostic> {
        let text = name.get_ref().as_ref();
        let commands = commands_of(table);
        let fits = |key: &&Key| commands.is_empty() || commands.iter().any(|it| key.is_for(it));
        if let Some(key) = KEYS.iter().filter(fits).find(|key| key.name == text) {
            return Ok(key);
        }
        let known: Vec<&str> = KEYS.iter().filter(fits).map(|key| key.name).collect();
        let tables = TABLES.iter().map(|(table, _)| *table);
        let candidates = known
            .iter()
            .copied()
            .chain(tables.filter(|_| table.is_none()));
        let meant = did_you_mean(text, candidates);
        let mut commands = self.program.get_subcommands();
        let is_option = commands.any(|command| option(command, text).is_some());
        let (message, label) = match (meant, table) {
            _ if is_option && KEYS.iter().any(|key| key.name == text) => (
                format!(
                    "`{text}` is not an option of `{}`",
                    table.unwrap_or_default()
                ),
                None,
            ),
            _ if is_option => (
                format!("`{text}` cannot have a default"),
                Some(format!("give --{text} on the command line")),
            ),
            (Some(meant), _) => (
                format!("unknown key `{text}`"),
                Some(format!("did you mean `{meant}`?")),
            ),
            (None, _) => (format!("unknown key `{text}`"), None),
        };
        Err(Diagnostic {
            label,
            help: Some(format!("keys: {}", known.join(", "))),
            ..self.wrong(name.span(), &message)
        })
    }

    /// The options under a key, by part.
    fn options(
        &self,
        key: &Key,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<Vec<PartOption>, Diagnostic> {
        let typed = |text: &str| Some(format!("--{}={text}", key.name));
        let expected = |what: &str| self.wrong_type(key.name, value, what);
        match (key.kind, value.get_ref()) {
            (Kind::Flag, DeValue::Boolean(is_on)) => {
                Ok(vec![(None, is_on.then(|| format!("--{}", key.name)))])
            }
            (Kind::Flag, _) => Err(expected("true or false")),
            (Kind::Text, _) => {
                let text = self
                    .text(value)
                    .ok_or_else(|| expected("a text or number"))?;
                Ok(vec![(None, typed(&text))])
            }
            (Kind::Directory, DeValue::String(text)) => {
                let path = self.directory.join(text.as_ref());
                Ok(vec![(None, typed(&path.to_string_lossy()))])
            }
            (Kind::Directory, _) => Err(expected("a text")),
            (Kind::List, DeValue::Array(items)) if items.is_empty() => Err(Diagnostic {
                label: Some("expected at least one text or number".to_owned()),
                ..self.wrong(value.span(), &format!("`{}` is an empty list", key.name))
            }),
            (Kind::List, DeValue::Array(items)) => {
                let texts = self.entries(key.name, items)?;
                Ok(vec![(None, typed(&texts.join(",")))])
            }
            (Kind::List, _) => {
                let text = self.text(value);
                let text = text.ok_or_else(|| expected("a list of texts or numbers"))?;
                Ok(vec![(None, typed(&text))])
            }
            (Kind::Lines, DeValue::Array(items)) => {
                let lines = self.entries(key.name, items)?;
                Ok(lines.iter().map(|line| (None, typed(line))).collect())
            }
            (Kind::Lines, _) => Err(expected("a list of texts")),
            (Kind::Table, DeValue::Table(entries)) => {
                let parts = entries.iter().map(|(name, value)| {
                    let name = name.get_ref().as_ref();
                    let text = self.entry(&format!("{}.{name}", key.name), value)?;
                    Ok((Some(name.to_owned()), typed(&format!("{name}={text}"))))
                });
                parts.collect()
            }
            (Kind::Overrides, DeValue::Table(entries)) => {
                let mut parts = Vec::new();
                self.overrides("", entries, &mut parts);
                let options = parts.into_iter().map(|(path, text)| {
                    let option = typed(&format!("{path}={text}"));
                    (Some(path), option)
                });
                Ok(options.collect())
            }
            (Kind::Table | Kind::Overrides, _) => Err(expected("a table")),
        }
    }

    /// A value of the wrong type.
    fn wrong_type(&self, name: &str, value: &Spanned<DeValue<'_>>, expected: &str) -> Diagnostic {
        let message = format!("`{name}` is {}", article(value.get_ref()));
        Diagnostic {
            label: Some(format!("expected {expected}")),
            ..self.wrong(value.span(), &message)
        }
    }

    /// The texts and numbers in a list.
    fn entries(
        &self,
        name: &str,
        items: &[Spanned<DeValue<'_>>],
    ) -> Result<Vec<String>, Diagnostic> {
        let items = items.iter().enumerate();
        items
            .map(|(index, item)| self.entry(&format!("{name}[{index}]"), item))
            .collect()
    }

    fn entry(&self, name: &str, value: &Spanned<DeValue<'_>>) -> Result<String, Diagnostic> {
        self.text(value)
            .ok_or_else(|| self.wrong_type(name, value, "a text or number"))
    }

    /// A text as it is, a number as it is written.
    fn text(&self, value: &Spanned<DeValue<'_>>) -> Option<String> {
        match value.get_ref() {
            DeValue::String(text) => Some(text.clone().into_owned()),
            DeValue::Integer(_) | DeValue::Float(_) => {
                self.source.text.get(value.span()).map(str::to_owned)
            }
            _ => None,
        }
    }

    /// Values by their dotted keys, as they are written.
    fn overrides(&self, above: &str, table: &DeTable<'_>, found: &mut Vec<(String, String)>) {
        for (name, value) in table {
            let name = name.get_ref().as_ref();
            let is_bare = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            let name = match name.chars().all(is_bare) {
                true => name.to_owned(),
                false => format!("{name:?}"),
            };
            let path = format!("{above}{name}");
            match value.get_ref() {
                DeValue::Table(below) => self.overrides(&format!("{path}."), below, found),
                _ => {
                    let text = self.source.text.get(value.span()).unwrap_or_default();
                    found.push((path, text.to_owned()));
                }
            }
        }
    }

    /// The settings for the command; those of its table replace those at the top.
    fn candidates(&self, settings: Vec<Setting>, command: &str) -> Vec<Candidate> {
        let own = |it: &Setting| used_by(it.key, it.table, command);
        let (own, top): (Vec<_>, Vec<_>) = settings
            .into_iter()
            .filter(own)
            .partition(|it| it.table.is_some());
        let same = |one: &Setting, other: &Setting| {
            one.key.name == other.key.name && one.part == other.part
        };
        let left: Vec<_> = top
            .into_iter()
            .filter(|top| !own.iter().any(|own| same(own, top)))
            .collect();
        let candidate = |setting: Setting| {
            Some(Candidate {
                key: setting.key,
                part: setting.part,
                option: setting.option?,
                source: self.source.origin.clone(),
            })
        };
        left.into_iter().chain(own).filter_map(candidate).collect()
    }
}

fn collect(
    read: Result<Vec<Setting>, Diagnostic>,
    settings: &mut Vec<Setting>,
    wrong: &mut Vec<Diagnostic>,
) {
    match read {
        Ok(found) => settings.extend(found),
        Err(diagnostic) => wrong.push(diagnostic),
    }
}

/// The commands that use a table; empty for the top, which all use.
fn commands_of(table: Option<&str>) -> &'static [&'static str] {
    let known = TABLES.iter().find(|(name, _)| Some(*name) == table);
    known.map_or(&[], |(_, commands)| commands)
}

fn used_by(key: &Key, table: Option<&str>, command: &str) -> bool {
    key.is_for(command) && (table.is_none() || commands_of(table).contains(&command))
}

/// The kind of a value, with its article.
fn article(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
