//! Diagnostics: errors in a user's file or on the command line, each with its location.
//!
//! A [`Diagnostic`] is data: a message, a location, what was expected there. [`Diagnostics`] renders any number of them
//! with the lines they refer to, in colour on a terminal. This file knows neither scenarios nor TOML.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

/// A text and its origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The name of the scenario in it: the file's stem.
    pub name: String,
    /// The path shown before the line number: as given, or in the catalogue.
    pub origin: String,
    pub text: String,
    /// The directory that its file names are relative to; empty for the current one.
    pub directory: PathBuf,
    /// True for a text that is built into this program.
    pub ships: bool,
}

impl Source {
    pub fn of_file(path: &Path, text: String) -> Self {
        let name = path.file_stem().unwrap_or(path.as_os_str());
        Self {
            name: name.to_string_lossy().into_owned(),
            origin: path.display().to_string(),
            text,
            directory: path.parent().map(Path::to_owned).unwrap_or_default(),
            ships: false,
        }
    }

    /// Line and column of a byte offset, both from 1; columns count characters.
    pub fn line_and_column(&self, offset: usize) -> (usize, usize) {
        let before = self.text.get(..offset).unwrap_or(&self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.matches('\n').count() + 1;
        (line, before[line_start..].chars().count() + 1)
    }
}

/// The location of an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// Bytes of a text.
    Text {
        source: Arc<Source>,
        span: Range<usize>,
    },
    /// A text as a whole: something is missing from it.
    Whole { source: Arc<Source> },
    /// An argument on the command line, as written: `--set unit=1x`.
    Argument(String),
}

/// One error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// One line.
    pub message: String,
    pub location: Location,
    /// The expected value, or a suggestion.
    pub label: Option<String>,
    /// More help, such as all valid names.
    pub help: Option<String>,
}

impl Diagnostic {
    /// Line and column, both from 1, of a location in a text.
    pub fn line_and_column(&self) -> Option<(usize, usize)> {
        match &self.location {
            Location::Text { source, span } => Some(source.line_and_column(span.start)),
            Location::Whole { .. } | Location::Argument(_) => None,
        }
    }

    /// Sort key: texts first, from top to bottom.
    fn position(&self) -> (bool, usize) {
        match &self.location {
            Location::Whole { .. } => (false, 0),
            Location::Text { span, .. } => (false, span.start),
            Location::Argument(_) => (true, 0),
        }
    }

    fn group(&self) -> Group<'_> {
        let group = Group::with_title(Level::ERROR.primary_title(printable(&self.message)));
        let group = match &self.location {
            Location::Text { source, span } => group.element(self.snippet(source, span)),
            Location::Whole { source } => group.element(Origin::path(printable(&source.origin))),
            Location::Argument(argument) => {
                group.element(Origin::path(format!("in `{}`", printable(argument))))
            }
        };
        let label = match self.location {
            Location::Text { .. } => None, // It is shown under the line.
            Location::Whole { .. } | Location::Argument(_) => self.label.as_deref(),
        };
        let helps = [label, self.help.as_deref()].into_iter().flatten();
        group.elements(helps.map(|help| Level::HELP.message(printable(help))))
    }

    fn snippet<'a>(
        &'a self,
        source: &'a Source,
        span: &Range<usize>,
    ) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
        let label = self.label.as_deref().map(printable);
        let annotation = AnnotationKind::Primary.span(clamp(&source.text, span));
        Snippet::source(&source.text)
            .path(printable(&source.origin))
            .annotation(annotation.label(label))
    }
}

/// A span that lies in the text, on character boundaries.
fn clamp(text: &str, span: &Range<usize>) -> Range<usize> {
    let end = text.floor_char_boundary(span.end);
    text.floor_char_boundary(span.start).min(end)..end
}

/// Escapes control characters: the content of a file must not control the terminal.
fn printable(text: &str) -> String {
    let mut printable = String::new();
    for letter in text.chars() {
        if letter.is_control() {
            printable.extend(letter.escape_default());
        } else {
            printable.push(letter);
        }
    }
    printable
}

/// Errors in reading order; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    /// Sorts and deduplicates a non-empty list.
    pub fn new(mut all: Vec<Diagnostic>) -> Self {
        assert!(!all.is_empty(), "diagnostics without a diagnostic");
        all.sort_by_key(Diagnostic::position);
        all.dedup();
        Self(all)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.0.iter()
    }

    /// Text with the line of each error; with terminal colours if `styled`.
    pub fn render(&self, styled: bool) -> String {
        let renderer = if styled {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        self.iter()
            .map(|diagnostic| renderer.render(&[diagnostic.group()]))
            .collect::<Vec<_>>()
            .join("\n\n")
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Diagnostics {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_and_lines_start_at_one() {
        let source = Source::of_file(Path::new("a/é.toml"), "é = 1\nüx = 2".to_owned());
        assert_eq!(source.name, "é");
        assert_eq!(source.line_and_column(0), (1, 1));
        assert_eq!(
            source.line_and_column("é = 1\nü".len()),
            (2, 2),
            "after ü, two bytes long"
        );
        assert_eq!(source.line_and_column(1000), (2, 7), "beyond the end");
    }

    #[test]
    fn control_characters_never_reach_a_terminal() {
        let diagnostic = Diagnostic {
            message: "unknown key `\u{1b}[2J\n`".to_owned(),
            location: Location::Argument("--set \u{7}".to_owned()),
            label: None,
            help: None,
        };
        let rendered = Diagnostics::new(vec![diagnostic]).render(false);
        let control = |letter: char| letter.is_control() && letter != '\n';
        assert!(!rendered.contains(control), "{rendered:?}");
    }
}
