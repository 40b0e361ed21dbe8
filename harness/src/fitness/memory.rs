//! Memory: what is left of it, what was swapped out, how it is paged, and what files are read from it.
//!
//! The page cache is why a file scenario measures memory as long as its files fit: said here, since a reader of numbers
//! may think of the disk.

use super::words;
use super::{Judged, Readings};

/// Memory that must be left for servers and sessions.
const ROOMY_BYTES: u64 = 1 << 30;
const CRAMPED_BYTES: u64 = 256 << 20;

/// Contents that wait to be written, beyond which writing them competes with what is measured.
const MUCH_DIRTY_BYTES: u64 = 256 << 20;

pub(super) fn memory(readings: &Readings) -> Judged {
    let Some(available) = readings.memory.available_bytes else {
        return Judged::unknown("how much memory is left is not told");
    };
    let total = readings.memory.total_bytes.map_or(String::new(), |total| {
        format!(" of {}", words::bytes(total))
    });
    let evidence = format!("{}{total} of memory can be had", words::bytes(available));
    let judged = match available {
        available if available < CRAMPED_BYTES => Judged::bad(evidence),
        available if available < ROOMY_BYTES => Judged::caution(evidence),
        _ => Judged::good(evidence),
    };
    judged.remedy_unless_good("end what uses it; `ps aux --sort=-rss | head` shows who that is")
}

pub(super) fn swap(readings: &Readings) -> Judged {
    let moved = readings.watched.swapped_pages.unwrap_or(0);
    let used = readings.memory.swap_used_bytes;
    match (readings.memory.swap_total_bytes, used) {
        _ if moved > 0 => Judged::bad(format!(
            "{moved} pages went to swap or came from it while the machine was watched"
        ))
        .remedy("free memory first; `vmstat 1` shows when it is over"),
        (Some(0), _) => Judged::good("there is no swap"),
        (_, Some(0)) => Judged::good("nothing is swapped out"),
        (_, Some(used)) => Judged::caution(format!(
            "{} are swapped out: what needs them waits for the disk",
            words::bytes(used)
        ))
        .remedy("sudo swapoff -a && sudo swapon -a, where memory is left for it"),
        _ => Judged::unknown("how much is swapped out is not told"),
    }
}

pub(super) fn huge_pages(readings: &Readings) -> Judged {
    match readings.memory.huge_pages.as_deref() {
        None => Judged::unknown("whether transparent huge pages are used is not told"),
        Some("always") => Judged::caution(
            "transparent huge pages are `always`: memory per session looks larger, and the kernel stops threads to \
             make them",
        )
        .remedy("echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled"),
        Some(mode) => Judged::good(format!("transparent huge pages are `{mode}`")),
    }
}

pub(super) fn page_cache(readings: &Readings) -> Judged {
    let memory = &readings.memory;
    let (Some(available), Some(dirty)) = (memory.available_bytes, memory.dirty_bytes) else {
        return Judged::unknown("what the page cache holds is not told");
    };
    let cached = memory.cached_bytes.map_or(String::new(), |cached| {
        format!(" ({} hold some now)", words::bytes(cached))
    });
    let evidence = format!(
        "files up to {} in all are read from memory, not from the disk{cached}; {} wait to be written",
        words::bytes(available),
        words::bytes(dirty)
    );
    match dirty > MUCH_DIRTY_BYTES {
        true => Judged::caution(evidence)
            .remedy("`sync` first: writing them disturbs the file scenarios"),
        false => Judged::good(evidence),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fitness::{Memory, Watched};
    use photofinish_record::FindingLevel::{self, Bad, Caution, Good, Unknown};

    fn of(memory: Memory) -> Readings {
        Readings {
            memory,
            ..Readings::default()
        }
    }

    #[test]
    fn little_memory_is_a_caution_and_hardly_any_is_bad() {
        for (available, expected) in [
            (None, Unknown),
            (Some(8 << 30), Good),
            (Some(512 << 20), Caution),
            (Some(100 << 20), Bad),
        ] {
            let judged = memory(&of(Memory {
                available_bytes: available,
                ..Memory::default()
            }));
            assert_eq!(judged.level, expected, "{judged:?}");
        }
    }

    #[test]
    fn swapping_now_is_bad_and_having_swapped_is_a_caution() {
        let check = |total, used, pages, expected: FindingLevel| {
            let readings = Readings {
                memory: Memory {
                    swap_total_bytes: total,
                    swap_used_bytes: used,
                    ..Memory::default()
                },
                watched: Watched {
                    swapped_pages: pages,
                    ..Watched::default()
                },
                ..Readings::default()
            };
            assert_eq!(swap(&readings).level, expected);
        };
        check(None, None, None, Unknown);
        check(Some(0), Some(0), Some(0), Good);
        check(Some(1 << 30), Some(0), Some(0), Good);
        check(Some(1 << 30), Some(5 << 20), Some(0), Caution);
        check(Some(1 << 30), Some(5 << 20), Some(3), Bad);
    }

    #[test]
    fn huge_pages_for_everybody_are_a_caution() {
        for (mode, expected) in [
            (None, Unknown),
            (Some("madvise"), Good),
            (Some("never"), Good),
            (Some("always"), Caution),
        ] {
            let judged = huge_pages(&of(Memory {
                huge_pages: mode.map(str::to_owned),
                ..Memory::default()
            }));
            assert_eq!(judged.level, expected, "{mode:?}");
        }
    }

    #[test]
    fn much_that_waits_to_be_written_is_a_caution() {
        for (dirty, expected) in [
            (None, Unknown),
            (Some(1 << 20), Good),
            (Some(1 << 30), Caution),
        ] {
            let judged = page_cache(&of(Memory {
                available_bytes: Some(8 << 30),
                dirty_bytes: dirty,
                ..Memory::default()
            }));
            assert_eq!(judged.level, expected, "{judged:?}");
        }
    }
}
