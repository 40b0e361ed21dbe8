//! A response during and after reading: status, watched fields, and the part of its body that is kept.
//!
//! A body that is only counted, hashed or compared is not kept: its parts are read where they were received, so that memory
//! stays flat and in the cache at any size.
//! `http_connection.rs` reads HTTP/1.1 responses into it, `http2_connection.rs` HTTP/2 ones.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use crate::protocol::http::{HttpError, Limits, Method, ResponseReader};

/// The response being read, or the last one read.
pub(super) struct Answer {
    pub(super) reader: ResponseReader,
    pub(super) body: Vec<u8>,
    keep: Keep,
    /// The body to compare with, for [`Keep::Same`].
    expected: Option<Arc<[u8]>>,
    summary: BodySummary,
}

/// The part of a body to keep while reading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Keep {
    /// All of it, up to the limit of a response's size.
    #[default]
    Whole,
    /// Its length, and where it first differs from an expected body, up to the same limit.
    Same,
    /// Its length and SHA-256, at any size.
    Digest,
    /// Its length, at any size.
    Length,
}

/// What is known of a body that is not kept.
#[derive(Default)]
struct BodySummary {
    bytes: u64,
    hasher: Sha256,
    /// Offset of the first byte that differs from the expected body, as far as both have one.
    differs_at: Option<usize>,
}

impl Answer {
    /// Storage for the responses of one connection or stream, one at a time.
    pub(super) fn new() -> Self {
        Self {
            reader: ResponseReader::new(Limits::default()),
            body: Vec::new(),
            keep: Keep::Whole,
            expected: None,
            summary: BodySummary::default(),
        }
    }

    /// Sets the part of later bodies to keep; without an `expected` body to compare with, [`Keep::Same`] keeps it whole.
    pub(super) fn keep(&mut self, keep: Keep, expected: Option<&Arc<[u8]>>) {
        self.keep = match (keep, expected) {
            (Keep::Same, None) => Keep::Whole,
            (Keep::Same, Some(expected)) => {
                // A shared count that all sessions change in every operation would cost more than the comparison.
                if !self
                    .expected
                    .as_ref()
                    .is_some_and(|known| Arc::ptr_eq(known, expected))
                {
                    self.expected = Some(Arc::clone(expected));
                }
                Keep::Same
            }
            (keep, _) => keep,
        };
        self.reader.limit_body(match self.keep {
            Keep::Whole | Keep::Same => Limits::default().max_body_bytes,
            Keep::Digest | Keep::Length => u64::MAX,
        });
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
        self.summary.differs_at = None;
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
            Keep::Same | Keep::Digest | Keep::Length => self.summary.bytes,
        }
    }

    /// Offset of the first byte at which the body differs from the `expected` one, which is that of [`Answer::keep`] if only
    /// the comparison is kept; `None` if they are equal.
    pub(super) fn difference(&self, expected: &[u8]) -> Option<usize> {
        let length = self.length() as usize;
        let differs_at = if self.keep == Keep::Same {
            debug_assert_eq!(self.expected.as_deref(), Some(expected));
            self.summary.differs_at
        } else if self.body == expected {
            return None;
        } else {
            first_difference(&self.body, expected)
        };
        differs_at.or_else(|| (length != expected.len()).then_some(length.min(expected.len())))
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
        self.reader
            .check_body(self.length().saturating_add(part.len() as u64))?;
        if self.keep == Keep::Whole {
            self.body.extend_from_slice(part);
        } else {
            self.summarize(part);
        }
        Ok(())
    }

    fn summarize(&mut self, part: &[u8]) {
        let summary = &mut self.summary;
        match self.keep {
            Keep::Whole | Keep::Length => {}
            Keep::Digest => summary.hasher.update(part),
            Keep::Same => {
                let expected = self.expected.as_deref().unwrap_or_default();
                let from = expected.len().min(summary.bytes as usize);
                let expected = &expected[from..];
                if summary.differs_at.is_none() && !expected.starts_with(part) {
                    summary.differs_at = first_difference(part, expected).map(|at| from + at);
                }
            }
        }
        summary.bytes += part.len() as u64;
    }

    /// Processes `received` bytes; returns how many of them belong to the response.
    pub(super) fn take(&mut self, received: &[u8]) -> Result<usize, HttpError> {
        let mut consumed = 0;
        if self.keep != Keep::Whole {
            consumed = self.reader.take_body(received.len());
            self.summarize(&received[..consumed]);
        }
        // Heads, chunks, and bodies that are kept.
        consumed += self
            .reader
            .advance(&received[consumed..], &mut self.body)?
            .consumed;
        if self.keep != Keep::Whole && !self.body.is_empty() {
            let body = std::mem::take(&mut self.body);
            self.summarize(&body);
            self.body = body;
            self.body.clear();
        }
        Ok(consumed)
    }

    /// True at the end of the response.
    pub(super) fn is_complete(&self) -> bool {
        self.reader.is_done()
    }
}

