//! The state of one session, and its decisions: what to send next, and what a response means.
//!
//! Without I/O, so that it is compiled only once instead of for each runtime: `http.rs` sends and receives.

use std::ops::Range;

use photofinish_harness::workload::Failure;

use super::super::answer::Answer;
use super::super::http_connection::Endpoint;
use super::compile::Script;
use super::cookies::Jar;
use super::message::Message;
use super::redirect::{is_redirect, next_method, next_path};
use super::spec::{Cookies, HttpVersion};
use super::step::{OutgoingRequest, Step};
use crate::data::{UNFIT, Values};
use crate::protocol::http::Method;

/// The state of one session besides its connection.
pub(super) struct Walk {
    values: Values,
    jar: Jar,
    /// The current request as HTTP/1.1 bytes.
    pub(super) request: Vec<u8>,
    /// The current request for HTTP/2; `None` with HTTP/1.1.
    pub(super) message: Option<Box<Message>>,
    /// The step whose unchanging bytes are in `request` or `message`.
    held: Option<usize>,
    /// Path and query of the current request.
    path: String,
    scratch: Vec<u8>,
    /// The beginning of every path.
    prefix: String,
    scheme: &'static str,
    authority: String,
    /// The server's name in the current request: its Host field.
    host: Vec<u8>,
}

/// The attempts to perform one step: its tries and redirects.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attempts {
    pub(super) method: Method,
    tries: u32,
    redirects: u32,
    /// False once a redirect has changed the method: what follows has no body either.
    with_body: bool,
}

/// The meaning of a response, or of its absence.
pub(super) struct Verdict {
    pub(super) result: Result<(), Failure>,
    /// True if another request of the same step follows, whatever the result.
    pub(super) again: bool,
}

impl Walk {
    pub(super) fn new(
        endpoint: &Endpoint,
        version: HttpVersion,
        values: Values,
    ) -> Result<Self, Failure> {
        let message = match version {
            HttpVersion::Http1 => None,
            HttpVersion::Http2 => Some(Box::new(Message::new(endpoint)?)),
        };
        Ok(Self {
            message,
            values,
            jar: Jar::default(),
            request: Vec::new(),
            held: None,
            path: String::new(),
            scratch: Vec::new(),
            prefix: endpoint.prefix()?.to_owned(),
            scheme: endpoint.scheme(),
            authority: endpoint.authority().to_owned(),
            host: Vec::new(),
        })
    }

    /// Path and query of the current request.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Begins operation `op`, and returns its steps.
    pub(super) fn begin(
        &mut self,
        script: &Script,
        seed: u64,
        op: u64,
    ) -> Result<Range<usize>, Failure> {
        self.values.begin(op)?;
        if script.http.cookies == Cookies::Enabled(true) {
            self.jar.clear();
        }
        Ok(script.steps_of(seed, op))
    }

    /// Prepares the request of a step.
    pub(super) fn prepare(
        &mut self,
        step: &Step,
        index: usize,
        redirects: u32,
    ) -> Result<Attempts, Failure> {
        let method = step.method;
        if self.held != Some(index) {
            self.held = step.is_fixed.then_some(index);
            let rendered = self.render(step);
            rendered.map_err(|failure| self.about(step, failure))?;
        }
        Ok(Attempts {
            method,
            tries: step.tries.get(),
            redirects,
            with_body: true,
        })
    }

    fn render(&mut self, step: &Step) -> Result<(), Failure> {
        let mut path = std::mem::take(&mut self.path).into_bytes();
        path.clear();
        path.extend_from_slice(self.prefix.as_bytes());
        let written = step.write_target(&mut self.values, &mut path);
        // Literal parts are text, and values are encoded or checked to be ASCII.
        self.path = String::from_utf8(path).unwrap_or_default();
        written?;
        if !self.path.starts_with('/') {
            return Err(Failure::new(
                UNFIT,
                format!("expected a path that starts with `/`, got `{}`", self.path),
            ));
        }
        self.encode(step, step.method, true)
    }

