//! HTTP requests on their way into a scenario for the workload `http`: one target, and everything else as TOML.

use std::fmt::Write as _;

use photofinish_record::Part;
use url::{Position, Url};

use super::variables::Variables;
use super::{BodyFile, Context, Import, ImportError, quoted};
use photofinish_workloads::protocol::http::{Method, is_field_name};

/// Header fields that the workload writes itself.
const FRAMING: [&str; 4] = [
    "content-length",
    "transfer-encoding",
    "connection",
    "expect",
];

/// One request.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Option<Body>,
    /// The value of `expect.status`, as TOML; a success if `None`.
    pub(super) status: Option<String>,
}

/// The body of a request.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Body {
    Bytes(Vec<u8>),
    /// A file, by name.
    File(String),
}

/// The way in which requests follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Each is drawn for itself, as often as its weight says.
    Mix,
    /// All of them, one after the other.
    Flow,
}

/// All that goes into a scenario.
pub(super) struct Requests {
    pub(super) format: &'static str,
    pub(super) order: Order,
    /// Each with its weight.
    pub(super) requests: Vec<(u32, Request)>,
    /// Lines of the section `[http]`.
    pub(super) settings: Vec<String>,
    pub(super) insecure: bool,
    /// A Unix socket to use instead of the URL's host.
    pub(super) socket: Option<String>,
    pub(super) notes: Vec<String>,
}

impl Request {
    /// A request without header fields and body.
    pub(super) fn new(method: &str, url: &str) -> Result<Self, ImportError> {
        let known = Method::parse(method).ok_or_else(|| {
            let known = "GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS";
            ImportError::new(format!("expected {known}, got the method `{method}`"))
        })?;
        let wrong = |reason: &str| {
            ImportError::new(format!(
                "expected an http:// or https:// URL with a host, got {reason}"
            ))
        };
        let url = Url::parse(url).map_err(|error| wrong(&format!("one with an error: {error}")))?;
        if !["http", "https"].contains(&url.scheme()) || url.host_str().is_none() {
            return Err(wrong(&format!("the scheme `{}`", url.scheme())));
        }
        Ok(Self {
            method: known,
            url,
            headers: Vec::new(),
            body: None,
            status: None,
        })
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(other, _)| other.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// Adds a header field. A second one of the same name joins the first, as a list.
    pub(super) fn add_header(&mut self, name: &str, value: &str) -> Result<(), ImportError> {
        if !is_field_name(name) || value.chars().any(|it| it.is_control() && it != '\t') {
            return Err(ImportError::new(format!(
                "expected a header field such as `accept: */*`, got `{}`",
                name.escape_debug()
            )));
        }
        if value.contains("{{") {
            return Err(ImportError::new(format!(
                "the header `{name}` has `{{{{`, which begins a slot in a scenario"
            ))
            .hint("import it without this header, and add the header with its value in an environment variable"));
        }
        if FRAMING
            .iter()
            .any(|framing| name.eq_ignore_ascii_case(framing))
        {
            return Ok(());
        }
        let separator = if name.eq_ignore_ascii_case("cookie") {
            "; "
        } else {
            ", "
        };
        let same = self
            .headers
            .iter_mut()
            .find(|(other, _)| other.eq_ignore_ascii_case(name));
        match same {
            Some((_, first)) => *first += &format!("{separator}{value}"),
            None => self.headers.push((name.to_owned(), value.to_owned())),
        }
        Ok(())
    }

    /// Adds a header field unless there is one of this name.
    pub(super) fn default_header(&mut self, name: &str, value: &str) -> Result<(), ImportError> {
        match self.header(name) {
            Some(_) => Ok(()),
            None => self.add_header(name, value),
        }
    }

    /// Scheme, host and port.
    pub(super) fn origin(&self) -> &str {
        &self.url[..Position::BeforePath]
    }

    /// Takes user and password out of the URL.
    fn take_credentials(&mut self) -> Result<(), ImportError> {
        let (user, password) = (
            self.url.username().to_owned(),
            self.url.password().unwrap_or_default().to_owned(),
        );
        if user.is_empty() && password.is_empty() {
            return Ok(());
        }
        // Neither fails for a URL with a host.
        let _ = self.url.set_username("");
        let _ = self.url.set_password(None);
        self.default_header("authorization", &format!("Basic {user}:{password}"))
    }
}

impl Requests {
    /// Requests without settings.
    pub(super) fn new(format: &'static str, order: Order) -> Self {
        Self {
            format,
            order,
            requests: Vec::new(),
            settings: Vec::new(),
            insecure: false,
            socket: None,
            notes: Vec::new(),
        }
    }

    /// Writes the scenario, without the values of secrets.
    pub(super) fn write(mut self, context: &Context<'_>) -> Result<Import, ImportError> {
        for (_, request) in &mut self.requests {
            request.take_credentials()?;
        }
        let origin = self.one_origin()?;
        let target = match &self.socket {
            Some(socket) => format!("http=unix:{socket}"),
            None => format!("http={origin}"),
        };
        let mut writer = Writer {
            path: context.path,
            variables: Variables::new(context),
            bodies: Vec::new(),
            notes: std::mem::take(&mut self.notes),
            text: String::new(),
        };
        writer.sections(&self)?;
        let variables = writer.variables.all();
        let head = head(self.format, &target, variables, &writer.notes);
        Ok(Import {
            scenario: head + &writer.text,
            variables: writer
                .variables
                .all()
                .map(|(name, _)| name.to_owned())
                .collect(),
            target,
            notes: writer.notes,
            bodies: writer.bodies,
        })
    }

