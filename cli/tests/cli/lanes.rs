//! Workers in other languages: the shipped lanes do the same work with equal counts, and broken ones are told.

mod missing;
mod of_users;
mod same_work;

use std::path::Path;
use std::process::Command;

use photofinish_record::{Outcome, Record};

use crate::support::{python, skip_without};

/// True if Python lacks a package of the lanes.
pub(crate) fn packages_are_missing() -> bool {
    let packages = "aiohttp, aiofiles, asyncpg, psycopg, psycopg_pool, uvloop, websockets";
    python(packages, packages).is_none()
}

/// True if there is no node with these packages, where `NODE_PATH` says.
pub(crate) fn node_is_missing() -> bool {
    let load = "require('pg'); require('ws')";
    let output = Command::new("node").args(["-e", load]).output();
    let is_there = output.is_ok_and(|output| output.status.success());
    if !is_there {
        skip_without("node with the packages pg and ws");
    }
    !is_there
}

pub(crate) fn perl_is_missing() -> bool {
    let there = Command::new("perl")
        .arg("-v")
        .output()
        .is_ok_and(|output| output.status.success());
    if !there {
        skip_without("perl");
    }
    !there
}

pub(crate) fn perl_worker() -> String {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/worker.pl");
    format!("perl {}", examples.display())
}

pub(crate) fn every_round_is_proved(record: &Record) {
    assert!(!record.rounds.is_empty());
    for round in &record.rounds {
        let cell = &record.plan.cells[round.cell];
        let Outcome::Ok(measured) = &round.outcome else {
            panic!("{cell}: {:?}", round.outcome)
        };
        let worker = &measured.worker;
        assert!(worker.ops > 0, "{cell}");
        assert_eq!(worker.service.count(), worker.ops, "{cell}");
        assert_eq!(measured.mismatches, [""; 0], "{cell}");
        assert_eq!(worker.violations, [""; 0], "{cell}");
        assert!(worker.errors.is_empty(), "{cell}: {:?}", worker.errors);
        assert!(
            worker.cost.peak_rss_bytes < Some(200 << 20),
            "{cell}: {:?}",
            worker.cost
        );
    }
}
