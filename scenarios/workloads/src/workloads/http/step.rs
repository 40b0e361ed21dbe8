//! One request, compiled: templates of its path, header fields and body, and the checks of its response.
//!
//! The fields that frame a message are written only here: Host, Content-Length, Cookie. A value from a slot is encoded
//! for its place, so that none can inject a second request.

use std::io::Write as _;
use std::num::NonZeroU32;
use std::path::Path;
use std::time::Duration;

use http::header::{HeaderName, HeaderValue};
use photofinish_harness::workload::{Failure, ParamError};
use photofinish_record::Part;
use serde::Serialize;

use super::super::answer::Keep;
use super::super::http_connection::CLOSE;
use super::super::params::require;
use super::body::{Body, Content};
use super::capture::Capture;
use super::check::Check;
use super::cookies::Jar;
use super::place::{at, template};
use super::spec::{Cookies, HttpSpec, HttpVersion, RequestSpec};
use crate::data::{Encoding, Scope, Template, Values};
use crate::protocol::http::{Method, is_field_name, unaskable};

/// One request.
#[derive(Debug)]
pub(super) struct Step {
    /// Its location among the parameters.
    pub(super) path: String,
    pub(super) name: String,
    /// True if the name is the user's.
    pub(super) is_named: bool,
    pub(super) method: Method,
    target: Template,
    pub(super) host: Option<Template>,
    pub(super) fields: Vec<Field>,
    pub(super) body: Option<Body>,
    pub(super) check: Check,
    pub(super) captures: Vec<Capture>,
    /// The part of the response's body to keep.
    pub(super) keep: Keep,
    pub(super) pause: Option<Duration>,
    pub(super) timeout: Option<Duration>,
    pub(super) tries: NonZeroU32,
    /// True if every operation sends the same bytes.
    pub(super) is_fixed: bool,
    /// True if it is the whole of an operation: alone in it, sent once, and without a pause.
    pub(super) is_operation: bool,
    /// True if its bytes differ between rounds.
    is_unique: bool,
}

/// A header field.
#[derive(Debug)]
pub(super) struct Field {
    name: String,
    pub(super) lowercase: HeaderName,
    pub(super) value: Template,
    /// The value, if it has no slots.
    pub(super) literal: Option<HeaderValue>,
}

impl Field {
    fn new(name: &str, value: Template, path: &str) -> Result<Self, ParamError> {
        let invalid = |error: &dyn std::fmt::Display| ParamError {
            param: path.to_owned(),
            message: error.to_string(),
        };
        let literal = value.literal().map(HeaderValue::from_bytes).transpose();
        Ok(Self {
            name: name.to_owned(),
            lowercase: HeaderName::from_bytes(name.as_bytes()).map_err(|error| invalid(&error))?,
            literal: literal.map_err(|error| invalid(&error))?,
            value,
        })
    }
}

/// A request on its way: a redirect changes these parts of a step.
#[derive(Clone, Copy, Debug)]
pub(super) struct OutgoingRequest<'a> {
    pub(super) method: Method,
    pub(super) path: &'a [u8],
    pub(super) authority: &'a str,
    pub(super) with_body: bool,
}

impl Step {
    /// Compiles the parameters at `path`.
    pub(super) fn compile(
        spec: &RequestSpec,
        http: &HttpSpec,
        path: &str,
        scope: &mut Scope,
    ) -> Result<Self, ParamError> {
        let (method, target) = method_and_target(&spec.send, &at(path, &["send"]))?;
        let mut host = None;
        let mut fields = Vec::new();
        for (source, name, text) in all_headers(spec, http, path) {
            check_name(name, &source)?;
            check_value(name, text, &source)?;
            let value = template(text, scope, Encoding::Header, &source)?;
            if name.eq_ignore_ascii_case("host") {
                host = Some(value);
            } else {
                let field = Field::new(name, value, &source)?;
                if http.version == HttpVersion::Http2 {
                    check_http2_name(&field.lowercase, &source)?;
                }
                fields.push(field);
            }
        }
        let content_type = header(spec, http, "content-type");
        let body = Body::compile(spec, content_type, path, scope)?;
        let target_text = target;
        let target = template(target, scope, Encoding::Percent, &at(path, &["send"]))?;
        let check = Check::compile(&spec.expect, &at(path, &["expect"]), scope)?;
        let mut captures = Vec::new();
        for (name, text) in &spec.capture {
            captures.push(Capture::compile(
                name,
                text,
                &at(path, &["capture", name]),
                scope,
            )?);
        }
        let keeps = captures.iter().map(Capture::keep);
        let keep = keeps.fold(
            check.keep(),
            |one, other| if other == Keep::Whole { other } else { one },
        );
        let mut step = Self {
            path: path.to_owned(),
            name: spec
                .name
                .clone()
                .unwrap_or_else(|| default_name(method, target_text)),
            is_named: spec.name.is_some(),
            method,
            target,
            host,
            fields,
            body,
            check,
            captures,
            keep,
            pause: spec.pause.map(|pause| pause.0),
            timeout: spec.timeout.or(http.timeout).map(|limit| limit.0),
            tries: spec.tries.unwrap_or(http.tries),
            is_fixed: false,
            is_operation: false,
            is_unique: false,
        };
        let has_slots = step
            .templates()
            .any(|template| template.literal().is_none());
        require(
            !(has_slots && step.check.same),
            &at(path, &["expect", "body"]),
            || {
                "expected a request without slots for `same`, got one that differs between operations".to_owned()
            },
        )?;
        step.is_fixed = !has_slots && http.cookies == Cookies::Enabled(false);
        step.is_unique = mentions_round(spec) || mentions_round(&http.headers);
        Ok(step)
    }

