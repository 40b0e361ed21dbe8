//! Numbers in the sentences of findings: few digits, with a suitable unit. Reports format results in their own way.

/// `12 ns`, `54 µs`, `1.2 ms`, `3.4 s`.
pub(super) fn time(ns: f64) -> String {
    match ns {
        ns if ns < 1e3 => format!("{ns:.0} ns"),
        ns if ns < 1e6 => format!("{:.0} µs", ns / 1e3),
        ns if ns < 1e9 => format!("{:.1} ms", ns / 1e6),
        ns => format!("{:.1} s", ns / 1e9),
    }
}

/// `812 MiB`, `23.5 GiB`.
pub(super) fn bytes(bytes: u64) -> String {
    let mebibytes = bytes as f64 / f64::from(1 << 20);
    match mebibytes {
        small if small < 10.0 => format!("{small:.1} MiB"),
        some if some < 1024.0 => format!("{some:.0} MiB"),
        many => format!("{:.1} GiB", many / 1024.0),
    }
}

/// `0.4%`, `34%`.
pub(super) fn percent(share: f64) -> String {
    match 100.0 * share {
        0.0 => "0%".to_owned(),
        small if small < 0.1 => "<0.1%".to_owned(),
        some if some < 9.95 => format!("{some:.1}%"),
        many => format!("{many:.0}%"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_a_unit_that_fits() {
        let check = |actual: String, expected: &str| assert_eq!(actual, expected);
        check(time(23.4), "23 ns");
        check(time(54_321.0), "54 µs");
        check(time(1_234_567.0), "1.2 ms");
        check(time(2.5e9), "2.5 s");
        check(bytes(3 << 19), "1.5 MiB");
        check(bytes(300 << 20), "300 MiB");
        check(bytes(5 << 29), "2.5 GiB");
        check(percent(0.0), "0%");
        check(percent(0.0004), "<0.1%");
        check(percent(0.034), "3.4%");
        check(percent(0.34), "34%");
    }
}
