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
