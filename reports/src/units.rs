//! Human-readable numbers: three significant digits and a suitable unit.
//!
//! Every table, chart and page prints through here, so that a number looks the same everywhere. Programs read the plain
//! numbers of `summary` instead.

/// Units of time as printed, in ns.
pub(crate) const TIMES: [(&str, f64); 5] = [
    ("ns", 1.0),
    ("us", 1e3),
    ("µs", 1e3),
    ("ms", 1e6),
    ("s", 1e9),
];

/// A duration in ns: `850ns`, `1.25µs`, `12.5ms`, `3.00s`.
pub fn duration(ns: f64) -> String {
    scaled(ns, &[(1.0, "ns"), (1e3, "µs"), (1e6, "ms"), (1e9, "s")])
}

/// A rate or a count: `7`, `12.5`, `61.2k`, `1.25M`.
pub fn count(value: f64) -> String {
    if value.abs() < 1e3 && value.fract() == 0.0 {
        return format!("{value:.0}");
    }
    scaled(
        value,
        &[(1.0, ""), (1e3, "k"), (1e6, "M"), (1e9, "G"), (1e12, "T")],
    )
}

/// An amount of memory in bytes: `512B`, `12.5MiB`.
pub fn bytes(value: f64) -> String {
    let unit = 1024.0_f64;
    let scales = [
        (1.0, "B"),
        (unit, "KiB"),
        (unit.powi(2), "MiB"),
        (unit.powi(3), "GiB"),
        (unit.powi(4), "TiB"),
    ];
    scaled(value, &scales)
}

/// A rate in Hz: `16.0k/s`.
pub fn per_second(hz: f64) -> String {
    format!("{}/s", count(hz))
}

/// A ratio: `2.31×`, `0.0125×`.
pub fn ratio(value: f64) -> String {
    match value {
        value if value >= 1e4 => format!("{}×", count(value)),
        value if value < 1e-6 => "<0.000001×".to_owned(),
        value if value < 0.01 => {
            // Two significant digits: a ratio of 0.00031 is not 0.
            let digits = (1.0 - value.log10().floor()) as usize;
            format!("{value:.digits$}×")
        }
        value => format!("{}×", significant(value)),
    }
}

/// An interval with the unit at both ends: `5.03k–14.9k`, `0.25×–3.55×`.
pub fn interval(low: f64, high: f64, print: impl Fn(f64) -> String) -> String {
    format!("{}–{}", print(low), print(high))
}

/// Removes trailing zeros from a number, for an axis: `50.0k` becomes `50k`, `0ns` becomes `0`.
pub fn tick(text: &str) -> String {
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number = if number.contains('.') {
        number.trim_end_matches('0').trim_end_matches('.')
    } else {
        number
    };
    match number {
        "0" => "0".to_owned(),
        _ => format!("{number}{unit}"),
    }
}

/// A share as a percentage, below 10 % with one digit after the point: `2%`, `4.1%`, `12%`.
pub fn percent(share: f64) -> String {
    let text = match 100.0 * share {
        percent if percent < 9.95 => format!("{percent:.1}"),
        percent => format!("{percent:.0}"),
    };
    format!("{}%", text.strip_suffix(".0").unwrap_or(&text))
}

/// An interval's confidence: `95%`, and `99.8%` rather than `100%`.
pub fn confidence(confidence: f64) -> String {
    let text = format!("{:.1}", 100.0 * confidence);
    format!("{}%", text.strip_suffix(".0").unwrap_or(&text))
}

/// Formats a metric's value according to its unit.
pub fn with_unit(value: f64, unit: &str) -> String {
    match unit {
        "ns" | "ns/op" => duration(value),
        "bytes" => bytes(value),
        _ => count(value),
    }
}

fn scaled(value: f64, scales: &[(f64, &str)]) -> String {
    if value < 0.0 {
        return format!("-{}", scaled(-value, scales));
    }
    // A value that rounds up to the next unit (999.6 ns) belongs to it.
    let fits = |(scale, _): &&(f64, &str)| value >= scale * 0.9995;
    let (scale, unit) = scales.iter().rev().find(fits).unwrap_or(&scales[0]);
    format!("{}{unit}", significant(value / scale))
}

/// Three significant digits, and never an exponent.
fn significant(value: f64) -> String {
    match value {
        0.0 => "0".to_owned(),
        value if value >= 1e6 => format!("{value:.2e}"),
        value if value >= 99.95 => format!("{value:.0}"),
        value if value >= 9.995 => format!("{value:.1}"),
        value if value >= 0.9995 => format!("{value:.2}"),
        value if value >= 0.0005 => format!("{value:.3}"),
        _ => "<0.001".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<const N: usize>(print: fn(f64) -> String, expected: [(f64, &str); N]) {
        for (value, text) in expected {
            assert_eq!(print(value), text, "{value}");
        }
    }

    #[test]
    fn numbers_have_three_digits_and_a_fitting_unit() {
        check(
            duration,
            [(0.0, "0ns"), (0.25, "0.250ns"), (850.0, "850ns")],
        );
        check(duration, [(999.6, "1.00µs"), (12_345.0, "12.3µs")]);
        check(
            duration,
            [(1.02e6, "1.02ms"), (3e9, "3.00s"), (3.6e12, "3600s")],
        );
        check(
            count,
            [(7.0, "7"), (61_234.0, "61.2k"), (999_960.0, "1.00M")],
        );
        check(
            count,
            [(1e-9, "<0.001"), (-61_234.0, "-61.2k"), (-7.0, "-7")],
        );
        check(count, [(-1e99, "-1.00e87T")]);
        check(
            bytes,
            [(512.0, "512B"), (12.5 * 1024.0 * 1024.0, "12.5MiB")],
        );
    }

    #[test]
    fn ticks_have_no_idle_zeros() {
        let ticks = ["50.0k", "100µs", "0ns", "0.500", "1.50×", "60.0s"].map(tick);
        assert_eq!(ticks, ["50k", "100µs", "0", "0.5", "1.5×", "60s"]);
    }

    #[test]
    fn ratios_and_intervals_stay_short_and_have_their_units() {
        check(ratio, [(2.314, "2.31×"), (0.0125, "0.013×")]);
        check(ratio, [(123_456.0, "123k×"), (0.000_31, "0.00031×")]);
        check(ratio, [(1e-9, "<0.000001×"), (0.0, "<0.000001×")]);
        check(percent, [(0.02, "2%"), (0.0413, "4.1%"), (0.123, "12%")]);
        check(percent, [(0.1, "10%"), (1.5, "150%")]);
        assert_eq!(interval(5_030.0, 14_900.0, count), "5.03k–14.9k");
        assert_eq!(interval(370.0, 12_300.0, count), "370–12.3k");
        assert_eq!(interval(0.25, 3.55, ratio), "0.250×–3.55×");
        assert_eq!(interval(44e6, 44e6, duration), "44.0ms–44.0ms");
    }
}
