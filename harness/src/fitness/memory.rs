//! Memory: available memory, swap, huge pages and the page cache.
//!
//! File scenarios measure the page cache as long as their files fit in it; the finding says so, since readers may expect
//! the disk.

use super::words;
use super::{Assessment, Readings};

/// Memory that servers and sessions need.
const ROOMY_BYTES: u64 = 1 << 30;
const CRAMPED_BYTES: u64 = 256 << 20;

/// Dirty pages above which writing them out competes with the measurement.
const MUCH_DIRTY_BYTES: u64 = 256 << 20;

pub(super) fn memory(readings: &Readings) -> Assessment {
    let Some(available) = readings.memory.available_bytes else {
        return Assessment::unknown("the available memory is unknown");
    };
    let total = readings.memory.total_bytes.map_or(String::new(), |total| {
        format!(" of {}", words::bytes(total))
    });
    let evidence = format!("{}{total} of memory is available", words::bytes(available));
    let assessment = match available {
        available if available < CRAMPED_BYTES => Assessment::bad(evidence),
        available if available < ROOMY_BYTES => Assessment::caution(evidence),
        _ => Assessment::good(evidence),
    };
    assessment
        .remedy_unless_good("end the processes that use it; `ps aux --sort=-rss | head` lists them")
}

pub(super) fn swap(readings: &Readings) -> Assessment {
    let moved = readings.background.swapped_pages.unwrap_or(0);
    let used = readings.memory.swap_used_bytes;
    match (readings.memory.swap_total_bytes, used) {
        _ if moved > 0 => {
            Assessment::bad(format!("{moved} pages were swapped during the observation"))
                .remedy("free memory first; `vmstat 1` shows when the swapping ends")
        }
        (Some(0), _) => Assessment::good("there is no swap"),
        (_, Some(0)) => Assessment::good("nothing is swapped out"),
        (_, Some(used)) => Assessment::caution(format!(
            "{} are swapped out: their next use waits for the disk",
            words::bytes(used)
        ))
        .remedy("sudo swapoff -a && sudo swapon -a, if enough memory is free"),
        _ => Assessment::unknown("the use of swap is unknown"),
    }
}

pub(super) fn huge_pages(readings: &Readings) -> Assessment {
    match readings.memory.huge_pages.as_deref() {
        None => Assessment::unknown("the setting of transparent huge pages is unknown"),
        Some("always") => Assessment::caution(
            "transparent huge pages are `always`: sessions appear to use more memory, and the kernel stalls \
             threads to assemble them",
        )
        .remedy("echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled"),
        Some(mode) => Assessment::good(format!("transparent huge pages are `{mode}`")),
    }
}

pub(super) fn page_cache(readings: &Readings) -> Assessment {
    let memory = &readings.memory;
    let (Some(available), Some(dirty)) = (memory.available_bytes, memory.dirty_bytes) else {
        return Assessment::unknown("the page cache is unknown");
    };
    let cached = memory.cached_bytes.map_or(String::new(), |cached| {
        format!(" ({} cached now)", words::bytes(cached))
    });
    let evidence = format!(
        "files of up to {} in total are read from memory, not from the disk{cached}; {} are dirty",
        words::bytes(available),
        words::bytes(dirty)
    );
    if dirty > MUCH_DIRTY_BYTES {
        Assessment::caution(evidence)
            .remedy("run `sync` first: writing dirty pages disturbs the file scenarios")
    } else {
        Assessment::good(evidence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fitness::{Background, Memory};
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
            let assessment = memory(&of(Memory {
                available_bytes: available,
                ..Memory::default()
            }));
            assert_eq!(assessment.level, expected, "{assessment:?}");
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
                background: Background {
                    swapped_pages: pages,
                    ..Background::default()
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
            let assessment = huge_pages(&of(Memory {
                huge_pages: mode.map(str::to_owned),
                ..Memory::default()
            }));
            assert_eq!(assessment.level, expected, "{mode:?}");
        }
    }

    #[test]
    fn much_that_waits_to_be_written_is_a_caution() {
        for (dirty, expected) in [
            (None, Unknown),
            (Some(1 << 20), Good),
            (Some(1 << 30), Caution),
        ] {
            let assessment = page_cache(&of(Memory {
                available_bytes: Some(8 << 30),
                dirty_bytes: dirty,
                ..Memory::default()
            }));
            assert_eq!(assessment.level, expected, "{assessment:?}");
        }
    }
}