/// Offset of the first byte that differs, as far as both have one.
fn first_difference(one: &[u8], other: &[u8]) -> Option<usize> {
    one.iter().zip(other).position(|(one, other)| one != other)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The answer to a response with the body in `parts`, each received separately.
    fn received(keep: Keep, expected: &[u8], parts: &[&[u8]]) -> Answer {
        let mut answer = Answer::new();
        answer.keep(keep, Some(&Arc::from(expected)));
        answer.begin(Method::Get);
        let length: usize = parts.iter().map(|part| part.len()).sum();
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
        for part in [&[head.as_bytes()], parts].concat() {
            assert_eq!(answer.take(part), Ok(part.len()));
        }
        assert!(answer.is_complete());
        answer
    }

    #[test]
    fn a_body_is_compared_as_it_arrives_with_the_same_result_as_when_it_is_kept() {
        let expected = b"abcdef";
        let cases: [(&[&[u8]], Option<usize>); 8] = [
            (&[b"abcdef"], None),
            (&[b"ab", b"cd", b"ef"], None),
            (&[b"abXdef"], Some(2)),
            (&[b"abc", b"dXX"], Some(4)),
            (&[b"Xbc", b"dXf"], Some(0)),
            (&[b"abc"], Some(3)),
            (&[b"abcdef", b"g"], Some(6)),
            (&[b"abc", b"defg"], Some(6)),
        ];
        for (parts, difference) in cases {
            for keep in [Keep::Whole, Keep::Same] {
                let answer = received(keep, expected, parts);
                assert_eq!(
                    answer.difference(expected),
                    difference,
                    "{keep:?} {parts:?}"
                );
                let length: usize = parts.iter().map(|part| part.len()).sum();
                assert_eq!(answer.length(), length as u64);
                assert_eq!(answer.body().is_empty(), keep == Keep::Same);
            }
        }
    }

    #[test]
    fn a_body_that_is_compared_has_the_limit_of_one_that_is_kept() {
        for (keep, is_limited) in [
            (Keep::Whole, true),
            (Keep::Same, true),
            (Keep::Digest, false),
            (Keep::Length, false),
        ] {
            let mut answer = Answer::new();
            answer.keep(keep, Some(&Arc::from(&b"a"[..])));
            answer.begin(Method::Get);
            let part =
                vec![b'a'; usize::try_from(Limits::default().max_body_bytes).expect("a size")];
            assert_eq!(answer.take_body(&part), Ok(()), "{keep:?}");
            assert_eq!(answer.take_body(b"a").is_err(), is_limited, "{keep:?}");
        }
    }

    #[test]
    fn an_empty_body_differs_from_an_expected_one() {
        for keep in [Keep::Whole, Keep::Same] {
            assert_eq!(received(keep, b"a", &[]).difference(b"a"), Some(0));
            assert_eq!(received(keep, b"", &[]).difference(b""), None);
        }
    }
}
