//! Clocks and timers: they time every operation and pace open loads.
//!
//! Reading the clock takes about 20 ns if the CPU provides it but a microsecond if a device does, and an operation
//! takes two reads.

use super::words;
use super::{Assessment, Bounds, Readings};
use photofinish_record::FindingLevel;

/// Clock sources that are read from the CPU, without entering the kernel.
const FAST: [&str; 6] = [
    "tsc",
    "kvm-clock",
    "hyperv_clocksource_tsc_page",
    "arch_sys_counter",
    "timebase",
    "riscv_clocksource",
];

/// Clock sources that are devices.
const SLOW: [&str; 5] = ["hpet", "acpi_pm", "pit", "jiffies", "refined-jiffies"];

/// Highest acceptable cost of a clock read, in ns.
const READ_NS: Bounds = Bounds {
    caution: 100.0,
    bad: 500.0,
};

/// Highest acceptable median overshoot of a sleep of 1 ms, in ns.
const SLEEP_LATE_NS: Bounds = Bounds {
    caution: 150e3,
    bad: 1e6,
};

pub(super) fn clock_source(readings: &Readings) -> Assessment {
    let Some(source) = &readings.clock.source else {
        return Assessment::unknown("the clock source is unknown");
    };
    let evidence = format!("the clock source is {source}");
    match source.as_str() {
        source if FAST.contains(&source) => Assessment::good(evidence),
        source if SLOW.contains(&source) => Assessment::bad(format!(
            "{evidence}, a device: every operation pays for two slow reads"
        ))
        .remedy("echo tsc | sudo tee /sys/devices/system/clocksource/clocksource0/current_clocksource"),
        _ => Assessment::caution(format!("{evidence}, which may need a system call"))
            .remedy("choose another from /sys/devices/system/clocksource/clocksource0/available_clocksource"),
    }
}

pub(super) fn clock_read(readings: &Readings) -> Assessment {
    let read_ns = readings.clock.read_ns;
    Assessment::at(
        READ_NS.level(read_ns),
        format!(
            "reading the clock takes {}, twice per operation",
            words::time(read_ns)
        ),
    )
    .remedy_unless_good("check the clock source; a virtual machine may trap the read")
}

pub(super) fn timer(readings: &Readings) -> Assessment {
    let clock = &readings.clock;
    let slack = if clock.slack_set {
        ""
    } else {
        ", with the default timer slack"
    };
    let resolution = clock.resolution_ns.map_or(String::new(), |ns| {
        format!(" (timer resolution {})", words::time(ns as f64))
    });
    let evidence = format!(
        "a sleep of 1 ms ends {} late at the median, {} at the 90th percentile{slack}{resolution}",
        words::time(clock.sleep_late_p50_ns as f64),
        words::time(clock.sleep_late_p90_ns as f64),
    );
    let level = match clock.resolution_ns {
        // Without high-resolution timers every wait ends at a tick.
        Some(resolution_ns) if resolution_ns >= 1_000_000 => FindingLevel::Bad,
        _ => SLEEP_LATE_NS.level(clock.sleep_late_p50_ns as f64),
    };
    Assessment::at(level, evidence).remedy_unless_good(
        "disable deep idle states while measuring: `sudo cpupower idle-set -D 10`",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fitness::{Clock, assessed};
    use photofinish_record::FindingLevel::{Bad, Caution, Good, Unknown};

    #[test]
    fn a_hardware_clock_source_is_bad() {
        let check = |source: Option<&str>, expected| {
            let source = source.map(str::to_owned);
            let found = assessed(clock_source, |readings| readings.clock.source = source);
            assert_eq!(found.level, expected, "{found:?}");
        };
        check(None, Unknown);
        check(Some("tsc"), Good);
        check(Some("xen"), Caution);
        check(Some("hpet"), Bad);
    }

    #[test]
    fn clock_reads_and_sleeps_are_judged_by_their_cost() {
        let check = |read_ns, sleep_late_p50_ns, resolution_ns, expected: [FindingLevel; 2]| {
            let clock = Clock {
                read_ns,
                sleep_late_p50_ns,
                resolution_ns,
                ..Clock::default()
            };
            let level = |check| assessed(check, |readings| readings.clock = clock.clone()).level;
            assert_eq!([level(clock_read), level(timer)], expected);
        };
        check(23.0, 54_000, Some(1), [Good, Good]);
        check(140.0, 400_000, Some(1), [Caution, Caution]);
        check(900.0, 3_000_000, None, [Bad, Bad]);
        check(23.0, 54_000, Some(4_000_000), [Good, Bad]);
    }
}
