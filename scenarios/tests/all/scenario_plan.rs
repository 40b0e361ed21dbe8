//! Plans: cells and blocks, options of the command line, and equal plans for equal input and seed.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::Path;
use std::time::Duration;

use photofinish_harness::runtime::Capability;
use photofinish_harness::runtimes::{default_runtimes, descriptor, floors};
use photofinish_record::load::{Arrivals, RateHz, Stop};
use photofinish_record::protocol::LaneDescription;
use photofinish_record::{
    ForeignWorker, Placement, PlacementKind, Plan, PlannedServer, RuntimeFamily,
};
use photofinish_scenarios::catalogue::{ScenarioRef, locate};
use photofinish_scenarios::diagnostic::Source;
use photofinish_scenarios::plan::{Lane, PlanError, PlanOptions, Twin, estimate, plan, plan_hash};
use photofinish_scenarios::scenario::{Checks, Scenario};
use photofinish_scenarios::suite::tour;
use proptest::prelude::*;
use serde_json::json;

/// Accepts all servers and gates.
const ANY: Checks<'static> = Checks {
    server: &|_, _| Ok(()),
    default_server: &super::scenario_files::default_server,
    gate: &|_, _| Ok(()),
    threshold: &|_, _, _| Ok(()),
};

fn scenario_called(name: &str, text: &str) -> Scenario {
    let source = Source::of_file(Path::new(&format!("{name}.toml")), text.to_owned());
    let scenario = Scenario::parse(source, &[], ANY);
    scenario.unwrap_or_else(|refused| panic!("{refused}"))
}

fn scenario(text: &str) -> Scenario {
    scenario_called("mine", text)
}

fn options() -> PlanOptions {
    PlanOptions {
        suite: None,
        floor: false,
        lanes: Vec::new(),
        runtimes: None,
        concurrency: None,
        rates: None,
        arrivals: None,
        lag_probe: false,
        search: false,
        reference: None,
        twin: None,
        looks: Vec::new(),
        duration: None,
        rounds: None,
        seed: 1,
        quick: false,
        keep_warmup: false,
        placement: Placement {
            kind: PlacementKind::Split,
            server_cpus: vec![0],
            worker_cpus: vec![1],
            pacer_cpu: None,
            orchestrator_cpus: vec![0],
        },
        targets: BTreeMap::new(),
    }
}

fn names(names: &[&str]) -> Option<Vec<String>> {
    Some(names.iter().map(|name| (*name).to_owned()).collect())
}

fn count(count: u32) -> NonZeroU32 {
    NonZeroU32::new(count).expect("from 1 up")
}

/// Scenario, runtime and sessions of each cell.
fn cells(plan: &Plan) -> Vec<(&str, &str, u32)> {
    let cells = plan.cells.iter();
    cells
        .map(|cell| {
            (
                cell.scenario.as_str(),
                cell.runtime.as_str(),
                cell.load.concurrency().get(),
            )
        })
        .collect()
}

#[test]
fn cells_are_scenarios_times_load_points_times_runtimes_in_the_given_order() {
    let scenarios = [
        scenario_called(
            "b",
            "workload = 'null'\nload.concurrency = [4, 1]\nruntimes = ['tokio', 'sync']",
        ),
        scenario_called("a", "workload = 'null'\nruntimes = ['smol']"),
    ];
    let planned = plan(&scenarios, &options()).unwrap();
    let expected = [
        ("b", "tokio", 4),
        ("b", "sync", 4),
        ("b", "tokio", 1),
        ("b", "sync", 1),
        ("a", "smol", 1),
    ];
    assert_eq!(cells(&planned), expected);
    assert_eq!(planned.scenarios[0].name, "b");
    assert_eq!(planned.scenarios[1].name, "a");
}

#[test]
fn all_runtimes_but_floors_are_compared_by_default() {
    let planned = plan(&[scenario("workload = 'null'")], &options()).unwrap();
    let runtimes: Vec<_> = planned
        .cells
        .iter()
        .map(|cell| cell.runtime.as_str())
        .collect();
    let all: Vec<_> = default_runtimes().map(|known| known.name).collect();
    assert_eq!(runtimes, all);
    assert!(!runtimes.contains(&"epoll"), "{runtimes:?}");
    assert_eq!(planned.blocks.len(), 10, "rounds by default");
}

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