    /// Reads the file of its body, if it has one.
    pub(super) fn load(&self, directory: &Path) -> Result<(), Failure> {
        match self.body.as_ref().map(|body| &body.content) {
            Some(Content::File(file)) => file.load(directory),
            Some(Content::Template(_)) | None => Ok(()),
        }
    }

    fn templates(&self) -> impl Iterator<Item = &Template> {
        let body = self.body.as_ref().and_then(|body| match &body.content {
            Content::Template(template) => Some(template),
            Content::File(_) => None,
        });
        let fields = self.fields.iter().map(|field| &field.value);
        [&self.target]
            .into_iter()
            .chain(&self.host)
            .chain(fields)
            .chain(body)
    }

    /// True if it makes the same change on the server in every round.
    pub(super) fn repeats_a_write(&self) -> bool {
        let writes = !matches!(self.method, Method::Get | Method::Head | Method::Options);
        writes && !self.is_unique
    }

    /// The names of the response's header fields that it needs.
    pub(super) fn watched(&self) -> impl Iterator<Item = &str> {
        self.check
            .fields()
            .chain(self.captures.iter().filter_map(Capture::field))
    }

    /// Appends path and query.
    pub(super) fn write_target(
        &self,
        values: &mut Values,
        out: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        values.fill(&self.target)?;
        values.render(&self.target, out);
        Ok(())
    }

    /// Computes the values of all slots.
    pub(super) fn fill(&self, values: &mut Values) -> Result<(), Failure> {
        self.templates()
            .try_for_each(|template| values.fill(template))
    }

    /// Appends the whole request as HTTP/1.1.
    pub(super) fn write(
        &self,
        outgoing: OutgoingRequest<'_>,
        values: &mut Values,
        jar: &Jar,
        out: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        self.fill(values)?;
        out.extend_from_slice(outgoing.method.as_str().as_bytes());
        out.push(b' ');
        out.extend_from_slice(outgoing.path);
        out.extend_from_slice(b" HTTP/1.1\r\nhost: ");
        self.write_host(outgoing.authority, values, out);
        out.extend_from_slice(b"\r\n");
        for field in &self.fields {
            out.extend_from_slice(field.name.as_bytes());
            out.extend_from_slice(b": ");
            values.render(&field.value, out);
            out.extend_from_slice(b"\r\n");
        }
        jar.write(outgoing.path, out);
        self.write_body(outgoing, values, out);
        Ok(())
    }

    /// Appends the value of the field Host. Its template has been filled.
    pub(super) fn write_host(&self, authority: &str, values: &Values, out: &mut Vec<u8>) {
        match &self.host {
            Some(host) => values.render(host, out),
            None => out.extend_from_slice(authority.as_bytes()),
        }
    }

    /// Appends what follows the other header fields.
    fn write_body(&self, outgoing: OutgoingRequest<'_>, values: &Values, out: &mut Vec<u8>) {
        let body = self.body.as_ref().filter(|_| outgoing.with_body);
        if let Some(content_type) = body.and_then(|body| body.content_type) {
            write!(out, "content-type: {content_type}\r\n").expect("writing to memory");
        }
        let length = body.map(|body| match &body.content {
            Content::File(file) => file.bytes().len(),
            Content::Template(template) => values.rendered_len(template),
        });
        let length = length.or_else(|| outgoing.method.announces_empty_body().then_some(0));
        if let Some(length) = length {
            write!(out, "content-length: {length}\r\n").expect("writing to memory");
        }
        out.extend_from_slice(b"\r\n");
        match body.map(|body| &body.content) {
            Some(Content::File(file)) => out.extend_from_slice(file.bytes()),
            Some(Content::Template(template)) => values.render(template, out),
            None => {}
        }
    }
}

/// True if a part of a request contains the number of its round.
fn mentions_round(spec: &impl Serialize) -> bool {
    let text = serde_json::to_string(spec).expect("parameters are plain data");
    let mut slots = text.split("{{").skip(1);
    slots.any(|slot| {
        let name = slot.split(['}', '|']).next().unwrap_or_default();
        name.trim() == "round"
    })
}

