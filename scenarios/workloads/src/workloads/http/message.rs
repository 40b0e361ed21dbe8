//! A request in HTTP/2: a head of typed fields, and a body.
//!
//! Steps, values and the jar are the same as for HTTP/1.1, which `step.rs` writes as text. Field names are lowercase, the
//! name of the server is `:authority`, and fields that concern one connection do not exist.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HeaderMap, HeaderValue};
use http::uri::{Authority, Parts, PathAndQuery, Scheme};
use http::{Request, Uri, Version};
use photofinish_harness::workload::Failure;

use super::super::http_connection::Endpoint;
use super::body::Content;
use super::cookies::Jar;
use super::step::{OutgoingRequest, Step};
use crate::data::{UNFIT, Values};

/// The current request, and the parts that all requests of a session share.
#[derive(Debug)]
pub(super) struct Message {
    scheme: Scheme,
    authority: Authority,
    head: Request<()>,
    body: Option<Bytes>,
    scratch: Vec<u8>,
}

impl Message {
    pub(super) fn new(endpoint: &Endpoint) -> Result<Self, Failure> {
        Ok(Self {
            scheme: endpoint.scheme().parse().map_err(unfit)?,
            authority: endpoint.authority().parse().map_err(unfit)?,
            head: Request::new(()),
            body: None,
            scratch: Vec::new(),
        })
    }

    /// The current request, ready to send.
    pub(super) fn parts(&self) -> (Request<()>, Option<Bytes>) {
        (self.head.clone(), self.body.clone())
    }

    /// Builds the request of a step whose templates have been filled.
    pub(super) fn write(
        &mut self,
        step: &Step,
        outgoing: OutgoingRequest<'_>,
        values: &Values,
        jar: &Jar,
    ) -> Result<(), Failure> {
        let mut fields = HeaderMap::with_capacity(step.fields.len() + 3);
        for field in &step.fields {
            let value = match &field.literal {
                Some(literal) => literal.clone(),
                None => {
                    self.scratch.clear();
                    values.render(&field.value, &mut self.scratch);
                    HeaderValue::from_bytes(&self.scratch).map_err(unfit)?
                }
            };
            fields.append(field.lowercase.clone(), value);
        }
        self.scratch.clear();
        jar.write_value(outgoing.path, &mut self.scratch);
        if !self.scratch.is_empty() {
            fields.append(
                COOKIE,
                HeaderValue::from_bytes(&self.scratch).map_err(unfit)?,
            );
        }
        self.write_body(step, outgoing, values, &mut fields);
        let mut parts = Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority_of(step, outgoing, values)?);
        parts.path_and_query = Some(PathAndQuery::try_from(outgoing.path).map_err(unfit)?);
        let head = &mut self.head;
        *head.method_mut() = outgoing.method.as_str().parse().map_err(unfit)?;
        *head.uri_mut() = Uri::from_parts(parts).map_err(unfit)?;
        *head.version_mut() = Version::HTTP_2;
        *head.headers_mut() = fields;
        Ok(())
    }

    fn authority_of(
        &mut self,
        step: &Step,
        outgoing: OutgoingRequest<'_>,
        values: &Values,
    ) -> Result<Authority, Failure> {
        if step.host.is_none() {
            return Ok(self.authority.clone());
        }
        self.scratch.clear();
        step.write_host(outgoing.authority, values, &mut self.scratch);
        Authority::try_from(self.scratch.as_slice()).map_err(unfit)
    }

    fn write_body(
        &mut self,
        step: &Step,
        outgoing: OutgoingRequest<'_>,
        values: &Values,
        fields: &mut HeaderMap,
    ) {
        let body = step.body.as_ref().filter(|_| outgoing.with_body);
        if let Some(content_type) = body.and_then(|body| body.content_type) {
            fields.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        self.body = body.map(|body| match &body.content {
            Content::File(file) => file.shared(),
            Content::Template(template) => {
                self.scratch.clear();
                values.render(template, &mut self.scratch);
                Bytes::copy_from_slice(&self.scratch)
            }
        });
        let announced = outgoing.method.announces_empty_body().then_some(0);
        if let Some(length) = self.body.as_ref().map(Bytes::len).or(announced) {
            fields.insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        self.body.take_if(|body| body.is_empty());
    }
}

fn unfit(error: impl ToString) -> Failure {
    Failure::new(UNFIT, error.to_string())
}
