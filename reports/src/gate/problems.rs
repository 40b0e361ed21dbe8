//! What was measured wrongly on either side of a gate: invalid cells, and arms that answer with different content.
//!
//! Such numbers are not compared at all, whatever they are. What makes a right number worth less is in `advice`.

use std::collections::BTreeSet;

use photofinish_record::{Arm, Gate};

use super::side::Side;
use super::sides::Sides;
use crate::summary::{CellSummary, Status};

/// One sentence for each problem; none where all is well.
pub(super) fn problems(sides: &Sides<'_>, gate: &Gate) -> Vec<String> {
    let mut problems = Vec::new();
    for pair in sides.pairs() {
        let both = [(Arm::Base, pair.base), (Arm::Head, Some(pair.head))];
        for (arm, side) in both {
            let Some(side) = side else { continue };
            problems.extend(invalid(arm, sides.summary(arm, side)));
        }
        if let Some(base) = pair.base
            && !gate.content_may_differ
        {
            problems.extend(different_content(base, pair.head));
        }
    }
    problems
}

fn invalid(arm: Arm, cell: &CellSummary) -> Option<String> {
    let reason = cell.reason.as_deref()?;
    (cell.status == Status::Invalid).then(|| {
        format!(
            "the {} was measured, but wrong: {}: {reason}",
            arm.name(),
            name(cell)
        )
    })
}

fn different_content(base: Side<'_>, head: Side<'_>) -> Option<String> {
    let (of_base, of_head) = (base.contents(), head.contents());
    let (question, ours) = of_head.iter().find(|(question, answers)| {
        of_base
            .get(*question)
            .is_some_and(|theirs| theirs != *answers)
    })?;
    let list = |answers: &BTreeSet<&str>| Vec::from_iter(answers.iter().copied()).join(" or ");
    Some(format!(
        "the arms answer differently: {question} is {} of the base and {} of the head",
        list(&of_base[question]),
        list(ours)
    ))
}

fn name(cell: &CellSummary) -> String {
    format!("{} / {} ({})", cell.scenario, cell.runtime, cell.load)
}
