//! XML: text and attributes that no name can break out of.
//!
//! Only what the JUnit formats need. XML 1.0 cannot represent most control characters, so these become U+FFFD; line
//! breaks and tabs in attributes become references, since a reader would turn them into spaces.

/// An element with its attributes and its content, which must already be XML.
pub(super) fn element(name: &str, attributes: &[(&str, &str)], inside: &str) -> String {
    let attributes: String = attributes
        .iter()
        .map(|(key, value)| format!(" {key}=\"{}\"", text(value)))
        .collect();
    match inside {
        "" => format!("<{name}{attributes}/>\n"),
        _ => format!("<{name}{attributes}>{inside}</{name}>\n"),
    }
}

/// Text, for an attribute or between tags.
pub(super) fn text(text: &str) -> String {
    let mut escaped = String::new();
    for character in text.chars() {
        match character {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\n' => escaped += "&#10;",
            '\r' => escaped += "&#13;",
            '\t' => escaped += "&#9;",
            '\0'..' ' | '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            plain => escaped.push(plain),
        }
    }
    escaped
}
