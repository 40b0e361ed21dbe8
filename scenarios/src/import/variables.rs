//! Secrets of requests as environment variables: `{{env.NAME}}` in their place, and no value in the scenario.

use regex_lite::{Captures, Regex};
use url::form_urlencoded;

use super::{Context, Key};

/// Fields of a query or a form, as name and value.
const FIELDS: &str = "(?:^|&)([^=&]*)=([^&]*)";
/// Members of JSON objects whose values are strings.
const MEMBERS: &str = r#""((?:[^"\\]|\\.)*)"\s*:\s*"((?:[^"\\]|\\.)*)""#;
/// Parts of `multipart/form-data`.
const PARTS: &str = "(?s)name=\"([^\"]*)\"\r\n\r\n(.*?)\r\n--";

/// The variables so far.
pub(super) struct Variables<'a> {
    context: &'a Context<'a>,
    all: Vec<Variable>,
}

struct Variable {
    name: String,
    value: String,
    /// Its meaning, for a comment.
    about: String,
}

impl<'a> Variables<'a> {
    pub(super) fn new(context: &'a Context<'a>) -> Self {
        Self {
            context,
            all: Vec::new(),
        }
    }

    /// Name and meaning of each.
    pub(super) fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        self.all
            .iter()
            .map(|it| (it.name.as_str(), it.about.as_str()))
    }

    /// The slot for a secret; equal values under one key share a variable.
    pub(super) fn slot(&mut self, key: &str, value: &str, about: &str) -> String {
        let base = variable_name(key);
        let numbered = |number| match number {
            1 => base.clone(),
            number => format!("{base}_{number}"),
        };
        let mut number = 1;
        while let Some(taken) = self.all.iter().find(|it| it.name == numbered(number)) {
            if taken.value == value {
                break;
            }
            number += 1;
        }
        let name = numbered(number);
        if !self.all.iter().any(|it| it.name == name) {
            let (value, about) = (value.to_owned(), about.to_owned());
            self.all.push(Variable {
                name: name.clone(),
                value,
                about,
            });
        }
        format!("{{{{env.{name}}}}}")
    }

    /// The value of a header; a scheme such as `Bearer` stays.
    pub(super) fn header(&mut self, name: &str, value: &str) -> String {
        if value.is_empty() || !(self.context.is_secret)(Key::Header(name), value) {
            return value.to_owned();
        }
        let is_authorization = name.to_ascii_lowercase().ends_with("authorization");
        let about = format!("header `{name}`");
        match value.split_once(' ').filter(|_| is_authorization) {
            Some((scheme, rest)) => {
                let about = if scheme.eq_ignore_ascii_case("basic") {
                    format!("{about}: printf %s 'USER:PASSWORD' | base64")
                } else {
                    format!("{about}, after `{scheme}`")
                };
                format!("{scheme} {}", self.slot(name, rest, &about))
            }
            None => self.slot(name, value, &about),
        }
    }

    /// A query, or the fields of a form.
    pub(super) fn fields(&mut self, text: &str) -> String {
        self.replace(text, FIELDS, |name| Key::Field(name))
    }

    /// The text of a body of this type.
    pub(super) fn body(&mut self, text: &str, content_type: &str) -> String {
        if content_type.contains("x-www-form-urlencoded") {
            self.fields(text)
        } else if content_type.contains("json") {
            self.replace(text, MEMBERS, |name| Key::Member(name))
        } else if content_type.contains("multipart/form-data") {
            self.replace(text, PARTS, |name| Key::Field(name))
        } else {
            text.to_owned()
        }
    }

    /// Replaces values, the second group of `pattern`, if their names, the first, say that they are secrets.
    fn replace(&mut self, text: &str, pattern: &str, key: fn(&str) -> Key<'_>) -> String {
        let pattern = Regex::new(pattern).expect("one of the constants");
        let (mut safe, mut end) = (String::new(), 0);
        for captures in pattern.captures_iter(text) {
            let (Some(name), Some(value)) = (captures.get(1), captures.get(2)) else {
                continue;
            };
            let decoded = decoded(&captures);
            if value.is_empty() || !(self.context.is_secret)(key(&decoded), value.as_str()) {
                continue;
            }
            safe += &text[end..value.start()];
            safe += &self.slot(&decoded, value.as_str(), &format!("`{}`", name.as_str()));
            end = value.end();
        }
        safe + &text[end..]
    }
}