    /// The origin that all requests share.
    fn one_origin(&self) -> Result<String, ImportError> {
        let mut origins = self.requests.iter().map(|(_, request)| request.origin());
        let first = origins
            .next()
            .ok_or_else(|| ImportError::new("expected a request, got none"))?;
        if let Some(other) = origins.find(|origin| *origin != first) {
            return Err(ImportError::new(format!(
                "expected requests to one server, got {first} and {other}"
            ))
            .hint("import the requests of each server by themselves"));
        }
        if self.requests.len() > Part::MOST {
            return Err(ImportError::new(format!(
                "expected at most {} requests, got {}",
                Part::MOST,
                self.requests.len()
            ))
            .hint("leave out those that do not matter, such as images; for many URLs of one kind, write one request and a feed of values"));
        }
        Ok(first.to_owned())
    }
}

/// The comment at the beginning of the file.
pub(super) fn head<'a>(
    format: &str,
    target: &str,
    variables: impl Iterator<Item = (&'a str, &'a str)>,
    notes: &[String],
) -> String {
    let mut text = format!(
        "# Written by `photofinish import {format}`; docs/SERVICES.md describes the keys. Review it, then\n\
         #   photofinish run FILE --target {target}\n"
    );
    for (number, (name, about)) in variables.enumerate() {
        if number == 0 {
            text += "# Credentials were replaced. Set these environment variables:\n";
        }
        let _ = writeln!(text, "#   {name}: {}", one_line(about));
    }
    for note in notes {
        let _ = writeln!(text, "# {}", one_line(note));
    }
    text
}

fn one_line(text: &str) -> String {
    text.chars()
        .map(|it| if it.is_control() { ' ' } else { it })
        .collect()
}

/// The text of the sections so far.
struct Writer<'a> {
    path: &'a dyn Fn(&str) -> Result<String, ImportError>,
    variables: Variables<'a>,
    bodies: Vec<BodyFile>,
    notes: Vec<String>,
    text: String,
}

impl Writer<'_> {
    fn sections(&mut self, all: &Requests) -> Result<(), ImportError> {
        if all.insecure {
            self.text += "\n[tls]\ninsecure = true\n";
        }
        if !all.settings.is_empty() {
            self.text += &format!("\n[http]\n{}\n", all.settings.join("\n"));
        }
        if all.order == Order::Flow {
            self.text += "\n[[flow]]\n";
        }
        for (weight, request) in &all.requests {
            self.text += match all.order {
                Order::Mix => "\n[[request]]\n",
                Order::Flow => "\n[[flow.request]]\n",
            };
            if *weight > 1 {
                self.line("weight", &weight.to_string());
            }
            self.request(request, all.socket.is_some())?;
        }
        Ok(())
    }

    fn line(&mut self, key: &str, value: &str) {
        let _ = writeln!(self.text, "{key} = {value}");
    }

    fn request(&mut self, request: &Request, over_socket: bool) -> Result<(), ImportError> {
        // In a URL, braces mean the same percent-encoded.
        let mut target = request.url.path().replace("{{", "%7B%7B");
        if let Some(query) = request.url.query() {
            let query = query.replace("{{", "%7B%7B");
            target += &format!("?{}", self.variables.fields(&query));
        }
        self.line(
            "send",
            &quoted(&format!("{} {target}", request.method.as_str())),
        );
        if over_socket && request.header("host").is_none() {
            let host = &request.url[Position::BeforeHost..Position::AfterPort];
            self.line("headers.host", &quoted(host));
        }
        for (name, value) in &request.headers {
            let value = self.variables.header(name, value);
            let name = if name
                .bytes()
                .all(|it| it.is_ascii_alphanumeric() || b"-_".contains(&it))
            {
                name.clone()
            } else {
                quoted(name)
            };
            self.line(&format!("headers.{name}"), &quoted(&value));
        }
        match &request.body {
            Some(Body::Bytes(bytes)) => self.body(bytes, request)?,
            Some(Body::File(file)) => {
                let file = (self.path)(file)?;
                self.line("body.file", &quoted(&file));
                self.line("body.raw", "true");
                self.note(format!("`{file}` is read relative to this file."));
            }
            None => {}
        }
        if let Some(status) = &request.status {
            self.line("expect.status", status);
        }
        Ok(())
    }

    fn note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    fn body(&mut self, bytes: &[u8], request: &Request) -> Result<(), ImportError> {
        let Ok(text) = str::from_utf8(bytes) else {
            let name = format!("body-{}.bin", self.bodies.len() + 1);
            self.line("body.file", &quoted(&name));
            self.line("body.raw", "true");
            self.bodies.push(BodyFile {
                name,
                bytes: bytes.to_vec(),
            });
            return Ok(());
        };
        let safe = self
            .variables
            .body(text, request.header("content-type").unwrap_or_default());
        let has_braces = text.contains("{{");
        if has_braces && safe != text {
            return Err(ImportError::new(format!(
                "the body of `{} {}` has a credential and `{{{{`, which begins a slot in a scenario",
                request.method.as_str(),
                request.url.path()
            ))
            .hint("put the body into a file, and name the file"));
        }
        self.line("body.text", &quoted(&safe));
        if has_braces {
            self.line("body.raw", "true");
        }
        Ok(())
    }
}
