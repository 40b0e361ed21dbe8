//! Captures: values of a response for later requests of its flow.
//!
//! `json /POINTER`, `header NAME`, `cookie NAME` or `regex PATTERN`. Only a regular expression allocates, and reads all
//! of the body; the others look no further than their value.

use photofinish_harness::workload::{Failure, ParamError};
use regex_lite::Regex;

use super::super::answer::{Answer, Keep};
use super::cookies;
use crate::data::{Capture as CaptureSlot, JsonPointer, Scope, Values};

/// A value to capture.
#[derive(Debug)]
pub(super) struct Capture {
    name: String,
    source: Source,
    slot: CaptureSlot,
}

#[derive(Debug)]
enum Source {
    Json(JsonPointer),
    Header(String),
    Cookie(String),
    Regex(Regex),
}

impl Capture {
    /// Compiles the parameter at `path`, and declares its name for later requests.
    pub(super) fn compile(
        name: &str,
        text: &str,
        path: &str,
        scope: &mut Scope,
    ) -> Result<Self, ParamError> {
        let error = |message| ParamError {
            param: path.to_owned(),
            message,
        };
        let source = Source::parse(text).map_err(error)?;
        let slot = scope.capture(name).map_err(error)?;
        let name = name.to_owned();
        Ok(Self { name, source, slot })
    }

    /// The part of the body that it needs.
    pub(super) fn keep(&self) -> Keep {
        match self.source {
            Source::Json(_) | Source::Regex(_) => Keep::Whole,
            Source::Header(_) | Source::Cookie(_) => Keep::Length,
        }
    }

    /// The header field that it needs.
    pub(super) fn field(&self) -> Option<&str> {
        match &self.source {
            Source::Header(name) => Some(name),
            Source::Cookie(_) => Some("set-cookie"),
            Source::Json(_) | Source::Regex(_) => None,
        }
    }

    /// Takes the value from a response.
    pub(super) fn take(&self, answer: &Answer, values: &mut Values) -> Result<(), Failure> {
        match &self.source {
            Source::Json(pointer) => {
                let value = pointer
                    .find(answer.body())
                    .map_err(|reason| self.missing(&reason))?;
                values.capture(self.slot, |out| value.write_text(out));
            }
            Source::Header(name) => {
                let value = answer.fields(name).next();
                let value = value.ok_or_else(|| {
                    self.missing(&format!("expected a header `{name}`, got none"))
                })?;
                values.capture(self.slot, |out| out.extend_from_slice(value));
            }
            Source::Cookie(name) => {
                let mut fields = answer.fields("set-cookie");
                let value = fields.find_map(|field| cookies::value_of(field, name.as_bytes()));
                let value = value.ok_or_else(|| {
                    self.missing(&format!("expected a cookie `{name}`, got none"))
                })?;
                values.capture(self.slot, |out| out.extend_from_slice(value));
            }
            Source::Regex(pattern) => {
                let text = std::str::from_utf8(answer.body())
                    .map_err(|_| self.missing("expected text, got bytes that are not UTF-8"))?;
                let groups = pattern.captures(text);
                let found = groups.and_then(|groups| groups.get(1).or_else(|| groups.get(0)));
                let found = found.ok_or_else(|| {
                    self.missing(&format!("expected a match of `{pattern}`, got none"))
                })?;
                values.capture(self.slot, |out| {
                    out.extend_from_slice(found.as_str().as_bytes())
                });
            }
        }
        Ok(())
    }

    #[cold]
    fn missing(&self, reason: &str) -> Failure {
        Failure::wrong_content(format!("nothing to capture as `{}`: {reason}", self.name))
    }
}

impl Source {
    fn parse(text: &str) -> Result<Self, String> {
        let (kind, rest) = text.split_once(' ').unwrap_or((text, ""));
        let rest = rest.trim();
        match kind {
            "json" => JsonPointer::parse(rest).map(Self::Json),
            "header" if !rest.is_empty() => Ok(Self::Header(rest.to_owned())),
            "cookie" if !rest.is_empty() => Ok(Self::Cookie(rest.to_owned())),
            "regex" if !rest.is_empty() => Regex::new(rest)
                .map(Self::Regex)
                .map_err(|error| format!("expected a regular expression, got `{rest}`: {error}")),
            _ => Err(format!(
                "expected `json /POINTER`, `header NAME`, `cookie NAME` or `regex PATTERN`, got `{text}`"
            )),
        }
    }
}
