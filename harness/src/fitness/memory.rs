//! Memory: available memory, swap, huge pages and the page cache.
//!
//! File scenarios measure the page cache as long as their files fit in it; the finding says so, since readers may expect
//! the disk.

use super::words;
use super::{Assessment, Readings, level_of_amount};

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
    Assessment::at(
        level_of_amount(available, CRAMPED_BYTES, ROOMY_BYTES),
        evidence,
    )
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
    use crate::fitness::assessed;
    use photofinish_record::FindingLevel::{self, Bad, Caution, Good, Unknown};

    #[test]
    fn little_memory_is_a_caution_and_hardly_any_is_bad() {
        let amounts = [None, Some(8 << 30), Some(512 << 20), Some(100 << 20)];
        for (available, expected) in amounts.into_iter().zip([Unknown, Good, Caution, Bad]) {
            let found = assessed(memory, |readings| {
                readings.memory.available_bytes = available;
            });
            assert_eq!(found.level, expected, "{found:?}");
        }
    }

    #[test]
    fn swapping_is_bad_and_used_swap_is_a_caution() {
        let check = |total, used, pages, expected: FindingLevel| {
            let found = assessed(swap, |readings| {
                readings.memory.swap_total_bytes = total;
                readings.memory.swap_used_bytes = used;
                readings.background.swapped_pages = pages;
            });
            assert_eq!(found.level, expected, "{found:?}");
        };
        check(None, None, None, Unknown);
        check(Some(0), Some(0), Some(0), Good);
        check(Some(1 << 30), Some(0), Some(0), Good);
        check(Some(1 << 30), Some(5 << 20), Some(0), Caution);
        check(Some(1 << 30), Some(5 << 20), Some(3), Bad);
    }

    #[test]
    fn transparent_huge_pages_always_are_a_caution() {
        let modes = [None, Some("madvise"), Some("never"), Some("always")];
        for (mode, expected) in modes.into_iter().zip([Unknown, Good, Good, Caution]) {
            let found = assessed(huge_pages, |readings| {
                readings.memory.huge_pages = mode.map(str::to_owned);
            });
            assert_eq!(found.level, expected, "{mode:?}");
        }
    }

    #[test]
    fn many_dirty_pages_are_a_caution() {
        let amounts = [None, Some(1 << 20), Some(1 << 30)];
        for (dirty, expected) in amounts.into_iter().zip([Unknown, Good, Caution]) {
            let found = assessed(page_cache, |readings| {
                readings.memory.available_bytes = Some(8 << 30);
                readings.memory.dirty_bytes = dirty;
            });
            assert_eq!(found.level, expected, "{found:?}");
        }
    }
}
