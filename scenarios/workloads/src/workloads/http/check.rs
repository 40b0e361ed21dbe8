//! The expected response of one request, compiled: status, header fields, values in JSON, length, digest, text.
//!
//! A wrong status has the kind `status`, anything else that is not as expected `wrong-content`. Nothing is allocated for a
//! response that is as expected, except where a whole JSON object or array is compared.

use photofinish_harness::workload::{Failure, ParamError};
use photofinish_record::hex;
use serde_json::Value;

use super::super::answer::{Answer, Keep};
use super::super::params::require;
use super::place::{at, template};
use super::spec::{BodyCheckSpec, ExpectSpec, HeaderSpec};
use crate::data::{Encoding, JsonPointer, Scope, Template, Values};
use crate::quantity::Statuses;

/// The expected response.
#[derive(Debug)]
pub(super) struct Check {
    statuses: Statuses,
    fields: Vec<FieldCheck>,
    json: Vec<JsonCheck>,
    bytes: Option<u64>,
    digest: Option<[u8; 32]>,
    text: Option<Template>,
    /// True if each response has the same body.
    pub(super) same: bool,
}

#[derive(Debug)]
struct FieldCheck {
    name: String,
    expected: ExpectedField,
}

#[derive(Debug)]
enum ExpectedField {
    Present,
    Absent,
    Prefix(Template),
}

#[derive(Debug)]
struct JsonCheck {
    /// As written, for messages.
    text: String,
    pointer: JsonPointer,
    expected: ExpectedJson,
}

/// An expected value; a string may have slots.
#[derive(Debug)]
enum ExpectedJson {
    Text(Template),
    Value(Value),
}

impl Check {
    /// Compiles the parameters at `path`.
    pub(super) fn compile(
        spec: &ExpectSpec,
        path: &str,
        scope: &mut Scope,
    ) -> Result<Self, ParamError> {
        let mut fields = Vec::new();
        for (name, field) in &spec.header {
            let path = at(path, &["header", name]);
            let expected = match field {
                HeaderSpec::Present(true) => ExpectedField::Present,
                HeaderSpec::Present(false) => ExpectedField::Absent,
                HeaderSpec::Prefix(text) => {
                    ExpectedField::Prefix(template(text, scope, Encoding::None, &path)?)
                }
            };
            let name = name.clone();
            fields.push(FieldCheck { name, expected });
        }
        let mut json = Vec::new();
        for (text, value) in &spec.json {
            let path = at(path, &["json", text]);
            let pointer = JsonPointer::parse(text).map_err(|message| ParamError {
                param: path.clone(),
                message,
            })?;
            let expected = match value {
                Value::String(text) => {
                    ExpectedJson::Text(template(text, scope, Encoding::None, &path)?)
                }
                value => ExpectedJson::Value(value.clone()),
            };
            let text = text.clone();
            json.push(JsonCheck {
                text,
                pointer,
                expected,
            });
        }
        let text = spec
            .text
            .as_ref()
            .map(|text| template(text, scope, Encoding::None, &at(path, &["text"])));
        Ok(Self {
            statuses: spec.status.clone(),
            fields,
            json,
            bytes: spec.bytes,
            digest: digest(&spec.body, &at(path, &["body"]))?,
            text: text.transpose()?,
            same: spec.body == BodyCheckSpec::Same,
        })
    }

    /// The part of the body that the check needs.
    pub(super) fn keep(&self) -> Keep {
        if !self.json.is_empty() || self.text.is_some() {
            return Keep::Whole;
        }
        match self.digest {
            Some(_) => Keep::Digest,
            None if self.same => Keep::Same,
            None => Keep::Length,
        }
    }

    /// The header fields that the check needs.
    pub(super) fn fields(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|field| field.name.as_str())
    }

    /// True for an expected status.
    pub(super) fn accepts(&self, status: u16) -> bool {
        self.statuses.include(status)
    }

    /// Checks a response. `scratch` is a buffer for expected values; `same` is the body that every response has.
    pub(super) fn judge(
        &self,
        answer: &Answer,
        values: &mut Values,
        scratch: &mut Vec<u8>,
        same: Option<&[u8]>,
    ) -> Result<(), Failure> {
        if !self.accepts(answer.status()) {
            return Err(wrong_status(&self.statuses, answer));
        }
        for field in &self.fields {
            field.judge(answer, values, scratch)?;
        }
        for check in &self.json {
            check.judge(answer.body(), values, scratch)?;
        }
        if let Some(expected) = self.bytes.filter(|expected| *expected != answer.length()) {
            let length = answer.length();
            return Err(wrong(format!(
                "expected a body of {expected} bytes, got {length}"
            )));
        }
        if let Some(expected) = self.digest {
            judge_digest(expected, answer)?;
        }
        if let Some(template) = &self.text {
            let expected = filled(template, values, scratch)?;
            if !contains(answer.body(), expected) {
                let expected = String::from_utf8_lossy(expected);
                return Err(wrong(format!(
                    "expected a body with the text `{expected}`, got {} bytes without it",
                    answer.length()
                )));
            }
        }
        let Some(expected) = same else {
            return Ok(());
        };
        match answer.difference(expected) {
            None => Ok(()),
            Some(at) => Err(different(expected, answer.length(), at)),
        }
    }
}