    fn encode(&mut self, step: &Step, method: Method, with_body: bool) -> Result<(), Failure> {
        let outgoing = OutgoingRequest {
            method,
            path: self.path.as_bytes(),
            authority: &self.authority,
            with_body,
        };
        match &mut self.message {
            None => {
                self.request.clear();
                step.write(outgoing, &mut self.values, &self.jar, &mut self.request)?;
            }
            Some(message) => {
                step.fill(&mut self.values)?;
                message.write(step, outgoing, &self.values, &self.jar)?;
            }
        }
        self.host.clear();
        step.write_host(&self.authority, &self.values, &mut self.host);
        Ok(())
    }

    /// Judges the outcome of a request: a response, or the failure to get one.
    pub(super) fn judge(
        &mut self,
        script: &Script,
        step: &Step,
        attempts: &mut Attempts,
        outcome: Result<&Answer, Failure>,
        same: Option<&[u8]>,
    ) -> Verdict {
        let status = outcome.as_ref().ok().map(|answer| answer.status());
        let result = outcome.and_then(|answer| self.read(script, step, *attempts, answer, same));
        match result {
            Ok(None) => Verdict::end(Ok(())),
            Ok(Some(method)) => {
                attempts.redirects -= 1;
                attempts.with_body &= method == attempts.method;
                attempts.method = method;
                self.held = None;
                match self.encode(step, method, attempts.with_body) {
                    Ok(()) => Verdict {
                        result: Ok(()),
                        again: true,
                    },
                    failed => Verdict::end(failed),
                }
            }
            Err(failure) => {
                let again = attempts.tries > 1 && is_worth_another_try(&failure, status);
                attempts.tries -= u32::from(again);
                let result = Err(self.about(step, failure));
                Verdict { result, again }
            }
        }
    }

    /// Reads a response: cookies, captures, checks. Returns the method of the request to follow a redirect with.
    fn read(
        &mut self,
        script: &Script,
        step: &Step,
        attempts: Attempts,
        answer: &Answer,
        same: Option<&[u8]>,
    ) -> Result<Option<Method>, Failure> {
        if script.http.cookies != Cookies::Enabled(false) {
            let host = String::from_utf8_lossy(&self.host);
            for field in answer.fields("set-cookie") {
                self.jar.note(field, host_of(&host), self.path.as_bytes());
            }
        }
        let status = answer.status();
        if attempts.redirects > 0
            && is_redirect(status)
            && let Some(location) = answer.location()
        {
            let host = String::from_utf8_lossy(&self.host);
            let names = [&*host, &self.authority];
            self.path = next_path(self.scheme, names, &self.path, location)?;
            return Ok(Some(next_method(attempts.method, status)));
        }
        step.check
            .judge(answer, &mut self.values, &mut self.scratch, same)?;
        for capture in &step.captures {
            capture.take(answer, &mut self.values)?;
        }
        Ok(None)
    }

    /// The failure with the name of its request, and without secrets.
    #[cold]
    fn about(&self, step: &Step, failure: Failure) -> Failure {
        let detail = format!("{}: {}", step.name, self.values.conceal(&failure.detail));
        failure.described(detail)
    }
}

impl Verdict {
    fn end(result: Result<(), Failure>) -> Self {
        let again = false;
        Self { result, again }
    }
}

/// True for a broken connection, a deadline, and a status that suggests another try.
fn is_worth_another_try(failure: &Failure, status: Option<u16>) -> bool {
    match failure.kind {
        Failure::REFUSED
        | Failure::RESET
        | Failure::SHORT
        | Failure::CLOSED_IDLE
        | Failure::TIMEOUT => true,
        Failure::STATUS => matches!(status, Some(429 | 502 | 503 | 504)),
        _ => false,
    }
}

/// The host of an authority, without its port.
fn host_of(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}