#[test]
fn the_command_line_has_precedence_over_the_scenario() {
    let text =
        "workload = 'null'\nload = { concurrency = 1, ops = 5 }\nruntimes = ['tokio', 'sync']";
    let given = PlanOptions {
        runtimes: names(&["smol", "pool", "smol"]),
        concurrency: Some(vec![count(2), count(3), count(2)]),
        duration: Some(Duration::from_millis(700)),
        rounds: Some(count(3)),
        ..options()
    };
    let planned = plan(&[scenario(text)], &given).unwrap();
    let expected = [
        ("mine", "smol", 2),
        ("mine", "pool", 2),
        ("mine", "smol", 3),
        ("mine", "pool", 3),
    ];
    assert_eq!(cells(&planned), expected);
    assert_eq!(
        planned.scenarios[0].stop,
        Stop::after(Duration::from_millis(700))
    );
    assert_eq!(planned.blocks.len(), 3);
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

#[test]
fn a_quick_plan_shortens_but_never_lengthens() {
    let quick = PlanOptions {
        quick: true,
        ..options()
    };
    let check = |text: &str, options: &PlanOptions, warmup: Stop, stop: Stop, rounds: usize| {
        let planned = plan(&[scenario(text)], options).unwrap();
        assert_eq!(
            (planned.scenarios[0].warmup, planned.scenarios[0].stop),
            (warmup, stop),
            "{text}"
        );
        assert_eq!(planned.blocks.len(), rounds, "{text}");
    };
    let after = |ms| Stop::after(Duration::from_millis(ms));
    let ops = |ops: u64| Stop::Ops(ops.try_into().unwrap());
    check("workload = 'null'", &quick, after(50), after(200), 2);
    check(
        "workload = 'null'\nload = { duration = '10ms', warmup = '1ms' }",
        &quick,
        after(1),
        after(10),
        2,
    );
    check(
        "workload = 'null'\nload = { ops = 3, warmup_ops = 1000 }",
        &quick,
        ops(50),
        ops(3),
        2,
    );
    let with_more = PlanOptions {
        duration: Some(Duration::from_secs(3)),
        rounds: Some(count(4)),
        ..quick.clone()
    };
    check("workload = 'null'", &with_more, after(50), after(3000), 4);
}

#[test]
fn an_external_target_replaces_the_mock() {
    let nginx = PlannedServer::External {
        url: "http://127.0.0.1:8080/".to_owned(),
        software: Some("nginx/1.22.1".to_owned()),
        address: None,
        tls: None,
        cpus: None,
    };
    let given = PlanOptions {
        targets: BTreeMap::from([("http".to_owned(), nginx.clone())]),
        ..options()
    };
    let scenarios = [
        scenario_called(
            "get",
            "workload = 'http-get'\nserver.http = { kind = 'http', delay = '2 units' }",
        ),
        scenario_called("read", "workload = 'file-read'"),
    ];
    let planned = plan(&scenarios, &given).unwrap();
    assert_eq!(planned.scenarios[0].servers["http"], nginx);
    assert!(planned.scenarios[1].servers.is_empty());
    let mocked = plan(&scenarios, &options()).unwrap();
    let mock = PlannedServer::Mock {
        server: "http".to_owned(),
        behaviour: json!({"delay": "40ms"}),
        tls: None,
    };
    assert_eq!(mocked.scenarios[0].servers["http"], mock);
}

#[test]
fn a_servers_url_has_a_path_or_leaves_it_to_the_scenario() {
    let check = |params: &str, written: &str, expected: &str| {
        let external = |url: &str| PlannedServer::External {
            url: url.to_owned(),
            software: None,
            address: None,
            tls: None,
            cpus: None,
        };
        let asked = PlanOptions {
            targets: BTreeMap::from([("http".to_owned(), external(written))]),
            ..options()
        };
        let made = plan(
            &[scenario(&format!("workload = 'http-get'\n{params}"))],
            &asked,
        )
        .unwrap();
        assert_eq!(
            made.scenarios[0].servers["http"],
            external(expected),
            "{params} {written}"
        );
    };
    let named = "params.path = '/x'";
    for written in ["http://h:1", "http://h:1/"] {
        check("", written, "http://h:1/");
        check(named, written, "http://h:1");
    }
    for written in ["http://h:1/a", "http://h:1/?b", "http://h:1/a/"] {
        check("", written, written);
        check(named, written, written);
    }
}

#[test]
fn an_impossible_plan_is_an_error_with_a_hint() {
    let check = |scenarios: &[Scenario], options: &PlanOptions, message: &str, hint: &str| {
        let error: PlanError = plan(scenarios, options).expect_err("no plan");
        assert_eq!(error.to_string(), message);
        assert_eq!(error.hint(), hint);
    };
    let null = || scenario("workload = 'null'");
    let mut serverless = scenario("workload = 'http-get'");
    serverless.servers.clear();
    check(
        &[serverless],
        &options(),
        "scenario `mine` has no server for its target `http`",
        "add `[server.http]` to its file, or `--target http=…`",
    );
    check(
        &[],
        &options(),
        "no scenario to run",
        "`photofinish list` shows all scenarios",
    );
    check(
        &[null()],
        &PlanOptions {
            runtimes: names(&["sync", "tokyo"]),
            ..options()
        },
        "`--runtimes`: unknown runtime `tokyo`",
        "did you mean `tokio`?",
    );
    check(
        &[null(), null()],
        &options(),
        "two scenarios of this run are called `mine`",
        "run them one after another, or rename one of the files",
    );
    let elsewhere = PlannedServer::External {
        url: "http://127.0.0.1:1/".to_owned(),
        software: None,
        address: None,
        tls: None,
        cpus: None,
    };
    let to_elsewhere = PlanOptions {
        targets: BTreeMap::from([("htp".to_owned(), elsewhere)]),
        ..options()
    };
    check(
        &[null(), scenario_called("get", "workload = 'http-get'")],
        &to_elsewhere,
        "`--target htp=…`: no scenario of this run has a target `htp`",
        "expected `http`",
    );
    check(
        &[null()],
        &to_elsewhere,
        "`--target htp=…`: no scenario of this run has a target `htp`",
        "they talk to no server at all",
    );
}

#[test]
fn an_unsupported_cell_has_its_reason_and_is_in_no_block() {
    let mut needy = scenario("workload = 'null'\nruntimes = ['sync', 'tokio']");
    needy.needs = &[Capability::Concurrency];
    let planned = plan(&[needy.clone()], &options()).unwrap();
    let reason = descriptor("sync").unwrap().refusal(needy.needs);
    assert!(reason.is_some(), "sync does one thing after another");
    assert_eq!(planned.cells[0].unsupported.as_deref(), reason);
    assert_eq!(planned.cells[1].unsupported, None);
    assert_eq!(planned.blocks, vec![vec![1]; 10]);
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
    let made = plan(&[scenario("workload = 'null'")], &asked).unwrap();
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

proptest! {
    #[test]
    fn each_block_holds_every_supported_cell_once(
        seed: u64,
        rounds in 1u32..20,
        points in prop::collection::btree_set(1u32..100, 1..4),
    ) {
        let given = PlanOptions {
            seed,
            rounds: Some(count(rounds)),
            concurrency: Some(points.into_iter().map(count).collect()),
            ..options()
        };
        let planned = plan(&[scenario("workload = 'null'")], &given).unwrap();
        let supported = |index: &usize| planned.cells[*index].unsupported.is_none();
        let expected: Vec<_> = (0..planned.cells.len()).filter(supported).collect();
        prop_assert_eq!(planned.blocks.len(), rounds as usize);
        for block in &planned.blocks {
            let mut block = block.clone();
            block.sort_unstable();
            prop_assert_eq!(&block, &expected);
        }
    }
}

fn rates(rates: &[f64]) -> Option<Vec<RateHz>> {
    let rate = |hz: &f64| RateHz::new(*hz).expect("a rate");
    Some(rates.iter().map(rate).collect())
}

/// The loads of a plan, in words.
fn loads(text: &str, options: &PlanOptions) -> Vec<String> {
    let planned = plan(&[scenario(text)], options).unwrap();
    planned
        .cells
        .iter()
        .map(|cell| cell.load.to_string())
        .collect()
}

#[test]
fn a_rate_makes_the_load_open_with_the_maximum_of_sessions() {
    let text = "workload = 'null'\nload.concurrency = [4, 16, 1]\nruntimes = ['sync']";
    let given = |concurrency: &[u32]| PlanOptions {
        rates: rates(&[1_000.0, 20.5, 1_000.0]),
        concurrency: (!concurrency.is_empty()).then(|| {
            concurrency
                .iter()
                .map(|sessions| count(*sessions))
                .collect()
        }),
        ..options()
    };
    let expected = ["open, 1000/s, 16 sessions", "open, 20.5/s, 16 sessions"];
    assert_eq!(loads(text, &given(&[])), expected);
    let expected = [
        "open, 1000/s, 2 sessions",
        "open, 1000/s, 3 sessions",
        "open, 20.5/s, 2 sessions",
        "open, 20.5/s, 3 sessions",
    ];
    assert_eq!(loads(text, &given(&[2, 3])), expected);
}

#[test]
fn a_scenario_may_have_an_open_load() {
    let text = "workload = 'null'\nruntimes = ['sync']\nload = { rate = [100, 200], arrivals = 'poisson', concurrency = 8 }";
    let expected = [
        "open, 100/s Poisson, 8 sessions",
        "open, 200/s Poisson, 8 sessions",
    ];
    assert_eq!(loads(text, &options()), expected);
    let evenly = PlanOptions {
        arrivals: Some(Arrivals::Constant),
        rates: rates(&[5.0]),
        ..options()
    };
    assert_eq!(loads(text, &evenly), ["open, 5/s, 8 sessions"]);
}

#[test]
fn stages_keep_their_proportions_over_another_duration() {
    let text = "workload = 'null'\n[load]\nrate = 10\nstages = [{ duration = '3s', from = 0, to = 1 }, { duration = '1s', from = 1 }]";
    let check = |options: &PlanOptions, expected_ms: [u64; 2]| {
        let planned = plan(&[scenario(text)], options).unwrap();
        let planned = &planned.scenarios[0];
        let lengths_ms = planned
            .stages
            .iter()
            .map(|stage| stage.duration_ns.get() / 1_000_000);
        assert_eq!(lengths_ms.collect::<Vec<_>>(), expected_ms);
        let total = Duration::from_millis(expected_ms.iter().sum());
        assert_eq!(planned.stop, Stop::after(total));
    };
    check(&options(), [3_000, 1_000]);
    let shorter = PlanOptions {
        duration: Some(Duration::from_millis(800)),
        ..options()
    };
    check(&shorter, [600, 200]);
    let quick = PlanOptions {
        quick: true,
        ..options()
    };
    check(&quick, [150, 50]);
}

#[test]
fn an_impossible_open_load_is_an_error_with_a_hint() {
    let check = |options: &PlanOptions, error: &str, hint: &str| {
        let refused = plan(&[scenario("workload = 'null'")], options).unwrap_err();
        assert_eq!(
            (refused.to_string().as_str(), refused.hint().as_str()),
            (error, hint)
        );
    };
    let arrivals = PlanOptions {
        arrivals: Some(Arrivals::Poisson),
        ..options()
    };
    check(
        &arrivals,
        "`--arrivals` is for open loads, but every load of this run is closed",
        "add `--rate`, in arrivals per second",
    );
    let many = PlanOptions {
        rates: rates(&[1e7]),
        duration: Some(Duration::from_secs(200)),
        ..options()
    };
    check(
        &many,
        "10000000 arrivals per second over 200 s are too many for a round",
        "a round has at most 1000000000 arrivals; lower the rate or `--duration`",
    );
    let reference = PlanOptions {
        runtimes: names(&["sync", "tokio"]),
        reference: Some("smol".to_owned()),
        ..options()
    };
    check(
        &reference,
        "`--reference`: `smol` is not among the runtimes of this run",
        "expected `sync` or `tokio`",
    );
}

/// A round without an arrival would measure nothing; a single one at the start of a constant schedule would be told as
/// a rate that nobody asked for.
#[test]
fn a_load_without_an_arrival_in_a_round_is_refused() {
    let refused = |text: &str, rate: f64, arrivals, duration_ms| {
        let options = PlanOptions {
            rates: Some(vec![RateHz::new(rate).expect("a rate")]),
            arrivals,
            duration: Some(Duration::from_millis(duration_ms)),
            ..options()
        };
        let error = plan(&[scenario(text)], &options).err()?;
        let none = format!("{rate} arrivals per second over");
        assert!(error.to_string().starts_with(&none), "{error}");
        assert!(
            error.to_string().ends_with("give a round no arrival"),
            "{error}"
        );
        assert!(error.hint().contains("raise the rate"), "{}", error.hint());
        Some(())
    };
    let (constant, poisson) = (Some(Arrivals::Constant), Some(Arrivals::Poisson));
    let null = "workload = 'null'";
    assert!(refused(null, 1e-6, constant, 2_000).is_some());
    assert!(refused(null, 0.4, constant, 2_000).is_some());
    assert!(refused(null, 0.1, poisson, 1_000).is_some());
    assert_eq!(refused(null, 0.5, constant, 2_000), None);
    assert_eq!(refused(null, 1.0 / 3.0, constant, 3_000), None);
    assert_eq!(refused(null, 20.0, poisson, 1_000), None);
    let ramp = "workload = 'null'\nload.rate = 1\nload.stages = [{ from = 0, duration = '700ms' }, { from = 0.01, duration = '1s' }]";
    assert!(refused(ramp, 1.0, None, 1_700).is_some());
    assert_eq!(refused(ramp, 1_000.0, None, 1_700), None);
}
