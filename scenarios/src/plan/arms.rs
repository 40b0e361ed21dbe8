//! Two arms of a plan: every cell twice, and every block in pairs.
//!
//! The rounds of a pair run one after the other, base first or head first: which one is drawn, and the next block takes
//! the other order, so that over two blocks each arm goes first once. An effect of the place or of a drifting machine
//! then weighs on both alike. What is gated is the business of whoever asks for a gate.

use photofinish_record::draw::draw_below;
use photofinish_record::{Arm, Cell, Gate, Plan};

/// The plan with a base and a head of each of its cells.
pub fn with_arms(plan: Plan, gate: Gate, seed: u64) -> Plan {
    let cell = |cell: &Cell, arm| Cell {
        arm: Some(arm),
        ..cell.clone()
    };
    let both = |single: &Cell| [cell(single, Arm::Base), cell(single, Arm::Head)];
    let pairs = |(block, singles): (usize, &Vec<usize>)| {
        let in_order = |single: &usize| in_order(*single, block, seed);
        singles.iter().flat_map(in_order).collect()
    };
    Plan {
        cells: plan.cells.iter().flat_map(both).collect(),
        blocks: plan.blocks.iter().enumerate().map(pairs).collect(),
        gate: Some(gate),
        ..plan
    }
}

/// The two cells that a single one became, in the order in which they run in a block.
fn in_order(single: usize, block: usize, seed: u64) -> [usize; 2] {
    let (base, head) = (2 * single, 2 * single + 1);
    let couple = ((single << 32) | (block / 2)) as u64;
    let head_first = (draw_below(seed, couple, 2) == 1) != (block % 2 == 1);
    match head_first {
        true => [head, base],
        false => [base, head],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn planned(blocks: usize) -> Plan {
        let cell = |runtime: &str| {
            json!({
                "scenario": "null", "runtime": runtime,
                "load": { "model": "closed", "concurrency": 1 }, "unsupported": null,
            })
        };
        let plan: Plan = serde_json::from_value(json!({
            "scenarios": [], "cells": [cell("tokio"), cell("smol")], "blocks": vec![[1, 0]; blocks],
            "placement": { "kind": "same", "server_cpus": [0], "worker_cpus": [0] },
        }))
        .expect("a plan");
        let gate = json!({
            "base": { "kind": "server", "what": "a", "identity": null },
            "head": { "kind": "server", "what": "b", "identity": null },
            "floor": 0.02, "terms": [],
        });
        with_arms(plan, serde_json::from_value(gate).expect("a gate"), 1)
    }

    #[test]
    fn the_two_of_a_pair_are_neighbours_in_every_block() {
        let plan = planned(40);
        for block in &plan.blocks {
            let cells: Vec<_> = block.iter().map(|index| &plan.cells[*index]).collect();
            let runtimes: Vec<_> = cells.iter().map(|cell| cell.runtime.as_str()).collect();
            assert_eq!(runtimes, ["smol", "smol", "tokio", "tokio"]);
            for pair in cells.chunks(2) {
                assert_ne!(pair[0].arm, pair[1].arm);
            }
        }
    }

    #[test]
    fn each_arm_goes_first_equally_often_at_every_look_and_in_no_fixed_turn() {
        let plan = planned(40);
        let head_first: Vec<bool> = plan
            .blocks
            .iter()
            .map(|block| plan.cells[block[0]].arm == Some(Arm::Head))
            .collect();
        for look in [10, 16, 24, 40] {
            let heads = head_first[..look].iter().filter(|first| **first).count();
            assert_eq!(2 * heads, look);
        }
        let turned = head_first.chunks(2).filter(|couple| couple[0]).count();
        assert!((1..20).contains(&turned), "{turned}");
    }
}
