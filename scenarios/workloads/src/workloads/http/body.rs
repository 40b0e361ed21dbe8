//! The body of one request: JSON, form fields, text, or a file.
//!
//! A value from a slot is encoded as the body's type requires: as the inside of a JSON string, as part of a form field,
//! or not at all.

use std::path::Path;
use std::sync::OnceLock;

use bytes::Bytes;
use photofinish_harness::workload::{Failure, ParamError};
use serde_json::{Value, json};

use super::super::params::require;
use super::place::{at, template};
use super::spec::{BodySpec, RequestSpec};
use crate::data::{Encoding, Scope, Template, UNFIT, files};

/// A body, and its Content-Type unless the request has its own.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) content: Content,
    pub(super) content_type: Option<&'static str>,
}

#[derive(Debug)]
pub(super) enum Content {
    File(BodyFile),
    Template(Template),
}

/// A file that is sent unchanged.
#[derive(Debug)]
pub(super) struct BodyFile {
    file: String,
    sha256: String,
    /// Read once in each round.
    bytes: OnceLock<Bytes>,
}

impl BodyFile {
    pub(super) fn load(&self, directory: &Path) -> Result<(), Failure> {
        let failure = |message| Failure::new(UNFIT, message);
        let bytes = files::read(directory, &self.file).map_err(failure)?;
        let sha256 = files::sha256(&bytes);
        if !self.sha256.is_empty() && !self.sha256.eq_ignore_ascii_case(&sha256) {
            let (file, expected) = (&self.file, &self.sha256);
            return Err(failure(format!(
                "expected `{file}` to have the SHA-256 {expected}, got {sha256}"
            )));
        }
        self.bytes.get_or_init(|| Bytes::from(bytes));
        Ok(())
    }

    /// The file's content, once it is loaded.
    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.get().map_or(&[], |bytes| bytes)
    }

    /// The same content, without a copy.
    pub(super) fn shared(&self) -> Bytes {
        self.bytes.get().cloned().unwrap_or_default()
    }
}

/// Largest file whose slots are filled in: its text becomes part of the parameters.
const MOST_TEMPLATE: usize = 64 << 10;

/// Reads the files of bodies into the parameters: their SHA-256, and their text unless it is sent as it is. Returns the
/// errors.
pub fn survey(params: &mut Value, directory: &Path) -> Vec<ParamError> {
    let mut errors = Vec::new();
    survey_requests(params.get_mut("request"), "request", directory, &mut errors);
    let flows = params.get_mut("flow").and_then(Value::as_array_mut);
    for (index, flow) in flows.into_iter().flatten().enumerate() {
        let path = format!("flow.{index}.request");
        survey_requests(flow.get_mut("request"), &path, directory, &mut errors);
    }
    errors
}

fn survey_requests(
    requests: Option<&mut Value>,
    path: &str,
    directory: &Path,
    errors: &mut Vec<ParamError>,
) {
    let requests = requests.and_then(Value::as_array_mut);
    for (index, request) in requests.into_iter().flatten().enumerate() {
        // Wrong types are reported when the parameters are checked.
        let Some(body) = request.get_mut("body") else {
            continue;
        };
        let Ok(mut spec) = serde_json::from_value::<BodySpec>(body.clone()) else {
            continue;
        };
        match survey_body(&mut spec, directory) {
            Ok(()) => *body = json!(spec),
            Err(message) => errors.push(ParamError {
                param: format!("{path}.{index}.body.file"),
                message,
            }),
        }
    }
}

fn survey_body(spec: &mut BodySpec, directory: &Path) -> Result<(), String> {
    let (Some(file), None) = (&spec.file, &spec.text) else {
        return Ok(());
    };
    let bytes = files::read(directory, file)?;
    let sha256 = files::sha256(&bytes);
    if !spec.sha256.is_empty() && !spec.sha256.eq_ignore_ascii_case(&sha256) {
        return Err(format!(
            "expected `{file}` to have the SHA-256 {}, got {sha256}",
            spec.sha256
        ));
    }
    spec.sha256 = sha256;
    if !spec.raw && bytes.windows(2).any(|pair| pair == b"{{") {
        if bytes.len() > MOST_TEMPLATE {
            return Err(format!(
                "expected at most 64 KiB in a file with slots, got {} bytes in `{file}`; say `raw = true` to send it as it is",
                bytes.len()
            ));
        }
        // An image or an archive has no slots.
        spec.text = String::from_utf8(bytes).ok();
    }
    Ok(())
}

