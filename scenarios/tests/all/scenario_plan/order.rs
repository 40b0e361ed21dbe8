//! Blocks: order, balance, hashes and estimates.

use std::collections::BTreeMap;
use std::time::Duration;

use photofinish_scenarios::catalogue::{ScenarioRef, locate};
use photofinish_scenarios::plan::{PlanOptions, Twin, estimate, plan, plan_hash};
use photofinish_scenarios::scenario::Scenario;
use photofinish_scenarios::suite::tour;
use serde_json::json;

use super::{ANY, count, options, scenario};

#[test]
fn a_parameter_of_a_twin_is_one_of_the_workload() {
    let plan = |params| {
        let twin = Twin {
            runtime: "tokio".to_owned(),
            params,
        };
        let options = PlanOptions {
            twin: Some(twin),
            ..options()
        };
        plan(&[scenario("workload = 'http-get'")], &options)
    };
    let of = |name: &str, value| BTreeMap::from([(name.to_owned(), value)]);
    assert!(plan(of("path", json!("/bytes/10"))).is_ok());
    let unknown = plan(of("pat", json!("/"))).unwrap_err();
    assert_eq!(
        unknown.to_string(),
        "`--twin`, scenario `mine`: unknown parameter `pat`"
    );
    assert!(unknown.hint().contains("`path`"), "{}", unknown.hint());
    plan(of("path", json!(5))).unwrap_err();
}

#[test]
fn a_twin_is_in_each_block_once_and_first_about_half_the_time() {
    let params = BTreeMap::from([("work".to_owned(), json!(11_000))]);
    let twin = Twin {
        runtime: "tokio".to_owned(),
        params: params.clone(),
    };
    let asked = PlanOptions {
        runtimes: Some(vec!["tokio".to_owned()]),
        rounds: Some(count(100)),
        twin: Some(twin),
        ..options()
    };
    let made = plan(&[scenario("workload = 'scripted'")], &asked).unwrap();
    assert_eq!(made.cells[1].runtime, "tokio-twin");
    let variant = made.cells[1].variant.as_ref().unwrap();
    assert_eq!(variant.runtime.as_deref(), Some("tokio"));
    assert_eq!((&variant.params, &made.cells[0].variant), (&params, &None));
    let first = made.blocks.iter().filter(|block| **block == [1, 0]).count();
    let second = made.blocks.iter().filter(|block| **block == [0, 1]).count();
    assert_eq!(first + second, 100);
    assert!((30..=70).contains(&first), "{first}");
    let without = PlanOptions {
        runtimes: Some(vec!["smol".to_owned()]),
        ..asked
    };
    let refused = plan(&[scenario("workload = 'null'")], &without).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "`--twin`: `tokio` is not among the runtimes of this run"
    );
}

#[test]
fn a_plan_and_its_hash_depend_only_on_input_and_seed() {
    let text = "workload = 'http-get'\nserver.http = { delay = '1ms', seed = 3 }\nload.concurrency = [1, 16]";
    // The same, with every map in another order.
    let twin = "load.concurrency = [1, 16]\nserver.http = { seed = 3, delay = '1ms' }\nworkload = 'http-get'";
    let json_and_hash = |text: &str, seed: u64| {
        let planned = plan(&[scenario(text)], &PlanOptions { seed, ..options() }).unwrap();
        let hash = plan_hash(&planned, seed);
        (serde_json::to_string(&planned).unwrap(), hash)
    };
    assert_eq!(json_and_hash(text, 7), json_and_hash(text, 7));
    assert_eq!(json_and_hash(text, 7), json_and_hash(twin, 7));
    let (other_order, other_hash) = json_and_hash(text, 8);
    assert_ne!(json_and_hash(text, 7).0, other_order);
    assert_ne!(json_and_hash(text, 7).1, other_hash);
    assert_eq!(other_hash.len(), 64);
    assert_ne!(
        json_and_hash(&text.replace("3", "4"), 7).1,
        json_and_hash(text, 7).1
    );
}

#[test]
fn the_order_of_a_plan_never_changes_between_versions() {
    // Recorded plans must be repeatable from their seed. The orders were computed from the definition of the
    // draws, outside this program.
    let given = PlanOptions {
        rounds: Some(count(3)),
        seed: 42,
        ..options()
    };
    let runtimes = "runtimes = ['sync', 'threads', 'pool', 'tokio', 'smol']";
    let planned = plan(
        &[scenario(&format!("workload = 'null'\n{runtimes}"))],
        &given,
    )
    .unwrap();
    let expected = [[4, 2, 1, 0, 3], [1, 4, 2, 0, 3], [3, 2, 0, 1, 4]];
    assert_eq!(planned.blocks, expected.map(Vec::from));
}

#[test]
fn every_cell_is_equally_often_at_every_position() {
    // 6000 blocks of 5 cells: 1200 expected at each position, with a standard deviation of 31.
    let runtimes = "runtimes = ['sync', 'threads', 'pool', 'tokio', 'smol']";
    let given = PlanOptions {
        rounds: Some(count(6000)),
        ..options()
    };
    let planned = plan(
        &[scenario(&format!("workload = 'null'\n{runtimes}"))],
        &given,
    )
    .unwrap();
    let mut seen = [[0; 5]; 5];
    for block in &planned.blocks {
        for (position, cell) in block.iter().enumerate() {
            seen[position][*cell] += 1;
        }
    }
    let even = |times: &i32| (1050..=1350).contains(times);
    assert!(seen.iter().flatten().all(even), "{seen:?}");
}

#[test]
fn the_estimated_time_is_the_sum_over_all_rounds() {
    let text = "workload = 'null'\nruntimes = ['sync', 'tokio']\nload = { warmup = '100ms', duration = '400ms' }";
    let given = PlanOptions {
        rounds: Some(count(3)),
        ..options()
    };
    let planned = plan(&[scenario(text)], &given).unwrap();
    // 6 rounds of 500 ms, and 60 ms around each.
    assert_eq!(estimate(&planned), Duration::from_millis(6 * 560));
}

#[test]
fn the_tour_takes_less_than_a_minute() {
    let tour = tour();
    let read = |given: &photofinish_scenarios::suite::SuiteScenario| {
        let Ok(ScenarioRef::Catalogue(entry)) = locate(&given.name) else {
            panic!("{} is not in the catalogue", given.name);
        };
        Scenario::parse(entry.source(), &given.overrides, ANY).unwrap()
    };
    let scenarios: Vec<_> = tour.scenarios.iter().map(read).collect();
    let given = PlanOptions {
        rounds: tour.rounds,
        ..options()
    };
    let estimated = estimate(&plan(&scenarios, &given).unwrap());
    let sensible = Duration::from_secs(30)..Duration::from_secs(56);
    assert!(sensible.contains(&estimated), "{estimated:?}");
}
