//! Clocks and timers: what every operation is timed with, and what an open load is paced by.
//!
//! A clock that is read from a device takes a microsecond where one read from the CPU takes some 20 ns, and an operation
//! is timed by two reads.

use super::words;
use super::{Bounds, Judged, Readings};
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

pub(super) fn clock_source(readings: &Readings) -> Judged {
    let Some(source) = &readings.clock.source else {
        return Judged::unknown("the kernel's clock source is not told");
    };
    let evidence = format!("the clock source is {source}");
    match source.as_str() {
        source if FAST.contains(&source) => Judged::good(evidence),
        source if SLOW.contains(&source) => Judged::bad(format!(
            "{evidence}, a device: each operation is timed by two slow reads"
        ))
        .remedy("echo tsc | sudo tee /sys/devices/system/clocksource/clocksource0/current_clocksource"),
        _ => Judged::caution(format!("{evidence}, which may be read by way of the kernel"))
            .remedy("see whether another is in /sys/devices/system/clocksource/clocksource0/available_clocksource"),
    }
}

pub(super) fn clock_read(readings: &Readings) -> Judged {
    let read_ns = readings.clock.read_ns;
    Judged::at(
        READ_NS.level(read_ns),
        format!(
            "reading the clock takes {}, twice per operation",
            words::time(read_ns)
        ),
    )
    .remedy_unless_good("look at the clock source; a virtual machine may trap the read")
}

pub(super) fn timer(readings: &Readings) -> Judged {
    let clock = &readings.clock;
    let slack = match clock.slack_set {
        true => "",
        false => ", with the default timer slack",
    };
    let resolution = clock.resolution_ns.map_or(String::new(), |ns| {
        format!(" (step {})", words::time(ns as f64))
    });
    let evidence = format!(
        "a sleep of 1 ms ends {} late, one in ten {}{slack}{resolution}",
        words::time(clock.sleep_late_p50_ns as f64),
        words::time(clock.sleep_late_p90_ns as f64),
    );
    let level = match clock.resolution_ns {
        // Without high-resolution timers every wait ends at a tick.
        Some(resolution_ns) if resolution_ns >= 1_000_000 => FindingLevel::Bad,
        _ => SLEEP_LATE_NS.level(clock.sleep_late_p50_ns as f64),
    };
    Judged::at(level, evidence).remedy_unless_good(
        "keep CPUs out of deep idle states while measuring: `sudo cpupower idle-set -D 10`",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fitness::Clock;
    use photofinish_record::FindingLevel::{Bad, Caution, Good, Unknown};

    fn of(clock: Clock) -> Readings {
        Readings {
            clock,
            ..Readings::default()
        }
    }

    #[test]
    fn a_clock_read_from_a_device_is_bad() {
        let check = |source: Option<&str>, expected| {
            let source = source.map(str::to_owned);
            let judged = clock_source(&of(Clock {
                source,
                ..Clock::default()
            }));
            assert_eq!(judged.level, expected, "{judged:?}");
        };
        check(None, Unknown);
        check(Some("tsc"), Good);
        check(Some("xen"), Caution);
        check(Some("hpet"), Bad);
    }

    #[test]
    fn clock_reads_and_sleeps_are_judged_by_what_they_take() {
        let check = |read_ns, sleep_late_p50_ns, resolution_ns, expected: [FindingLevel; 2]| {
            let readings = of(Clock {
                read_ns,
                sleep_late_p50_ns,
                resolution_ns,
                ..Clock::default()
            });
            assert_eq!(
                [clock_read(&readings).level, timer(&readings).level],
                expected
            );
        };
        check(23.0, 54_000, Some(1), [Good, Good]);
        check(140.0, 400_000, Some(1), [Caution, Caution]);
        check(900.0, 3_000_000, None, [Bad, Bad]);
        check(23.0, 54_000, Some(4_000_000), [Good, Bad]);
    }
}