impl Body {
    /// Compiles the body of a request, which may have a Content-Type of its own.
    pub(super) fn compile(
        spec: &RequestSpec,
        content_type: Option<&str>,
        path: &str,
        scope: &mut Scope,
    ) -> Result<Option<Self>, ParamError> {
        let given = [
            ("json", spec.json.is_some()),
            ("body", spec.body.is_some()),
            ("form", spec.form.is_some()),
        ];
        let given: Vec<_> = given.iter().filter(|(_, given)| *given).collect();
        if let [_, (second, _), ..] = given[..] {
            require(false, &at(path, &[second]), || {
                "expected one of `json`, `body` and `form`".to_owned()
            })?;
        }
        let (content, default) = if let Some(value) = &spec.json {
            let content = template(
                &json_text(value),
                scope,
                Encoding::Json,
                &at(path, &["json"]),
            )?;
            (Content::Template(content), "application/json")
        } else if let Some(form) = &spec.form {
            let content = template(
                &form_text(form.iter()),
                scope,
                Encoding::Form,
                &at(path, &["form"]),
            )?;
            (
                Content::Template(content),
                "application/x-www-form-urlencoded",
            )
        } else if let Some(body) = &spec.body {
            let path = at(path, &["body"]);
            let default = body
                .file
                .as_deref()
                .map_or("text/plain; charset=utf-8", type_of);
            let encoding = encoding_of(content_type.unwrap_or(default));
            (Content::compile(body, encoding, &path, scope)?, default)
        } else {
            return Ok(None);
        };
        Ok(Some(Body {
            content,
            content_type: content_type.is_none().then_some(default),
        }))
    }
}

impl Content {
    fn compile(
        spec: &BodySpec,
        encoding: Encoding,
        path: &str,
        scope: &mut Scope,
    ) -> Result<Self, ParamError> {
        match (&spec.text, &spec.file) {
            (Some(text), _) if spec.raw => {
                let mut literal = Template::default();
                literal.push_literal(text.as_bytes());
                Ok(Self::Template(literal))
            }
            (Some(text), _) => template(text, scope, encoding, path).map(Self::Template),
            (None, Some(file)) => Ok(Self::File(BodyFile {
                file: file.clone(),
                sha256: spec.sha256.clone(),
                bytes: OnceLock::new(),
            })),
            (None, None) => Err(ParamError {
                param: path.to_owned(),
                message: "expected `text` or `file`, got neither".to_owned(),
            }),
        }
    }
}

fn type_of(file: &str) -> &'static str {
    match file.rsplit_once('.').map(|(_, extension)| extension) {
        Some("json") => "application/json",
        Some("txt") => "text/plain; charset=utf-8",
        Some("xml") => "application/xml",
        Some("html") => "text/html; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// The encoding of values in a body of this type.
fn encoding_of(content_type: &str) -> Encoding {
    if content_type.contains("json") {
        Encoding::Json
    } else if content_type.contains("x-www-form-urlencoded") {
        Encoding::Form
    } else {
        Encoding::None
    }
}

/// A value as JSON; a string that is a raw slot and nothing else is written without quotes.
fn json_text(value: &Value) -> String {
    let joined = |parts: Vec<String>| parts.join(",");
    match value {
        Value::String(text) => bare_slot(text).unwrap_or_else(|| value.to_string()),
        Value::Array(list) => format!("[{}]", joined(list.iter().map(json_text).collect())),
        Value::Object(table) => {
            let member = |(name, value): (&String, &Value)| {
                format!("{}:{}", Value::from(name.as_str()), json_text(value))
            };
            format!("{{{}}}", joined(table.iter().map(member).collect()))
        }
        _ => value.to_string(),
    }
}

/// `{{x}}` for `{{x|raw}}`: outside of quotes a slot takes only a number or another bare value.
fn bare_slot(text: &str) -> Option<String> {
    let inside = text.strip_prefix("{{")?.strip_suffix("}}")?;
    let (name, filter) = inside.split_once('|')?;
    (filter.trim() == "raw" && !inside.contains("{{")).then(|| format!("{{{{{name}}}}}"))
}

/// Form fields, with the literal parts of their values encoded.
fn form_text<'a>(fields: impl Iterator<Item = (&'a String, &'a String)>) -> String {
    let encoded =
        |text: &str| -> String { url::form_urlencoded::byte_serialize(text.as_bytes()).collect() };
    let pairs = fields.map(|(name, text)| {
        let mut value = String::new();
        let mut rest = text.as_str();
        while let Some((before, after)) = rest.split_once("{{") {
            let (slot, after) = after.split_once("}}").unwrap_or((after, ""));
            value += &format!("{}{{{{{slot}}}}}", encoded(before));
            rest = after;
        }
        format!("{}={value}{}", encoded(name), encoded(rest))
    });
    pairs.collect::<Vec<_>>().join("&")
}