impl FieldCheck {
    fn judge(
        &self,
        answer: &Answer,
        values: &mut Values,
        scratch: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        let name = &self.name;
        let first = answer.fields(name).next();
        match (&self.expected, first) {
            (ExpectedField::Present, Some(_)) | (ExpectedField::Absent, None) => Ok(()),
            (ExpectedField::Absent, Some(_)) => {
                Err(wrong(format!("expected no header `{name}`, got one")))
            }
            (ExpectedField::Present | ExpectedField::Prefix(_), None) => {
                Err(wrong(format!("expected a header `{name}`, got none")))
            }
            (ExpectedField::Prefix(template), Some(value)) => {
                let expected = filled(template, values, scratch)?;
                if answer.fields(name).any(|value| value.starts_with(expected)) {
                    return Ok(());
                }
                let (expected, value) = (
                    String::from_utf8_lossy(expected),
                    String::from_utf8_lossy(value),
                );
                Err(wrong(format!(
                    "expected a header `{name}` that begins with `{expected}`, got `{value}`"
                )))
            }
        }
    }
}

impl JsonCheck {
    fn judge(
        &self,
        body: &[u8],
        values: &mut Values,
        scratch: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        let value = self.pointer.find(body).map_err(wrong)?;
        scratch.clear();
        let is_equal = match &self.expected {
            ExpectedJson::Value(expected) => value.equals(expected),
            ExpectedJson::Text(template) => {
                values.fill(template)?;
                values.render(template, scratch);
                let length = scratch.len();
                value.write_text(scratch);
                let (expected, got) = scratch.split_at(length);
                let is_equal = value.kind() == "a string" && expected == got;
                scratch.truncate(length);
                is_equal
            }
        };
        if is_equal {
            return Ok(());
        }
        Err(self.difference(scratch, value.raw()))
    }

    #[cold]
    fn difference(&self, text: &[u8], got: &[u8]) -> Failure {
        let expected = match &self.expected {
            ExpectedJson::Value(value) => value.to_string(),
            ExpectedJson::Text(_) => Value::from(String::from_utf8_lossy(text)).to_string(),
        };
        let (place, got) = (&self.text, String::from_utf8_lossy(got));
        wrong(format!("expected {expected} at `{place}`, got {got}"))
    }
}

fn judge_digest(expected: [u8; 32], answer: &Answer) -> Result<(), Failure> {
    let digest = answer.digest();
    if digest == expected {
        return Ok(());
    }
    let (expected, digest, length) = (hex(expected), hex(digest), answer.length());
    Err(wrong(format!(
        "expected a body with SHA-256 {expected}, got {digest} ({length} bytes)"
    )))
}

/// The text of a template.
fn filled<'a>(
    template: &Template,
    values: &mut Values,
    scratch: &'a mut Vec<u8>,
) -> Result<&'a [u8], Failure> {
    scratch.clear();
    values.fill(template)?;
    values.render(template, scratch);
    Ok(scratch)
}

#[cold]
fn wrong(detail: String) -> Failure {
    Failure::wrong_content(detail)
}

#[cold]
fn wrong_status(expected: &Statuses, answer: &Answer) -> Failure {
    let status = answer.status();
    let to = answer.location().map(|to| {
        format!(
            ", which redirects to `{}`",
            String::from_utf8_lossy(&to[..to.len().min(200)])
        )
    });
    let detail = format!(
        "expected status {expected}, got {status}{}",
        to.unwrap_or_default()
    );
    Failure::new(Failure::STATUS, detail)
}

#[cold]
fn different(expected: &[u8], length: u64, at: usize) -> Failure {
    let was = expected.len();
    wrong(format!(
        "expected the body of the first response ({was} bytes), got {length} bytes, different at byte {at}"
    ))
}

fn contains(body: &[u8], text: &[u8]) -> bool {
    text.is_empty() || body.windows(text.len()).any(|window| window == text)
}

/// The digest in a parameter.
fn digest(spec: &BodyCheckSpec, path: &str) -> Result<Option<[u8; 32]>, ParamError> {
    let BodyCheckSpec::Sha256(text) = spec else {
        return Ok(None);
    };
    let digits = text.as_bytes().chunks(2).map(|pair| {
        let pair = std::str::from_utf8(pair)
            .ok()
            .filter(|pair| pair.len() == 2)?;
        u8::from_str_radix(pair, 16).ok()
    });
    let bytes: Option<Vec<u8>> = digits.collect();
    let digest = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    require(digest.is_some(), path, || {
        format!("expected a SHA-256 of 64 hexadecimal digits, got `{text}`")
    })?;
    Ok(digest)
}
