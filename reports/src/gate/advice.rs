//! What to mind about a gate's numbers: a base of another machine or another time, and arms that seem to be swapped.
//!
//! None of it changes a verdict. What does is in `overall`; what was measured wrongly is in `problems`.

use photofinish_record::Requirement;

use super::sides::Sides;
use super::{Check, describe_check};

/// Numbers of another time: what they are worth.
pub(super) fn advisory(sides: &Sides<'_>) -> Option<String> {
    if sides.paired {
        return None;
    }
    let (base, head) = (&sides.base.machine, &sides.head.machine);
    let told = |what: &str| {
        format!(
            "the base was measured on {what}: machines differ by more than what is looked for, so this is advice; \
             measure both arms now for a gate"
        )
    };
    let another_machine = base.cpu_model != head.cpu_model
        || base.cpus_online != head.cpus_online
        || base.memory_bytes != head.memory_bytes
        || base.arch != head.arch;
    let same_boot = base.boot_id == head.boot_id && head.boot_id.is_some();
    match (another_machine, same_boot) {
        (true, _) => Some(told("another machine")),
        (false, false) => Some(told("another boot of the machine, or another one like it")),
        (false, true) => None,
    }
}

/// What a reader must know before believing a number: what the head's own summary warns of, and arms that seem swapped.
pub(super) fn warnings(sides: &Sides<'_>, checks: &[Check]) -> Vec<String> {
    let mut warnings: Vec<String> = sides.head_warnings().to_vec();
    if !sides.paired && sides.base.started_utc > sides.head.started_utc {
        warnings.push("the base was measured after the head: are the two swapped?".to_owned());
    }
    let faster = checks.iter().find(|check| {
        let far = match check.requirement {
            Requirement::Slowdown { limit } => 1.0 / (1.0 + limit) - 1.0,
            _ => return false,
        };
        check.slowdown.is_some_and(|slowdown| slowdown.high < far)
    });
    if let Some(check) = faster {
        warnings.push(format!(
            "the head is better than the base by more than the limit ({}): an improvement, or the arms are swapped",
            describe_check(check)
        ));
    }
    warnings
}
