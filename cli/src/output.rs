//! Talking to people and programs: the only module that writes to stdout and stderr.
//!
//! Results go to stdout, progress and advice to stderr. A reader that goes away (`photofinish list | head -1`) is no
//! error: what is left to say is dropped in silence. Colour is left out where nobody sees it, or `NO_COLOR` is set.

use std::io::{self, ErrorKind, Write};

use photofinish_reports::terminal::Style;
use serde::Serialize;

use crate::exit::Failure;

/// Writes text for people to stdout.
pub fn say(text: &str) -> Result<(), Failure> {
    let mut stdout = anstream::stdout().lock();
    written(writeln!(stdout, "{}", text.trim_end()).and_then(|()| stdout.flush()))
}

/// Writes bytes to stdout as they are.
pub fn emit(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    written(stdout.write_all(bytes).and_then(|()| stdout.flush()))
}

/// Writes one JSON document to stdout, indented.
pub fn emit_json(value: &impl Serialize) -> Result<(), Failure> {
    let mut text = serde_json::to_string_pretty(value).map_err(|error| {
        Failure::could_not_run("cannot write the answer as JSON").caused_by(error)
    })?;
    text.push('\n');
    emit(text.as_bytes())
}

/// Writes progress or advice to stderr. Where stderr is gone nobody misses it.
pub fn advise(text: &str) {
    let _ = writeln!(anstream::stderr().lock(), "{}", text.trim_end());
}

/// Whether colours on stderr are seen by anybody who wants them.
pub fn stderr_has_colour() -> bool {
    anstream::stderr().current_choice() != anstream::ColorChoice::Never
}

fn written(outcome: io::Result<()>) -> Result<(), Failure> {
    match outcome {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::could_not_run("cannot write to stdout").caused_by(error))
        }
        _ => Ok(()),
    }
}

/// The style of text on stdout.
pub fn style() -> Style {
    Style {
        width: width(),
        colour: anstream::stdout().current_choice() != anstream::ColorChoice::Never,
    }
}

/// Columns of the terminal; 80 where there is none.
pub fn width() -> usize {
    match terminal_size::terminal_size() {
        Some((terminal_size::Width(columns), _)) if columns >= 40 => usize::from(columns),
        _ => 80,
    }
}

/// The text in lines no longer than `width`, broken between words.
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
