//! Lines of text with colours, wrapped to a width.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::{INDENT, Style};
use crate::rule::Verdict;

/// The narrowest width that still holds a name and a number.
const NARROWEST: usize = 40;

/// The kind of a line, for its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Plain,
    Strong,
    Faint,
    Warning,
    Bad,
    Good,
}

impl Tone {
    /// The tone of a verdict.
    pub(super) fn of(verdict: Option<Verdict>) -> Self {
        match verdict {
            Some(Verdict::Faster) => Self::Good,
            Some(Verdict::Slower) => Self::Bad,
            Some(Verdict::Inconclusive) => Self::Warning,
            Some(Verdict::Tie) | None => Self::Plain,
        }
    }

    fn ansi(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Strong => Some("\x1b[1m"),
            Self::Faint => Some("\x1b[2m"),
            Self::Warning => Some("\x1b[33m"),
            Self::Bad => Some("\x1b[31m"),
            Self::Good => Some("\x1b[32m"),
        }
    }
}

/// Indentation of the first line and of those after it.
#[derive(Clone, Copy)]
pub(crate) struct Indents {
    pub(crate) first: usize,
    pub(crate) rest: usize,
}

/// Text under construction.
pub(crate) struct Text {
    text: String,
    pub(super) width: usize,
    colour: bool,
    /// Headings of columns that had no room, each once.
    pub(super) left_out: Vec<String>,
}

impl Text {
    pub(crate) fn new(style: Style) -> Self {
        Self {
            text: String::new(),
            width: style.width.max(NARROWEST),
            colour: style.colour,
            left_out: Vec::new(),
        }
    }

    pub(crate) fn finish(self) -> String {
        self.text
    }

    /// Adds an empty line, but never two in a row.
    pub(crate) fn blank(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with("\n\n") {
            self.text.push('\n');
        }
    }

    /// Adds a line that already fits.
    pub(super) fn line(&mut self, tone: Tone, line: &str) {
        let line = self.painted(tone, line.trim_end());
        self.text.push_str(&format!("{line}\n"));
    }

    pub(super) fn painted(&self, tone: Tone, text: &str) -> String {
        match tone.ansi().filter(|_| self.colour && !text.is_empty()) {
            Some(ansi) => format!("{ansi}{text}\x1b[0m"),
            None => text.to_owned(),
        }
    }

    /// Names the columns that had no room in the tables so far.
    pub(super) fn name_left_out(&mut self) {
        if !self.left_out.is_empty() {
            let left_out = std::mem::take(&mut self.left_out).join(", ");
            let sentence = format!("No room at {} columns for {left_out}.", self.width);
            self.paragraph(Tone::Faint, &sentence);
        }
    }

    /// Wrapped text from the margin, with a hanging indent.
    pub(crate) fn paragraph(&mut self, tone: Tone, text: &str) {
        let (first, rest) = (0, INDENT);
        self.wrapped(tone, text, Indents { first, rest });
    }

    /// Wrapped text below a table.
    pub(crate) fn paragraph_in(&mut self, tone: Tone, text: &str) {
        let (first, rest) = (INDENT, 2 * INDENT);
        self.wrapped(tone, text, Indents { first, rest });
    }

    pub(crate) fn wrapped(&mut self, tone: Tone, text: &str, indents: Indents) {
        for line in wrap(&short(text), self.width, indents) {
            self.line(tone, &line);
        }
    }

    pub(super) fn warnings(&mut self, warnings: &[String]) {
        if !warnings.is_empty() {
            self.blank();
        }
        for warning in warnings {
            self.paragraph(Tone::Warning, &format!("warning: {warning}"));
        }
    }
}

/// Breaks `text` at spaces, and within a word only if the word alone is too long, in a single pass.
fn wrap(text: &str, width: usize, indents: Indents) -> Vec<String> {
    let mut lines = vec![" ".repeat(indents.first)];
    let (mut used, mut empty) = (indents.first, true);
    for word in text.split_inclusive(' ') {
        for piece in pieces(word, width - indents.rest) {
            if !empty && used + piece.trim_end().width() > width {
                lines.push(" ".repeat(indents.rest));
                used = indents.rest;
            }
            let line = lines.last_mut().expect("there is always a line");
            line.push_str(piece);
            used += piece.width();
            empty = false;
        }
    }
    lines
}

/// `word` in pieces no wider than `width`; the spaces at its end do not count.
fn pieces(word: &str, width: usize) -> Vec<&str> {
    let (mut pieces, mut start, mut used) = (Vec::new(), 0, 0);
    for (index, character) in word.trim_end().char_indices() {
        let wide = character.width().unwrap_or(0);
        if used + wide > width && index > start {
            pieces.push(&word[start..index]);
            (start, used) = (index, 0);
        }
        used += wide;
    }
    pieces.push(&word[start..]);
    pieces
}

/// Bytes of the longest prefix no wider than `width`, of at least one character.
fn prefix_len(text: &str, width: usize) -> usize {
    let mut used = 0;
    for (index, character) in text.char_indices() {
        used += character.width().unwrap_or(0);
        if used > width && index > 0 {
            return index;
        }
    }
    text.len()
}

/// Cuts the middle of a text that is too long: the end of a name often says as much as its beginning.
pub(super) fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let room = width.saturating_sub(1);
    let (beginning, end) = (room - room / 2, room / 2);
    let start = text
        .char_indices()
        .map(|(index, _)| index)
        .chain([text.len()])
        .find(|index| text[*index..].width() <= end);
    let beginning = &text[..prefix_len(text, beginning)];
    format!("{beginning}…{}", &text[start.unwrap_or(text.len())..])
}

/// Maximum length of a text, in characters: a server's message may have millions.
const MOST_CHARACTERS: usize = 2_000;

/// A text without control characters, cut if it is very long.
fn short(text: &str) -> String {
    let mut characters = text.chars();
    let mut short = clean(
        &characters
            .by_ref()
            .take(MOST_CHARACTERS)
            .collect::<String>(),
    );
    if characters.next().is_some() {
        short.push('…');
    }
    short
}

/// Removes control characters: a title from a scenario file must not move the cursor.
pub(super) fn clean(text: &str) -> String {
    text.replace(char::is_control, " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_too_long_loses_its_middle() {
        assert_eq!(cut("list: service_p99", 17), "list: service_p99");
        assert_eq!(cut("list items: service_p99", 16), "list ite…ice_p99");
        assert_eq!(cut("数据库: p99", 8), "数据…p99");
    }
}
