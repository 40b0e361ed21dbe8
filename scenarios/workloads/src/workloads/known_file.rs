//! Files with known content: created once, reused over rounds and runs, checkable at any offset.
//!
//! The content is a sequence of 8-byte words, each a function of its position, so that a block read at any offset can
//! be checked without the file. A file is created atomically (temporary name, then rename) and synced, so that writing
//! it back disturbs no later measurement. This is preparation, outside the clock: plain blocking code.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

/// Bytes of a word; offsets are multiples of it.
pub(super) const WORD_BYTES: u64 = 8;

/// Odd and without a pattern (2^64 divided by the golden ratio), so that neighbouring words differ in all their bytes.
const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;

/// The path of a known file of `size_bytes` in `directory`, created if missing.
pub(super) fn known_file(directory: &Path, size_bytes: u64) -> io::Result<PathBuf> {
    let path = directory.join(format!("known-{size_bytes}.bin"));
    let is_there = std::fs::metadata(&path).is_ok_and(|found| found.len() == size_bytes);
    if !is_there {
        std::fs::create_dir_all(directory)?;
        let unfinished = directory.join(format!("known-{size_bytes}.{}.tmp", std::process::id()));
        let made =
            write(&unfinished, size_bytes).and_then(|()| std::fs::rename(&unfinished, &path));
        if made.is_err() {
            let _ = std::fs::remove_file(&unfinished);
        }
        made?;
    }
    Ok(path)
}

fn write(path: &Path, size_bytes: u64) -> io::Result<()> {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    for index in 0..size_bytes / WORD_BYTES {
        file.write_all(&word(index))?;
    }
    let rest = usize::try_from(size_bytes % WORD_BYTES).expect("less than a word");
    file.write_all(&word(size_bytes / WORD_BYTES)[..rest])?;
    file.into_inner()?.sync_all()
}

fn word(index: u64) -> [u8; 8] {
    (index + 1).wrapping_mul(MULTIPLIER).to_le_bytes()
}

/// The content of a known file from the start, for comparing whole files.
pub(super) fn known_bytes(length: usize) -> Vec<u8> {
    (0..).flat_map(word).take(length).collect()
}

/// True if `bytes` are the content of a known file at `offset`, a multiple of [`WORD_BYTES`].
pub(super) fn is_known(bytes: &[u8], offset: u64) -> bool {
    let first = offset / WORD_BYTES;
    let (words, rest) = bytes.as_chunks::<8>();
    let mut expected = u64::from_le_bytes(word(first));
    let mut difference = 0;
    // Without an exit at the first difference, so that several words are compared at once.
    for bytes in words {
        difference |= u64::from_le_bytes(*bytes) ^ expected;
        expected = expected.wrapping_add(MULTIPLIER);
    }
    difference == 0 && expected.to_le_bytes().starts_with(rest)
}

/// Changes the first and the last byte, so that the result of a previous read cannot pass for that of the next one. Clearing
/// `bytes` would do too, but then a read has to fill them with zeros first.
pub(super) fn spoil(bytes: &mut [u8]) {
    if let [first, .., last] = bytes {
        *first = !*first;
        *last = !*last;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_file_has_its_content_at_every_offset_and_is_made_once() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = known_file(directory.path(), 1003).expect("made");
        let bytes = std::fs::read(&path).expect("there");
        assert_eq!(bytes, known_bytes(1003));
        assert!(is_known(&bytes, 0));
        assert!(is_known(&bytes[512..777], 512));
        assert!(!is_known(&bytes[512..777], 520));
        let mut wrong = bytes.clone();
        wrong[1002] ^= 1;
        assert!(!is_known(&wrong, 0));

        let modified = || std::fs::metadata(&path)?.modified();
        let made = modified().expect("there");
        known_file(directory.path(), 1003).expect("still there");
        assert_eq!(modified().expect("there"), made);
        let entries = std::fs::read_dir(directory.path()).expect("there");
        assert_eq!(entries.count(), 1);
    }

    #[test]
    fn a_spoiled_block_is_not_known_until_it_is_read_again() {
        for length in [8, 16, 512] {
            let mut bytes = known_bytes(length);
            spoil(&mut bytes);
            assert!(!is_known(&bytes, 0));
            bytes[..length - 1].copy_from_slice(&known_bytes(length - 1));
            assert!(!is_known(&bytes, 0), "the last byte was not read");
        }
    }
}
