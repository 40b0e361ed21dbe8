//! Output: the only module that writes to stdout and stderr.
//!
//! Results go to stdout, progress and advice to stderr. A reader that goes away (`photofinish list | head -1`) is not
//! an error: the rest of the output is dropped. Colour is used only on a terminal, and not if `NO_COLOR` is set.

use std::io::{self, ErrorKind, IsTerminal, Write};
use std::sync::OnceLock;

use clap::{Args, ValueEnum};
use photofinish_reports::terminal::{Detail, Style};
use serde::Serialize;

use crate::cleaning;
use crate::exit::{Failure, OrFail};

/// Colour and amount of output, the same options for every command.
#[derive(Args)]
#[command(next_help_heading = "Output")]
pub struct Appearance {
    /// Use colour: auto (on a terminal, unless NO_COLOR is set), always or never
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        value_enum,
        default_value_t = Colour::Auto,
        hide_possible_values = true,
        hide_default_value = true,
        hide_short_help = true
    )]
    color: Colour,

    /// Print only the result
    #[arg(short, long, global = true, hide_short_help = true)]
    quiet: bool,

    /// Print more detail, such as the tool's own overhead
    #[arg(
        short,
        long,
        global = true,
        conflicts_with = "quiet",
        hide_short_help = true
    )]
    verbose: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Colour {
    Auto,
    Always,
    Never,
}

/// Set once, from the command line.
static DETAIL: OnceLock<Detail> = OnceLock::new();

impl Appearance {
    pub fn apply(&self) {
        let colour = match self.color {
            Colour::Auto => anstream::ColorChoice::Auto,
            Colour::Always => anstream::ColorChoice::Always,
            Colour::Never => anstream::ColorChoice::Never,
        };
        colour.write_global();
        let detail = match (self.quiet, self.verbose) {
            (true, _) => Detail::Result,
            (_, true) => Detail::Everything,
            _ => Detail::Usual,
        };
        // Fails only if it is already set.
        let _ = DETAIL.set(detail);
    }
}

pub fn detail() -> Detail {
    DETAIL.get().copied().unwrap_or_default()
}

/// True if only the result is wanted.
pub fn is_quiet() -> bool {
    detail() == Detail::Result
}

/// Writes text to stdout.
pub fn say(text: &str) -> Result<(), Failure> {
    let mut stdout = anstream::stdout().lock();
    written(writeln!(stdout, "{}", shown(text)).and_then(|()| stdout.flush()))
}

/// Text made safe to print: it cannot control the terminal.
fn shown(text: &str) -> String {
    cleaning::lines(text.trim_end())
}

/// Writes bytes to stdout, as they are unless it is a terminal.
pub fn emit(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    if stdout.is_terminal() {
        let text = cleaning::lines(&String::from_utf8_lossy(bytes));
        return written(
            stdout
                .write_all(text.as_bytes())
                .and_then(|()| stdout.flush()),
        );
    }
    written(stdout.write_all(bytes).and_then(|()| stdout.flush()))
}

/// Writes one JSON document to stdout, indented.
pub fn emit_json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).or_fail("cannot write the answer as JSON")?;
    emit(format!("{text}\n").as_bytes())
}

/// Writes one JSON document to stdout, on one line.
pub fn emit_json_line(value: &impl Serialize) -> Result<(), Failure> {
    let line = serde_json::to_string(value).or_fail("cannot write the answer as JSON")?;
    emit(format!("{line}\n").as_bytes())
}

/// Writes the answer to `--help` or `--version` to stdout.
pub fn print_help(help: &clap::Error) -> Result<(), Failure> {
    written(help.print().and_then(|()| io::stdout().flush()))
}

/// Writes progress or advice to stderr, and ignores errors.
pub fn advise(text: &str) {
    let _ = writeln!(anstream::stderr().lock(), "{}", shown(text));
}

/// Writes progress to stderr, unless only the result is wanted.
pub fn inform(text: &str) {
    if !is_quiet() {
        advise(text);
    }
}

/// A heading on stdout.
pub fn strong(text: &str) -> String {
    match style().colour {
        true => format!("\x1b[1m{text}\x1b[0m"),
        false => text.to_owned(),
    }
}

/// True if stderr shows colour.
pub fn stderr_has_colour() -> bool {
    anstream::stderr().current_choice() != anstream::ColorChoice::Never
}

/// The style of a report on stdout.
pub fn style() -> Style {
    Style {
        width: width(),
        colour: anstream::stdout().current_choice() != anstream::ColorChoice::Never,
    }
}

fn written(outcome: io::Result<()>) -> Result<(), Failure> {
    match outcome {
        Err(error) if is_gone(&error) => Ok(()),
        outcome => outcome.or_fail("cannot write to stdout"),
    }
}

/// True if the reader is gone: a closed pipe, or a closed terminal.
fn is_gone(error: &io::Error) -> bool {
    error.kind() == ErrorKind::BrokenPipe || error.raw_os_error() == Some(nix::libc::EIO)
}

/// Columns for text: those in `COLUMNS`, else those of the terminal, else 80.
pub fn width() -> usize {
    let named = std::env::var("COLUMNS").ok();
    let named = named.and_then(|columns| columns.trim().parse().ok());
    let wide_enough = |width: &usize| (40..=1000).contains(width);
    let known = named.filter(wide_enough).or_else(columns);
    known.filter(wide_enough).unwrap_or(80)
}

/// Columns of the terminal, however few; `None` if unknown.
pub fn columns() -> Option<usize> {
    terminal_size::terminal_size().map(|(columns, _)| usize::from(columns.0))
}

/// Rows of the terminal; `None` if unknown.
pub fn rows() -> Option<usize> {
    terminal_size::terminal_size().map(|(_, rows)| usize::from(rows.0))
}

/// Breaks text between words into lines no longer than `width`.
pub fn wrapped(text: &str, width: usize) -> impl Iterator<Item = String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is always a line");
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines.into_iter()
}

/// Text in lines no longer than `width`, all but the first indented.
pub fn hanging(text: &str, width: usize) -> String {
    let text = cleaning::one_line(text);
    let lines = wrapped(&text, width.saturating_sub(2));
    lines.collect::<Vec<_>>().join("\n  ")
}
