//! What a reader must know about the tool and the machine before believing a number.
//!
//! Pure sentences from facts; they are printed before the run and kept in the record. What the rounds themselves say
//! against believing them is found by `reports::checks`.

use photofinish_harness::machine::Machine;

/// Share of all CPU time that others may use just before a run without a warning.
const QUIET: f64 = 0.10;

/// How the tool was built.
pub const PROFILE: &str = if cfg!(debug_assertions) {
    "debug"
} else {
    "release"
};

/// All warnings; `busy` is the share of CPU time that was in use just before, 0..=1.
pub fn warnings(machine: &Machine, busy: Option<f64>) -> Vec<String> {
    [
        debug_build(PROFILE),
        busy.and_then(busy_machine),
        governor(machine),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn debug_build(profile: &str) -> Option<String> {
    (profile == "debug").then(|| {
        "this is a debug build: its numbers mislead; build with `cargo build --release`".to_owned()
    })
}

fn busy_machine(busy: f64) -> Option<String> {
    let percent = busy * 100.0;
    (busy > QUIET).then(|| {
        format!("the machine was busy before the run: {percent:.0}% of its CPU time went to something else")
    })
}

fn governor(machine: &Machine) -> Option<String> {
    let governor = machine.governor.as_deref()?;
    (governor == "powersave").then(|| {
        "the CPU frequency governor is `powersave`: latencies include waking and speeding up"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_debug_build_and_a_busy_machine_are_told_and_a_quiet_one_is_not() {
        assert!(debug_build("debug").is_some());
        assert_eq!(debug_build("release"), None);
        assert!(busy_machine(0.34).is_some_and(|told| told.contains("34%")));
        assert_eq!(busy_machine(0.02), None);
    }
}
