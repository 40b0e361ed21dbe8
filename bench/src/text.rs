//! Numbers and lines in the output of other programs.

/// The number behind the first `label`, past spaces: `tps = ` in `tps = 14688.12 (without…)`.
pub(crate) fn number_after(text: &str, label: &str) -> Option<f64> {
    let (_, rest) = text.split_once(label)?;
    leading_number(rest.trim_start())
}

/// The number before the first `label`: ` req/s` in `finished in 1.00s, 98329.00 req/s`.
pub(crate) fn number_before(text: &str, label: &str) -> Option<f64> {
    let (rest, _) = text.split_once(label)?;
    let digits = rest.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    rest[digits.len()..].parse().ok()
}

fn leading_number(text: &str) -> Option<f64> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.');
    text[..end.unwrap_or(text.len())].parse().ok()
}

/// The first line that contains `part`, trimmed.
pub(crate) fn line_with<'a>(text: &'a str, part: &str) -> Option<&'a str> {
    text.lines().find(|line| line.contains(part)).map(str::trim)
}

/// The first line that is not empty, shortened and without control characters.
pub(crate) fn first_line(text: &str) -> Option<String> {
    const MOST_CHARACTERS: usize = 200;
    let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    Some(
        line.chars()
            .filter(|c| !c.is_control())
            .take(MOST_CHARACTERS)
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_beside_their_labels() {
        assert_eq!(
            number_after("Requests/sec:\t29332.4322\n", "Requests/sec:"),
            Some(29332.4322)
        );
        assert_eq!(number_after("tps = nan", "tps ="), None);
        assert_eq!(number_after("", "tps ="), None);
        assert_eq!(
            number_before("finished in 1.00s, 98329.00 req/s", " req/s"),
            Some(98329.0)
        );
        assert_eq!(
            number_before("12 of it, 34 of that", " of that"),
            Some(34.0)
        );
        assert_eq!(number_before(" req/s", " req/s"), None);
    }

    #[test]
    fn a_line_of_a_failure_is_short_and_plain() {
        assert_eq!(
            first_line("\n  \u{1b}[31mno\u{7}\nmore").as_deref(),
            Some("[31mno")
        );
        assert_eq!(
            first_line(&"é".repeat(500)).map(|line| line.chars().count()),
            Some(200)
        );
        assert_eq!(first_line(" \n"), None);
    }
}
