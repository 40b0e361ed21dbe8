//! A record in its page: written at the end of the document, and found again by the commands that read records.
//!
//! The JSON is compressed (gzip) and coded (base64) in a data block: a `script` element of a type that no browser runs, which
//! a content security policy therefore does not concern. Both directions share one limit, so that a page whose block expands
//! to gigabytes is refused after as many bytes as the largest record that is ever embedded.

use std::io::{self, BufWriter, Read as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use base64::read::DecoderReader;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use photofinish_record::Record;
use serde::Serialize;

/// The start of the data block; the script of the page finds it by the id.
const OPEN: &str = "<script type=\"application/x-photofinish-record\" id=\"record\">";
const CLOSE: &str = "</script>";

/// Size of the largest record that is embedded, as JSON.
const LARGEST_JSON_BYTES: u64 = 64 << 20;

/// Size of the largest data block: a page should open at once and go through a mail.
pub const LARGEST_BLOCK_BYTES: usize = 3 << 20;

/// A page that cannot be read as a record.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    #[error("there is no record in this page")]
    Absent,
    #[error("the record in this page is larger than {} MiB", LARGEST_JSON_BYTES >> 20)]
    TooLarge,
    #[error("the record in this page is damaged: {0}")]
    Damaged(String),
}

/// The data block of a record; `None` of one that is too large to be in a page.
pub(crate) fn block(record: &Record) -> Option<String> {
    Some(format!("{OPEN}{}{CLOSE}", compressed(record)?))
}

/// A value's JSON as gzip in base64; `None` of more than a page may have, which is not compressed to its end.
pub(crate) fn compressed(value: &impl Serialize) -> Option<String> {
    let block = Bounded {
        inner: Vec::new(),
        left: LARGEST_BLOCK_BYTES / 4 * 3,
    };
    let json = Bounded {
        inner: GzEncoder::new(block, Compression::default()),
        left: LARGEST_JSON_BYTES as usize,
    };
    let mut json = BufWriter::with_capacity(1 << 16, json);
    serde_json::to_writer(&mut json, value).ok()?;
    let block = json.into_inner().ok()?.inner.finish().ok()?;
    Some(STANDARD.encode(block.inner))
}

/// A writer that takes so many bytes.
struct Bounded<W> {
    inner: W,
    left: usize,
}

impl<W: io::Write> io::Write for Bounded<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let left = self.left.checked_sub(bytes.len());
        self.left = left.ok_or(io::ErrorKind::FileTooLarge)?;
        self.inner.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// True if a document is not JSON but markup.
pub fn is_page(beginning: &[u8]) -> bool {
    let text = beginning.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(beginning);
    text.trim_ascii_start().starts_with(b"<")
}

/// The JSON of the record in a page.
pub fn extract(page: &str) -> Result<Vec<u8>, Error> {
    let (_, rest) = page.split_once(OPEN).ok_or(Error::Absent)?;
    let (text, _) = rest.split_once(CLOSE).ok_or(Error::Absent)?;
    let mut json = Vec::new();
    GzDecoder::new(DecoderReader::new(text.trim().as_bytes(), &STANDARD))
        .take(LARGEST_JSON_BYTES + 1)
        .read_to_end(&mut json)
        .map_err(|error: io::Error| Error::Damaged(error.to_string()))?;
    if json.len() as u64 > LARGEST_JSON_BYTES {
        return Err(Error::TooLarge);
    }
    Ok(json)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use serde_json::json;

    use super::*;

    fn page(block: &str) -> String {
        format!("<!DOCTYPE html><p>a</p>{OPEN}{block}{CLOSE}</body>")
    }

    #[test]
    fn a_damaged_cut_or_absent_block_is_an_error_of_its_own() {
        let text = compressed(&json!({"a": "one"})).expect("small");
        assert_eq!(extract(&page(&text)).expect("whole"), b"{\"a\":\"one\"}");
        assert_eq!(extract("<p>another page</p>"), Err(Error::Absent));
        assert_eq!(extract(&format!("{OPEN}{text}")), Err(Error::Absent));
        let other = if text.as_bytes()[30] == b'A' {
            "B"
        } else {
            "A"
        };
        let flipped = format!("{}{other}{}", &text[..30], &text[31..]);
        for damaged in ["", "%%%", &text[..text.len() / 2 / 4 * 4], &flipped] {
            let error = extract(&page(damaged)).expect_err(damaged);
            assert!(matches!(error, Error::Damaged(_)), "{damaged}: {error}");
        }
    }

    /// Goal: memory stays bounded. Method: one byte more than allowed, all alike, so that the page is small.
    #[test]
    fn a_block_that_expands_beyond_the_limit_is_refused() {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        let spaces = vec![b' '; 1 << 20];
        for _ in 0..=LARGEST_JSON_BYTES >> 20 {
            encoder.write_all(&spaces).expect("in memory");
        }
        let bomb = page(&STANDARD.encode(encoder.finish().expect("in memory")));
        assert!(bomb.len() < 1 << 20, "{}", bomb.len());
        assert_eq!(extract(&bomb), Err(Error::TooLarge));
    }

    /// Goal: a page stays small. Method: noise, which does not become smaller, and text beyond what is read.
    #[test]
    fn what_is_too_large_is_not_embedded() {
        let noise = |index: u64| {
            index
                .wrapping_mul(0x9E37_79B9_7F4A_7C15)
                .wrapping_mul(index | 1)
        };
        let numbers = |count| (0..count).map(noise).collect::<Vec<u64>>();
        assert!(compressed(&numbers(100_000)).is_some());
        assert_eq!(compressed(&numbers(400_000)), None);
        assert_eq!(compressed(&" ".repeat(LARGEST_JSON_BYTES as usize)), None);
    }

    #[test]
    fn a_page_is_told_by_its_beginning() {
        for (text, expected) in [
            ("<!DOCTYPE html>", true),
            ("\u{feff}\n <html>", true),
            ("{\"schema\": 1}", false),
            ("", false),
        ] {
            assert_eq!(is_page(text.as_bytes()), expected, "{text}");
        }
    }
}
