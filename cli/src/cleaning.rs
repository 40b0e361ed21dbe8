//! Foreign text (from servers, records, file names), made safe for a terminal and for the log of a CI system.
//!
//! [`one_line`] is for text within a line, [`cut`] for text that is stored; [`lines`] is for everything that
//! is printed.

use std::borrow::Cow;

/// Replaces control characters and changes of text direction with spaces.
pub fn one_line(text: &str) -> String {
    text.replace(is_unsafe, " ")
}

/// Truncates text longer than `most` bytes.
pub fn cut(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    format!("{}…", &text[..text.floor_char_boundary(most)])
}

/// Keeps lines and colours, but nothing that moves the cursor, sets a title or is a command to a CI system.
pub fn lines(text: &str) -> String {
    let lines = text
        .split('\n')
        .map(|line| uncommanding(&coloured(line)).into_owned());
    lines.collect::<Vec<_>>().join("\n")
}

/// A line without control characters, except tabs and colours: `ESC [ 1 ; 31 m`.
fn coloured(line: &str) -> String {
    let mut safe = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(index) = rest.find(is_unsafe) {
        let (before, after) = rest.split_at(index);
        safe.push_str(before);
        let is_parameter = |letter: char| letter.is_ascii_digit() || letter == ';';
        let colour = after.strip_prefix("\x1b[").and_then(|sequence| {
            let end = sequence
                .trim_start_matches(is_parameter)
                .strip_prefix('m')?;
            Some(after.len() - end.len())
        });
        let first = after.chars().next().map_or(1, char::len_utf8);
        let length = colour.unwrap_or(first);
        let is_kept = colour.is_some() || after.starts_with('\t');
        safe.push_str(if is_kept { &after[..length] } else { " " });
        rest = &after[length..];
    }
    safe.push_str(rest);
    safe
}

/// GitHub reads `::error::`, also after spaces, and `##[error]` as commands, Azure reads `##vso[`.
fn uncommanding(line: &str) -> Cow<'_, str> {
    let trimmed = line.trim_start();
    if trimmed.starts_with("::") {
        let indent = &line[..line.len() - trimmed.len()];
        return format!("{indent}: {}", &trimmed[1..]).into();
    }
    if line.contains("##") {
        return line
            .replace("##[", "## [")
            .replace("##vso[", "## vso[")
            .into();
    }
    line.into()
}

fn is_unsafe(letter: char) -> bool {
    letter.is_control() || matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_colours_reach_a_terminal() {
        let check = |given, expected| assert_eq!(lines(given), expected);
        check(
            "\u{1b}[1;31merror\u{1b}[0m: a\tb\nc",
            "\u{1b}[1;31merror\u{1b}[0m: a\tb\nc",
        );
        check(
            "\u{1b}]0;pwned\u{7}\u{1b}[2Jx\r\u{9b}2J\u{7f}",
            " ]0;pwned  [2Jx  2J ",
        );
        check("\u{1b}[31", " [31");
        check("\u{202e}gnp.exe", " gnp.exe");
    }

    #[test]
    fn no_line_is_a_ci_workflow_command() {
        let check = |given, expected| assert_eq!(lines(given), expected);
        check("a\n  ::error::x", "a\n  : :error::x");
        check("::set-output name=x::y", ": :set-output name=x::y");
        check("x ##[error]y ##vso[task]", "x ## [error]y ## vso[task]");
        check("std::fs ## x", "std::fs ## x");
    }

    #[test]
    fn multi_line_text_becomes_one_line() {
        assert_eq!(one_line("a\r\n::error::b\u{1b}[2J"), "a  ::error::b [2J");
        assert_eq!(cut("ééé", 3), "é…");
        assert_eq!(cut("ééé", 6), "ééé");
    }
}
