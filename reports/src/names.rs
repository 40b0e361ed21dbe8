//! Names that are safe in file names and log tags.
//!
//! Scenario and runtime names come from user-written files, so they may contain anything. Two different names may
//! become the same; [`Unique`] keeps them apart.

use std::collections::BTreeSet;

/// Lower-case letters, digits, `.`, `_` and single `-` in place of anything else; at most 80 characters, never empty,
/// never starting with a dot.
pub fn slug(text: &str) -> String {
    let mut slug = String::new();
    for character in text.chars() {
        match character.to_ascii_lowercase() {
            kept if kept.is_ascii_alphanumeric() || "._".contains(kept) => slug.push(kept),
            _ if !slug.ends_with('-') => slug.push('-'),
            _ => {}
        }
    }
    let trimmed = slug.trim_matches(['-', '.']);
    let short = trimmed[..trimmed.len().min(80)].trim_end_matches(['-', '.']);
    if short.is_empty() {
        "unnamed".to_owned()
    } else {
        short.to_owned()
    }
}

/// Hands out each name once: a second `a` becomes `a-2`.
#[derive(Debug, Default)]
pub struct Unique {
    taken: BTreeSet<String>,
}

impl Unique {
    /// `name`, or `name-2` and so on if it is taken.
    pub fn name(&mut self, name: String) -> String {
        let numbered = (2..).map(|number| format!("{name}-{number}"));
        let free = std::iter::once(name.clone())
            .chain(numbered)
            .find(|name| !self.taken.contains(name));
        let free = free.expect("there is always a higher number");
        self.taken.insert(free.clone());
        free
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(slug(text), expected);
    }

    #[test]
    fn a_slug_is_a_plain_file_name() {
        check("http-get", "http-get");
        check("HTTP get  (large)", "http-get-large");
        check("../../etc/passwd", "etc-passwd");
        check("...", "unnamed");
        check("漢字", "unnamed");
        check("", "unnamed");
        check(&"x".repeat(200), &"x".repeat(80));
    }

    #[test]
    fn names_that_sanitise_to_the_same_text_stay_distinct() {
        let mut unique = Unique::default();
        let names = ["a", "a", "a-2", "a"].map(|name| unique.name(name.to_owned()));
        assert_eq!(names, ["a", "a-2", "a-2-2", "a-3"]);
    }
}
