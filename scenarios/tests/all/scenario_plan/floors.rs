//! Floors and lanes: which a plan adds, and the warm-up that they ask for.

use std::collections::BTreeMap;
use std::time::Duration;

use photofinish_harness::runtimes::floors;
use photofinish_record::load::Stop;
use photofinish_record::protocol::LaneDescription;
use photofinish_record::{ForeignWorker, Plan, RuntimeFamily};
use photofinish_scenarios::plan::{Lane, PlanOptions, plan};

use super::{names, options, scenario};

#[test]
fn a_floor_is_added_to_the_runtimes_of_each_scenario_and_only_once() {
    let of = |scenario_runtimes: &str, options: &PlanOptions| {
        let scenario = scenario(&format!("workload = 'null'{scenario_runtimes}"));
        let cells = plan(&[scenario], options).unwrap().cells;
        cells
            .into_iter()
            .map(|cell| cell.runtime)
            .collect::<Vec<_>>()
    };
    let with_floor = PlanOptions {
        floor: true,
        ..options()
    };
    let floor = floors().next().expect("there is one").name;
    let own = of("\nruntimes = ['tokio', 'sync']", &with_floor);
    assert_eq!(own, ["tokio", "sync", floor]);
    let named = PlanOptions {
        runtimes: names(&[floor, "tokio"]),
        ..with_floor.clone()
    };
    assert_eq!(of("", &named), [floor, "tokio"]);
    assert_eq!(of("", &with_floor).last().map(String::as_str), Some(floor));
}

fn lane(name: &str, family: RuntimeFamily, stack: &str) -> Lane {
    Lane {
        description: LaneDescription {
            name: name.to_owned(),
            family,
            stack: stack.to_owned(),
            summary: String::new(),
            workloads: vec!["null".to_owned()],
            cannot: BTreeMap::new(),
            open_load: true,
            min_warmup_ns: None,
            versions: BTreeMap::new(),
        },
        worker: ForeignWorker {
            stack: stack.to_owned(),
            command: Vec::new(),
            sha256: None,
            min_warmup_ns: None,
            versions: BTreeMap::new(),
        },
        everywhere: false,
    }
}

#[test]
fn a_floor_is_added_for_the_languages_of_a_scenario_where_it_has_the_workload() {
    let lanes = [
        ("coroutines", RuntimeFamily::Async, "One"),
        ("one-floor", RuntimeFamily::Floor, "One"),
        ("two-floor", RuntimeFamily::Floor, "Two"),
    ];
    let planned = |workload: &str, runtimes: &[&str]| {
        let options = PlanOptions {
            floor: true,
            lanes: lanes
                .map(|(name, family, stack)| lane(name, family, stack))
                .into(),
            runtimes: names(runtimes),
            ..options()
        };
        plan(&[scenario(&format!("workload = '{workload}'"))], &options).unwrap()
    };
    let runtimes = |plan: &Plan| -> Vec<String> {
        plan.cells.iter().map(|cell| cell.runtime.clone()).collect()
    };
    let one = planned("null", &["coroutines"]);
    assert_eq!(runtimes(&one), ["coroutines", "one-floor"]);
    assert_eq!(
        one.runtimes["one-floor"].note.as_deref(),
        Some("floor"),
        "reports name it"
    );
    let both = planned("null", &["tokio", "coroutines"]);
    assert_eq!(
        runtimes(&both),
        ["tokio", "coroutines", "epoll", "one-floor"]
    );
    let without = planned("tasks", &["coroutines"]);
    assert_eq!(runtimes(&without), ["coroutines"]);
}

/// A lane with these workloads, which asks for a warm-up of two seconds.
fn slow_starter(workloads: &[&str]) -> Lane {
    const MIN_WARMUP_NS: Option<u64> = Some(2_000_000_000);
    Lane {
        worker: ForeignWorker {
            stack: "Slow".to_owned(),
            command: vec!["slow".to_owned()],
            sha256: None,
            min_warmup_ns: MIN_WARMUP_NS,
            versions: BTreeMap::new(),
        },
        description: LaneDescription {
            name: "slow".to_owned(),
            family: RuntimeFamily::Async,
            stack: "Slow".to_owned(),
            summary: String::new(),
            workloads: workloads.iter().map(|name| (*name).to_owned()).collect(),
            cannot: BTreeMap::new(),
            open_load: true,
            min_warmup_ns: MIN_WARMUP_NS,
            versions: BTreeMap::new(),
        },
        everywhere: true,
    }
}

#[test]
fn all_runtimes_get_the_longest_warm_up_that_a_lane_asks_for() {
    let with_lane = |workload: &str| PlanOptions {
        lanes: vec![slow_starter(&[workload])],
        ..options()
    };
    let check = |load: &str, options: &PlanOptions, expected: Stop| {
        let text = format!("workload = 'null'\n{load}");
        let planned = plan(&[scenario(&text)], options).unwrap();
        assert_eq!(planned.scenarios[0].warmup, expected, "{load}");
    };
    let seconds = |seconds| Stop::after(Duration::from_secs_f64(seconds));
    check("", &with_lane("null"), seconds(2.0));
    check("load = { warmup = '5s' }", &with_lane("null"), seconds(5.0));
    let by_count = Stop::Ops(7.try_into().unwrap());
    check("load = { warmup_ops = 7 }", &with_lane("null"), by_count);
    check("", &with_lane("spawn"), seconds(0.3));
    let kept = PlanOptions {
        keep_warmup: true,
        ..with_lane("null")
    };
    check("load = { warmup = '1s' }", &kept, seconds(1.0));
    let quick = PlanOptions {
        quick: true,
        ..with_lane("null")
    };
    check("", &quick, seconds(0.05));
}
