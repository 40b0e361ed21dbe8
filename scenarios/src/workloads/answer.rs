//! A response during and after reading: status, watched fields, and the part of its body that is kept.
//!
//! A body that is only counted or compared by digest is not kept, so that memory stays flat at any size.
//! `http_connection.rs` reads HTTP/1.1 responses into it, `http2_connection.rs` HTTP/2 ones.

use sha2::{Digest as _, Sha256};

use crate::protocol::http::{HttpError, Limits, Method, ResponseReader};

/// The response being read, or the last one read.
pub(super) struct Answer {
    pub(super) reader: ResponseReader,
    pub(super) body: Vec<u8>,
    keep: Keep,
    summary: BodySummary,
}

/// The part of a body to keep while reading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Keep {
    /// All of it, up to the limit of a response's size.
    #[default]
    Whole,
    /// Its length and SHA-256, at any size.
    Digest,
    /// Its length, at any size.
    Length,
}

/// Length and digest of a body that is not kept.
#[derive(Default)]
struct BodySummary {
    bytes: u64,
    hasher: Sha256,
}

impl Answer {
    /// Storage for the responses of one connection or stream, one at a time.
    pub(super) fn new() -> Self {
        Self {
            reader: ResponseReader::new(Limits::default()),
            body: Vec::new(),
            keep: Keep::Whole,
            summary: BodySummary::default(),
        }
    }

    /// Sets the part of later bodies to keep.
    pub(super) fn keep(&mut self, keep: Keep) {
        let limit = match keep {
            Keep::Whole => Limits::default().max_body_bytes,
            Keep::Digest | Keep::Length => u64::MAX,
        };
        self.keep = keep;
        self.reader.limit_body(limit);
    }

    /// Keeps the header fields with these names of each response.
    pub(super) fn watch<'a>(&mut self, names: impl IntoIterator<Item = &'a str>) {
        self.reader.watch(names);
    }

    /// Begins the response to a request of `method`.
    pub(super) fn begin(&mut self, method: Method) {
        self.reader.begin(method);
        self.body.clear();
        self.summary.bytes = 0;
        if self.keep == Keep::Digest {
            self.summary.hasher.reset();
        }
    }

    /// The status code of the response.
    pub(super) fn status(&self) -> u16 {
        self.reader.status()
    }

    /// The values of a watched header field.
    pub(super) fn fields(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.reader.fields(name)
    }

    /// Value of Location, if there is one.
    pub(super) fn location(&self) -> Option<&[u8]> {
        self.reader.location()
    }

    /// The body, if it is kept.
    pub(super) fn body(&self) -> &[u8] {
        &self.body
    }

    /// The body's length in bytes.
    pub(super) fn length(&self) -> u64 {
        match self.keep {
            Keep::Whole => self.body.len() as u64,
            Keep::Digest | Keep::Length => self.summary.bytes,
        }
    }

    /// SHA-256 of a body whose digest is kept.
    pub(super) fn digest(&self) -> [u8; 32] {
        self.summary.hasher.clone().finalize().into()
    }

    /// Takes a head that was parsed elsewhere.
    pub(super) fn take_head<'a>(
        &mut self,
        status: u16,
        fields: impl Iterator<Item = (&'a str, &'a [u8])>,
    ) -> Result<(), HttpError> {
        self.reader.take_head(status, fields)
    }

    /// Takes the next part of a body that was received elsewhere.
    pub(super) fn take_body(&mut self, part: &[u8]) -> Result<(), HttpError> {
        if self.keep == Keep::Whole {
            self.reader
                .check_body((self.body.len() + part.len()) as u64)?;
            self.body.extend_from_slice(part);
        } else {
            self.summarize(part);
        }
        Ok(())
    }

    fn summarize(&mut self, part: &[u8]) {
        self.summary.bytes += part.len() as u64;
        if self.keep == Keep::Digest {
            self.summary.hasher.update(part);
        }
    }

    /// Counts and drops the part of the body that has arrived, unless the whole body is kept.
    pub(super) fn stream(&mut self) {
        if self.keep == Keep::Whole {
            return;
        }
        let body = std::mem::take(&mut self.body);
        self.summarize(&body);
        self.body = body;
        self.body.clear();
    }

    /// True at the end of the response.
    pub(super) fn is_complete(&self) -> bool {
        self.reader.is_done()
    }
}
