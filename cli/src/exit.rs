//! The documented exit codes, and the error type that carries one.
//!
//! Libraries have their own error types; an error that reaches the user is a [`Failure`], which adds the exit code and
//! a hint. It is printed once, in [`crate::run_with`], with its chain of causes. Its text is always free of
//! secrets and line breaks.

use std::error::Error;
use std::fmt;
use std::io;
use std::process::ExitCode;

use crate::cleaning;
use crate::store::redaction;

/// The documented exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    Done = 0,
    /// A server died, a disk is full, and the like.
    CouldNotRun = 1,
    /// Wrong usage or a bad scenario file; nothing was run.
    Usage = 2,
    /// A limit was missed: a gate's regression, or a threshold of a run.
    Missed = 3,
    /// Cannot tell: a gate is inconclusive, a threshold cannot be judged, or the machine is unfit to measure.
    Unfit = 4,
    /// Measured, but wrong: the identity check failed, or errors exceed the scenario's budget.
    Wrong = 5,
    /// Interrupted; partial results kept.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// An error for the user, with an exit code and a hint.
#[derive(Debug)]
pub struct Failure {
    exit: Exit,
    message: String,
    hint: Option<String>,
    source: Option<Box<dyn Error + Send + Sync>>,
    /// True if the message already has a heading and may span lines.
    is_rendered: bool,
}

impl Failure {
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            hint: None,
            source: None,
            is_rendered: false,
        }
    }

    /// Diagnostics of scenario files, already rendered.
    pub fn rendered(diagnostics: String) -> Self {
        Self {
            is_rendered: true,
            ..Self::usage(diagnostics)
        }
    }

    pub fn could_not_run(message: impl Into<String>) -> Self {
        Self::new(Exit::CouldNotRun, message)
    }

    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// Adds advice on how to fix it.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds advice on how to fix it, if there is any.
    pub fn maybe_hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint.or(self.hint);
        self
    }

    /// The hint, if any.
    pub fn advice(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    pub fn caused_by(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Prefixes the message with the activity that failed.
    pub fn during(mut self, what: impl fmt::Display) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }

    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// The message and its causes in one line, for a record.
    pub fn in_one_line(&self) -> String {
        self.chain().join(": ")
    }

    /// Advice for an error without a hint of its own, by what the system said and by the kind of error.
    fn general_advice(&self) -> Option<String> {
        let source = self.source.as_deref();
        let of_system = source.and_then(|source| source.downcast_ref::<io::Error>());
        let by_system = of_system.and_then(|error| match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Some("free some space"),
            io::ErrorKind::PermissionDenied => {
                Some("`ls -ld` on the path and its directory shows who may use it")
            }
            _ => None,
        });
        let is_usage = self.exit == Exit::Usage && !self.is_rendered;
        let command = std::env::args().nth(1).unwrap_or_default();
        let is_name = !command.is_empty() && command.bytes().all(|it| it.is_ascii_lowercase());
        let by_kind = || match is_name {
            true => format!("`photofinish {command} --help` shows what it takes"),
            false => "`photofinish --help` shows all commands".to_owned(),
        };
        let by_system = by_system.map(str::to_owned);
        by_system.or_else(|| is_usage.then(by_kind))
    }

    /// The message and its causes, without repetitions.
    fn chain(&self) -> Vec<String> {
        let mut lines = vec![if self.is_rendered {
            redaction::text(self.message.trim_end())
        } else {
            safe(&self.message)
        }];
        let mut cause = self.source.as_deref().map(|source| source as &dyn Error);
        while let Some(error) = cause {
            let line = safe(&error.to_string());
            if lines.last() != Some(&line) {
                lines.push(line);
            }
            cause = error.source();
        }
        lines
    }
}

fn safe(text: &str) -> String {
    cleaning::one_line(&redaction::text(text.trim_end()))
}

/// Turns an error into the cause of a [`Failure`] to run.
pub trait OrFail<T> {
    fn or_fail(self, message: impl Into<String>) -> Result<T, Failure>;
}

impl<T, E: Into<Box<dyn Error + Send + Sync>>> OrFail<T> for Result<T, E> {
    fn or_fail(self, message: impl Into<String>) -> Result<T, Failure> {
        self.map_err(|error| Failure::could_not_run(message).caused_by(error))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let chain = self.chain();
        let heading = if self.is_rendered { "" } else { "error: " };
        write!(f, "{heading}{}", chain[0])?;
        for cause in &chain[1..] {
            write!(f, "\n  caused by: {cause}")?;
        }
        let hint = self.hint.clone().or_else(|| self.general_advice());
        if let Some(hint) = hint {
            write!(f, "\nhint: {}", safe(&hint))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(failure: &Failure, expected: &str) {
        assert_eq!(failure.to_string(), expected);
    }

    #[test]
    fn a_failure_prints_its_message_its_causes_and_its_hint_once_each() {
        let full = std::io::Error::other("disk full");
        let failure = Failure::could_not_run("cannot write the record")
            .caused_by(full)
            .hint("free some space");
        check(
            &failure,
            "error: cannot write the record\n  caused by: disk full\nhint: free some space",
        );
        assert_eq!(failure.in_one_line(), "cannot write the record: disk full");
    }

    #[test]
    fn an_error_without_a_hint_gets_general_advice() {
        let denied = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
        let failure = Failure::could_not_run("cannot write").caused_by(denied);
        assert!(failure.to_string().contains("hint: `ls -ld` on the path"));
        let failure = Failure::usage("wrong").to_string();
        assert!(failure.contains("hint: `photofinish "), "{failure}");
        check(&Failure::could_not_run("gone"), "error: gone");
    }

    #[test]
    fn a_rendered_diagnostic_keeps_its_own_heading() {
        check(
            &Failure::rendered("error: unknown key\n --> a.toml:1:1\n".to_owned()),
            "error: unknown key\n --> a.toml:1:1",
        );
    }

    #[test]
    fn external_text_is_kept_to_one_line_without_control_characters_or_secrets() {
        let failure = Failure::could_not_run("error: \u{1b}[2J\n::error::x GET /?token=s3cret")
            .caused_by("a\nb")
            .hint("c\nd");
        check(
            &failure,
            "error: error:  [2J ::error::x GET /?token=***\n  caused by: a b\nhint: c d",
        );
    }
}
