//! Plans: cells and blocks, options of the command line, and equal plans for equal input and seed.

mod floors;
mod open_loads;
mod order;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::Path;
use std::time::Duration;

use photofinish_harness::runtime::Capability;
use photofinish_harness::runtimes::{default_runtimes, descriptor};
use photofinish_record::load::{RateHz, Stop};
use photofinish_record::{Placement, PlacementKind, Plan, PlannedServer};
use photofinish_scenarios::diagnostic::Source;
use photofinish_scenarios::plan::{PlanError, PlanOptions, plan};
use photofinish_scenarios::scenario::{Checks, Scenario};
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
