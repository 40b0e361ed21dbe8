//! The self-test as a test: whatever does not depend on how busy the machine is must hold here as well.

use photofinish_reports::selftest::{Outcome, PROOF_SCHEMA, Proof};

use crate::schemas;
use crate::support::Sandbox;

/// Claims about counting and arithmetic; the others are about time, which tests that run side by side take from one
/// another.
const TIMELESS: [&str; 5] = [
    "recorded-percentiles",
    "counts",
    "fifo-arrivals",
    "allocations",
    "memory",
];

/// One of each kind: the others are tested by whoever runs the self-test.
const RUNTIMES: [&str; 4] = ["sync", "pool", "tokio", "smol"];

#[test]
fn the_selftest_claims_without_timing_hold() {
    let runtimes = RUNTIMES.join(",");
    let finished = Sandbox::new().run(&["selftest", "--quick", "--json", "--runtimes", &runtimes]);
    let document = finished.json();
    schemas::check("selftest", &document);
    let proof: Proof = serde_json::from_value(document).expect("a proof");
    assert_eq!(proof.schema, PROOF_SCHEMA);
    let fails = proof
        .claims
        .iter()
        .any(|claim| claim.outcome == Outcome::Fails);
    assert_eq!(
        (proof.passed, finished.code),
        (!fails, Some(if fails { 4 } else { 0 }))
    );
    for name in TIMELESS {
        let claims = || proof.claims.iter().filter(|claim| claim.name == name);
        let wrong: Vec<_> = claims()
            .filter(|claim| claim.outcome != Outcome::Holds)
            .collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
        let expected = if name == "recorded-percentiles" {
            1
        } else {
            RUNTIMES.len()
        };
        assert_eq!(claims().count(), expected, "{name}");
    }
}

#[test]
fn an_unknown_runtime_is_a_usage_error() {
    let expected = ["unknown runtime `tokyo`", "did you mean `tokio`?"];
    Sandbox::new()
        .run(&["selftest", "--runtimes", "tokyo"])
        .check(2, &expected);
}