/// Reads `GET /path`.
fn method_and_target<'a>(send: &'a str, path: &str) -> Result<(Method, &'a str), ParamError> {
    let (method, target) = send.split_once(' ').unwrap_or((send, ""));
    let target = target.trim();
    let method = Method::parse(method);
    require(method.is_some() && !target.is_empty(), path, || {
        format!("expected a method and a path such as `GET /items/7`, got `{send}`")
    })?;
    require(!target.contains("://"), path, || {
        format!("expected a path, got `{target}`; name the server with --target http=URL")
    })?;
    let literal = without_slots(target);
    require(
        literal.starts_with('/') || target.starts_with("{{"),
        path,
        || format!("expected a path that starts with `/`, got `{target}`"),
    )?;
    match unaskable(&literal) {
        None => Ok((method.expect("checked"), target)),
        Some(message) => require(false, path, || message).map(|()| unreachable!("just refused")),
    }
}

/// The text with `x` for each slot.
fn without_slots(text: &str) -> String {
    let mut literal = String::new();
    let mut rest = text;
    while let Some((before, slot)) = rest.split_once("{{") {
        literal += before;
        literal.push('x');
        rest = slot.split_once("}}").map_or("", |(_, after)| after);
    }
    literal + rest
}

/// Maximum length of a path that names a request: the rest of a part's name is for the method and a number.
const LONGEST_PATH: usize = Part::LONGEST_NAME - 20;

/// Method and path without the query.
fn default_name(method: Method, target: &str) -> String {
    let path = target.split('?').next().unwrap_or(target);
    let path: String = path.chars().take(LONGEST_PATH).collect();
    format!("{} {path}", method.as_str())
}

/// All header fields of a request, each with its location among the parameters.
fn all_headers<'a>(
    spec: &'a RequestSpec,
    http: &'a HttpSpec,
    path: &str,
) -> Vec<(String, &'a str, &'a str)> {
    let own = |name: &str| {
        spec.headers
            .keys()
            .any(|other| other.eq_ignore_ascii_case(name))
    };
    let common = http.headers.iter().filter(|(name, _)| !own(name));
    let common =
        common.map(|(name, text)| (at("http.headers", &[name]), name.as_str(), text.as_str()));
    let own = spec.headers.iter();
    let own = own.map(|(name, text)| (at(path, &["headers", name]), name.as_str(), text.as_str()));
    let is_only_request =
        http.version == HttpVersion::Http1 && http.keep_alive.most_requests() == 1;
    let closes = is_only_request && header(spec, http, CLOSE.0).is_none();
    let close = closes.then(|| (path.to_owned(), CLOSE.0, CLOSE.1));
    common.chain(own).chain(close).collect()
}

fn header<'a>(spec: &'a RequestSpec, http: &'a HttpSpec, name: &str) -> Option<&'a str> {
    let mut all = spec.headers.iter().chain(&http.headers);
    let found = all.find(|(other, _)| other.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.as_str())
}

fn check_name(name: &str, path: &str) -> Result<(), ParamError> {
    let is = |other: &str| name.eq_ignore_ascii_case(other);
    require(is_field_name(name), path, || {
        format!("expected the name of a header, got `{name}`")
    })?;
    require(
        !is("content-length") && !is("transfer-encoding"),
        path,
        || format!("`{name}` is written with the body and cannot be set"),
    )?;
    require(!is("expect"), path, || {
        "`expect: 100-continue` is not supported: a body is sent without waiting for an interim response".to_owned()
    })
}

/// Rejects a field that does not exist in HTTP/2 (RFC 9113, section 8.2.2).
fn check_http2_name(name: &HeaderName, path: &str) -> Result<(), ParamError> {
    const OF_CONNECTIONS: [&str; 4] = ["connection", "keep-alive", "proxy-connection", "upgrade"];
    require(!OF_CONNECTIONS.contains(&name.as_str()), path, || {
        format!("HTTP/2 has no header `{name}`: it controls HTTP/1.1 connections")
    })
}

fn is_grpc(content_type: &str) -> bool {
    let start = content_type.trim_start().get(..16);
    start.is_some_and(|start| start.eq_ignore_ascii_case("application/grpc"))
}

fn check_value(name: &str, text: &str, path: &str) -> Result<(), ParamError> {
    require(
        !(name.eq_ignore_ascii_case("content-type") && is_grpc(text)),
        path,
        || {
            "gRPC is not supported: its status is in trailers, which are ignored, and its messages are not text".to_owned()
        },
    )?;
    let is_allowed = |byte: u8| !byte.is_ascii_control() || byte == b'\t';
    require(text.bytes().all(is_allowed), path, || {
        format!("expected a header without line breaks and other control characters, got {text:?}")
    })
}
