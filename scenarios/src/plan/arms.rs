//! Doubles a plan for a gate or an A/A comparison: a base and a head cell for every cell, run in pairs.
//!
//! The two rounds of a pair run one after the other. Which one is first is drawn for every second block; the next block
//! has the opposite order, so that effects of the order and of drift affect both arms alike.

use photofinish_record::draw::draw_below;
use photofinish_record::{Arm, Cell, Plan, Variant};

/// The plan with a base and a head of each of its cells, which run these variants.
pub fn in_pairs(plan: Plan, base: Option<&Variant>, head: Option<&Variant>, seed: u64) -> Plan {
    let mut cells = Vec::new();
    for cell in &plan.cells {
        cells.extend(
            [(Arm::Base, base), (Arm::Head, head)].map(|(arm, variant)| Cell {
                arm: Some(arm),
                variant: variant.cloned(),
                ..cell.clone()
            }),
        );
    }
    let mut blocks = plan.blocks;
    for (number, block) in blocks.iter_mut().enumerate() {
        let singles = std::mem::take(block);
        block.extend(
            singles
                .into_iter()
                .flat_map(|cell| pair(cell, number, seed)),
        );
    }
    Plan {
        cells,
        blocks,
        ..plan
    }
}

/// The base and head of `cell`, in the order in which they run in a block.
fn pair(cell: usize, block: usize, seed: u64) -> [usize; 2] {
    let (base, head) = (2 * cell, 2 * cell + 1);
    let draw = ((cell << 32) | (block / 2)) as u64;
    let head_first = (draw_below(seed, draw, 2) == 1) != (block % 2 == 1);
    if head_first {
        [head, base]
    } else {
        [base, head]
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
        in_pairs(plan, None, None, 1)
    }

    #[test]
    fn the_rounds_of_a_pair_are_neighbours_in_every_block() {
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
    fn arms_are_first_equally_often_at_every_look_without_alternating() {
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
