//! Files and directories: what is written is there, for this runtime and for everybody else.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use photofinish_harness::runtime::{File, OpenMode, Runtime};

use crate::peer::pattern;
use crate::suite::{Check, checks};

pub(crate) const CHECKS: &[Check] = checks![
    what_is_written_is_read_back,
    creating_empties_and_appending_adds,
    several_mebibytes_are_written_and_read_in_one_piece,
    a_whole_file_is_read_whatever_room_there_is_for_it,
    reading_beyond_the_end_is_a_short_read,
    a_directory_lists_what_is_in_it,
    what_is_missing_is_reported_as_not_found,
];

fn with_directory<R: Runtime, F: Future<Output = ()>>(
    runtime: &R,
    check: impl FnOnce(PathBuf) -> F,
) {
    let directory = tempfile::tempdir().expect("a directory");
    runtime.block_on(check(directory.path().to_owned()));
}

async fn write<R: Runtime>(runtime: &R, path: &Path, mode: OpenMode, pieces: &[&[u8]]) {
    let mut file = runtime.open(path, mode).await.expect("open");
    for piece in pieces {
        let mut bytes = piece.to_vec();
        file.write_all(&mut bytes).await.expect("write");
        assert_eq!(bytes, *piece, "the vector is back, unchanged");
    }
    file.sync_all().await.expect("sync");
}

fn what_is_written_is_read_back<R: Runtime>(runtime: R) {
    with_directory(&runtime, async |directory| {
        let path = directory.join("file");
        write(
            &runtime,
            &path,
            OpenMode::Create,
            &[b"0123", b"4567", b"89"],
        )
        .await;
        assert_eq!(std::fs::read(&path).expect("read"), b"0123456789");

        let mut file = runtime.open(&path, OpenMode::Read).await.expect("open");
        let mut bytes = b"what was there before, and longer".to_vec();
        for (offset, length, expected) in [(3, 4, "3456"), (0, 10, "0123456789"), (9, 1, "9")] {
            file.read_at(offset, length, &mut bytes)
                .await
                .expect("read");
            assert_eq!(bytes, expected.as_bytes());
        }
        runtime.read_file(&path, &mut bytes).await.expect("read");
        assert_eq!(bytes, b"0123456789");
    });
}

fn creating_empties_and_appending_adds<R: Runtime>(runtime: R) {
    with_directory(&runtime, async |directory| {
        let path = directory.join("file");
        write(&runtime, &path, OpenMode::Append, &[b"first"]).await;
        write(&runtime, &path, OpenMode::Append, &[b" and", b" last"]).await;
        assert_eq!(std::fs::read(&path).expect("read"), b"first and last");
        write(&runtime, &path, OpenMode::Create, &[b"new"]).await;
        assert_eq!(std::fs::read(&path).expect("read"), b"new");
    });
}

fn several_mebibytes_are_written_and_read_in_one_piece<R: Runtime>(runtime: R) {
    let content = pattern(5 << 20);
    with_directory(&runtime, async |directory| {
        let path = directory.join("file");
        write(&runtime, &path, OpenMode::Create, &[&content]).await;
        let mut bytes = Vec::new();
        runtime.read_file(&path, &mut bytes).await.expect("read");
        assert!(bytes == content, "{} bytes, and other ones", bytes.len());
        let mut file = runtime.open(&path, OpenMode::Read).await.expect("open");
        file.read_at(1, 4 << 20, &mut bytes).await.expect("read");
        let expected = &content[1..=4 << 20];
        assert!(bytes == expected, "{} bytes, and other ones", bytes.len());
    });
}

fn a_whole_file_is_read_whatever_room_there_is_for_it<R: Runtime>(runtime: R) {
    with_directory(&runtime, async |directory| {
        for length in [0, 1, 4096, 100_000] {
            let content = pattern(length);
            let path = directory.join("file");
            std::fs::write(&path, &content).expect("write");
            for room in [0, 1, 100, 4095, 4096, 4097, 200_000] {
                let mut bytes = Vec::with_capacity(room);
                for _ in 0..2 {
                    runtime.read_file(&path, &mut bytes).await.expect("read");
                    let is_right = bytes == content;
                    assert!(is_right, "{} of {length} into {room}", bytes.len());
                }
            }
        }
    });
}

fn reading_beyond_the_end_is_a_short_read<R: Runtime>(runtime: R) {
    with_directory(&runtime, async |directory| {
        let path = directory.join("file");
        write(&runtime, &path, OpenMode::Create, &[b"0123"]).await;
        let mut file = runtime.open(&path, OpenMode::Read).await.expect("open");
        let mut bytes = Vec::new();
        for offset in [2, 4, 100] {
            let read = file.read_at(offset, 4, &mut bytes).await;
            let kind = read.map_err(|error| error.kind());
            assert_eq!(kind, Err(ErrorKind::UnexpectedEof), "from {offset}");
        }
        file.read_at(0, 4, &mut bytes)
            .await
            .expect("it is as usable as before");
        assert_eq!(bytes, b"0123");
    });
}

fn a_directory_lists_what_is_in_it<R: Runtime>(runtime: R) {
    with_directory(&runtime, async |directory| {
        let names: BTreeSet<_> = (0..300)
            .map(|n| directory.join(format!("{n}.txt")))
            .collect();
        for name in &names {
            std::fs::write(name, b"").expect("write");
        }
        let listed = runtime.list_directory(&directory).await.expect("list");
        assert_eq!(listed.len(), names.len());
        assert_eq!(BTreeSet::from_iter(listed), names);
    });
}

fn what_is_missing_is_reported_as_not_found<R: Runtime>(runtime: R) {
    with_directory(&runtime, async |directory| {
        let missing = directory.join("missing");
        let below = missing.join("file");
        let kinds = [
            runtime.open(&missing, OpenMode::Read).await.map(drop),
            runtime.open(&below, OpenMode::Create).await.map(drop),
            runtime.read_file(&missing, &mut Vec::new()).await,
            runtime.list_directory(&missing).await.map(drop),
        ]
        .map(|result| result.map_err(|error| error.kind()));
        assert_eq!(kinds, [Err(ErrorKind::NotFound); 4]);
    });
}
