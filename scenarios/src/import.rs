//! Imports: requests and transactions recorded by or written for other tools, as the text of a scenario file to review and
//! keep.
//!
//! One file per format, and one line each in [`FORMATS`]. Pure: names of secrets and the files that a text names come
//! from a [`Context`]. Whatever is not understood is an error that names it; whatever is left out is listed in the scenario.

mod curl;
mod expression;
mod har;
mod pgbench;
mod requests;
mod variables;
mod vegeta;
mod words;

/// A format, as `photofinish import NAME` reads it.
pub struct Format {
    pub name: &'static str,
    pub input: Input,
}

/// The input of a format, and the function that reads it.
#[derive(Clone, Copy)]
pub enum Input {
    /// The words of a command line.
    Words(fn(&[String], &Context<'_>) -> Result<Import, ImportError>),
    /// The text of a file.
    Text(fn(&str, &Context<'_>) -> Result<Import, ImportError>),
}

pub const FORMATS: &[Format] = &[
    Format {
        name: "curl",
        input: Input::Words(curl::import),
    },
    Format {
        name: "har",
        input: Input::Text(har::import),
    },
    Format {
        name: "pgbench",
        input: Input::Text(pgbench::import),
    },
    Format {
        name: "vegeta",
        input: Input::Text(vegeta::import),
    },
];

/// The name of a value in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key<'a> {
    Header(&'a str),
    /// A field of a query or a form.
    Field(&'a str),
    /// A member of a JSON object.
    Member(&'a str),
}

/// Answers to the questions that a reader of a format cannot answer by itself.
pub struct Context<'a> {
    /// True if the value with this name is a secret.
    pub is_secret: &'a dyn Fn(Key<'_>, &str) -> bool,
    /// Reads a file that the text names.
    pub read: &'a dyn Fn(&str) -> Result<Vec<u8>, String>,
    /// The path of a file that the text names, relative to the scenario.
    pub path: &'a dyn Fn(&str) -> Result<String, ImportError>,
    /// Scale of pgbench's tables, if given.
    pub scale: Option<u32>,
}

/// A scenario file, and the facts that do not stand in it.
#[derive(Debug, Default)]
pub struct Import {
    pub scenario: String,
    /// The value of `--target`: `http=http://127.0.0.1:8080`.
    pub target: String,
    /// Environment variables that the scenario reads.
    pub variables: Vec<String>,
    /// Sentences about what was left out or remains to be done; also written to the scenario.
    pub notes: Vec<String>,
    /// Binary bodies, as files beside the scenario.
    pub bodies: Vec<BodyFile>,
}

/// A file that a request sends.
#[derive(Debug, PartialEq, Eq)]
pub struct BodyFile {
    pub name: String,
    pub bytes: Vec<u8>,
}

/// An input that cannot be imported.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{message}")]
pub struct ImportError {
    pub message: String,
    pub hint: Option<String>,
}

impl ImportError {
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: None,
        }
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// The words of a command that was given as one text.
pub fn words(command: &str) -> Result<Vec<String>, ImportError> {
    words::split(command)
}

/// A text as a TOML string.
fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Knows secrets by their names, and no files but `file`.
    pub(super) fn context() -> Context<'static> {
        Context {
            is_secret: &|key, _| {
                let (Key::Header(name) | Key::Field(name) | Key::Member(name)) = key;
                let secrets = ["authorization", "cookie", "token", "password"];
                secrets.contains(&name.to_lowercase().as_str())
            },
            read: &|file| match file {
                "file" => Ok(b"a\r\nb\n".to_vec()),
                file => Err(format!("cannot read {file}")),
            },
            path: &|file| Ok(file.to_owned()),
            scale: None,
        }
    }

    /// A scenario without the comments at its beginning.
    pub(super) fn without_comments(scenario: &str) -> String {
        let lines = scenario.lines().skip_while(|line| line.starts_with('#'));
        lines.map(|line| format!("{line}\n")).collect()
    }

    proptest! {
        #[test]
        fn strings_round_trip_through_toml(text in "(?s).{0,40}", control in "[\x00-\x1f'\"\\\\]{0,10}") {
            let text = text + &control;
            let file = format!("body.text = {}\n", quoted(&text));
            let table: toml::Table = toml::from_str(&file).expect("TOML");
            prop_assert_eq!(table["body"]["text"].as_str(), Some(&*text));
        }
    }
}
