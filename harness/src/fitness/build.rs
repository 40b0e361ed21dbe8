//! The build: a debug build measures unoptimised code.

use super::{Assessment, Readings};

pub(super) fn build(readings: &Readings) -> Assessment {
    if readings.debug_build {
        Assessment::bad("this is a debug build: its numbers mislead")
            .remedy("build with `cargo build --release`")
    } else {
        Assessment::good("a release build")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use photofinish_record::FindingLevel;

    #[test]
    fn a_debug_build_is_bad() {
        let check = |debug_build, expected| {
            let readings = Readings {
                debug_build,
                ..Readings::default()
            };
            assert_eq!(build(&readings).level, expected);
        };
        check(true, FindingLevel::Bad);
        check(false, FindingLevel::Good);
    }
}
