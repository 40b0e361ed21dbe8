//! Diagnostics: what is wrong in a user's file or on the command line, and where.
//!
//! A [`Diagnostic`] is data: a headline, a place, what was expected there. [`Diagnostics`] renders any number of them with
//! the lines they speak of, in colour where a terminal shows it. What counts as wrong is the business of `scenario`; this
//! file knows neither scenarios nor TOML.

use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

/// A text somebody wrote, under the name by which they know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// What the text is called among scenarios: the file's stem.
    pub name: String,
    /// What people see before the line number: the path as given, or the catalogue's own.
    pub origin: String,
    /// The text.
    pub text: String,
}

impl Source {
    /// A text from a file.
    pub fn of_file(path: &Path, text: String) -> Self {
        let name = path.file_stem().unwrap_or(path.as_os_str());
        Self {
            name: name.to_string_lossy().into_owned(),
            origin: path.display().to_string(),
            text,
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

/// Where something is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a text, at these bytes.
    Text {
        /// The text.
        source: Arc<Source>,
        /// The bytes at fault.
        span: Range<usize>,
    },
    /// In a text as a whole: something is missing from it.
    Whole {
        /// The text.
        source: Arc<Source>,
    },
    /// In an argument on the command line, as written: `--set unit=1x`.
    Argument(String),
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// What is wrong, in one line.
    pub message: String,
    /// Where.
    pub place: Place,
    /// What was expected there, or meant.
    pub label: Option<String>,
    /// What else helps, such as all valid names.
    pub help: Option<String>,
}

impl Diagnostic {
    /// Line and column, both from 1, where the place is a text.
    pub fn line_and_column(&self) -> Option<(usize, usize)> {
        match &self.place {
            Place::Text { source, span } => Some(source.line_and_column(span.start)),
            Place::Whole { .. } | Place::Argument(_) => None,
        }
    }

    /// Where it stands among others: texts first, from top to bottom.
    fn position(&self) -> (bool, usize) {
        match &self.place {
            Place::Whole { .. } => (false, 0),
            Place::Text { span, .. } => (false, span.start),
            Place::Argument(_) => (true, 0),
        }
    }

    fn group(&self) -> Group<'_> {
        let group = Group::with_title(Level::ERROR.primary_title(printable(&self.message)));
        let group = match &self.place {
            Place::Text { source, span } => group.element(self.snippet(source, span)),
            Place::Whole { source } => group.element(Origin::path(printable(&source.origin))),
            Place::Argument(argument) => {
                group.element(Origin::path(format!("in `{}`", printable(argument))))
            }
        };
        let label = match self.place {
            Place::Text { .. } => None, // It stands under the line.
            Place::Whole { .. } | Place::Argument(_) => self.label.as_deref(),
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

/// The text on one line and without control characters: a file's content must not steer a terminal.
fn printable(text: &str) -> String {
    let escape = |letter: char| match letter.is_control() {
        true => letter.escape_default().to_string(),
        false => letter.to_string(),
    };
    text.chars().map(escape).collect()
}

/// Everything that is wrong, in reading order; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    /// All of these, in reading order and each once. There must be at least one.
    pub fn new(mut all: Vec<Diagnostic>) -> Self {
        assert!(!all.is_empty(), "diagnostics without a diagnostic");
        all.sort_by_key(Diagnostic::position);
        all.dedup();
        Self(all)
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.0.iter()
    }

    /// As text for people, each with the line it speaks of; with terminal colours if `styled`.
    pub fn render(&self, styled: bool) -> String {
        let renderer = if styled {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let each = self
            .iter()
            .map(|diagnostic| renderer.render(&[diagnostic.group()]));
        each.collect::<Vec<_>>().join("\n\n")
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Diagnostics {}

/// The candidate that `name` was probably meant to be.
pub fn did_you_mean<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let name = folded(name);
    // A third of the letters may be wrong; of one or two letters, none.
    let tolerance = name.chars().count() / 3;
    let distance_to = |candidate: &str| {
        let last_key = candidate.rsplit('.').next().unwrap_or(candidate);
        let whole = strsim::damerau_levenshtein(&name, &folded(candidate));
        whole.min(strsim::damerau_levenshtein(&name, &folded(last_key)))
    };
    candidates
        .into_iter()
        .map(|candidate| (distance_to(candidate), candidate))
        .filter(|(distance, _)| *distance <= tolerance)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Case and the kind of dash are not what anybody meant.
fn folded(name: &str) -> String {
    name.to_lowercase().replace('-', "_")
}

/// Names for people: `` `a`, `b` or `c` ``.
pub fn listed<S: AsRef<str>>(names: &[S]) -> String {
    let quoted: Vec<_> = names
        .iter()
        .map(|name| format!("`{}`", name.as_ref()))
        .collect();
    match quoted.as_slice() {
        [] => "nothing".to_owned(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_name_finds_its_nearest_and_a_foreign_one_finds_nothing() {
        let check = |name, expected| {
            let candidates = ["tokio", "tokio-current-thread", "load.duration", "ops"];
            assert_eq!(did_you_mean(name, candidates), expected, "{name}");
        };
        check("tokyo", Some("tokio"));
        check("TOKIO", Some("tokio"));
        check("tokio_current_thread", Some("tokio-current-thread"));
        check("durration", Some("load.duration"));
        check("postgres", None);
        check("op", None);
        check("", None);
    }

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
            place: Place::Argument("--set \u{7}".to_owned()),
            label: None,
            help: None,
        };
        let rendered = Diagnostics::new(vec![diagnostic]).render(false);
        let steering = |letter: char| letter.is_control() && letter != '\n';
        assert!(!rendered.contains(steering), "{rendered:?}");
    }
}