/// The name in a match, without percent-encoding.
fn decoded(captures: &Captures<'_>) -> String {
    let name = captures.get(1).map_or("", |name| name.as_str());
    let decoded = form_urlencoded::parse(name.as_bytes()).next();
    decoded.map_or_else(String::new, |(name, _)| name.into_owned())
}

/// `X-Api-Key` as `X_API_KEY`.
fn variable_name(key: &str) -> String {
    let letters = key.chars().map(|it| {
        if it.is_ascii_alphanumeric() {
            it.to_ascii_uppercase()
        } else {
            '_'
        }
    });
    let name: String = letters.collect();
    match name.trim_matches('_') {
        // Every shell has a variable of this name, with the current directory.
        "PWD" => "PASSWORD".to_owned(),
        name if name.starts_with(|it: char| it.is_ascii_digit()) => format!("_{name}"),
        "" => "SECRET".to_owned(),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_variables(test: impl FnOnce(&mut Variables<'_>)) {
        let context = Context {
            is_secret: &|key, _| match key {
                Key::Header(name) => ["Authorization", "Cookie"].contains(&name),
                Key::Field(name) | Key::Member(name) => {
                    name.contains("pass") || name.contains("token")
                }
            },
            read: &|_| Err("no files".to_owned()),
            path: &|file| Ok(file.to_owned()),
            scale: None,
        };
        test(&mut Variables::new(&context));
    }

    #[test]
    fn redaction_leaves_the_surrounding_text_unchanged() {
        with_variables(|it| {
            assert_eq!(
                it.header("Authorization", "Bearer s3cret"),
                "Bearer {{env.AUTHORIZATION}}"
            );
            assert_eq!(
                it.header("Authorization", "other"),
                "{{env.AUTHORIZATION_2}}"
            );
            assert_eq!(it.header("Cookie", "a=1; b=2"), "{{env.COOKIE}}");
            assert_eq!(it.header("Accept", "x"), "x");
            assert_eq!(
                it.fields("a=1&token=s3cret&user%5Bpass%5D=x&token="),
                "a=1&token={{env.TOKEN}}&user%5Bpass%5D={{env.USER_PASS}}&token="
            );
            let json = r#"{"a": "b", "token" : "s3\"cret", "n": {"password":"x"}, "token2": 5}"#;
            let expected = r#"{"a": "b", "token" : "{{env.TOKEN_2}}", "n": {"password":"{{env.PASSWORD}}"}, "token2": 5}"#;
            assert_eq!(it.body(json, "application/json; charset=utf-8"), expected);
            let form = "--b\r\nContent-Disposition: form-data; name=\"pass\"\r\n\r\ns3\r\ncret\r\n--b--\r\n";
            assert!(
                it.body(form, "multipart/form-data; boundary=b")
                    .contains("\r\n\r\n{{env.PASS}}\r\n--b--")
            );
            assert_eq!(it.body("token=s3cret", "text/plain"), "token=s3cret");
            assert_eq!(
                it.fields("token=s3cret"),
                "token={{env.TOKEN}}",
                "the same value, the same variable"
            );
            assert!(it.all().all(|(_, about)| !about.contains("s3")));
        });
    }

    #[test]
    fn names_are_ones_that_a_shell_can_set() {
        for (key, expected) in [
            ("X-Api-Key", "X_API_KEY"),
            ("pwd", "PASSWORD"),
            ("2fa", "_2FA"),
            ("\u{e9}", "SECRET"),
        ] {
            assert_eq!(variable_name(key), expected);
        }
    }
}
