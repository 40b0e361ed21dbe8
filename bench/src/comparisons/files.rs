//! File access, cached: what a runtime adds to the system calls.

use super::{COMPIO, Comparison, FLOORS, Group, beside_rivals};
use crate::work::{FileAccess, FileWork, Work};

pub(super) fn comparisons() -> Vec<Comparison> {
    let random = |block_kib, depth| {
        let (candidates, floors): (&[_], &[_]) = if depth == 1 {
            (&["sync"], &[])
        } else {
            (&["threads", "tokio-current-thread", COMPIO], &FLOORS)
        };
        let access = FileAccess::Random { block_kib };
        let title = format!("Random reads of {block_kib} KiB, cached, {depth} in flight");
        comparison(
            &format!("random-{block_kib}k-{depth}"),
            title,
            FileWork { access, depth },
            candidates,
            floors,
            None,
        )
    };
    vec![
        random(4, 1),
        random(4, 16),
        random(128, 1),
        comparison(
            "open-read-close",
            "Open, read 4 KiB, close".to_owned(),
            FileWork {
                access: FileAccess::Whole { kib: 4 },
                depth: 1,
            },
            &["sync"],
            &FLOORS,
            None,
        ),
        comparison(
            "write-sync",
            "Write 64 KiB and sync them".to_owned(),
            FileWork {
                access: FileAccess::WriteSynced { kib: 64 },
                depth: 1,
            },
            &["sync"],
            &[],
            Some(
                "Photofinish and the loop in C truncate the file first, and Photofinish reads it back; fio overwrites an open file",
            ),
        ),
    ]
}

fn comparison(
    id: &str,
    title: String,
    file: FileWork,
    candidates: &[&'static str],
    floors: &[&'static str],
    note: Option<&'static str>,
) -> Comparison {
    Comparison {
        group: Group::Files,
        id: format!("files-{id}"),
        title,
        contestants: beside_rivals(Work::File(file), candidates, floors),
        note,
    }
}
